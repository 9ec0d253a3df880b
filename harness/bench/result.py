"""One scenario on one engine at one RTT: its jobs, their messages, and the result, from ratios and percentiles to verdicts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import msgspec
import numpy as np

from harness.bench.probes import instructions
from harness.bench.serving import unreachable_server
from harness.bench.steps import Observer
from harness.bench.switches import Ablated
from harness.bench.worker import (
    SLOWED,
    AnswersVerified,
    BenchJob,
    DataPrepared,
    Event,
    FindingTried,
    MemoryMeasured,
    PairTimes,
    Task,
    WorkCounted,
    run_job,
)
from harness.discovery import LoadedScenario
from harness.results.run import (
    AA_CONTROL,
    BASELINE,
    PEAK_MEMORY,
    Ablation,
    ArmResult,
    Controls,
    Finding,
    Growth,
    Latency,
    Memory,
    PercentileRatio,
    PromiseVerdict,
    Ratio,
    RunWarning,
    Sample,
    ScenarioResult,
    ScenarioStatus,
    Statement,
    Verdict,
    WorkCount,
)
from harness.runnable import RunnableScenario
from harness.runtime.child import JobFailed
from harness.scenario import Setting
from harness.stats import intervals as statistics
from harness.stats.ablation import ablation
from harness.stats.percentile_ratios import percentile_ratios
from harness.verdicts import controls
from harness.verdicts.promise import judge
from harness.verdicts.warnings import warnings_about

INSTRUCTIONS_S = 600
"""Timeout of counting one arm's instructions, in seconds."""

LIMITED_S, LIMITED_TIMES = 30, 10
"""Timeout of an operation under a memory limit: this number of seconds, plus this multiple of its time without the limit."""

MISS_RATE = 0.05
"""Share of 95 % intervals that exclude 1 although nothing differs."""

CHANCE = 0.01
"""A number of controls off that is less probable than this by chance gives the run a warning."""

