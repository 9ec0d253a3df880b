"""The counterparts in two runs: matching scenarios, arms, groups, machines and versions, and reasons why others do not match."""

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

Versions = tuple[str, str, str]
"""The differences that make work counts, the interpreter's own counts, and instructions incomparable; "" where there are none."""


@dataclass(frozen=True)
class MatchedPair:
    """One scenario on one engine at one RTT, in the baseline and in the candidate."""

    old: ScenarioResult
    """The baseline's result."""
    new: ScenarioResult
    """The candidate's result."""

    @property
    def interrupted(self) -> bool:
        """Whether the candidate's scenario was interrupted, which may explain what is missing in it."""
        return self.new.status == ScenarioStatus.INTERRUPTED

    @property
    def place(self) -> str:
        """The name of the scenario with its engine and RTT."""
        return _place(self.old)

    def keeps(self, arm: str, group: str) -> bool:
        """Return whether the candidate has the arm and the group, and the arm runs; otherwise that is reported once for the arm."""
        arms = {a.name: a for a in self.new.arms}
        known = not arms or arm in arms
        broken = arm in arms and arms[arm].cannot_run is not None
        return known and not broken and (not self.new.groups or not group or group in self.new.groups)


@dataclass(frozen=True)
class MatchedRuns:
    """The scenarios of two runs that belong together, and everything found out about the others."""

    pairs: list[MatchedPair] = field(default_factory=list)
    """The scenarios to compare."""
    rows: list[GateRow] = field(default_factory=list)
    """The scenarios and arms that failed or were interrupted."""
    incomparable: list[RunWarning] = field(default_factory=list)
    """The reasons why a scenario, an arm or a group cannot be compared."""
    warnings: list[RunWarning] = field(default_factory=list)
    """The scenarios, arms and groups that are new in the candidate."""


def incomparable_runs(base: Run, candidate: Run) -> list[RunWarning]:
    """Return the reasons why two runs cannot be compared at all; none where they can."""
    settings = [(run.settings.size, run.settings.seed, run.settings.quick) for run in (base, candidate)]
    names = ("size", "seed", "--quick")
    other = [f"{name} {a} and {b}" for name, a, b in zip(names, *settings, strict=True) if a != b]
    schemas, kinds = (base.schema_version, candidate.schema_version), (base.kind, candidate.kind)
    checks = [
        (schemas[0] != schemas[1], "another schema", f"the runs have schema {schemas[0]} and {schemas[1]}"),
        (
            kinds[0] != kinds[1],
            "another kind of run",
            f"the baseline is of kind {str(kinds[0])!r}, the candidate {str(kinds[1])!r}",
        ),
        (bool(other), "other settings", f"the runs differ in {', '.join(other)}"),
        (base.interrupted, "the baseline", "the run was interrupted"),
    ]
    return [RunWarning(name, message, MEASURE) for applies, name, message in checks if applies]


def differences(before: Mapping[str, str], after: Mapping[str, str], keys: Iterable[str] | None = None) -> list[str]:
    """Return `key old and new` for each fact that both environments state and that differs, the load average excepted.

    `keys` limits the facts, and orders them; by default all are compared.
    """
    wanted = before if keys is None else keys
    both = [key for key in wanted if key in before and key in after and key != ALWAYS_DIFFERS]
    return [f"{key} {before[key]} and {after[key]}" for key in both if before[key] != after[key]]


def another_machine(before: Mapping[str, str], after: Mapping[str, str], keys: Iterable[str] = TIMING) -> str:
    """Return why times from two environments must not be compared: another machine or interpreter; "" where they may.

    `keys` are the facts that change times. Of "python" the minor version counts.
    """
    other = differences(before, after, keys)
    if _minor(before.get("python", "")) != _minor(after.get("python", "")):
        other.append(f"python {before.get('python')} and {after.get('python')}")
    return f"another machine or interpreter: {', '.join(other)}" if other else ""


