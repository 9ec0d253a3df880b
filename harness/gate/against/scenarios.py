"""Compare the scenarios of two trees: examined in processes of each, compared by work counts, and timed interleaved."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from harness.bench.serving import NO_NETWORK
from harness.errors import MissingExtraError, NotMeasurableError, UsageError
from harness.gate import stored_runs
from harness.gate.against import protocol
from harness.gate.against.checkout import Checkout, version_command
from harness.gate.against.compare import (
    IDENTICAL,
    ProgressLine,
    VersionCommand,
    VersionError,
    VersionProcess,
    compare_all,
    not_timed,
    run_all_to_end,
    run_to_end,
)
from harness.gate.impact.decision import parsed
from harness.gate.impact.proof import Impact, Recordings, impact
from harness.gate.matching import place, status
from harness.gate.verdict import first, result
from harness.importers import own_run
from harness.results.gate import GateResult, GateRow, GateVerdict
from harness.results.run import ArmResult, RunKind, RunSettings, RunWarning, ScenarioResult, ScenarioStatus, WorkCount
from harness.results.warning_names import WarningName
from harness.runtime.cores import choose_cores
from harness.runtime.watch import OPERATION_TIMEOUT_S

WORKER = Path(__file__).with_name("scenario_worker.py")
STOP_TIMEOUT_S = 30.0
"""The seconds that a tree's servers may take to stop."""

SAME = "give both versions the same benchmark, or compare stored runs"


@dataclass(frozen=True)
class CompareRequest:
    """A request to compare scenarios of two trees."""

    files: Sequence[Path]
    """The scenario files, relative to either tree."""
    settings: RunSettings
    """The engines, size, seed and RTT."""
    margin: float
    """The smallest slowdown, as a share, that must be found."""
    tolerances: Mapping[str, float]
    """"scenario.metric" → tolerated share."""
    budget_s: Callable[[int], float]
    """The seconds for timing a number of benchmarks."""
    allow_missing: bool = False
    """Whether scenarios, arms, groups and counts may be missing in the new version."""
    timeout_s: float = OPERATION_TIMEOUT_S
    """Timeout of one operation, in seconds."""
    time_all: bool = False
    """Whether benchmarks that the change cannot have touched are timed as well."""


@dataclass(frozen=True)
class ExaminedVersion:
    """One scenario on one engine in one tree."""

    result: ScenarioResult
    """Its result without times."""
    command: VersionCommand | None = None
    """The command that serves its benchmarks; None if it failed."""
    found: Mapping[str, Any] | None = None
    """The worker's findings: benchmarks, cases, answers, counts."""
    examining: VersionCommand | None = None
    """The command that ran its operations and counted their work."""
    recorded: Sequence[Mapping[str, Any]] = ()
    """What starting its servers, preparing its data and running its operations executed and read, if that was recorded."""
    is_usable: bool = True
    """Whether the file can be imported and is a scenario."""


def compare(trees: Checkout, python: str, request: CompareRequest, space: Path, progress: ProgressLine) -> GateResult:
    """Compare the work counts and times of every scenario in both trees.

    `python` runs the old version; `space` is a folder for both versions' files; `progress` is called with a line per step.

    UsageError: a scenario file can be imported in neither version.
    """
    settings = request.settings
    examined: dict[str, list[ExaminedVersion]] = {"old": [], "new": []}
    times: list[GateRow] = []
    reasons: list[RunWarning] = []
    for file, engine in product(request.files, settings.engines or [""]):
        step = _prefixed(progress, f"{file.stem} · {engine}" if engine else file.stem)
        with ExitStack() as servers:
            both: dict[str, ExaminedVersion] = {}
            for name, tree in (("old", trees.old), ("new", trees.new)):
                step(f"preparing the {name} version")
                if (tree / file).is_file():
                    folder = space / f"{file.stem}-{engine or 'own'}-{name}"
                    on = engine or (both["old"].result.engine if both else "")  # both versions on the same
                    both[name] = _examine(trees, name, python, request, folder, file, on, servers, step)
            if failure := _old_failure(trees, both):
                reasons.append(failure)
                continue
            for name, version in both.items():
                examined[name].append(version)
            if len(both) == 2:  # noqa: PLR2004 - each tree has the scenario
                is_same = trees.same and not request.time_all
                rows, incomparable = _identical(both["new"]) if is_same else _time(trees, both["old"], both["new"], request, step)
                times += rows
                reasons += incomparable
    before, after = ([version.result for version in versions] for versions in examined.values())
    if after and not before and not reasons and all(ran.status == ScenarioStatus.OK for ran in after):
        return first(trees.names, sum(len(version.found["benchmarks"]) for version in examined["new"] if version.found))
    base, candidate = (  # both of this machine, so that they need no environment; other times, so that neither is a copy
        replace(
            own_run.blank(RunKind.PAIRS, name, settings.on(r.engine for r in results), results, started_at=name), finished_at=name
        )
        for name, results in zip(trees.names, (before, after), strict=True)
    )
    counted = stored_runs.gate(base, candidate, request.tolerances, names=trees.names, allow_missing=request.allow_missing)
    warnings = [*counted.warnings, *(warning for new in examined["new"] for warning in _not_timed(new))]
    return result(trees.names, [*counted.rows, *times], [*reasons, *counted.incomparable], warnings)


