"""Made-up blocks of load."""

from collections.abc import Mapping, Sequence

from harness.load.block import LatencyHistograms, LoadBlock
from harness.stats.histogram import Histogram, HistogramWire

MS = 1_000_000


def wire(times_ms: Sequence[float]) -> HistogramWire:
    """Return a histogram of times."""
    histogram = Histogram()
    for ms in times_ms:
        histogram.record(int(ms * MS))
    return histogram.to_wire()


def histograms(ms: float, number: int = 100, errors: Mapping[str, int] | None = None, dropped: int = 0) -> LatencyHistograms:
    """Return a group whose operations take about `ms`."""
    times_ms = [ms * (1 + i / 1000) for i in range(number)]
    found = dict(errors or {})
    planned = number + dropped + sum(found.values())
    return LatencyHistograms(wire(times_ms), wire(times_ms), wire([0.0] * number), number, found, dropped, 0, planned, number)


def block(arm: str, cycle: int, groups: Mapping[str, LatencyHistograms], users: int = 0, *, targets: bool = True) -> LoadBlock:
    """Return a block of five seconds."""
    return LoadBlock("adding", arm, cycle, 0, users, 5000 * MS, dict(groups), wire([0.05] * 100), 20.0, targets)


def cycles(number: int, base_ms: float, arm_ms: float, users: int = 0) -> list[LoadBlock]:
    """Return a number of cycles of two arms with two groups, with times that drift slightly."""
    arms = (("baseline", base_ms), ("optimised", arm_ms))
    return [
        block(arm, c, {"sum": histograms(ms * (1 + c / 100)), "more": histograms(2 * ms)}, users)
        for c in range(number)
        for arm, ms in arms
    ]


def one_group_block(
    times_ms: Sequence[float],
    *,
    completed: int | None = None,
    dropped: int = 0,
    unfinished: int = 0,
    errors: Mapping[str, int] | None = None,
    users: int = 0,
    cpu_percent: float = 20.0,
    late_ms: float = 0.05,
    targets: bool = True,
    own_percent: float = 0.0,
    warm_up: int = 0,
    warm_up_errors: Mapping[str, int] | None = None,
) -> LoadBlock:
    """Return a block of five seconds with one group."""
    failed = dict(errors or {})
    operations = len(times_ms)
    found = LatencyHistograms(
        response=wire([*times_ms, *[9_000.0] * unfinished]),
        service=wire(times_ms),
        queue=wire([0.0] * operations),
        operations=operations,
        errors=failed,
        dropped=dropped,
        unfinished=unfinished,
        planned=operations + dropped + unfinished + sum(failed.values()),
        completed=operations if completed is None else completed,
        warm_up=warm_up,
        warm_up_errors=dict(warm_up_errors or {}),
    )
    return LoadBlock(
        "timed", "optimised", 0, 0, users, 5000 * MS, {"read": found}, wire([late_ms] * 100), cpu_percent, targets, own_percent
    )
