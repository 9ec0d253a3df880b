"""Result files of other tools, alone or two of them compared: runs of the kinds "file" and "comparison"."""

from collections import Counter

from harness.report import tables
from harness.report.blocks import Block, Cell, Paragraph, ReportSection, Table, cells, of, status, warning_notices
from harness.report.numbers import DASH, duration, interval, times, whole
from harness.results.run import BASELINE, UNPAIRED_VERDICTS, Latency, PromiseVerdict, Run, RunKind, ScenarioResult, Verdict
from harness.stats.intervals import QUANTILES, SAMPLES_BEYOND

KINDS = {RunKind.FILE, RunKind.COMPARISON}
"""The kinds of runs that are shown here."""

TAIL = ("90", "95", "99", "99.9")
UNKNOWN = "not in the file"

READ = (
    "Times faster is the median before ÷ the median after: above 1 is faster.",
    "The 95 % confidence interval is a bootstrap over each file's values: the precision of each median. Aggregates have none.",
    "Regressed and improved: the whole interval, or the change if no interval is known, is beyond the drift.",
    "Inconclusive: the difference may be drift. Two runs that were not interleaved are never shown to be equal.",
)


def tally(run: Run) -> dict[PromiseVerdict, int]:
    """Return the number of benchmarks with each verdict, the most pressing first."""
    counts = Counter(verdict.verdict for result in run.scenarios for verdict in result.verdicts)
    return {verdict: counts[verdict] for verdict in UNPAIRED_VERDICTS}


def counts(run: Run) -> str:
    """Return the tally as text, without zeros: `▲ 2 improved, ? 1 inconclusive`; empty for a single file."""
    return ", ".join(f"{status(verdict).sign} {number} {verdict}" for verdict, number in tally(run).items() if number)


def warnings(run: Run) -> list[Block]:
    """Return the warnings of the run and of its files in a box; nothing for no warnings."""
    of_files = (warning for result in run.scenarios for warning in result.warnings)
    return warning_notices("Warnings", [*run.warnings, *of_files])


def blocks(run: Run) -> list[Block]:
    """Return the table, the tally, every warning, the percentiles, how to read them, and the files."""
    compared = run.kind == RunKind.COMPARISON
    beyond = tails(run)
    found = of(
        table(run),
        Paragraph("", f"{counts(run)}.") if counts(run) else None,
        *warnings(run),
        ReportSection(beyond.caption, (beyond,)) if beyond else None,
        ReportSection("How to read this", tuple(Paragraph(text) for text in READ)) if compared else None,
        ReportSection("Files", (files(run),)) if run.environment else None,
    )
    return [ReportSection(f"{'Before and after' if compared else 'Times'}: {run.name}", tuple(found), folded=False)]


def files(run: Run) -> Table:
    """Return the facts about the files."""
    return tables.facts(f"Facts about the file{'s' if run.kind == RunKind.COMPARISON else ''}", "fact", run.environment)


def table(run: Run) -> Table:
    """Return a row per benchmark: before, after, ratio, interval and verdict, or the times alone for one file."""
    if any(result.verdicts for result in run.scenarios):
        head: tuple[str, ...] = ("benchmark", "verdict", "before", "after", "times faster, 95 % CI", "values")
        compared = (_compared(*pair) for result in run.scenarios for pair in sorted(_pairs(result), key=_urgency))
        return Table("Medians, before and after", head, tuple(compared), names=2, wide=("values",))
    head = ("benchmark", "median", *(f"p{label}" for label in TAIL), "max", "mean", "values")
    rows = []
    for x in (latency for result in run.scenarios for latency in result.latencies):
        shown = [_percentile(label, x.percentiles_ns.get(label)) for label in TAIL]
        values = whole(x.samples) if x.samples else Cell(DASH, UNKNOWN)
        rows.append(cells(x.group, duration(median_ns(x)), *shown, duration(x.max_ns), duration(x.mean_ns), values))
    return Table("Times", head, tuple(rows), wide=("p95", "p99", "p99.9", "mean"))


def tails(run: Run) -> Table | None:
    """Return the percentiles above the median, before → after; None for one file, or if no file has any."""
    rows = []
    for old, new, _ in (pair for result in run.scenarios for pair in _pairs(result)):
        arrows = [_percentile(label, old.percentiles_ns.get(label), new.percentiles_ns.get(label)) for label in TAIL]
        if any(cell.text != DASH for cell in arrows):
            rows.append(cells(old.group, *arrows, f"{duration(old.max_ns)} → {duration(new.max_ns)}"))
    head = ("benchmark", *(f"p{label}" for label in TAIL), "max")
    return Table("Percentiles, before → after", head, tuple(rows)) if rows else None


def _pairs(result: ScenarioResult) -> list[tuple[Latency, Latency, Verdict]]:
    """Return every benchmark of two files: before, after, verdict."""
    after = {x.group: x for x in result.latencies if x.arm != BASELINE}
    verdicts = {verdict.promise: verdict for verdict in result.verdicts}
    both = [x for x in result.latencies if x.arm == BASELINE and x.group in after]
    return [(x, after[x.group], verdicts[x.group]) for x in both]


def _urgency(pair: tuple[Latency, Latency, Verdict]) -> tuple[int, float, str]:
    """Return the place in the order: the most pressing verdict first, then the largest change."""
    verdict = pair[-1]
    change = max(verdict.value, 1 / verdict.value) if verdict.value else 0.0
    return (UNPAIRED_VERDICTS.index(verdict.verdict), -change, verdict.promise)


def _compared(old: Latency, new: Latency, verdict: Verdict) -> tuple[Cell, ...]:
    bounds = interval(verdict.low, verdict.high)
    ratio = Cell(
        DASH if verdict.value is None else times(verdict.value), "" if bounds else verdict.sentence, bounds or "(no interval)"
    )
    samples = [whole(x.samples) if x.samples else DASH for x in (old, new)]
    values = Cell(" → ".join(dict.fromkeys(samples)), UNKNOWN if DASH in samples else "")
    judged = Cell("", verdict.sentence, status=status(verdict.verdict))
    return cells(old.group, judged, duration(median_ns(old)), duration(median_ns(new)), ratio, values)


def _percentile(label: str, *values_ns: float | None) -> Cell:
    """Return a percentile of one file, or of two: before → after."""
    if any(value is not None for value in values_ns):
        return Cell(" → ".join(DASH if value is None else duration(value) for value in values_ns))
    needed = round(SAMPLES_BEYOND / (1 - QUANTILES[label]))
    return Cell(DASH, f"not in the file{'s' if len(values_ns) > 1 else ''}, or too few values: {needed:,} are needed")


def median_ns(latency: Latency) -> float:
    """Return the median that a file gives, however few values it rests on, in nanoseconds."""
    return latency.process_medians_ns[0] if latency.process_medians_ns else latency.percentiles_ns.get("50") or latency.mean_ns