def _old_failure(trees: Checkout, both: Mapping[str, ExaminedVersion]) -> RunWarning | None:
    """Return why a scenario that fails in the old version cannot be compared, None for any other.

    The old version's code may be older than what the scenario needs, so that its failure is not a regression, nor is the new
    version's same failure. UsageError: the file can be imported in neither.
    """
    failed = {name: version.result for name, version in both.items() if version.result.status == ScenarioStatus.FAILED}
    if len(both) != 2 or "old" not in failed:  # noqa: PLR2004 - each tree has the scenario
        return None
    if not any(version.is_usable for version in both.values()):
        raise UsageError(f"neither version can be compared: {failed['new'].error}")
    where = "both versions" if "new" in failed else trees.ref
    error = failed.get("new", failed["old"]).error
    return RunWarning(place(failed["old"]), f"it fails in {where}: {error}", SAME)


def _prefixed(progress: ProgressLine, scenario: str) -> ProgressLine:
    return lambda text: progress(f"{scenario}: {text}")


def _examine(
    trees: Checkout,
    name: str,
    python: str,
    request: CompareRequest,
    folder: Path,
    file: Path,
    engine: str,
    servers: ExitStack,
    progress: ProgressLine,
) -> ExaminedVersion:
    """Start the servers that a version of a scenario needs, build its data, and collect its counts and answers."""
    settings = request.settings
    own, shared, rtt_ms = folder / "own", folder / "shared", settings.rtts_ms[0]
    data = {"engine": engine, "size": settings.size, "seed": settings.seed, "rtt_ms": rtt_ms, "quick": settings.quick}
    resets = {"resets": True, "takes_back": True}  # the second is its name before groups were objects
    setting: dict[str, Any] = {"folder": str(own), "shared": str(shared), "servers": {}, **data, **resets}
    tree = trees.old if name == "old" else trees.new
    is_recorded = not (request.time_all or trees.same)
    job = {"file": str(tree / file), "kept": str(folder), "benchmarks": [], "setting": setting}
    for each in (folder, shared, own):
        each.mkdir()

    def version(task: str) -> VersionCommand:
        written = folder / f"{task}.json"
        written.write_text(json.dumps({**job, "task": task}), encoding="utf-8")
        command = version_command(trees, name, python, ["-P", str(WORKER), str(written)])
        environment = {**command.environment, protocol.RECORD: str(tree)} if is_recorded and task != "time" else command.environment
        return replace(command, timeout_s=request.timeout_s, environment=environment)

    blank = ScenarioResult(file.stem, file.stem, "", str(file), engine, rtt_ms, ScenarioStatus.OK)
    core = choose_cores().coordinator
    try:
        serving = servers.enter_context(
            VersionProcess(version("serve"), core=core, exit_timeout_s=STOP_TIMEOUT_S, progress=progress)
        )
        started = serving.receive()
        setting["servers"], setting["engine"] = started["servers"], started["engine"]
        blank = replace(blank, engine=started["engine"])
        if rtt_ms and not setting["servers"]:
            raise VersionError(name, NO_NETWORK, NotMeasurableError.__name__)  # noqa: TRY301 - as others
        ready, found = run_to_end(version("prepare"), progress), run_to_end(version("examine"), progress)
    except VersionError as error:
        refusal = error.as_refusal()
        status = ScenarioStatus.NOT_RUN if isinstance(refusal, NotMeasurableError) else ScenarioStatus.FAILED
        is_usable = error.kind not in {UsageError.__name__, MissingExtraError.__name__}
        message = error.message if is_usable else error.message.removeprefix(f"{error.kind}: ")
        failed = replace(blank, status=status, error=message, exit_code=refusal.code)
        return ExaminedVersion(failed, is_usable=is_usable)
    job["benchmarks"] = found["benchmarks"]
    recorded = [process["recording"] for process in (started, ready, found)] if is_recorded else []
    return ExaminedVersion(_result(blank, ready, found), version("time"), found, version("examine"), recorded)


