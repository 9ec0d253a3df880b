"""The summary of a load test or a capacity search: which arms sustain the load, and how many times as fast they are."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from harness.language import gettext, listed, mark, word
from harness.report import capacity, conclusion, load
from harness.report.blocks import Block, Notice, Paragraph, Table, cells, of
from harness.report.numbers import DASH, duration, interval, significant, times, unit_of, whole
from harness.report.promises import located
from harness.report.summaries.frame import LINES, MESSAGE, NAME, fitted, left_out, pointer
from harness.report.summaries.pairs import stopped_scenarios, unfinished, warnings
from harness.results.load import Capacity, LoadedArm, LoadResult
from harness.results.names import short, shortened, visible
from harness.results.run import BASELINE, Run, ScenarioResult, ScenarioStatus
from harness.stats.intervals import MEDIAN

ARM = 16
"""The most characters of an arm's name."""
NOTICES = 2
"""The most remarks about arms."""
ARMS = 3
"""The most arms beside the baseline that have a column, of several scenarios."""
SUSTAINED, NOT_SUSTAINED, FAILS = mark("sustained"), mark("not sustained"), mark("fails")
INVALID, FAILED = mark("invalid"), mark("failed")


ALL_OF = {
    SUSTAINED: mark("All {count} scenarios were sustained by all arms."),
    NOT_SUSTAINED: mark("All {count} scenarios were not sustained by all arms."),
    INVALID: mark("All {count} scenarios are invalid."),
    FAILED: mark("All {count} scenarios failed."),
}
SOME_OF = {
    SUSTAINED: (mark("{count} was sustained by all arms"), mark("{count} were sustained by all arms")),
    NOT_SUSTAINED: (mark("{count} was not"), mark("{count} were not")),
    INVALID: (mark("{count} is invalid"), mark("{count} are invalid")),
    FAILED: (mark("{count} failed"), mark("{count} failed")),
}
NONE_OF = (mark("{count} was not sustained by all arms"), mark("{count} were not sustained by all arms"))
"""What is with scenarios, singular and plural."""


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
            Paragraph("", heading(run)),
            Paragraph(short(planned[0], MESSAGE), gettext("Load:"), quiet=True) if len(set(planned)) == 1 else None,
            *stopped_scenarios(run),
            replace(table, rows=table.rows[:most]) if table.rows and most else None,
            left_out(len(table.rows), most),
            *map(_short, remarks[:NOTICES]),
            *map(Paragraph, unfinished(run)),
            pointer({"remark": max(0, len(remarks) - NOTICES), "warning": warnings(run)}, more),
        )

    return fitted(blocks, width, len(table.rows), LINES)


def heading(run: Run) -> str:
    """Return the conclusion of a run under load."""
    results = [x.result for x in located(run)]
    searched = [result for result in results if result.load and result.load.capacities]
    if searched:
        return capacity_heading(searched)
    return load_heading(results[0]) if len(results) == 1 else scenarios_heading(results)


def _short(notice: Notice) -> Notice:
    """Return a notice that takes a few lines, without what the heading states."""
    name = "" if notice.name == gettext(load.INVALID) else short(notice.name, 2 * NAME)
    message = short(notice.message, MESSAGE)
    return Notice(notice.label, name, message, notice.tone)


def _name(arm: str) -> str:
    return shortened(visible(arm), ARM)


def _load(result: ScenarioResult) -> LoadResult:
    return result.load or capacity.NO_LOAD


def _state(load_result: LoadResult, arm: str) -> str:
    """Return whether an arm sustains its load over all groups."""
    if load.failing(load_result, arm):
        return FAILS
    return NOT_SUSTAINED if load.overloaded(load_result, arm) else SUSTAINED


def load_heading(result: ScenarioResult) -> str:
    """Return in one or two sentences which arms sustain the load, and how many times as fast their median is."""
    found, arms = _load(result), load.arms_of(result)
    if not found.arms:
        return gettext("{name}: no operation was measured under load.", name=short(result.name, NAME))
    if found.invalid:
        return gettext("{sentence}.", sentence=gettext(load.INVALID))
    return " ".join([*_who(found, arms), *_speeds(result, arms)])


def _who(found: LoadResult, arms: Sequence[str]) -> list[str]:
    by_state = {state: [_name(arm) for arm in arms if _state(found, arm) == state] for state in (FAILS, NOT_SUSTAINED)}
    texts = []
    if failing := by_state[FAILS]:
        names = gettext(", ").join(failing)
        one, several = mark("1 of {total} arms fails: {names}."), mark("{number} of {total} arms fail: {names}.")
        texts.append(gettext(several if len(failing) > 1 else one, number=len(failing), total=len(arms), names=names))
    if slow := by_state[NOT_SUSTAINED]:
        names = gettext(", ").join(slow)
        one = mark("1 of {total} arms does not sustain the load: {names}.")
        several = mark("{number} of {total} arms do not sustain the load: {names}.")
        texts.append(gettext(several if len(slow) > 1 else one, number=len(slow), total=len(arms), names=names))
    if texts:
        return texts
    if len(arms) == 1:
        return [gettext("The only arm sustains the load.")]
    return [gettext("All {count} arms sustain the load.", count=len(arms))]


