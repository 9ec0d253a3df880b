"""A run from start to end: prepare, verify, time in rounds of fresh processes, measure memory; saved after every step."""

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from harness.bench.pairing import PairTimes
from harness.bench.probes import instructions
from harness.bench.result import ScenarioEvidence, clean_controls
from harness.bench.serving import served, unreachable_server
from harness.bench.steps import Observer, RunStep, StepRunner
from harness.bench.switches import Ablated
from harness.bench.worker import BenchJob, MemoryMeasured, Task, end_all, run_job
from harness.discovery import LoadedScenario
from harness.errors import HarnessError, NotMeasurableError
from harness.results.run import Memory, Review, Run, RunKind, RunSettings, RunWarning
from harness.results.store import SCHEMA_VERSION, write_bytes, write_run, write_samples
from harness.runtime import machine
from harness.runtime.child import JobFailed
from harness.runtime.clock import utc_now
from harness.runtime.cores import CoreAllocator, Cores, Isolation, choose_cores
from harness.runtime.workspace import git_commit, workspace
from harness.scenario import Setting
from harness.verdicts import controls

MEMORY_CHILDREN = 2
"""Processes that measure the same memory, so that there is a range."""

INSTRUCTIONS_S = 600
"""Timeout of counting one arm's instructions, in seconds."""

LIMITED_S, LIMITED_TIMES = 30, 10
"""Timeout of an operation under a memory limit: this number of seconds, plus this multiple of its time without the limit."""

CASES_AT_HIGHER_RTT = 1
"""Cases of each group that are verified at a higher RTT: it changes no answer, and all were verified at the lowest one."""


@dataclass(frozen=True)
class Effort:
    """The time and the processes that a run gives to each scenario on one engine at one RTT."""

    minimum_pairs: int = 3
    """Pairs of every group in a process."""
    slow_processes: int = 3
    """Number of the processes that time slow groups as well."""
    slow_at_higher_rtt: bool = True
    """Whether they do so at a higher RTT, which adds little to an operation of seconds."""
    slow_from_ns: int = 500_000_000
    """Nanoseconds of a baseline operation from which its group counts as slow; at a high RTT many do."""
    processes_at_higher_rtt: int | None = None
    """Limit of the processes at a higher RTT; None: the same number as at the lowest."""
    secondary_groups: bool = True
    """Whether secondary groups are timed."""
    interpreter: bool = True
    """Whether calls and allocations are counted in addition to the data layer's work."""
    side_by_side: bool = False
    """Whether scenarios without a server, and then those with network latency, are timed in parallel, each on one core."""


USUAL = Effort()
QUICK = Effort(minimum_pairs=2, slow_processes=2, slow_from_ns=100_000_000)
SEVERAL = Effort(
    minimum_pairs=2,
    slow_processes=2,
    slow_at_higher_rtt=False,
    slow_from_ns=50_000_000,
    processes_at_higher_rtt=2,
    secondary_groups=False,
    interpreter=False,
    side_by_side=True,
)
"""For several engines or RTTs, which are many trials; a run of one engine at one RTT has what is left out here."""

SIDE_BY_SIDE = RunWarning(
    "side by side",
    "scenarios without a server, or with network latency, were timed in parallel, one per core, which slows all arms equally",
    "name one engine and one RTT",
)
"""The warning of a run that timed scenarios in parallel."""


def effort(settings: RunSettings) -> Effort:
    """Return the effort for a run with these settings."""
    if len(settings.engines) * len(settings.rtts_ms) > 1:
        return SEVERAL
    return QUICK if settings.quick else USUAL


