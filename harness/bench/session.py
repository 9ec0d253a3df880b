"""One run from start to end: prepare, verify, time in rounds of fresh processes, measure memory; written down after every step."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from harness.bench.effort import SIDE_BY_SIDE, effort
from harness.bench.protocol import BenchJob, JobFailed, MemoryMeasured, PairTimes
from harness.bench.result import ScenarioEvidence, clean_controls
from harness.bench.serving import gone, served
from harness.bench.steps import Observer, RunStep, StepRunner
from harness.bench.trial import ScenarioRun
from harness.discovery import LoadedScenario
from harness.errors import HarnessError, NotMeasurableError
from harness.results.run import Memory, Review, Run, RunKind, RunSettings, RunWarning
from harness.results.store import SCHEMA_VERSION, write_bytes, write_run, write_samples
from harness.runtime import machine
from harness.runtime.clock import utc_now
from harness.runtime.cores import CoreAllocator, Cores, Isolation, choose_cores
from harness.runtime.processes import end_all, events
from harness.runtime.workspace import git_commit, workspace
from harness.scenario import Setting
from harness.verdicts import controls

MEMORY_CHILDREN = 2
"""Child processes that measure the same memory, so that there is a range."""


@dataclass(frozen=True)
class RunPlan:
    """What a run is to do.

    `out` is the run's folder; `command` is what a person types to have the same again; `review` is the review on trial, for the
    report; `counting` whether exact work is counted and findings are shown; `instructions` whether instructions are counted as
    well, which takes minutes; `injected` the share by which a baseline instance is slowed to see whether that is found.
    """

    scenarios: Sequence[LoadedScenario]
    settings: RunSettings
    out: Path
    command: str
    memory: bool = True
    counting: bool = True
    review: Review | None = None
    injected: float = 0.0
    instructions: bool = False


@dataclass
class RunSession:
    """Carries out a plan. `run()` returns the record; what was measured before an interruption or a failure is kept."""

    plan: RunPlan
    observer: Observer
    cores: Cores = field(default_factory=choose_cores)
    started_at: str = field(default_factory=lambda: utc_now().isoformat(timespec="seconds"))
    seats: CoreAllocator = field(init=False)
    _commit: tuple[str | None, bool] = (None, False)
    _environment: dict[str, str] = field(default_factory=dict)
    _trials: list[ScenarioRun] = field(default_factory=list)
    _interrupted: bool = False
    _abandoned: bool = False
    _saving: threading.Lock = field(default_factory=threading.Lock)
    _chains: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.seats = CoreAllocator(self.cores)

    def run(self) -> Run:
        """Do everything in the plan and return the record, also after Ctrl-C.

        Raises:
            UsageError: the output folder cannot be written, or the disk is full.
        """
        self._environment, self._commit = machine.describe(self.cores), git_commit()
        write_run(self._record(None), self.plan.out)  # a folder that cannot be written must show before hours of measuring
        with workspace() as space, ExitStack() as servers:
            try:
                self._begin(space, servers)
                StepRunner(self._steps(), self.observer, lanes=max(1, len(self.cores.all)), abandon=self._abandon).run()
            except KeyboardInterrupt:
                self._interrupted = True
                for trial in self._trials:
                    trial.evidence.interrupted = True
            finally:
                self.seats.leave()
        record = self._record(utc_now().isoformat(timespec="seconds"))
        self._save(record, self._trials)
        return record

    def _abandon(self) -> None:
        self._abandoned = True
        end_all()

    def _begin(self, space: Path, servers: ExitStack) -> None:
        """Make the trials of the run, every scenario on every engine at every distance, and start what they connect to."""
        settings = self.plan.settings
        for loaded in self.plan.scenarios:
            for engine in settings.engines:
                nearest: ScenarioEvidence | None = None
                for rtt_ms in sorted(settings.rtts_ms):
                    trial = self._trial(loaded, space, engine, rtt_ms, servers)
                    trial.evidence.lowest_rtt = nearest
                    self._trials.append(trial)
                    if trial.evidence.is_active and nearest is None:
                        nearest = trial.evidence

    def _trial(self, loaded: LoadedScenario, space: Path, engine: str, rtt_ms: float, servers: ExitStack) -> ScenarioRun:
        settings = self.plan.settings
        folder, shared = space / f"{loaded.name}-{engine}", space / f"shared-{engine}"
        folder.mkdir(exist_ok=True)
        shared.mkdir(exist_ok=True)
        setting = Setting(folder, shared, engine, settings.size, 1.0, settings.seed, rtt_ms, settings.quick)
        evidence = ScenarioEvidence(loaded, engine, rtt_ms, injected=self.plan.injected)
        try:
            setting = served(loaded.scenario, setting, servers)
        except NotMeasurableError as reason:
            evidence.not_run = str(reason)
        except HarnessError as error:
            evidence.add(JobFailed(str(error), error.code))
        return ScenarioRun(evidence, setting)

    def _steps(self) -> list[RunStep]:
        """Every step of the run in order. Rounds go over all scenarios, so that the machine's drift is inside each interval."""
        settings, given = self.plan.settings, effort(self.plan.settings)
        trials = [t for t in self._trials if t.evidence.is_active]
        slice_s = settings.budget_s / max(1, settings.processes * len(trials))
        steps = []
        for t in trials:
            if t.is_lowest_rtt and self.plan.counting:
                steps.append(self._step(t, "preparing", 4.0, t.job("prepare")))
            examination = t.examination(counting=self.plan.counting, interpreter=given.interpreter)
            steps.append(self._step(t, "comparing answers", 6.0, examination))
        in_turn = sorted(trials, key=lambda t: (self._company(t) is Isolation.NONE, t.setting.rtt_ms > 0))
        for process in range(1, settings.processes + 1):
            for t in in_turn:
                if not t.is_lowest_rtt and process > (given.processes_at_higher_rtt or settings.processes):
                    continue
                job = t.job(
                    "pairs",
                    process=process,
                    budget_ns=int(slice_s * 1e9),
                    minimum_pairs=given.minimum_pairs,
                    slow_groups=process <= given.slow_processes and (t.is_lowest_rtt or given.slow_at_higher_rtt),
                    slow_from_ns=given.slow_from_ns,
                    secondary_groups=given.secondary_groups,
                    injected=self.plan.injected,
                )
                says = f"timing pairs, process {process} of {settings.processes}"
                steps.append(self._step(t, says, slice_s + 3.0, job, company=self._company(t)))
        if self.plan.memory:
            nearest = [t for t in trials if t.is_lowest_rtt]
            steps += [step for t in nearest for step in self._growth_steps(t)]
            steps += [step for t in nearest for step in self._memory_steps(t)]
        if self.plan.instructions:
            steps += [step for t in trials if t.is_lowest_rtt and not t.setting.servers for step in self._instruction_steps(t)]
        return steps

    def _instruction_steps(self, trial: ScenarioRun) -> list[RunStep]:
        """Return a step an arm. What a server does for an operation would not be counted, so trials with one have none."""
        made = []
        for arm in trial.evidence.loaded.scenario.arms:
            job = trial.instructions(arm)
            made.append(self._step(trial, f"instructions of {arm}", 60.0, job, in_order=False))
        return made

    def _company(self, trial: ScenarioRun) -> Isolation:
        """Return whether a trial is timed alone.

        One without a server leaves the coordinator's core idle, and one at a distance both of them, most of the time, unless its
        scenario says that it is busy all the same.
        """
        quiet = not trial.evidence.loaded.scenario.busy and (not trial.setting.servers or trial.setting.rtt_ms > 0)
        idle = self.cores.all and quiet
        return Isolation.TIMED if idle and effort(self.plan.settings).side_by_side else Isolation.NONE

    def _growth_steps(self, trial: ScenarioRun) -> list[RunStep]:
        scenario = trial.evidence.loaded.scenario
        steps = []
        for scale in dict.fromkeys(scale for group in scenario.groups for scale in group.growth):
            if scale != 1.0:
                setting = replace(trial.setting, scale=scale)
                steps.append(self._step(trial, f"preparing {scale:g} of the data", 2.0, trial.job("prepare", setting=setting)))
                steps.append(self._step(trial, f"counting at {scale:g}", 3.0, trial.job("count", setting=setting)))
        return steps

    def _memory_steps(self, trial: ScenarioRun) -> list[RunStep]:
        scenario = trial.evidence.loaded.scenario
        steps = []
        measured = [group for group in scenario.groups if group.memory]
        for scale in sorted({1.0, *(scale for group in measured for scale in group.growth)}):
            setting = replace(trial.setting, scale=scale)
            for _ in range(MEMORY_CHILDREN if scale == 1.0 else 1):
                for group in measured if scale == 1.0 else [group for group in measured if scale in group.growth]:
                    for arm in scenario.arms:
                        job = trial.job("memory", setting=setting, arm=arm, group=group.name)
                        steps.append(self._step(trial, f"memory of {arm}", 2.0, job, in_order=False))
        for name, limit in scenario.memory_limits_bytes(trial.setting).items():
            for arm in scenario.arms:
                job = trial.limited(arm, name, limit)
                steps.append(self._step(trial, f"{arm} under a memory limit", 2.0, job, in_order=False))
        return steps

    def _step(
        self,
        trial: ScenarioRun,
        says: str,
        expected_s: float,
        make: Callable[[], BenchJob],
        *,
        company: Isolation = Isolation.ANY,
        in_order: bool = True,
    ) -> RunStep:
        def act() -> None:
            if not trial.evidence.is_active or self._abandoned:
                return
            job = make()
            if (job.arm, job.group) in trial.evidence.excluded:
                return
            with self.seats.seat(company) as cpus:
                for event in events(msgspec.structs.replace(job, cpus=cpus)):
                    if self._abandoned:
                        return
                    if isinstance(event, JobFailed):
                        self._hear_failure(trial, job, event)
                    else:
                        trial.evidence.add(event, job.process, job.setting.scale)
                    if isinstance(event, PairTimes):
                        self.observer.tick()
            with self._saving:
                self._save(self._record(None), [trial])

        name = f"{trial.evidence.loaded.name} · {trial.evidence.engine}"
        where = f"{name} · RTT {trial.evidence.rtt_ms:g} ms" if trial.evidence.rtt_ms else name
        kind = says.partition(",")[0].partition(" of ")[0]
        # Distances share their scenario's data on an engine, so they go one after another.
        chain = "" if company is Isolation.NONE else name if in_order else f"{name} · {next(self._chains)}"
        stage = f"{company} {in_order} {company is Isolation.TIMED and trial.setting.rtt_ms > 0}"
        return RunStep(f"{where} · {says}", kind, expected_s, act, chain, stage)

    @staticmethod
    def _hear_failure(trial: ScenarioRun, job: BenchJob, failed: JobFailed) -> None:
        """Take in a failure: a result under a memory limit, a warning under callgrind; where a server has gone, that is said."""
        if job.limit_bytes is not None:
            trial.evidence.add(MemoryMeasured(_ended_by_limit(job)))
            return
        if job.task == "instructions":
            says, remedy = f"those of {job.arm} could not be counted: {failed.message}", "leave --instructions out"
            trial.evidence.warnings.append(RunWarning("instructions", says, remedy))
            return
        lost = gone(trial.setting.servers)
        if lost is not None:
            failed = JobFailed(f"{lost}, in mid-run ({failed.message}); run this scenario again", failed.code, failed.detail)
        trial.evidence.add(failed)

    def _record(self, finished_at: str | None) -> Run:
        found = [t.evidence.result(t.samples_file, whole=finished_at is not None) for t in self._trials]
        promises = [t.evidence.loaded.scenario.promises for t in self._trials]
        results = [controls.withhold(*each) for each in zip(found, promises, controls.failed_controls(found), strict=True)]
        commit, dirty = self._commit
        return Run(
            schema_version=SCHEMA_VERSION,
            kind=RunKind.PAIRS,
            name=self.plan.out.name,
            started_at=self.started_at,
            finished_at=finished_at,
            command=self.plan.command,
            commit=commit,
            dirty=dirty,
            interrupted=self._interrupted,
            settings=self.plan.settings,
            environment=self._environment,
            scenarios=results,
            warnings=[*clean_controls(results), *self._crowded()],
            review=self.plan.review,
        )

    def _crowded(self) -> list[RunWarning]:
        beside = sum(t.evidence.is_active and self._company(t) is Isolation.TIMED for t in self._trials)
        return [SIDE_BY_SIDE] if beside > 1 else []

    def _save(self, record: Run, changed: Sequence[ScenarioRun]) -> None:
        write_run(record, self.plan.out)
        for trial in changed:
            file = trial.samples_file
            if file is not None:
                write_samples(trial.evidence.samples, self.plan.out / file)
            if trial.evidence.detail:
                name = f"{trial.evidence.loaded.name}-{trial.evidence.engine}.txt"
                write_bytes(self.plan.out / "errors" / name, trial.evidence.detail.encode())


def _ended_by_limit(job: BenchJob) -> Memory:
    """A child that died under a memory limit is that operation's result, not the scenario's failure."""
    error = "ended by the limit"
    return Memory(job.arm, job.group, 0, 0, 0.0, [], scale=job.setting.scale, limit_bytes=job.limit_bytes, error=error)
