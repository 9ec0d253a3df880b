"""One scenario on one engine at one RTT: its jobs, their messages, and the result, from ratios and percentiles to verdicts."""

from __future__ import annotations

import functools
import itertools
import math
from array import array
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import msgspec

from harness.bench.job import (
    BASELINE_COPIES,
    SLOWED,
    WAITING,
    AnswersVerified,
    BenchJob,
    DataPrepared,
    Effort,
    Figures,
    JobDone,
    PairTimes,
    ReadyToTime,
    Task,
    TimePairs,
)
from harness.bench.load_outcome import LoadOutcome
from harness.bench.outcome import StepOutcome
from harness.bench.probes import instructions
from harness.bench.process import Event, LeftRunning, run_job
from harness.bench.profile import by_phase
from harness.bench.schedule import GroupPairs, TrialPairs, is_decided
from harness.bench.serving import blamed
from harness.bench.steps import Observer
from harness.bench.switches import Ablated
from harness.discovery import LoadedScenario
from harness.errors import ScenarioFailedError
from harness.results import run as records
from harness.results.profile import RunPhase
from harness.results.run import AA_CONTROL, BASELINE
from harness.results.warning_names import WarningName
from harness.runnable import RunnableScenario
from harness.runtime.child import JobFailed
from harness.runtime.clock import Clock, MonotonicClock
from harness.runtime.source_code import code_of_arms
from harness.runtime.watch import OPERATION_TIMEOUT_S, Lasting
from harness.scenario import Setting
from harness.servers.health import ServerWatch
from harness.stats import intervals as statistics
from harness.stats.ablation import ablation
from harness.stats.percentiles import estimates, percentile_ratios
from harness.verdicts import controls
from harness.verdicts.promise import judge
from harness.verdicts.warnings import warnings_about

EXIT_AGAIN_S, INSTRUCTIONS_EXIT_S = 0.5, 60.0
"""Seconds for a process to exit: for one of a scenario whose processes did not, and for one under callgrind."""
INSTRUCTIONS_TIMES = 10
"""Timeout of counting the instructions of one group, in timeouts of one operation: it runs some eighty, fifty times slower."""
LIMITED_S, LIMITED_TIMES = 30, 10
"""Timeout of an operation under a memory limit: this number of seconds, plus this multiple of its time without the limit."""
NOTICED_S = 5.0
"""Seconds in which a process should notice by itself that a server has ended."""
MISS_RATE = 0.05
"""Share of 95 % intervals that exclude 1 although nothing differs."""
CHANCE = 0.01
"""A number of controls off that is less probable than this by chance gives the run a warning."""
CLEARLY_SLOW = 2.0
"""Factor of the time from which a group counts as slow before it was timed: its first operations are cold."""
FIRST_OVERHEAD_S = 1.0
"""First estimate of the seconds of a process that times pairs, besides its pairs and its warm-up."""
ALONE = 0.6
"""First estimate of an operation's time when it is timed, as a share of its time while other processes used the same cores."""
LEFT_OUT = "its group leaves memory out"
"""The reason why the memory of a group was not measured that declares so."""
NOT_PREVIEWED = "a preview leaves out slow groups"
"""The reason why the memory of a slow group was not measured in a quick run."""
NO_TIME = "the run ended before; give it a larger --budget"
"""The reason why memory was not measured that could have been."""
SYNCHRONOUS = "synchronous, in the worker's thread"
"""Description of the execution of a scenario whose `run` is synchronous, while it is timed."""


def _failures_in(event: Event) -> Iterator[JobFailed]:
    """Yield the first of the errors that a message has as results: of arms that raise as written, and where memory is measured."""
    if isinstance(event, AnswersVerified) and event.cannot_run:
        arm, group, error = event.cannot_run[-1]
        yield JobFailed(f"{arm} in group {group!r}: {error}", during="comparing answers")
    if isinstance(event, Figures):
        yield from [JobFailed(row.error, during="measuring memory") for row in event.memory if row.error is not None][:1]


def left_running(names: Iterable[str]) -> records.RunWarning:
    """Return the warning about threads and processes that went on after the work of their process, and were ended."""
    message = f"after the work of a process there still ran, and was ended: {', '.join(names)}"
    return records.RunWarning(WarningName.LEFT_RUNNING, message, "end it where `open` closes the instance")


