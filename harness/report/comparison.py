"""Result files of other tools, alone or two of them compared: runs of the kinds "file" and "comparison"."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.language import gettext, mark, word
from harness.report import tables
from harness.report.blocks import (
    Block,
    Cell,
    Notice,
    Notices,
    Paragraph,
    ReportSection,
    Table,
    cells,
    of,
    status,
    warning_notices,
)
from harness.report.numbers import DASH, clock_time, duration, interval, significant, times, whole
from harness.results.names import shortened, visible
from harness.results.run import (
    BASELINE,
    UNPAIRED_VERDICTS,
    FileMetric,
    Latency,
    OperationCounts,
    PromiseVerdict,
    Run,
    RunKind,
    Verdict,
)
from harness.stats.intervals import MEDIAN, QUANTILES, samples_needed

KINDS = {RunKind.FILE, RunKind.COMPARISON}
"""The kinds of runs that are shown here."""

TAIL = ("90", "95", "99", "99.9")
MACHINE = (("cpu", "cpu_model_name"), ("os", "platform", "system"), ("arch", "machine"))
"""The facts about a file that name its machine: processor, operating system, architecture; the first of each that it has."""
PYTHON = ("python", "python_version")
UNKNOWN = mark("not in the file")
TOTALS = {"Aggregated", "Total"}
"""Names of a benchmark that sums up all others."""
NO_TIMES = mark("no operation succeeded, none was tried, or it is not a time")

READ = (
    mark("Times faster is the median before ÷ the median after: above 1 is faster."),
    mark("The 95 % confidence interval comes from each file's samples: the precision of each median. Aggregates have none."),
    mark(
        "The median, p90, p95, p99 and the mean are tested together, each against its own drift: "
        "one that is slower is a regression."
    ),
    mark("More failed operations are a regression, whatever the times are: failed operations often end at once."),
    mark("Inconclusive: the difference may be drift. Two runs that were not interleaved are never shown to be equal."),
)


@dataclass(frozen=True)
class FileBenchmark:
    """One benchmark of one file or of two: of each a pair (before, after), of one file (it, nothing).

    A judged figure that is not a time is one as well, with a verdict alone.
    """

    name: str
    latencies: tuple[Latency | None, Latency | None]
    operations: tuple[OperationCounts | None, OperationCounts | None]
    verdict: Verdict | None


def benchmarks(run: Run) -> list[FileBenchmark]:
    """Return the benchmarks, totals first: of one file in its order, of two the most pressing first, then the largest change."""
    found = []
    for result in run.scenarios:
        latencies = {(x.group, x.arm == BASELINE): x for x in result.latencies}
        operations = {(x.group, x.arm in {BASELINE, ""}): x for x in result.operations}
        verdicts = {verdict.promise: verdict for verdict in result.verdicts}
        timed, counted = ([x.group for x in records] for records in (result.latencies, result.operations))
        for name in dict.fromkeys([*(counted if set(timed) <= set(counted) else timed), *timed, *counted, *verdicts]):
            pairs = [(of_side.get((name, True)), of_side.get((name, False))) for of_side in (latencies, operations)]
            found.append(FileBenchmark(name, pairs[0], pairs[1], verdicts.get(name)))  # type: ignore[arg-type]
    return sorted(found, key=_urgency if run.kind == RunKind.COMPARISON else lambda x: not is_total(x.name))


def is_total(name: str) -> bool:
    """Return whether a benchmark sums up all others of its file."""
    return name in TOTALS


def _urgency(benchmark: FileBenchmark) -> tuple[bool, int, float]:
    verdict, is_rest = benchmark.verdict, not is_total(benchmark.name)
    if verdict is None:
        return is_rest, len(UNPAIRED_VERDICTS) + 1, 0.0
    known = verdict.verdict in UNPAIRED_VERDICTS
    place = UNPAIRED_VERDICTS.index(verdict.verdict) if known else len(UNPAIRED_VERDICTS)
    return is_rest, place, -abs_change(verdict.value) if verdict.value else 0.0


def abs_change(ratio: float) -> float:
    """Return the size of a change, the same for twice as fast and twice as slow; 1 for a ratio that is not above 0."""
    return max(ratio, 1 / ratio) if ratio > 0 and math.isfinite(ratio) else 1.0


def named(run: Run) -> dict[str, Cell]:
    """Return name → cell of every benchmark and other figure: cut where it does not differ, the whole one as a note."""
    records = ((*r.latencies, *r.operations, *r.metrics) for r in run.scenarios)
    return tables.named_cells(
        [*(x.group for of_result in records for x in of_result), *(v.promise for r in run.scenarios for v in r.verdicts)]
    )


def tally(run: Run) -> dict[PromiseVerdict, int]:
    """Return the number of benchmarks with each verdict, the most pressing first; those that this version does not know last."""
    counts = Counter(verdict.verdict for result in run.scenarios for verdict in result.verdicts)
    return {verdict: counts[verdict] for verdict in dict.fromkeys([*UNPAIRED_VERDICTS, *counts]) if counts[verdict]}


def counts_of(found: Iterable[FileBenchmark]) -> str:
    """Return the number of benchmarks with each verdict as text: `3 inconclusive, 1 added`."""
    counted = Counter(cell.status.name if cell.status else cell.text for cell in map(_judged, found))
    return gettext(", ").join(gettext("{number} {verdict}", number=f"{number:,}", verdict=name) for name, number in counted.items())


def drift_of(run: Run) -> float | None:
    """Return the drift that a comparison allowed for, as a share; None if it cannot be read."""
    try:
        return float(run.environment["drift"].removesuffix("%")) / 100
    except (KeyError, ValueError):
        return None


def counts(run: Run) -> str:
    """Return the tally as text, without zeros: `▲ 2 improved, ? 1 inconclusive`; empty for a single file."""
    return gettext(", ").join(f"{status(verdict).sign} {number} {word(verdict)}" for verdict, number in tally(run).items())


def warnings(run: Run, *, with_regressed: bool = True) -> list[Block]:
    """Return what regressed and why, and the warnings of the run and of its files, in boxes; nothing for neither."""
    of_files = (warning for result in run.scenarios for warning in result.warnings)
    regressed = [b.verdict for b in benchmarks(run) if b.verdict is not None and b.verdict.verdict == PromiseVerdict.REGRESSED]
    names = named(run)
    items = [Notice("", names[v.promise].text, v.sentence, status(v.verdict).tone) for v in regressed]
    found = [Notices(gettext("Regressed"), tuple(items))] if items and with_regressed else []
    return [*found, *warning_notices(mark("Warnings"), [*run.warnings, *of_files])]


def blocks(run: Run) -> list[Block]:
    """Return the tables, the tally, every warning, the percentiles, how to read them, and the files."""
    compared = run.kind == RunKind.COMPARISON
    beyond = tails(run)
    times_found = table(run)
    found = of(
        times_found if times_found.rows else None,
        extremes(run),
        metrics(run),
        *warnings(run),
        Paragraph("", f"{counts(run)}.") if counts(run) else None,
        ReportSection(beyond.caption, (beyond,)) if beyond else None,
        ReportSection(gettext("How to read this"), tuple(Paragraph(gettext(text)) for text in READ)) if compared else None,
        ReportSection(gettext("Files"), (files(run),)) if run.environment else None,
    )
    return [
        ReportSection(
            gettext("Before and after: {name}", name=run.name) if compared else gettext("Times: {name}", name=run.name),
            tuple(found),
            folded=False,
        )
    ]


def files(run: Run) -> Table:
    """Return the facts about the files."""
    return tables.facts(
        gettext("Facts about the files") if run.kind == RunKind.COMPARISON else gettext("Facts about the file"),
        mark("fact"),
        run.environment,
    )


def sides(run: Run) -> Table:
    """Return a row per file: its commit, time, machine and Python; columns that no file states are left out."""
    compared = run.kind == RunKind.COMPARISON
    rows = []
    for when in (mark("before"), mark("after")) if compared else ("",):
        facts = {key.removeprefix(f"{when}: "): value for key, value in run.environment.items() if not when or key.startswith(when)}
        if not compared:
            facts = {"measured": run.started_at, "commit": run.commit or "", **facts}
        row = {
            "": gettext(when),
            mark("file"): facts.get("file", "") or run.name,
            "measured": clock_time(facts.get("measured", "")),
        }
        row["commit"] = facts.get("commit", "")
        row[mark("machine")] = ", ".join(
            filter(None, (next((facts[key] for key in keys if facts.get(key)), "") for keys in MACHINE))
        )
        row["Python"] = next((facts[key] for key in PYTHON if facts.get(key)), "")
        rows.append(row)
    files = tables.named_cells(row["file"] for row in rows)
    head = [name for name in rows[0] if any(row[name] for row in rows)]
    made = [[files[row[name]] if name == "file" else Cell(shortened(visible(row[name])) or DASH) for name in head] for row in rows]
    return Table("", tuple(head), tuple(map(tuple, made)), names=len(head))


def table(run: Run) -> Table:
    """Return a row per benchmark: before, after, ratio, interval and verdict, or the figures of one file."""
    return _two_files(run) if run.kind == RunKind.COMPARISON else _one_file(run)


def _two_files(run: Run) -> Table:
    rows, names = [], named(run)
    for benchmark in benchmarks(run):
        verdict, (old, new) = benchmark.verdict, benchmark.latencies
        missing = gettext(NO_TIMES) if verdict else gettext("not in this file")
        medians = [Cell(DASH, missing) if x is None else duration(median_ns(x)) for x in (old, new)]
        samples = [whole(x.samples) if x and x.samples else DASH for x in (old, new)]
        number = Cell(" → ".join(dict.fromkeys(samples)), gettext(UNKNOWN) if DASH in samples else "")
        rows.append(cells(names[benchmark.name], _judged(benchmark), *medians, _ratio(benchmark), number))
    head = (mark("benchmark"), mark("verdict"), mark("before"), mark("after"), "times faster, 95 % CI", "samples")
    return Table(gettext("Medians, before and after"), head, tuple(rows), names=2, wide=("samples",))


def _ratio(benchmark: FileBenchmark) -> Cell:
    """Return the ratio of the medians with its interval; a dash with the reason for none."""
    verdict = benchmark.verdict
    if verdict is None or None in benchmark.latencies:
        return Cell(DASH, gettext("only one file has times") if any(benchmark.latencies) else gettext(NO_TIMES))
    if verdict.value is None:
        is_zero = any(x is not None and not median_ns(x) for x in benchmark.latencies)
        return Cell(DASH, verdict.sentence, gettext("(a median is 0)") if is_zero else gettext("(not judged)"))
    bounds = interval(verdict.low, verdict.high)
    return Cell(times(verdict.value), "" if bounds else verdict.sentence, bounds or gettext("(no interval)"))


def _one_file(run: Run) -> Table:
    rows, names, (has_failures, has_rates) = [], named(run), _counted(run)
    for benchmark in benchmarks(run):
        latency = benchmark.latencies[0]
        shown = [_failed(benchmark, 1)] * has_failures + [_per_s(benchmark, 1)] * has_rates
        if latency is None:
            rows.append(cells(names[benchmark.name], *shown, *[Cell(DASH, gettext(NO_TIMES))] * 9))
            continue
        tail = [_percentile(label, latency.percentiles_ns.get(label)) for label in TAIL]
        samples = whole(latency.samples) if latency.samples else Cell(DASH, gettext(UNKNOWN))
        highest = _highest((latency,))
        figures = (highest, duration(median_ns(latency)), duration(latency.max_ns))
        rows.append(cells(names[benchmark.name], *shown, *figures, *tail, duration(latency.mean_ns), samples))
    optional = ["failed"] * has_failures + [mark("per s")] * has_rates
    wide = (*(f"p{label}" for label in TAIL), "mean", "samples")
    return Table(
        gettext("Times"), ("benchmark", *optional, mark("highest percentile"), mark("median"), "max", *wide), tuple(rows), wide=wide
    )


def extremes(run: Run) -> Table | None:
    """Return the failures, throughput, highest percentile and maximum of two files, before → after; None for one file."""
    if run.kind != RunKind.COMPARISON:
        return None
    rows, names, (has_failures, has_rates) = [], named(run), _counted(run)
    for benchmark in benchmarks(run):
        found = [_failed(benchmark, 2)] * has_failures + [_per_s(benchmark, 2)] * has_rates
        known = [x for x in benchmark.latencies if x is not None]
        largest = [DASH if x is None else duration(x.max_ns) for x in benchmark.latencies]
        rows.append(
            cells(
                names[benchmark.name],
                *found,
                _highest(benchmark.latencies),
                " → ".join(largest) if known else Cell(DASH, gettext(NO_TIMES)),
            )
        )
    head = ("benchmark", *["failed"] * has_failures, *[mark("per s")] * has_rates, "highest percentile", "max")
    return Table(gettext("Failures, throughput and the slowest, before → after"), head, tuple(rows), texts=head[1:])


def _medians(benchmark: FileBenchmark) -> Cell:
    """Return the median of one file, or of two: before → after."""
    texts = [DASH if x is None else duration(median_ns(x)) for x in benchmark.latencies]
    return Cell(DASH, gettext(NO_TIMES)) if set(texts) == {DASH} else Cell(" → ".join(texts))


def front(run: Run) -> Table:
    """Return a row per benchmark of two files: verdict, failures, throughput and times before → after, ratio of the medians."""
    found, names, (has_failures, has_rates) = benchmarks(run), named(run), _counted(run)
    highest = [_highest(benchmark.latencies) for benchmark in found]
    has_tails = any(not cell.text.startswith((f"p{MEDIAN} ", DASH)) for cell in highest)
    rows = []
    for benchmark, tail in zip(found, highest, strict=True):
        counts = [_failed(benchmark, 2)] * has_failures + [_per_s(benchmark, 2)] * has_rates + [tail] * has_tails
        rows.append(cells(names[benchmark.name], _judged(benchmark), *counts, _medians(benchmark), _ratio(benchmark)))
    optional = ["failed"] * has_failures + ["per second"] * has_rates + ["highest percentile"] * has_tails
    head = ("benchmark", "verdict", *optional, "p50", "times faster, 95 % CI")
    return Table("", head, tuple(rows), names=2)


def _judged(benchmark: FileBenchmark) -> Cell:
    """Return the verdict on a benchmark with its sentence; or that only one file has it."""
    if benchmark.verdict is None:
        is_removed = benchmark.latencies[1] is None and benchmark.operations[1] is None
        return Cell(gettext("removed") if is_removed else gettext("added"))
    return Cell("", benchmark.verdict.sentence, status=status(benchmark.verdict.verdict))


def is_decided(benchmark: FileBenchmark) -> bool:
    """Return whether a benchmark of two files changed, or its verdict needs attention."""
    quiet = {PromiseVerdict.INCONCLUSIVE, PromiseVerdict.EQUAL}
    return benchmark.verdict is not None and benchmark.verdict.verdict not in quiet


def _counted(run: Run) -> tuple[bool, bool]:
    """Return whether any benchmark has counts of failures, and a throughput."""
    known = [x for result in run.scenarios for x in result.operations]
    return bool(known), any(x.per_s is not None for x in known)


def _failed(benchmark: FileBenchmark, sides: int) -> Cell:
    found = benchmark.operations[:sides]
    if not any(x and x.operations for x in found):
        return Cell(DASH, gettext(UNKNOWN) if all(x is None for x in found) else gettext(NO_TIMES))
    shares = [f"{x.errors / x.operations * 100:.3g} %" if x and x.operations else DASH for x in found]
    numbers = [
        gettext(UNKNOWN) if x is None else gettext("{number} of {total}", number=f"{x.errors:,}", total=f"{x.operations:,}")
        for x in found
    ]
    return Cell(" → ".join(shares), " → ".join(numbers))


def _per_s(benchmark: FileBenchmark, sides: int) -> Cell:
    rates = [None if x is None else x.per_s for x in benchmark.operations[:sides]]
    if all(rate is None for rate in rates):
        return Cell(DASH, gettext(UNKNOWN))
    return Cell(" → ".join(DASH if rate is None else significant(rate) for rate in rates))


def _highest(latencies: Sequence[Latency | None]) -> Cell:
    """Return the highest percentile that all files with times have: `p95 35.0 ms → 2.40 s`, `p95 35.0 ms → –`."""
    known = [x for x in latencies if x is not None]
    for label in reversed(QUANTILES):
        if known and all(x.percentiles_ns.get(label) is not None for x in known):
            values = [None if x is None else x.percentiles_ns[label] for x in latencies]
            return Cell(f"p{label} {' → '.join(DASH if value is None else duration(value) for value in values)}")
    return Cell(DASH, gettext(NO_TIMES) if not known else gettext("not in the file, or too few samples"))


def metrics(run: Run) -> Table | None:
    """Return what the files have besides times, in its own unit; None without any."""
    found: dict[str, list[FileMetric]] = {}
    for metric in (x for result in run.scenarios for x in result.metrics):
        found.setdefault(metric.group, []).append(metric)
    rows, names = [], named(run)
    for name, sides in found.items():
        figures = [_arrow(sides, figure) for figure in ("median", "mean", "max")]
        tail = [f"{q} {significant(v)}" for m in sides for q, v in [_highest_of(m)] if v is not None]
        rows.append(
            cells(
                names[name],
                sides[0].unit or Cell(DASH, gettext("a plain number")),
                *figures,
                " → ".join(tail) or Cell(DASH, gettext(UNKNOWN)),
            )
        )
    head = ("figure", "unit", "median", "mean", "max", "highest percentile")
    return Table(gettext("Other figures"), head, tuple(rows), names=2, texts=("highest percentile",)) if rows else None


def _arrow(sides: Sequence[FileMetric], figure: str) -> Cell:
    values: list[float | None] = [getattr(metric, figure) for metric in sides]
    if all(value is None for value in values):
        return Cell(DASH, gettext(UNKNOWN))
    return Cell(" → ".join(DASH if value is None else whole(value) for value in values))


def _highest_of(metric: FileMetric) -> tuple[str, float | None]:
    known = [(f"p{label}", metric.percentiles.get(label)) for label in reversed(QUANTILES)]
    return next(((label, value) for label, value in known if value is not None), ("", None))


def tails(run: Run) -> Table | None:
    """Return the percentiles, before → after; None for one file, or if no file has any above the median."""
    rows, names = [], named(run)
    for benchmark in benchmarks(run) if run.kind == RunKind.COMPARISON else ():
        old, new = benchmark.latencies
        if old is not None and new is not None:
            arrows = [_percentile(label, old.percentiles_ns.get(label), new.percentiles_ns.get(label)) for label in TAIL]
            if any(cell.text != DASH for cell in arrows):
                rows.append(
                    cells(names[benchmark.name], _medians(benchmark), *arrows, f"{duration(old.mean_ns)} → {duration(new.mean_ns)}")
                )
    head = ("benchmark", "p50", *(f"p{label}" for label in TAIL), "mean")
    return Table(gettext("Percentiles, before → after"), head, tuple(rows)) if rows else None


def _percentile(label: str, *values_ns: float | None) -> Cell:
    """Return a percentile of one file, or of two: before → after."""
    if any(value is not None for value in values_ns):
        return Cell(" → ".join(DASH if value is None else duration(value) for value in values_ns))
    needed = samples_needed(QUANTILES[label])
    text = mark("not in the file, or too few samples: {needed} are needed")
    if len(values_ns) > 1:
        text = mark("not in the files, or too few samples: {needed} are needed")
    return Cell(DASH, gettext(text, needed=f"{needed:,}"))


def median_ns(latency: Latency) -> float:
    """Return the median that a file gives, however few values it rests on, in nanoseconds."""
    return latency.process_medians_ns[0] if latency.process_medians_ns else latency.percentiles_ns.get("50") or latency.mean_ns
