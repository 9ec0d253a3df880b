"""The counterparts in two runs: matching scenarios, arms, groups, machines and versions, and reasons why others do not match."""

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.gate.verdict import SHOWN_NAMES, listed
from harness.results.gate import GateRow, GateVerdict, status_row
from harness.results.run import Run, RunWarning, ScenarioResult, ScenarioStatus

MEASURE = "measure both versions with the same options"
RENAMED = "restore the old name, or accept the candidate as the new baseline: harness baseline accept RUN"

TIMING = ("cpu", "cores", "governor", "workers pinned to", "optimised bytecode")
"""The facts of a run's environment that change times, in addition to the interpreter's version."""

ALWAYS_DIFFERS = "load average at start"
"""The fact of a run's environment that differs between any two runs and does not describe the machine."""

CLOSE = 0.8
"""The similarity of two names, from 0 to 1, from which on one may be the other's new name."""


@dataclass(frozen=True)
class MatchedPair:
    """One scenario on one engine at one RTT, in the baseline and in the candidate."""

    old: ScenarioResult
    new: ScenarioResult

    @property
    def interrupted(self) -> bool:
        """Whether the candidate's scenario was interrupted, which may explain what is missing in it."""
        return self.new.status == ScenarioStatus.INTERRUPTED

    def keeps(self, arm: str, group: str) -> bool:
        """Return whether the candidate has the arm and the group, and the arm runs; otherwise that is reported once for the arm."""
        now = [each.cannot_run is None for each in self.new.arms if each.name == arm]
        runs = now == [True] or not self.new.arms
        return runs and (not self.new.groups or not group or group in self.new.groups)


@dataclass(frozen=True)
class MatchedRuns:
    """The scenarios of two runs that belong together, and everything found out about the others."""

    pairs: list[MatchedPair] = field(default_factory=list)
    rows: list[GateRow] = field(default_factory=list)
    """The scenarios and arms that failed or were interrupted."""
    incomparable: list[RunWarning] = field(default_factory=list)
    """The reasons why a scenario, an arm or a group cannot be compared."""
    warnings: list[RunWarning] = field(default_factory=list)
    """The scenarios, arms and groups that are new in the candidate."""


def incomparable_runs(base: Run, candidate: Run) -> list[RunWarning]:
    """Return the reasons why two runs cannot be compared at all; none where they can."""
    settings = [{"size": s.size, "seed": s.seed, "--quick": s.quick} for s in (base.settings, candidate.settings)]
    other = [f"{name} {value} and {settings[1][name]}" for name, value in settings[0].items() if value != settings[1][name]]
    found = {}
    if base.schema_version != candidate.schema_version:
        found["another schema"] = f"the runs have schema {base.schema_version} and {candidate.schema_version}"
    if base.kind != candidate.kind:
        found["another kind of run"] = f"the baseline is of kind {str(base.kind)!r}, the candidate {str(candidate.kind)!r}"
    if other:
        found["other settings"] = f"the runs differ in {', '.join(other)}"
    if base.interrupted:
        found["the baseline"] = "the run was interrupted"
    return [RunWarning(name, message, MEASURE) for name, message in found.items()]


def differences(before: Mapping[str, str], after: Mapping[str, str], keys: Iterable[str] | None = None) -> list[str]:
    """Return `key old and new` for each fact, or those of `keys`, that both state and that differs, the load average excepted."""
    both = [key for key in (before if keys is None else keys) if key in before and key in after and key != ALWAYS_DIFFERS]
    return [f"{key} {before[key]} and {after[key]}" for key in both if before[key] != after[key]]


def another_machine(before: Mapping[str, str], after: Mapping[str, str], keys: Iterable[str] = TIMING) -> str:
    """Return why times of two environments cannot be compared, by `keys` and the minor version of Python; "" where they can."""
    other = [*differences(before, after, keys), *filter(None, [_other_minor("python", before, after)])]
    return f"another machine or interpreter: {', '.join(other)}" if other else ""


