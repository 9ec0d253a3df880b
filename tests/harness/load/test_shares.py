"""Blocks of several processes at once as those of one load."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.load.protocol import LatencyHistograms, LoadBlock
from harness.load.shares import together
from harness.stats.histogram import Histogram, HistogramWire


def wire(times_ns: list[int]) -> HistogramWire:
    """Return a histogram of these times."""
    histogram = Histogram()
    for ns in times_ns:
        histogram.record(ns)
    return histogram.to_wire()


def block(
    times_ns: list[int], cycle: int = 0, arm: str = "baseline", position: int = 0, errors: dict[str, int] | None = None
) -> LoadBlock:
    """Return a block in which operations took so long."""
    number = len(times_ns)
    times = LatencyHistograms(wire(times_ns), wire(times_ns), wire([0] * number), number, errors or {}, 1, 0, number + 1, number)
    return LoadBlock("adding", arm, cycle, position, 2, 10**9, {"sum": times}, wire([5]), 40.0)


@given(st.lists(st.integers(0, 10**10), min_size=1), st.integers(1, 5))
def test_shares_of_one_load_add_up_to_it(times_ns: list[int], workers: int) -> None:
    """However many processes share the operations, the block is the one that a single process would have had."""
    parts = [block(times_ns[worker::workers]) for worker in range(workers)]
    (whole,) = together([[part] for part in parts])
    single = block(times_ns).groups["sum"]
    assert whole.groups["sum"].response == single.response
    assert whole.groups["sum"].operations == single.operations
    assert whole.groups["sum"].dropped == workers
    assert whole.users == 2 * workers
    assert whole.measured_ns == 10**9


def test_each_arms_block_of_a_cycle_is_one() -> None:
    """Also where processes take arms in different orders, and where one of them was lost on the way."""
    first = [block([1], 0, "baseline", 0), block([2], 0, "optimised", 1), block([3], 1, "optimised", 0)]
    second = [block([4], 0, "optimised", 0), block([5], 0, "baseline", 1)]
    found = {(b.cycle, b.arm): b.groups["sum"].operations for b in together([first, second])}
    assert found == {(0, "baseline"): 2, (0, "optimised"): 2, (1, "optimised"): 1}


def test_errors_and_the_busiest_generator_are_kept() -> None:
    """Errors add up by message; a generator that is full stays visible beside an idle one."""
    idle = block([1], errors={"refused": 2})
    (whole,) = together([[idle], [LoadBlock("adding", "baseline", 0, 0, 2, 10**9, idle.groups, idle.lateness, 99.0)]])
    assert whole.groups["sum"].errors == {"refused": 4}
    assert whole.cpu_percent == 99.0


def test_nothing_is_nothing() -> None:
    """Without processes there are no blocks."""
    assert together([]) == []
