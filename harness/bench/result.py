"""A scenario's result from its workers' messages: ratios, percentiles, growth, verdicts and warnings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from harness.bench.pairing import SLOWED, PairTimes
from harness.bench.switches import Ablated
from harness.bench.worker import AnswersVerified, DataPrepared, Event, FindingTried, MemoryMeasured, WorkCounted
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
from harness.stats import intervals as statistics
from harness.stats.ablation import ablation
from harness.stats.percentile_ratios import percentile_ratios
from harness.verdicts import controls
from harness.verdicts.promise import Promise, judge
from harness.verdicts.warnings import warnings_about

MISS_RATE = 0.05
"""Share of 95 % intervals that exclude 1 although nothing differs."""

CHANCE = 0.01
"""A number of controls off that is less probable than this by chance gives the run a warning."""

SYNCHRONOUS = "synchronous, in the worker's thread"
"""How a scenario with a synchronous `run` is executed while it is timed."""


@dataclass
class ScenarioEvidence:
    """All messages about one scenario on one engine at one RTT so far, and the result that follows from them."""

    loaded: LoadedScenario
    """The scenario."""
    engine: str
    """Name of the engine."""
    rtt_ms: float
    """Round-trip time to its servers, in milliseconds."""
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
    error: str | None = None
    """The reason why it failed."""
    code: int = 0
    """The exit code that the failure means."""
    detail: str = ""
    """Traceback or output of the process that failed."""
    interrupted: bool = False
    """Whether the run was interrupted."""
    not_run: str | None = None
    """The reason why it does not support this engine or RTT, or cannot run here."""
    lowest_rtt: ScenarioEvidence | None = None
    """The evidence of the same scenario and engine at the lowest RTT, where everything that latency cannot change is counted."""
    injected: float = 0.0
    """The share by which a baseline instance was slowed."""
    warnings: list[RunWarning] = field(default_factory=list)
    """Warnings that do not follow from a figure."""
    _pairs: int = 0
    _readings: list[tuple[int, str, int]] = field(default_factory=list)
    _slowed: dict[str, dict[int, list[tuple[float, float]]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))

    @property
    def is_active(self) -> bool:
        """Whether it runs: it was neither refused nor has it failed."""
        return self.error is None and self.not_run is None

    def all_work_counts(self) -> list[WorkCount]:
        """Return the work counts of this RTT, and those of the lowest RTT that were not counted again."""
        if self.lowest_rtt is None:
            return self.work_counts
        here = {(e.arm, e.group, e.metric, e.scale) for e in self.work_counts}
        return self.work_counts + [
            e for e in self.lowest_rtt.work_counts if (e.arm, e.group, e.metric, e.scale) not in here and e.scale == 1.0
        ]

    def add(self, event: Event, process: int = 0, scale: float = 1.0) -> None:
        """Add one message of a worker. `process` numbers the processes that time pairs; `scale` is the share of the data set."""
        if isinstance(event, PairTimes):
            self._pairs += 1
            self.samples += [
                Sample(process, self._pairs, slot.position, slot.arm, event.group, event.case, latency_ns)
                for slot in event.slots
                if slot.arm != SLOWED
                for latency_ns in slot.latencies_ns
            ]
            self._readings += [(process, name, time_ns) for name, time_ns in event.controls_ns.items()]
            means = {slot.arm: sum(slot.latencies_ns) / len(slot.latencies_ns) for slot in event.slots}
            if SLOWED in means:
                self._slowed[event.group][process].append((means[BASELINE], means[SLOWED]))
        elif isinstance(event, DataPrepared):
            if scale == 1.0:
                self.dataset, self.engine_settings = event.dataset, event.engine_settings
        elif isinstance(event, AnswersVerified):
            self.verified_cases, self.cannot_run = event.cases, event.cannot_run
        elif isinstance(event, WorkCounted):
            self.work_counts += event.work_counts
            self.statements += event.statements
        elif isinstance(event, FindingTried):
            self.findings.append(event.finding)
        elif isinstance(event, MemoryMeasured):
            self.memory.append(event.memory)
        elif isinstance(event, JobFailed):
            self.error, self.code, self.detail = event.message, event.code, event.detail

    @property
    def excluded(self) -> tuple[tuple[str, str], ...]:
        """The (arm, group) that cannot run as written."""
        return tuple((arm, group) for arm, group, _ in self.cannot_run)

    def result(self, samples_file: str | None = None, *, whole: bool = True) -> ScenarioResult:
        """Return the scenario's result so far. A failed scenario has no times and no verdicts.

        Without `whole` it lacks the ratios of percentiles, which take long to compute.
        """
        scenario = self.loaded.scenario
        at_lowest_rtt = self.lowest_rtt or self
        failed = self.error is not None
        base = ScenarioResult(
            name=self.loaded.name,
            title=self.loaded.title,
            doc=self.loaded.doc,
            file=self.loaded.file.name,
            engine=self.engine,
            rtt_ms=self.rtt_ms,
            status=self._status(),
            error=self.not_run or self.error,
            exit_code=self.code,
            arms=[ArmResult(name, arm.description, self._errors(name), arm.as_written) for name, arm in scenario.arms.items()],
            groups={group.name: group.description for group in scenario.groups},
            verified_cases=self.verified_cases,
            dataset=at_lowest_rtt.dataset,
            engine_settings=self._engine_settings(at_lowest_rtt.engine_settings),
            findings=at_lowest_rtt.findings,
            samples_file=samples_file,
            tolerances=dict(scenario.tolerances),
            higher_is_better=list(scenario.higher_is_better),
        )
        if failed:
            return base
        if self.not_run is not None:
            return _replace(
                base, verdicts=[v for promise in scenario.promises for v in _not_measured(promise, self.not_run, scenario.arms)]
            )
        measured = _replace(
            base,
            pairs=self._pairs,
            processes=len({s.process for s in self.samples}),
            latencies=in_order(latencies(self.samples), scenario),
            ratios=in_order(ratios(self.samples), scenario),
            percentile_ratios=in_order(percentile_ratios(self.samples), scenario) if whole else [],
            work_counts=self.all_work_counts(),
            statements=at_lowest_rtt.statements,
            memory=self.memory,
            growth=growths(self.work_counts, self.memory),
            ablation=ablations(self.samples, scenario),
            controls=Controls(controls.drifts(self._readings), controls.injected(self.injected, self._slowed)),
        )
        verdicts = [v for promise in scenario.promises for v in judge(promise, measured)]
        judged = _replace(measured, verdicts=verdicts)
        return _replace(judged, warnings=[*warnings_about(judged), *self.warnings])

    def _engine_settings(self, engine_settings: dict[str, str]) -> dict[str, str]:
        synchronous = self.samples and self.loaded.scenario.is_synchronous
        return {**engine_settings, "execution": SYNCHRONOUS} if synchronous else engine_settings

    def _status(self) -> ScenarioStatus:
        if self.not_run is not None:
            return ScenarioStatus.NOT_RUN
        if self.error is not None:
            return ScenarioStatus.FAILED
        return ScenarioStatus.INTERRUPTED if self.interrupted else ScenarioStatus.OK

    def _errors(self, arm: str) -> dict[str, str]:
        return {group: error for a, group, error in self.cannot_run if a == arm}


def _not_measured(promise: Promise, reason: str, arms: Iterable[str]) -> list[Verdict]:
    return [
        Verdict(promise.id, promise.text, arm, PromiseVerdict.NOT_MEASURED, reason, promise.claim.unit, promise.part)
        for arm in promise.tried_on(arms)
    ]


def _replace(result: ScenarioResult, **changes: object) -> ScenarioResult:
    from dataclasses import replace  # noqa: PLC0415 - keeps the untyped keyword call in one place

    return replace(result, **changes)  # type: ignore[arg-type]


Row = TypeVar("Row", Latency, Ratio, PercentileRatio)


def in_order(rows: list[Row], scenario: RunnableScenario) -> list[Row]:
    """Return rows in the scenario's order of groups and arms, the A/A control last."""
    groups, arms = list(scenario.group), [*scenario.arms, AA_CONTROL]
    return sorted(rows, key=lambda row: (_index(row.group, groups), _index(row.arm, arms)))


def _index(name: str, names: list[str]) -> int:
    return names.index(name) if name in names else len(names)


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
    for (group, arm), processes_of in compared.items():
        interval, medians = statistics.paired_ratio(processes_of)
        number = sum(len(p) for p in processes_of.values())
        rows.append(Ratio(arm, group, interval.value, interval.low, interval.high, medians, number))
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
    judged = [r for result in results for r in result.ratios if r.arm == AA_CONTROL and r.low is not None and r.high is not None]
    off = [r for r in judged if r.low is not None and r.high is not None and not r.low <= 1 <= r.high]
    if statistics.at_least_by_chance(len(off), len(judged), MISS_RATE) > CHANCE:
        return []
    return [
        RunWarning(
            "A/A control",
            f"{len(off)} of {len(judged)} controls, the baseline against itself, differ from 1",
            "run again on a quieter machine, or with more --processes",
        )
    ]