def other_versions(pair: MatchedPair, base: Run, candidate: Run) -> tuple[str, str, str]:
    """Return why work counts, the interpreter's own counts, and its instructions cannot be compared; "" where they can."""
    before, after = base.environment, candidate.environment
    reasons = []
    digests = (pair.old.dataset.get("digest"), pair.new.dataset.get("digest"))
    if digests[0] != digests[1]:
        reasons.append(f"the data differ: {' and '.join(str(d)[:12] for d in digests)}")
    for key in dict.fromkeys([*pair.old.engine_settings, *pair.new.engine_settings]):
        if " " not in key and key.startswith(pair.old.engine):  # the engine's version: one word that begins like its name
            a, b = (_first(r"\d+(?:\.\d+)*", r.engine_settings.get(key, "none")) for r in (pair.old, pair.new))
            reasons += [f"{key} {a} and {b}"] * (a != b)
    sqlalchemy = _other_minor("sqlalchemy", before, after)
    interpreter = _other_minor("python", before, after)
    other = differences(before, after, ["python"]) or differences(before, after, ["cpu"])
    return ", ".join([*reasons, *filter(None, [sqlalchemy])]), interpreter, interpreter or "".join(other)


def _other_minor(key: str, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Return `key old and new` if its minor version differs, else ""."""
    minors = [_first(r"[A-Za-z]*\s*\d+\.\d+", facts.get(key, "")) for facts in (before, after)]
    return f"{key} {before.get(key)} and {after.get(key)}" if minors[0] != minors[1] else ""


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[0] if found else text


def renamed(missing: Mapping[str, str], added: Mapping[str, str], close: float = CLOSE) -> dict[str, str]:
    """Return missing name → likely new name, each at most once; both arguments map names to their descriptions.

    A name with the same description is preferred, then one that is at least `close`.
    """
    left, found = dict(added), {}
    for old, text in missing.items():
        same = [new for new, other in left.items() if text and text == other]
        for likely in (same or difflib.get_close_matches(old, list(left), 1, close))[:1]:
            del left[likely]
            found[old] = likely
    return found


def rename_hints(likely: Mapping[str, str]) -> str:
    """Return `; 'old' may have been renamed to 'new'` for the first few names; "" for none."""
    return "".join(f"; {old!r} may have been renamed to {new!r}" for old, new in list(likely.items())[:SHOWN_NAMES])


def match(before: Sequence[ScenarioResult], after: Sequence[ScenarioResult], *, interrupted: bool) -> MatchedRuns:
    """Match the scenarios of two runs by name, engine and RTT; `interrupted` is whether the second run was."""
    matched = MatchedRuns()
    twice = [name for results in (before, after) for name, number in Counter(map(place, results)).items() if number > 1]
    if twice:
        message = f"a run has two scenarios named {listed(list(dict.fromkeys(twice)))}"
        matched.incomparable.append(RunWarning("names", message, "measure runs in which each scenario has its own name"))
        return matched
    candidates, known = {place(r): r for r in after}, set(map(place, before))
    missing = [r for r in before if r.status != ScenarioStatus.NOT_RUN and place(r) not in candidates]
    new = [r for r in after if place(r) not in known]
    if missing:
        _add_missing(matched, missing, new, interrupted)
    if new:
        message = f"{listed([place(r) for r in new])}: not in the baseline, so not compared"
        matched.warnings.append(RunWarning("new scenarios", message, "accept a baseline that has them"))
    matched.rows.extend(_failed(r) for r in new if r.status == ScenarioStatus.FAILED)
    for old in (r for r in before if place(r) in candidates):
        _add_pair(matched, MatchedPair(old, candidates[place(old)]))
    if interrupted and before and not any(row.verdict == GateVerdict.INCONCLUSIVE for row in matched.rows):
        matched.rows.append(status(before[-1], GateVerdict.INCONCLUSIVE, "the candidate's run was interrupted"))
    return matched


def _add_pair(matched: MatchedRuns, pair: MatchedPair) -> None:
    """Add a scenario that both runs name: as a pair to compare, or with the reason why it is not one."""
    old, new = pair.old, pair.new
    if new.status == ScenarioStatus.FAILED:
        matched.rows.append(_failed(new))
    elif old.status == ScenarioStatus.NOT_RUN:
        if new.status != ScenarioStatus.NOT_RUN:
            message = f"{place(old)} was not run in the baseline"
            matched.warnings.append(RunWarning("new scenarios", message, "accept a baseline that has it"))
    elif old.status != ScenarioStatus.OK:
        matched.incomparable.append(RunWarning(place(old), f"{old.status} in the baseline", "measure the baseline again"))
    elif new.status == ScenarioStatus.NOT_RUN:
        message = f"not run in the candidate: {_line(new.error or 'no reason was recorded')}"
        matched.incomparable.append(RunWarning(place(old), message, "measure the candidate where the scenario can run"))
    else:
        if pair.interrupted:
            matched.rows.append(status(new, GateVerdict.INCONCLUSIVE, f"{place(old)} was interrupted"))
        _add_names(matched, pair, "arm", *({arm.name: arm.description for arm in result.arms} for result in (old, new)))
        ran = {arm.name for arm in old.arms if arm.cannot_run is None}
        for arm in new.arms:
            if arm.cannot_run is not None and arm.name in ran:
                reason = f"it no longer runs: {_line(arm.cannot_run)}"
                matched.rows.append(status(new, GateVerdict.REGRESSED, reason, arm.name))
        _add_names(matched, pair, "group", old.groups, new.groups)
        matched.pairs.append(pair)


def _add_names(matched: MatchedRuns, pair: MatchedPair, noun: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    """Add the arms or groups (name → description) that are missing, each with its likely new name, or that are new."""
    missing, added = {n: t for n, t in old.items() if n not in new}, {n: t for n, t in new.items() if n not in old}
    if missing:
        matched.incomparable.append(_missing(place(pair.old), noun, list(missing), renamed(missing, added)))
    elif added:
        message = f"{noun} {listed(list(added))}: not in the baseline, so not compared"
        matched.warnings.append(RunWarning(f"new in {place(pair.old)}", message, "accept a baseline that has it"))


def _add_missing(matched: MatchedRuns, missing: list[ScenarioResult], new: list[ScenarioResult], interrupted: bool) -> None:
    """Add the scenarios that the candidate lacks."""
    if interrupted:
        message = f"the candidate's run was interrupted before {listed([place(r) for r in missing])}"
        matched.rows.append(status(missing[0], GateVerdict.INCONCLUSIVE, message))
        return
    likely: dict[str, str] = {}
    for where in dict.fromkeys((r.engine, r.rtt_ms) for r in missing):
        before, after = ({place(r): r.doc or r.file for r in rs if (r.engine, r.rtt_ms) == where} for rs in (missing, new))
        likely |= renamed(before, after)
    matched.incomparable.append(_missing("scenarios", "scenario", [place(r) for r in missing], likely))


def _missing(name: str, noun: str, missing: Sequence[str], likely: Mapping[str, str]) -> RunWarning:
    verb = "is" if len(missing) == 1 else "are"
    return RunWarning(name, f"{noun} {listed(missing)} {verb} missing in the candidate{rename_hints(likely)}", RENAMED)


def _failed(result: ScenarioResult) -> GateRow:
    return status(result, GateVerdict.REGRESSED, f"it failed: {_line(result.error or 'no error was recorded')}")


def status(result: ScenarioResult, verdict: GateVerdict, reason: str, arm: str = "") -> GateRow:
    """Return the row of a scenario or an arm that did not run as it should."""
    return status_row(result.name, result.engine, result.rtt_ms, verdict, reason, arm=arm)


def place(result: ScenarioResult) -> str:
    """Return the name of a scenario with its engine and RTT."""
    return status(result, GateVerdict.NOT_JUDGED, "").place


def _line(text: str) -> str:
    return " ".join(text.split())
