"""What many users at once met, in words and as tables: for the page, for Markdown and for the terminal."""

from __future__ import annotations

from dataclasses import dataclass

from harness.report import capacity
from harness.report.numbers import DASH, Unit, interval, significant, times, unit_of, whole
from harness.report.order import groups_of
from harness.report.promises import places
from harness.report.tables import Cell, Table, too_few
from harness.results.load import ALL, LatencySummary, LoadedArm, LoadRatio, LoadResult
from harness.results.run import BASELINE, Run, ScenarioResult
from harness.stats.intervals import QUANTILES

READ = (
    "Response time counts from the moment an operation was due, so that waiting behind a slow one is in it; service time from the "
    "moment it began; queue time lies between. Operations that were not finished when waiting for them ended are censored: they "
    "count with the time they had waited, at least which they take. Shed ones never began, since too many were under way. Errors "
    "are in no times. An arm that does not hold the rate has no times here, since they would say nothing but how long the run was. "
    "Brackets are 95 % intervals, bootstrapped over processes and the cycles of blocks inside them."
)
OVERLOADED = "does not hold this rate"
INVALID = "Nothing may be concluded from this run under load"
INVALID_CAPTION = "nothing may be concluded"
TIMED = {"50", "99"}
"""The percentiles shown of service time, and in summaries."""


@dataclass(frozen=True)
class LoadPart:
    """One scenario under load: what it is called on a page, its place among the run's results, and what was found."""

    heading: str
    number: int
    result: ScenarioResult
    load: LoadResult


@dataclass(frozen=True)
class Trouble:
    """Something that must be read before any figure: its short name, and the reason. `bad` where figures cannot be used at all."""

    name: str
    message: str
    bad: bool = False


def parts(run: Run) -> list[LoadPart]:
    """Return every scenario of a run that was under load."""
    each = enumerate(zip(run.scenarios, places(run), strict=True))
    return [
        LoadPart(", ".join(text for text in (result.name, where) if text), number, result, result.load)
        for number, (result, where) in each
        if result.load is not None
    ]


def planned(load: LoadResult) -> str:
    """Return what was asked of every arm: `open model, 200 a second; blocks of 5 s in turn, each after 1 s of warm-up`."""
    said = f"{' and '.join(load.models)} model, {load.arrivals}"
    if not load.arms:
        return said
    return f"{said}; arms took turns in blocks of {load.block_s:g} s, each after {load.warm_up_s:g} s of warm-up"


def arms_of(result: ScenarioResult) -> list[str]:
    """Return the arms that were under load, in the scenario's order."""
    load = result.load
    if load is None:
        return []
    met = dict.fromkeys([*(x.arm for x in load.arms), *(x.arm for x in load.capacities)])
    listed = [arm.name for arm in result.arms if arm.name in met]
    return [*listed, *(name for name in met if name not in listed)]


def groups(result: ScenarioResult) -> list[str]:
    """Return the groups that have figures, `ALL` first; without it where it would say the same as the only other one."""
    found = groups_of(result, result.load.arms if result.load else [])
    others = [group for group in found if group != ALL]
    return others if len(others) == 1 or ALL not in found else [ALL, *others]


def row_of(load: LoadResult, arm: str, group: str) -> LoadedArm | None:
    """Return an arm's figures of one group, where there are some."""
    return next((x for x in load.arms if (x.arm, x.group) == (arm, group)), None)


def overloaded(load: LoadResult, arm: str, group: str = ALL) -> str | None:
    """Return why an arm's times of a group say nothing: it does not hold the rate, in that group or over all of them."""
    rows = [row_of(load, arm, group), row_of(load, arm, ALL)]
    return next((row.overloaded for row in rows if row is not None and row.overloaded), None)


def troubles(result: ScenarioResult) -> list[Trouble]:
    """Return what makes figures unusable or incomplete: an invalid run, arms that do not hold the rate, lost workers."""
    load = result.load
    if load is None:
        return []
    found = [Trouble(INVALID, load.invalid, bad=True)] if load.invalid else []
    for arm in arms_of(result):
        whole_run, of_groups = overloaded(load, arm), {group: overloaded(load, arm, group) for group in groups(result)}
        said = whole_run or "; ".join(f"{group}: {reason}" for group, reason in of_groups.items() if reason)
        if said:
            found.append(Trouble(f"{arm} {OVERLOADED}", said))
    return [*found, *(Trouble("Lost", lost) for lost in load.lost_workers)]