@dataclass
class _Work:
    """A process and its job, in progress."""

    job: BenchJob
    events: Generator[Event, None, None]
    """What it sends."""
    turn: list[TimePairs]
    """Holds what it is to time once it has its turn."""
    servers: ServerWatch
    """Watches the servers that it uses."""
    outcome: StepOutcome = field(default_factory=StepOutcome)
    """The outcome of the current step."""
    lasted_s: float = 0.0
    """The seconds that it has taken, without those in which it waited for its turn."""


@dataclass
class ScenarioRun:
    """One scenario on one engine at one RTT, in progress: everything its workers have sent, and the result that follows from it."""

    loaded: LoadedScenario
    """The scenario."""
    setting: Setting
    """The setting of its instances."""
    injected: float = 0.0
    """The share by which a baseline instance is slowed."""
    lowest_rtt: ScenarioRun | None = None
    """The same scenario and engine at the lowest RTT, where everything that latency cannot change is counted; None: this is it."""
    slots: list[records.Slot] = field(default_factory=list)
    """The times of the recorded operations, and the totals of all."""
    prepared: DataPrepared = field(default_factory=DataPrepared)
    """The data, and the version and settings of the engine."""
    prepared_scales: dict[float, DataPrepared] = field(default_factory=dict)
    """The same of each share of the data that was made."""
    verified: AnswersVerified = field(default_factory=AnswersVerified)
    """The cases on which the arms agree, and the arms that raised as written."""
    figures: Figures = field(default_factory=Figures)
    """Everything that was counted, tried or measured, at every scale and in every process."""
    failure: JobFailed | None = None
    """The failure of the scenario, after which nothing of it is run."""
    interrupted: bool = False
    """Whether the run was interrupted; messages that arrive later are ignored."""
    not_run: str | None = None
    """The reason why it does not support this engine or RTT, or cannot run here."""
    warnings: list[records.RunWarning] = field(default_factory=list)
    """Warnings that do not follow from a figure."""
    under_load: LoadOutcome = field(default_factory=LoadOutcome)
    """The response times and capacities of its load test."""
    left_running: dict[str, None] = field(default_factory=dict)
    """Names of the threads and processes that went on after a job."""
    timeout_s: float = OPERATION_TIMEOUT_S
    """Timeout of one operation, in seconds."""
    measures_memory: bool = False
    """Whether the memory of every arm and group is to be measured."""
    profile: dict[str, float] = field(default_factory=dict)
    """RunPhase → seconds of its processes so far."""
    clock: Clock = field(default_factory=MonotonicClock)
    """Measures how long processes last."""
    timing: TrialPairs = field(default_factory=lambda: TrialPairs({}, 0, 0, 0.0))
    """What its pairs cost and show; see `plan_pairs`."""
    ready: _Work | None = None
    """The process that has opened its instances and waits for its turn to time pairs."""
    version: int = 0
    """Number of the messages so far."""
    _pairs: int = 0
    _operations: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    _slow_from_s: float = math.inf
    _in_pairs_s: float = 0.0
    _interim: tuple[tuple[int, bool], records.ScenarioResult] | None = None
    _costs: dict[str, tuple[int, float, float]] = field(default_factory=dict)
    _readings: list[tuple[int, str, int]] = field(default_factory=list)
    _slowed: dict[str, dict[int, list[tuple[float, float]]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))

    @property
    def name(self) -> str:
        """The names of the scenario and the engine, for the progress display."""
        return " · ".join(filter(None, (self.loaded.name, self.setting.engine)))

    @property
    def key(self) -> str:
        """The trial among those of a run."""
        return f"{self.name} {self.setting.rtt_ms:g}"

    @property
    def slow_groups(self) -> tuple[str, ...]:
        """The groups whose operation takes long: they are timed without warm-up and without a control, in few pairs."""
        return tuple(name for name, group in self.timing.groups.items() if group.is_slow)

    @property
    def is_active(self) -> bool:
        """Whether it runs: it was neither refused nor has it failed."""
        return self.failure is None and self.not_run is None

    @property
    def excluded(self) -> tuple[tuple[str, str], ...]:
        """The (arm, group) that cannot run as written."""
        return tuple((arm, group) for arm, group, _ in self.verified.cannot_run)

    @property
    def file_stem(self) -> str:
        """The beginning of its files' names: those of the scenario and of the engine."""
        return "-".join(filter(None, (self.loaded.name, self.setting.engine)))

    @property
    def samples_file(self) -> str | None:
        """The path of its samples in the run's folder; None if it has none, or has failed."""
        if not self.slots or self.failure is not None:
            return None
        rtt = f"-rtt{self.setting.rtt_ms:g}" if self.setting.rtt_ms else ""
        return f"samples/{self.file_stem}{rtt}.csv"

    def plan_pairs(self, effort: Effort, processes: int, *, with_slow: bool, quick: bool) -> None:
        """Plan the groups to time in this number of processes; slow ones only `with_slow`, few pairs of each if it is `quick`."""
        scenario = self.loaded.scenario
        left_out = {
            *(() if with_slow else scenario.groups_with("slow")),
            *(() if effort.is_full else scenario.groups_with("secondary")),
            *({g.name for g in scenario.groups} - {g.name for g in scenario.previewed} if effort.is_preview else ()),
        }
        groups = {
            g.name: GroupPairs(g.name, is_slow=g.slow, is_quick=quick, is_preview=effort.is_preview)
            for g in scenario.groups
            if g.name not in left_out
        }
        self.timing = TrialPairs(groups, processes, min(processes, effort.slow_processes), FIRST_OVERHEAD_S)
        self._slow_from_s = effort.slow_from_s

    def _expect(self, took_s: Mapping[str, Mapping[str, float]]) -> None:
        """Take first estimates from the operations that were compared: of a pair, and of a process's warm-up."""
        for name, group in list(self.timing.groups.items()):
            arms = [groups[name] for groups in took_s.values() if name in groups]
            if name not in took_s.get(BASELINE, ()):
                if took_s and not group.is_slow:  # it has no case at this size
                    del self.timing.groups[name]
            elif arms:
                group.operation_s, group.pair_s = ALONE * took_s[BASELINE][name], ALONE * sum(arms)
                group.is_slow = group.is_slow or group.operation_s >= CLEARLY_SLOW * self._slow_from_s
                self.timing.overhead_s += 0.0 if group.is_slow else group.pair_s + group.operation_s

    def _note_slow_groups(self) -> None:
        """Note which groups are slow, now that they were timed."""
        for name, group in self.timing.groups.items():
            if group.pairs and group.operation_s is not None:
                group.is_slow = self.loaded.scenario.group[name].slow or group.operation_s >= self._slow_from_s

    def _decide(self) -> None:
        """Note which groups have verdicts that more pairs would not change."""
        result = self.interim()
        open_ones = {(v.promise, v.part) for v in result.verdicts if not _is_decided(v)}
        undecided = {
            group
            for promise in self.loaded.scenario.promises
            if (promise.id, promise.part) in open_ones
            for group in getattr(promise.measure, "groups", ())
        }
        for name, group in self.timing.groups.items():
            group.is_decided = name not in undecided

    def operation_s(self, arm: str, group: str) -> float:
        """Return the mean duration of an operation so far, in seconds: timed, else while it was compared; 0 if it never ran."""
        if (arm, group) not in self._operations:
            return self.verified.took_s.get(arm, {}).get(group, 0.0)
        count, spent_ns = self._operations[arm, group]
        return spent_ns / count / 1e9

    def job(self, task: Task, **fields: Any) -> BenchJob:
        """Return a job that is due, with these fields of `BenchJob`: it excludes what was found not to run so far.

        An operation under a memory limit has a timeout from its time without one. Memory is measured with the quickest group first.
        Raises NotMeasurableError without callgrind.
        """
        ablate = isinstance(self.loaded.scenario.written, Ablated)
        fields = {"setting": self.setting, "excluded": self.excluded, "ablate": ablate, "timeout_s": self.timeout_s, **fields}
        fields["digest"] = self.loaded.digest
        if self.left_running:
            fields["exit_s"] = EXIT_AGAIN_S
        job = BenchJob(task, self.loaded.file, **fields)
        if job.groups:
            quickest_first = sorted(job.groups, key=lambda group: self.operation_s(BASELINE, group))
            job = msgspec.structs.replace(job, groups=tuple(quickest_first))
        if job.limit_bytes is not None:
            longest_s = max((m.seconds for m in self.figures.memory if m.arm == job.arm and m.group in job.groups), default=0.0)
            return msgspec.structs.replace(job, timeout_s=LIMITED_S + LIMITED_TIMES * longest_s)
        if task is Task.INSTRUCTIONS:
            files = instructions.folder(self.setting.folder, job.arm)
            files.mkdir(exist_ok=True)
            timeout_s = INSTRUCTIONS_TIMES * self.timeout_s
            return msgspec.structs.replace(
                job, timeout_s=timeout_s, exit_s=INSTRUCTIONS_EXIT_S, prefix=tuple(instructions.command(files))
            )
        return job

    def carry_out(self, job: BenchJob, observer: Observer) -> StepOutcome:
        """Do a job in a fresh process, and add and return what it sends.

        One that times pairs is done up to its turn, which `time_pairs` is. Without a server that serves there is nothing to do: the
        scenario has failed.
        """
        turn: list[TimePairs] = []
        servers = ServerWatch(self.setting.servers)

        def waiting(activity: Lasting) -> bool:
            observer.waiting(self.name, activity.progress(), activity.seconds)
            if activity.seconds >= self.timeout_s and servers.stopped():
                return True
            return activity.seconds >= min(NOTICED_S, self.timeout_s) and servers.ended() is not None

        if fault := servers.fault(contact=bool(self.prepared_scales)):
            failed = JobFailed(f"not measured: {fault}; run this scenario again")
            self.add(failed)
            return StepOutcome([(failed, job.process, job.setting.scale)])
        work = _Work(job, run_job(job, waiting, turn.pop), turn, servers)
        self._receive(work, observer)
        return work.outcome

    def time_pairs(self, turn: TimePairs, observer: Observer, share: float = 1.0) -> StepOutcome:
        """Let the process that is ready, if there is one, time these pairs, and add what it sends; then it is ready again.

        `share` is the part of the time in which it got ready that it adds to the run's, as others did so at the same time.
        """
        if self.ready is None:
            return StepOutcome()
        self._in_pairs_s, started_ns = 0.0, self.clock.now_ns()
        work, opening_s = self.ready, self.ready.lasted_s
        self._resume(work, turn, observer)
        if self.is_active and not self.interrupted:
            lasted_s = (self.clock.now_ns() - started_ns) / 1e9
            work.outcome.overhead_s = max(0.0, lasted_s - self._in_pairs_s) + share * opening_s
            self._note_process(work.outcome.overhead_s)
            self._decide()
        return work.outcome

    def close(self, cpus: tuple[int, ...], observer: Observer, share: float = 1.0) -> StepOutcome:
        """Let the process that is ready, if there is one, close its instances and exit; `share` is as in `time_pairs`."""
        if self.ready is None:
            return StepOutcome()
        work = self.ready
        self.timing.overhead_s += share * self._resume(work, TimePairs({}, cpus=cpus), observer)
        return work.outcome

    def restore(self, outcomes: Iterable[StepOutcome]) -> None:
        """Add what the steps of an interrupted run have added, in their order; its pairs have to be planned."""
        for outcome in outcomes:
            for message, process, scale in outcome.messages:
                self.add(message, process, scale)
            self.add(LeftRunning(outcome.left_running))
            self.warnings += outcome.warnings
            self.under_load = outcome.load or self.under_load
            self.spend(outcome.spent_s)
            if outcome.overhead_s is not None:
                self._note_process(outcome.overhead_s)
        if self.timing.done and self.is_active:
            self._decide()

    def _note_process(self, overhead_s: float) -> None:
        """Note for the schedule that a process has timed its pairs, and the seconds that it took besides."""
        self.timing.done += 1
        if self.timing.done == 1:  # once: a group that one process leaves out would have fewer medians than the others
            self._note_slow_groups()
        self.timing.overhead_s = overhead_s

    def end(self) -> None:
        """End the process that is ready, if there is one, at once."""
        if self.ready is not None:
            self.ready.events.close()
            self.ready = None

    def _resume(self, work: _Work, turn: TimePairs, observer: Observer) -> float:
        """Give a process its turn, add its messages, and return the seconds that it took."""
        before_s, self.ready, work.outcome = work.lasted_s, None, StepOutcome()
        work.turn.append(turn)
        self._receive(work, observer)
        return work.lasted_s - before_s

    def _receive(self, work: _Work, observer: Observer) -> None:
        """Add the messages of a process until it is done or ready to time pairs."""
        started_ns, spent_s = self.clock.now_ns(), dict[str, float]()
        for event in work.events:
            if self.interrupted:
                return
            if isinstance(event, ReadyToTime):
                self.ready = work
                break
            if isinstance(event, JobDone):
                spent_s = event.spent_s
            self._take(event, work)
            if self._take_blame(event, work):
                work.events.close()
                break
            if isinstance(event, PairTimes):
                observer.tick()
        observer.waiting(self.name, "", 0.0)
        work.lasted_s += (self.clock.now_ns() - started_ns) / 1e9
        if spent_s:  # it has not failed
            spent_s.pop(WAITING, None)  # the run has not waited for it meanwhile
            work.outcome.spent_s = by_phase(spent_s, work.lasted_s)
            self.spend(work.outcome.spent_s)

    def _take(self, event: Event, work: _Work) -> None:
        """Add one message of a process, and note it as an outcome of its step."""
        self._add_found(self._failure(event, work) if isinstance(event, JobFailed) else event, work)

    def _add_found(self, found: Event | records.RunWarning, work: _Work) -> None:
        """Add what a message of a process means, and note it as an outcome of its step."""
        process, scale, outcome = work.job.process, work.job.setting.scale, work.outcome
        if isinstance(found, records.RunWarning):
            self.warnings.append(found)
            outcome.warnings.append(found)
            return
        self.add(found, process, scale)
        if isinstance(found, LeftRunning):
            outcome.left_running += found.names
        elif not isinstance(found, JobDone):
            outcome.messages.append((found, process, scale))

    def _take_blame(self, event: Event, work: _Work) -> bool:
        """Add the failure of a server behind errors that a message has as results of arms; return whether there is one."""
        for failed in _failures_in(event):
            if (found := blamed(failed, work.servers)) is not failed:
                self._add_found(found, work)
                return True
        return False

    def spend(self, seconds: Mapping[str, float]) -> None:
        """Add seconds of phases to the profile."""
        for phase, of_phase in seconds.items():
            self.profile[phase] = self.profile.get(phase, 0.0) + of_phase

    def add(self, event: Event, process: int = 0, scale: float = 1.0) -> None:
        """Add one message of a worker. `process` numbers the processes that time pairs; `scale` is the share of the data set."""
        self.version += 1
        match event:
            case PairTimes():
                self._add_pair(event, process)
            case DataPrepared():
                self.warnings += [
                    records.RunWarning(WarningName.SNAPSHOT_CACHE, *line.rpartition("; ")[::2]) for line in event.warnings
                ]
                self.prepared_scales[scale] = event
                if scale == 1.0:
                    self.prepared = event
            case AnswersVerified():
                self.verified = event
                self._expect(event.took_s)
            case Figures():
                self.figures.work_counts[:] = records.counted_again(self.figures.work_counts, event.work_counts)
                self.figures.statements.extend(event.statements)
                self.figures.findings.extend(event.findings)
                self.figures.memory.extend(event.memory)
            case LeftRunning():
                self.left_running |= dict.fromkeys(event.names)
            case JobFailed():
                self.failure = event

    def _add_pair(self, pair: PairTimes, process: int) -> None:
        self._pairs += 1
        for position, slot in enumerate(pair.slots):
            if slot.arm != SLOWED:
                times = array("q", slot.latencies_ns), slot.everything
                self.slots.append(records.Slot(process, self._pairs, position, slot.arm, pair.group, pair.case, *times))
        for slot in pair.slots:
            count, spent_ns = self._operations.get((slot.arm, pair.group), (0, 0))
            self._operations[slot.arm, pair.group] = count + slot.totals.operations, spent_ns + slot.totals.total_ns
        self._note_pair(pair, process)
        self._readings += [(process, name, time_ns) for name, time_ns in pair.controls_ns.items()]
        means = {slot.arm: slot.totals.mean_ns for slot in pair.slots}
        if SLOWED in means:
            self._slowed[pair.group][process].append((means[BASELINE], means[SLOWED]))

    def _note_pair(self, pair: PairTimes, process: int) -> None:
        """Note for the schedule what a pair took and showed."""
        self._in_pairs_s += pair.lasted_ns / 1e9
        group = self.timing.groups.get(pair.group)
        if group is None:
            return
        means_s = {slot.arm: slot.totals.mean_ns / 1e9 for slot in pair.slots}
        count, spent_s, operations_s = self._costs.get(pair.group, (0, 0.0, 0.0))
        count, spent_s, operations_s = count + 1, spent_s + pair.lasted_ns / 1e9, operations_s + means_s[BASELINE]
        self._costs[pair.group] = count, spent_s, operations_s
        group.pairs, group.pair_s, group.operation_s = count, spent_s / count, operations_s / count
        for arm, mean_s in means_s.items():
            if arm not in (BASELINE, *BASELINE_COPIES):
                logs = group.log_ratios.setdefault(arm, {}).setdefault(process, [])
                logs.append(math.log(means_s[BASELINE] / mean_s))

    def _failure(self, failed: JobFailed, work: _Work) -> JobFailed | Figures | records.RunWarning:
        """Return what a failure means: a result where memory is measured, a warning under callgrind, else an error.

        That of a server is an error in any case, and names it.
        """
        job, found = work.job, blamed(failed, work.servers)
        if found is not failed:
            return found
        if job.task is Task.MEMORY:
            return Figures(memory=self._failed_memory(failed, job))
        if job.task is Task.INSTRUCTIONS:
            message = f"those of {job.arm} could not be counted: {failed.message}"
            return records.RunWarning(WarningName.INSTRUCTIONS, message, "leave --instructions out")
        return failed

    def _failed_memory(self, failed: JobFailed, job: BenchJob) -> list[records.Memory]:
        """Return a row with the end of a process for each group that it has not measured; the others keep their figures."""
        scale, limit = job.setting.scale, job.limit_bytes
        measured = {m.group for m in self.figures.memory if (m.arm, m.scale, m.limit_bytes) == (job.arm, scale, limit)}
        error = "ended by the limit" if limit is not None else f"the process that measured it failed: {failed.message}"
        return [
            records.Memory(job.arm, group, 0, 0, 0.0, [], scale=scale, limit_bytes=limit, error=error)
            for group in job.groups
            if group not in measured and (job.arm, group) not in job.excluded
        ]

    def _memory_failed(self) -> JobFailed | None:
        """Return the first error of operations that raised only while memory was measured, without a limit; None if there is none.

        An arm that may raise as written has its result instead.
        """
        arms = self.loaded.scenario.arms
        errors = [m for m in self.figures.memory if m.error is not None and m.limit_bytes is None and not arms[m.arm].as_written]
        return JobFailed(f"while memory was measured: {errors[0].error}") if errors else None

    def _unmeasured_memory(self) -> list[records.Memory]:
        """Return a row with the reason for each arm and group whose memory was to be measured and was not."""
        if not self.measures_memory:
            return []
        found = {(row.arm, row.group) for row in self.figures.memory}
        arms, groups = self.loaded.scenario.arms, self.loaded.scenario.groups
        reasons = {(arm, group.name): LEFT_OUT for arm in arms for group in groups if not group.memory}
        if self.setting.quick:
            previewed = {group.name for group in self.loaded.scenario.previewed}
            reasons |= {(arm, group.name): NOT_PREVIEWED for arm in arms for group in groups if group.name not in previewed}
        reasons |= {(arm, group): reason for arm, group, reason in self.verified.cannot_run}
        every = itertools.product(arms, self.loaded.scenario.group)
        return [
            records.Memory(arm, group, 0, 0, 0.0, [], not_measured=reasons.get((arm, group), NO_TIME))
            for arm, group in every
            if (arm, group) not in found
        ]

    def interim(self) -> records.ScenarioResult:
        """Return the result so far without the ratios of percentiles; it is computed again once something was added."""
        state = self.version, self.interrupted
        if self._interim is None or self._interim[0] != state:
            self._interim = state, self.result(whole=False)
        return self._interim[1]

    @functools.cached_property
    def _code(self) -> dict[str, str]:
        """Arm → its declaration in the repository."""
        return code_of_arms(type(self.loaded.scenario.written))

    def result(self, *, whole: bool = True) -> records.ScenarioResult:
        """Return the scenario's result so far. A failed scenario has no times and no verdicts.

        Without `whole` it lacks the ratios of percentiles, which no verdict on the way needs.
        """
        scenario, own, at_lowest_rtt = self.loaded.scenario, self.figures, self.lowest_rtt or self
        synchronous = {"execution": SYNCHRONOUS} if self.slots and scenario.is_synchronous else {}
        loaded, engine, rtt_ms = self.loaded, self.setting.engine, self.setting.rtt_ms
        status = records.ScenarioStatus.INTERRUPTED if self.interrupted else records.ScenarioStatus.OK
        if not self.is_active:
            status = records.ScenarioStatus.FAILED if self.not_run is None else records.ScenarioStatus.NOT_RUN
        failed = self.failure or (JobFailed(f"under load: {self.under_load.failed}") if self.under_load.failed else None)
        failed = failed or self._memory_failed()
        if failed is not None:
            status = records.ScenarioStatus.FAILED
        base = records.ScenarioResult(loaded.name, loaded.title, loaded.doc, loaded.file.name, engine, rtt_ms, status)
        code = self._code
        broken = [*self.verified.cannot_run, *self.under_load.cannot_run]
        base = replace(
            base,
            error=self.not_run or (failed.message if failed else None),
            exit_code=failed.code if failed else 0,
            arms=[
                records.ArmResult(
                    name,
                    arm.description,
                    {group: why for a, group, why in broken if a == name},
                    arm.as_written,
                    code.get(name, ""),
                    at_lowest_rtt.prepared.changes.get(name, []),
                )
                for name, arm in scenario.arms.items()
            ],
            groups={group.name: group.description for group in scenario.groups},
            verified_cases=self.verified.cases,
            dataset=at_lowest_rtt.prepared.dataset,
            engine_settings=at_lowest_rtt.prepared.engine_settings | synchronous,
            findings=at_lowest_rtt.figures.findings,
            samples_file=self.samples_file,
            tolerances=dict(scenario.tolerances),
            higher_is_better=list(scenario.higher_is_better),
            profile={phase: round(self.profile[phase], 3) for phase in RunPhase if phase in self.profile},
        )
        if self.failure is not None:
            return base
        if self.not_run is not None:
            unmeasured = [
                records.Verdict(p.id, p.text, arm, records.PromiseVerdict.NOT_MEASURED, self.not_run, p.claim.unit, p.part)
                for p in scenario.promises
                for arm in p.tried_on(scenario.arms)
            ]
            return replace(base, verdicts=unmeasured)
        counted = {(count.arm, count.group, count.metric) for count in own.work_counts if count.scale == 1.0}
        means = pair_means(self.slots) if isinstance(scenario.written, Ablated) else {}
        measured = replace(
            base,
            pairs=self._pairs,
            processes=len({s.process for s in self.slots}),
            latencies=in_order(latencies(self.slots), scenario),
            ratios=in_order(ratios(self.slots), scenario),
            percentile_ratios=in_order(percentile_ratios(self.slots), scenario) if whole else [],
            work_counts=own.work_counts  # and those of the lowest RTT that were not counted again
            + [
                count
                for count in (self.lowest_rtt.figures.work_counts if self.lowest_rtt else [])
                if count.scale == 1.0 and (count.arm, count.group, count.metric) not in counted
            ],
            statements=at_lowest_rtt.figures.statements,
            memory=[*together(own.memory), *self._unmeasured_memory()],
            growth=growths(own.work_counts, together(own.memory)),
            ablation=[gains for group in scenario.group if (gains := ablation(group, scenario.switches, means.get(group, {})))],
            load=self.under_load.load,
            load_left_out=self.under_load.left_out,
            controls=records.Controls(controls.drifts(self._readings), controls.injected(self.injected, self._slowed)),
        )
        try:
            judged = replace(measured, verdicts=[v for promise in scenario.promises for v in judge(promise, measured)])
        except ScenarioFailedError as error:
            self.failure = JobFailed(str(error), error.code)
            return self.result(whole=whole)
        left = [left_running(self.left_running)] if self.left_running else []
        found = [*warnings_about(judged), *self.under_load.warnings, *self.warnings]
        return replace(judged, warnings=[*found, *_about_memory(judged.memory), *left])


