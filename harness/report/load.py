"""Response times and throughput under load, as tables and in words."""

from dataclasses import dataclass

from harness.report import capacity
from harness.report.blocks import Block, Cell, Notice, Paragraph, ReportSection, SideBySide, Table, Tone, of
from harness.report.capacity import IS_BASELINE
from harness.report.numbers import DASH, Unit, interval, significant, times, unit_of, whole
from harness.report.promises import locations, named
from harness.report.tables import groups_of, too_few
from harness.results.load import ALL, LatencySummary, LoadedArm, LoadRatio, LoadResult
from harness.results.run import BASELINE, Run, ScenarioResult
from harness.stats.intervals import QUANTILES

READ = (
    "Response time counts from the intended start of an operation, so that it includes waiting behind slow ones; service time "
    "counts from the actual start; queue time is the difference. Operations that were unfinished at the drain timeout are "
    "right-censored: they count with the time they had waited. Dropped operations never started, because the limit of in-flight "
    "operations was reached. Failed operations have no response time. An arm that cannot sustain the rate has no times here: they "
    "would only show the length of the run. Brackets are 95 % confidence intervals, bootstrapped over processes and the cycles of "
    "blocks inside them."
)
OVERLOADED = "cannot sustain this rate"
INVALID = "This load test is invalid: no conclusion can be drawn"
INVALID_CAPTION = "invalid, no conclusion"
TIMED = [label for label in QUANTILES if label in {"50", "99"}]
"""The percentiles shown of service time, and in summaries."""


@dataclass(frozen=True)
class LoadPart:
    """One scenario under load, with its heading and its place among the run's results."""

    heading: str
    number: int
    result: ScenarioResult
    load: LoadResult


def parts(run: Run) -> list[LoadPart]:
    """Return every scenario of a run that was under load."""
    each = enumerate(zip(run.scenarios, locations(run), strict=True))
    return [LoadPart(named(x.name, where), number, x, x.load) for number, (x, where) in each if x.load is not None]


def planned(load: LoadResult) -> str:
    """Return the plan of the load: `open model, 200 per second; arms interleaved in blocks of 5 s, each after 1 s of warm-up`."""
    plan = f"{' and '.join(load.models)} model, {load.arrivals}"
    if not load.arms:
        return plan
    return f"{plan}; arms interleaved in blocks of {load.block_s:g} s, each after {load.warm_up_s:g} s of warm-up"


def arms_of(result: ScenarioResult) -> list[str]:
    """Return the arms that were under load, in the scenario's order."""
    load = result.load
    if load is None:
        return []
    met = dict.fromkeys([*(x.arm for x in load.arms), *(x.arm for x in load.capacities)])
    listed = [arm.name for arm in result.arms if arm.name in met]
    return [*listed, *(name for name in met if name not in listed)]


def groups(result: ScenarioResult) -> list[str]:
    """Return the groups that have figures, `ALL` first; without it if there is only one other group."""
    found = groups_of(result, result.load.arms if result.load else [])
    others = [group for group in found if group != ALL]
    return others if len(others) == 1 or ALL not in found else [ALL, *others]


def row_of(load: LoadResult, arm: str, group: str) -> LoadedArm | None:
    """Return an arm's figures of one group, if there are any."""
    return next((x for x in load.arms if (x.arm, x.group) == (arm, group)), None)


def overloaded(load: LoadResult, arm: str, group: str = ALL) -> str | None:
    """Return why an arm's times of a group must not be used: it cannot sustain the rate, in that group or over all groups."""
    rows = [row_of(load, arm, group), row_of(load, arm, ALL)]
    return next((row.overloaded for row in rows if row is not None and row.overloaded), None)


def notices(result: ScenarioResult) -> list[Notice]:
    """Return what makes figures unusable or incomplete: an invalid run, arms that cannot sustain the rate, crashed workers."""
    load = result.load
    if load is None:
        return []
    found = [Notice("invalid", INVALID, load.invalid, Tone.BAD)] if load.invalid else []
    for arm in arms_of(result):
        by_group = {group: overloaded(load, arm, group) for group in groups(result)}
        reason = overloaded(load, arm) or "; ".join(f"{group}: {reason}" for group, reason in by_group.items() if reason)
        if reason:
            found.append(Notice("note", f"{arm} {OVERLOADED}", reason))
    return [*found, *(Notice("note", "crashed worker", message) for message in load.lost_workers)]


def failures(result: ScenarioResult) -> list[Notice]:
    """Return the failed operations as notices, one per arm, group and message."""
    table = errors(result)
    rows = table.rows if table else ()
    return [Notice("failed", f"{n.text} × {arm.text}, {group.text}", message.text, Tone.BAD) for arm, group, message, n in rows]


