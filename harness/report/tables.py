"""Measurements as tables: ratios, percentiles, work counts, memory, growth, controls. Arms and groups in the scenario's order."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Protocol, TypeVar

from harness.language import gettext, mark, ngettext, word
from harness.report.blocks import Cell, CellStatus, Table, Tone, cells
from harness.report.numbers import DASH, Unit, exponent, interval, percent, significant, times, unit_of, whole
from harness.results.names import abbreviated, short, shortened, visible
from harness.results.run import AA_CONTROL, BASELINE, Latency, Memory, PercentileRatio, Ratio, ScenarioResult, WorkCount
from harness.stats.intervals import MEDIAN, QUANTILES, samples_needed

MAX, MEAN = "max", "mean"
"""The labels of the maximum and of the mean, next to those of percentiles."""
SHOWN = ("50", "95", "99")
"""The percentiles that every table has, where samples support them; the others need a wide one."""
SPEED_CAPTION = mark("Times of one operation, and how many times faster than the baseline (95 % CI)")
FASTER = mark("times faster")
DIRECTIONS = {Tone.GOOD: "faster", Tone.BAD: "slower", Tone.FLAT: "not significant"}
"""The direction that an interval of a ratio shows."""
CONTROL_SIGN = "!"
"""Stands before an A/A control whose interval excludes 1."""
CONTROL_READ = mark(
    "!: the interval of the A/A control excludes 1, which 1 in 20 does by chance: read differences of this size as noise."
)
NAME, DESCRIPTION = 60, 80
"""The most characters of a name and of a group's description in a table."""
WHOLE = mark("whole scenario")
"""Stands for the group of counts that are of no single group."""
ALIKE = 0.01
"""Work counts that differ by at most this share count as equal."""
FLAT_GROWTH = 0.05
"""Exponents up to this are constant cost."""
FEW_PROCESSES = mark("a confidence interval needs at least two processes")
MEMORY_CAPTION = mark("Memory of one operation: each arm in its own process, with its children and servers")
ADDED = mark("change from baseline")
MEMORY_TEXTS = (mark("added by servers, MB"), mark("not measured"), mark("outcome"))
MEMORY_DETAILS = (mark("share of the rows"), mark("limit MB"), mark("rows"), *MEMORY_TEXTS)
"""Columns that most scenarios have no figure for."""
MOST_NAME = 40
"""The most characters of a name that are shown."""
MOST_NOTE = 2_000
"""The most characters of a name or a message in the note of its cell."""
SHORT_ERROR = 30
"""The length up to which an error is written into a table; a longer one is its tooltip."""
MEMORY_RESOLUTION_BYTES = 250_000
"""A smaller difference is not shown as one: the kernel counts the pages of each core apart and adds them up in batches."""


class _Measured(Protocol):
    """A record of one arm and one group of cases."""

    @property
    def arm(self) -> str: ...

    @property
    def group(self) -> str: ...


M = TypeVar("M", bound=_Measured)


