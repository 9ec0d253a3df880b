"""Blocks of load combined and added up."""

import csv
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from harness.load.block import LatencyHistograms, LoadBlock
from harness.load.totals import combined, histogram_rows
from harness.results.store import HISTOGRAM_COLUMNS, write_histograms
from harness.stats.histogram import Histogram, HistogramWire
from tests.harness.load.blocks import MS, cycles


def test_histograms_are_written_per_block(tmp_path: Path) -> None:
    """There is one row per bucket, and counts add up to the operations."""
    file = tmp_path / "samples" / "adding.csv"
    write_histograms(histogram_rows({1: cycles(2, 4, 1)}, "adding"), file)
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert tuple(rows[0]) == HISTOGRAM_COLUMNS
    assert {row["kind"] for row in rows} == {"response", "service", "queue"}
    mine = [r for r in rows if (r["cycle"], r["arm"], r["group"], r["kind"]) == ("1", "optimised", "sum", "response")]
    assert sum(int(r["count"]) for r in mine) == 100
    assert all(0.99 * MS < int(r["lower_ns"]) < 1.2 * MS for r in mine)


def wire_ns(times_ns: list[int]) -> HistogramWire:
    """Return a histogram of times."""
    histogram = Histogram()
    for ns in times_ns:
        histogram.record(ns)
    return histogram.to_wire()


def worker_block(
    times_ns: list[int], cycle: int = 0, arm: str = "baseline", position: int = 0, errors: dict[str, int] | None = None
) -> LoadBlock:
    """Return a block in which operations took these times."""
    number = len(times_ns)
    times = LatencyHistograms(
        wire_ns(times_ns), wire_ns(times_ns), wire_ns([0] * number), number, errors or {}, 1, 0, number + 1, number
    )
    return LoadBlock("adding", arm, cycle, position, 2, 10**9, {"sum": times}, wire_ns([5]), 40.0)


@given(st.lists(st.integers(0, 10**10), min_size=1), st.integers(1, 5))
def test_workers_blocks_add_up_to_the_load(times_ns: list[int], workers: int) -> None:
    """The combined block equals that of a single worker, whatever the number of workers."""
    parts = [worker_block(times_ns[worker::workers]) for worker in range(workers)]
    (whole,) = combined([[part] for part in parts])
    single = worker_block(times_ns).groups["sum"]
    assert whole.groups["sum"].response == single.response
    assert whole.groups["sum"].operations == single.operations
    assert whole.groups["sum"].dropped == workers
    assert whole.users == 2 * workers
    assert whole.measured_ns == 10**9


def test_each_arm_of_a_cycle_has_one_combined_block() -> None:
    """This holds if workers have arms in different orders, and if one of them ended early."""
    first = [worker_block([1], 0, "baseline", 0), worker_block([2], 0, "optimised", 1), worker_block([3], 1, "optimised", 0)]
    second = [worker_block([4], 0, "optimised", 0), worker_block([5], 0, "baseline", 1)]
    found = {(b.cycle, b.arm): b.groups["sum"].operations for b in combined([first, second])}
    assert found == {(0, "baseline"): 2, (0, "optimised"): 2, (1, "optimised"): 1}


def test_errors_and_the_busiest_generator_are_kept() -> None:
    """Errors add up by message; a busy generator is not hidden by an idle one."""
    idle = worker_block([1], errors={"refused": 2})
    (whole,) = combined([[idle], [LoadBlock("adding", "baseline", 0, 0, 2, 10**9, idle.groups, idle.lateness, 99.0)]])
    assert whole.groups["sum"].errors == {"refused": 4}
    assert whole.cpu_percent == 99.0


def test_without_workers_there_are_no_blocks() -> None:
    """The combination of no workers is empty."""
    assert combined([]) == []