def summary(result: ScenarioResult) -> Table | None:
    """Return a row per arm over all operations: throughput, errors, median and tail against the baseline's, and its capacity."""
    load = result.load
    if load is None or not arms_of(result):
        return None
    head, rows = ["arm"], {arm: [Cell(arm)] for arm in arms_of(result)}
    if load.arms:
        group = groups(result)[0]
        unit = _unit(load, [group])
        head += _heads(unit)
        for arm, row in rows.items():
            row.extend(_overall(load, arm, group, unit))
    for kind in capacity.kinds(result):
        head += [f"{kind}, sustained", "÷ the baseline's"]
        for arm, row in rows.items():
            row.extend(capacity.sustained(load, arm, kind))
    caption = _caption(load, groups(result)[0]) if load.arms else "Capacity of each arm"
    return Table(caption, tuple(head), tuple(map(tuple, rows.values())), names=2 if load.arms else 1)


def by_group(result: ScenarioResult) -> Table | None:
    """Return the figures of `summary` for every group of operations, without capacities; None without any."""
    load = result.load
    if load is None or not load.arms:
        return None
    unit = _unit(load, groups(result))
    rows = [
        (Cell(group), Cell(arm), *_overall(load, arm, group, unit))
        for group in groups(result)
        for arm in arms_of(result)
        if row_of(load, arm, group) is not None
    ]
    head = ("operations", "arm", *_heads(unit))
    caption = f"Throughput and response time{f': {INVALID_CAPTION}' if load.invalid else ''}"
    return Table(caption, head, tuple(rows), names=3, wide=("errors",), grouped=True)


def _heads(unit: Unit) -> list[str]:
    times_ = [f"response p{label}, {unit.name}" for label in TIMED]
    return ["this rate", "per second", "errors", *times_, *(f"baseline ÷ arm, p{label}" for label in TIMED)]


def _overall(load: LoadResult, arm: str, group: str, unit: Unit) -> list[Cell]:
    row = row_of(load, arm, group)
    if row is None:
        return [Cell(DASH, "not under load")] * len(_heads(unit))
    offered = "" if row.offered_per_s is None else f"of {significant(row.offered_per_s)}"
    rate = Cell(significant(row.achieved_per_s), "" if offered else "the closed model offers no rate", offered)
    times_ = [_time(load, row, "response", label, unit, bounds=False) for label in TIMED]
    return [_sustains(load, row), rate, Cell(whole(row.errors)), *times_, *(ratio_cell(load, arm, group, q) for q in TIMED)]


def arms(result: ScenarioResult) -> list[Table]:
    """Return a table per group of operations: a row per figure, arms side by side."""
    load = result.load
    return [] if load is None else [_group_table(load, arms_of(result), group) for group in groups(result)]


def _group_table(load: LoadResult, names: list[str], group: str) -> Table:
    found = {arm: row for arm in names if (row := row_of(load, arm, group)) is not None}
    is_open = any(row.offered_per_s is not None for row in found.values())
    unit = _unit(load, [group])
    rows: list[tuple[Cell, ...]] = []
    if is_open or any(overloaded(load, arm, group) for arm in found):
        rows.append((Cell("this rate"), *(_sustains(load, row) for row in found.values())))
    rates = {"offered per second": [x.offered_per_s for x in found.values()]} if is_open else {}
    rates["throughput per second"] = [x.achieved_per_s for x in found.values()]
    rows += [(Cell(name), *(Cell(DASH if v is None else significant(v)) for v in values)) for name, values in rates.items()]
    for name in ("operations", "errors", *(("dropped", "unfinished") if is_open else ("unfinished",))):
        rows.append((Cell(name), *(Cell(whole(getattr(row, name))) for row in found.values())))
    wanted = [("response", label) for label in (*QUANTILES, "max")]
    wanted += [*(("service", label) for label in TIMED), ("queue", "99")] if is_open else []
    for kind, label in wanted:
        cells = (_time(load, row, kind, label, unit) for row in found.values())
        rows.append((Cell(f"{kind} {label if label == 'max' else f'p{label}'}"), *cells))
    return Table(f"{_caption(load, group)}, times in {unit.name}", ("", *found), tuple(rows))


def _sustains(load: LoadResult, row: LoadedArm) -> Cell:
    reason = overloaded(load, row.arm, row.group)
    return Cell("not sustained", reason) if reason else Cell("sustained")


