"""Measures of capacity: an arm's capacity relative to the baseline's, and the knee of throughput and response time."""

from collections.abc import Iterable

from harness.errors import NotMeasurableError
from harness.results.load import Capacity, CapacityKind, CapacityStep
from harness.results.run import BASELINE, ScenarioResult
from harness.stats.intervals import MEDIAN
from harness.verdicts.measures import as_measure
from harness.verdicts.promise import Estimate

MEAN = "mean"
"""The label of the mean response time in a step's figures."""
CLOSE = 1.15
"""The failed level ÷ the sustained one above which a capacity is stated as a range."""


@as_measure
def times_the_capacity(result: ScenarioResult, arm: str, kind: str) -> Estimate:
    """Measure an arm's capacity ÷ the baseline's, of one `CapacityKind`, with the bounds of `ratio`."""
    before, after = (_capacity(result, name, kind) for name in (BASELINE, arm))
    times, low, high = ratio(before, after)
    one_sided = f", at least {low:.3g}×" if high is None and low is not None else ""
    one_sided += f", at most {high:.3g}×" if low is None and high is not None else ""
    return Estimate(times, low, high, note=f"{_level(before)} → {_level(after)}, {after.objective}{one_sided}")


def ratio(base: Capacity, other: Capacity) -> tuple[float, float | None, float | None]:
    """Return the ratio of two capacities, other ÷ base, and its bounds; both need a sustained level.

    Each lies between its sustained and its failed level: the bounds are the outer quotients, None where no level failed.
    """
    assert base.sustained, f"{base.arm} sustains no level"
    assert other.sustained, f"{other.arm} sustains no level"
    low = other.sustained / base.failed_at if base.failed_at is not None else None
    high = other.failed_at / base.sustained if other.failed_at is not None else None
    return other.sustained / base.sustained, low, high


def knee(steps: Iterable[CapacityStep]) -> CapacityStep | None:
    """Return the step with the highest power, throughput ÷ mean or else median response time (Kleinrock 1979); None without any.

    Above this knee more load adds more waiting than throughput. Steps in which the generator was the limit do not count.
    """
    known = [s for s in steps if s.invalid is None]
    label = MEAN if any(s.percentiles_ns.get(MEAN) for s in known) else MEDIAN
    powers = [(s.achieved_per_s / ns, s) for s in known if (ns := s.percentiles_ns.get(label))]
    return max(powers, key=lambda power: power[0])[1] if powers else None


def _capacity(result: ScenarioResult, arm: str, kind: str) -> Capacity:
    searched = {} if result.load is None else {c.arm: c for c in result.load.capacities if c.kind == kind}
    if not searched:
        raise NotMeasurableError(result.load_left_out or f"needs `harness capacity {result.name} --slo …`")
    if arm not in searched:
        broken = next((a.cannot_run for a in result.arms if a.name == arm and a.cannot_run), None)
        unknown = f"the capacity of {arm} in {kind} was not searched"
        raise NotMeasurableError(f"cannot run as written: {broken}" if broken else unknown)
    found = searched[arm]
    if not found.steps and found.failed_at is None and not found.sustained:
        raise NotMeasurableError(found.reason)
    if not found.sustained:
        raise NotMeasurableError(f"{arm} sustains no level of {kind}: {found.reason}")
    return found


def _level(capacity: Capacity) -> str:
    """Return the sustained level, or the range in which the highest one lies where the search ended early."""
    assert capacity.sustained, f"{capacity.arm} sustains no level"
    if capacity.failed_at is None:
        return f"at least {capacity.sustained:g} {capacity.kind}"
    is_rough = capacity.failed_at / capacity.sustained > CLOSE and not (
        capacity.kind == CapacityKind.USERS and capacity.failed_at - capacity.sustained <= 1
    )
    return f"{capacity.sustained:g}{f'–{capacity.failed_at:g}' if is_rough else ''} {capacity.kind}"