@dataclass
class ScenarioRun:
    """One scenario on one engine at one RTT, in progress: its evidence so far and the jobs of its worker processes."""

    evidence: ScenarioEvidence
    """What was measured so far."""
    setting: Setting
    """The setting of its instances."""

    @property
    def is_lowest_rtt(self) -> bool:
        """Whether its RTT is the lowest of the run: what latency cannot change is measured there only."""
        return self.evidence.lowest_rtt is None

    @property
    def samples_file(self) -> str | None:
        """The path of its samples in the run's folder; None if it has none, or has failed."""
        if not self.evidence.samples or self.evidence.error is not None:
            return None
        rtt = f"-rtt{self.evidence.rtt_ms:g}" if self.evidence.rtt_ms else ""
        return f"samples/{self.evidence.loaded.name}-{self.evidence.engine}{rtt}.csv"

    def job(self, task: Task, setting: Setting | None = None, **fields: object) -> Callable[[], BenchJob]:
        """Return a function that makes a job when it is due: until then more (arm, group) may be found that cannot run."""

        def make() -> BenchJob:
            return BenchJob(
                task=task,
                file=self.evidence.loaded.file,
                setting=setting or self.setting,
                excluded=self.evidence.excluded,
                ablate=isinstance(self.evidence.loaded.scenario.written, Ablated),
                **fields,  # type: ignore[arg-type]  # fields of BenchJob
            )

        return make

    def examination(self, *, counting: bool, interpreter: bool) -> Callable[[], BenchJob]:
        """Return a function that makes the job that verifies answers; at the lowest RTT it also counts, or else prepares."""
        if not self.is_lowest_rtt:
            return self.job(Task.REVISIT, cases_per_group=CASES_AT_HIGHER_RTT)
        return self.job(Task.EXAMINE, interpreter=interpreter) if counting else self.job(Task.TRY)

    def instructions(self, arm: str) -> Callable[[], BenchJob]:
        """Return a function that makes the job that counts an arm's instructions, under callgrind.

        Raises:
            NotMeasurableError: when it is called, if callgrind is not installed.
        """
        make = self.job(Task.INSTRUCTIONS, arm=arm, timeout_s=INSTRUCTIONS_S)

        def under_callgrind() -> BenchJob:
            files = instructions.folder(self.setting.folder, arm)
            files.mkdir(exist_ok=True)
            return msgspec.structs.replace(make(), prefix=tuple(instructions.command(files)))

        return under_callgrind

    def limited(self, arm: str, group: str, limit_bytes: int) -> Callable[[], BenchJob]:
        """Return a function that makes the job of an operation under a memory limit, with a timeout from its time without one."""
        make = self.job(Task.MEMORY, arm=arm, group=group, limit_bytes=limit_bytes)

        def with_timeout() -> BenchJob:
            longest_s = max((m.seconds for m in self.evidence.memory if (m.arm, m.group) == (arm, group)), default=0.0)
            return msgspec.structs.replace(make(), timeout_s=LIMITED_S + round(LIMITED_TIMES * longest_s))

        return with_timeout


@dataclass(frozen=True)
class RunPlan:
    """The plan of a run."""

    scenarios: Sequence[LoadedScenario]
    """The scenarios, in the order of the report."""
    settings: RunSettings
    """Engines, RTTs, size, processes and budget."""
    out: Path
    """The run's folder."""
    command: str
    """The command line that repeats the run."""
    memory: bool = True
    """Whether memory is measured."""
    counting: bool = True
    """Whether work is counted and findings are tried."""
    review: Review | None = None
    """The review on trial, for the report."""
    injected: float = 0.0
    """The share by which a baseline instance is slowed, to see whether that is detected."""
    instructions: bool = False
    """Whether instructions are counted, which takes minutes."""


