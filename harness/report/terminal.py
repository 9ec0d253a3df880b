"""A run in a terminal: what `harness run` prints at its end. Says everything without colour, and fits 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.report import ablation, load, matrix, terminal_load
from harness.report.numbers import DASH, MILLISECONDS, Unit, interval, times, unit_of, whole
from harness.report.order import groups_of
from harness.report.promises import HEADINGS, SIGNS, PromiseRow, broken_arms, figure, places, rows
from harness.report.terminal_parts import columns, labelled, plain, warning_lines
from harness.results.run import AA_CONTROL, BASELINE, Latency, PromiseVerdict, Ratio, Run, ScenarioResult, Verdict

STYLES = {
    PromiseVerdict.EXCEEDED: "bold cyan",
    PromiseVerdict.CONFIRMED: "green",
    PromiseVerdict.FELL_SHORT: "yellow",
    PromiseVerdict.REFUTED: "red",
    PromiseVerdict.INCONCLUSIVE: "magenta",
    PromiseVerdict.WITHHELD: "magenta",
}
BRIEF = {PromiseVerdict.NOT_MEASURED: "not measurable"}
SOME = 3
"""So many results are named where more share a warning."""

WIDE = 110
"""From this many columns on there is room for the review's words and the intervals."""


class _Fitting:
    """A renderable that chooses its columns by the width it is given."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from _verdict_parts(self.run, wide=options.max_width >= WIDE)


def verdict_table(run: Run) -> RenderableType:
    """Return every promise of a run with its verdicts, then what failed, what cannot run as written, and the warnings."""
    return _Fitting(run)


def _verdict_parts(run: Run, *, wide: bool) -> Iterator[RenderableType]:
    promises = rows(run)
    if promises and len(matrix.places(run)) > 1:
        yield from _matrix_tables(run)
    elif promises:
        yield _promise_table(promises, wide=wide)
    elif any(result.ablation for result in run.scenarios):
        yield from _ablation_tables(run)
    elif run.scenarios and not load.parts(run):
        yield Text("No promise was on trial in this run.")
    elif not run.scenarios:
        yield Text("No scenario finished: there is nothing to judge.", style="bold red")
    for part in load.parts(run):
        yield from terminal_load.parts(part)
    yield from _troubles(run)
    yield from warning_lines(run.warnings)
    if len(matrix.places(run)) > 1:
        yield from _warnings_by_kind(run)
        return
    for result in run.scenarios:
        yield from warning_lines(result.warnings, result.name)


def _troubles(run: Run) -> Iterator[RenderableType]:
    """Yield what was stopped, failed, was not run, or cannot run as written."""
    if run.interrupted:
        yield Text("This run was interrupted; what had finished is shown.", style="bold red")
    for result, where in zip(run.scenarios, places(run), strict=True):
        if result.status == "failed":
            yield labelled("failed", _named(result, where), result.error or "no error was recorded", "bold red")
    for place, reason, results in matrix.not_run(run):
        yield labelled("not run", f"{', '.join(r.name for r in results)} on {place.label}", reason, "dim")
    for result, arm in broken_arms(run.scenarios):
        yield labelled("cannot run", f"{result.name}, {arm.name} as written", arm.cannot_run or "", "yellow")


def _matrix_tables(run: Run) -> Iterator[RenderableType]:
    """Yield a table for each of the two arms: a row a promise, a column an engine at a distance."""
    columns, found = matrix.places(run), matrix.matrix(run)
    for arm, name in HEADINGS.items():
        table = plain()
        table.add_column(name.lower(), style="bold", overflow="fold", ratio=5, header_style="bold")
        for place in columns:
            table.add_column(Text(f"{place.engine}\n{place.rtt_ms:g} ms"), overflow="fold", ratio=3)
        for row in found:
            verdicts = [cell.of(arm) if cell else None for cell in row.cells]
            if any(verdicts):
                table.add_row(Text(row.label), *(_sign(verdict) for verdict in verdicts))
        yield table
        yield Text()
    yield Text("  ".join(f"{sign} {word}" for word, sign in SIGNS.items()), style="dim")


def _ablation_tables(run: Run) -> Iterator[RenderableType]:
    """Yield a table for each group in which switches were tried: a row a switch with its gains, its place, and what they say."""
    for part in ablation.parts(run):
        table = plain()
        table.add_column(Text(part.heading), overflow="fold", ratio=3, style="bold", header_style="bold")
        for name in ("alone", "last"):
            table.add_column(name, overflow="fold", ratio=3)
        table.add_column("place", no_wrap=True)
        table.add_column("interaction", overflow="fold", ratio=3)
        for switch in part.found.switches:
            gains = [Text(f"{ablation.gained(g)}\n{interval(g.low, g.high)}") for g in (switch.alone, switch.last)]
            table.add_row(Text(switch.switch), *gains, ablation.place(switch.rank_best, switch.rank_worst), switch.interaction)
        yield table
        yield Padding(Text(ablation.total(part.found)), (0, 0, 1, 0))
    yield Text(ablation.READ, style="dim")


def _sign(verdict: Verdict | None) -> Text:
    if verdict is None:
        return Text("")
    text = Text(SIGNS.get(verdict.verdict, "?"), style=STYLES.get(verdict.verdict, "dim"))
    return text.append(f" {figure(verdict)}".replace(" ", "\u00a0").replace("\u00a0", " ", 1), style="default not bold")


def _warnings_by_kind(run: Run) -> Iterator[RenderableType]:
    """Yield a line for each kind of warning with where it goes for; the report has each with its figures and its remedy."""
    found: dict[str, list[str]] = {}
    for result, where in zip(run.scenarios, places(run), strict=True):
        for warning in result.warnings:
            found.setdefault(warning.name, []).append(_named(result, where))
    for name, of in found.items():
        some = "; ".join(of[:SOME]) + (f" and {len(of) - SOME} more" if len(of) > SOME else "")
        yield labelled("warning", name, f"in {len(of)} of {len(run.scenarios)} results ({some}); see the report", "yellow")


def _promise_table(promises: Sequence[PromiseRow], *, wide: bool) -> Table:
    table = plain()
    table.add_column("promise", style="bold", overflow="fold", ratio=5 if wide else 4)
    table.add_column("the review says", overflow="fold", ratio=6 if wide else 4)
    for name in HEADINGS.values():
        table.add_column(name.lower(), overflow="fold", ratio=6 if wide else 3)
    for row in promises:
        table.add_row(Text(row.label), Text(row.text), *(_verdict(row.of(arm), wide=wide) for arm in HEADINGS))
        for verdict in row.others:
            table.add_row("", Text(f"arm {verdict.arm}"), _verdict(verdict, wide=wide), "")
    return table


def _verdict(verdict: Verdict | None, *, wide: bool) -> Text:
    if verdict is None:
        return Text(DASH, style="dim")
    word = BRIEF.get(verdict.verdict, verdict.verdict)
    text = Text(word, style=STYLES.get(verdict.verdict, ""))
    measured = figure(verdict)
    if measured:
        # Inside a figure no line may break: the unit stays with its number.
        text.append(" " if wide else "\n").append(measured.replace(" ", "\u00a0"), style="default not bold")
    has_interval = verdict.low is not None and verdict.high is not None and verdict.low != verdict.high
    if wide and has_interval:
        text.append(f" {interval(verdict.low, verdict.high)}".replace(", ", ",\u00a0"), style="dim")
    return text


def ratio_table(result: ScenarioResult) -> RenderableType:
    """Return one scenario's speed: a line an arm and group with ratio, interval, p50 and p95 before → after; without verdicts."""
    head = f"{result.title} · {result.engine}, RTT {result.rtt_ms:g} ms"
    parts: list[RenderableType] = [Text(head, style="bold")]
    if result.status != "ok":
        error = result.error or "no error was recorded"
        parts.append(labelled(result.status, result.name, error, "bold red"))
    broken = [(arm.name, arm.cannot_run) for arm in result.arms if arm.cannot_run]
    parts += [labelled("cannot run", f"{name} as written", error, "yellow") for name, error in broken]
    if result.ratios:
        parts += _speed(result)
    if result.verified_cases and result.status != "failed":
        parts.append(Text(f"{whole(result.verified_cases)} answers compared, all equal", style="dim"))
    parts += warning_lines(result.warnings)
    return Group(*parts)


