"""The counterparts in two runs: matching scenarios, arms, groups, machines and versions, and reasons why others do not match."""

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.gate.verdict import SHOWN_NAMES, listed
from harness.results.gate import GateRow, GateVerdict, status_row
from harness.results.load import ArmFigure
from harness.results.run import AA_CONTROL, Run, RunWarning, ScenarioResult, ScenarioStatus
from harness.results.warning_names import WarningName
from harness.runtime.machine import INTERPRETER_FACTS, OPTIMISED

MEASURE = "measure both versions with the same options"
RENAMED = "restore the old name, or accept the candidate as the new baseline: harness baseline accept RUN"

TIMING = ("cpu", "cores", "governor", "workers pinned to")
"""The facts of a run's environment that change times, in addition to the interpreter's version."""

ALWAYS_DIFFERS = ("load average at start", "baseline accepted", "regressed on purpose")
"""The facts of a run's environment that differ between any two runs, or do not describe the machine."""

GENERATOR = "generator's "
"""The beginning of the facts that were measured of a load generator."""

LOAD = ("model", "arrivals", "users", "in-flight limit")
"""The facts of a run's environment that describe its load, which is compared by itself."""

SETTING = ("PRAGMA ", "setting ")
"""The beginnings of an engine's facts that are settings, whatever their values look like."""

NO_SETTINGS = ("PRAGMA page_count", "begin", "execution", "mode", "pool", "pool overflow", "pool size")
"""The facts about an engine that result from the data, or that the code under test chooses: they may differ."""

BUILDS = ("redis os", "sqlite compile options", "sqlite source")
"""The facts about an engine that belong to its version."""

CLOSE = 0.8
"""The similarity of two names, from 0 to 1, from which on one may be the other's new name."""


@dataclass(frozen=True)
class MatchedPair:
    """One scenario on one engine at one RTT, in the baseline and in the candidate."""

    old: ScenarioResult
    new: ScenarioResult

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
    """The scenarios and arms that failed."""
    incomparable: list[RunWarning] = field(default_factory=list)
    """The reasons why a scenario, an arm or a group cannot be compared."""
    warnings: list[RunWarning] = field(default_factory=list)
    """The scenarios, arms and groups that are new in the candidate, or allowed to be missing in it."""


def incomparable_runs(base: Run, candidate: Run) -> list[RunWarning]:
    """Return the reasons why two runs cannot be compared at all; none where they can."""
    settings = [{"size": s.size, "seed": s.seed, "--quick": s.quick} for s in (base.settings, candidate.settings)]
    other = [f"{name} {value} and {settings[1][name]}" for name, value in settings[0].items() if value != settings[1][name]]
    found = {}
    if base.schema_version != candidate.schema_version:
        found[WarningName.OTHER_SCHEMA] = f"the runs have schema {base.schema_version} and {candidate.schema_version}"
    if base.kind != candidate.kind:
        found[WarningName.OTHER_KIND] = f"the baseline is of kind {str(base.kind)!r}, the candidate {str(candidate.kind)!r}"
    if other:
        found[WarningName.OTHER_SETTINGS] = f"the runs differ in {', '.join(other)}"
    return [RunWarning(name, message, MEASURE) for name, message in found.items()]


def unmeasured(partial: Sequence[ScenarioResult], whole: Sequence[ScenarioResult]) -> str:
    """Return the scenarios that one run measured and another one did not, or only in part, as the end of a sentence."""
    found = {place(r): r for r in partial}
    lacking = [(r, found.get(place(r))) for r in whole if r.status == ScenarioStatus.OK and _is_partial(found.get(place(r)), r)]
    missing = [f"{place(r)!r}{_parts_missing(mine, r) if mine is not None else ''}" for r, mine in lacking]
    return f" before it measured all of {listed(missing, quote=False)}" if missing else ""


def _parts_missing(result: ScenarioResult, whole: ScenarioResult) -> str:
    """Return the arms and groups of which a result lacks figures that a whole one has, in brackets; "" if it has no figures."""
    lacking: dict[str, None] = {}
    for mine, every in zip(_figures(result), _figures(whole), strict=True):
        known = {_key(figure) for figure in mine}
        lacking |= {f"{x.arm} in {x.group}": None for x in every if x.arm != AA_CONTROL and _key(x) not in known}
    return f" (not {listed(list(lacking), quote=False)})" if lacking and any(_figures(result)) else ""


def _figures(result: ScenarioResult) -> tuple[Sequence[ArmFigure], ...]:
    return result.latencies, result.work_counts, result.memory, result.load.arms if result.load else ()


def _key(figure: ArmFigure) -> tuple[object, ...]:
    return figure.arm, figure.group, *(getattr(figure, name, None) for name in ("metric", "scale", "limit_bytes"))