def other_versions(pair: MatchedPair, base: Run, candidate: Run) -> Versions:
    """Return why work counts, the interpreter's own counts, and its instructions cannot be compared; "" where they can."""
    before, after = base.environment, candidate.environment
    reasons = []
    digests = (pair.old.dataset.get("digest"), pair.new.dataset.get("digest"))
    if digests[0] != digests[1]:
        reasons.append(f"the data differ: {' and '.join(str(d)[:12] for d in digests)}")
    reasons += [f"{key} {a} and {b}" for key, a, b in _engine_versions(pair)]
    if _minor(before.get("sqlalchemy", "")) != _minor(after.get("sqlalchemy", "")):
        reasons.append(f"sqlalchemy {before.get('sqlalchemy')} and {after.get('sqlalchemy')}")
    pythons = (before.get("python", ""), after.get("python", ""))
    python = f"python {pythons[0]} and {pythons[1]}"
    interpreter = python if _minor(pythons[0]) != _minor(pythons[1]) else ""
    cpu = next(iter(differences(before, after, ["cpu"])), "")
    return ", ".join(reasons), interpreter, interpreter or (python if pythons[0] != pythons[1] else cpu)


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


def renamed(missing: Mapping[str, str], added: Mapping[str, str], close: float = CLOSE) -> dict[str, str]:
    """Return missing name → likely new name, each new name at most once.

    Both arguments map names to their descriptions. A name with the same description is preferred, then one that is at least
    `close`.
    """
    left, found = dict(added), {}
    for old, text in missing.items():
        same = [new for new, other in left.items() if text and text == other]
        likely = same or difflib.get_close_matches(old, list(left), 1, close)
        if likely:
            del left[likely[0]]
            found[old] = likely[0]
    return found


def rename_hints(likely: Mapping[str, str]) -> str:
    """Return `; 'old' may have been renamed to 'new'` for the first few names; "" for none."""
    return "".join(f"; {old!r} may have been renamed to {new!r}" for old, new in list(likely.items())[:SHOWN_NAMES])


def match(before: Sequence[ScenarioResult], after: Sequence[ScenarioResult], *, interrupted: bool) -> MatchedRuns:
    """Match the scenarios of two runs by name, engine and RTT; `interrupted` is whether the second run was."""
    matched = MatchedRuns()
    twice = [name for results in (before, after) for name, number in Counter(map(_place, results)).items() if number > 1]
    if twice:
        message = f"a run has two scenarios named {listed(list(dict.fromkeys(twice)))}"
        matched.incomparable.append(RunWarning("names", message, "measure runs in which each scenario has its own name"))
        return matched
    candidates = {_place(r): r for r in after}
    missing = [r for r in before if r.status != ScenarioStatus.NOT_RUN and _place(r) not in candidates]
    new = [r for r in after if _place(r) not in {_place(r) for r in before}]
    if missing:
        _add_missing(matched, missing, new, interrupted=interrupted)
    if new:
        message = f"{listed([_place(r) for r in new])}: not in the baseline, so not compared"
        matched.warnings.append(RunWarning("new scenarios", message, "accept a baseline that has them"))
    matched.rows.extend(_failed(r) for r in new if r.status == ScenarioStatus.FAILED)
    for old in before:
        if _place(old) in candidates:
            _add_pair(matched, MatchedPair(old, candidates[_place(old)]))
    if interrupted and before and not any(row.verdict == GateVerdict.INCONCLUSIVE for row in matched.rows):
        matched.rows.append(_status(before[-1], GateVerdict.INCONCLUSIVE, "the candidate's run was interrupted"))
    return matched


