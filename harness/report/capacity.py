"""How much load arms hold, in words and as tables: what was searched, step by step, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import UsageError
from harness.report.numbers import DASH, interval, significant, unit_of, whole
from harness.report.tables import Cell, Table
from harness.results.load import Capacity, CapacityKind, CapacityStep, LoadResult
from harness.results.run import BASELINE, ScenarioResult
from harness.verdicts import slo
from harness.verdicts.capacity import knee, ratio

USUAL = "95"
"""The percentile that is drawn where an objective bounds no time."""

HELD, FAILED, UNDECIDED = "holds", "fails", "undecided"


@dataclass(frozen=True)
class Limit:
    """The time an objective allows: `percentile` is "95", "mean" or "max", None allowed where it speaks of errors only."""

    percentile: str
    limit_ns: float | None = None

    @property
    def name(self) -> str:
        """The percentile as it is written: `p95`, `mean`."""
        return f"p{self.percentile}" if self.percentile[0].isdigit() else self.percentile


def limit(objective: str) -> Limit:
    """Return the first time that an objective such as "p95 < 150 ms, errors < 0.1 %" bounds; `USUAL` without one to be read."""
    try:
        bounds = slo.parse(objective).latencies
    except UsageError:
        return Limit(USUAL)
    return Limit(bounds[0].name.removeprefix("p"), bounds[0].limit) if bounds else Limit(USUAL)


def level(value: float | None, kind: str) -> str:
    """Return a level with its unit: `420/s`, `36 users`."""
    if value is None:
        return DASH
    return f"{significant(value)}/s" if kind == CapacityKind.RATE else f"{whole(value)} user{'' if value == 1 else 's'}"


def found(load: LoadResult, arm: str, kind: str) -> Capacity | None:
    """Return what the search of one kind found for an arm, where there was one."""
    return next((x for x in load.capacities if (x.arm, x.kind) == (arm, kind)), None)


def held(load: LoadResult, arm: str, kind: str) -> list[Cell]:
    """Return the highest level that an arm held, and how many times the baseline's it is; dashes with the reason where unknown."""
    capacity = found(load, arm, kind)
    if capacity is None:
        return [Cell(DASH, "not searched")] * 2
    return [Cell(level(capacity.sustained, kind), capacity.reason if capacity.sustained is None else ""), against(load, capacity)]


def against(load: LoadResult, capacity: Capacity) -> Cell:
    """Return how many times the baseline's an arm's capacity is, with its bounds, or a dash with the reason."""
    base = found(load, BASELINE, capacity.kind)
    if base is None or capacity.arm == BASELINE or not base.sustained or not capacity.sustained:
        return Cell(DASH, "it is what others are compared with" if capacity.arm == BASELINE else "not known for both")
    value, low, high = ratio(base, capacity)
    within = "" if low is None or high is None else f" {interval(low, high)}"
    return Cell(f"{significant(value)}×{within}", "" if within else "a level that fails was not found for both")


def in_order(result: ScenarioResult) -> list[Capacity]:
    """Return the capacities by kind, arms in the scenario's order."""
    load = result.load
    if load is None:
        return []
    order = kinds(result)
    arms = {arm.name: place for place, arm in enumerate(result.arms)}
    return sorted(load.capacities, key=lambda x: (order.index(x.kind), arms.get(x.arm, len(arms))))


def kinds(result: ScenarioResult) -> list[str]:
    """Return the kinds of capacity that were searched, in the order of the search."""
    return list(dict.fromkeys(x.kind for x in result.load.capacities)) if result.load else []


def tables(result: ScenarioResult) -> list[Table]:
    """Return a table a kind and a row an arm: the level that held, the one that failed, how many times the baseline's, the knee."""
    return [_table(result.load, [x for x in in_order(result) if x.kind == kind]) for kind in kinds(result) if result.load]


def _table(load: LoadResult, capacities: Sequence[Capacity]) -> Table:
    rows = []
    for capacity in capacities:
        bend = knee(capacity.steps)
        rows.append(
            (
                Cell(capacity.arm),
                Cell(level(capacity.sustained, capacity.kind), capacity.reason if capacity.sustained is None else ""),
                Cell(level(capacity.failed_at, capacity.kind), capacity.reason if capacity.failed_at is None else ""),
                against(load, capacity),
                Cell(DASH, "no step has a response time") if bend is None else Cell(level(bend.level, capacity.kind)),
                Cell(whole(len(capacity.steps))),
            )
        )
    objectives = ", or ".join(dict.fromkeys(x.objective for x in capacities))
    head = ("arm", "holds", "fails at", "× the baseline's", "knee", "steps")
    return Table(f"The most {capacities[0].kind} at which {objectives}", head, tuple(rows))


def reasons(result: ScenarioResult) -> list[tuple[str, str]]:
    """Return why each search ended where it did: the arm and kind, and the reason."""
    return [(f"{x.arm}, {x.kind}", x.reason) for x in in_order(result)]


def steps(result: ScenarioResult) -> Table | None:
    """Return every step of every search, in the order it was tried."""
    capacities = [x for x in in_order(result) if x.steps]
    if not capacities:
        return None
    limited = limit(capacities[0].objective)
    unit = unit_of(step.percentiles_ns.get(limited.percentile) for x in capacities for step in x.steps)
    rows = tuple(
        (
            Cell(x.kind),
            Cell(x.arm),
            Cell(outcome(step), step.invalid or step.reason),
            Cell(level(step.level, x.kind)),
            Cell(significant(step.achieved_per_s)),
            Cell(unit.write(step.percentiles_ns.get(limited.percentile))),
            Cell(whole(step.operations)),
            Cell(whole(step.errors)),
        )
        for x in capacities
        for step in x.steps
    )
    head = ("capacity", "arm", "outcome", "level", "achieved a second", f"{limited.name}, {unit.name}", "operations", "errors")
    return Table("Every step of the search, in its order", head, rows, names=3)


def outcome(step: CapacityStep) -> str:
    """Return what became of a step, in a word."""
    if step.invalid is not None or step.sustained is None:
        return UNDECIDED
    return HELD if step.sustained else FAILED
