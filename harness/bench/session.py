"""A run from start to end: prepare, verify, time in rounds of fresh processes, measure memory; saved after every step."""

import itertools
import math
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from harness.bench.job import DataPrepared, Effort, Task, TimePairs
from harness.bench.outcome import RESUMED, StepOutcome, StoredStep, together
from harness.bench.process import end_all, run_job
from harness.bench.result import ScenarioRun, clean_controls
from harness.bench.schedule import Schedule
from harness.bench.serving import served
from harness.bench.steps import Observer, Overlap, RunStep, StepRunner
from harness.bench.under_load import TrialLoad
from harness.discovery import LoadedScenario
from harness.errors import HarnessError, NotMeasurableError
from harness.redaction import redacted
from harness.results.profile import RunPhase
from harness.results.resumable import ResumableRequest
from harness.results.run import PEAK_MEMORY, Review, Run, RunKind, RunSettings, RunWarning, ScenarioResult, ScenarioStatus, Slot
from harness.results.store import SCHEMA_VERSION, read_run, run_file, write_bytes, write_run, write_samples
from harness.results.unfinished import UnfinishedRun, cannot_resume
from harness.results.warning_names import WarningName
from harness.runtime import machine
from harness.runtime.child import JobFailed
from harness.runtime.clock import Clock, MonotonicClock, utc_now
from harness.runtime.cores import CoreAllocator, Cores, Isolation, choose_cores
from harness.runtime.source_code import repository
from harness.runtime.watch import OPERATION_TIMEOUT_S
from harness.runtime.workspace import git_commit, workspace
from harness.scenario import Setting
from harness.text import encode
from harness.verdicts import controls

START_S, PREPARING_S, INSTRUCTIONS_S = 2.5, 4.0, 60.0
"""First estimates of seconds: for the start of a process with instances, for building or reading the data, and for instructions."""
EACH_COUNTING_S, EACH_RESULT_S = 0.7, 1.0
"""First estimates of seconds per arm and group, for comparing answers and counting work; and per scenario, for its result and its
part of the report."""
LOAD_S = 40.0
"""The time limit of a load test, in seconds; a quick run leaves it out."""
EACH_MEMORY_S = 0.3
"""First estimate of seconds per group, for repetitions whose memory is measured."""
MEMORY_S = {False: 1.5, True: 1.0}
"""Whether the run is a quick one → seconds for the repetitions of one arm whose memory is measured."""
LANES_PER_CORE = 2
"""Jobs in parallel per core, of those that time nothing: many of them wait for a server or for network latency."""
READY = 12
"""The most processes that are ready to time pairs at once: they get ready side by side, and then time one after another.

Those with a database on a server get ready alone: the pools of all arms of a process are open then, and those of several processes
together need more connections than a server allows, 100 by PostgreSQL's default.
"""
BETWEEN_PAIRS = "between pairs"
"""The stage of the steps that close instances and open the next ones."""
USUAL = Effort()
QUICK = Effort(slow_processes=2, slow_from_s=0.1, is_preview=True)
SEVERAL = Effort(slow_processes=2, slow_from_s=0.05, is_full=False)
"""For several engines or RTTs, which are many trials."""
PROCESSES_AT_HIGHER_RTT = 2
"""Limit of the processes at a higher RTT in a run of many trials."""
BUDGET_MARGIN = 1.1
"""Factor of the estimate of a sufficient budget."""
LATE, LATE_S = 1.25, 1.0
"""A process stops timing pairs when it takes this many times as long as expected, and these seconds more."""
SIDE_BY_SIDE = RunWarning(
    WarningName.SIDE_BY_SIDE,
    "scenarios without a server, or with network latency, were timed in parallel, one per core, which slows all arms equally",
    "name one engine and one RTT",
)
"""The warning of a run that timed scenarios in parallel."""


def effort(settings: RunSettings) -> Effort:
    """Return the effort for a run with these settings."""
    if len(settings.engines) * len(settings.rtts_ms) > 1:
        return SEVERAL
    return QUICK if settings.quick else USUAL


def ready_together(trials: Sequence[ScenarioRun]) -> Iterator[Sequence[ScenarioRun]]:
    """Yield the trials of a round whose processes get ready side by side: those with an embedded engine, and then one by one."""
    on_server = [trial for trial in trials if trial.setting.engine in trial.setting.servers]
    embedded = [trial for trial in trials if trial not in on_server]
    yield from (embedded[first : first + READY] for first in range(0, len(embedded), READY))
    yield from ([trial] for trial in on_server)