def _add_pair(matched: MatchedRuns, pair: MatchedPair) -> None:
    """Add a scenario that both runs name: as a pair to compare, or with the reason why it is not one."""
    old, new = pair.old, pair.new
    if new.status == ScenarioStatus.FAILED:
        matched.rows.append(_failed(new))
    elif old.status == ScenarioStatus.NOT_RUN:
        if new.status != ScenarioStatus.NOT_RUN:
            message = f"{pair.place} was not run in the baseline"
            matched.warnings.append(RunWarning("new scenarios", message, "accept a baseline that has it"))
    elif old.status != ScenarioStatus.OK:
        matched.incomparable.append(RunWarning(pair.place, f"{old.status} in the baseline", "measure the baseline again"))
    elif new.status == ScenarioStatus.NOT_RUN:
        message = f"not run in the candidate: {_line(new.error or 'no reason was recorded')}"
        matched.incomparable.append(RunWarning(pair.place, message, "measure the candidate where the scenario can run"))
    else:
        if pair.interrupted:
            matched.rows.append(_status(new, GateVerdict.INCONCLUSIVE, f"{pair.place} was interrupted"))
        _add_arms(matched, pair)
        _add_names(matched, pair, "group", old.groups, new.groups)
        matched.pairs.append(pair)


def _add_arms(matched: MatchedRuns, pair: MatchedPair) -> None:
    """Add the arms that are missing, new, or no longer run."""
    after = {a.name: a for a in pair.new.arms}
    _add_names(matched, pair, "arm", {a.name: a.description for a in pair.old.arms}, {a.name: a.description for a in pair.new.arms})
    for arm in pair.old.arms:
        now = after.get(arm.name)
        if arm.cannot_run is None and now is not None and now.cannot_run is not None:
            message = f"it no longer runs: {_line(now.cannot_run)}"
            matched.rows.append(_status(pair.new, GateVerdict.REGRESSED, message, arm.name))


def _add_names(matched: MatchedRuns, pair: MatchedPair, noun: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    """Add the arms or groups (name → description) that are missing, each with its likely new name, or that are new."""
    missing, added = {n: t for n, t in old.items() if n not in new}, {n: t for n, t in new.items() if n not in old}
    if missing:
        message = _missing(noun, list(missing), renamed(missing, added))
        matched.incomparable.append(RunWarning(pair.place, message, RENAMED))
    elif added:
        message = f"{noun} {listed(list(added))}: not in the baseline, so not compared"
        matched.warnings.append(RunWarning(f"new in {pair.place}", message, "accept a baseline that has it"))


def _add_missing(
    matched: MatchedRuns, missing: Sequence[ScenarioResult], new: Sequence[ScenarioResult], *, interrupted: bool
) -> None:
    """Add the scenarios that the candidate lacks."""
    if interrupted:
        message = f"the candidate's run was interrupted before {listed([_place(r) for r in missing])}"
        matched.rows.append(_status(missing[0], GateVerdict.INCONCLUSIVE, message))
        return
    likely: dict[str, str] = {}
    for where in dict.fromkeys((r.engine, r.rtt_ms) for r in missing):
        before, after = ({_place(r): r.doc or r.file for r in rs if (r.engine, r.rtt_ms) == where} for rs in (missing, new))
        likely |= renamed(before, after)
    message = _missing("scenario", [_place(r) for r in missing], likely)
    matched.incomparable.append(RunWarning("scenarios", message, RENAMED))


def _missing(noun: str, missing: Sequence[str], likely: Mapping[str, str]) -> str:
    verb = "is" if len(missing) == 1 else "are"
    return f"{noun} {listed(missing)} {verb} missing in the candidate{rename_hints(likely)}"


def _failed(result: ScenarioResult) -> GateRow:
    return _status(result, GateVerdict.REGRESSED, f"it failed: {_line(result.error or 'no error was recorded')}")


def _status(result: ScenarioResult, verdict: GateVerdict, reason: str, arm: str = "") -> GateRow:
    return status_row(result.name, result.engine, result.rtt_ms, verdict, reason, arm=arm)


def _place(result: ScenarioResult) -> str:
    return _status(result, GateVerdict.NOT_JUDGED, "").place


def _line(text: str) -> str:
    return " ".join(text.split())
