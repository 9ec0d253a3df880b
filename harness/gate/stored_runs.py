"""The gate on stored runs: what became of every figure, and one verdict that a build ends with. Pure, from runs to a result.

Exact work decides. Times from two moments show a large change alone and are else not judged, which is said; where there is nothing
but such times, the gate is inconclusive. What is missing or renamed, of other data or other versions, is not comparable, by name. A
candidate's scenario that failed is a regression. No row, no pass.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from harness.errors import UsageError
from harness.gate import matching as gate_sides
from harness.gate import stored_times as gate_times
from harness.gate import work_counts as gate_work
from harness.gate.matching import MatchedPair, counted
from harness.gate.work_counts import Rules
from harness.results.gate import GateResult, GateRow, GateVerdict, RowKind
from harness.results.run import PromiseVerdict, Run, RunWarning

ACCEPT = "measure it again, or accept the candidate as the new baseline: harness baseline accept RUN"
AGAINST = "time both versions in turn: harness gate --against REF"


def gate(
    base: Run,
    candidate: Run,
    tolerances: Mapping[str, float] | None = None,
    *,
    only: str = "*",
    names: tuple[str, str] = ("the baseline", "the candidate"),
) -> GateResult:
    """Return what became of every figure of `base` in `candidate`, and the verdict.

    `tolerances` maps "scenario.metric" to a share and goes before what scenarios say themselves; `only` is a glob that chooses
    scenarios by name; `names` are how the sides are called.

    Raises:
        UsageError: `only` matches no scenario of the baseline, or a tolerance has no meaning.
    """
    reasons = gate_sides.of_the_whole(base, candidate)
    if reasons:
        return GateResult(*names, GateVerdict.NOT_COMPARABLE, reasons[0].message, incomparable=reasons)
    before, after = ([r for r in run.scenarios if fnmatchcase(r.name, only)] for run in (base, candidate))
    if base.scenarios and not before:
        known = ", ".join(sorted({r.name for r in base.scenarios}))
        raise UsageError(f"no scenario is named like {only!r}; the baseline has {known}")
    sides = gate_sides.pair(before, after, stopped=candidate.interrupted)
    rows, incomparable = list(sides.rows), list(sides.incomparable)
    for one in sides.pairs:
        found, reasons = _rows(one, _rules(one, tolerances or {}, base, candidate))
        rows += found
        incomparable += reasons
    times = gate_times.times([(p.old, p.new) for p in sides.pairs], gate_sides.another_machine(base, candidate))
    rows += times.rows
    verdict, sentence = next(_verdicts(rows, incomparable, all_slower=times.all_slower))
    warnings = [*sides.warnings, *times.warnings, *_warnings(base, candidate, rows)]
    return GateResult(*names, verdict, sentence, rows, incomparable, warnings)


def of_files(compared: Run) -> GateResult:
    """Return the result on two files of another tool, from `harness.gate.result_files`: times alone, unpaired."""
    rows, sides = [], ("before", "after")
    for result in compared.scenarios:
        sides = (result.arms[0].description.removeprefix("before: "), result.arms[-1].description.removeprefix("after: "))
        medians = {(x.group, x.arm): x.process_medians_ns[0] for x in result.latencies}
        for v in result.verdicts:
            old, new = medians.get((v.promise, result.arms[0].name)), medians.get((v.promise, v.arm))
            bounds = (1 / v.high if v.high else None, 1 / v.low if v.low else None)
            word = GateVerdict.NOT_JUDGED if v.verdict == PromiseVerdict.INCONCLUSIVE else GateVerdict(v.verdict)
            change = 1 / v.value if v.value else None
            rows.append(
                GateRow(
                    RowKind.TIME, v.promise, result.engine, 0.0, "", "", "time", word, v.sentence, old, new, "ns", change, *bounds
                )
            )
    verdict, sentence = next(_verdicts(rows, [], all_slower=False))
    return GateResult(*sides, verdict, sentence, rows, warnings=[d for r in compared.scenarios for d in r.warnings])


def refused(base: str, candidate: str, says: str) -> GateResult:
    """Return the result on two sides that do not go together at all."""
    return GateResult(base, candidate, GateVerdict.NOT_COMPARABLE, says, incomparable=[RunWarning("not comparable", says, ACCEPT)])


def _rules(pair: MatchedPair, tolerances: Mapping[str, float], base: Run, candidate: Run) -> Rules:
    name = f"{pair.new.name}."
    own = {key.removeprefix(name): share for key, share in tolerances.items() if key.startswith(name)}
    no_work, no_python, no_instructions = gate_sides.other_versions(pair, base, candidate)
    for metric, share in (pair.new.tolerances | own).items():
        if not (math.isfinite(share) and share >= 0):
            raise UsageError(
                f"{pair.new.file}: the tolerance of {metric!r} is {share}, and no share from 0 up; write one such as 0.02"
            )
    return Rules(pair.new.tolerances | own, pair.new.higher_is_better, no_work, no_python, no_instructions)


def _rows(pair: MatchedPair, rules: Rules) -> tuple[list[GateRow], list[RunWarning]]:
    """Return the rows of counted work and memory of a scenario, and what is missing or of other versions."""
    rows, missing = gate_work.work(pair.old, pair.new, rules)
    missing = [e for e in missing if pair.keeps(e.arm, e.group)]
    rows += [row for row in gate_work.memory(pair.old, pair.new, rules) if pair.keeps(row.arm, row.group)]
    reasons = []
    barred = Counter(row.reason for row in rows if row.verdict == GateVerdict.NOT_COMPARABLE)
    for reason, number in barred.items():
        reasons.append(RunWarning(f"{pair.place}: {counted(number, 'figure')}", reason, ACCEPT))
    if missing and not pair.stopped:
        metrics = sorted({e.metric.replace("_", " ") for e in missing})
        says = f"{counted(len(missing), 'count')} of {', '.join(metrics)} {'is' if len(missing) == 1 else 'are'} missing"
        reasons.append(RunWarning(pair.place, f"{says} in the candidate", ACCEPT))
    return rows, reasons


def _verdicts(
    rows: Sequence[GateRow], incomparable: Sequence[RunWarning], *, all_slower: bool
) -> Iterator[tuple[GateVerdict, str]]:
    """Yield the verdicts of the whole that hold, each with its reason, the most pressing first; one always holds."""
    words = Counter(row.verdict for row in rows)
    judged = Counter((row.kind, row.verdict) for row in rows)
    unjudged = judged[RowKind.TIME, GateVerdict.NOT_JUDGED]
    times = f"; {counted(unjudged, 'time')} could not be judged" if unjudged else ""
    if words[GateVerdict.REGRESSED]:
        yield GateVerdict.REGRESSED, f"{_kinds(rows, GateVerdict.REGRESSED)} regressed"
    if incomparable:
        more = f", and {len(incomparable) - 1} more" if len(incomparable) > 1 else ""
        yield GateVerdict.NOT_COMPARABLE, f"{incomparable[0].name}: {incomparable[0].message}{more}"
    if not any(row.kind != RowKind.STATUS for row in rows):
        yield GateVerdict.NOT_COMPARABLE, "the two have no figure in common: nothing was compared"
    if words[GateVerdict.INCONCLUSIVE]:
        yield (
            GateVerdict.INCONCLUSIVE,
            "; ".join(dict.fromkeys(row.reason for row in rows if row.verdict == GateVerdict.INCONCLUSIVE)),
        )
    exact = judged[RowKind.WORK, GateVerdict.EQUAL] + judged[RowKind.WORK, GateVerdict.IMPROVED]
    if not exact and (unjudged or not judged[RowKind.TIME, GateVerdict.IMPROVED]):
        yield GateVerdict.INCONCLUSIVE, f"no work was counted exactly that could decide{times}"
    if all_slower:
        yield (
            GateVerdict.INCONCLUSIVE,
            f"everything became much slower, and {counted(exact, 'exact figure')} cannot say why; {AGAINST}",
        )
    if words[GateVerdict.IMPROVED]:
        yield GateVerdict.IMPROVED, f"{_kinds(rows, GateVerdict.IMPROVED)} improved, nothing regressed{times}"
    yield GateVerdict.EQUIVALENT, f"{counted(exact, 'exact figure')} equal{times}"


def _kinds(rows: Iterable[GateRow], word: GateVerdict) -> str:
    """Return how many rows of each kind have a word: `2 exact figures and 1 time`."""
    names = {RowKind.WORK: "exact figure", RowKind.MEMORY: "peak", RowKind.TIME: "time", RowKind.STATUS: "scenario or arm"}
    counts = Counter(row.kind for row in rows if row.verdict == word)
    return " and ".join(f"{counts[kind]} {name}{'s' * (counts[kind] > 1)}" for kind, name in names.items() if counts[kind])


def _warnings(base: Run, candidate: Run, rows: Sequence[GateRow]) -> list[RunWarning]:
    found = [
        RunWarning(f"{d.name}, {side}", d.message, d.remedy)
        for run, side in ((base, "before"), (candidate, "after"))
        for d in run.warnings
    ]
    if base.started_at == candidate.started_at and base.scenarios == candidate.scenarios:
        found.append(RunWarning("the same run", "both sides hold the same figures", "name the run of the other version"))
    unsteady = [
        row
        for row in rows
        if row.kind == RowKind.WORK and row.verdict == GateVerdict.NOT_JUDGED and row.group and row.base != row.candidate
    ]
    if unsteady:
        metrics = ", ".join(sorted({row.metric.replace("_", " ") for row in unsteady}))
        says = f"{counted(len(unsteady), 'figure')} of {metrics} changed that did not repeat in the baseline's own run either"
        found.append(RunWarning("unsteady figures", says, "name a tolerance in the scenario, or in [tool.harness.gate.tolerances]"))
    return found + _ungated(rows)


def _ungated(rows: Sequence[GateRow]) -> list[RunWarning]:
    """Return a warning about scenarios of which no exact figure was judged: times alone do not guard them."""
    guarded = {
        row.place
        for row in rows
        if row.kind == RowKind.WORK and row.verdict in {GateVerdict.EQUAL, GateVerdict.IMPROVED, GateVerdict.REGRESSED}
    }
    bare = list(dict.fromkeys(row.place for row in rows if row.kind == RowKind.TIME and row.place not in guarded))
    if not guarded or not bare:
        return []
    return [RunWarning("not guarded", f"no exact figure decides about {', '.join(bare)}", AGAINST)]
