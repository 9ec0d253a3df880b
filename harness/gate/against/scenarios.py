"""Compare the scenarios of two trees: examined in processes of each, compared by work counts, and timed interleaved.

All are examined first, one after another, so that the time that is left can be spent where it decides. The servers of what is to be
timed run on until the end, idle but for their turn: to start them anew for every process pair would take longer than timing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from harness.bench.serving import NO_NETWORK
from harness.errors import MissingExtraError, NotMeasurableError, UsageError
from harness.gate import stored_runs
from harness.gate.against import protocol
from harness.gate.against.budget import GateBudget
from harness.gate.against.checkout import Checkout, version_command
from harness.gate.against.compare import (
    BudgetSpentError,
    ProgressLine,
    VersionCommand,
    VersionError,
    VersionProcess,
    run_all_to_end,
    run_to_end,
)
from harness.gate.against.gate_folder import GateFolder
from harness.gate.against.sequence import INTERRUPTED, TimedPart, compare_all, duration, not_begun
from harness.gate.against.verdicts import IDENTICAL, not_timed
from harness.gate.impact.decision import VersionRecording, parsed
from harness.gate.impact.proof import Impact, Recordings, impact
from harness.gate.matching import place, status
from harness.gate.verdict import ended, first, result
from harness.importers import own_run
from harness.results.gate import GateResult, GateRow, GateTiming, GateVerdict, status_row
from harness.results.run import (
    ArmResult,
    RunKind,
    RunSettings,
    RunWarning,
    ScenarioResult,
    ScenarioStatus,
    WorkCount,
    counted_again,
)
from harness.results.warning_names import WarningName
from harness.runtime.cores import choose_cores
from harness.runtime.leftovers import owned_folder
from harness.runtime.watch import OPERATION_TIMEOUT_S
from harness.scenario import Server
from harness.servers.health import ServerWatch

WORKER = Path(__file__).with_name("scenario_worker.py")
STOP_TIMEOUT_S = 30.0
"""The seconds that a tree's servers may take to stop."""

AGAIN = "run the gate again"
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
    budget: GateBudget
    """The time for everything."""
    store: GateFolder | None = None
    """Keeps the process pairs, and may have those of the beginning of this gate; without, nothing is kept."""
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
    servers: Mapping[str, Server] = field(default_factory=dict)
    """The servers that its instances connect to."""

    @property
    def fault(self) -> str | None:
        """Why one of its servers does not serve, the likely cause of a failure; None if all do."""
        return ServerWatch(self.servers).fault()


@dataclass(frozen=True)
class ScenarioPart:
    """One scenario on one engine that is to be timed."""

    part: TimedPart
    versions: tuple[ExaminedVersion, ExaminedVersion]
    """The old and the new one."""
    names: Mapping[str, tuple[str, str]]
    """Benchmark → its arm and group."""
    found: Impact
    """What the change touches of it."""

    @property
    def result(self) -> ScenarioResult:
        """The new version's result."""
        return self.versions[1].result


@dataclass
class ComparedScenarios:
    """The findings about several scenarios so far."""

    examined: dict[str, list[ExaminedVersion]] = field(default_factory=lambda: {"old": [], "new": []})
    parts: list[ScenarioPart] = field(default_factory=list)
    """The ones to be timed."""
    times: list[GateRow] = field(default_factory=list)
    reasons: list[RunWarning] = field(default_factory=list)
    """The reasons why some cannot be compared."""
    failing: list[RunWarning] = field(default_factory=list)
    """Those that fail in both versions."""
    once: set[Path] = field(default_factory=set)
    """The scenarios without a database, which are compared once whatever engines are named."""
    unfinished: str = ""
    """The reason why some times are undecided."""
    timed_s: float = 0.0
    process_pairs: int = 0


def compare(trees: Checkout, python: str, request: CompareRequest, space: Path, progress: ProgressLine) -> GateResult:
    """Compare the work counts and times of every scenario in both trees.

    `python` runs the old version; `space` is a folder for both versions' files; `progress` is called with a line per step.

    UsageError: a scenario file can be imported in neither version, or a scenario fails in both.
    """
    settings, compared = request.settings, ComparedScenarios()
    with ExitStack() as running:
        _examine_all(trees, python, request, space, running, progress, compared)
        if compared.failing:
            first_, *others = compared.failing
            more = f", and {len(others)} more" if others else ""
            left_out = f"leave it out: --except {first_.name.partition(' · ')[0]}"
            raise UsageError(f"{first_.name} fails in both versions{more}: {first_.message}; fix it, or {left_out}")
        _time_all(request, progress, compared)
    examined, times, reasons = compared.examined, compared.times, compared.reasons
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
    found = result(trees.names, [*counted.rows, *times], [*reasons, *counted.incomparable], warnings)
    timed = GateTiming(request.budget.spent_s, compared.timed_s, compared.process_pairs)
    return ended(replace(found, timing=timed), compared.unfinished, request.store.folder if request.store else None)