def _is_decided(verdict: records.Verdict) -> bool:
    thresholds = verdict.promised_low, verdict.promised_high, verdict.neutral
    return verdict.value is None or is_decided(verdict.value, verdict.low, verdict.high, thresholds)


Row = TypeVar("Row", records.Latency, records.Ratio, records.PercentileRatio)


def in_order(rows: list[Row], scenario: RunnableScenario) -> list[Row]:
    """Return rows in the scenario's order of groups and arms, the A/A control last."""
    groups, arms = list(scenario.group), [*scenario.arms, AA_CONTROL]

    def place(name: str, names: list[str]) -> int:
        return names.index(name) if name in names else len(names)

    return sorted(rows, key=lambda row: (place(row.group, groups), place(row.arm, arms)))


def _about_memory(memory: list[records.Memory]) -> list[records.RunWarning]:
    """Return a warning per error of operations whose memory was to be measured; under a limit it is a result."""
    groups: dict[tuple[str, str], list[str]] = {}
    for row in memory:
        if row.error is not None and row.limit_bytes is None:
            groups.setdefault((row.arm, row.error), []).append(row.group)
    return [
        records.RunWarning(
            WarningName.MEMORY, f"that of {arm} in {', '.join(named)} was not measured: {error}", "run this scenario again"
        )
        for (arm, error), named in groups.items()
    ]