def _result(blank: ScenarioResult, ready: Mapping[str, Any], found: Mapping[str, Any]) -> ScenarioResult:
    names = {name: (group, arm) for name, group, arm in found["all"]}
    errors: dict[str, dict[str, str]] = {arm: {} for arm in found["arms"]}
    for name, error in found["cannot_run"].items():
        group, arm = names[name]
        errors[arm][group] = error
    return replace(
        blank,
        arms=[ArmResult(arm, description, errors[arm]) for arm, description in found["arms"].items()],
        work_counts=[
            WorkCount(names[name][1], names[name][0], metric, value, repeats_exactly=repeats)
            for name, metric, value, repeats in found["work_counts"]
        ],
        dataset=ready["dataset"],
        engine_settings=ready["engine_settings"],
        **{key: found[key] for key in ("title", "doc", "groups", "tolerances", "higher_is_better")},
    )


def _identical(new: ExaminedVersion) -> tuple[list[GateRow], list[RunWarning]]:
    """Return the rows of a scenario's benchmarks in two trees with the same content."""
    base, names = new.result, new.found["benchmarks"] if new.found else []
    return [not_timed(IDENTICAL, base.name, base.engine, base.rtt_ms, arm, group) for _, group, arm in names], []


def _impact(trees: Checkout, old: ExaminedVersion, new: ExaminedVersion, names: Sequence[str], progress: ProgressLine) -> Impact:
    """Return what the change touches of the benchmarks `names`, which both versions have."""

    def record(only: Sequence[str]) -> Recordings:
        progress(f"recording what {len(only)} benchmarks without a difference execute and read, by themselves")
        with tempfile.TemporaryDirectory(prefix="harness-against-") as folder:
            file = Path(folder) / "only.json"
            file.write_text(json.dumps(list(only)), encoding="utf-8")
            commands = [command for command in (old.examining, new.examining) if command]
            before, after = run_all_to_end(commands, progress, only=file)
        return parsed(*old.recorded[:2], before["recording"]), parsed(*new.recorded[:2], after["recording"])

    return impact((parsed(*old.recorded), parsed(*new.recorded)), record, (trees.old, trees.new), names)


def _time(
    trees: Checkout, old: ExaminedVersion, new: ExaminedVersion, request: CompareRequest, progress: ProgressLine
) -> tuple[list[GateRow], list[RunWarning]]:
    """Time a scenario that both trees have; return the rows, and why some of its benchmarks have none."""
    if not (old.command and new.command and old.found and new.found):
        return [], []
    base = new.result
    changed = dict(_changed(old.found, new.found))
    reasons = [RunWarning(place(base), f"{name}: {reason}", SAME) for name, reason in changed.items()]
    names = {name: (arm, group) for name, group, arm in new.found["benchmarks"]}
    both = [name for name, _, _ in old.found["benchmarks"] if name in names and name not in changed]
    seed, rows = f"{request.settings.seed}/{base.name}", list[GateRow]()
    try:
        if both and old.recorded and new.recorded:
            found = _impact(trees, old, new, both, progress)
            unchanged = {name: found.reason(name) for name in found.unchanged}
            rows = [not_timed(reason, base.name, base.engine, base.rtt_ms, *names[name]) for name, reason in unchanged.items()]
            both = found.touched
        if not both:
            return rows, reasons
        budget_s = request.budget_s(len(both))
        times = compare_all(old.command, new.command, budget_s, wanted=both, margin=request.margin, seed=seed, progress=progress)
    except VersionError as error:
        if error.as_refusal().code == 1:
            return [*rows, status(base, GateVerdict.REGRESSED, f"it failed while timed: {error.message}")], reasons
        return rows, [*reasons, RunWarning(place(base), str(error), SAME)]
    rows += [time.row(request.margin, base.name, base.engine, base.rtt_ms, *names[time.name]) for time in times]
    return rows, reasons


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the benchmarks whose versions do not do the same, each with the reason: other cases, or other answers."""
    for name, group, _ in new["benchmarks"]:
        if group in old["cases"] and old["cases"][group] != new["cases"][group]:
            yield name, "the two versions have different cases"
        elif name in old["answers"] and name in new["answers"] and old["answers"][name] != new["answers"][name]:
            yield name, "the two versions give different answers"


def _not_timed(new: ExaminedVersion) -> Iterator[RunWarning]:
    """Yield a warning about the groups that run but are too slow to be timed."""
    if new.found is None:
        return
    timed = {name for name, _, _ in new.found["benchmarks"]} | set(new.found["cannot_run"])
    left_out = dict.fromkeys(group for name, group, _ in new.found["all"] if name not in timed)
    if left_out:
        message = f"one operation of {', '.join(left_out)} takes seconds, too long to be timed interleaved"
        yield RunWarning(
            f"{WarningName.NOT_TIMED} in {place(new.result)}", message, "compare its work counts, or two runs of `harness run`"
        )