def listed(order: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return the distinct `names`: those in `order` first, in its order, then the others in theirs."""
    present = dict.fromkeys(names)
    return [name for name in dict.fromkeys([*order, *present]) if name in present]


def arms_in_order(result: ScenarioResult, names: Iterable[str]) -> list[str]:
    """Return the distinct names of arms, in the scenario's order."""
    return listed((arm.name for arm in result.arms), names)


def groups_of(result: ScenarioResult, items: Iterable[_Measured]) -> list[str]:
    """Return the groups of cases that `items` have, in the scenario's order."""
    return listed(result.groups, (item.group for item in items))


def named(text: str) -> str:
    """Return a name for a table: on one line, its middle left out if it is long."""
    return shortened(visible(text), NAME)


def in_order(result: ScenarioResult, items: Sequence[M]) -> list[M]:
    """Return `items` by group and arm, in the scenario's order."""
    groups, arms = groups_of(result, items), arms_in_order(result, (item.arm for item in items))
    return sorted(items, key=lambda item: (groups.index(item.group), arms.index(item.arm)))


def named_cells(names: Iterable[str], most: int = MOST_NAME) -> dict[str, Cell]:
    """Return name → its cell: one of more than `most` characters is cut where it does not differ from the others, with a note."""
    whole_names = {name: visible(name) for name in names}
    short = abbreviated(whole_names.values(), most)
    return {
        name: Cell(short[text], shortened(text, MOST_NOTE) if short[text] != text else "") for name, text in whole_names.items()
    }


def facts(caption: str, head: str, values: dict[str, str]) -> Table:
    """Return a row per fact."""
    return Table(caption, (head, mark("value")), tuple(cells(*fact) for fact in values.items()), names=2)


def with_interval(text: str, low: float | None, high: float | None, missing: str = FEW_PROCESSES, note: str = "") -> Cell:
    """Return a figure with its interval and `note`; if there is no interval, the note is why it is `missing`."""
    bounds = interval(low, high)
    return Cell(text, note if bounds else gettext(missing), bounds)


def percentile(value_ns: float | None, unit: Unit, label: str, samples: int, within: tuple[float, float] | None = None) -> Cell:
    """Return a percentile with its interval; a dash with the reason if `samples` samples do not support it."""
    detail = f"[{unit.write(within[0])}, {unit.write(within[1])}]" if within else ""
    return Cell(unit.write(value_ns), "" if value_ns is not None else too_few(samples, label), detail)


def too_few(samples: int, label: str, effective: float | None = None) -> str:
    """Return why a number of samples, worth `effective` independent ones, does not support a percentile of `QUANTILES`."""
    needed = samples_needed(QUANTILES[label])
    numbers = {"needed": f"{needed:,}", "samples": f"{samples:,}"}
    if effective and samples >= needed:
        return gettext(
            "too few samples: {needed} are needed, there are {samples}, which are worth {worth}: those of one slot are alike",
            worth=whole(int(effective)),
            **numbers,
        )
    return gettext("too few samples: {needed} are needed, there are {samples}", **numbers)


def speed(result: ScenarioResult) -> Table | None:
    """Return a row per group of cases: percentiles before → after, times faster, A/A control, pairs; None if nothing was timed.

    A column that would be empty is left out. Without any percentile it has the means.
    """
    timed = [x for x in result.latencies if x.arm != AA_CONTROL]
    latencies = {(x.arm, x.group): x for x in timed}
    found = {(x.arm, x.group): x for x in result.ratios}
    groups = groups_of(result, [*timed, *result.ratios])
    arms = arms_in_order(result, (x.arm for x in [*timed, *result.ratios] if x.arm != AA_CONTROL))
    units = {group: unit_of([max((_middle(latencies.get((arm, group))) for arm in arms), default=0.0)]) for group in groups}
    columns: list[tuple[str, str, list[Cell]]] = []
    for label in supported(timed, SHOWN) or [MEAN]:
        span = label if label == MEAN else f"p{label}"
        columns += [(span, arm, [_speed(latencies.get((arm, g)), label, units[g]) for g in groups]) for arm in arms]
    for arm in arms:
        columns.append((FASTER, arm, [_faster(result, arm, g, found.get((arm, g))) for g in groups]))
    columns.append(("", AA_CONTROL, [_control(found.get((AA_CONTROL, g))) for g in groups]))
    columns.append(("", mark("pairs (processes)"), [_pairs(result, g) for g in groups]))
    kept = [column for column in columns if any(cell.text != DASH for cell in column[2])]
    if not kept:
        return None
    labels = [Cell(named(g), detail=short(result.groups.get(g, ""), DESCRIPTION)) for g in groups]
    rows = zip(labels, (Cell(units[g].name) for g in groups), *(column for _, _, column in kept), strict=True)
    spans = [("", 2), *((text, len(list(same))) for text, same in groupby(text for text, _, _ in kept))]
    head = (mark("cases"), mark("unit"), *(named(name) for _, name, _ in kept))
    off = any(cell.text.startswith(CONTROL_SIGN) for _, name, column in kept for cell in column if name == AA_CONTROL)
    return Table(
        gettext(SPEED_CAPTION), head, tuple(rows), names=2, spans=tuple(spans), footnote=gettext(CONTROL_READ) if off else ""
    )


def ratios_and_medians(result: ScenarioResult) -> dict[tuple[str, str], Cell]:
    """Return group and arm → times faster, with the medians before → after as its detail."""
    latencies = {(x.arm, x.group): x for x in result.latencies}
    found = {}
    for ratio in in_order(result, [r for r in result.ratios if r.arm != AA_CONTROL]):
        cell = _faster(result, ratio.arm, ratio.group, ratio)
        both = [latencies.get((arm, ratio.group)) for arm in (BASELINE, ratio.arm)]
        medians = [x.percentiles_ns.get(MEDIAN) for x in both if x is not None]
        known = [ns for ns in medians if ns is not None]
        unit = unit_of([max(known, default=0.0)])
        shown = f"{unit.write(known[0])} → {unit.write(known[1])} {unit.name}" if len(known) == len((BASELINE, ratio.arm)) else ""
        found[ratio.group, ratio.arm] = replace(cell, detail=shown)
    return found


def _middle(latency: Latency | None) -> float:
    """Return the median, or without one the mean: the figure that decides on a group's unit."""
    if latency is None:
        return 0.0
    median = latency.percentiles_ns.get(MEDIAN)
    return latency.mean_ns if median is None else median


def _speed(latency: Latency | None, label: str, unit: Unit) -> Cell:
    if latency is None:
        return Cell(DASH, gettext("not timed"))
    if label == MEAN:
        return Cell(unit.write(latency.mean_ns))
    return replace(_percentile(latency, label, unit), detail="")


def _faster(result: ScenarioResult, arm: str, group: str, ratio: Ratio | None) -> Cell:
    """Return how many times faster an arm is, with its interval; its tone has the direction that the interval shows."""
    if ratio is None:
        broken = any(group in x.errors for x in result.arms if x.name == arm)
        return Cell(gettext("cannot run")) if broken else Cell(DASH, gettext("not timed"))
    tone = Tone.FLAT
    if ratio.low is not None and ratio.high is not None:
        tone = Tone.GOOD if ratio.low > 1 else Tone.BAD if ratio.high < 1 else Tone.FLAT
    return Cell(times(ratio.ratio), detail=interval(ratio.low, ratio.high), status=CellStatus(word(DIRECTIONS[tone]), tone=tone))


def _control(ratio: Ratio | None) -> Cell:
    """Return the A/A control's ratio with its interval; the sign of one that excludes 1 is in the footnote."""
    if ratio is None:
        return Cell(DASH, gettext("no A/A control"))
    off = ratio.low is not None and ratio.high is not None and not ratio.low <= 1 <= ratio.high
    return Cell(f"{CONTROL_SIGN} {times(ratio.ratio)}" if off else times(ratio.ratio), detail=interval(ratio.low, ratio.high))


def _pairs(result: ScenarioResult, group: str) -> Cell:
    """Return the fewest pairs of an arm in a group, and the number of processes that they are from."""
    found = [r for r in result.ratios if r.group == group and r.arm != AA_CONTROL]
    if not found:
        return Cell(DASH, gettext("no pairs"))
    fewest = min(found, key=lambda r: r.pairs)
    return Cell(f"{whole(fewest.pairs)} ({len(fewest.processes)})")


def ratios(result: ScenarioResult, *, with_control: bool = False) -> Table | None:
    """Return how many times faster each arm is than the baseline; None without ratios.

    With the percentiles that the samples of both support and the maximum, before → after.
    """
    latencies = {(x.arm, x.group): x for x in result.latencies}
    labels = supported(result.latencies, SHOWN)
    rows = []
    for r in in_order(result, result.ratios):
        if r.arm == AA_CONTROL and not with_control:
            continue
        title = f"{named(r.group)}: {result.groups[r.group]}" if with_control and r.group in result.groups else named(r.group)
        both = [latencies.get((arm, r.group)) for arm in (BASELINE, r.arm)]
        spread = f"{times(min(r.processes))} … {times(max(r.processes))} ({len(r.processes)})" if r.processes else DASH
        ratio = with_interval(times(r.ratio), r.low, r.high)
        arrows = (_before_after(both, label) for label in (*labels, MAX))
        rows.append(cells(title, named(r.arm), ratio, *arrows, spread, whole(r.pairs)))
    wide = (MAX, mark("min … max (processes)"), mark("pairs"))
    head = ("cases", mark("arm"), mark("times faster, 95 % CI"), *(f"p{label}" for label in labels), *wide)
    return Table(gettext("Times faster than the baseline"), head, tuple(rows), names=2, grouped=True, wide=wide) if rows else None


def supported(latencies: Iterable[Latency], labels: Iterable[str] = QUANTILES) -> list[str]:
    """Return those of `labels` that at least one of the latencies has."""
    found = list(latencies)
    return [label for label in labels if any(x.percentiles_ns.get(label) is not None for x in found)]


def _before_after(both: list[Latency | None], label: str) -> Cell:
    """Return a percentile, or the maximum, of the baseline and of an arm, with the unit of both; a dash unless both have it."""
    values = [None if x is None else x.max_ns if label == MAX else x.percentiles_ns.get(label) for x in both]
    if None in values:
        return Cell(DASH, gettext("too few samples"))
    unit = unit_of(values)
    return Cell(f"{unit.write(values[0])} → {unit.write(values[1])} {unit.name}")


def percentiles(result: ScenarioResult) -> Table | None:
    """Return the arms' latencies with their intervals, each group of cases in one unit of time; None if nothing was timed.

    A percentile that nothing supports has no column; a narrow terminal shows those of `SHOWN`.
    """
    arms = [x for x in in_order(result, result.latencies) if x.arm != AA_CONTROL]
    labels = supported(arms)
    rows = []
    for group, of_group in groupby(arms, key=lambda x: x.group):
        found = list(of_group)
        unit = unit_of(v for x in found for v in (x.percentiles_ns.get(MEDIAN), x.mean_ns))
        for x in found:
            shown = (_percentile(x, label, unit) for label in labels)
            ends = unit.write(x.max_ns), unit.write(x.mean_ns), whole(x.samples)
            rows.append(cells(f"{named(group)}, {unit.name}", named(x.arm), *shown, *ends))
    head = (mark("cases, unit"), "arm", *(f"p{label}" for label in labels), MAX, mark("mean"), "n")
    wide = (*(f"p{label}" for label in labels if label not in SHOWN), "mean")
    caption = gettext("Latency, 95 % CI") if any(x.intervals_ns for x in arms) else gettext("Latency")
    return Table(caption, head, tuple(rows), names=2, grouped=True, wide=wide) if rows else None


def _percentile(latency: Latency, label: str, unit: Unit) -> Cell:
    if latency.percentiles_ns.get(label) is None:
        return Cell(DASH, too_few(latency.samples, label, latency.effective_samples.get(label)))
    return percentile(latency.percentiles_ns[label], unit, label, latency.samples, latency.intervals_ns.get(label))


def percentile_ratios(result: ScenarioResult) -> Table | None:
    """Return how many times shorter each arm's percentiles are than the baseline's; None without any that is supported.

    A percentile's ratio compares the slowest operations of two sides, which need not be the same cases.
    """
    found = in_order(result, result.percentile_ratios)
    labels = dict.fromkeys(r.percentile for r in found if r.ratio is not None)
    rows = []
    for (group, arm), of_arm in groupby(found, key=lambda r: (r.group, r.arm)):
        by = {r.percentile: r for r in of_arm}
        rows.append(
            cells(
                named(group),
                named(arm),
                *(_percentile_ratio(by.get(q)) for q in labels),
                whole(min(r.samples for r in by.values())),
            )
        )
    head = ("cases", "arm", *(gettext("{percentile}, times faster", percentile=f"p{label}") for label in labels), "n")
    return Table(gettext("Percentiles: baseline ÷ arm, 95 % CI"), head, tuple(rows), names=2, grouped=True) if labels else None


def _percentile_ratio(ratio: PercentileRatio | None) -> Cell:
    if ratio is None:
        return Cell(DASH, gettext("not measured"))
    if ratio.ratio is None:
        return Cell(DASH, too_few(ratio.samples, ratio.percentile, ratio.effective_samples))
    return with_interval(times(ratio.ratio), ratio.low, ratio.high)


def work_counts(result: ScenarioResult, *, differing: bool = False) -> Table | None:
    """Return the work counts per operation, arms side by side with the ratio to the baseline; None without any.

    With `differing` those that are the same on all arms are left out: `equal_counts` has their number.
    """
    counted = counts_by_metric(result)
    arms = arms_in_order(result, (arm for by_arm in counted.values() for arm in by_arm))
    rows = []
    for (group, metric), by_arm in counted.items():
        if not differing or differ(by_arm):
            base = by_arm.get(BASELINE)
            label = metric_name(metric, result.groups) if differing else metric.replace("_", " ")
            rows.append(cells(named(group) or gettext(WHOLE), named(label), *(_count(by_arm.get(arm), base) for arm in arms)))
    return (
        Table(gettext("Work counts per operation"), ("cases", mark("count"), *map(named, arms)), tuple(rows), names=2, grouped=True)
        if rows
        else None
    )


def counts_by_metric(result: ScenarioResult) -> dict[tuple[str, str], dict[str, WorkCount]]:
    """Return group and metric → arm → work count over all rows, in the scenario's order."""
    found: dict[tuple[str, str], dict[str, WorkCount]] = {}
    for x in in_order(result, result.work_counts):
        if x.scale == 1.0 and x.arm != AA_CONTROL:
            found.setdefault((x.group, x.metric), {})[x.arm] = x
    return found


def differ(by_arm: Mapping[str, WorkCount]) -> bool:
    """Return whether a count of some arm is more than `ALIKE` from the first one's."""
    first, *others = (x.value for x in by_arm.values())
    return any(abs(value - first) > ALIKE * max(abs(first), abs(value)) for value in others)


def equal_counts(result: ScenarioResult) -> str:
    """Return the number of work counts that are the same on all arms, in a sentence; empty without any."""
    same = [by_arm for by_arm in counts_by_metric(result).values() if not differ(by_arm)]
    if not same:
        return ""
    exact = all(len({x.value for x in by_arm.values()}) == 1 for by_arm in same)
    if exact:
        return ngettext("{count} count is equal on all arms.", "{count} counts are equal on all arms.", len(same))
    return ngettext(
        "{count} count is equal within {share} % on all arms.",
        "{count} counts are equal within {share} % on all arms.",
        len(same),
        share=f"{ALIKE * 100:g}",
    )


def metric_name(metric: str, groups: Iterable[str]) -> str:
    """Return a metric in words; one that ends with the number of a group has the group's name in its place."""
    base, _, number = metric.rpartition("_")
    same = [group for group in groups if base and number.isdecimal() and group.endswith(f"_{number}")]
    return f"{base.replace('_', ' ')}, {same[0]}" if len(same) == 1 else metric.replace("_", " ")


def _count(found: WorkCount | None, base: WorkCount | None) -> Cell:
    """Return a count with its change from the baseline's."""
    if found is None:
        return Cell(DASH, gettext("not counted for this arm"))
    before, after, change = found.value if base is None else base.value, found.value, ""
    if before == 0 != after or after == 0 != before:
        change = f" {gettext('(none before)') if before == 0 else gettext('(none left)')}"
    elif before != after:
        change = f" ({percent(after / before - 1)})"
    return (
        Cell(whole(after) + change)
        if found.repeats_exactly
        else Cell(f"≈ {whole(after)}{change}", gettext("differed between repeats"))
    )


def memory(result: ScenarioResult, *, differing: bool = False) -> Table | None:
    """Return each arm's memory for one operation, in MB; None if none was measured. Columns without a figure are left out.

    With `differing` groups without a clear difference between arms, limit or error are left out, and counted below the table.
    """
    found = in_order(result, result.memory)
    if not any(m.has_figures for m in found):
        found = [m for m in found if m.error is not None]
    if not found:
        return None
    groups = groups_of(result, found)
    found.sort(key=lambda m: (groups.index(m.group), m.limit_bytes or 0, m.scale))
    baselines = {(m.group, m.scale, m.limit_bytes): m for m in found if m.arm == BASELINE and m.has_figures}
    rows = [_memory_row(m, baselines.get((m.group, m.scale, m.limit_bytes))) for m in found]
    footnote = ""
    if differing:
        clear = {m.group for m in found if m.limit_bytes or m.error or _change(m, baselines.get((m.group, m.scale, m.limit_bytes)))}
        if not clear:
            return None
        rows = [row for m, row in zip(found, rows, strict=True) if m.group in clear]
        rest = len(groups) - len(clear)
        if rest:
            footnote = ngettext("{count} further group: no clear difference.", "{count} further groups: no clear difference.", rest)
    shown = [head for head in rows[0] if head not in MEMORY_DETAILS or any(row[head].text != DASH for row in rows)]
    made = tuple(tuple(row[head] for head in shown) for row in rows)
    wide = (mark("idle MB"), "n", "rows")
    texts = (ADDED, *MEMORY_TEXTS)
    return Table(gettext(MEMORY_CAPTION), tuple(shown), made, names=2, grouped=True, wide=wide, texts=texts, footnote=footnote)


def _memory_row(run: Memory, base: Memory | None) -> dict[str, Cell]:
    """Return head → cell for one arm's memory."""
    reason = run.error or run.not_measured or ""
    missing = Cell(DASH, reason)
    idle, peak, added = (
        Cell(significant(size / 1e6)) if run.has_figures else missing for size in (run.idle_bytes, run.peak_bytes, run.added_bytes)
    )
    if run.has_figures:
        low, high = (size / 1e6 if run.repetitions > 1 else None for size in run.range_bytes)
        added = with_interval(added.text, low, high, mark("measured once"))
    servers = ", ".join(f"{name} {size / 1e6:.2f}" for name, size in run.servers.items())
    left_out = "; ".join(f"{name}: {reason}" for name, reason in run.left_out.items())
    outcome = Cell(stopped(run) if run.error else gettext("not measured"), reason) if reason else Cell(DASH, gettext("completed"))
    return {
        "cases": Cell(named(run.group)),
        "arm": Cell(named(run.arm)),
        "share of the rows": Cell(f"{run.scale:g}") if run.scale != 1.0 else Cell(DASH, gettext("all rows")),
        "limit MB": Cell(significant(run.limit_bytes / 1e6)) if run.limit_bytes else Cell(DASH, gettext("no limit")),
        "idle MB": idle,
        mark("peak MB"): peak,
        mark("added MB [range]"): added,
        ADDED: _added(run, base),
        "added by servers, MB": Cell(servers) if servers else Cell(DASH, gettext("no server")),
        "not measured": Cell(left_out) if left_out else Cell(DASH, gettext("everything was")),
        "rows": Cell(DASH, gettext("not counted")) if run.rows is None else Cell(whole(run.rows)),
        "n": Cell(whole(run.repetitions)) if run.has_figures else missing,
        "outcome": outcome,
    }


def stopped(run: Memory) -> str:
    """Return how an operation that did not complete ended: killed at a limit, or its error if that is short."""
    error = run.error or ""
    if run.limit_bytes and re.match(r"out of memory|MemoryError", error):
        return gettext("killed at {size} MB", size=f"{run.limit_bytes / 1e6:,.4g}")
    return error if len(error) <= SHORT_ERROR else gettext("failed")  # it is in a warning


def memory_change(run: Memory, base: Memory) -> str:
    """Return the change of the memory that an operation adds, in words; `measured once` where it cannot be compared."""
    found = _added(run, base)
    return found.text if found.text != DASH else gettext("measured once")


def _added(run: Memory, base: Memory | None) -> Cell:
    """Return the change of the memory that an operation adds, where the ranges of the repetitions do not overlap."""
    if run.arm == BASELINE:
        return Cell(DASH)
    if base is None or not run.has_figures:
        return Cell(DASH, gettext("nothing to compare"))
    if min(run.repetitions, base.repetitions) == 1:
        return Cell(DASH, gettext("measured once, so there is no range"))
    change = _change(run, base)
    if not change:
        why = gettext("the ranges overlap, or the difference is below {size} MB", size=f"{MEMORY_RESOLUTION_BYTES / 1e6:g}")
        return Cell(gettext("no clear difference"), why)
    if base.added_bytes < MEMORY_RESOLUTION_BYTES:
        size = significant(abs(change) / 1e6)
        return Cell(gettext("{size} MB more", size=size) if change > 0 else gettext("{size} MB less", size=size))
    percentage = f"{significant(abs(change) / base.added_bytes * 100)} %"
    return Cell(gettext("{percent} more" if change > 0 else "{percent} less", percent=percentage))


def _change(run: Memory, base: Memory | None) -> int:
    """Return the change of the bytes that an operation adds, where the repetitions show one; 0 without."""
    if base is None or run.arm == BASELINE or not run.has_figures or min(run.repetitions, base.repetitions) == 1:
        return 0
    change = run.added_bytes - base.added_bytes
    (low, high), (base_low, base_high) = run.range_bytes, base.range_bytes
    return 0 if (low <= base_high and base_low <= high) or abs(change) < MEMORY_RESOLUTION_BYTES else change


def growth(result: ScenarioResult, *, differing: bool = False) -> Table | None:
    """Return how each figure grows with the rows; None if it was not measured at several sizes.

    With `differing` constant costs are left out.
    """
    rows = []
    for g in in_order(result, result.growth):
        if differing and abs(g.exponent) <= FLAT_GROWTH:
            continue
        slope = Cell(exponent(g.exponent), gettext("0 is constant, 1 is linear, 2 is quadratic"))
        scales = ", ".join(f"{scale:g}" for scale in g.scales)
        rows.append(
            cells(
                named(g.group),
                named(g.metric.replace("_", " ")),
                named(g.arm),
                gettext("{times} the cost", times=times(10**g.exponent)),
                slope,
                scales,
            )
        )
    head = ("cases", mark("figure"), "arm", mark("10× the rows"), mark("exponent"), mark("fitted at shares of the rows"))
    return Table(gettext("Growth of the cost with the rows"), head, tuple(rows), names=3, grouped=True) if rows else None


def controls(result: ScenarioResult) -> list[Table]:
    """Return a table of the controls that were timed between pairs, and one of the injected slowdowns; none if there are none."""
    drifts = tuple(
        cells(named(d.name), f"{d.median_ns / 1e6:.3f}", f"{d.ratio:.3f}", f"±{d.explained * 100:.1f} %", whole(d.samples))
        for d in result.controls.drifts
    )
    injected = []
    for p in result.controls.injected:
        unknown = p.low is None or p.high is None
        bounds = Cell(DASH, gettext(FEW_PROCESSES)) if unknown else Cell(f"{percent(p.low)} … {percent(p.high)}")
        detected = gettext("yes") if p.found else gettext("no")
        injected.append(cells(named(p.group), percent(p.share), percent(p.slower), bounds, detected, whole(p.pairs)))
    head = (mark("control"), mark("median, ms"), mark("second half ÷ first"), mark("explained by noise"), mark("readings"))
    heads = ("cases", mark("injected"), mark("measured"), mark("95 % CI"), mark("detected"), "pairs")
    made = [
        Table(gettext("Controls between pairs: drift of the machine within a process"), head, drifts),
        Table(gettext("Slowdown injected into the baseline"), heads, tuple(injected)),
    ]
    return [table for table in made if table.rows]
