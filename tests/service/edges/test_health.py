"""Health checks: concurrent, each with a deadline, not in lockstep, and reported to the router."""

import asyncio
import contextlib
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from service.edges.routing import CheckSchedule, EdgeHealth, Router, check, keep_checking

EDGES = {"a": 5.0, "b": 50.0, "c": 90.0}


def test_all_edges_are_checked_concurrently() -> None:
    """Each check begins before any has ended."""
    begun: set[str] = set()
    all_begun = asyncio.Event()

    async def probe(name: str) -> EdgeHealth:
        begun.add(name)
        if begun == set(EDGES):
            all_begun.set()
        await all_begun.wait()
        return EdgeHealth(7.0)

    async def play() -> Router:
        router = Router(EDGES, lambda: 0.0)
        await check(router, probe, deadline_s=10.0)
        return router

    router = asyncio.run(play())
    assert [router._edges[name].rtt_ms for name in EDGES] == [7.0, 7.0, 7.0]


def test_an_edge_that_exceeds_the_deadline_has_failed() -> None:
    """A deadline ends a check that hangs, and the other edges are not affected."""

    async def probe(name: str) -> EdgeHealth:
        if name == "a":
            await asyncio.Event().wait()
        return EdgeHealth(1.0)

    async def play() -> Router:
        router = Router(EDGES, lambda: 0.0)
        for _ in range(2):
            await check(router, probe, deadline_s=0.01)
        return router

    router = asyncio.run(play())
    assert [name for name in EDGES if router._edges[name].ejected_until_s is not None] == ["a"]
    assert router.choose() == "b"


def test_an_error_is_a_failure_of_that_edge_only() -> None:
    """An exception of a probe affects only the edge it was sent to."""

    async def probe(name: str) -> EdgeHealth:
        if name == "b":
            raise ConnectionRefusedError
        return EdgeHealth(1.0)

    async def play() -> Router:
        router = Router(EDGES, lambda: 0.0)
        for _ in range(2):
            await check(router, probe, deadline_s=1.0)
        return router

    router = asyncio.run(play())
    assert [name for name in EDGES if router._edges[name].ejected_until_s is not None] == ["b"]


def test_an_ejected_edge_is_not_checked_until_it_is_half_open() -> None:
    """Checks skip an edge during its ejection, and resume afterwards."""
    checked: list[str] = []
    now_s = 0.0

    async def probe(name: str) -> EdgeHealth:
        checked.append(name)
        return EdgeHealth(1.0)

    async def play() -> None:
        nonlocal now_s
        router = Router(EDGES, lambda: now_s)
        router.failed("a")
        router.failed("a")
        await check(router, probe, deadline_s=1.0)
        assert "a" not in checked
        now_s = 2.0
        await check(router, probe, deadline_s=1.0)
        assert "a" in checked

    asyncio.run(play())


def test_each_edge_is_checked_until_cancelled() -> None:
    """A slow edge does not delay the checks of others: while one check never ends, the others are repeated."""
    checked = dict.fromkeys(EDGES, 0)
    enough = asyncio.Event()

    async def probe(name: str) -> EdgeHealth:
        checked[name] += 1
        if name == "a":
            await asyncio.Event().wait()
        if checked["b"] > 3 and checked["c"] > 3:
            enough.set()
        return EdgeHealth(1.0)

    async def play() -> None:
        router = Router(EDGES, lambda: 0.0)
        task = asyncio.create_task(keep_checking(router, probe, CheckSchedule(0.0, 0.0, 60.0), Random(0)))
        await enough.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(play(), 20))
    assert checked["a"] == 1


@given(st.floats(0.01, 100), st.floats(0, 1), st.integers())
def test_pauses_stay_within_the_jitter(interval_s: float, jitter: float, seed: int) -> None:
    """No pause differs from the interval by more than the jitter's share."""
    schedule = CheckSchedule(interval_s, jitter)
    pause_s = schedule.pause_s(Random(seed))
    assert interval_s * (1 - jitter) - 1e-9 <= pause_s <= interval_s * (1 + jitter) + 1e-9
