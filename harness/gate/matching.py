"""Which scenarios, arms and groups of two runs belong together, and why others do not: missing, renamed, failed, other versions."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.results.gate import GateRow, GateVerdict, RowKind
from harness.results.run import ArmResult, Run, RunWarning, ScenarioResult, ScenarioStatus

MEASURE = "measure both sides with the same options"
ACCEPT = "give it its name back, or accept the candidate as the new baseline: harness baseline accept RUN"
TIMING = ("cpu", "cores", "governor", "workers pinned to", "optimised bytecode")
"""What of a machine changes times; the interpreter's version does as well."""

SOME = 5
"""So many names are told where there are more."""


@dataclass(frozen=True)
class MatchedPair:
    """A scenario on one engine at one distance in both runs; `stopped` if the candidate's was not finished."""

    old: ScenarioResult
    new: ScenarioResult

    @property
    def stopped(self) -> bool:
        """Whether what is missing in the candidate may be so because the run was stopped."""
        return self.new.status == ScenarioStatus.INTERRUPTED

    @property
    def place(self) -> str:
        """Where it ran, for a person."""
        return _place(self.old)

    def keeps(self, arm: str, group: str) -> bool:
        """Whether the candidate has the arm and the group, and the arm runs as well as it did: else that is told once."""
        arms = {a.name: a for a in self.new.arms}
        known = not arms or arm in arms
        broken = arm in arms and arms[arm].cannot_run is not None
        return known and not broken and (not self.new.groups or not group or group in self.new.groups)


@dataclass(frozen=True)
class Sides:
    """What belongs together, and all that was found about what does not."""

    pairs: list[MatchedPair] = field(default_factory=list)
    rows: list[GateRow] = field(default_factory=list)
    incomparable: list[RunWarning] = field(default_factory=list)
    warnings: list[RunWarning] = field(default_factory=list)


def of_the_whole(base: Run, candidate: Run) -> list[RunWarning]:
    """Return why two runs say nothing about each other at all; nothing where they do."""
    asked = [(run.settings.size, run.settings.seed, run.settings.quick) for run in (base, candidate)]
    names = ("size", "seed", "--quick")
    other = [f"{name} {a} and {b}" for name, a, b in zip(names, *asked, strict=True) if a != b]
    schemas, kinds = (base.schema_version, candidate.schema_version), (base.kind, candidate.kind)
    checks = [
        (schemas[0] != schemas[1], "another schema", f"the runs have schema {schemas[0]} and {schemas[1]}"),
        (kinds[0] != kinds[1], "another kind of run", f"one is of kind {kinds[0]!r}, the other {kinds[1]!r}"),
        (bool(other), "other settings", f"the runs differ in {', '.join(other)}"),
        (base.interrupted, "the baseline", "it was stopped before its end"),
    ]
    return [RunWarning(name, says, MEASURE) for off, name, says in checks if off]


def another_machine(base: Run, candidate: Run) -> str:
    """Return why times of the two runs are not compared at all: another machine or interpreter; "" where they are."""
    sides = (base.environment, candidate.environment)
    other = [f"{key} {sides[0][key]} and {sides[1][key]}" for key in TIMING if _differ(*sides, key)]
    if _minor(sides[0].get("python", "")) != _minor(sides[1].get("python", "")):
        other.append(f"python {sides[0].get('python')} and {sides[1].get('python')}")
    return f"another machine or interpreter: {', '.join(other)}" if other else ""


