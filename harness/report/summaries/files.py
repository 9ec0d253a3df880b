"""The summary of result files, of their comparison, and of a gate: the verdict, and the figures that changed most."""

from collections.abc import Iterable
from dataclasses import replace

from harness.language import gettext, mark
from harness.report import comparison, gate, headings
from harness.report.blocks import Block, Cell, Paragraph, Table, TableKind, cells, of, status
from harness.report.numbers import DASH, duration, interval, times
from harness.report.summaries.frame import LINES, MESSAGE, NAME, REMARKS, fitted, left_out, pointer, remark
from harness.results.gate import GateResult, GateRow, GateVerdict, RowKind
from harness.results.names import abbreviated, short, shortened, visible
from harness.results.run import PromiseVerdict, Run, RunKind, RunWarning

BENCHMARK, FIGURE, FIGURE_ALONE = 30, 32, 40
"""The most characters of a benchmark's name, and of the name of a gate's figure with its values and without."""
NOT_FIGURES = {RowKind.STATUS, RowKind.CHECKS}
"""Kinds of a gate's rows that have a reason in place of figures."""


def summary(run: Run, more: str, width: int, verdict: str = "") -> list[Block]:
    """Return the conclusion of a file or of two compared ones, by default the number of each verdict, and the first rows."""
    benchmarks = comparison.benchmarks(run)
    table = _compared(run) if run.kind == RunKind.COMPARISON else _single(run)
    regressed = [b.verdict for b in benchmarks if b.verdict is not None and b.verdict.verdict == PromiseVerdict.REGRESSED]
    remarks = [remark(RunWarning(v.promise, v.sentence, ""), "regressed") for v in regressed]
    remarks += [remark(found) for found in (*run.warnings, *(w for result in run.scenarios for w in result.warnings))]

    def blocks(most: int) -> list[Block]:
        return of(
            Paragraph("", short(verdict or headings.of_files(run), 2 * MESSAGE)),
            Paragraph(visible(shortened(run.name, MESSAGE)), quiet=True),
            replace(table, rows=table.rows[:most]) if most and benchmarks else None,
            left_out(len(table.rows), most),
            *remarks[:REMARKS],
            Paragraph(f"{comparison.counts(run)}.") if verdict and comparison.counts(run) else None,
            pointer({"more remark": max(0, len(remarks) - REMARKS)}, more, in_report=False),
        )

    return fitted(blocks, width, len(table.rows))


def _names(names: Iterable[str], limit: int) -> dict[str, str]:
    """Return name → what is shown of it: names that are alike are cut where they do not differ."""
    whole = {name: visible(name) for name in names}
    short_names = abbreviated(whole.values(), limit)
    return {name: short_names[text] for name, text in whole.items()}


def _compared(run: Run) -> Table:
    """Return a row per benchmark of two files, the most pressing verdict first."""
    rows, names = [], _names((benchmark.name for benchmark in comparison.benchmarks(run)), BENCHMARK)
    for benchmark in comparison.benchmarks(run):
        verdict, (old, new) = benchmark.verdict, benchmark.latencies
        only = gettext("removed") if new is None and benchmark.operations[1] is None else gettext("added")
        judged = Cell(only) if verdict is None else Cell("", status=status(verdict.verdict))
        before, after = (DASH if x is None else duration(comparison.median_ns(x)) for x in (old, new))
        value = None if verdict is None or None in (old, new) else verdict.value
        faster, bounds = (DASH, DASH) if verdict is None or value is None else (times(value), interval(verdict.low, verdict.high))
        reason = short(verdict.sentence, MESSAGE) if verdict else DASH
        rows.append(cells(names[benchmark.name], judged, before, after, faster, bounds or DASH, reason))
    head = (mark("benchmark"), mark("verdict"), mark("before"), mark("after"), mark("faster"), "95 % CI", mark("why"))
    return Table("", head, tuple(rows), names=2, wide=head[-2:], texts=head[-1:], kind=TableKind.VERDICTS, is_one_line=True)


def _single(run: Run) -> Table:
    """Return a row per benchmark of one file."""
    rows, names = [], _names((benchmark.name for benchmark in comparison.benchmarks(run)), BENCHMARK)
    for benchmark in comparison.benchmarks(run):
        x = benchmark.latencies[0]
        figures = [DASH] * 3 if x is None else map(duration, (comparison.median_ns(x), x.mean_ns, x.max_ns))
        rows.append(cells(names[benchmark.name], *figures))
    return Table("", ("benchmark", "median", "mean", "max"), tuple(rows), is_one_line=True)


def _figure(row: GateRow) -> str:
    """Return the name of a figure with its scenario; a benchmark of a suite has its own name."""
    return gate.name(row) if row.paired and row.group and not row.arm else f"{row.scenario} · {gate.name(row)}"


def gated(result: GateResult, more: str, width: int) -> list[Block]:
    """Return a gate's verdict, the figures behind it, and the reasons and warnings in short."""
    shown = gate.shown(result)
    rows, front = [], shown[: LINES + 1]
    has_values = any(row.base is not None or row.candidate is not None for row in front)
    is_open = any(gate.detectable(row) != DASH for row in front)
    names = _names(map(_figure, front), FIGURE if has_values else FIGURE_ALONE)
    for row in front:
        base, candidate = gate.figure(row.base, row.unit), gate.figure(row.candidate, row.unit)
        change, verdict = gate.change(row), Cell("", status=status(row.verdict))
        values = (base, candidate) if has_values else (gate.detectable(row),) if is_open else ()
        where, reason = shortened(visible(row.place), NAME), short(row.reason, MESSAGE)
        rows.append(cells(names[_figure(row)], verdict, change.text, *values, where, change.detail or DASH, reason))
    values = ("before", "after") if has_values else ("detectable",) if is_open else ()
    head = (mark("figure"), "verdict", mark("change"), *values, mark("where"), mark("interval"), "why")
    table = Table("", head, tuple(rows), names=2, wide=head[-3:], texts=("where", "why"), kind=TableKind.VERDICTS, is_one_line=True)
    worst = (GateVerdict.REGRESSED, GateVerdict.NOT_COMPARABLE)
    pressing = [RunWarning(row.place, row.reason, "") for row in shown if row.verdict in worst and row.kind in NOT_FIGURES]
    remarks = [remark(found, "not comparable") for found in result.incomparable]
    remarks += [remark(found, "failed") for found in pressing] + [remark(found) for found in result.warnings]

    def blocks(most: int) -> list[Block]:
        hidden = {"more row": max(0, len(shown) - most), "more remark": max(0, len(remarks) - REMARKS)}
        return of(
            Paragraph(short(gate.headline(result), 2 * MESSAGE), tone=status(result.verdict).tone),
            Paragraph(
                short(gettext("Baseline {base}, candidate {candidate}.", base=result.base, candidate=result.candidate), MESSAGE),
                quiet=True,
            ),
            replace(table, rows=table.rows[:most]) if rows and most else None,
            *remarks[:REMARKS],
            Paragraph(f"{gate.counts(result)}.") if result.rows else None,
            pointer(hidden, more, in_report=False),
        )

    return fitted(blocks, width, len(shown))
