"""Files of other tools, alone or two side by side, as tables: runs that this harness did not measure (kinds "file", "compare")."""

from __future__ import annotations

from collections import Counter

from harness.report.numbers import DASH, duration, interval, times, whole
from harness.report.tables import Cell, Table
from harness.results.gate import GateVerdict
from harness.results.run import BASELINE, Latency, PromiseVerdict, Run, ScenarioResult, Verdict
from harness.stats.intervals import QUANTILES
from harness.verdicts.unpaired import VERDICTS

KINDS = {"file", "compare"}
"""The kinds of runs that are shown here."""

SIGNS = {PromiseVerdict.IMPROVED: "▲", PromiseVerdict.REGRESSED: "✗", PromiseVerdict.INCONCLUSIVE: "?"}
"""A sign for each verdict, always beside its word."""

CLASSES = {GateVerdict.IMPROVED: "exceeded", GateVerdict.REGRESSED: "refuted", PromiseVerdict.INCONCLUSIVE: "inconclusive"}
"""The verdict of a promise whose colour each has."""

TAIL = ("90", "95", "99", "99.9")
NOT_SAID = "the file does not say"

READ = (
    "Times faster is the median before ÷ the median after: above 1 is faster.",
    "The 95 % interval is a bootstrap over each file's values: how well a run knows its own median. Aggregates alone give none.",
    "Regressed and improved: the whole interval, or the change where no interval is known, is beyond the drift.",
    "Inconclusive: it is not, and nothing can be said; two runs at two moments are never shown to be equal.",
)


def tally(run: Run) -> dict[str, int]:
    """Return how many benchmarks have each verdict, the most pressing first."""
    counts = Counter(verdict.verdict for result in run.scenarios for verdict in result.verdicts)
    return {word: counts[word] for word in VERDICTS}


def table(run: Run) -> Table:
    """Return a row a benchmark: before, after, ratio, interval and verdict, or the times alone where there is one file."""
    rows = [row for result in run.scenarios for row in (_compared(result) if result.verdicts else _alone(result))]
    if any(result.verdicts for result in run.scenarios):
        head = ("benchmark", "verdict", "before", "after", "times faster", "95 % interval", "values")
        return Table("Medians, before and after", head, tuple(rows), names=2)
    return Table("Times", ("benchmark", "median", *(f"p{label}" for label in TAIL), "max", "mean", "values"), tuple(rows))


def tails(run: Run) -> Table | None:
    """Return the percentiles beyond the median, before → after; None where no file knows any, or there is one file."""
    rows = []
    for result in run.scenarios:
        for old, new in _pairs(result):
            cells = [Cell(*_arrow(old.percentiles_ns.get(label), new.percentiles_ns.get(label))) for label in TAIL]
            if any(cell.text != DASH for cell in cells):
                rows.append((Cell(old.group), *cells, Cell(f"{duration(old.max_ns)} → {duration(new.max_ns)}")))
    return (
        Table("Percentiles, before → after", ("benchmark", *(f"p{label}" for label in TAIL), "max"), tuple(rows)) if rows else None
    )


def _pairs(result: ScenarioResult) -> list[tuple[Latency, Latency]]:
    after = {x.group: x for x in result.latencies if x.arm != BASELINE}
    return [(x, after[x.group]) for x in result.latencies if x.arm == BASELINE and x.group in after]


def _compared(result: ScenarioResult) -> list[tuple[Cell, ...]]:
    """Return the rows of a comparison, the most pressing verdict first, then the largest change."""
    verdicts = {verdict.promise: verdict for verdict in result.verdicts}
    pairs = sorted(_pairs(result), key=lambda pair: _urgency(verdicts[pair[0].group]))
    return [_compared_row(old, new, verdicts[old.group]) for old, new in pairs]


def _urgency(verdict: Verdict) -> tuple[int, float, str]:
    change = max(verdict.value, 1 / verdict.value) if verdict.value else 0.0
    return (VERDICTS.index(verdict.verdict) if verdict.verdict in VERDICTS else len(VERDICTS), -change, verdict.promise)


def _compared_row(old: Latency, new: Latency, verdict: Verdict) -> tuple[Cell, ...]:
    counts = [whole(x.samples) if x.samples else DASH for x in (old, new)]
    return (
        Cell(old.group),
        Cell(f"{SIGNS.get(verdict.verdict, '')} {verdict.verdict}".strip(), verdict.sentence),
        Cell(duration(median_ns(old))),
        Cell(duration(median_ns(new))),
        Cell(times(verdict.value)) if verdict.value is not None else Cell(DASH, verdict.sentence),
        Cell(interval(verdict.low, verdict.high), "" if verdict.low is not None else verdict.sentence),
        Cell(" → ".join(dict.fromkeys(counts)), "" if DASH not in counts else NOT_SAID),
    )


def _alone(result: ScenarioResult) -> list[tuple[Cell, ...]]:
    return [
        (
            Cell(x.group),
            Cell(duration(median_ns(x))),
            *(_percentile(x.percentiles_ns.get(label), label) for label in TAIL),
            Cell(duration(x.max_ns)),
            Cell(duration(x.mean_ns)),
            Cell(whole(x.samples)) if x.samples else Cell(DASH, NOT_SAID),
        )
        for x in result.latencies
    ]


def _percentile(value_ns: float | None, label: str) -> Cell:
    needed = round(10 / (1 - QUANTILES[label]))
    missing = f"not in the file, or too few values: {needed:,} are needed"
    return Cell(DASH, missing) if value_ns is None else Cell(duration(value_ns))


def median_ns(latency: Latency) -> float:
    """Return the median that a file gives, however few values it rests on."""
    return latency.process_medians_ns[0] if latency.process_medians_ns else latency.percentiles_ns.get("50") or latency.mean_ns


def _arrow(old_ns: float | None, new_ns: float | None) -> tuple[str, str]:
    if old_ns is None and new_ns is None:
        return DASH, "not in the files, or too few values"
    return " → ".join(DASH if value is None else duration(value) for value in (old_ns, new_ns)), ""