def _speed(result: ScenarioResult) -> Iterator[RenderableType]:
    """Yield one table a group of cases; the columns' widths are fixed, so that they stand under each other."""
    widths = {"faster": 7, "95 %": 14, "p50": 17, "p95": 17}
    yield columns("arm", widths, header=True)
    for group in groups_of(result, result.ratios):
        yield Text(f"{group}: {result.groups[group]}" if group in result.groups else group, overflow="ellipsis", no_wrap=True)
        table = columns("arm", widths)
        for ratio in (r for r in result.ratios if r.group == group):
            before, after = _latency(result, BASELINE, group), _latency(result, ratio.arm, group)
            control = ratio.arm == AA_CONTROL
            unit = unit_of([x.percentiles_ns.get("50") or x.mean_ns for x in (before, after) if x is not None])
            cells = ["  A/A control" if control else f"  {ratio.arm}", times(ratio.ratio), interval(ratio.low, ratio.high)]
            cells += [_change(before, after, label, unit) for label in ("50", "95")]
            table.add_row(*map(Text, cells), style="dim" if control else _direction(ratio))
        yield table


def _direction(ratio: Ratio) -> str:
    if ratio.low is None or ratio.high is None or ratio.low <= 1 <= ratio.high:
        return ""
    return "green" if ratio.low > 1 else "red"


