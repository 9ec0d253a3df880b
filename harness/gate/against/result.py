"""From paired times and counted work to a gate's result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.gate.against.compare import PairedTime
from harness.results.gate import GateResult, GateRow, GateVerdict, RowKind
from harness.results.run import RunWarning


@dataclass(frozen=True)
class BenchmarkPlace:
    """Where a benchmark belongs in the result."""

    scenario: str
    engine: str
    rtt_ms: float = 0.0
    arm: str = ""
    group: str = ""


def row(time: PairedTime, place: BenchmarkPlace, margin: float) -> GateRow:
    """Return the row of a paired time; its sentence says how sure it is, since that is what such a time is for."""
    return GateRow(
        kind=RowKind.TIME,
        scenario=place.scenario,
        engine=place.engine,
        rtt_ms=place.rtt_ms,
        arm=place.arm,
        group=place.group,
        metric="time",
        verdict=time.verdict,
        reason=sentence(time, margin),
        change=time.ratio,
        low=time.low,
        high=time.high,
        tolerated=margin,
        paired=True,
    )


def sentence(time: PairedTime, margin: float) -> str:
    """Return why a paired time has its word, and of one that says nothing what it could have shown and would need to."""
    said = time.reason
    if time.verdict == GateVerdict.INCONCLUSIVE and time.could_see is not None and time.needs_s is not None:
        said += f"; it could have shown {time.could_see * 100:+.1f} %"
        if time.could_see > margin:
            said += f", and {margin * 100:+.3g} % would need about {time.needs_s:.0f} s a set"
    return said


def result(
    names: tuple[str, str],
    rows: Sequence[GateRow],
    incomparable: Sequence[RunWarning] = (),
    warnings: Sequence[RunWarning] = (),
) -> GateResult:
    """Return the verdict of the whole: a time that was shown to be within the margin passes, with or without counted work."""
    verdict, why = _verdict(rows, incomparable)
    return GateResult(*names, verdict, why, list(rows), list(incomparable), list(warnings))


def _verdict(rows: Sequence[GateRow], incomparable: Sequence[RunWarning]) -> tuple[GateVerdict, str]:
    found = Counter((r.verdict, r.kind) for r in rows)
    words = Counter(r.verdict for r in rows)
    if words[GateVerdict.REGRESSED]:
        return GateVerdict.REGRESSED, f"{_counted(found, GateVerdict.REGRESSED)} regressed"
    if incomparable:
        more = f", and {len(incomparable) - 1} more" if len(incomparable) > 1 else ""
        return GateVerdict.NOT_COMPARABLE, f"{incomparable[0].name}: {incomparable[0].message}{more}"
    if not any(r.kind in {RowKind.TIME, RowKind.WORK} for r in rows):
        return GateVerdict.NOT_COMPARABLE, "there was nothing to time or to count"
    if words[GateVerdict.INCONCLUSIVE]:
        return GateVerdict.INCONCLUSIVE, f"{_counted(found, GateVerdict.INCONCLUSIVE)} could not be told"
    if words[GateVerdict.IMPROVED]:
        return GateVerdict.IMPROVED, f"{_counted(found, GateVerdict.IMPROVED)} improved, nothing regressed"
    return GateVerdict.EQUIVALENT, "nothing regressed, and that was measured"


def _counted(found: Counter[tuple[GateVerdict, RowKind]], word: GateVerdict) -> str:
    names = {RowKind.WORK: "exact figure", RowKind.TIME: "time", RowKind.STATUS: "scenario or arm"}
    parts = [(found[word, kind], name) for kind, name in names.items() if found[word, kind]]
    return " and ".join(f"{number} {name}{'s' * (number > 1)}" for number, name in parts)
