"""Scenarios of two trees: prepared and examined by each in its own processes, their work compared as that of runs is, and timed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, NotMeasurableError
from harness.gate import stored_runs as gate
from harness.gate.against import protocol as channel
from harness.gate.against.compare import compare_all
from harness.gate.against.environment import import_path
from harness.gate.against.process import Side, SideError, alive, asked
from harness.gate.against.result import BenchmarkPlace, result
from harness.gate.against.result import row as time_row
from harness.gate.against.worktree import Checkout
from harness.results.gate import GateResult, GateRow, GateVerdict, RowKind
from harness.results.run import ArmResult, Run, RunKind, RunSettings, RunWarning, ScenarioResult, ScenarioStatus, WorkCount
from harness.results.store import SCHEMA_VERSION
from harness.runtime.cores import choose_cores

DRIVER = Path(__file__).with_name("scenario_worker.py")
STOPPING_S = 30.0
"""How long a tree's servers may take to stop."""

KEEP = "give both versions the same benchmark, or compare them with stored runs"


@dataclass(frozen=True)
class CompareRequest:
    """What is to be compared: scenario files relative to either tree, on engines, with how much data, and how long."""

    files: Sequence[Path]
    settings: RunSettings
    margin: float
    tolerances: Mapping[str, float]
    budget_s: Callable[[int], float]
    """From a number of benchmarks to seconds."""


@dataclass
class ExaminedVersion:
    """One scenario on one engine in one tree: its result as far as it is known, its side for timing, and what it answered."""

    result: ScenarioResult
    side: Side | None = None
    found: Mapping[str, Any] | None = None

    @property
    def place(self) -> str:
        """Where it ran, for a person."""
        away = f", RTT {self.result.rtt_ms:g} ms" if self.result.rtt_ms else ""
        return f"{self.result.name} · {self.result.engine}{away}"


@dataclass
class ExaminedPair:
    """One scenario on one engine in both trees, where it is, and what came of timing it."""

    old: ExaminedVersion | None
    new: ExaminedVersion | None
    rows: Sequence[GateRow] = ()
    reasons: Sequence[RunWarning] = ()


def compare(trees: Checkout, python: str, wish: CompareRequest, space: Path, told: Callable[[str], None]) -> GateResult:
    """Return what became of every scenario's exact work and time; the sides live in `space` for as long as it lasts."""
    found = [_both(trees, python, wish, space, told, file, engine) for file in wish.files for engine in wish.settings.engines]
    before = [both.old.result for both in found if both.old]
    after = [both.new for both in found if both.new]
    base, candidate = _run(before, wish.settings, trees.names[0]), _run([n.result for n in after], wish.settings, trees.names[1])
    counted = gate.gate(base, candidate, wish.tolerances, names=trees.names)
    rows = [*counted.rows, *(row for both in found for row in both.rows)]
    reasons = [*_failures(trees, before), *counted.incomparable, *(reason for both in found for reason in both.reasons)]
    warnings = [*counted.warnings, *(warning for new in after for warning in _untimed(new))]
    return result(trees.names, rows, reasons, warnings)


def _both(
    trees: Checkout, python: str, wish: CompareRequest, space: Path, told: Callable[[str], None], file: Path, engine: str
) -> ExaminedPair:
    """Examine and time one scenario on one engine."""

    def say(what: str) -> None:
        told(f"{file.stem} · {engine}: {what}")

    with ExitStack() as servers:
        seen: list[ExaminedVersion | None] = []
        for name, tree, its_python in (("old", trees.old, python), ("new", trees.new, sys.executable)):
            say(f"preparing the {name} version")
            folder = space / f"{file.stem}-{engine}-{name}"
            there = (tree / file).is_file()
            seen.append(_Tree(trees, tree, name, its_python, wish, folder).seen(file, engine, servers) if there else None)
        old, new = seen
        return ExaminedPair(old, new, *_timed(old, new, wish, say)) if old and new else ExaminedPair(old, new)


def _failures(trees: Checkout, old: Sequence[ScenarioResult]) -> Iterator[RunWarning]:
    """Yield why the old version of a scenario cannot be compared with: it may be older than what the scenario needs."""
    for its in old:
        if its.status == "failed":
            yield RunWarning(f"{its.name} · {its.engine}", f"in {trees.ref} it fails: {its.error}", KEEP)


class _Tree:
    """One tree's way to do a scenario's jobs, in a folder of its own."""

    def __init__(self, trees: Checkout, tree: Path, name: str, python: str, wish: CompareRequest, folder: Path) -> None:
        self._name, self._tree, self._folder, self._settings = name, tree, folder, wish.settings
        self._command = [python, "-P", str(DRIVER)]
        self._where = tree / trees.inside
        self._environment = {
            "PYTHONPATH": import_path(tree, trees),
            channel.FOREIGN: str(trees.new if name == "old" else trees.old),
        }
        folder.mkdir()
        (folder / "shared").mkdir()
        (folder / "own").mkdir()

    def seen(self, file: Path, engine: str, servers: ExitStack) -> ExaminedVersion:
        """Start what the scenario connects to, build its data, and learn what it counts and answers."""
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
            serving = servers.enter_context(alive(self._side("serve", job), core=core, exit_timeout_s=STOPPING_S))
            job["setting"]["servers"] = serving.receive()["servers"]
            if self._settings.rtts_ms[0] and not job["setting"]["servers"]:
                raise NotMeasurableError("it connects to no server, so there is no network latency to add")  # noqa: TRY301 - as others
            ready = asked(self._side("prepare", job))
            found = asked(self._side("examine", job))
        except (SideError, NotMeasurableError) as error:
            refusal = error.as_refusal() if isinstance(error, SideError) else error
            says = error.message if isinstance(error, SideError) else str(error)
            status = ScenarioStatus.NOT_RUN if isinstance(refusal, NotMeasurableError) else ScenarioStatus.FAILED
            return ExaminedVersion(replace(blank, status=status, error=says, exit_code=refusal.code))
        job["benchmarks"] = found["benchmarks"]
        return ExaminedVersion(_result(blank, ready, found), self._side("time", job), found)

    def _side(self, task: str, job: Mapping[str, Any]) -> Side:
        file = self._folder / f"{task}.json"
        file.write_text(json.dumps({**job, "task": task}), encoding="utf-8")
        return Side([*self._command, str(file)], self._name, self._where, self._environment)


