"""Compare work counts and memory: exact counts to the last digit, others within a tolerance, memory at its peak.

A count that repeats exactly, in two fresh processes of each version, has no noise, so any change of it is a change of the code:
statements, rows, virtual-machine steps, buffers. One that does not repeat in either version is shown, and never decides, unless the
project has stated what it may change by.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.results.gate import GateRow, GateVerdict, RowKind
from harness.results.run import PEAK_MEMORY, Memory, ScenarioResult, WorkCount

TOLERANCE = 0.02
"""The share by which a count that does not repeat exactly may change, unless its scenario or the project sets another."""

INTERPRETER = ("calls", "allocations", "instructions")
"""The final parts of the names of metrics that count the interpreter's own work. Where they repeat, they may still change by
`TOLERANCE`: a dictionary grows earlier, or a thread switches at another point. Another interpreter does different work."""

ALLOCATION_BYTES = 1024
"""The bytes by which allocations may differ in any case: a dictionary that grows in one run and not in another."""

UNSTEADY = 0.2
"""If at least this share of an arm's counts of a metric did not repeat in a version, those that did may have done so by luck: equal
counts prove little. A server's own counters are like that, since they include its other work."""

MEMORY_TOLERANCE, MEMORY_MIN_BYTES = 0.15, 2 * 2**20
"""The share, and the bytes, by which memory added at the peak may differ: the allocator decides what it keeps."""

ARM_ITSELF = ""
"""The group of an arm's own figures (`Scenario.facts`), taken once: whether they repeat is unknown."""


@dataclass(frozen=True)
class Rules:
    """The rules of a scenario and a project for its figures."""

    tolerances: Mapping[str, float]
    """Metric → tolerated share."""
    higher_is_better: Sequence[str] = ()
    """The metrics of which more is better."""
    no_work: str = ""
    """The reason why work counts cannot be compared; "" if they can."""
    no_interpreter: str = ""
    """The same for the interpreter's own counts."""
    no_instructions: str = ""
    """The reason why instructions are not judged: another patch level of the interpreter, or another CPU."""

    def excluded(self, metric: str) -> str:
        """Return why the metric cannot be compared, "" if it can."""
        return self.no_work or (self.no_interpreter if _last_word(metric) in INTERPRETER else "")


def work(old: ScenarioResult, new: ScenarioResult, rules: Rules) -> tuple[list[GateRow], list[WorkCount]]:
    """Return a row per count that both results have, and the baseline's counts that the candidate lacks."""
    after = {count.key: count for count in new.work_counts}
    unsteady = [_unsteady(result.work_counts) for result in (old, new)]
    rows, missing = [], []
    for count in old.work_counts:
        now = after.get(count.key)
        if now is not None:
            steady = [
                one.repeats_exactly and (one.arm, one.metric) not in arms for one, arms in zip((count, now), unsteady, strict=True)
            ]
            verdict, reason, tolerated = _judge(count, now, rules, steady)
            row = _row(RowKind.WORK, old, count, count.metric, verdict, reason, tolerated)
            change = now.value / count.value if count.value else 1.0 if now.value == count.value else math.nan
            rows.append(replace(row, base=count.value, candidate=now.value, change=change if math.isfinite(change) else None))
        elif count.group != ARM_ITSELF or count.metric in rules.tolerances:
            missing.append(count)
    return rows, missing


def _row(
    kind: RowKind, result: ScenarioResult, of: WorkCount | Memory, metric: str, verdict: GateVerdict, reason: str, tolerated: float
) -> GateRow:
    place = (result.name, result.engine, result.rtt_ms, of.arm, of.group)
    return GateRow(kind, *place, metric, verdict, reason, tolerated=tolerated, scale=of.scale)


def key(figure: WorkCount | GateRow) -> tuple[str, str, str, float]:
    """Return by what a count is the same one in another run: arm, group, metric and scale."""
    return figure.arm, figure.group, figure.metric, figure.scale


def _last_word(metric: str) -> str:
    return metric.rsplit("_", 1)[-1]


def _unsteady(counts: Sequence[WorkCount]) -> set[tuple[str, str]]:
    """Return (arm, metric) of which at least the share `UNSTEADY` of the counts did not repeat.

    Arm by arm, because one that keeps its answers counts differently each time, and the others' counts remain exact.
    """
    repeats: dict[tuple[str, str], list[bool]] = {}
    for count in counts:
        if count.group != ARM_ITSELF:
            repeats.setdefault((count.arm, count.metric), []).append(count.repeats_exactly)
    return {where for where, each in repeats.items() if each.count(False) >= UNSTEADY * len(each)}