def together(memory: list[records.Memory]) -> list[records.Memory]:
    """Return one row per arm, group, scale and limit: that of the process that added the median, with the range of all.

    One that did not complete goes before.
    """
    found: dict[tuple[object, ...], list[records.Memory]] = defaultdict(list)
    for row in memory:
        found[row.arm, row.group, row.scale, row.limit_bytes].append(row)
    rows = []
    for of_one in found.values():
        failed = [row for row in of_one if not row.has_figures]
        middle = failed[0] if failed else sorted(of_one, key=lambda row: row.added_bytes)[(len(of_one) - 1) // 2]
        if len(of_one) > 1 and not failed:
            ends = [end for row in of_one for end in row.range_bytes]
            number = sum(row.repetitions for row in of_one)
            middle = replace(middle, repetitions=number, lowest_added_bytes=min(ends), highest_added_bytes=max(ends))
        rows.append(middle)
    return rows


def latencies(slots: list[records.Slot]) -> list[records.Latency]:
    """Return each arm's latencies in each group, from raw samples."""
    found: dict[tuple[str, str], list[records.Slot]] = defaultdict(list)
    for s in slots:
        found[s.group, s.arm].append(s)
    rows = []
    for (group, arm), taken in found.items():
        totals = [s.totals for s in taken]
        mean = sum(each.total_ns for each in totals) / sum(each.operations for each in totals)
        ends = min(each.min_ns for each in totals), max(each.max_ns for each in totals)
        known = estimates(taken)
        row = records.Latency(
            arm,
            group,
            sum(len(s.latencies_ns) for s in taken),
            mean,
            *ends,
            percentiles_ns={label: x.value_ns if x.bounds_ns else None for label, x in known.items()},
            process_medians_ns=known[statistics.MEDIAN].processes_ns,
            intervals_ns={label: within for label, x in known.items() if (within := x.interval_ns)},
            effective_samples={label: x.effective for label, x in known.items()},
        )
        rows.append(row)
    return rows


def pair_means(taken: list[records.Slot]) -> dict[str, dict[int, list[dict[str, float]]]]:
    """Return group → process → pairs, each as arm → nanoseconds of the mean operation of its slot."""
    slots: dict[tuple[int, int, str], dict[str, list[records.SlotTotals]]] = defaultdict(lambda: defaultdict(list))
    for s in taken:
        slots[s.process, s.pair, s.group][s.arm].append(s.totals)
    found: dict[str, dict[int, list[dict[str, float]]]] = defaultdict(lambda: defaultdict(list))
    for (process, _, group), arms in slots.items():
        means = {arm: sum(t.total_ns for t in each) / sum(t.operations for t in each) for arm, each in arms.items()}
        found[group][process].append(means)
    return found


def ratios(slots: list[records.Slot]) -> list[records.Ratio]:
    """Return each arm's paired ratio against the baseline in each group."""
    compared: dict[tuple[str, str], dict[int, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for group, processes in pair_means(slots).items():
        for process, pairs in processes.items():
            for pair in pairs:
                for arm, time_ns in pair.items():
                    if arm != BASELINE and BASELINE in pair:
                        compared[group, arm][process].append((pair[BASELINE], time_ns))
    rows = []
    for (group, arm), times in compared.items():
        found, medians = statistics.paired_ratio(times)
        rows.append(records.Ratio(arm, group, found.value, found.low, found.high, medians, sum(map(len, times.values()))))
    return rows


def growths(work_counts: list[records.WorkCount], memory: list[records.Memory]) -> list[records.Growth]:
    """Return the growth exponent of every figure that was measured at several scales."""
    series: dict[tuple[str, str, str], dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for e in work_counts:
        series[e.arm, e.group, e.metric][e.scale].append(e.value)
    for m in memory:
        if m.has_figures and m.limit_bytes is None:
            series[m.arm, m.group, records.PEAK_MEMORY][m.scale].append(float(m.added_bytes))
    rows = []
    for (arm, group, metric), points in series.items():
        scales = sorted(points)
        values = [statistics.median(points[s]) for s in scales]
        if len(scales) > 1 and min(values) > 0:
            rows.append(records.Growth(arm, group, metric, scales, values, statistics.growth_exponent(scales, values)))
    return rows


def clean_controls(results: list[records.ScenarioResult]) -> list[records.RunWarning]:
    """Return a warning about the whole run if too many of its A/A controls differ significantly from 1."""
    bounds = [(r.low, r.high) for result in results for r in result.ratios if r.arm == AA_CONTROL]
    judged = [(low, high) for low, high in bounds if low is not None and high is not None]
    off = [low for low, high in judged if not low <= 1 <= high]
    if statistics.at_least_by_chance(len(off), len(judged), MISS_RATE) > CHANCE:
        return []
    message = f"{len(off)} of {len(judged)} controls, the baseline against itself, differ from 1"
    return [records.RunWarning(WarningName.CONTROL, message, "run again on a quieter machine, or with more --processes")]
