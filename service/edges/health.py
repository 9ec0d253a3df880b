"""Health checks off the path of requests: each edge is asked again and again, all at once, with a deadline, and not in step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from service.edges.routing import Router


@dataclass(frozen=True)
class EdgeHealth:
    """What a healthy edge answers: the round trip of the check, and how old the edge's data is."""

    rtt_ms: float
    lag_s: float = 0.0


Probe = Callable[[str], Awaitable[EdgeHealth]]
"""Asks an edge, by name; raises where it gives no good answer."""


@dataclass(frozen=True)
class Rhythm:
    """Every `interval_s`, give or take `jitter` of it, so that many checkers do not ask all at once; `deadline_s` an answer."""

    interval_s: float = 0.5
    jitter: float = 0.2
    deadline_s: float = 1.0

    def pause_s(self, draw: Random) -> float:
        """Return how long to wait before the next check."""
        return self.interval_s * (1 + draw.uniform(-self.jitter, self.jitter))


async def check(router: Router, probe: Probe, deadline_s: float) -> None:
    """Ask every edge that may be asked, all at once, and tell the router."""
    await asyncio.gather(*(_check(router, name, probe, deadline_s) for name in router.names if router.may_probe(name)))


async def keep_checking(router: Router, probe: Probe, rhythm: Rhythm, draw: Random) -> None:
    """Check until cancelled. Each edge has a rhythm of its own: a slow one holds up nobody else's check."""

    async def watch(name: str) -> None:
        while True:
            if router.may_probe(name):
                await _check(router, name, probe, rhythm.deadline_s)
            await asyncio.sleep(rhythm.pause_s(draw))

    async with asyncio.TaskGroup() as group:
        for name in router.names:
            group.create_task(watch(name))


async def _check(router: Router, name: str, probe: Probe, deadline_s: float) -> None:
    try:
        async with asyncio.timeout(deadline_s):
            health = await probe(name)
    except Exception:  # noqa: BLE001 - whatever goes wrong with a check means that the edge is not well
        router.probed(name, None)
    else:
        router.probed(name, health.rtt_ms, health.lag_s)