def _judge(old: WorkCount, new: WorkCount, rules: Rules, steady: Sequence[bool]) -> tuple[GateVerdict, str, float]:
    """Return the verdict on a count, the reason, and the tolerated share; `steady` is whether it repeats in the old and the new."""
    finite = math.isfinite(old.value) and math.isfinite(new.value)
    excluded = rules.excluded(old.metric) or ("" if finite else "not a finite number")
    if excluded:
        return GateVerdict.NOT_COMPARABLE, excluded, 0.0
    more_is_better = old.metric in rules.higher_is_better or "hits" in old.metric.split("_")  # such as hits of a cache
    named = rules.tolerances.get(old.metric)
    unknown = rules.no_instructions if _last_word(old.metric) == "instructions" else ""
    if named is not None and not unknown:
        return _compare(old.value, new.value, named, more_is_better=more_is_better, of="the tolerance")
    if old.group == ARM_ITSELF or unknown:
        once = "a figure of the arm itself, taken once; set a tolerance to have it judged"
        return GateVerdict.NOT_JUDGED, unknown or once, 0.0
    if not all(steady):
        where = "either version" if not any(steady) else "the candidate" if steady[0] else "the baseline"
        return GateVerdict.NOT_JUDGED, f"it does not repeat in {where}; set a tolerance to have it judged", 0.0
    if _last_word(old.metric) not in INTERPRETER:
        return _compare(old.value, new.value, 0.0, more_is_better=more_is_better, of="")
    tolerated = TOLERANCE
    if _last_word(old.metric) == "allocations" and old.value:
        tolerated = max(TOLERANCE, ALLOCATION_BYTES / abs(old.value))
    return _compare(old.value, new.value, tolerated, more_is_better=more_is_better, of="the tolerance of the interpreter's counts")


def _compare(old: float, new: float, tolerated: float, *, more_is_better: bool, of: str) -> tuple[GateVerdict, str, float]:
    if abs(new - old) <= tolerated * abs(old):
        return GateVerdict.EQUAL, f"within {tolerated * 100:.3g} %, {of}" if tolerated and new != old else "exactly", tolerated
    direction = "more" if new > old else "less"
    beyond = f"beyond {tolerated * 100:.3g} %, {of}" if tolerated else "counted exactly"
    verdict = GateVerdict.IMPROVED if (new > old) == more_is_better else GateVerdict.REGRESSED
    return verdict, f"{direction}, {beyond}", tolerated


def memory(old: ScenarioResult, new: ScenarioResult, rules: Rules) -> Iterator[GateRow]:
    """Yield a row per memory peak that both results have; an operation that newly ends with an error regressed."""
    after = {(m.arm, m.group, m.scale, m.limit_bytes): m for m in new.memory}
    tolerated = rules.tolerances.get(PEAK_MEMORY, MEMORY_TOLERANCE)
    for m in old.memory:
        found = after.get((m.arm, m.group, m.scale, m.limit_bytes))
        if found is None:
            continue
        verdict, reason = _judge_memory(m, found, tolerated, rules.no_work or rules.no_interpreter)
        limit = f" under {m.limit_bytes / 1e6:g} MB" if m.limit_bytes else ""
        row = _row(RowKind.MEMORY, old, m, PEAK_MEMORY + limit, verdict, reason, tolerated)
        before, now = float(m.added_bytes), float(found.added_bytes)
        yield replace(row, base=before, candidate=now, unit="bytes", change=now / before if before else None)


def _judge_memory(old: Memory, new: Memory, tolerated: float, excluded: str) -> tuple[GateVerdict, str]:
    unmeasured = old.not_measured or new.not_measured
    servers = "the memory of other servers is part of it" if old.servers.keys() != new.servers.keys() else ""
    if reason := excluded or (f"not measured: {unmeasured}" if unmeasured else servers):
        return GateVerdict.NOT_JUDGED, reason
    if old.error is None and new.error is not None:
        return GateVerdict.REGRESSED, f"it ended with {new.error}"
    if old.error is not None:
        return (GateVerdict.IMPROVED, "it no longer fails") if new.error is None else (GateVerdict.EQUAL, "it fails as before")
    if abs(new.added_bytes - old.added_bytes) <= max(tolerated * old.added_bytes, MEMORY_MIN_BYTES):
        return GateVerdict.EQUAL, f"within {tolerated * 100:.3g} % or {MEMORY_MIN_BYTES / 2**20:g} MiB"
    verdict = GateVerdict.REGRESSED if new.added_bytes > old.added_bytes else GateVerdict.IMPROVED
    return verdict, f"beyond {tolerated * 100:.3g} %, the tolerance"
