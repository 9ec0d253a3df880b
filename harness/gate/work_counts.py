"""What is counted, before and after: exact work to the last count, what does not repeat within a tolerance, memory at its peak.

A figure that repeats exactly has no noise, so that any change of it is a change of the code: statements, rows, virtual-machine
steps, buffers. The interpreter's own work is nearly so.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.results.gate import GateRow, GateVerdict, RowKind
from harness.results.run import PEAK_MEMORY, Memory, ScenarioResult, WorkCount

TOLERANCE = 0.02
"""By how much a figure that does not repeat exactly may change, unless its scenario or the project names another share."""

INTERPRETER = ("calls", "allocations", "instructions")
"""The interpreter's own work, known by the last word of the metric. It repeats to a fraction of `TOLERANCE`, but, where threads and
an event loop hand over to one another, not to the last count in another process, even if it did so in one. Another version of the
interpreter does other work."""

UNSTEADY = 0.2
"""If at least this share of a metric's figures in a baseline did not repeat, those that did may have done so by luck: two equal
counts prove little. So it is with a server's own counters, which see what else it does."""

MEMORY_TOLERANCE, MEMORY_LEAST = 0.15, 2 * 2**20
"""By which share, and by how many bytes, memory added at the peak may differ: the allocator keeps what it likes."""

OWN = ""
"""The group of an arm's own figures (`Scenario.facts`), taken once: whether they repeat is not known."""


@dataclass(frozen=True)
class Rules:
    """What a scenario and a project say about figures: metric → share tolerated, and of which more is better.

    `no_work`, `no_python` and `no_instructions` are why counted work, or the interpreter's own, is not comparable; "" for none.
    """

    tolerances: Mapping[str, float]
    higher_is_better: Sequence[str] = ()
    no_work: str = ""
    no_python: str = ""
    no_instructions: str = ""

    def more_is_better(self, metric: str) -> bool:
        """Whether more of it is better: hits of a cache, and what the scenario says."""
        return metric in self.higher_is_better or "hits" in metric.split("_")

    def barred(self, metric: str) -> str:
        """Return why the metric is not comparable, "" if it is."""
        own = self.no_python if _kind(metric) in INTERPRETER else ""
        return self.no_work or own or (self.no_instructions if _kind(metric) == "instructions" else "")


def work(old: ScenarioResult, new: ScenarioResult, rules: Rules) -> tuple[list[GateRow], list[WorkCount]]:
    """Return a row for every count that both have, and the baseline's counts that the candidate lacks."""
    after = {_key(e): e for e in new.work_counts}
    unsteady = _unsteady(old.work_counts)
    rows = [_row(old, e, after[_key(e)], rules, e.metric in unsteady) for e in old.work_counts if _key(e) in after]
    return rows, [e for e in old.work_counts if _key(e) not in after and (e.group != OWN or e.metric in rules.tolerances)]


def _kind(metric: str) -> str:
    return metric.rsplit("_", 1)[-1]


def _key(e: WorkCount) -> tuple[str, str, str, float]:
    return e.arm, e.group, e.metric, e.scale


def _unsteady(figures: Sequence[WorkCount]) -> set[str]:
    repeats: dict[str, list[bool]] = defaultdict(list)
    for e in figures:
        if e.group != OWN:
            repeats[e.metric].append(e.repeats_exactly)
    return {metric for metric, each in repeats.items() if each.count(False) >= UNSTEADY * len(each)}


def _row(result: ScenarioResult, old: WorkCount, new: WorkCount, rules: Rules, unsteady: bool) -> GateRow:
    word, because, tolerated = _judged(old, new, rules, unsteady)
    change = new.value / old.value if old.value else 1.0 if new.value == old.value else None
    return GateRow(
        kind=RowKind.WORK,
        scenario=result.name,
        engine=result.engine,
        rtt_ms=result.rtt_ms,
        arm=old.arm,
        group=old.group,
        metric=old.metric,
        verdict=word,
        reason=because,
        base=old.value,
        candidate=new.value,
        change=change if change is not None and math.isfinite(change) else None,
        tolerated=tolerated,
        scale=old.scale,
    )