SYNCHRONOUS = "synchronous, in the worker's thread"
"""Description of the execution of a scenario whose `run` is synchronous, while it is timed."""


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
    samples: list[Sample] = field(default_factory=list)
    """The time of every operation."""
    dataset: dict[str, str | int] = field(default_factory=dict)
    """Description of the data, with their digest."""
    engine_settings: dict[str, str] = field(default_factory=dict)
    """Version and settings of the engine."""
    cannot_run: list[tuple[str, str, str]] = field(default_factory=list)
    """(arm, group, error) of arms that raised as written."""
    verified_cases: int = 0
    """Number of cases on which the arms agree."""
    work_counts: list[WorkCount] = field(default_factory=list)
    """Work counts at every scale."""
    statements: list[Statement] = field(default_factory=list)
    """Statements with their plans."""
    findings: list[Finding] = field(default_factory=list)
    """Findings, demonstrated or not."""
    memory: list[Memory] = field(default_factory=list)
    """Memory measurements, one per process."""
    failure: JobFailed | None = None
    """The failure of the scenario, after which nothing of it is run."""
    interrupted: bool = False
    """Whether the run was interrupted; messages that arrive later are ignored."""
    not_run: str | None = None
    """The reason why it does not support this engine or RTT, or cannot run here."""
    warnings: list[RunWarning] = field(default_factory=list)
    """Warnings that do not follow from a figure."""
    _pairs: int = 0
    _readings: list[tuple[int, str, int]] = field(default_factory=list)
    _slowed: dict[str, dict[int, list[tuple[float, float]]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))

    @property
    def name(self) -> str:
        """The names of the scenario and the engine, for the progress display."""
        return f"{self.loaded.name} · {self.setting.engine}"

    @property
    def is_active(self) -> bool:
        """Whether it runs: it was neither refused nor has it failed."""
        return self.failure is None and self.not_run is None

    @property
    def excluded(self) -> tuple[tuple[str, str], ...]:
        """The (arm, group) that cannot run as written."""
        return tuple((arm, group) for arm, group, _ in self.cannot_run)

    @property
    def samples_file(self) -> str | None:
        """The path of its samples in the run's folder; None if it has none, or has failed."""
        if not self.samples or self.failure is not None:
            return None
        rtt = f"-rtt{self.setting.rtt_ms:g}" if self.setting.rtt_ms else ""
        return f"samples/{self.loaded.name}-{self.setting.engine}{rtt}.csv"

    def job(self, task: Task, **fields: Any) -> BenchJob:
        """Return a job that is due, with these fields of `BenchJob`: it excludes what was found not to run so far.

        An operation under a memory limit has a timeout from its time without one.

        Raises:
            NotMeasurableError: instructions are to be counted and callgrind is not installed.
        """
        ablate = isinstance(self.loaded.scenario.written, Ablated)
        fields = {"setting": self.setting, "excluded": self.excluded, "ablate": ablate, **fields}
        job = BenchJob(task, self.loaded.file, **fields)
        if job.limit_bytes is not None:
            longest_s = max((m.seconds for m in self.memory if (m.arm, m.group) == (job.arm, job.group)), default=0.0)
            return msgspec.structs.replace(job, timeout_s=LIMITED_S + round(LIMITED_TIMES * longest_s))
        if task is Task.INSTRUCTIONS:
            files = instructions.folder(self.setting.folder, job.arm)
            files.mkdir(exist_ok=True)
            return msgspec.structs.replace(job, timeout_s=INSTRUCTIONS_S, prefix=tuple(instructions.command(files)))
        return job

    def carry_out(self, job: BenchJob, observer: Observer) -> None:
        """Do a job in a fresh process and add its messages."""
        for event in run_job(job):
            if self.interrupted:
                return
            if isinstance(event, JobFailed):
                self._add_failure(event, job)
            else:
                self.add(event, job.process, job.setting.scale)
            if isinstance(event, PairTimes):
                observer.tick()

    def add(self, event: Event, process: int = 0, scale: float = 1.0) -> None:
        """Add one message of a worker. `process` numbers the processes that time pairs; `scale` is the share of the data set."""
        match event:
            case PairTimes():
                self._add_pair(event, process)
            case DataPrepared() if scale == 1.0:
                self.dataset, self.engine_settings = event.dataset, event.engine_settings
            case AnswersVerified():
                self.verified_cases, self.cannot_run = event.cases, event.cannot_run
            case WorkCounted():
                self.work_counts += event.work_counts
                self.statements += event.statements
            case FindingTried():
                self.findings.append(event.finding)
            case MemoryMeasured():
                self.memory.append(event.memory)
            case JobFailed():
                self.failure = event

    def _add_pair(self, pair: PairTimes, process: int) -> None:
        self._pairs += 1
        self.samples += [
            Sample(process, self._pairs, slot.position, slot.arm, pair.group, pair.case, latency_ns)
            for slot in pair.slots
            if slot.arm != SLOWED
            for latency_ns in slot.latencies_ns
        ]
        self._readings += [(process, name, time_ns) for name, time_ns in pair.controls_ns.items()]
        means = {slot.arm: sum(slot.latencies_ns) / len(slot.latencies_ns) for slot in pair.slots}
        if SLOWED in means:
            self._slowed[pair.group][process].append((means[BASELINE], means[SLOWED]))

    def _add_failure(self, failed: JobFailed, job: BenchJob) -> None:
        """Add a failure: a result under a memory limit, a warning under callgrind, else an error that names a stopped server."""
        if job.limit_bytes is not None:
            scale, limit = job.setting.scale, job.limit_bytes
            self.memory.append(
                Memory(job.arm, job.group, 0, 0, 0.0, [], scale=scale, limit_bytes=limit, error="ended by the limit")
            )
        elif job.task is Task.INSTRUCTIONS:
            message = f"those of {job.arm} could not be counted: {failed.message}"
            self.warnings.append(RunWarning("instructions", message, "leave --instructions out"))
        else:
            if stopped := unreachable_server(self.setting.servers):
                failed = JobFailed(f"{stopped} ({failed.message}); run this scenario again", failed.code, failed.detail)
            self.add(failed)

    def result(self, *, whole: bool = True) -> ScenarioResult:
        """Return the scenario's result so far. A failed scenario has no times and no verdicts.

        Without `whole` it lacks the ratios of percentiles, which take long to compute.
        """
        scenario, at_lowest_rtt = self.loaded.scenario, self.lowest_rtt or self
        synchronous = {"execution": SYNCHRONOUS} if self.samples and scenario.is_synchronous else {}
        base = ScenarioResult(
            name=self.loaded.name,
            title=self.loaded.title,
            doc=self.loaded.doc,
            file=self.loaded.file.name,
            engine=self.setting.engine,
            rtt_ms=self.setting.rtt_ms,
            status=self._status(),
            error=self.not_run or (self.failure.message if self.failure else None),
            exit_code=self.failure.code if self.failure else 0,
            arms=[ArmResult(name, arm.description, self._errors(name), arm.as_written) for name, arm in scenario.arms.items()],
            groups={group.name: group.description for group in scenario.groups},
            verified_cases=self.verified_cases,
            dataset=at_lowest_rtt.dataset,
            engine_settings=at_lowest_rtt.engine_settings | synchronous,
            findings=at_lowest_rtt.findings,
            samples_file=self.samples_file,
            tolerances=dict(scenario.tolerances),
            higher_is_better=list(scenario.higher_is_better),
        )
        if self.failure is not None:
            return base
        if self.not_run is not None:
            unmeasured = [
                Verdict(p.id, p.text, arm, PromiseVerdict.NOT_MEASURED, self.not_run, p.claim.unit, p.part)
                for p in scenario.promises
                for arm in p.tried_on(scenario.arms)
            ]
            return replace(base, verdicts=unmeasured)
        measured = replace(
            base,
            pairs=self._pairs,
            processes=len({s.process for s in self.samples}),
            latencies=in_order(latencies(self.samples), scenario),
            ratios=in_order(ratios(self.samples), scenario),
            percentile_ratios=in_order(percentile_ratios(self.samples), scenario) if whole else [],
            work_counts=self._all_work_counts(),
            statements=at_lowest_rtt.statements,
            memory=self.memory,
            growth=growths(self.work_counts, self.memory),
            ablation=ablations(self.samples, scenario),
            controls=Controls(controls.drifts(self._readings), controls.injected(self.injected, self._slowed)),
        )
        judged = replace(measured, verdicts=[v for promise in scenario.promises for v in judge(promise, measured)])
        return replace(judged, warnings=[*warnings_about(judged), *self.warnings])

    def _all_work_counts(self) -> list[WorkCount]:
        """Return the work counts of this RTT, and those of the lowest RTT that were not counted again."""
        here = {(e.arm, e.group, e.metric) for e in self.work_counts if e.scale == 1.0}
        others = self.lowest_rtt.work_counts if self.lowest_rtt else []
        return self.work_counts + [e for e in others if e.scale == 1.0 and (e.arm, e.group, e.metric) not in here]

    def _status(self) -> ScenarioStatus:
        if self.not_run is not None:
            return ScenarioStatus.NOT_RUN
        if self.failure is not None:
            return ScenarioStatus.FAILED
        return ScenarioStatus.INTERRUPTED if self.interrupted else ScenarioStatus.OK

    def _errors(self, arm: str) -> dict[str, str]:
        return {group: error for a, group, error in self.cannot_run if a == arm}


