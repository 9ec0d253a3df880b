"""From blocks to a scenario's result: pure functions, the same whether Locust or a command supervised the engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.bench.result import in_order
from harness.discovery import LoadedScenario
from harness.load import arrivals
from harness.load.generator_checks import generator_limit, overloaded
from harness.load.protocol import LoadBlock, LoadJob
from harness.load.totals import Blocks, Total, cycles, totals
from harness.results.load import ALL, LatencySummary, LoadedArm, LoadRatio, Tick, UnderLoad
from harness.results.run import BASELINE, ArmResult, Latency, Ratio, RunWarning, ScenarioResult, ScenarioStatus
from harness.stats import load_intervals as judge
from harness.stats.histogram import Histogram

MEDIAN = "50"


@dataclass
class CollectedResults:
    """What engine processes told, by their numbers, from 1; `lost` names the shares of those that ended before their time.

    `failed` is the reason why a scenario cannot be loaded at all; `cannot_run` holds (scenario, arm, group, error) of what raised
    as written when answers were compared.
    """

    blocks: dict[int, list[LoadBlock]] = field(default_factory=dict)
    ticks: list[Tick] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    interrupted: bool = False
    failed: str | None = None
    cannot_run: list[tuple[str, str, str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Where:
    """On what a scenario ran."""

    engine: str
    rtt_ms: float
    dataset: Mapping[str, str | int] = field(default_factory=dict)
    engine_settings: Mapping[str, str] = field(default_factory=dict)


def under_load(heard: CollectedResults, scenario: str, job: LoadJob) -> UnderLoad:
    """Return what one scenario's arms did under load, with ratios where nothing forbids them."""
    found = totals(heard.blocks, scenario)
    mine = {process: [b for b in blocks if b.scenario == scenario] for process, blocks in heard.blocks.items()}
    invalid = generator_limit(block for blocks in mine.values() for block in blocks)
    arms = [_arm(arm, group, total, overloaded(found[arm, ALL])) for (arm, group), total in found.items()]
    beyond = {(a.arm, a.group) for a in arms if a.overloaded}
    asked = {name: {a.group for a in arms if a.arm == name} for name in {a.arm for a in arms}}
    # All operations together are compared only where the arms had the same ones: some cannot run every group.
    beyond |= {(name, ALL) for name, groups in asked.items() if groups != asked.get(BASELINE)}
    ratios: list[LoadRatio] = []
    for group in dict.fromkeys(a.group for a in arms) if invalid is None else ():
        if (BASELINE, group) not in beyond:
            ratios += [r for r in judge.ratios(cycles(heard.blocks, scenario, group), group) if (r.arm, group) not in beyond]
    return UnderLoad(
        model=job.model,
        arrivals=arrivals.parse(job.arrivals).describes if job.model == "open" else _users(heard.blocks),
        block_s=job.block_s,
        warm_up_s=job.warm_up_s,
        arms=arms,
        ratios=ratios,
        ticks=heard.ticks,
        invalid=invalid,
        lost_workers=heard.lost,
    )


def result(loaded: LoadedScenario, where: Where, heard: CollectedResults, job: LoadJob, samples_file: str) -> ScenarioResult:
    """Return one scenario's result under load. A scenario without a single good answer has failed."""
    load = under_load(heard, loaded.name, job)
    answered = any(a.operations for a in load.arms)
    groups = [a for a in load.arms if a.group != ALL]
    status, error, exit_code = _status(load, heard, answered=answered)
    order = loaded.scenario
    return ScenarioResult(
        name=loaded.name,
        title=loaded.title,
        doc=loaded.doc,
        file=loaded.file.name,
        engine=where.engine,
        rtt_ms=where.rtt_ms,
        status=status,
        error=error,
        exit_code=exit_code,
        arms=[ArmResult(name, arm.description, _cannot_run(name, loaded.name, heard)) for name, arm in order.arms.items()],
        groups={group.name: group.description for group in order.groups if group.name in {a.group for a in groups}},
        pairs=sum(len(found) for found in cycles(heard.blocks, loaded.name, ALL).values()),
        processes=sum(any(b.scenario == loaded.name for b in found) for found in heard.blocks.values()),
        dataset=dict(where.dataset),
        engine_settings=dict(where.engine_settings),
        latencies=in_order([_latency(a, heard.blocks, loaded.name) for a in groups if a.operations and not a.overloaded], order),
        ratios=in_order([_ratio(r, heard.blocks, loaded.name) for r in load.ratios if _is_median(r)], order),
        warnings=_warnings(load, heard, loaded.name),
        samples_file=samples_file if answered else None,
        load=load,
    )


