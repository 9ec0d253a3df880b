"""The verdict on a whole comparison, the same for stored runs, two checkouts, files of other tools and a pytest item."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness.results.gate import GateResult, GateRow, GateVerdict, RowKind
from harness.results.run import RunWarning

ACCEPT = "measure it again, or accept the candidate as the new baseline: harness baseline accept RUN"
AGAINST = "time both versions interleaved: harness gate --against REF"

NOUNS = {
    RowKind.ERRORS: "error rate",
    RowKind.WORK: "work count",
    RowKind.MEMORY: "memory peak",
    RowKind.TIME: "time",
    RowKind.THROUGHPUT: "throughput",
    RowKind.METRIC: "metric",
    RowKind.CHECKS: "check",
    RowKind.STATUS: "scenario or arm",
}
BENCHMARK = "benchmark"
UNDECIDED = "no work count was judged that could decide"
SHOWN_NAMES = 5
"""The number of names that a message lists before it only counts the rest."""


def overall(
    rows: Sequence[GateRow], incomparable: Sequence[RunWarning] = (), *, undecided: str = UNDECIDED
) -> tuple[GateVerdict, str]:
    """Return the verdict on a whole comparison, and the reason in one sentence without a full stop.

    The first that applies: a row regressed; something could not be compared, or nothing was; a row is inconclusive; nothing decided
    (no work count was judged, and some times could not be judged, or none is equivalent or improved); a row improved; none of
    them, which is equivalent. `undecided` is the reason where nothing decided.
    """
    return next(_rules(rows, incomparable, undecided))


def result(
    names: tuple[str, str],
    rows: Sequence[GateRow],
    incomparable: Sequence[RunWarning] = (),
    warnings: Sequence[RunWarning] = (),
    *,
    undecided: str = UNDECIDED,
) -> GateResult:
    """Return the result of a comparison with its overall verdict; `names` are those of the baseline and the candidate."""
    verdict, sentence = overall(rows, incomparable, undecided=undecided)
    return GateResult(*names, verdict, sentence, list(rows), list(incomparable), list(warnings))


def ended(found: GateResult, unfinished: str, folder: Path | None) -> GateResult:
    """Return the result of a gate that may be `unfinished` for a reason, which its sentence then states with what to do next."""
    if not unfinished:
        return found
    go_on = f"; continue it with --resume {folder}" if folder else ""
    return replace(found, sentence=f"{found.sentence}; unfinished: {unfinished}{go_on}", unfinished=unfinished)


def first(names: tuple[str, str], count: int, warnings: Sequence[RunWarning] = ()) -> GateResult:
    """Return the result of a comparison whose baseline has no benchmarks yet, while `count` of the candidate ran."""
    ran = f"{counted(count, 'benchmark')} of the new one ran"
    sentence = f"the old version has none of these benchmarks, so that nothing is compared yet; {ran}"
    return GateResult(*names, GateVerdict.EQUIVALENT, sentence, [], [], list(warnings))


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 time`, `2 times`, `2 scenarios or arms`."""
    return f"{number} {noun if number == 1 else ' or '.join(f'{one}s' for one in noun.split(' or '))}"


def in_words(ratio: float) -> str:
    """Return a ratio before ÷ after in words: `1.4× faster`, `12 % slower`, `69 times as long`; `×` means times as fast."""
    if ratio >= 1:
        return "unchanged" if ratio < 1.005 else f"{ratio:.3g}× faster"  # noqa: PLR2004 - three digits
    return f"{(1 / ratio - 1) * 100:.3g} % slower" if ratio > 0.5 else f"{1 / ratio:.3g} times as long"  # noqa: PLR2004 - larger percentages are hard to read


def listed(names: Sequence[str], *, quote: bool = True) -> str:
    """Return the first `SHOWN_NAMES` names and the number of the others: `'a', 'b' and 3 more`."""
    shown = ", ".join(repr(name) if quote else name for name in names[:SHOWN_NAMES])
    return f"{shown} and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else shown