def _is_partial(result: ScenarioResult | None, whole: ScenarioResult) -> bool:
    if result is None or result.status == ScenarioStatus.INTERRUPTED:
        return True
    return any(len(mine) < len(theirs) for mine, theirs in zip(_figures(result), _figures(whole), strict=True))


def changed_load(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Return the settings of two loads that differ, such as `rate: 50 → 400 per second`; "" for the same load."""
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return "; ".join(f"{key}: {before.get(key, 'none')} → {after.get(key, 'none')}" for key in keys)


def differences(before: Mapping[str, str], after: Mapping[str, str], keys: Iterable[str] | None = None) -> list[str]:
    """Return `key old and new` for each fact, or those of `keys`, that both state and that differs, if it describes the machine."""
    wanted = before if keys is None else keys
    lasting = [key for key in wanted if key not in ALWAYS_DIFFERS and not key.startswith(GENERATOR)]
    both = [key for key in lasting if key in before and key in after]
    return [f"{key} {before[key]} and {after[key]}" for key in both if before[key] != after[key]]


def another_machine(before: Mapping[str, str], after: Mapping[str, str], keys: Iterable[str] = TIMING) -> str:
    """Return why times of two environments cannot be compared, by `keys` and the minor version of Python; "" where they can."""
    other = [*differences(before, after, keys), *other_interpreter(before, after), *_other_release("python", before, after)]
    return f"another machine or interpreter: {', '.join(other)}" if other else ""


def other_interpreter(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return `key old and new` for each setting of the interpreter that differs."""
    return differences(interpreter(before), interpreter(after))


def interpreter(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of the interpreter; empty where an environment does not state them."""
    return {key: environment.get(key, "default") for key in INTERPRETER_FACTS} if OPTIMISED in environment else {}


def other_versions(pair: MatchedPair, base: Run, candidate: Run) -> tuple[str, str, str]:
    """Return why work counts, the interpreter's own counts, and its instructions cannot be compared; "" where they can."""
    before, after = base.environment, candidate.environment
    digests = (pair.old.dataset.get("digest"), pair.new.dataset.get("digest"))
    reasons = [f"the data differ: {' and '.join(str(d)[:12] for d in digests)}"] * (digests[0] != digests[1])
    reasons += [*other_engine(pair), *_other_release("sqlalchemy", before, after), *other_interpreter(before, after)]
    interpreter = ", ".join(_other_release("python", before, after))
    instructions = differences(before, after, ["python"]) or differences(before, after, ["cpu"])
    return ", ".join(reasons), interpreter, ", ".join(instructions)


def other_engine(pair: MatchedPair) -> list[str]:
    """Return the release of the engine, if it differs in more than its last part, and the settings of the engine that differ."""
    before, after = pair.old.engine_settings, pair.new.engine_settings
    found = []
    for key in dict.fromkeys(key for key in (*before, *after) if key not in NO_SETTINGS):
        if _is_engine(pair, key):
            found += _other_release(key, {key: "none"} | before, {key: "none"} | after)
        elif not _is_version(key, before, after):
            found += differences(before, after, [key])
    return found


def engine_settings(result: ScenarioResult) -> dict[str, str]:
    """Return the facts about an engine that are its settings."""
    facts = result.engine_settings
    return {key: value for key, value in facts.items() if key not in NO_SETTINGS and not _is_version(key, facts)}


def new_versions(pairs: Sequence[MatchedPair], base: Run, candidate: Run) -> list[str]:
    """Return the facts about machines and versions that differ between two runs and do not make them incomparable by themselves."""
    before, after = ({"harness": run.harness_version, **run.environment} for run in (base, candidate))
    found = differences(before, after, [key for key in before if key not in (*INTERPRETER_FACTS, *LOAD)])
    for pair in pairs:
        settings = pair.old.engine_settings, pair.new.engine_settings
        versions = [key for key in settings[0] if key not in (*NO_SETTINGS, *before) and _is_version(key, *settings)]
        found += differences(*settings, versions)
    return list(dict.fromkeys(found))


_VERSION = re.compile(r"\d+(?:\.\d+)+")


def _is_version(key: str, *sides: Mapping[str, str]) -> bool:
    """Return whether a fact about an engine is a version or a build, and not a setting."""
    return key in BUILDS or (not key.startswith(SETTING) and any(_VERSION.search(facts.get(key, "")) for facts in sides))


def _is_engine(pair: MatchedPair, key: str) -> bool:
    """Return whether a fact is the engine's version: it has one word that begins like the engine's name."""
    return " " not in key and bool(pair.old.engine) and key.startswith(pair.old.engine)


def _other_release(key: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return `key old and new` if a version differs in more than its last part, which is its patch level."""
    releases = []
    for facts in (before, after):
        found = _VERSION.search(facts.get(key, ""))
        releases.append(found[0].rpartition(".")[0] if found else facts.get(key, ""))
    return [f"{key} {before.get(key)} and {after.get(key)}"] if releases[0] != releases[1] else []


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


def match(
    before: Sequence[ScenarioResult], after: Sequence[ScenarioResult], *, is_partial: bool = False, allow_missing: bool = False
) -> MatchedRuns:
    """Match the scenarios of two runs by name, engine and RTT.

    Of a second run that `is_partial`, missing scenarios are not listed; with `allow_missing`, what it lacks is a warning.
    """
    matched = MatchedRuns()
    twice = [name for results in (before, after) for name, number in Counter(map(place, results)).items() if number > 1]
    if twice:
        message = f"a run has two scenarios named {listed(list(dict.fromkeys(twice)))}"
        matched.incomparable.append(RunWarning(WarningName.NAMES, message, "measure runs in which each scenario has its own name"))
        return matched
    lacking = matched.warnings if allow_missing else matched.incomparable
    candidates, known = {place(r): r for r in after}, set(map(place, before))
    missing = [r for r in before if r.status != ScenarioStatus.NOT_RUN and place(r) not in candidates]
    new = [r for r in after if place(r) not in known]
    if missing and not is_partial:
        lacking.append(_missing_scenarios(missing, new))
    if new:
        message = f"{listed([place(r) for r in new])}: not in the baseline, so not compared"
        matched.warnings.append(RunWarning(WarningName.NEW_SCENARIOS, message, "accept a baseline that has them"))
    matched.rows.extend(_failed(r) for r in new if r.status == ScenarioStatus.FAILED)
    for old in (r for r in before if place(r) in candidates):
        _add_pair(matched, MatchedPair(old, candidates[place(old)]), lacking)
    return matched


def _add_pair(matched: MatchedRuns, pair: MatchedPair, lacking: list[RunWarning]) -> None:
    """Add a scenario that both runs name: as a pair to compare, or with the reason why it is not one."""
    old, new = pair.old, pair.new
    if old.status == new.status == ScenarioStatus.FAILED:
        message = f"it fails in both: {_line(new.error or 'no error was recorded')}"
        matched.incomparable.append(RunWarning(place(old), message, "fix it, and measure both versions again"))
    elif new.status == ScenarioStatus.FAILED:
        matched.rows.append(_failed(new))
    elif old.status == ScenarioStatus.NOT_RUN:
        if new.status != ScenarioStatus.NOT_RUN:
            message = f"{place(old)} was not run in the baseline"
            matched.warnings.append(RunWarning(WarningName.NEW_SCENARIOS, message, "accept a baseline that has it"))
    elif old.status != ScenarioStatus.OK:
        error = f": {_line(old.error)}" if old.error else ""
        matched.incomparable.append(RunWarning(place(old), f"{old.status} in the baseline{error}", "measure the baseline again"))
    elif new.status == ScenarioStatus.NOT_RUN:
        message = f"not run in the candidate: {_line(new.error or 'no reason was recorded')}"
        matched.incomparable.append(RunWarning(place(old), message, "measure the candidate where the scenario can run"))
    else:
        if new.status == ScenarioStatus.INTERRUPTED:
            matched.incomparable.append(RunWarning(place(old), "interrupted in the candidate", "measure the candidate again"))
        _add_names(matched, lacking, pair, "arm", *({arm.name: arm.description for arm in r.arms} for r in (old, new)))
        ran = {arm.name for arm in old.arms if arm.cannot_run is None}
        for arm in new.arms:
            if arm.cannot_run is not None and arm.name in ran:
                reason = f"it no longer runs: {_line(arm.cannot_run)}"
                matched.rows.append(status(new, GateVerdict.REGRESSED, reason, arm.name))
        _add_names(matched, lacking, pair, "group", old.groups, new.groups)
        matched.pairs.append(pair)


def _add_names(
    matched: MatchedRuns, lacking: list[RunWarning], pair: MatchedPair, noun: str, old: Mapping[str, str], new: Mapping[str, str]
) -> None:
    """Add the arms or groups (name → description) that are missing, each with its likely new name, and those that are new."""
    missing, added = {n: t for n, t in old.items() if n not in new}, {n: t for n, t in new.items() if n not in old}
    if missing:
        lacking.append(_missing(place(pair.old), noun, list(missing), renamed(missing, added)))
    if added:
        message = f"{noun} {listed(list(added))}: not in the baseline, so not compared"
        matched.warnings.append(RunWarning(f"{WarningName.NEW} in {place(pair.old)}", message, "accept a baseline that has it"))


def _missing_scenarios(missing: list[ScenarioResult], new: list[ScenarioResult]) -> RunWarning:
    """Return the scenarios that the candidate lacks, with their likely new names."""
    likely: dict[str, str] = {}
    for where in dict.fromkeys((r.engine, r.rtt_ms) for r in missing):
        before, after = ({place(r): r.doc or r.file for r in rs if (r.engine, r.rtt_ms) == where} for rs in (missing, new))
        likely |= renamed(before, after)
    return _missing("scenarios", "scenario", [place(r) for r in missing], likely)


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