def _judged(old: WorkCount, new: WorkCount, rules: Rules, unsteady: bool) -> tuple[GateVerdict, str, float]:
    """Return the word of a count, why, and the share that was tolerated."""
    finite = math.isfinite(old.value) and math.isfinite(new.value)
    barred = rules.barred(old.metric) or ("" if finite else "it is no finite number")
    if barred:
        return GateVerdict.NOT_COMPARABLE, barred, 0.0
    more_is_better, named = rules.more_is_better(old.metric), rules.tolerances.get(old.metric)
    if named is not None:
        return _compared(old.value, new.value, named, more_is_better=more_is_better, what="what is tolerated")
    if old.group == OWN:
        return GateVerdict.NOT_JUDGED, "a figure of the arm itself, taken once; name a tolerance to have it judged", 0.0
    kind = _kind(old.metric)
    if old.repeats_exactly and new.repeats_exactly and not unsteady and kind not in INTERPRETER:
        return _compared(old.value, new.value, 0.0, more_is_better=more_is_better, what="")
    what = "what is tolerated where a count does not repeat exactly"
    found = _compared(old.value, new.value, TOLERANCE, more_is_better=more_is_better, what=what)
    steady_before = old.repeats_exactly and not unsteady
    if found[0] == GateVerdict.EQUAL or steady_before or kind in INTERPRETER:
        return found
    return (
        GateVerdict.NOT_JUDGED,
        "it did not repeat exactly in the baseline's own run; name a tolerance to have it judged",
        TOLERANCE,
    )


def _compared(old: float, new: float, tolerated: float, *, more_is_better: bool, what: str) -> tuple[GateVerdict, str, float]:
    if abs(new - old) <= tolerated * abs(old):
        return GateVerdict.EQUAL, f"within {tolerated * 100:.3g} %, {what}" if tolerated and new != old else "exactly", tolerated
    way = "more" if new > old else "less"
    beyond = f"beyond {tolerated * 100:.3g} %, {what}" if tolerated else "counted exactly"
    return GateVerdict.IMPROVED if (new > old) == more_is_better else GateVerdict.REGRESSED, f"{way}, {beyond}", tolerated


def memory(old: ScenarioResult, new: ScenarioResult, rules: Rules) -> Iterator[GateRow]:
    """Yield a row for every peak that both have; what dies where it did not is a regression."""
    after = {(m.arm, m.group, m.scale, m.limit_bytes): m for m in new.memory}
    tolerated = rules.tolerances.get(PEAK_MEMORY, MEMORY_TOLERANCE)
    for m in old.memory:
        found = after.get((m.arm, m.group, m.scale, m.limit_bytes))
        if found is None:
            continue
        word, because = _weighed(m, found, tolerated, rules.no_work or rules.no_python)
        limit = f" under {m.limit_bytes / 1e6:g} MB" if m.limit_bytes else ""
        change = found.added_bytes / m.added_bytes if m.added_bytes else None
        yield GateRow(
            kind=RowKind.MEMORY,
            scenario=old.name,
            engine=old.engine,
            rtt_ms=old.rtt_ms,
            arm=m.arm,
            group=m.group,
            metric=PEAK_MEMORY + limit,
            verdict=word,
            reason=because,
            base=float(m.added_bytes),
            candidate=float(found.added_bytes),
            unit="bytes",
            change=change,
            tolerated=tolerated,
            scale=m.scale,
        )


def _weighed(old: Memory, new: Memory, tolerated: float, barred: str) -> tuple[GateVerdict, str]:
    if barred:
        return GateVerdict.NOT_JUDGED, barred
    if old.error is None and new.error is not None:
        return GateVerdict.REGRESSED, f"it ended with {new.error}"
    if old.error is not None:
        return (GateVerdict.IMPROVED, "it ends well now") if new.error is None else (GateVerdict.EQUAL, "it ends badly, as before")
    if abs(new.added_bytes - old.added_bytes) <= max(tolerated * old.added_bytes, MEMORY_LEAST):
        return GateVerdict.EQUAL, f"within {tolerated * 100:.3g} % or {MEMORY_LEAST / 2**20:g} MiB"
    return (
        GateVerdict.REGRESSED if new.added_bytes > old.added_bytes else GateVerdict.IMPROVED
    ), f"beyond {tolerated * 100:.3g} %, what is tolerated"