def _examine_all(
    trees: Checkout,
    python: str,
    request: CompareRequest,
    space: Path,
    running: ExitStack,
    progress: ProgressLine,
    compared: ComparedScenarios,
) -> None:
    """Examine every scenario on every engine, until the budget is spent or an interrupt; `running` gets the servers to go on."""
    steps, done = list(product(request.files, request.settings.engines or [""])), 0
    try:
        for file, engine in steps:
            if file not in compared.once:
                if request.budget.is_spent:
                    raise BudgetSpentError  # noqa: TRY301 - as while a version is at work
                step = _prefixed(progress, f"{file.stem} · {engine}" if engine else file.stem)
                with ExitStack() as servers:
                    if _step(trees, python, request, space, (file, engine), servers, step, compared):
                        running.enter_context(servers.pop_all())
            done += 1
    except (KeyboardInterrupt, BudgetSpentError) as error:
        is_interrupt = isinstance(error, KeyboardInterrupt)
        compared.unfinished = INTERRUPTED if is_interrupt else f"the budget of {duration(request.budget.seconds)} is spent"
        for file, engine in (step for step in steps[done:] if step[0] not in compared.once):
            reason = f"not compared: {compared.unfinished}"
            compared.times.append(status_row(file.stem, engine, 0.0, GateVerdict.INCONCLUSIVE, reason))


def _step(
    trees: Checkout,
    python: str,
    request: CompareRequest,
    space: Path,
    subject: tuple[Path, str],
    servers: ExitStack,
    progress: ProgressLine,
    compared: "ComparedScenarios",
) -> bool:
    """Examine one scenario on one engine and add what is found to `compared`; return whether it is to be timed."""
    file, engine = subject
    both: dict[str, ExaminedVersion] = {}
    for name, tree in (("old", trees.old), ("new", trees.new)):
        progress(f"preparing the {name} version")
        if (tree / file).is_file():
            folder = space / f"{file.stem}-{engine or 'own'}-{name}"
            on = engine or (both["old"].result.engine if both else "")  # both versions on the same
            both[name] = _examine(trees, name, python, request, folder, file, on, servers, progress)
    if engine and any(not version.result.engine for version in both.values()):
        compared.once.add(file)
    if failure := _server_failure(both):
        compared.reasons.append(failure)
        return False
    if _old_failure(trees, both, compared):
        return False
    for name, version in both.items():
        compared.examined[name].append(version)
    if len(both) != 2:  # noqa: PLR2004 - each tree has the scenario
        return False
    if trees.same and not request.time_all:
        compared.times += _identical(both["new"])
        return False
    return _plan(trees, both["old"], both["new"], request, progress, compared)


def _server_failure(both: Mapping[str, ExaminedVersion]) -> RunWarning | None:
    """Return which server failed a version, of which nothing can then be said; None if none did."""
    for name, version in both.items():
        if version.result.status == ScenarioStatus.FAILED and (fault := version.fault):
            return RunWarning(place(version.result), f"{fault}, used by the {name} version ({version.result.error})", AGAIN)
    return None