Row = TypeVar("Row", Latency, Ratio, PercentileRatio)


def in_order(rows: list[Row], scenario: RunnableScenario) -> list[Row]:
    """Return rows in the scenario's order of groups and arms, the A/A control last."""
    groups, arms = list(scenario.group), [*scenario.arms, AA_CONTROL]

    def place(name: str, names: list[str]) -> int:
        return names.index(name) if name in names else len(names)

    return sorted(rows, key=lambda row: (place(row.group, groups), place(row.arm, arms)))


def latencies(samples: list[Sample]) -> list[Latency]:
    """Return each arm's latencies in each group, from raw samples."""
    found: dict[tuple[str, str], dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for s in samples:
        found[s.group, s.arm][s.process].append(s.latency_ns)
    rows = []
    for (group, arm), processes in found.items():
        values = np.concatenate([np.asarray(v, dtype=np.int64) for v in processes.values()])
        rows.append(
            Latency(
                arm=arm,
                group=group,
                samples=len(values),
                mean_ns=float(values.mean()),
                min_ns=int(values.min()),
                max_ns=int(values.max()),
                percentiles_ns=statistics.percentiles(values),
                process_medians_ns=[float(np.median(v)) for _, v in sorted(processes.items())],
            )
        )
    return rows


def pair_means(samples: list[Sample]) -> dict[str, dict[int, list[dict[str, float]]]]:
    """Return group → process → pairs, each as arm → nanoseconds of the mean operation of its slot."""
    slots: dict[tuple[int, int, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for s in samples:
        slots[s.process, s.pair, s.group][s.arm].append(s.latency_ns)
    found: dict[str, dict[int, list[dict[str, float]]]] = defaultdict(lambda: defaultdict(list))
    for (process, _, group), arms in slots.items():
        found[group][process].append({arm: sum(times) / len(times) for arm, times in arms.items()})
    return found


def ratios(samples: list[Sample]) -> list[Ratio]:
    """Return each arm's paired ratio against the baseline in each group."""
    compared: dict[tuple[str, str], dict[int, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for group, processes in pair_means(samples).items():
        for process, pairs in processes.items():
            for pair in pairs:
                for arm, time_ns in pair.items():
                    if arm != BASELINE and BASELINE in pair:
                        compared[group, arm][process].append((pair[BASELINE], time_ns))
    rows = []
    for (group, arm), times in compared.items():
        interval, medians = statistics.paired_ratio(times)
        rows.append(Ratio(arm, group, interval.value, interval.low, interval.high, medians, sum(map(len, times.values()))))
    return rows


def ablations(samples: list[Sample], scenario: RunnableScenario) -> list[Ablation]:
    """Return the gains of an ablated scenario's switches, one entry per group in its order; empty for any other scenario."""
    if not isinstance(scenario.written, Ablated):
        return []
    pairs = pair_means(samples)
    found = (ablation(group, scenario.switches, pairs[group]) for group in scenario.group if group in pairs)
    return [entry for entry in found if entry is not None]


def growths(work_counts: list[WorkCount], memory: list[Memory]) -> list[Growth]:
    """Return the growth exponent of every figure that was measured at several scales."""
    series: dict[tuple[str, str, str], dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for e in work_counts:
        series[e.arm, e.group, e.metric][e.scale].append(e.value)
    for m in memory:
        if m.error is None and m.limit_bytes is None:
            series[m.arm, m.group, PEAK_MEMORY][m.scale].append(float(m.added_bytes))
    rows = []
    for (arm, group, metric), points in series.items():
        scales = sorted(points)
        values = [statistics.median(points[s]) for s in scales]
        if len(scales) > 1 and min(values) > 0:
            rows.append(Growth(arm, group, metric, scales, values, statistics.growth_exponent(scales, values)))
    return rows


def clean_controls(results: list[ScenarioResult]) -> list[RunWarning]:
    """Return a warning about the whole run if too many of its A/A controls differ significantly from 1."""
    bounds = [(r.low, r.high) for result in results for r in result.ratios if r.arm == AA_CONTROL]
    judged = [(low, high) for low, high in bounds if low is not None and high is not None]
    off = [low for low, high in judged if not low <= 1 <= high]
    if statistics.at_least_by_chance(len(off), len(judged), MISS_RATE) > CHANCE:
        return []
    message = f"{len(off)} of {len(judged)} controls, the baseline against itself, differ from 1"
    return [RunWarning("A/A control", message, "run again on a quieter machine, or with more --processes")]
