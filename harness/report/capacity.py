"""The capacity of arms as tables: the highest load at which each meets its SLO, and every step of the search."""

from dataclasses import dataclass

from harness.errors import UsageError
from harness.report.blocks import Cell, Table
from harness.report.numbers import DASH, interval, significant, unit_of, whole
from harness.results.load import Capacity, CapacityKind, CapacityStep, LoadResult
from harness.results.run import BASELINE, ScenarioResult
from harness.verdicts import slo
from harness.verdicts.capacity import knee, ratio

USUAL = "95"
"""The percentile that is drawn if an objective has no limit of time."""

SUSTAINED, FAILED, UNDECIDED = "sustained", "failed", "undecided"
IS_BASELINE = "the baseline itself"


@dataclass(frozen=True)
class Limit:
    """The limit of time in an objective."""

    percentile: str
    """`95`, `mean` or `max`."""
    limit_ns: float | None = None
    """None if the objective limits errors only."""

    @property
    def name(self) -> str:
        """The percentile as text: `p95`, `mean`."""
        return f"p{self.percentile}" if self.percentile[0].isdigit() else self.percentile


def limit(objective: str) -> Limit:
    """Return the first limit of time in an objective such as "p95 < 150 ms, errors < 0.1 %"; `USUAL` without one."""
    try:
        bounds = slo.parse(objective).latencies
    except UsageError:
        return Limit(USUAL)
    return Limit(bounds[0].name.removeprefix("p"), bounds[0].limit) if bounds else Limit(USUAL)


def level(value: float | None, kind: str) -> str:
    """Return a level of load with its unit: `420/s`, `36 users`."""
    if value is None:
        return DASH
    return f"{significant(value)}/s" if kind == CapacityKind.RATE else f"{whole(value)} user{'' if value == 1 else 's'}"


def found(load: LoadResult, arm: str, kind: str) -> Capacity | None:
    """Return the result of an arm's search of one kind, if there was one."""
    return next((x for x in load.capacities if (x.arm, x.kind) == (arm, kind)), None)


def sustained(load: LoadResult, arm: str, kind: str) -> tuple[Cell, Cell]:
    """Return the highest level that an arm sustains, and its ratio to the baseline's; dashes with the reason if unknown."""
    capacity = found(load, arm, kind)
    if capacity is None:
        return Cell(DASH, "not searched"), Cell(DASH, "not searched")
    return _level_cell(capacity.sustained, capacity), against(load, capacity)


def _level_cell(value: float | None, capacity: Capacity) -> Cell:
    return Cell(level(value, capacity.kind), capacity.reason if value is None else "")


def against(load: LoadResult, capacity: Capacity) -> Cell:
    """Return an arm's capacity ÷ the baseline's with its bounds, or a dash with the reason."""
    base = found(load, BASELINE, capacity.kind)
    if base is None or capacity.arm == BASELINE or not base.sustained or not capacity.sustained:
        return Cell(DASH, IS_BASELINE if capacity.arm == BASELINE else "not known for both arms")
    value, low, high = ratio(base, capacity)
    bounds = interval(low, high)
    return Cell(f"{significant(value)}×", "" if bounds else "no failing level was found for both arms", bounds)


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
    """Return a table per kind with a row per arm: sustained level, failing level, ratio to the baseline's, knee."""
    made = []
    for kind in kinds(result):
        capacities = [x for x in in_order(result) if x.kind == kind]
        objectives = ", or ".join(dict.fromkeys(x.objective for x in capacities))
        head = ("arm", "sustains", "fails at", "÷ the baseline's", "knee", "steps")
        rows = tuple(_row(result.load, x) for x in capacities if result.load)
        made.append(Table(f"Highest {kind} at which {objectives}", head, rows))
    return made


def _row(load: LoadResult, capacity: Capacity) -> tuple[Cell, ...]:
    bend = knee(capacity.steps)
    return (
        Cell(capacity.arm),
        _level_cell(capacity.sustained, capacity),
        _level_cell(capacity.failed_at, capacity),
        against(load, capacity),
        Cell(DASH, "no step has a response time") if bend is None else Cell(level(bend.level, capacity.kind)),
        Cell(whole(len(capacity.steps))),
    )


def reasons(result: ScenarioResult) -> list[tuple[str, str]]:
    """Return why each search ended: the arm and kind, and the reason."""
    return [(f"{x.arm}, {x.kind}", x.reason) for x in in_order(result)]


def steps(result: ScenarioResult) -> Table | None:
    """Return every step of every search, in the order they were tried; None without any."""
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
    head = ("capacity", "arm", "outcome", "level", "throughput per second", f"{limited.name}, {unit.name}", "operations", "errors")
    return Table("Every step of the search", head, rows, names=3)


def outcome(step: CapacityStep) -> str:
    """Return the outcome of a step: `SUSTAINED`, `FAILED` or `UNDECIDED`."""
    if step.invalid is not None or step.sustained is None:
        return UNDECIDED
    return SUSTAINED if step.sustained else FAILED
