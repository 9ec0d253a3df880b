"""Response times and throughput under load, as tables and in words."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from harness.language import gettext, listed, mark, ngettext, word
from harness.report import capacity
from harness.report.blocks import Block, Cell, Notice, Paragraph, ReportSection, Table, Tone, cells, of, status
from harness.report.capacity import IS_BASELINE, NO_LOAD
from harness.report.numbers import DASH, Unit, significant, times, unit_of, whole
from harness.report.promises import located
from harness.report.tables import MOST_NAME, MOST_NOTE, arms_in_order, groups_of, named_cells, percentile, with_interval
from harness.results.load import ALL, LatencySummary, LoadedArm, LoadResult, LoadState
from harness.results.names import shortened, visible
from harness.results.run import BASELINE, Run, ScenarioResult
from harness.stats.intervals import MEDIAN, QUANTILES

READ = mark(
    "Response time counts from the intended start of an operation, so that it includes waiting behind slow ones; service time "
    "counts from the actual start; queue time is the difference. Operations that were unfinished at the drain timeout are "
    "right-censored: they count with the time they had waited. Dropped operations never started, because the limit of in-flight "
    "operations was reached. Failed operations have no response time, and an arm that fails is not compared. An arm that cannot "
    "sustain the load is saturated and has no times here: they would only show the length of the run. The tail is the highest "
    "percentile that the number of operations supports. Brackets are 95 % confidence intervals, "
    "bootstrapped over processes and the cycles of blocks inside them."
)
OVERLOADED = mark("is saturated: it cannot sustain this load")
INVALID = mark("This load test is invalid: no conclusion can be drawn")
P50_FASTER = mark("p50, times faster")
WIDE = (mark("dropped"), mark("unfinished"), P50_FASTER)
"""Columns for which a narrow terminal has no room."""
MOST_MESSAGES, MOST_MESSAGE, MOST_REASON = 20, 160, 400
"""The most messages of failed operations, and the most characters of one and of a reason in a notice."""
TIMES = {"response": mark("response {percentile}"), "service": mark("service {percentile}"), "queue": mark("queue {percentile}")}
"""The names of times."""
TIMED = [label for label in QUANTILES if label in {"50", "99"}]
"""The percentiles shown of service time."""


def parts(run: Run) -> list[tuple[str, ScenarioResult]]:
    """Return every scenario of a run that was under load, with its heading."""
    return [(x.named(x.result.name), x.result) for x in located(run) if x.result.load is not None]


def planned(result: ScenarioResult) -> str:
    """Return the plan of the load: `open model, 200 per second; arms interleaved in blocks of 5 s, each after 1 s of warm-up`."""
    load = result.load or NO_LOAD
    plan = gettext("{models} model, {arrivals}", models=listed([word(model) for model in load.models]), arrivals=load.arrivals)
    if not load.arms:
        return plan
    return gettext(
        "{plan}; arms interleaved in blocks of {block} s, each after {warm_up} s of warm-up",
        plan=plan,
        block=f"{load.block_s:.3g}",
        warm_up=f"{load.warm_up_s:g}",
    )


def arms_of(result: ScenarioResult) -> list[str]:
    """Return the arms that were under load, in the scenario's order."""
    load = result.load or NO_LOAD
    return arms_in_order(result, [*(x.arm for x in load.arms), *(x.arm for x in load.capacities)])


def groups(result: ScenarioResult) -> list[str]:
    """Return the groups that have figures, `ALL` first; without it if there is only one other group."""
    found = groups_of(result, (result.load or NO_LOAD).arms)
    others = [group for group in found if group != ALL]
    return others if len(others) == 1 or ALL not in found else [ALL, *others]


def row_of(load: LoadResult, arm: str, group: str) -> LoadedArm | None:
    """Return an arm's figures of one group, if there are any."""
    return next((x for x in load.arms if (x.arm, x.group) == (arm, group)), None)