def other_versions(pair: MatchedPair, base: Run, candidate: Run) -> tuple[str, str, str]:
    """Return why counted work, the interpreter's own work, and its instructions are not comparable; "" where they are."""
    sides = (base.environment, candidate.environment)
    reasons = []
    digests = (pair.old.dataset.get("digest"), pair.new.dataset.get("digest"))
    if digests[0] != digests[1]:
        reasons.append(f"the data differ: {' and '.join(str(d)[:12] for d in digests)}")
    reasons += [f"{key} {a} and {b}" for key, a, b in _engine_versions(pair)]
    if _minor(sides[0].get("sqlalchemy", "")) != _minor(sides[1].get("sqlalchemy", "")):
        reasons.append(f"sqlalchemy {sides[0].get('sqlalchemy')} and {sides[1].get('sqlalchemy')}")
    pythons = tuple(side.get("python", "") for side in sides)
    python = f"python {pythons[0]} and {pythons[1]}"
    own = python if _minor(pythons[0]) != _minor(pythons[1]) else ""
    cpus = f"cpu {sides[0].get('cpu')} and {sides[1].get('cpu')}" if _differ(*sides, "cpu") else ""
    return ", ".join(reasons), own, own or (python if pythons[0] != pythons[1] else cpus)


def _engine_versions(pair: MatchedPair) -> Iterator[tuple[str, str, str]]:
    """Yield each version of the engine that differs: settings whose name is one word that begins like the engine's."""
    for key in dict.fromkeys([*pair.old.engine_settings, *pair.new.engine_settings]):
        if " " not in key and key.startswith(pair.old.engine):
            numbers = [_number(settings.get(key, "none")) for settings in (pair.old.engine_settings, pair.new.engine_settings)]
            if numbers[0] != numbers[1]:
                yield key, numbers[0], numbers[1]


def _number(text: str) -> str:
    found = re.search(r"\d+(?:\.\d+)*", text)
    return found[0] if found else text


def _minor(text: str) -> str:
    found = re.search(r"[A-Za-z]*\s*\d+\.\d+", text)
    return found[0] if found else text


def _differ(old: Mapping[str, str], new: Mapping[str, str], key: str) -> bool:
    return key in old and key in new and old[key] != new[key]


def pair(before: Sequence[ScenarioResult], after: Sequence[ScenarioResult], *, stopped: bool) -> Sides:
    """Return the scenarios of two runs side by side, and what became of all others; `stopped` is the second run."""
    sides = Sides()
    twice = [name for results in (before, after) for name, number in Counter(map(_place, results)).items() if number > 1]
    if twice:
        says = f"a run has two scenarios named {_some(list(dict.fromkeys(twice)))}"
        sides.incomparable.append(RunWarning("names", says, "measure runs in which every name is one scenario's"))
        return sides
    here = {_place(r): r for r in after}
    gone = [r for r in before if r.status != ScenarioStatus.NOT_RUN and _place(r) not in here]
    new = [r for r in after if _place(r) not in {_place(r) for r in before}]
    if gone:
        _tell_gone(sides, gone, new, stopped=stopped)
    if new:
        says = f"{_some([_place(r) for r in new])}: nothing to compare with"
        sides.warnings.append(RunWarning("new scenarios", says, "accept a baseline that has them"))
    sides.rows.extend(_failed(r) for r in new if r.status == ScenarioStatus.FAILED)
    for old in before:
        if _place(old) in here:
            _settle(sides, MatchedPair(old, here[_place(old)]))
    if stopped and before and not any(row.verdict == GateVerdict.INCONCLUSIVE for row in sides.rows):
        sides.rows.append(_status(before[-1], GateVerdict.INCONCLUSIVE, "the candidate was stopped before its end"))
    return sides


def _settle(sides: Sides, one: MatchedPair) -> None:
    """Decide about a scenario that both runs name: whether it is compared, or why not."""
    old, new = one.old, one.new
    if new.status == ScenarioStatus.FAILED:
        sides.rows.append(_failed(new))
    elif old.status == ScenarioStatus.NOT_RUN:
        if new.status != ScenarioStatus.NOT_RUN:
            sides.warnings.append(RunWarning("new scenarios", f"{one.place} was not run before", "accept a baseline that has it"))
    elif old.status != ScenarioStatus.OK:
        sides.incomparable.append(RunWarning(one.place, f"in the baseline it has {old.status}", "measure the baseline again"))
    elif new.status == ScenarioStatus.NOT_RUN:
        reason = f"in the candidate it was not run: {_line(new.error or 'no reason was recorded')}"
        sides.incomparable.append(RunWarning(one.place, reason, "measure where it can run"))
    else:
        if one.stopped:
            sides.rows.append(_status(new, GateVerdict.INCONCLUSIVE, f"{one.place} was stopped before its end"))
        _arms(sides, one)
        _names(sides, one, "group", old.groups, new.groups)
        sides.pairs.append(one)