def _change(before: Latency | None, after: Latency | None, label: str, unit: Unit) -> str:
    values = [None if x is None else x.percentiles_ns.get(label) for x in (before, after)]
    if values == [None, None]:
        return DASH
    return f"{unit.write(values[0])} → {unit.write(values[1])} {unit.name}"


def before_after_table(run: Run) -> RenderableType:
    """Return what many users saw: a line a scenario, group and arm with operations, percentiles in ms and the ratio."""
    if load.parts(run):
        return verdict_table(run)
    widths = {"ops": 9, "p50 ms": 7, "p95 ms": 7, "p99 ms": 7, "faster": 7, "95 %": 14}
    parts: list[RenderableType] = [columns("arm", widths, header=True)]
    for result, where in zip(run.scenarios, places(run), strict=True):
        name = _named(result, where)
        if result.status == "failed":
            parts.append(labelled("failed", name, result.error or "no error was recorded", "bold red"))
        for group in groups_of(result, result.latencies):
            parts.append(Text(f"{name}: {group}", style="bold", overflow="ellipsis", no_wrap=True))
            table = columns("arm", widths)
            for latency in (x for x in result.latencies if x.group == group and x.arm != AA_CONTROL):
                _before_after_row(table, result, latency)
            parts.append(table)
    return Group(*parts, *warning_lines(run.warnings))


def _before_after_row(table: Table, result: ScenarioResult, latency: Latency) -> None:
    ratio = next((r for r in result.ratios if (r.arm, r.group) == (latency.arm, latency.group)), None)
    table.add_row(
        Text(f"  {latency.arm}"),
        whole(latency.samples),
        *(MILLISECONDS.write(latency.percentiles_ns.get(label)) for label in ("50", "95", "99")),
        times(ratio.ratio) if ratio else "",
        interval(ratio.low, ratio.high) if ratio else "",
        style=_direction(ratio) if ratio else "",
    )


def _named(result: ScenarioResult, where: str) -> str:
    return f"{result.name}, {where}" if where else result.name


def _latency(result: ScenarioResult, arm: str, group: str) -> Latency | None:
    return next((x for x in result.latencies if (x.arm, x.group) == (arm, group)), None)