def overloaded(load: LoadResult, arm: str, group: str = ALL) -> str | None:
    """Return why an arm's times of a group must not be used: it cannot sustain the rate, in that group or over all groups."""
    rows = [row_of(load, arm, group), row_of(load, arm, ALL)]
    return next((row.overloaded for row in rows if row is not None and row.overloaded), None)


def failing(load: LoadResult, arm: str, group: str = ALL) -> str | None:
    """Return an arm's failures beyond the tolerance, in a group or over all groups; it is then not compared."""
    rows = [row_of(load, arm, group), row_of(load, arm, ALL)]
    return next((row.failing for row in rows if row is not None and row.failing), None)


def state(load: LoadResult, arm: str, group: str = ALL) -> LoadState:
    """Return whether an arm sustains its load, in a group and over all groups."""
    if failing(load, arm, group):
        return LoadState.FAILS
    return LoadState.SATURATED if overloaded(load, arm, group) else LoadState.SUSTAINED


def notices(result: ScenarioResult) -> list[Notice]:
    """Return what makes figures unusable or incomplete: an invalid run, arms that fail or are overloaded, crashed workers.

    Arms and workers that make the scenario fail are in its error.
    """
    load = result.load or NO_LOAD
    found = [Notice("invalid", gettext(INVALID), load.invalid, Tone.BAD)] if load.invalid else []
    names = _arm_names(result)
    for arm in names:
        if (reason := failing(load, arm)) and f"{arm}: {reason}" not in (result.error or ""):
            found.append(Notice("note", gettext("{arm} fails as written", arm=names[arm].text), shortened(reason, MOST_REASON)))
        in_groups = (f"{group}: {reason}" for group in groups(result) if (reason := overloaded(load, arm, group)))
        if reason := overloaded(load, arm) or "; ".join(in_groups):
            found.append(
                Notice(
                    "note",
                    gettext("{arm} is saturated: it cannot sustain this load", arm=names[arm].text),
                    shortened(reason, MOST_REASON),
                )
            )
    crashed = (message for message in load.lost_workers if message not in (result.error or ""))
    return [*found, *(Notice("note", gettext("crashed worker"), message) for message in crashed)]


def totals(result: ScenarioResult) -> list[LoadedArm]:
    """Return each arm's figures over all operations, in the scenario's order."""
    load = result.load or NO_LOAD
    rows = (row_of(load, arm, group) for group in groups(result)[:1] for arm in arms_of(result))
    return [row for row in rows if row is not None]


def summary(result: ScenarioResult, *, with_capacities: bool = True) -> Table | None:
    """Return a row per arm over all operations: outcome, failures, throughput, times, those against the baseline's, capacity."""
    load = result.load or NO_LOAD
    head, rows, caption = [mark("arm")], {arm: [cell] for arm, cell in _arm_names(result).items()}, gettext("Capacity of each arm")
    if load.arms:
        group = groups(result)[0]
        unit = _unit(load, [group])
        head += _heads(load, unit)
        caption = _caption(load, group)
        for arm, row in rows.items():
            row.extend(_overall(load, arm, group, unit))
    for kind in capacity.kinds(result) if with_capacities else ():
        head += [gettext("{kind}, sustained", kind=word(kind)), mark("÷ the baseline's")]
        for arm, row in rows.items():
            found = capacity.found(load, arm, kind)
            row.extend([capacity.level_cell(found, found.sustained if found else None), capacity.against(load, found)])
    return _filled(caption, head, list(rows.values()), names=2 if load.arms else 1) if rows else None


def by_group(result: ScenarioResult, *, with_total: bool = True) -> Table | None:
    """Return the figures of `summary` for every group of operations, without capacities; None without any."""
    load, arm_names = result.load or NO_LOAD, _arm_names(result)
    shown = groups(result) if with_total else groups(result)[1:]
    unit, group_names = _unit(load, shown), _group_names(shown)
    rows = [
        [group_names[group], name, *_overall(load, arm, group, unit)]
        for group in shown
        for arm, name in arm_names.items()
        if row_of(load, arm, group)
    ]
    head = [mark("operations"), "arm", *_heads(load, unit)]
    return _filled(_caption(load, gettext("By operation")), head, rows, names=3, grouped=True) if rows else None