def _arms(sides: Sides, one: MatchedPair) -> None:
    ran = {a.name: a for a in one.old.arms if a.cannot_run is None}
    after = {a.name: a for a in one.new.arms}
    _names(sides, one, "arm", {a.name: a.description for a in one.old.arms}, {a.name: a.description for a in one.new.arms})
    for name in ran:
        found: ArmResult | None = after.get(name)
        if found is not None and found.cannot_run is not None:
            sides.rows.append(_status(one.new, GateVerdict.REGRESSED, f"it cannot run any more: {_line(found.cannot_run)}", name))


def _names(sides: Sides, one: MatchedPair, what: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    """Tell which arms or groups are gone, each with what it may be called now, and which are new."""
    gone, added = {n: t for n, t in old.items() if n not in new}, {n: t for n, t in new.items() if n not in old}
    if gone:
        sides.incomparable.append(RunWarning(one.place, _missing(what, list(gone), dict(renamed(gone, added))), ACCEPT))
    elif added:
        says = f"{what} {_some(list(added))}: nothing to compare with"
        sides.warnings.append(RunWarning(f"new in {one.place}", says, "accept a baseline that has it"))


def _tell_gone(sides: Sides, gone: Sequence[ScenarioResult], new: Sequence[ScenarioResult], *, stopped: bool) -> None:
    if stopped:
        says = f"the candidate was stopped before {_some([_place(r) for r in gone])}"
        sides.rows.append(_status(gone[0], GateVerdict.INCONCLUSIVE, says))
        return
    likely: dict[str, str] = {}
    for where in dict.fromkeys((r.engine, r.rtt_ms) for r in gone):
        texts = [{_place(r): r.doc or r.file for r in results if (r.engine, r.rtt_ms) == where} for results in (gone, new)]
        likely |= dict(renamed(*texts))
    sides.incomparable.append(RunWarning("scenarios", _missing("scenario", [_place(r) for r in gone], likely), ACCEPT))


def _missing(what: str, gone: Sequence[str], likely: Mapping[str, str]) -> str:
    hints = "".join(f"; {old!r} may be {new!r} now" for old, new in list(likely.items())[:SOME])
    return f"{what} {_some(gone)} {'is' if len(gone) == 1 else 'are'} missing in the candidate{hints}"


def renamed(gone: Mapping[str, str], added: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what a name that is gone may be called now: the new name with the same text, else one that is close."""
    left = dict(added)
    for old, text in gone.items():
        same = [new for new, other in left.items() if text and text == other]
        close = same or difflib.get_close_matches(old, list(left), 1, 0.8)
        if close:
            del left[close[0]]
            yield old, close[0]


def _failed(result: ScenarioResult) -> GateRow:
    return _status(result, GateVerdict.REGRESSED, f"it failed: {_line(result.error or 'no error was recorded')}")


def _status(result: ScenarioResult, word: GateVerdict, because: str, arm: str = "") -> GateRow:
    return GateRow(RowKind.STATUS, result.name, result.engine, result.rtt_ms, arm, "", "status", word, because)


def _place(result: ScenarioResult) -> str:
    return _status(result, GateVerdict.NOT_JUDGED, "").place


def _line(text: str) -> str:
    return " ".join(text.split())


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:SOME])
    return f"{shown} and {len(names) - SOME} more" if len(names) > SOME else shown


def counted(number: int, name: str) -> str:
    """Return `1 figure`, `2 figures`."""
    return f"{number} {name}{'' if number == 1 else 's'}"