def _arm(arm: str, group: str, total: Total, whole: str | None) -> LoadedArm:
    return LoadedArm(
        arm=arm,
        group=group,
        offered_per_s=total.offered_per_s,
        achieved_per_s=total.achieved_per_s,
        operations=total.operations,
        errors=total.failed,
        dropped=total.dropped,
        unfinished=total.censored,
        response=judge.times(total.response),
        service=judge.times(total.service),
        queue=judge.times(total.queue),
        error_messages=dict(total.errors),
        overloaded=whole or overloaded(total),
    )


def _cannot_run(arm: str, scenario: str, heard: CollectedResults) -> str | None:
    """Return what an arm cannot run as written, with the errors."""
    errors = {group: error for name, broken, group, error in heard.cannot_run if (name, broken) == (scenario, arm)}
    return "; ".join(f"{group}: {error}" for group, error in errors.items()) or None


def _users(blocks: Blocks) -> str:
    users = {b.users for found in blocks.values() for b in found}
    return f"{max(users)} users, each asking again once answered" if users else "no users"


def _status(load: UnderLoad, heard: CollectedResults, *, answered: bool) -> tuple[ScenarioStatus, str | None, int]:
    if heard.failed is not None:
        return ScenarioStatus.FAILED, heard.failed, 1
    if answered:
        return ScenarioStatus.OK, None, 0
    if heard.interrupted:
        return ScenarioStatus.INTERRUPTED, None, 0
    messages = [message for arm in load.arms if arm.group == ALL for message in arm.error_messages]
    because = f"; the first error: {messages[0]}" if messages else ""
    return ScenarioStatus.FAILED, f"no operation was answered{because}; run longer, or with less load", 1


def _is_median(ratio: LoadRatio) -> bool:
    return ratio.percentile == MEDIAN and ratio.group != ALL


def _latency(arm: LoadedArm, blocks: Blocks, scenario: str) -> Latency:
    """Return an arm's response times as every other table of the report knows them."""
    times: LatencySummary = arm.response
    medians = [_median_ns(found, scenario, arm.arm, arm.group) for _, found in sorted(blocks.items())]
    return Latency(
        arm=arm.arm,
        group=arm.group,
        samples=times.operations,
        mean_ns=times.mean_ns or 0.0,
        min_ns=times.min_ns or 0,
        max_ns=times.max_ns or 0,
        percentiles_ns=times.percentiles_ns,
        process_medians_ns=[ns for ns in medians if ns is not None],
    )


def _ratio(ratio: LoadRatio, blocks: Blocks, scenario: str) -> Ratio:
    processes = []
    for _, found in sorted(blocks.items()):
        base, arm = (_median_ns(found, scenario, name, ratio.group) for name in (BASELINE, ratio.arm))
        if base is not None and arm:
            processes.append(base / arm)
    return Ratio(ratio.arm, ratio.group, ratio.ratio, ratio.low, ratio.high, processes, ratio.cycles)


def _median_ns(blocks: Sequence[LoadBlock], scenario: str, arm: str, group: str) -> float | None:
    found = (b.groups[group].response for b in blocks if b.scenario == scenario and b.arm == arm and group in b.groups)
    return Histogram.merged(map(Histogram.from_wire, found)).percentile_ns(0.5)


def _warnings(load: UnderLoad, heard: CollectedResults, scenario: str) -> list[RunWarning]:
    mine = [b for blocks in heard.blocks.values() for b in blocks if b.scenario == scenario]
    warnings = [
        RunWarning(
            "failed operations",
            f"{a.arm}: {number} × {message}",
            "failed operations are not among the times; mend them, or offer less",
        )
        for a in load.arms
        if a.group == ALL
        for message, number in a.error_messages.items()
    ]
    if mine and not any(b.targets for b in mine):
        says = "the load generator and the data layer share a process, so that each takes time and a core from the other"
        warnings.append(RunWarning("one process for both", says, "read ratios, and no rate as the data layer's own"))
    if mine and len(heard.blocks) == 1:
        warnings.append(
            RunWarning("one process", "intervals are over cycles inside a single engine process", "add --processes 2 or more")
        )
    return warnings
