"""The summary of a load test or a capacity search: which arms sustain the load, and how many times as fast they are."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from harness.report import capacity, conclusion, load
from harness.report.blocks import Block, Notice, Paragraph, Table, cells, of
from harness.report.numbers import DASH, duration, interval, significant, times, unit_of, whole
from harness.report.promises import located
from harness.report.summaries.frame import LINES, MESSAGE, NAME, fitted, left_out, pointer
from harness.report.summaries.pairs import stopped_scenarios, unfinished, warnings
from harness.results.load import Capacity, LoadedArm, LoadResult, LoadState
from harness.results.names import short, shortened, visible
from harness.results.run import BASELINE, Run, ScenarioResult, ScenarioStatus
from harness.stats.intervals import MEDIAN

ARM = 16
"""The most characters of an arm's name."""
NOTICES = 2
"""The most remarks about arms."""
ARMS = 3
"""The most arms beside the baseline that have a column, of several scenarios."""
SUSTAINED, NOT_SUSTAINED, FAILS = LoadState.SUSTAINED, LoadState.NOT_SUSTAINED, LoadState.FAILS
INVALID, FAILED = LoadState.INVALID, LoadState.FAILED


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
            Paragraph(short(planned[0], MESSAGE), "Load:", quiet=True) if len(set(planned)) == 1 else None,
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
    name = "" if notice.name == load.INVALID else short(notice.name, 2 * NAME)
    message = short(notice.message, MESSAGE)
    return Notice(notice.label, name, message, notice.tone)


def _name(arm: str) -> str:
    return shortened(visible(arm), ARM)


def _load(result: ScenarioResult) -> LoadResult:
    return result.load or capacity.NO_LOAD


def _state(load_result: LoadResult, arm: str) -> LoadState:
    """Return whether an arm sustains its load over all groups."""
    if load.failing(load_result, arm):
        return FAILS
    return NOT_SUSTAINED if load.overloaded(load_result, arm) else SUSTAINED


def load_heading(result: ScenarioResult) -> str:
    """Return in one or two sentences which arms sustain the load, and how many times as fast their median is."""
    found, arms = _load(result), load.arms_of(result)
    if not found.arms:
        return f"{short(result.name, NAME)}: no operation was measured under load."
    if found.invalid:
        return f"{load.INVALID}."
    return " ".join([*_who(found, arms), *_speeds(result, arms)])


def _who(found: LoadResult, arms: Sequence[str]) -> list[str]:
    by_state = {state: [_name(arm) for arm in arms if _state(found, arm) == state] for state in (FAILS, NOT_SUSTAINED)}
    texts = []
    if failing := by_state[FAILS]:
        texts.append(f"{len(failing)} of {len(arms)} arms {'fails' if len(failing) == 1 else 'fail'}: {', '.join(failing)}.")
    if slow := by_state[NOT_SUSTAINED]:
        verb = "does" if len(slow) == 1 else "do"
        texts.append(f"{len(slow)} of {len(arms)} arms {verb} not sustain the load: {', '.join(slow)}.")
    if texts:
        return texts
    return ["The only arm sustains the load." if len(arms) == 1 else f"All {len(arms)} arms sustain the load."]


def _speeds(result: ScenarioResult, arms: Sequence[str]) -> list[str]:
    found, group = _load(result), load.groups(result)[0]
    ratios = {r.arm: r for r in found.ratios if (r.group, r.percentile) == (group, MEDIAN)}
    known = [
        f"{_name(arm)} {times(ratios[arm].ratio)} {interval(ratios[arm].low, ratios[arm].high)}".strip()
        for arm in arms
        if arm in ratios and load.ratio_cell(found, arm, group, MEDIAN).text != DASH
    ]
    return [f"Times as fast as the baseline at the median: {', '.join(known)}."] if known else []


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
        rows.append(cells(_name(row.arm), _state(found, row.arm), *numbers, ratio.text, ratio.detail or DASH, most, _dropped(row)))
    heads = (f"p50, {unit.name}", f"tail, {unit.name}", "faster", "95 % CI", f"max, {unit.name}", "dropped or unfinished")
    head = ("arm", "this load", "per second", "errors", *heads)
    return Table("", head, tuple(rows), names=2, wide=head[-3:], is_one_line=True)


def _dropped(row: LoadedArm) -> str:
    return whole(row.dropped + row.unfinished)


def scenarios_heading(results: Sequence[ScenarioResult]) -> str:
    """Return in a sentence how many scenarios were sustained by all arms, and what is with the others."""
    if not results:
        return conclusion.NOTHING
    counts = Counter(_outcome(result) for result in results)
    not_sustained = ("was not", "were not")
    texts = {
        SUSTAINED: ("was sustained by all arms", "were sustained by all arms"),
        NOT_SUSTAINED: not_sustained if counts[SUSTAINED] else ("was not sustained by all arms", "were not sustained by all arms"),
        INVALID: ("is invalid", "are invalid"),
        FAILED: ("failed", "failed"),
    }
    parts = [f"{counts[key]} {one if counts[key] == 1 else many}" for key, (one, many) in texts.items() if counts[key]]
    if len(parts) == 1:
        key = next(iter(counts))
        return f"All {len(results)} scenarios {texts[key][1]}."
    return f"Of {len(results)} scenarios, {', '.join(parts[:-1])} and {parts[-1]}."


def _outcome(result: ScenarioResult) -> LoadState:
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
        state = outcome if outcome in {INVALID, FAILED} else f"{number} of {states.total()} arms"
        base = None if found.invalid or load.overloaded(found, BASELINE, group) else load.row_of(found, BASELINE, group)
        median = base.response.percentiles_ns.get(MEDIAN) if base else None
        before = DASH if median is None else duration(median)
        gains = [load.ratio_cell(found, arm, group, MEDIAN) for arm in arms]
        bounds = [gain.detail or DASH for gain in gains]
        rows.append(cells(shortened(visible(x.named(x.result.name)), NAME), state, before, *(g.text for g in gains), *bounds))
    names = [_name(arm) for arm in arms]
    head = ("scenario", "sustained by", "baseline p50", *names, *(f"{name}, 95 % CI" for name in names))
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
        lowest = f"{name} sustains no tried level of {leading.kind}"
        known = base is not None and base is not leading and base.sustained is not None
        return f"{lowest}; {BASELINE} sustains {capacity.level(base.sustained, base.kind)}." if base and known else f"{lowest}."
    sustained = f"{name} sustains {capacity.level(leading.sustained, leading.kind)}"
    if base is None or leading.arm == BASELINE:
        return f"{sustained}."
    if base.sustained is None:
        return f"{sustained}; {BASELINE} sustains no tried level."
    ratio = capacity.against(found, leading).full
    return f"{sustained}, {BASELINE} {capacity.level(base.sustained, base.kind)}: {ratio} as much."


def _capacities(results: Sequence[ScenarioResult]) -> Table:
    """Return a row per arm and kind of capacity."""
    rows = []
    for result in results:
        found = _load(result)
        for x in capacity.in_order(result):
            levels = (capacity.level(x.sustained, x.kind), capacity.level(x.failed_at, x.kind))
            ratio = capacity.against(found, x).full
            rows.append(cells(_name(x.arm), str(x.kind), *levels, ratio, whole(len(x.steps)), short(x.reason, MESSAGE)))
    head = ("arm", "capacity", "sustains", "fails at", "÷ the baseline's", "steps", "the search ended")
    return Table("", head, tuple(rows), names=2, wide=head[-2:], texts=head[-1:], is_one_line=True)