def _longest_first(trial: ScenarioRun) -> tuple[int, bool]:
    """Return the place of a trial among those that are examined in parallel: those that take long must not begin last.

    Those with servers do, and wait for them meanwhile; so do those whose work is counted at several sizes of the data.
    """
    grows = any(group.growth for group in trial.loaded.scenario.groups)
    return -len(trial.setting.servers), not grows


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
    load: bool = True
    """Whether arms are put under the load that a scenario declares."""
    saving: bool = True
    """Whether the samples are saved, and everything after every step; otherwise the record alone is, at the end."""
    review: Review | None = None
    """The review on trial, for the report."""
    injected: float = 0.0
    """The share by which a baseline instance is slowed, to see whether that is detected."""
    instructions: bool = False
    """Whether instructions are counted, which takes minutes."""
    timeout_s: float = OPERATION_TIMEOUT_S
    """Timeout of one operation, in seconds."""
    timing_only: bool = False
    """Whether the budget is for timing pairs alone, without start-up; else it is for the whole run."""
    unfinished: UnfinishedRun[StoredStep] | None = None
    """Where the steps that are done are stored, those of an interrupted run that is resumed among them; None for a new one."""
    started_at: str = ""
    """When the run began that is resumed; empty for a new one."""
    budget_of: Callable[[int, int], float] | None = None
    """Returns the budget in seconds in place of that of the settings, given the number of trials that can run, and of those with a
    load test: a scenario on one engine at one RTT is a trial."""


