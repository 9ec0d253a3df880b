"""Health checks outside of the request path: all edges are checked repeatedly and concurrently, with a deadline and with jitter."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from service.edges.routing import Router


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
