"""What capacity searches say of arms: where more load stops bringing more work, and how many times the baseline's an arm's is."""

from __future__ import annotations

from collections.abc import Iterable

from harness.errors import NotMeasurableError
from harness.results.load import Capacity, CapacityStep
from harness.results.run import BASELINE, ScenarioResult
from harness.verdicts.promise import Estimate, Measure

MEAN, MEDIAN = "mean", "50"
"""The labels under which a step's figures hold its mean and its median response time."""


def times_the_capacity(kind: str) -> Measure:
    """How many times the baseline's capacity an arm has: the most both sustain, of one kind (`RATE`, `USERS`).

    The bounds are those of `ratio`.
    """

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        before, after = (_capacity(result, name, kind) for name in (BASELINE, arm))
        because = f"{_level(before)} → {_level(after)}, {after.objective}"
        for capacity in (before, after):
            _make_sure_it_holds(capacity)
        times, low, high = ratio(before, after)
        return Estimate(times, low, high, note=because)

    return measure


def ratio(base: Capacity, other: Capacity) -> tuple[float, float | None, float | None]:
    """Return how many times the one's capacity the other is, and between what that must lie; both have to hold some level.

    Each lies between the level that held and the one that failed, so the ratio does between the outer quotients of these; there is
    no bound where no level failed.
    """
    assert base.sustained, f"{base.arm} holds nothing to compare with"
    assert other.sustained, f"{other.arm} holds nothing to compare"
    low = other.sustained / base.failed_at if base.failed_at is not None else None
    high = other.failed_at / base.sustained if other.failed_at is not None else None
    return other.sustained / base.sustained, low, high


def knee(steps: Iterable[CapacityStep]) -> CapacityStep | None:
    """Return the step of the highest power, throughput ÷ response time (Kleinrock 1979); None without any figures.

    The response time is the mean, or the median where no step has a mean.

    Below it more load brings more work than waiting, beyond it more waiting than work. Steps at which the generator was the limit
    say nothing.
    """
    known = [s for s in steps if s.invalid is None]
    label = MEAN if any(s.percentiles_ns.get(MEAN) for s in known) else MEDIAN
    powers = [(s.achieved_per_s / ns, s) for s in known if (ns := s.percentiles_ns.get(label))]
    return max(powers, key=lambda power: power[0])[1] if powers else None


def _capacity(result: ScenarioResult, arm: str, kind: str) -> Capacity:
    load = result.load
    searched = [] if load is None else [c for c in load.capacities if c.kind == kind]
    if not searched:
        raise NotMeasurableError(f"needs `harness capacity {result.name} --slo …`")
    found = next((c for c in searched if c.arm == arm), None)
    if found is None:
        broken = next((a.cannot_run for a in result.arms if a.name == arm and a.cannot_run), None)
        raise NotMeasurableError(f"cannot run as written: {broken}" if broken else f"{arm}'s {kind} were not searched")
    return found


def _make_sure_it_holds(capacity: Capacity) -> None:
    if not capacity.sustained:
        raise NotMeasurableError(f"{capacity.arm} holds no number of {capacity.kind} that was tried: {capacity.reason}")


def _level(capacity: Capacity) -> str:
    at_least = "at least " if capacity.failed_at is None and capacity.sustained else ""
    held = "none" if not capacity.sustained else f"{capacity.sustained:g}"
    return f"{at_least}{held} {capacity.kind}"