def _group_names(names: Iterable[str]) -> dict[str, Cell]:
    return {name: Cell(gettext(name)) if name == ALL else cell for name, cell in named_cells(names).items()}


def _arm_names(result: ScenarioResult) -> dict[str, Cell]:
    return named_cells(arms_of(result))


def _filled(caption: str, head: list[str], rows: list[list[Cell]], *, names: int, grouped: bool = False) -> Table:
    """Return a table without the columns of figures that are dashes in every row."""
    kept = [place for place in range(len(head)) if place < names or any(row[place].text != DASH for row in rows)]
    shown = tuple(tuple(row[place] for place in kept) for row in rows)
    wide = tuple(
        name for name in head if name in WIDE or name == gettext("max") or name.startswith(gettext("max, {unit}", unit=""))
    )
    return Table(caption, tuple(head[place] for place in kept), shown, names=names, wide=wide, grouped=grouped)


def _has_plan(load: LoadResult) -> bool:
    """Return whether operations were offered on a schedule, so that they can be dropped."""
    return any(row.offered_per_s is not None for row in load.arms)


def _has_unfinished(load: LoadResult) -> bool:
    return any(row.unfinished for row in load.arms)


def _heads(load: LoadResult, unit: Unit) -> list[str]:
    counts = [mark("this load"), "failed", *["dropped"] * _has_plan(load), *["unfinished"] * _has_unfinished(load)]
    counts.append(mark("per second"))
    response = [gettext("tail, {unit}", unit=unit.name), f"p{MEDIAN}, {unit.name}", gettext("max, {unit}", unit=unit.name)]
    return [*counts, *response, mark("tail, times faster"), P50_FASTER]


def _overall(load: LoadResult, arm: str, group: str, unit: Unit) -> list[Cell]:
    row = row_of(load, arm, group)
    if row is None:
        return [Cell(DASH, gettext("not under load"))] * len(_heads(load, unit))
    offered = "" if row.offered_per_s is None else gettext("of {number}", number=significant(row.offered_per_s))
    rate = Cell(significant(row.achieved_per_s), "" if offered else gettext("the closed model offers no rate"), offered)
    counts = [_outcome(load, row), _failed(row), *[Cell(whole(row.dropped))] * _has_plan(load)]
    counts += [Cell(whole(row.unfinished))] * _has_unfinished(load)
    median = _time(load, row, "response", MEDIAN, unit, bounds=False)
    response = [_tail(load, row, unit), median, _time(load, row, "response", "max", unit)]
    return [*counts, rate, *response, _tail_ratio(load, arm, group), ratio_cell(load, arm, group, MEDIAN)]


def _failed(row: LoadedArm) -> Cell:
    """Return the failed operations with their share; a dash if none was tried."""
    tried = row.operations + row.errors
    if not tried:
        return Cell(DASH, gettext("no operation ended"))
    return Cell(whole(row.errors), detail=f"({row.errors / tried * 100:.3g} %)" if row.errors else "")


def _tail(load: LoadResult, row: LoadedArm, unit: Unit) -> Cell:
    """Return the highest percentile that the operations support, with its label."""
    label = highest(row.response.percentiles_ns)
    cell = _time(load, row, "response", label, unit)
    return cell if cell.text == DASH else Cell(f"p{label} {cell.text}", cell.note, cell.detail)


def _tail_ratio(load: LoadResult, arm: str, group: str) -> Cell:
    """Return the ratio at the highest percentile that the operations of both sides support, with its label."""
    label = highest({x.percentile: x.ratio for x in load.ratios if (x.arm, x.group) == (arm, group)})
    cell = ratio_cell(load, arm, group, label)
    return cell if cell.text == DASH else replace(cell, text=f"p{label} {cell.text}")