def _old_failure(trees: Checkout, both: Mapping[str, ExaminedVersion], compared: ComparedScenarios) -> bool:
    """Return whether a scenario fails in the old version, and note why it cannot be compared.

    The old version's code may be older than what the scenario needs, so that its failure is not a regression, nor is the new
    version's same failure. UsageError: the file can be imported in neither.
    """
    failed = {name: version.result for name, version in both.items() if version.result.status == ScenarioStatus.FAILED}
    if len(both) != 2 or "old" not in failed:  # noqa: PLR2004 - each tree has the scenario
        return False
    if not any(version.is_usable for version in both.values()):
        raise UsageError(f"neither version can be compared: {failed['new'].error}")
    where, error = place(failed["old"]), failed.get("new", failed["old"]).error
    if "new" in failed:
        compared.failing.append(RunWarning(where, error or "no reason was given", SAME))
    else:
        compared.reasons.append(RunWarning(where, f"it fails in {trees.ref}: {error}", SAME))
    return True


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
        recording = {protocol.RECORD: str(tree)} if is_recorded and task not in {"recount", "time"} else {}
        return replace(command, timeout_s=request.timeout_s, environment={**command.environment, **recording})

    blank = ScenarioResult(file.stem, file.stem, "", str(file), engine, rtt_ms, ScenarioStatus.OK)
    core = choose_cores().coordinator
    used: dict[str, Server] = {}
    try:
        serving = servers.enter_context(
            VersionProcess(version("serve"), core=core, exit_timeout_s=STOP_TIMEOUT_S, progress=progress)
        )
        started = serving.receive()
        setting["servers"], setting["engine"] = started["servers"], started["engine"]
        used = {name: Server(server["direct_url"], server["url"]) for name, server in started["servers"].items()}
        blank = replace(blank, engine=started["engine"])
        if rtt_ms and not (setting["servers"] or started["adds_latency"]):
            raise VersionError(name, NO_NETWORK, NotMeasurableError.__name__)  # noqa: TRY301 - as others
        tasks = ("prepare", "examine", "recount")
        ready, found, again = (run_to_end(version(task), progress, lambda: request.budget.is_spent) for task in tasks)
    except VersionError as error:
        refusal = error.as_refusal()
        status = ScenarioStatus.NOT_RUN if isinstance(refusal, NotMeasurableError) else ScenarioStatus.FAILED
        is_usable = error.kind not in {UsageError.__name__, MissingExtraError.__name__}
        message = error.message if is_usable else error.message.removeprefix(f"{error.kind}: ")
        failed = replace(blank, status=status, error=message, exit_code=refusal.code)
        return ExaminedVersion(failed, is_usable=is_usable, servers=used)
    job["benchmarks"] = found["benchmarks"]
    recorded = [process["recording"] for process in (started, ready, found)] if is_recorded else []
    return ExaminedVersion(_result(blank, ready, found, again), version("time"), found, version("examine"), recorded, servers=used)


def _result(blank: ScenarioResult, ready: Mapping[str, Any], found: Mapping[str, Any], again: Mapping[str, Any]) -> ScenarioResult:
    """Return a version's result from what it found, and counted `again` in another process."""
    names = {name: (group, arm) for name, group, arm in found["all"]}
    errors: dict[str, dict[str, str]] = {arm: {} for arm in found["arms"]}
    for name, error in found["cannot_run"].items():
        group, arm = names[name]
        errors[arm][group] = error
    return replace(
        blank,
        arms=[ArmResult(arm, description, errors[arm]) for arm, description in found["arms"].items()],
        work_counts=counted_again(
            *(
                [
                    WorkCount(names[name][1], names[name][0], metric, value, repeats_exactly=repeats)
                    for name, metric, value, repeats in process["work_counts"]
                ]
                for process in (found, again)
            )
        ),
        dataset=ready["dataset"],
        engine_settings=ready["engine_settings"],
        **{key: found[key] for key in ("title", "doc", "groups", "tolerances", "higher_is_better")},
    )


def _identical(new: ExaminedVersion) -> list[GateRow]:
    """Return the rows of a scenario's benchmarks in two trees with the same content."""
    base, names = new.result, new.found["benchmarks"] if new.found else []
    return [not_timed(IDENTICAL, base.name, base.engine, base.rtt_ms, arm, group) for _, group, arm in names]


def _impact(
    trees: Checkout,
    old: ExaminedVersion,
    new: ExaminedVersion,
    names: Sequence[str],
    request: CompareRequest,
    progress: ProgressLine,
) -> Impact:
    """Return what the change touches of the benchmarks `names`, which both versions have."""

    def record(only: Sequence[str]) -> Recordings:
        progress(f"recording what {len(only)} benchmarks without a difference execute and read, by themselves")
        with owned_folder("against") as folder:
            file = folder / "only.json"
            file.write_text(json.dumps(list(only)), encoding="utf-8")
            commands = [command for command in (old.examining, new.examining) if command]
            before, after = run_all_to_end(commands, progress, file, lambda: request.budget.is_spent)
        return parsed(*old.recorded[:2], before["recording"]), parsed(*new.recorded[:2], after["recording"])

    return impact((_recording(old), _recording(new)), record, (trees.old, trees.new), names)


def _recording(version: ExaminedVersion) -> VersionRecording:
    """Return a version's recording, with the counts that do not repeat."""
    unsteady: dict[str, set[str]] = {}
    for count in version.result.work_counts:
        if not count.repeats_exactly:
            unsteady.setdefault(f"{count.group}[{count.arm}]", set()).add(count.metric)
    return replace(parsed(*version.recorded), unsteady=unsteady)


