"""What capacity searches say of arms: where more load stops bringing more work, and how many times the baseline's an arm's is."""

from __future__ import annotations

from collections.abc import Iterable

from harness.errors import NotMeasurableError
from harness.judge.measures import BASELINE
from harness.judge.verdict import Estimate, Measure
from harness.record import ScenarioResult
from harness.under_load import Capacity, Step

MEAN = "mean"
"""The label under which a step's figures hold its mean response time."""


def times_the_capacity(kind: str) -> Measure:
    """How many times the baseline's capacity an arm has: what both held at most, of one kind (`harness.under_load.RATE`, `USERS`).

    Either capacity lies between the level that held and the lowest above it that failed. The bounds set the one's lower end against
    the other's upper end; there is none where no level failed.
    """

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        before, after = (_capacity(result, name, kind) for name in (BASELINE, arm))
        because = f"{_level(before)} → {_level(after)}, {after.objective}"
        base, held = _held(before), _held(after)
        low = held / before.fails if before.fails is not None else None
        high = after.fails / base if after.fails is not None else None
        return Estimate(held / base, low, high, because=because)

    return measure


def knee(steps: Iterable[Step]) -> Step | None:
    """Return the step of the highest power, throughput ÷ mean response time (Kleinrock 1979); None without any figures.

    Below it more load brings more work than waiting, beyond it more waiting than work. Steps at which the generator was the limit
    say nothing.
    """
    powers = [(s.achieved_per_s / ns, s) for s in steps if s.invalid is None and (ns := s.percentiles_ns.get(MEAN))]
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


def _held(capacity: Capacity) -> float:
    if not capacity.holds:
        raise NotMeasurableError(f"{capacity.arm} holds no number of {capacity.kind} that was tried: {capacity.because}")
    return capacity.holds


def _level(capacity: Capacity) -> str:
    at_least = "at least " if capacity.fails is None and capacity.holds else ""
    held = "none" if not capacity.holds else f"{capacity.holds:g}"
    return f"{at_least}{held} {capacity.kind}"