def _rules(rows: Sequence[GateRow], incomparable: Sequence[RunWarning], undecided: str) -> Iterator[tuple[GateVerdict, str]]:
    """Yield the verdicts whose rule applies, in the order of `overall`; the last one always does."""
    verdicts = Counter(row.verdict for row in rows)
    found = Counter((row.kind, row.verdict) for row in rows)
    not_judged = found[RowKind.TIME, GateVerdict.NOT_JUDGED] + found[RowKind.METRIC, GateVerdict.NOT_JUDGED]
    improved = any(found[kind, GateVerdict.IMPROVED] for kind in (RowKind.TIME, RowKind.ERRORS, RowKind.METRIC))
    noun = "figure" if found[RowKind.METRIC, GateVerdict.NOT_JUDGED] else "time"
    also = f"; {counted(not_judged, noun)} could not be judged" if not_judged else ""
    work = found[RowKind.WORK, GateVerdict.EQUAL] + found[RowKind.WORK, GateVerdict.IMPROVED]
    equivalent, same = found[RowKind.TIME, GateVerdict.EQUIVALENT], found[RowKind.METRIC, GateVerdict.EQUAL]
    if verdicts[GateVerdict.REGRESSED]:
        yield GateVerdict.REGRESSED, f"{_by_kind(rows, GateVerdict.REGRESSED)} regressed"
    if incomparable:
        more = f", and {len(incomparable) - 1} more" if len(incomparable) > 1 else ""
        yield GateVerdict.NOT_COMPARABLE, f"{incomparable[0].name}: {incomparable[0].message}{more}"
    if not any(row.kind not in {RowKind.STATUS, RowKind.CHECKS} or row.verdict == GateVerdict.INCONCLUSIVE for row in rows):
        yield GateVerdict.NOT_COMPARABLE, "baseline and candidate have no figure in common: nothing was compared"
    if verdicts[GateVerdict.INCONCLUSIVE]:
        open_rows = [row for row in rows if row.verdict == GateVerdict.INCONCLUSIVE]
        reasons = dict.fromkeys(row.reason for row in open_rows if row.kind == RowKind.STATUS)
        figures = _by_kind([row for row in open_rows if row.kind != RowKind.STATUS], GateVerdict.INCONCLUSIVE)
        yield GateVerdict.INCONCLUSIVE, "; ".join([*reasons, *([f"{figures} inconclusive"] if figures else [])])
    if not work and (not_judged or not (equivalent or same or improved)):
        gains = f"{_by_kind(rows, GateVerdict.IMPROVED)} improved" if improved else undecided
        yield GateVerdict.INCONCLUSIVE, f"{gains}{also}"
    if verdicts[GateVerdict.IMPROVED]:
        yield GateVerdict.IMPROVED, f"{_by_kind(rows, GateVerdict.IMPROVED)} improved, nothing regressed{also}"
    equal = [f"{counted(work, 'work count')} equal"] * bool(work or not (equivalent or same))
    equal += [f"{counted(same, 'metric')} equal"] * bool(same)
    untimed = sum(row.is_untimed for row in rows)
    equal += [f"{counted(untimed, BENCHMARK)} unchanged and not timed"] * bool(untimed)
    noun = BENCHMARK if any(row.paired for row in rows) else NOUNS[RowKind.TIME]
    equal += [f"{counted(equivalent - untimed, noun)} equivalent"] * (equivalent > untimed)
    yield GateVerdict.EQUIVALENT, f"{', '.join(equal)}{also}"


def _by_kind(rows: Iterable[GateRow], verdict: GateVerdict) -> str:
    """Return the number of rows with a verdict by kind: `2 work counts and 1 time`; interleaved times are benchmarks."""
    counts = Counter(BENCHMARK if row.paired else NOUNS[row.kind] for row in rows if row.verdict == verdict)
    return " and ".join(counted(counts[noun], noun) for noun in (*NOUNS.values(), BENCHMARK) if counts[noun])
