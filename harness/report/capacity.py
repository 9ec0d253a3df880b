"""The capacity of arms as tables: the highest load at which each meets its SLO, and every step of the search."""

import math
from itertools import groupby

from harness.errors import UsageError
from harness.language import gettext, mark, word
from harness.report.blocks import Cell, Paragraph, Table, cells
from harness.report.numbers import DASH, significant, times, unit_of, whole
from harness.report.tables import arms_in_order, named_cells, with_interval
from harness.results.load import Capacity, CapacityKind, CapacityStep, LoadResult, LoadState
from harness.results.names import shortened, visible
from harness.results.run import BASELINE, ScenarioResult
from harness.verdicts import slo
from harness.verdicts.capacity import knee, ratio

IS_BASELINE = mark("the baseline itself")
MOST_REASON = 160
"""The most characters of a reason that are shown."""
NO_LOAD = LoadResult([], "", 0.0, 0.0)
"""The load of a scenario that was not under load."""


def limit(objective: str) -> slo.Bound:
    """Return the first limit of time in an objective such as "p95 < 150 ms, errors < 0.1 %"; without one, no limit of p95."""
    try:
        bounds = slo.parse(objective).latencies
    except UsageError:
        bounds = ()
    return bounds[0] if bounds else slo.Bound("p95", math.inf)


def time_ns(step: CapacityStep, limited: slo.Bound) -> float | None:
    """Return the response time of a step that a bound limits."""
    return step.percentiles_ns.get(limited.name.removeprefix("p"))


def level(value: float | None, kind: str) -> str:
    """Return a level of load with its unit: `420/s`, `36 users`."""
    if value is None:
        return DASH
    if kind == CapacityKind.RATE:
        return f"{significant(value)}/s"
    return gettext("1 user") if value == 1 else gettext("{level} users", level=whole(value))


def found(load: LoadResult, arm: str, kind: str) -> Capacity | None:
    """Return the result of an arm's search of one kind, if there was one."""
    return next((x for x in load.capacities if (x.arm, x.kind) == (arm, kind)), None)


def level_cell(capacity: Capacity | None, value: float | None) -> Cell:
    """Return a level of a search, or a dash with the reason."""
    if capacity is None:
        return Cell(DASH, gettext("not searched"))
    return Cell(level(value, capacity.kind), capacity.reason if value is None else "")


def against(load: LoadResult, capacity: Capacity | None) -> Cell:
    """Return an arm's capacity ÷ the baseline's with its bounds, or a dash with the reason."""
    if capacity is None:
        return Cell(DASH, gettext("not searched"))
    base = found(load, BASELINE, capacity.kind)
    if base is None or capacity.arm == BASELINE or not base.sustained or not capacity.sustained:
        return Cell(DASH, gettext(IS_BASELINE) if capacity.arm == BASELINE else gettext("not known for both arms"))
    value, low, high = ratio(base, capacity)
    return with_interval(times(value), low, high, mark("no failing level was found for both arms"))


def kinds(result: ScenarioResult) -> list[str]:
    """Return the kinds of capacity that were searched, in the order of the search."""
    return list(dict.fromkeys(x.kind for x in (result.load or NO_LOAD).capacities))


def in_order(result: ScenarioResult) -> list[Capacity]:
    """Return the capacities by kind, arms in the scenario's order."""
    found = (result.load or NO_LOAD).capacities
    order, arms = kinds(result), arms_in_order(result, (x.arm for x in found))
    return sorted(found, key=lambda x: (order.index(x.kind), arms.index(x.arm)))


def tables(result: ScenarioResult) -> list[Table]:
    """Return a table per kind with a row per arm: sustained level, the next one that failed and why, ratio to the baseline's."""
    head = (
        "arm",
        mark("sustains"),
        mark("÷ the baseline's"),
        mark("fails at"),
        mark("knee"),
        mark("steps"),
        mark("why it fails there"),
    )
    arm_names = named_cells(x.arm for x in in_order(result))
    made = []
    for kind, of_kind in groupby(in_order(result), key=lambda x: x.kind):
        capacities = list(of_kind)
        objectives = gettext(", or ").join(dict.fromkeys(x.objective for x in capacities))
        rows = []
        for x in capacities:
            levels, bend = [level_cell(x, value) for value in (x.sustained, x.failed_at)], knee(x.steps)
            at_knee = Cell(DASH, gettext("no step has a response time")) if bend is None else level(bend.level, x.kind)
            ratio = against(result.load or NO_LOAD, x)
            rows.append(cells(arm_names[x.arm], levels[0], ratio, levels[1], at_knee, whole(len(x.steps)), reason(x)))
        made.append(
            Table(
                gettext("Highest {kind} within {objectives}", kind=word(kind), objectives=objectives),
                head,
                tuple(rows),
                wide=("knee",),
                texts=head[-1:],
            )
        )
    return made


def reason(capacity: Capacity) -> str:
    """Return why the next level failed; without such a step, why the search ended."""
    failed = [s for s in capacity.steps if s.sustained is False and s.level == capacity.failed_at]
    text = (failed[-1].failing or failed[-1].reason) if failed else capacity.reason
    return shortened(visible(text), MOST_REASON)


def reasons(result: ScenarioResult) -> list[Paragraph]:
    """Return why each search ended."""
    return [Paragraph(x.reason, f"{x.arm}, {word(x.kind)}:", quiet=True) for x in in_order(result)]


def steps(result: ScenarioResult) -> Table | None:
    """Return every step of every search, in the order they were tried; None without any."""
    tried = [(x, step) for x in in_order(result) for step in x.steps]
    if not tried:
        return None
    limited = limit(tried[0][0].objective)
    times_ns = [time_ns(step, limited) for _, step in tried]
    unit = unit_of(times_ns)
    arm_names = named_cells(x.arm for x, _ in tried)
    rows = []
    for (x, step), ns in zip(tried, times_ns, strict=True):
        where = (
            word(x.kind),
            arm_names[x.arm],
            Cell(word(outcome(step)), step.invalid or step.reason),
            level(step.level, x.kind),
        )
        rows.append(cells(*where, significant(step.achieved_per_s), unit.write(ns), whole(step.operations), whole(step.errors)))
    head = (
        mark("capacity"),
        "arm",
        mark("outcome"),
        mark("level"),
        mark("throughput per second"),
        f"{limited.name}, {unit.name}",
        "operations",
        mark("errors"),
    )
    return Table(gettext("Every step of the search"), head, tuple(rows), names=3)


def outcome(step: CapacityStep) -> LoadState:
    """Return whether an arm sustained its load in a step of the search."""
    if step.invalid is not None or step.sustained is None:
        return LoadState.UNDECIDED
    return LoadState.SUSTAINED if step.sustained else LoadState.FAILED
