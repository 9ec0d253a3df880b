"""The summary of a load test or a capacity search: which arms sustain the load, and how many times as fast they are."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from harness.language import gettext, mark, word
from harness.report import capacity, conclusion, headings, load
from harness.report.blocks import Block, Notice, Paragraph, Table, cells, of
from harness.report.numbers import DASH, duration, significant, unit_of, whole
from harness.report.promises import located
from harness.report.summaries.frame import LINES, MESSAGE, NAME, fitted, left_out, pointer
from harness.report.summaries.pairs import stopped_scenarios, unfinished, warnings
from harness.results.load import LoadedArm, LoadResult, LoadState
from harness.results.names import short, shortened, visible
from harness.results.run import BASELINE, Run, ScenarioResult
from harness.stats.intervals import MEDIAN

ARM = 16
"""The most characters of an arm's name."""
NOTICES = 2
"""The most remarks about arms."""
ARMS = 3
"""The most arms beside the baseline that have a column, of several scenarios."""


def summary(run: Run, more: str, width: int) -> list[Block]:
    """Return the conclusion of a run under load, a row per arm, or per scenario if there are several."""
    results = [x.result for x in located(run)]
    searched = [result for result in results if result.load and result.load.capacities]
    table = _capacities(searched) if searched else _arms(results[0]) if len(results) == 1 else _scenarios(run)
    planned = [load.planned(result) for result in results if result.load]
    remarks = load.notices(results[0]) if len(results) == 1 else []

    def blocks(most: int) -> list[Block]:
        return of(
            Paragraph(conclusion.where(run), quiet=True),
            Paragraph("", headings.of_load_run(run)),
            Paragraph(short(planned[0], 2 * MESSAGE), gettext("Load:"), quiet=True) if len(set(planned)) == 1 else None,
            *stopped_scenarios(run),
            replace(table, rows=table.rows[:most]) if table.rows and most else None,
            left_out(len(table.rows), most),
            *map(_short, remarks[:NOTICES]),
            *map(Paragraph, unfinished(run)),
            pointer({"remark": max(0, len(remarks) - NOTICES), "warning": warnings(run)}, more),
        )

    return fitted(blocks, width, len(table.rows), LINES)


def _short(notice: Notice) -> Notice:
    """Return a notice that takes a few lines, without what the heading states."""
    name = "" if notice.name == gettext(load.INVALID) else short(notice.name, 2 * NAME)
    message = short(notice.message, MESSAGE)
    return Notice(notice.label, name, message, notice.tone)


def _name(arm: str) -> str:
    return shortened(visible(arm), ARM)


def _load(result: ScenarioResult) -> LoadResult:
    return result.load or capacity.NO_LOAD


def _arms(result: ScenarioResult) -> Table:
    """Return a row per arm over all operations."""
    found = _load(result)
    group = (load.groups(result) or [""])[0]
    shown = [row for arm in load.arms_of(result) if (row := load.row_of(found, arm, group))]
    unit = unit_of(row.response.percentiles_ns.get(MEDIAN) for row in shown if not load.overloaded(found, row.arm, group))
    rows = []
    for row in shown:
        usable = not load.overloaded(found, row.arm, group)
        label = load.highest(row.response.percentiles_ns)
        median, tail = (unit.write(row.response.percentiles_ns.get(at)) if usable else DASH for at in (MEDIAN, label))
        ratio = load.ratio_cell(found, row.arm, group, MEDIAN)
        numbers = (significant(row.achieved_per_s), whole(row.errors), median, tail if tail == DASH else f"{tail} (p{label})")
        most = unit.write(row.response.max_ns) if usable else DASH
        rows.append(
            cells(_name(row.arm), word(load.state(found, row.arm)), *numbers, ratio.text, ratio.detail or DASH, most, _dropped(row))
        )
    heads = (
        f"p50, {unit.name}",
        gettext("tail, {unit}", unit=unit.name),
        mark("faster"),
        "95 % CI",
        gettext("max, {unit}", unit=unit.name),
        mark("dropped or unfinished"),
    )
    head = ("arm", "this load", "per second", "errors", *heads)
    return Table("", head, tuple(rows), names=2, wide=head[-3:], is_one_line=True)


def _dropped(row: LoadedArm) -> str:
    return whole(row.dropped + row.unfinished)


def _scenarios(run: Run) -> Table:
    """Return a row per scenario: whether its arms sustain the load, the baseline's median, and each arm's gain at it."""
    every = [arm for result in run.scenarios for arm in load.arms_of(result) if arm != BASELINE]
    arms = [arm for arm, _ in Counter(every).most_common(ARMS)]
    rows = []
    for x in located(run):
        found, group = _load(x.result), (load.groups(x.result) or [""])[0]
        states = Counter(load.state(found, arm) for arm in load.arms_of(x.result))
        outcome = headings.outcome_under_load(x.result)
        number = states[LoadState.SUSTAINED]
        state = gettext("{number} of {total} arms", number=number, total=states.total())
        state = word(outcome) if outcome in {LoadState.INVALID, LoadState.FAILED} else state
        base = None if found.invalid or load.overloaded(found, BASELINE, group) else load.row_of(found, BASELINE, group)
        median = base.response.percentiles_ns.get(MEDIAN) if base else None
        before = DASH if median is None else duration(median)
        gains = [load.ratio_cell(found, arm, group, MEDIAN) for arm in arms]
        bounds = [gain.detail or DASH for gain in gains]
        rows.append(cells(shortened(visible(x.named(x.result.name)), NAME), state, before, *(g.text for g in gains), *bounds))
    names = [_name(arm) for arm in arms]
    head = (
        "scenario",
        mark("sustained by"),
        mark("baseline p50"),
        *names,
        *(gettext("{name}, 95 % CI", name=name) for name in names),
    )
    return Table("", head, tuple(rows), names=2, wide=head[3 + len(names) :], is_one_line=True)


def _capacities(results: Sequence[ScenarioResult]) -> Table:
    """Return a row per arm and kind of capacity."""
    rows = []
    for result in results:
        found = _load(result)
        for x in capacity.in_order(result):
            levels = (capacity.level(x.sustained, x.kind), capacity.level(x.failed_at, x.kind))
            ratio = capacity.against(found, x).full
            rows.append(cells(_name(x.arm), word(x.kind), *levels, ratio, whole(len(x.steps)), short(x.reason, MESSAGE)))
    head = ("arm", "capacity", "sustains", "fails at", "÷ the baseline's", "steps", mark("the search ended"))
    return Table("", head, tuple(rows), names=2, wide=head[-2:], texts=head[-1:], is_one_line=True)