def _speeds(result: ScenarioResult, arms: Sequence[str]) -> list[str]:
    found, group = _load(result), load.groups(result)[0]
    ratios = {r.arm: r for r in found.ratios if (r.group, r.percentile) == (group, MEDIAN)}
    known = [
        f"{_name(arm)} {times(ratios[arm].ratio)} {interval(ratios[arm].low, ratios[arm].high)}".strip()
        for arm in arms
        if arm in ratios and load.ratio_cell(found, arm, group, MEDIAN).text != DASH
    ]
    shown = gettext(", ").join(known)
    return [gettext("Times as fast as the baseline at the median: {arms}.", arms=shown)] if known else []


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
            cells(_name(row.arm), gettext(_state(found, row.arm)), *numbers, ratio.text, ratio.detail or DASH, most, _dropped(row))
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


def scenarios_heading(results: Sequence[ScenarioResult]) -> str:
    """Return in a sentence how many scenarios were sustained by all arms, and what is with the others."""
    if not results:
        return gettext(conclusion.NOTHING)
    counts = Counter(_outcome(result) for result in results)
    if len(counts) == 1:
        return gettext(ALL_OF[next(iter(counts))], count=len(results))
    texts = SOME_OF if counts[SUSTAINED] else SOME_OF | {NOT_SUSTAINED: NONE_OF}
    parts = [
        gettext(several if counts[key] > 1 else one, count=counts[key]) for key, (one, several) in texts.items() if counts[key]
    ]
    return gettext("Of {count} scenarios, {parts}.", count=len(results), parts=listed(parts))


def _outcome(result: ScenarioResult) -> str:
    found = _load(result)
    if result.status != ScenarioStatus.OK or not found.arms:
        return FAILED
    if found.invalid:
        return INVALID
    states = {_state(found, arm) for arm in load.arms_of(result)}
    return SUSTAINED if states == {SUSTAINED} else NOT_SUSTAINED


def _scenarios(run: Run) -> Table:
    """Return a row per scenario: whether its arms sustain the load, the baseline's median, and each arm's gain at it."""
    every = [arm for result in run.scenarios for arm in load.arms_of(result) if arm != BASELINE]
    arms = [arm for arm, _ in Counter(every).most_common(ARMS)]
    rows = []
    for x in located(run):
        found, group = _load(x.result), (load.groups(x.result) or [""])[0]
        states = Counter(_state(found, arm) for arm in load.arms_of(x.result))
        outcome = _outcome(x.result)
        number = states[SUSTAINED]
        state = gettext("{number} of {total} arms", number=number, total=states.total())
        state = gettext(outcome) if outcome in {INVALID, FAILED} else state
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


def capacity_heading(results: Sequence[ScenarioResult]) -> str:
    """Return in a sentence per kind what the last arm sustains, and what the baseline does."""
    texts = []
    for result in results:
        found = _load(result)
        for kind in capacity.kinds(result):
            of_kind = [x for x in capacity.in_order(result) if x.kind == kind]
            texts.append(_compared(found, of_kind[-1], capacity.found(found, BASELINE, kind)))
    return " ".join(texts)


def _compared(found: LoadResult, leading: Capacity, base: Capacity | None) -> str:
    name = _name(leading.arm)
    if leading.sustained is None:
        kind = word(leading.kind)
        known = base is not None and base is not leading and base.sustained is not None
        if not base or not known:
            return gettext("{arm} sustains no tried level of {kind}.", arm=name, kind=kind)
        text = mark("{arm} sustains no tried level of {kind}; {base} sustains {level}.")
        return gettext(text, arm=name, kind=kind, base=BASELINE, level=capacity.level(base.sustained, base.kind))
    values = {"arm": name, "level": capacity.level(leading.sustained, leading.kind), "base": BASELINE}
    if base is None or leading.arm == BASELINE:
        return gettext("{arm} sustains {level}.", **values)
    if base.sustained is None:
        return gettext("{arm} sustains {level}; {base} sustains no tried level.", **values)
    ratio = capacity.against(found, leading).full
    before = capacity.level(base.sustained, base.kind)
    return gettext("{arm} sustains {level}, {base} {before}: {ratio} as much.", **values, before=before, ratio=ratio)


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