def summary(result: ScenarioResult) -> Table | None:
    """Return a row an arm over all operations: rate, errors, the middle and the tail, against the baseline, and what it holds."""
    load = result.load
    if load is None or not arms_of(result):
        return None
    labels = [label for label in QUANTILES if label in TIMED]
    head, rows = ["arm"], {arm: [Cell(arm)] for arm in arms_of(result)}
    if load.arms:
        group = groups(result)[0]
        unit = _unit(load, group)
        head += [
            "this rate",
            "offered a second",
            "achieved a second",
            "errors",
            *(f"response p{label}, {unit.name}" for label in labels),
        ]
        head += [f"baseline ÷ arm, p{label}" for label in labels]
        for arm, cells in rows.items():
            row = row_of(load, arm, group)
            cells.extend([*_rates(load, row), *(_time(load, row, "response", label, unit, bounds=False) for label in labels)])
            cells.extend(ratio_cell(load, arm, group, label) for label in labels)
    for kind in capacity.kinds(result):
        head += [f"{kind}, held", "× the baseline's"]
        for arm, cells in rows.items():
            cells.extend(capacity.held(load, arm, kind))
    caption = _caption(load, groups(result)[0]) if load.arms else "How much each arm holds"
    return Table(caption, tuple(head), tuple(tuple(cells) for cells in rows.values()))


def _rates(load: LoadResult, row: LoadedArm | None) -> list[Cell]:
    if row is None:
        return [Cell(DASH, "not under load")] * 4
    offered = Cell(DASH, "the closed model offers no rate") if row.offered_per_s is None else Cell(significant(row.offered_per_s))
    return [_holds(load, row), offered, Cell(significant(row.achieved_per_s)), Cell(whole(row.errors))]


def arms(result: ScenarioResult) -> list[Table]:
    """Return a table a group of operations: a row a figure, arms side by side."""
    load = result.load
    return [] if load is None else [_group_table(load, arms_of(result), group) for group in groups(result)]


def _group_table(load: LoadResult, names: list[str], group: str) -> Table:
    found = {arm: row for arm in names if (row := row_of(load, arm, group)) is not None}
    is_open = any(row.offered_per_s is not None for row in found.values())
    unit = _unit(load, group)
    rows: list[tuple[Cell, ...]] = []
    if is_open or any(overloaded(load, arm, group) for arm in found):
        rows.append((Cell("this rate"), *(_holds(load, row) for row in found.values())))
    counted = {"offered a second": [x.offered_per_s for x in found.values()]} if is_open else {}
    counted["achieved a second"] = [x.achieved_per_s for x in found.values()]
    rows += [(Cell(name), *(Cell(DASH if v is None else significant(v)) for v in values)) for name, values in counted.items()]
    for name in ("operations", "errors", *(("dropped", "unfinished") if is_open else ("unfinished",))):
        rows.append((Cell(name), *(Cell(whole(getattr(row, name))) for row in found.values())))
    wanted = [("response", label) for label in (*QUANTILES, "max")]
    wanted += [("service", label) for label in QUANTILES if label in TIMED] + [("queue", "99")] if is_open else []
    for kind, label in wanted:
        cells = (_time(load, row, kind, label, unit) for row in found.values())
        rows.append((Cell(f"{kind} {label if label == 'max' else f'p{label}'}"), *cells))
    return Table(f"{_caption(load, group)}, times in {unit.name}", ("", *found), tuple(rows))


def _holds(load: LoadResult, row: LoadedArm) -> Cell:
    reason = overloaded(load, row.arm, row.group)
    return Cell("not held", reason) if reason else Cell("held")


