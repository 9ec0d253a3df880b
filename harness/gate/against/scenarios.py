"""Compare the scenarios of two trees: examined in processes of each, compared by work counts, and timed interleaved."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import NotMeasurableError
from harness.gate import stored_runs
from harness.gate.against import protocol
from harness.gate.against.checkout import Checkout, import_path
from harness.gate.against.compare import BenchmarkPlace, compare_all, time_row
from harness.gate.against.process import VersionCommand, VersionError, alive, run_to_end
from harness.gate.verdict import result
from harness.results.gate import GateResult, GateRow, GateVerdict, status_row
from harness.results.run import ArmResult, Run, RunKind, RunSettings, RunWarning, ScenarioResult, ScenarioStatus, WorkCount
from harness.results.store import SCHEMA_VERSION
from harness.runtime.cores import choose_cores

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


@dataclass
class ExaminedVersion:
    """One scenario on one engine in one tree."""

    result: ScenarioResult
    """Its result without times."""
    command: VersionCommand | None = None
    """The command that serves its benchmarks; None if it failed."""
    found: Mapping[str, Any] | None = None
    """The worker's findings: benchmarks, cases, answers, counts."""

    @property
    def place(self) -> str:
        """The name of the scenario with its engine and RTT."""
        return _status(self.result, GateVerdict.NOT_JUDGED, "").place


@dataclass
class ExaminedPair:
    """One scenario on one engine in both trees."""

    old: ExaminedVersion | None
    """None if the old tree lacks the scenario."""
    new: ExaminedVersion | None
    rows: Sequence[GateRow] = ()
    """The rows of its times."""
    incomparable: Sequence[RunWarning] = ()
    """The reasons why some of its benchmarks have none."""


def compare(trees: Checkout, python: str, request: CompareRequest, space: Path, progress: Callable[[str], None]) -> GateResult:
    """Compare the work counts and times of every scenario in both trees.

    `python` runs the old version; `space` is a folder for both versions' files; `progress` is called with a line per step.
    """
    settings = request.settings
    pairs = [_both(trees, python, request, space, progress, file, engine) for file in request.files for engine in settings.engines]
    before = [pair.old.result for pair in pairs if pair.old]
    after = [pair.new for pair in pairs if pair.new]
    base, candidate = _run(before, settings, trees.names[0]), _run([n.result for n in after], settings, trees.names[1])
    counted = stored_runs.gate(base, candidate, request.tolerances, names=trees.names)
    rows = [*counted.rows, *(row for pair in pairs for row in pair.rows)]
    incomparable = [*_failures(trees, before), *counted.incomparable, *(reason for pair in pairs for reason in pair.incomparable)]
    warnings = [*counted.warnings, *(warning for new in after for warning in _not_timed(new))]
    return result(trees.names, rows, incomparable, warnings)


def _both(
    trees: Checkout, python: str, request: CompareRequest, space: Path, progress: Callable[[str], None], file: Path, engine: str
) -> ExaminedPair:
    """Examine and time one scenario on one engine."""

    def step(text: str) -> None:
        """Report a step of this scenario."""
        progress(f"{file.stem} · {engine}: {text}")

    with ExitStack() as servers:
        versions: list[ExaminedVersion | None] = []
        for name, tree, interpreter in (("old", trees.old, python), ("new", trees.new, sys.executable)):
            step(f"preparing the {name} version")
            folder = space / f"{file.stem}-{engine}-{name}"
            exists = (tree / file).is_file()
            versions.append(
                _Tree(trees, tree, name, interpreter, request.settings, folder).examine(file, engine, servers) if exists else None
            )
        old, new = versions
        return ExaminedPair(old, new, *_time(old, new, request, step)) if old and new else ExaminedPair(old, new)


def _failures(trees: Checkout, old: Sequence[ScenarioResult]) -> Iterator[RunWarning]:
    """Yield why a scenario's old version cannot be the baseline: its code may be older than what the scenario needs."""
    for failed in old:
        if failed.status == ScenarioStatus.FAILED:
            yield RunWarning(f"{failed.name} · {failed.engine}", f"it fails in {trees.ref}: {failed.error}", SAME)


