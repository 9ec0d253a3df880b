"""The edge that the clients of a region are sent to: the healthy edge with the lowest measured round-trip time.

The router is pure logic with an injected clock, and decides for the clients of one region. Health checks run outside of the request
path: all edges are checked repeatedly and concurrently, with a deadline and with jitter.

- Until an edge has been measured, an estimate from its location is used (`prior_ms`).
- Measured round trips are smoothed (an exponentially weighted moving average, as in TCP: Jacobson 1988).
- Hysteresis: the choice changes only if another edge is better by a margin, so that two equal edges do not alternate.
- An edge that fails several times in a row is ejected: no client is sent there. After a while it is half open: one probe may try
  it, and only several successful probes restore it. A failed one ejects it for twice as long, up to a limit (circuit breaker, as in
  Nygard, Release It!, and outlier ejection in Envoy).
- If all are ejected, the router sends clients to the one that was best, since any edge is better than none.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Policy:
    """The parameters of a router."""

    weight: float = 0.2  # share of a new measurement in the average
    better_share: float = 0.15  # share by which another edge must be faster to be chosen instead
    better_ms: float = 2.0  # difference in milliseconds by which another edge must be faster to be chosen instead
    failures: int = 2  # number of consecutive failures that eject an edge
    eject_s: float = 1.0  # duration of the first ejection, in seconds
    longest_s: float = 60.0  # limit of the duration of an ejection, in seconds
    good_probes: int = 2  # number of consecutive successful probes that restore an edge
    stale_s: float = 30.0  # age of an edge's data in seconds beyond which the edge is avoided like an ejected one


@dataclass
class _State:
    """The state of one edge."""

    rtt_ms: float
    measured: bool = False
    failed: int = 0
    good: int = 0
    ejected_until_s: float | None = None
    ejected_for_s: float = 0.0
    lag_s: float = 0.0


class Router:
    """Chooses an edge for the clients of one region. The keys of `prior_ms` are the names of the edges."""

    def __init__(self, prior_ms: Mapping[str, float], now_s: Callable[[], float], policy: Policy | None = None) -> None:
        if not prior_ms:
            raise ValueError("a router needs at least one edge")
        self._edges = {name: _State(ms) for name, ms in prior_ms.items()}
        self._now_s = now_s
        self._policy = policy or Policy()
        self._chosen = min(self._edges, key=lambda name: (self._edges[name].rtt_ms, name))

    def choose(self, without: Collection[str] = ()) -> str:
        """Return the edge to use. `without` are edges that have just failed this request; the choice for other requests stays."""
        stale_s = self._policy.stale_s
        healthy = [name for name, edge in self._edges.items() if edge.ejected_until_s is None and edge.lag_s <= stale_s]
        if without:
            left = [name for name in healthy if name not in without] or [name for name in self._edges if name not in without]
            return self._fastest(left or list(self._edges))
        best = self._fastest(healthy or list(self._edges))
        if not healthy or self._chosen not in healthy or self._is_much_better(best, self._chosen):
            self._chosen = best
        return self._chosen

    def succeeded(self, name: str, rtt_ms: float) -> None:
        """Record that an edge answered a request, and the round trip in milliseconds."""
        edge = self._edges[name]
        edge.failed = 0
        weight = self._policy.weight if edge.measured else 1.0
        edge.rtt_ms += weight * (rtt_ms - edge.rtt_ms)
        edge.measured = True

    def failed(self, name: str) -> None:
        """Record that an edge did not answer a request, or not in time."""
        edge = self._edges[name]
        edge.failed += 1
        edge.good = 0
        if edge.failed >= self._policy.failures and edge.ejected_until_s is None:
            self._eject(edge, self._policy.eject_s)

    def probed(self, name: str, rtt_ms: float | None, lag_s: float = 0.0) -> None:
        """Record the result of a health check: a round trip and the age of the edge's data, or None if it failed."""
        edge = self._edges[name]
        if rtt_ms is None:
            if edge.ejected_until_s is None:
                self.failed(name)
            else:
                edge.good = 0
                self._eject(edge, min(2 * edge.ejected_for_s, self._policy.longest_s))
            return
        edge.lag_s = lag_s
        self.succeeded(name, rtt_ms)
        if edge.ejected_until_s is not None:
            edge.good += 1
            if edge.good >= self._policy.good_probes:
                edge.ejected_until_s, edge.good = None, 0

    def may_probe(self, name: str) -> bool:
        """Return whether a health check may be sent to an edge now: if it is not ejected, or half open."""
        until_s = self._edges[name].ejected_until_s
        return until_s is None or self._now_s() >= until_s

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the edges."""
        return tuple(self._edges)

    def _fastest(self, names: Collection[str]) -> str:
        return min(names, key=lambda name: (self._edges[name].rtt_ms, name))

    def _is_much_better(self, name: str, than: str) -> bool:
        gain_ms = self._edges[than].rtt_ms - self._edges[name].rtt_ms
        return gain_ms >= self._policy.better_ms and gain_ms >= self._policy.better_share * self._edges[than].rtt_ms

    def _eject(self, edge: _State, for_s: float) -> None:
        edge.ejected_for_s = for_s
        edge.ejected_until_s = self._now_s() + for_s


@dataclass(frozen=True)
class EdgeHealth:
    """The response of a healthy edge: the round trip of the check, and the age of the edge's data."""

    rtt_ms: float
    lag_s: float = 0.0


Probe = Callable[[str], Awaitable[EdgeHealth]]  # checks an edge, by name; raises if it does not respond well


@dataclass(frozen=True)
class CheckSchedule:
    """The intervals and deadlines of health checks."""

    interval_s: float = 0.5  # mean time between two checks of an edge, in seconds
    jitter: float = 0.2  # share by which an interval varies at random, so that many checkers do not check simultaneously
    deadline_s: float = 1.0  # deadline per check, in seconds

    def pause_s(self, draw: Random) -> float:
        """Return the time until the next check, in seconds."""
        return self.interval_s * (1 + draw.uniform(-self.jitter, self.jitter))


async def check(router: Router, probe: Probe, deadline_s: float) -> None:
    """Check every edge that may be checked, concurrently, and report to the router."""
    await asyncio.gather(*(_check(router, name, probe, deadline_s) for name in router.names if router.may_probe(name)))


async def keep_checking(router: Router, probe: Probe, schedule: CheckSchedule, draw: Random) -> None:
    """Check until cancelled. Each edge has its own schedule, so a slow edge does not delay the checks of others."""

    async def watch(name: str) -> None:
        while True:
            if router.may_probe(name):
                await _check(router, name, probe, schedule.deadline_s)
            await asyncio.sleep(schedule.pause_s(draw))

    async with asyncio.TaskGroup() as group:
        for name in router.names:
            group.create_task(watch(name))


async def _check(router: Router, name: str, probe: Probe, deadline_s: float) -> None:
    try:
        async with asyncio.timeout(deadline_s):
            health = await probe(name)
    except Exception:  # noqa: BLE001 - any failure of a check means that the edge is unhealthy
        router.probed(name, None)
    else:
        router.probed(name, health.rtt_ms, health.lag_s)