@dataclass
class RunSession:
    """Carries out a plan. What was measured before an interruption or a failure is saved."""

    plan: RunPlan
    observer: Observer
    cores: Cores = field(default_factory=choose_cores)
    started_at: str = field(default_factory=lambda: utc_now().isoformat(timespec="seconds"))
    allocator: CoreAllocator = field(init=False)
    clock: Clock = field(default_factory=MonotonicClock)
    """Measures the budget."""
    schedule: Schedule = field(default_factory=lambda: Schedule({}))
    """The pairs of all trials."""
    _commit: tuple[str | None, bool] = (None, False)
    _repository: str = ""
    _environment: dict[str, str] = field(default_factory=dict)
    _trials: list[ScenarioRun] = field(default_factory=list)
    _warnings: list[RunWarning] = field(default_factory=list)
    _interrupted: bool = False
    _saving: threading.Lock = field(default_factory=threading.Lock)
    _saved_slots: dict[str, int] = field(default_factory=dict)
    _chains: Iterator[int] = field(default_factory=itertools.count)
    _ends_s: float = field(init=False)
    _timed_s: float = 0.0
    _unfinished: UnfinishedRun[StoredStep] | None = None
    _stored: list[StoredStep] = field(default_factory=list)
    _done: set[str] = field(default_factory=set)
    _left: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _is_record_new: bool = False
    _is_restored: bool = False
    _side_by_side: Overlap = field(init=False)

    def __post_init__(self) -> None:
        self.allocator, self._side_by_side = CoreAllocator(self.cores), Overlap(self.clock)
        self._ends_s = self._now_s() + self.plan.settings.budget_s

    def _settings(self) -> RunSettings:
        """Return the settings of the record."""
        settings = self.plan.settings
        return settings.on(engine for loaded in self.plan.scenarios for engine in loaded.scenario.engines_of(settings))

    @property
    def _effort(self) -> Effort:
        """The effort of the run; of items that the user chose, as in pytest, it leaves none out."""
        given = effort(self.plan.settings)
        return replace(given, is_preview=given.is_preview and not self.plan.timing_only)

    def _now_s(self) -> float:
        return self.clock.now_ns() / 1e9

    def run(self) -> Run:
        """Carry out the plan and return the run's record, also after Ctrl-C; raise UsageError if its folder cannot be written."""
        self._environment, self._commit, self._repository = machine.describe(self.cores), git_commit(), repository()
        try:
            self._open()  # a folder that is not writable must show before hours of measuring
            with workspace() as space, self._servers() as servers:
                try:
                    self._measure(space, servers)
                except KeyboardInterrupt:
                    self._interrupt()
                finally:
                    for trial in self._trials:
                        trial.end()
                    self.allocator.release()
        except KeyboardInterrupt:  # before anything was measured, or while it is cleared away
            self._interrupt()
        except BaseException:
            if self._unfinished is not None:
                self._unfinished.close()
            raise
        record = self._final_record()
        self._save(record, self._trials if self.plan.saving else [])
        return record

    def _final_record(self) -> Run:
        """Return the record at the end; of a resumption that ended before it began, that of what was measured before."""
        finished_at = utc_now().isoformat(timespec="seconds")
        is_resumed = self._unfinished is not None and self._unfinished.is_resumed
        if is_resumed and not self._is_restored and run_file(self.plan.out).exists():
            return replace(read_run(self.plan.out), interrupted=True, finished_at=finished_at)
        return self._record(finished_at)

    def _open(self) -> None:
        """Write the record, which has nothing yet, and open what steps are stored in; of a run that is resumed, read those."""
        self._unfinished = self.plan.unfinished
        if self._unfinished is None and self.plan.saving:
            self._unfinished = UnfinishedRun(self.plan.out, ResumableRequest("run", self.plan.command, [], {}), StoredStep)
        if self._unfinished is not None and self._unfinished.is_resumed:
            self._stored = self._unfinished.lines()
            self._done = {line.step for line in self._stored}
            self._unfinished.add(StoredStep(RESUMED, "", StepOutcome()))
            self._stored.append(StoredStep(RESUMED, "", StepOutcome()))
            self.started_at = self.plan.started_at or self.started_at
        else:
            write_run(self._record(None), self.plan.out)

    def _measure(self, space: Path, servers: ExitStack) -> None:
        """Carry out the steps of the plan, of a run that is resumed those that are left."""
        self._begin(space, servers)
        self._set_budget()
        steps, lanes = self._steps(), LANES_PER_CORE * max(1, len(self.cores.all))
        steps = [*self._restored(), *steps]
        if self._unfinished is not None and not self._unfinished.is_resumed:
            self._write_record()
        after_s, rest_s = self._after_s(), self._timing_s
        StepRunner(steps, self.observer, lanes=lanes, abandon=self._interrupt, after_s=after_s, rest_s=rest_s).run()

    def _write_record(self) -> None:
        """Write the record of a run whose scenarios are not done: their results so far are stored one by one."""
        write_run(self._record(None), self.plan.out)
        self._is_record_new = True

    def _restored(self) -> list[RunStep]:
        """Add the outcomes of the steps that were done, and return those that come before the steps that are left.

        These make the data again, which ended with the interrupted process. They cost nothing of the budget.
        """
        measured = [line for line in self._stored if line.budget_s]  # not of the start of servers, nor of a resumption
        for trial in self._trials:
            trial.restore(line.outcome for line in measured if line.trial == trial.key)
        self._is_restored = True
        if not measured:
            return []
        left_s, budget_s = measured[-1].left_s, measured[-1].budget_s
        self.plan = replace(self.plan, settings=replace(self.plan.settings, budget_s=budget_s))
        self._ends_s = self._now_s() + left_s

        def go_on() -> None:
            self._ends_s = self._now_s() + left_s

        needed = {trial.name for trial in self._trials if trial.is_active and self._left[trial.key]}
        again = [
            RunStep(f"{trial.name} · making the data again", ("again", trial.name), lambda: PREPARING_S, act, trial.name)
            for trial in self._trials
            if trial.is_active and trial.lowest_rtt is None and trial.name in needed
            for act in [partial(self._make_again, trial)]
            if trial.prepared_scales
        ]
        return [*again, RunStep("going on", ("going on",), lambda: 0.0, go_on, is_shown=False)]

    def _make_again(self, trial: ScenarioRun) -> None:
        """Make a trial's data again, at each scale; UsageError if they are others than before."""
        for scale, before in trial.prepared_scales.items():
            job = trial.job(Task.PREPARE, effort=self._effort, setting=replace(trial.setting, scale=scale))
            for event in run_job(job):
                if self._interrupted:
                    return
                if isinstance(event, JobFailed):
                    raise cannot_resume(self.plan.out, f"the data of {trial.name} cannot be made again: {event.message}")
                if isinstance(event, DataPrepared) and (found := _other_data(before, event)):
                    raise cannot_resume(self.plan.out, f"the data of {trial.name} differ ({'; '.join(found)})")

    def _set_budget(self) -> None:
        """Set the budget by what can run, if the plan has none."""
        if self.plan.budget_of is not None and not any(line.budget_s for line in self._stored):
            active = [trial for trial in self._trials if trial.is_active]
            budget_s = self.plan.budget_of(len(active), sum(t.loaded.scenario.load_test is not None for t in active))
            self._ends_s += budget_s - self.plan.settings.budget_s
            self.plan = replace(self.plan, settings=replace(self.plan.settings, budget_s=budget_s))

    @contextmanager
    def _servers(self) -> Iterator[ExitStack]:
        """Yield the stack of the scenarios' servers; one that does not stop costs nothing that was measured."""
        servers = ExitStack()
        try:
            yield servers
        finally:
            try:
                servers.close()
            except Exception as error:  # noqa: BLE001 - a scenario's own servers may raise anything
                message = str(error) if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"
                self._warnings.append(RunWarning(WarningName.SERVERS, message, "stop what may still run"))

    def slots(self, scenario: str, group: str, arm: str) -> list[Slot]:
        """Return the slots of an arm in a group, of a plan with one engine and one RTT."""
        slots = next((trial.slots for trial in self._trials if trial.loaded.name == scenario), [])
        return [slot for slot in slots if (slot.group, slot.arm) == (group, arm)]

    def _interrupt(self) -> None:
        self._interrupted = True
        for trial in self._trials:
            trial.interrupted = True
        end_all()

    def _begin(self, space: Path, servers: ExitStack) -> None:
        """Create the trials of the run, every scenario on every engine at every RTT, and start their servers."""
        settings = self.plan.settings
        for loaded, engine in ((x, engine) for x in self.plan.scenarios for engine in x.scenario.engines_of(settings)):
            folder, shared = space / f"{loaded.name}-{engine}", space / f"shared-{engine}"
            folder.mkdir(exist_ok=True)
            shared.mkdir(exist_ok=True)
            lowest_rtt: ScenarioRun | None = None
            for rtt_ms in sorted(settings.rtts_ms):
                setting = Setting(folder, shared, engine, settings.size, 1.0, settings.seed, rtt_ms, settings.quick)
                trial = ScenarioRun(loaded, setting, self.plan.injected, lowest_rtt, timeout_s=self.plan.timeout_s)
                self._trials.append(trial)
                self._serve(trial, servers)
                if trial.is_active and lowest_rtt is None:
                    lowest_rtt = trial

    def _serve(self, trial: ScenarioRun, servers: ExitStack) -> None:
        """Start a trial's servers, and note why it cannot run; of a run that is resumed, as it was before."""
        name = _serving(trial.key)
        before = next((line.outcome for line in self._stored if line.step == name), None)
        outcome = before if before is not None and (before.not_run is not None or before.messages) else StepOutcome()
        if outcome is not before:
            try:
                trial.setting = served(trial.loaded.scenario, trial.setting, servers, self.plan.timeout_s)
            except NotMeasurableError as reason:
                outcome.not_run = str(reason)
            except HarnessError as error:
                outcome.messages.append((JobFailed(str(error), error.code), 0, 1.0))
        trial.not_run = outcome.not_run
        for message, *_ in outcome.messages:
            trial.add(message)
        if before is None and self._unfinished is not None:
            self._unfinished.add(StoredStep(name, trial.key, outcome))
        elif before is not None and not trial.is_active and outcome is not before:
            why = trial.not_run or (trial.failure.message if trial.failure else "")
            raise cannot_resume(self.plan.out, f"{trial.name} cannot run any more: {why}")

    def _steps(self) -> list[RunStep]:
        """Return the steps of the run: timing pairs, which takes what is left of the budget, comes after what has a fixed cost.

        Answers are compared and work is counted whatever the budget; memory gives way to the medians of what is timed.

        Each round of fresh processes covers all scenarios, so that every interval includes the machine's drift.
        """
        settings, given = self.plan.settings, self._effort
        trials = sorted((t for t in self._trials if t.is_active), key=_longest_first)
        at_lowest_rtt = [t for t in trials if t.lowest_rtt is None]
        steps = []
        for with_servers, some in itertools.groupby(trials, lambda trial: bool(trial.setting.servers)):
            steps += self._examination_steps(list(some), with_servers=with_servers)
        timed = [t for t in self._trials if t.is_active]
        in_order = sorted(timed, key=lambda t: (self._isolation(t) is Isolation.MACHINE, t.setting.rtt_ms > 0))
        for t in in_order:
            whole = t.lowest_rtt is None or given.is_full
            processes = settings.processes if whole else min(settings.processes, PROCESSES_AT_HIGHER_RTT)
            t.plan_pairs(given, processes, with_slow=whole, quick=settings.quick)
            if processes:
                self.schedule.trials[t.key] = t.timing
        if self.plan.load and settings.processes:
            steps += [self._load_step(t) for t in in_order if t.loaded.scenario.load_test is not None]
        for process in range(1, settings.processes + 1):
            due = [t for t in in_order if process <= t.timing.processes]
            alone = [t for t in due if self._isolation(t) is Isolation.MACHINE]
            steps += [self._timing_step(t, process) for t in due if t not in alone]
            for side_by_side in ready_together(alone):
                opening = [self._opening_step(t, process) for t in side_by_side]
                description = f"opening instances side by side, round {process} of {settings.processes}"
                steps += [replace(step, description=description, is_shown=step is opening[0]) for step in opening]
                steps += [self._timing_step(t, process) for t in side_by_side]
                steps += [self._closing_step(t, process) for t in side_by_side]
        if self.plan.instructions:  # a server's part of an operation is not counted, so trials with a server have no such step
            steps += [
                self._step(t, f"instructions of {arm}", INSTRUCTIONS_S, Task.INSTRUCTIONS, in_order=False, arm=arm)
                for t in at_lowest_rtt
                if not t.setting.servers and not t.loaded.scenario.adds_latency
                for arm in t.loaded.scenario.arms
            ]
        return steps

    def _examination_steps(self, trials: Sequence[ScenarioRun], *, with_servers: bool) -> list[RunStep]:
        """Return the steps of trials that time nothing: each is examined, at several sizes as well; then its memory is measured.

        That of trials with servers, which they share, never runs in parallel, and begins once all of them were examined: each would
        measure the others' memory.
        """
        steps, at_lowest_rtt = [], [t for t in trials if t.lowest_rtt is None]
        for t in trials:
            task = Task.REVISIT if t.lowest_rtt is not None else Task.EXAMINE if self.plan.counting else Task.TRY
            if task is Task.EXAMINE:
                steps.append(self._step(t, "preparing", PREPARING_S, Task.PREPARE))
            steps.append(self._step(t, "comparing answers", self._comparing_s(t, task), task))
        if self.plan.memory:
            steps += [step for t in at_lowest_rtt for step in self._growth_steps(t)]
            after = frozenset(t.name for t in trials) if with_servers else None
            steps += [replace(step, after=after or frozenset({t.name})) for t in at_lowest_rtt for step in self._memory_steps(t)]
        return steps

    def _opening_step(self, trial: ScenarioRun, process: int) -> RunStep:
        """Return the step that starts a process for a trial's pairs, side by side with others: instances are opened and warm up."""
        description, act = f"opening instances, process {process}", partial(self._open_process, trial, process)
        opened = self._step(trial, description, 0.0, Task.PAIRS, stage=BETWEEN_PAIRS, act=act, done_with=_timing(trial, process))

        def is_due() -> bool:
            with_it = [t.key for t in self._trials if t.is_active and (t is trial or t.ready is not None)]
            needed_s = sum(map(self.schedule.fewest_s, with_it))
            return opened.is_due() and (self.plan.timing_only or self._left_s() > needed_s)

        return replace(opened, is_due=is_due, shares_rest=True)

    def _closing_step(self, trial: ScenarioRun, process: int) -> RunStep:
        """Return the step in which the process that has timed a trial's pairs closes its instances.

        It runs side by side with others, and with the start of the next processes.
        """

        def act() -> StepOutcome:
            with self._cores_for(trial, Isolation.SHARED) as cpus, self._side_by_side.activity():
                return trial.close(cpus, self.observer, self._side_by_side.share)

        closed = self._step(
            trial,
            f"closing instances, process {process}",
            0.0,
            Task.PAIRS,
            stage=BETWEEN_PAIRS,
            act=act,
            done_with=_timing(trial, process),
        )
        return replace(closed, is_due=lambda: trial.ready is not None, shares_rest=True, is_shown=False)

    def _timing_step(self, trial: ScenarioRun, process: int) -> RunStep:
        """Return the step that times a trial's pairs in one process; the schedule decides on their number when it begins.

        The process is the one that is ready, if the trial needs the machine for itself; else it is started first.
        """
        description, isolation = _timing(trial, process), self._isolation(trial)

        def act() -> StepOutcome:
            with self._cores_for(trial, isolation) as cpus:
                opened = self._start(trial, process, cpus) if isolation is not Isolation.MACHINE else StepOutcome()
                if trial.ready is None:  # it has failed, or has no pairs left to time
                    return opened
                turn, started_s = msgspec.structs.replace(self._pairs_of(trial), cpus=cpus), self._now_s()
                timed = trial.time_pairs(turn, self.observer, self._side_by_side.share)
                self._timed_s += self._now_s() - started_s
                closed = trial.close(cpus, self.observer) if isolation is not Isolation.MACHINE else StepOutcome()
                return together(opened, timed, closed)

        timed = self._step(trial, description, 0.0, Task.PAIRS, isolation=isolation, act=act)

        def is_due() -> bool:
            if not timed.is_due() or (isolation is Isolation.MACHINE and trial.ready is None):
                return False
            return self.plan.timing_only or self._left_s() > self.schedule.fewest_s(trial.key)

        return replace(timed, is_due=is_due, shares_rest=True)

    def _open_process(self, trial: ScenarioRun, process: int) -> StepOutcome:
        with self._cores_for(trial, Isolation.SHARED) as cpus, self._side_by_side.activity():
            return self._start(trial, process, cpus)

    def _start(self, trial: ScenarioRun, process: int, cpus: tuple[int, ...]) -> StepOutcome:
        """Start a process for a trial's pairs, and wait until it is ready to time them."""
        groups = tuple(group for group, pairs in self._pairs_of(trial).pairs.items() if pairs)
        if not groups:
            trial.timing.done += 1
            return StepOutcome()
        fields = {"slow": trial.slow_groups, "process": process, "injected": self.plan.injected}
        job = trial.job(Task.PAIRS, effort=self._effort, groups=groups, cpus=cpus, **fields)
        return trial.carry_out(job, self.observer)

    def _left_s(self) -> float:
        """Return the seconds of the budget that are left for timing pairs."""
        if self.plan.timing_only:
            return self.plan.settings.budget_s - self._timed_s + self.schedule.overhead_s
        return self._ends_s - self._after_s() - self._now_s()

    def _about_budget(self) -> list[RunWarning]:
        """Return a warning if the budget ended before every group had a median."""
        self._drop_inactive()
        found = self.schedule.without_median()
        if self.plan.timing_only or self._interrupted or not found:
            return []
        groups = sum(len(trial.groups) for trial in self.schedule.trials.values())
        needed_s = 10 * math.ceil(BUDGET_MARGIN * (self.plan.settings.budget_s - self._left_s() + self.schedule.minimum_s()) / 10)
        message = f"it ended before {len(found)} of {groups} groups had the pairs of a median; about {needed_s} s would be enough"
        return [RunWarning(WarningName.BUDGET, message, f"run again with --budget {needed_s}s, or name fewer scenarios")]

    def _after_s(self) -> float:
        """Return a first estimate of the seconds from the last step to the end of the report."""
        return EACH_RESULT_S * len(self._trials)

    def _timing_s(self, others_s: float) -> float:
        """Return the seconds that timing pairs will take, if the other steps take these seconds."""
        self._drop_inactive()
        lanes = self._lanes()
        return self.schedule.wanted_s(lanes * max(0.0, self._left_s() - others_s)) / lanes

    def _drop_inactive(self) -> None:
        for trial in self._trials:
            if not trial.is_active:
                self.schedule.trials.pop(trial.key, None)

    def _lanes(self) -> int:
        """Return how many trials are timed in parallel."""
        timed = [t for t in self._trials if t.is_active and t.timing.done < t.timing.processes]
        apart = bool(timed) and all(self._isolation(t) is Isolation.CORE for t in timed)
        return max(1, min(len(self.cores.all), len(timed))) if apart else 1

    def _comparing_s(self, trial: ScenarioRun, task: Task) -> float:
        """Return a first estimate: work is counted for every arm in every group, and each finding tried."""
        scenario, findings = trial.loaded.scenario, len(trial.loaded.findings)
        counted = len(scenario.arms) * len(scenario.groups) + findings if task is Task.EXAMINE else len(scenario.arms)
        return START_S + EACH_COUNTING_S * counted

    def _isolation(self, trial: ScenarioRun) -> Isolation:
        """Return whether a trial is timed on one core or needs the machine.

        Without a server the coordinator's core is mostly idle, and with network latency both are, unless the scenario declares
        itself busy.
        """
        idle = not trial.loaded.scenario.busy and (not trial.setting.servers or trial.setting.rtt_ms > 0)
        return Isolation.CORE if self.cores.all and idle and not self._effort.is_full else Isolation.MACHINE

    def _growth_steps(self, trial: ScenarioRun) -> Iterator[RunStep]:
        for scale in dict.fromkeys(scale for group in trial.loaded.scenario.groups for scale in group.growth):
            if scale != 1.0:
                setting = replace(trial.setting, scale=scale)
                yield self._step(trial, f"preparing {scale:g} of the data", PREPARING_S, Task.PREPARE, setting=setting)
                yield self._step(trial, f"counting at {scale:g}", PREPARING_S, Task.COUNT, setting=setting)

    def _memory_steps(self, trial: ScenarioRun) -> Iterator[RunStep]:
        """Yield a step per arm for all groups, one per further share of the data, and one per group with a limit.

        Those of trials with servers are one chain.
        """
        scenario, chain = trial.loaded.scenario, "memory with servers" if trial.setting.servers else ""
        trial.measures_memory = True
        rests_on_growth = [p.measure for p in scenario.promises if PEAK_MEMORY in getattr(p.measure, "metrics", ())]
        grows = {group for measure in rests_on_growth for group in getattr(measure, "groups", ())}
        jobs: list[tuple[str, float, tuple[str, ...], int | None]] = []
        is_preview = self._effort.is_preview
        included = scenario.previewed if is_preview else scenario.groups
        measured = [group for group in included if group.memory]
        for scale in sorted({1.0, *(scale for group in measured if group.name in grows for scale in group.growth)}):
            of_scale = [g.name for g in measured if scale == 1.0 or (g.name in grows and scale in g.growth)]
            jobs += [("memory of {}", scale, tuple(of_scale), None)] if of_scale else []
        slow = tuple(group.name for group in measured if group.slow)
        if slow and not is_preview:  # run once per process, so that they have a range too
            jobs.append(("memory of {}, again", 1.0, slow, None))
        names = {group.name for group in included}
        limits = {group: limit for group, limit in scenario.memory_limits_bytes(trial.setting).items() if group in names}
        jobs += [("{} under a memory limit", 1.0, (group,), limit) for group, limit in limits.items()]
        budget_ns = int(MEMORY_S[self.plan.settings.quick] * 1e9)
        for (name, scale, groups, limit), arm in itertools.product(jobs, scenario.arms):
            expected_s, setting = START_S + EACH_MEMORY_S * len(groups), replace(trial.setting, scale=scale)
            measuring = partial(self._step, trial, name.format(arm), expected_s, Task.MEMORY, in_order=False, chain=chain)
            yield measuring(setting=setting, arm=arm, groups=groups, limit_bytes=limit, budget_ns=budget_ns)

    def _step(
        self,
        trial: ScenarioRun,
        description: str,
        expected_s: float,
        task: Task,
        *,
        isolation: Isolation = Isolation.SHARED,
        in_order: bool = True,
        chain: str = "",
        stage: str = "",
        act: Callable[[], StepOutcome] | None = None,
        done_with: str = "",
        **fields: Any,
    ) -> RunStep:
        """Return the step that does a trial's job; `fields` are those of the job, which is made when it is due.

        `expected_s` is without the operations, whose time is known once they were timed. `chain` names steps of several trials that
        never run in parallel, and `stage` those that run in parallel with no others. `act` does the step in place of the job.
        `done_with` is the description of another step of the trial: once that was done, a run that is resumed leaves out both.
        """
        scale = fields.get("setting", trial.setting).scale
        alike = "/".join(str(fields.get(name, "")) for name in ("arm", "groups", "limit_bytes"))
        name, is_stored = self._noted(trial, description, f"{alike}/{scale:g}", done_with)

        def expects_s() -> float:
            return expected_s + sum(trial.operation_s(fields["arm"], group) for group in fields.get("groups", ()))

        def is_due() -> bool:
            arm, groups = fields.get("arm"), fields.get("groups", ())
            excluded = bool(groups) and all((arm, group) in trial.excluded for group in groups)
            if is_stored or not trial.is_active or self._interrupted or excluded:
                return False
            return task is not Task.MEMORY or self.plan.timing_only or self._left_s() > self.schedule.minimum_s()

        def do_job() -> StepOutcome:
            job = trial.job(task, effort=self._effort, **fields)
            with self._cores_for(trial, isolation) as cpus:
                return trial.carry_out(msgspec.structs.replace(job, cpus=cpus), self.observer)

        def do() -> None:
            self._keep(trial, name, (act or do_job)())

        where = f"{trial.name} · RTT {trial.setting.rtt_ms:g} ms" if trial.setting.rtt_ms else trial.name
        # RTTs share their scenario's data on an engine, so they run one after another.
        if not chain and isolation is not Isolation.MACHINE:
            chain = trial.name if in_order else f"{trial.name} · {next(self._chains)}"
        stage = stage or f"{isolation} {isolation is Isolation.CORE and trial.setting.rtt_ms > 0}"
        kind = task, where, f"{alike}/{scale:g}"
        return RunStep(f"{where} · {description}", kind, expects_s, do, chain, stage, is_due)

    @contextmanager
    def _cores_for(self, trial: ScenarioRun, isolation: Isolation) -> Iterator[tuple[int, ...]]:
        """Yield the cores of a trial's process, and note in its profile how long it has waited for them."""
        waiting_from_ns = trial.clock.now_ns()
        with self.allocator.allocate(isolation) as cpus:
            trial.spend({RunPhase.WAITING: (trial.clock.now_ns() - waiting_from_ns) / 1e9})
            yield cpus

    def _pairs_of(self, trial: ScenarioRun) -> TimePairs:
        """Return what a trial's next process is to time: the pairs of each group, and the time after which it has to stop."""
        self._drop_inactive()
        left_s, lanes = max(0.0, self._left_s()), self._lanes()
        pairs, expected_s = self.schedule.next_process(trial.key, lanes * left_s)
        budget_s = min(left_s, LATE * (expected_s - trial.timing.overhead_s) + LATE_S)
        return TimePairs(pairs, max(1, round(budget_s * 1e9)))

    def _load_step(self, trial: ScenarioRun) -> RunStep:
        """Return the step that puts a trial's arms under load, which needs the machine."""
        description = "under load"
        name, is_stored = self._noted(trial, description)

        def act() -> None:
            started_ns = trial.clock.now_ns()
            seconds = 0.0 if self.plan.settings.quick else min(LOAD_S, max(0.0, self._left_s() - self.schedule.minimum_s()))
            with self.allocator.allocate(Isolation.MACHINE) as cpus:
                load = TrialLoad(trial.loaded, trial.setting, seconds, cpus, self.plan.timeout_s, self.observer.tick)
                try:
                    load.run()
                finally:
                    trial.under_load = load.outcome()
                    trial.version += 1
                    spent_s = {str(RunPhase.LOAD): (trial.clock.now_ns() - started_ns) / 1e9}
                    trial.spend(spent_s)
            self._keep(trial, name, StepOutcome(load=trial.under_load, spent_s=spent_s))

        where = f"{trial.name} · RTT {trial.setting.rtt_ms:g} ms" if trial.setting.rtt_ms else trial.name

        def due() -> bool:
            return not is_stored and trial.is_active and not self._interrupted

        def expected_s() -> float:
            return 0.0 if self.plan.settings.quick else LOAD_S

        return RunStep(f"{where} · {description}", ("load", where), expected_s, act, is_due=due)

    def _noted(self, trial: ScenarioRun, description: str, alike: str = "", done_with: str = "") -> tuple[str, bool]:
        """Note that a trial has a step, and return its name and whether it was done before the run was interrupted."""
        name = f"{trial.key} · {description} · {alike}"
        is_stored = (f"{trial.key} · {done_with} · {alike}" if done_with else name) in self._done  # instances end with the process
        if not is_stored and not done_with:
            self._left[trial.key].add(name)
        return name, is_stored

    def _keep(self, trial: ScenarioRun, name: str, outcome: StepOutcome) -> None:
        """Store what a step has added, and the trial's result so far, at a cost that does not grow with the other trials."""
        if not self.plan.saving or self._interrupted:
            return
        with self._saving:
            if not self._is_record_new:
                self._write_record()
            is_stored_empty = name in self._left[trial.key]  # instances that were opened have to be opened again
            self._left[trial.key].discard(name)
            if self._unfinished is not None:
                if is_stored_empty or outcome != StepOutcome():
                    self._unfinished.add(StoredStep(name, trial.key, outcome, self._left_s(), self.plan.settings.budget_s))
                self._unfinished.keep([each.key for each in self._trials].index(trial.key), self._so_far(trial))
            self._save_samples(trial)

    def _so_far(self, trial: ScenarioRun) -> ScenarioResult:
        """Return a trial's result so far; one that has steps left is interrupted if no later one follows."""
        found = trial.interim()
        found = controls.withhold(found, trial.loaded.scenario.promises, *controls.failed_controls([found]))
        is_open = found.status == ScenarioStatus.OK and self._left[trial.key]
        return replace(found, status=ScenarioStatus.INTERRUPTED) if is_open else found

    def _record(self, finished_at: str | None) -> Run:
        found = [t.result() if finished_at else self._so_far(t) for t in self._trials]
        promises = [t.loaded.scenario.promises for t in self._trials]
        results = [controls.withhold(*each) for each in zip(found, promises, controls.failed_controls(found), strict=True)]
        parallel = sum(t.is_active and self._isolation(t) is Isolation.CORE for t in self._trials)
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
            settings=self._settings(),
            environment=self._environment,
            scenarios=results,
            warnings=[
                *clean_controls(results),
                *([SIDE_BY_SIDE] if parallel > 1 else []),
                *(self._about_budget() if finished_at else []),
                *self._warnings,
            ],
            review=self.plan.review,
            repository=self._repository,
            resumed=sum(line.step == RESUMED for line in self._stored),
        )

    def _save(self, record: Run, changed: Sequence[ScenarioRun]) -> None:
        """Write the record and the trials' samples; what is stored of an unfinished run is removed once it has ended by itself."""
        for trial in changed:
            self._save_samples(trial, whole=True)
        write_run(record, self.plan.out)
        if self._unfinished is not None:
            (self._unfinished.close if record.interrupted else self._unfinished.end)()

    def _save_samples(self, trial: ScenarioRun, *, whole: bool = False) -> None:
        """Write a trial's samples, each time that they have doubled, so that all writing costs twice the last at most."""
        known = self._saved_slots.get(trial.key, 0)
        if trial.samples_file is not None and len(trial.slots) >= (known + 1 if whole else max(1, 2 * known)):
            write_samples(trial.slots, self.plan.out / trial.samples_file)
            self._saved_slots[trial.key] = len(trial.slots)
        if trial.failure is not None and trial.failure.detail:
            write_bytes(self.plan.out / "errors" / f"{trial.file_stem}.txt", encode(redacted(trial.failure.detail)))


def _serving(key: str) -> str:
    return f"{key} · starting its servers"


def _timing(trial: ScenarioRun, process: int) -> str:
    return f"timing pairs, process {process} of {trial.timing.processes}"


def _other_data(before: DataPrepared, now: DataPrepared) -> list[str]:
    """Return what differs in the data and the engine of two preparations."""
    old, new = (
        {key: str(value) for key, value in each.dataset.items()} | {f"engine's {key}": v for key, v in each.engine_settings.items()}
        for each in (before, now)
    )
    return [
        f"{key}: {old.get(key, 'none')} before, {new.get(key, 'none')} now"
        for key in {**old, **new}
        if old.get(key) != new.get(key)
    ]