class _Tree:
    """Runs a scenario's jobs in one tree, with a separate folder."""

    def __init__(self, trees: Checkout, tree: Path, name: str, python: str, settings: RunSettings, folder: Path) -> None:
        self._name, self._tree, self._folder, self._settings = name, tree, folder, settings
        self._command = [python, "-P", str(WORKER)]
        self._where = tree / trees.inside
        self._environment = {
            "PYTHONPATH": import_path(tree, trees),
            protocol.FOREIGN: str(trees.new if name == "old" else trees.old),
        }
        folder.mkdir()
        (folder / "shared").mkdir()
        (folder / "own").mkdir()

    def examine(self, file: Path, engine: str, servers: ExitStack) -> ExaminedVersion:
        """Start the servers that the scenario needs, build its data, and collect its counts and answers."""
        blank = ScenarioResult(file.stem, file.stem, "", str(file), engine, self._settings.rtts_ms[0], ScenarioStatus.OK)
        core = choose_cores().coordinator
        job: dict[str, Any] = {
            "file": str(self._tree / file),
            "kept": str(self._folder),
            "benchmarks": [],
            "setting": {
                "folder": str(self._folder / "own"),
                "shared": str(self._folder / "shared"),
                "engine": engine,
                "size": self._settings.size,
                "seed": self._settings.seed,
                "rtt_ms": self._settings.rtts_ms[0],
                "quick": self._settings.quick,
                "servers": {},
                "resets": True,
                "takes_back": True,  # what `resets` was called before groups were objects
            },
        }
        try:
            serving = servers.enter_context(alive(self._version("serve", job), core=core, exit_timeout_s=STOP_TIMEOUT_S))
            job["setting"]["servers"] = serving.receive()["servers"]
            if self._settings.rtts_ms[0] and not job["setting"]["servers"]:
                raise NotMeasurableError("it connects to no server, so there is no network latency to add")  # noqa: TRY301 - as others
            ready = run_to_end(self._version("prepare", job))
            found = run_to_end(self._version("examine", job))
        except (VersionError, NotMeasurableError) as error:
            refusal = error.as_refusal() if isinstance(error, VersionError) else error
            message = error.message if isinstance(error, VersionError) else str(error)
            status = ScenarioStatus.NOT_RUN if isinstance(refusal, NotMeasurableError) else ScenarioStatus.FAILED
            return ExaminedVersion(replace(blank, status=status, error=message, exit_code=refusal.code))
        job["benchmarks"] = found["benchmarks"]
        return ExaminedVersion(_result(blank, ready, found), self._version("time", job), found)

    def _version(self, task: str, job: Mapping[str, Any]) -> VersionCommand:
        file = self._folder / f"{task}.json"
        file.write_text(json.dumps({**job, "task": task}), encoding="utf-8")
        return VersionCommand([*self._command, str(file)], self._name, self._where, self._environment)


def _result(blank: ScenarioResult, ready: Mapping[str, Any], found: Mapping[str, Any]) -> ScenarioResult:
    broken: dict[str, str] = found["cannot_run"]
    names = {name: (group, arm) for name, group, arm in found["all"]}
    arms = []
    for arm, description in found["arms"].items():
        errors = {names[name][0]: error for name, error in broken.items() if names[name][1] == arm}
        arms.append(ArmResult(arm, description, errors))
    counts = [
        WorkCount(names[n][1], names[n][0], metric, value, repeats_exactly=repeats)
        for n, metric, value, repeats in found["work_counts"]
    ]
    return replace(
        blank,
        title=found["title"],
        doc=found["doc"],
        arms=arms,
        groups=found["groups"],
        work_counts=counts,
        dataset=ready["dataset"],
        engine_settings=ready["engine_settings"],
        tolerances=found["tolerances"],
        higher_is_better=found["higher_is_better"],
    )


def _time(
    old: ExaminedVersion, new: ExaminedVersion, request: CompareRequest, progress: Callable[[str], None]
) -> tuple[list[GateRow], list[RunWarning]]:
    """Time a scenario that both trees have; return the rows, and why some of its benchmarks have none."""
    if not (old.command and new.command and old.found and new.found):
        return [], []
    base = new.result
    changed = dict(_changed(old.found, new.found))
    reasons = [RunWarning(new.place, f"{name}: {reason}", SAME) for name, reason in changed.items()]
    names = {name: (group, arm) for name, group, arm in new.found["benchmarks"]}
    both = [name for name, _, _ in old.found["benchmarks"] if name in names and name not in changed]
    if not both:
        return [], reasons
    try:
        times = compare_all(
            old.command,
            new.command,
            request.budget_s(len(both)),
            wanted=both,
            margin=request.margin,
            seed=f"{request.settings.seed}/{base.name}",
            progress=progress,
        )
    except VersionError as error:
        if error.as_refusal().code == 1:
            return [_status(base, GateVerdict.REGRESSED, f"it failed while timed: {error.message}")], reasons
        return [], [*reasons, RunWarning(new.place, str(error), SAME)]
    rows = []
    for time in times:
        group, arm = names[time.name]
        rows.append(time_row(time, BenchmarkPlace(base.name, base.engine, base.rtt_ms, arm, group), request.margin))
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
        yield RunWarning(f"not timed in {new.place}", message, "compare its work counts, or two runs of `harness run`")


def _status(scenario: ScenarioResult, verdict: GateVerdict, reason: str) -> GateRow:
    return status_row(scenario.name, scenario.engine, scenario.rtt_ms, verdict, reason)


def _run(results: list[ScenarioResult], settings: RunSettings, name: str) -> Run:
    """Return one version's results as a run. Both are from this machine and run, so the environment is left empty."""
    return Run(
        schema_version=SCHEMA_VERSION,
        kind=RunKind.PAIRS,
        name=name,
        started_at=name,  # differs between the two, so that neither is taken for a copy of the other
        finished_at=None,
        command="",
        commit=None,
        dirty=False,
        interrupted=False,
        settings=settings,
        environment={},
        scenarios=results,
    )