def _time(load: LoadResult, row: LoadedArm | None, kind: str, label: str, unit: Unit, *, bounds: bool = True) -> Cell:
    """Return one figure of a distribution with its interval; a dash with the reason where there is none, or none that counts."""
    if row is None:
        return Cell(DASH, "not under load")
    reason = overloaded(load, row.arm, row.group)
    if reason:
        return Cell(DASH, f"{OVERLOADED}: {reason}")
    times_: LatencySummary = getattr(row, kind)
    if label == "max":
        return Cell(unit.write(times_.max_ns), "" if times_.max_ns is not None else "no operation was finished")
    value = times_.percentiles_ns.get(label)
    if value is None:
        return Cell(DASH, too_few(times_.operations, QUANTILES[label]))
    within = times_.intervals_ns.get(label)
    if not bounds or within is None:
        return Cell(unit.write(value), "an interval needs more cycles of blocks" if bounds else "")
    return Cell(f"{unit.write(value)} [{unit.write(within[0])}, {unit.write(within[1])}]")


def _unit(load: LoadResult, group: str) -> Unit:
    held = [x for x in load.arms if x.group == group and not overloaded(load, x.arm, group)]
    return unit_of(value for x in held for value in (x.response.percentiles_ns.get("50"), x.response.mean_ns))


def _caption(load: LoadResult, group: str) -> str:
    said = group[0].upper() + group[1:] if group == ALL else group
    return f"{said}: {INVALID_CAPTION}" if load.invalid else said


def ratios(result: ScenarioResult) -> Table | None:
    """Return how many times shorter response times are than the baseline's, by percentile; None where nothing may be compared."""
    load = result.load
    if load is None or load.invalid or not load.ratios:
        return None
    names = [arm for arm in arms_of(result) if arm != BASELINE]
    rows = []
    for group in groups(result):
        for label in (q for q in QUANTILES if any((x.group, x.percentile) == (group, q) for x in load.ratios)):
            cells = [ratio_cell(load, arm, group, label) for arm in names]
            if any(cell.text != DASH for cell in cells):
                rows.append((Cell(group), Cell(f"p{label}"), *cells))
    if not rows:
        return None
    return Table("Response time, baseline ÷ arm: above 1 is faster", ("operations", "percentile", *names), tuple(rows), names=2)


def ratio_of(load: LoadResult, arm: str, group: str, label: str) -> LoadRatio | None:
    """Return an arm's ratio at a percentile; None where there is none, or where either side does not hold the rate."""
    if load.invalid or overloaded(load, arm, group) or overloaded(load, BASELINE, group):
        return None
    return next((x for x in load.ratios if (x.arm, x.group, x.percentile) == (arm, group, label)), None)


def ratio_cell(load: LoadResult, arm: str, group: str, label: str) -> Cell:
    """Return a ratio with its interval, or a dash with the reason."""
    found = ratio_of(load, arm, group, label)
    if found is None:
        return Cell(DASH, _no_ratio(load, arm, group))
    bounds = "" if found.low is None else f" {interval(found.low, found.high)}"
    return Cell(
        times(found.ratio) + bounds, f"from {found.cycles} cycles of blocks" if bounds else "too few cycles for an interval"
    )


def _no_ratio(load: LoadResult, arm: str, group: str) -> str:
    if arm == BASELINE:
        return "it is what others are compared with"
    if load.invalid:
        return load.invalid
    for name in (arm, BASELINE):
        if overloaded(load, name, group):
            return f"{name} {OVERLOADED}"
    return "too few operations support this percentile in both"


def errors(result: ScenarioResult) -> Table | None:
    """Return what failed, the most frequent first: a row an arm, group and message; None where nothing did."""
    load = result.load
    if load is None:
        return None
    rows = [x for x in load.arms if x.group != ALL and x.error_messages] or load.arms
    found = [(number, x.arm, x.group, message) for x in rows for message, number in x.error_messages.items()]
    if not found:
        return None
    found.sort(key=lambda row: -row[0])
    cells = tuple((Cell(arm), Cell(group), Cell(message), Cell(whole(number))) for number, arm, group, message in found)
    return Table("Operations that failed", ("arm", "operations", "message", "how many"), cells, names=3)