def highest(percentiles: Mapping[str, float | None]) -> str:
    """Return the label of the highest percentile that has a value; that of the median without any."""
    return next((label for label in reversed(QUANTILES) if percentiles.get(label) is not None), MEDIAN)


def arms(result: ScenarioResult) -> list[Table]:
    """Return a table per group of operations: a row per figure, arms side by side."""
    load = result.load or NO_LOAD
    tables = []
    for group in groups(result):
        found = [row for arm in arms_of(result) if (row := row_of(load, arm, group)) is not None]
        unit = _unit(load, [group])
        head = ("", *(_arm_names(result)[row.arm].text for row in found))
        tables.append(
            Table(
                gettext("{caption}, times in {unit}", caption=_caption(load, group), unit=unit.name),
                head,
                tuple(_figures(load, found, group, unit)),
            )
        )
    return tables


def _figures(load: LoadResult, found: list[LoadedArm], group: str, unit: Unit) -> Iterator[tuple[Cell, ...]]:
    """Yield a row per figure of a group."""
    is_open = any(row.offered_per_s is not None for row in found)
    if is_open or any(overloaded(load, row.arm, group) for row in found):
        yield cells(gettext("this load"), *(_outcome(load, row) for row in found))
    if is_open:
        yield cells(
            gettext("offered per second"), *(DASH if x.offered_per_s is None else significant(x.offered_per_s) for x in found)
        )
    yield cells(gettext("throughput per second"), *(significant(row.achieved_per_s) for row in found))
    for name in ("operations", mark("errors"), *(["dropped"] * is_open), "unfinished"):
        yield cells(gettext(name), *(whole(getattr(row, name)) for row in found))
    wanted = [("response", label) for label in (*QUANTILES, "max")]
    wanted += [*(("service", label) for label in TIMED), ("queue", "99")] if is_open else []
    for kind, label in wanted:
        yield cells(
            gettext(TIMES[kind], percentile=gettext("max") if label == "max" else f"p{label}"),
            *(_time(load, row, kind, label, unit) for row in found),
        )


def _outcome(load: LoadResult, row: LoadedArm) -> Cell:
    """Return whether an arm sustained the load, unless nothing can be concluded; the reason is a notice."""
    if load.invalid:
        return Cell("", status=status("not judged"))
    return Cell("", status=status(state(load, row.arm, row.group)))


def _time(load: LoadResult, row: LoadedArm, kind: str, label: str, unit: Unit, *, bounds: bool = True) -> Cell:
    """Return one figure of a distribution with its interval; a dash with the reason if it is missing or must not be used."""
    if reason := overloaded(load, row.arm, row.group):
        return Cell(DASH, f"{gettext(OVERLOADED)}: {reason}")
    summed: LatencySummary = getattr(row, kind)
    if label == "max":
        return Cell(unit.write(summed.max_ns), "" if summed.max_ns is not None else gettext("no operation completed"))
    value, within = summed.percentiles_ns.get(label), summed.intervals_ns.get(label)
    if value is not None and bounds and within is None:
        return Cell(unit.write(value), gettext("a confidence interval needs more cycles of blocks"))
    return percentile(value, unit, label, summed.operations, within if bounds else None)


def _unit(load: LoadResult, of_groups: list[str]) -> Unit:
    sustained = [x for x in load.arms if x.group in of_groups and not overloaded(load, x.arm, x.group)]
    return unit_of(value for x in sustained for value in (x.response.percentiles_ns.get("50"), x.response.mean_ns))


def _caption(load: LoadResult, group: str) -> str:
    caption = gettext("All operations") if group == ALL else shortened(visible(group), MOST_NAME)
    return gettext("{caption}: invalid, no conclusion", caption=caption) if load.invalid else caption