def _plan(
    trees: Checkout,
    old: ExaminedVersion,
    new: ExaminedVersion,
    request: CompareRequest,
    progress: ProgressLine,
    compared: ComparedScenarios,
) -> bool:
    """Add to `compared` what of a scenario that both trees have is to be timed, and why the rest is not; return if anything is."""
    if not (old.command and new.command and old.found and new.found):
        return False
    base = new.result
    changed = dict(_changed(old.found, new.found))
    compared.reasons += [RunWarning(place(base), f"{name}: {reason}", SAME) for name, reason in changed.items()]
    names = {name: (arm, group) for name, group, arm in new.found["benchmarks"]}
    both = [name for name, _, _ in old.found["benchmarks"] if name in names and name not in changed]
    found = Impact()
    if both and old.recorded and new.recorded:
        try:
            found = _impact(trees, old, new, both, request, progress)
        except VersionError as error:
            _add_failure((old, new), error, compared)
            return False
        unchanged = {name: found.reason(name) for name in found.unchanged}
        compared.times += [not_timed(why, base.name, base.engine, base.rtt_ms, *names[name]) for name, why in unchanged.items()]
        both = found.touched
    if both:
        part = TimedPart(old.command, new.command, both, place(base))
        compared.parts.append(ScenarioPart(part, (old, new), names, found))
    return bool(both)


def _time_all(request: CompareRequest, progress: ProgressLine, compared: ComparedScenarios) -> None:
    """Time all that is to be timed, in rounds over all scenarios, and add the rows to `compared`."""
    if not compared.parts:
        return
    scenarios = {each.part.name: each for each in compared.parts}
    parts = [each.part for each in compared.parts]
    if compared.unfinished:
        found = not_begun(parts, compared.unfinished, request.margin)
    else:
        seed, store = str(request.settings.seed), request.store
        found = compare_all(parts, request.budget, margin=request.margin, seed=seed, store=store, progress=progress)
        compared.unfinished = found.unfinished
    for name, error in found.failures.items():
        _add_failure(scenarios[name].versions, error, compared)
    labels = {part.label(name): (scenarios[part.name], name) for part in parts for name in part.wanted or ()}
    for time in found.times:
        scenario, name = labels[time.name]
        base, work = scenario.result, scenario.found.work(name)
        row = time.row(request.margin, base.name, base.engine, base.rtt_ms, *scenario.names[name])
        compared.times.append(replace(row, reason=f"{row.reason}; {work}") if work else row)
    compared.timed_s, compared.process_pairs = found.timed_s, found.process_pairs


def _add_failure(versions: tuple[ExaminedVersion, ExaminedVersion], error: VersionError, compared: ComparedScenarios) -> None:
    """Add the failure of a version while it was recorded or timed; that of a server shows nothing about a version."""
    base = versions[1].result
    if fault := next(filter(None, (version.fault for version in versions)), None):
        compared.reasons.append(RunWarning(place(base), f"{fault} ({error})", AGAIN))
    elif error.as_refusal().code == 1:
        compared.times.append(status(base, GateVerdict.REGRESSED, f"it failed while timed: {error.message}"))
    else:
        compared.reasons.append(RunWarning(place(base), str(error), SAME))


def explain(trees: Checkout, python: str, request: CompareRequest, space: Path, progress: ProgressLine) -> dict[str, Impact]:
    """Return what the change touches of every scenario that both versions have, without timing any: place → impact.

    UsageError: a scenario fails in a version.
    """
    explained, trees = {}, replace(trees, same=False)  # which would not be recorded
    for file, engine in product(request.files, request.settings.engines or [""]):
        step = _prefixed(progress, f"{file.stem} · {engine}" if engine else file.stem)
        both: list[ExaminedVersion] = []
        with ExitStack() as servers:
            for name, tree in (("old", trees.old), ("new", trees.new)):
                step(f"preparing the {name} version")
                if (tree / file).is_file():
                    folder, on = space / f"{file.stem}-{engine or 'own'}-{name}", engine or (both[0].result.engine if both else "")
                    both.append(_examine(trees, name, python, request, folder, file, on, servers, step))
            failed = next((each.result for each in both if each.found is None), None)
            if failed is not None:
                raise UsageError(f"{place(failed)} cannot be explained, it fails: {failed.error}; fix it first")
            if len(both) == 2:  # noqa: PLR2004 - each tree has the scenario
                old, new = both
                of_old = {name for name, _, _ in old.found["benchmarks"]} if old.found else set()
                names = [name for name, _, _ in new.found["benchmarks"] if name in of_old] if new.found else []
                explained[place(new.result)] = _impact(trees, old, new, names, request, step)
    return explained


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