@dataclass
class RunSession:
    """Carries out a plan. What was measured before an interruption or a failure is saved."""

    plan: RunPlan
    observer: Observer
    cores: Cores = field(default_factory=choose_cores)
    started_at: str = field(default_factory=lambda: utc_now().isoformat(timespec="seconds"))
    allocator: CoreAllocator = field(init=False)
    _commit: tuple[str | None, bool] = (None, False)
    _environment: dict[str, str] = field(default_factory=dict)
    _trials: list[ScenarioRun] = field(default_factory=list)
    _interrupted: bool = False
    _abandoned: bool = False
    _saving: threading.Lock = field(default_factory=threading.Lock)
    _chains: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.allocator = CoreAllocator(self.cores)

    def run(self) -> Run:
        """Carry out the plan and return the run's record, also after Ctrl-C.

        Raises:
            UsageError: the output folder cannot be written, or the disk is full.
        """
        self._environment, self._commit = machine.describe(self.cores), git_commit()
        write_run(self._record(None), self.plan.out)  # a folder that is not writable must show before hours of measuring
        with workspace() as space, ExitStack() as servers:
            try:
                self._begin(space, servers)
                StepRunner(self._steps(), self.observer, lanes=max(1, len(self.cores.all)), abandon=self._abandon).run()
            except KeyboardInterrupt:
                self._interrupted = True
                for trial in self._trials:
                    trial.evidence.interrupted = True
            finally:
                self.allocator.release()
        record = self._record(utc_now().isoformat(timespec="seconds"))
        self._save(record, self._trials)
        return record

    def _abandon(self) -> None:
        self._abandoned = True
        end_all()

    def _begin(self, space: Path, servers: ExitStack) -> None:
        """Create the trials of the run, every scenario on every engine at every RTT, and start their servers."""
        settings = self.plan.settings
        for loaded in self.plan.scenarios:
            for engine in settings.engines:
                lowest_rtt: ScenarioEvidence | None = None
                for rtt_ms in sorted(settings.rtts_ms):
                    trial = self._trial(loaded, space, engine, rtt_ms, servers)
                    trial.evidence.lowest_rtt = lowest_rtt
                    self._trials.append(trial)
                    if trial.evidence.is_active and lowest_rtt is None:
                        lowest_rtt = trial.evidence

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
        """Return the steps of the run. Each round covers all scenarios, so that every interval includes the machine's drift."""
        settings, given = self.plan.settings, effort(self.plan.settings)
        trials = [t for t in self._trials if t.evidence.is_active]
        slice_s = settings.budget_s / max(1, settings.processes * len(trials))
        steps = []
        for t in trials:
            if t.is_lowest_rtt and self.plan.counting:
                steps.append(self._step(t, "preparing", 4.0, t.job(Task.PREPARE)))
            examination = t.examination(counting=self.plan.counting, interpreter=given.interpreter)
            steps.append(self._step(t, "comparing answers", 6.0, examination))
        in_order = sorted(trials, key=lambda t: (self._isolation(t) is Isolation.MACHINE, t.setting.rtt_ms > 0))
        for process in range(1, settings.processes + 1):
            for t in in_order:
                if not t.is_lowest_rtt and process > (given.processes_at_higher_rtt or settings.processes):
                    continue
                job = t.job(
                    Task.PAIRS,
                    process=process,
                    budget_ns=int(slice_s * 1e9),
                    minimum_pairs=given.minimum_pairs,
                    slow_groups=process <= given.slow_processes and (t.is_lowest_rtt or given.slow_at_higher_rtt),
                    slow_from_ns=given.slow_from_ns,
                    secondary_groups=given.secondary_groups,
                    injected=self.plan.injected,
                )
                description = f"timing pairs, process {process} of {settings.processes}"
                steps.append(self._step(t, description, slice_s + 3.0, job, isolation=self._isolation(t)))
        if self.plan.memory:
            at_lowest_rtt = [t for t in trials if t.is_lowest_rtt]
            steps += [step for t in at_lowest_rtt for step in self._growth_steps(t)]
            steps += [step for t in at_lowest_rtt for step in self._memory_steps(t)]
        if self.plan.instructions:
            steps += [step for t in trials if t.is_lowest_rtt and not t.setting.servers for step in self._instruction_steps(t)]
        return steps

    def _instruction_steps(self, trial: ScenarioRun) -> list[RunStep]:
        """Return one step per arm. A server's part of an operation is not counted, so trials with a server have none."""
        made = []
        for arm in trial.evidence.loaded.scenario.arms:
            job = trial.instructions(arm)
            made.append(self._step(trial, f"instructions of {arm}", 60.0, job, in_order=False))
        return made

    def _isolation(self, trial: ScenarioRun) -> Isolation:
        """Return whether a trial is timed on one core or needs the machine.

        Without a server the coordinator's core is mostly idle, and with network latency both are, unless the scenario declares
        itself busy.
        """
        idle = not trial.evidence.loaded.scenario.busy and (not trial.setting.servers or trial.setting.rtt_ms > 0)
        return Isolation.CORE if self.cores.all and idle and effort(self.plan.settings).side_by_side else Isolation.MACHINE

    def _growth_steps(self, trial: ScenarioRun) -> list[RunStep]:
        scenario = trial.evidence.loaded.scenario
        steps = []
        for scale in dict.fromkeys(scale for group in scenario.groups for scale in group.growth):
            if scale != 1.0:
                setting = replace(trial.setting, scale=scale)
                steps.append(self._step(trial, f"preparing {scale:g} of the data", 2.0, trial.job(Task.PREPARE, setting=setting)))
                steps.append(self._step(trial, f"counting at {scale:g}", 3.0, trial.job(Task.COUNT, setting=setting)))
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
                        job = trial.job(Task.MEMORY, setting=setting, arm=arm, group=group.name)
                        steps.append(self._step(trial, f"memory of {arm}", 2.0, job, in_order=False))
        for name, limit in scenario.memory_limits_bytes(trial.setting).items():
            for arm in scenario.arms:
                job = trial.limited(arm, name, limit)
                steps.append(self._step(trial, f"{arm} under a memory limit", 2.0, job, in_order=False))
        return steps

    def _step(
        self,
        trial: ScenarioRun,
        description: str,
        expected_s: float,
        make: Callable[[], BenchJob],
        *,
        isolation: Isolation = Isolation.SHARED,
        in_order: bool = True,
    ) -> RunStep:
        def act() -> None:
            if not trial.evidence.is_active or self._abandoned:
                return
            job = make()
            if (job.arm, job.group) in trial.evidence.excluded:
                return
            with self.allocator.allocate(isolation) as cpus:
                for event in run_job(msgspec.structs.replace(job, cpus=cpus)):
                    if self._abandoned:
                        return
                    if isinstance(event, JobFailed):
                        self._add_failure(trial, job, event)
                    else:
                        trial.evidence.add(event, job.process, job.setting.scale)
                    if isinstance(event, PairTimes):
                        self.observer.tick()
            with self._saving:
                self._save(self._record(None), [trial])

        name = f"{trial.evidence.loaded.name} · {trial.evidence.engine}"
        where = f"{name} · RTT {trial.evidence.rtt_ms:g} ms" if trial.evidence.rtt_ms else name
        kind = description.partition(",")[0].partition(" of ")[0]
        # RTTs share their scenario's data on an engine, so they run one after another.
        chain = "" if isolation is Isolation.MACHINE else name if in_order else f"{name} · {next(self._chains)}"
        stage = f"{isolation} {in_order} {isolation is Isolation.CORE and trial.setting.rtt_ms > 0}"
        return RunStep(f"{where} · {description}", kind, expected_s, act, chain, stage)

    @staticmethod
    def _add_failure(trial: ScenarioRun, job: BenchJob, failed: JobFailed) -> None:
        """Add a failure: a result under a memory limit, a warning under callgrind, else an error that names a stopped server."""
        if job.limit_bytes is not None:
            trial.evidence.add(MemoryMeasured(_ended_by_limit(job)))
            return
        if job.task is Task.INSTRUCTIONS:
            message, remedy = f"those of {job.arm} could not be counted: {failed.message}", "leave --instructions out"
            trial.evidence.warnings.append(RunWarning("instructions", message, remedy))
            return
        stopped = unreachable_server(trial.setting.servers)
        if stopped is not None:
            failed = JobFailed(f"{stopped} ({failed.message}); run this scenario again", failed.code, failed.detail)
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
            warnings=[*clean_controls(results), *self._side_by_side()],
            review=self.plan.review,
        )

    def _side_by_side(self) -> list[RunWarning]:
        parallel = sum(t.evidence.is_active and self._isolation(t) is Isolation.CORE for t in self._trials)
        return [SIDE_BY_SIDE] if parallel > 1 else []

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
    """Return the result of an operation whose process was ended by the memory limit; the scenario has not failed."""
    error = "ended by the limit"
    return Memory(job.arm, job.group, 0, 0, 0.0, [], scale=job.setting.scale, limit_bytes=job.limit_bytes, error=error)