def ratios(result: ScenarioResult) -> Table | None:
    """Return how many times shorter response times are than the baseline's, by percentile; None if nothing can be compared."""
    load = result.load or NO_LOAD
    names = [arm for arm in arms_of(result) if arm != BASELINE]
    known = {(x.group, x.percentile) for x in load.ratios}
    wanted = [(group, label) for group in groups(result) for label in QUANTILES if (group, label) in known]
    group_names, arm_names = _group_names(groups(result)), _arm_names(result)
    rows = [
        cells(group_names[group], f"p{label}", *(ratio_cell(load, arm, group, label) for arm in names)) for group, label in wanted
    ]
    rows = [row for row in rows if any(cell.text != DASH for cell in row[2:])]
    head = ("operations", mark("percentile"), *(arm_names[arm].text for arm in names))
    return (
        Table(gettext("Times faster than the baseline: its response time ÷ the arm's"), head, tuple(rows), names=2, grouped=True)
        if rows
        else None
    )


def ratio_cell(load: LoadResult, arm: str, group: str, label: str) -> Cell:
    """Return an arm's ratio at a percentile with its interval, or a dash with the reason."""
    if arm == BASELINE or load.invalid:
        return Cell(DASH, gettext(IS_BASELINE) if arm == BASELINE else load.invalid or "")
    for name in (arm, BASELINE):
        if failing(load, name, group):
            return Cell(DASH, gettext("{arm} fails: failed operations are not fast answers", arm=name))
        if overloaded(load, name, group):
            return Cell(DASH, gettext("{arm} is saturated: it cannot sustain this load", arm=name))
    found = next((x for x in load.ratios if (x.arm, x.group, x.percentile) == (arm, group, label)), None)
    if found is None:
        return Cell(DASH, gettext("too few operations for this percentile"))
    missing = mark("too few cycles for a confidence interval")
    note = ngettext("from {count} cycle of blocks", "from {count} cycles of blocks", found.cycles)
    return with_interval(times(found.ratio), found.low, found.high, missing, note)


def errors(result: ScenarioResult) -> Table | None:
    """Return the failed operations, the most frequent first: a row per arm, group and message; None without failures."""
    load = result.load or NO_LOAD
    failed = [x for x in load.arms if x.group != ALL and x.error_messages] or load.arms
    found = [(count, x.arm, x.group, message) for x in failed for message, count in x.error_messages.items()]
    found.sort(key=lambda row: -row[0])
    arm_names, group_names = _arm_names(result), _group_names(x.group for x in failed)
    rows = [
        cells(arm_names[arm], group_names[group], _message(message), whole(count))
        for count, arm, group, message in found[:MOST_MESSAGES]
    ]
    caption = gettext("Failed operations")
    if len(found) > MOST_MESSAGES:
        text = mark("Failed operations: the {shown} most frequent of {total} messages")
        caption = gettext(text, shown=MOST_MESSAGES, total=len(found))
    return Table(caption, ("arm", "operations", mark("message"), mark("count")), tuple(rows), names=3) if rows else None


def _message(text: str) -> Cell:
    """Return an error's message on one line, a long one cut in its middle with the whole one as a note."""
    whole_text = visible(text)
    short = shortened(whole_text, MOST_MESSAGE)
    return Cell(short, shortened(whole_text, MOST_NOTE) if short != whole_text else "")


def brief(heading: str, result: ScenarioResult, *, by_groups: bool) -> list[Block]:
    """Return one scenario for the terminal: plan, notices, throughput, times, capacities, failures; `by_groups` in full."""
    plan = Paragraph(planned(result), f"{heading}:")
    if not by_groups:
        return of(
            replace(plan, lead=gettext("{scenario} under load:", scenario=heading)),
            *notices(result),
            summary(result),
            errors(result),
        )
    return of(plan, *notices(result), by_group(result), *capacity.tables(result), *capacity.reasons(result), errors(result))


def detail(result: ScenarioResult) -> list[Block]:
    """Return all tables of one scenario under load."""
    shown = tuple(table for table in (ratios(result), *arms(result), *capacity.tables(result)) if table)
    every = capacity.steps(result)
    steps = (
        ReportSection(gettext("{caption}: {count} steps", caption=every.caption, count=len(every.rows)), (every,))
        if every
        else None
    )
    return of(*shown, *capacity.reasons(result), errors(result), steps)