def _result(blank: ScenarioResult, ready: Mapping[str, Any], found: Mapping[str, Any]) -> ScenarioResult:
    broken: dict[str, str] = found["cannot_run"]
    names = {name: (group, arm) for name, group, arm in found["all"]}
    arms = []
    for arm, describes in found["arms"].items():
        mine = [f"{names[name][0]}: {says}" for name, says in broken.items() if names[name][1] == arm]
        arms.append(ArmResult(arm, describes, "; ".join(mine) or None))
    exact = [
        WorkCount(names[n][1], names[n][0], metric, value, repeats_exactly=repeats)
        for n, metric, value, repeats in found["work_counts"]
    ]
    return replace(
        blank,
        title=found["title"],
        doc=found["doc"],
        arms=arms,
        groups=found["groups"],
        work_counts=exact,
        dataset=ready["dataset"],
        engine_settings=ready["engine_settings"],
        tolerances=found["tolerances"],
        higher_is_better=found["higher_is_better"],
    )


def _timed(
    old: ExaminedVersion, new: ExaminedVersion, wish: CompareRequest, told: Callable[[str], None]
) -> tuple[list[GateRow], list[RunWarning]]:
    """Return the rows of time of a scenario that both trees have, and why some of its benchmarks have none."""
    if not (old.side and new.side and old.found and new.found):
        return [], []
    base, where = new.result, new.place
    reasons = list(_unlike(where, old.found, new.found))
    refused = {name for name, _ in reasons}
    names = {name: (group, arm) for name, group, arm in new.found["benchmarks"]}
    both = [name for name, _, _ in old.found["benchmarks"] if name in names and name not in refused]
    if not both:
        return [], [warning for _, warning in reasons]
    try:
        times = compare_all(
            old.side,
            new.side,
            wish.budget_s(len(both)),
            wanted=both,
            margin=wish.margin,
            seed=f"{wish.settings.seed}/{base.name}",
            told=told,
        )
    except SideError as error:
        return _refused(error, base, where, [warning for _, warning in reasons])
    rows = [
        time_row(time, BenchmarkPlace(base.name, base.engine, base.rtt_ms, names[time.name][1], names[time.name][0]), wish.margin)
        for time in times
    ]
    return rows, [warning for _, warning in reasons]


def _refused(
    error: SideError, base: ScenarioResult, where: str, reasons: list[RunWarning]
) -> tuple[list[GateRow], list[RunWarning]]:
    refusal: HarnessError = error.as_refusal()
    if refusal.code == 1:
        failed = GateRow(
            RowKind.STATUS,
            base.name,
            base.engine,
            base.rtt_ms,
            "",
            "",
            "status",
            GateVerdict.REGRESSED,
            f"it failed while timed: {error.message}",
        )
        return [failed], reasons
    return [], [*reasons, RunWarning(where, str(error), KEEP)]


def _unlike(where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, RunWarning]]:
    """Yield the benchmarks whose versions do not do the same: other cases, or other answers."""
    timed = {name: group for name, group, _ in new["benchmarks"]}
    for name, group in timed.items():
        if group in old["cases"] and old["cases"][group] != new["cases"][group]:
            yield name, RunWarning(where, f"{name}: the cases are others than before", KEEP)
        elif name in old["answers"] and name in new["answers"] and old["answers"][name] != new["answers"][name]:
            yield name, RunWarning(where, f"{name}: it answers something else than before", KEEP)


def _untimed(new: ExaminedVersion) -> Iterator[RunWarning]:
    """Yield which groups are not timed, though they run: those whose one operation takes seconds."""
    if new.found is None:
        return
    timed = {name for name, _, _ in new.found["benchmarks"]} | set(new.found["cannot_run"])
    left_out = dict.fromkeys(group for name, group, _ in new.found["all"] if name not in timed)
    if left_out:
        says = f"one operation of {', '.join(left_out)} takes seconds, too long to be timed in turn"
        yield RunWarning(f"not timed in {new.place}", says, "compare its exact work, or two runs of `harness run`")


def _run(results: list[ScenarioResult], settings: RunSettings, name: str) -> Run:
    """Return one version's results as a run; both are of this machine and this moment, so it has no environment to differ in."""
    return Run(
        schema_version=SCHEMA_VERSION,
        kind=RunKind.PAIRS,
        name=name,
        started_at=name,  # tells the two apart, since neither is the other's copy
        finished_at=None,
        command="",
        commit=None,
        dirty=False,
        interrupted=False,
        settings=settings,
        environment={},
        scenarios=results,
    )