def _time(load: LoadResult, row: LoadedArm, kind: str, label: str, unit: Unit, *, bounds: bool = True) -> Cell:
    """Return one figure of a distribution with its interval; a dash with the reason if it is missing or must not be used."""
    reason = overloaded(load, row.arm, row.group)
    if reason:
        return Cell(DASH, f"{OVERLOADED}: {reason}")
    times_: LatencySummary = getattr(row, kind)
    if label == "max":
        return Cell(unit.write(times_.max_ns), "" if times_.max_ns is not None else "no operation completed")
    value = times_.percentiles_ns.get(label)
    if value is None:
        return Cell(DASH, too_few(times_.operations, QUANTILES[label]))
    within = times_.intervals_ns.get(label)
    if not bounds or within is None:
        return Cell(unit.write(value), "a confidence interval needs more cycles of blocks" if bounds else "")
    return Cell(unit.write(value), detail=f"[{unit.write(within[0])}, {unit.write(within[1])}]")


def _unit(load: LoadResult, of_groups: list[str]) -> Unit:
    sustained = [x for x in load.arms if x.group in of_groups and not overloaded(load, x.arm, x.group)]
    return unit_of(value for x in sustained for value in (x.response.percentiles_ns.get("50"), x.response.mean_ns))


def _caption(load: LoadResult, group: str) -> str:
    caption = group.capitalize() if group == ALL else group
    return f"{caption}: {INVALID_CAPTION}" if load.invalid else caption


def ratios(result: ScenarioResult) -> Table | None:
    """Return how many times shorter response times are than the baseline's, by percentile; None if nothing can be compared."""
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
    head = ("operations", "percentile", *names)
    return Table("Response time, baseline ÷ arm: above 1 is faster", head, tuple(rows), names=2, grouped=True)


def ratio_of(load: LoadResult, arm: str, group: str, label: str) -> LoadRatio | None:
    """Return an arm's ratio at a percentile; None without one, or if either side cannot sustain the rate."""
    if load.invalid or overloaded(load, arm, group) or overloaded(load, BASELINE, group):
        return None
    return next((x for x in load.ratios if (x.arm, x.group, x.percentile) == (arm, group, label)), None)


def ratio_cell(load: LoadResult, arm: str, group: str, label: str) -> Cell:
    """Return a ratio with its interval, or a dash with the reason."""
    found = ratio_of(load, arm, group, label)
    if found is None:
        return Cell(DASH, _no_ratio(load, arm, group))
    bounds = interval(found.low, found.high)
    note = f"from {found.cycles} cycles of blocks" if bounds else "too few cycles for a confidence interval"
    return Cell(times(found.ratio), note, bounds)


def _no_ratio(load: LoadResult, arm: str, group: str) -> str:
    if arm == BASELINE:
        return IS_BASELINE
    if load.invalid:
        return load.invalid
    for name in (arm, BASELINE):
        if overloaded(load, name, group):
            return f"{name} {OVERLOADED}"
    return "too few operations for this percentile"


def errors(result: ScenarioResult) -> Table | None:
    """Return the failed operations, the most frequent first: a row per arm, group and message; None without failures."""
    load = result.load
    if load is None:
        return None
    rows = [x for x in load.arms if x.group != ALL and x.error_messages] or load.arms
    found = [(number, x.arm, x.group, message) for x in rows for message, number in x.error_messages.items()]
    if not found:
        return None
    found.sort(key=lambda row: -row[0])
    cells = tuple((Cell(arm), Cell(group), Cell(message), Cell(whole(number))) for number, arm, group, message in found)
    return Table("Failed operations", ("arm", "operations", "message", "count"), cells, names=3)


def brief(part: LoadPart) -> list[Block]:
    """Return one scenario for the terminal: plan, notices, throughput and times by group, capacities, failures."""
    reasons = [Paragraph(reason, f"{name}:", quiet=True) for name, reason in capacity.reasons(part.result)]
    head = Paragraph(planned(part.load), f"{part.heading}:")
    return of(head, *notices(part.result), by_group(part.result), *capacity.tables(part.result), *reasons, *failures(part.result))


def detail(result: ScenarioResult) -> list[Block]:
    """Return all tables of one scenario under load; none without load."""
    if result.load is None:
        return []
    shown = [ratios(result), *arms(result), *capacity.tables(result)]
    reasons = [Paragraph(reason, f"{name}:", quiet=True) for name, reason in capacity.reasons(result)]
    every = capacity.steps(result)
    steps = ReportSection(f"{every.caption}: {len(every.rows)} steps", (every,)) if every else None
    return of(SideBySide(tuple(table for table in shown if table is not None)), *reasons, errors(result), steps)
