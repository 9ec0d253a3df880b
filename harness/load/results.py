"""From blocks to a scenario's result: the results that load workers send, and the records of the run file."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain

from harness.bench.result import in_order, left_running
from harness.discovery import LoadedScenario
from harness.errors import HarnessError, ScenarioFailedError
from harness.load import arrivals
from harness.load.block import LoadBlock
from harness.load.checks import failing, generator_limit, overloaded
from harness.load.protocol import LoadJob
from harness.load.totals import Blocks, Total, cycles, merged, of_scenario, totals
from harness.load.warnings import load_warnings, one_process_warnings
from harness.results.load import ALL, LoadedArm, LoadModel, LoadRatio, LoadResult, Tick
from harness.results.run import BASELINE, ArmResult, Latency, Ratio, ScenarioResult, ScenarioStatus
from harness.runtime.clock import utc_now
from harness.runtime.source_code import code_of_arms
from harness.stats.histogram import latency_ratios
from harness.stats.intervals import MEDIAN


@dataclass(frozen=True)
class ScenarioEnvironment:
    """The database engine, RTT and data of one scenario, for the record."""

    engine: str
    rtt_ms: float
    dataset: Mapping[str, str | int] = field(default_factory=dict)
    engine_settings: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, list[str]] = field(default_factory=dict)
    """Arm → the DDL statements that changed its database."""


@dataclass
class CollectedResults:
    """The results that load workers have sent."""

    blocks: dict[int, list[LoadBlock]] = field(default_factory=dict)
    """A load worker's number, from 1 → its blocks."""
    ticks: list[Tick] = field(default_factory=list)
    crashed: list[str] = field(default_factory=list)
    """A message for each load worker that ended early."""
    interrupted: bool = False
    """Whether Ctrl-C ended the run."""
    failed: HarnessError | None = None
    """The reason why the scenario cannot be loaded at all."""
    cannot_run: list[tuple[str, str, str, str]] = field(default_factory=list)
    """(scenario, arm, group, error) of groups that an arm cannot run as written."""
    environments: dict[str, ScenarioEnvironment] = field(default_factory=dict)
    """Scenario name → its environment."""
    facts: dict[str, str] = field(default_factory=dict)
    """Description of the machine and of the load workers' processes."""
    sharing: int = 1
    """The load workers that shared each block at the same time, and whose blocks are combined."""
    started_at: datetime = field(default_factory=utc_now)

    resumed: int = 0
    """How often the run was resumed after an interruption."""
    left: list[str] = field(default_factory=list)
    """Threads and processes that load workers left running."""

    def add(self, worker: int, blocks: Sequence[LoadBlock], ticks: Sequence[Tick], after_s: float = 0.0) -> None:
        """Add blocks and ticks of a load worker; of one that goes on for another, `after_s` seconds of load came before."""
        if blocks:
            self.blocks.setdefault(worker, []).extend(blocks)
        self.ticks += [replace(tick, process=worker, at_s=tick.at_s + after_s) for tick in ticks]


def started_result(
    loaded: LoadedScenario, collected: CollectedResults, status: tuple[ScenarioStatus, str | None, int], load: LoadResult
) -> ScenarioResult:
    """Return the part of a scenario's result that load tests and capacity searches share, from its status, error and exit code."""
    environment = collected.environments[loaded.name]
    errors: dict[str, dict[str, str]] = {name: {} for name in loaded.scenario.arms}
    for _, arm, group, error in (broken for broken in collected.cannot_run if broken[0] == loaded.name):
        errors[arm][group] = error
    code = code_of_arms(type(loaded.scenario.written))
    return ScenarioResult(
        name=loaded.name,
        title=loaded.title,
        doc=loaded.doc,
        file=loaded.file.name,
        engine=environment.engine,
        rtt_ms=environment.rtt_ms,
        status=status[0],
        error=status[1],
        exit_code=status[2],
        arms=[
            ArmResult(name, arm.description, errors[name], arm.as_written, code.get(name, ""), environment.changes.get(name, []))
            for name, arm in loaded.scenario.arms.items()
        ],
        dataset=dict(environment.dataset),
        engine_settings=dict(environment.engine_settings),
        load=load,
    )


def scenario_result(loaded: LoadedScenario, collected: CollectedResults, job: LoadJob) -> ScenarioResult:
    """Return one scenario's result. It has failed if no operation completed, or if an arm fails that may not."""
    blocks, scenario = of_scenario(collected.blocks, loaded.name), loaded.scenario
    load = load_result(loaded, blocks, collected, job)
    completed = any(a.operations for a in load.arms)
    deciding = deciding_arms(loaded, {a.arm for a in load.arms})
    result = started_result(loaded, collected, _status(loaded.name, load, collected, deciding), load)
    arms = [a for a in load.arms if a.group != ALL]
    medians = [ratio for ratio in load.ratios if ratio.percentile == MEDIAN and ratio.group != ALL]
    return replace(
        result,
        groups={group.name: group.description for group in scenario.groups if group.name in {a.group for a in arms}},
        pairs=sum(len(found) for found in cycles(blocks, ALL).values()),
        processes=len(blocks) * collected.sharing,
        latencies=in_order([_latency(a, blocks) for a in arms if a.operations and not a.overloaded], scenario),
        ratios=in_order([_ratio(r, blocks) for r in medians], scenario),
        warnings=[
            *load_warnings(load, blocks),
            *one_process_warnings(blocks, collected.sharing),
            *([left_running(collected.left)] if collected.left else []),
        ],
        samples_file=f"samples/{'-'.join(filter(None, (loaded.name, result.engine)))}.csv" if completed else None,
        load_settings=_load_settings(load, job),
    )


def deciding_arms(loaded: LoadedScenario, arms: Collection[str]) -> list[str]:
    """Return those of some arms that decide a run: an arm that may fail as written does not, unless there are no others."""
    named = [name for name in loaded.scenario.arms if name in arms]
    return [name for name in named if not loaded.scenario.arms[name].as_written] or named


def _unsustained(load: LoadResult, deciding: Sequence[str]) -> list[str]:
    """Return a message per deciding arm that does not sustain the load; an arm that fails has that reason instead."""
    found = []
    for arm in deciding:
        rows = {a.group: a for a in load.arms if a.arm == arm}
        reasons = (
            [rows[ALL].overloaded] if rows[ALL].overloaded else [f"{g}: {a.overloaded}" for g, a in rows.items() if a.overloaded]
        )
        found += [f"{arm}: {'; '.join(map(str, reasons))}"] if reasons and not rows[ALL].failing else []
    return found


def _load_settings(load: LoadResult, job: LoadJob) -> dict[str, str]:
    """Return the identity of a load in words; runs under another one are not comparable."""
    is_open = job.model == LoadModel.OPEN
    return {
        "model": job.model,
        "rate" if is_open else "users": load.arrivals,
        **({"duration": f"{job.cycles * job.block_s:g} s"} if job.cycles is not None else {}),
        "block": f"{job.block_s:g} s",
        "warm-up": f"{job.warm_up_s:g} s",
        "drain timeout": f"{job.drain_s:g} s",
        **({"in-flight limit": str(job.in_flight_limit)} if is_open else {}),
    }


def load_result(loaded: LoadedScenario, blocks: Blocks, collected: CollectedResults, job: LoadJob) -> LoadResult:
    """Return one scenario's results under load, with ratios between arms unless a check forbids them."""
    found = totals(blocks)
    invalid = generator_limit(chain(*blocks.values()))
    fails = _fails(found, job.error_tolerance, interrupted=collected.interrupted)
    arms = [_arm(arm, group, total, overloaded(found[arm, ALL]), fails[arm, group]) for (arm, group), total in found.items()]
    incomparable = {(a.arm, a.group) for a in arms if a.overloaded or a.failing}
    incomparable |= {(a.arm, a.group) for a in arms if failing(found[a.arm, ALL], job.error_tolerance)}
    groups = {name: {a.group for a in arms if a.arm == name} for name in {a.arm for a in arms}}
    # All operations together are compared only between arms that had the same ones: an arm may be unable to run a group.
    incomparable |= {(name, ALL) for name, of_arm in groups.items() if of_arm != groups.get(BASELINE)}
    ratios: list[LoadRatio] = []
    for group in dict.fromkeys(a.group for a in arms) if invalid is None else ():
        if (BASELINE, group) not in incomparable:
            ratios += [r for r in latency_ratios(cycles(blocks, group), group) if (r.arm, group) not in incomparable]
    users = [block.users for block in chain(*collected.blocks.values())]
    load = arrivals.parse(job.arrivals).description
    if job.model == LoadModel.CLOSED:
        load = f"{max(users)} concurrent users" if users else "no users"
    found_load = LoadResult(
        models=[job.model],
        arrivals=load,
        block_s=job.block_s,
        warm_up_s=job.warm_up_s,
        arms=arms,
        ratios=ratios,
        ticks=collected.ticks,
        invalid=invalid,
        lost_workers=collected.crashed,
        error_tolerance=job.error_tolerance,
    )
    return replace(found_load, unsustained=_unsustained(found_load, deciding_arms(loaded, {a.arm for a in arms})))


def _fails(found: Mapping[tuple[str, str], Total], tolerance: float, *, interrupted: bool) -> dict[tuple[str, str], str | None]:
    """Return (arm, group) → its failures beyond the tolerance; those of single groups also count for all operations together."""
    fails: dict[tuple[str, str], str | None] = {}
    for (arm, group), total in found.items():
        if interrupted and not total.sums.errors and not total.sums.warm_up_errors:
            fails[arm, group] = None  # operations that were cut short are not failures
        else:
            fails[arm, group] = failing(total, tolerance, is_part=group != ALL)
    for arm, group in found:
        if group == ALL and fails[arm, ALL] is None:
            parts = [f"{name}: {text}" for (of, name), text in fails.items() if of == arm and text]
            fails[arm, ALL] = "; ".join(parts) or None
    return fails


def _arm(arm: str, group: str, total: Total, all_overloaded: str | None, fails: str | None) -> LoadedArm:
    return LoadedArm(
        arm=arm,
        group=group,
        offered_per_s=total.offered_per_s,
        achieved_per_s=total.achieved_per_s,
        operations=total.sums.operations,
        errors=sum(total.sums.errors.values()),
        dropped=total.sums.dropped,
        unfinished=total.sums.unfinished,
        response=total.times("response"),
        service=total.times("service"),
        queue=total.times("queue"),
        error_messages=total.sums.errors,
        overloaded=all_overloaded or overloaded(total),
        warm_up=total.sums.warm_up,
        warm_up_errors=total.sums.warm_up_errors,
        failing=fails,
    )


def _status(
    name: str, load: LoadResult, collected: CollectedResults, deciding: Sequence[str]
) -> tuple[ScenarioStatus, str | None, int]:
    if collected.failed is not None:
        return ScenarioStatus.FAILED, str(collected.failed).removeprefix(f"{name}: "), collected.failed.code
    fails = [f"{a.arm}: {a.failing}" for a in load.arms if a.group == ALL and a.failing and a.arm in deciding]
    if fails := [*load.lost_workers, *fails]:  # what a worker says is the cause of failures, if there is one
        return ScenarioStatus.FAILED, "; ".join(fails), ScenarioFailedError.code
    if collected.interrupted:
        return ScenarioStatus.INTERRUPTED, None, 0
    if any(a.operations for a in load.arms):
        return ScenarioStatus.OK, None, 0
    if broken := [f"{arm} cannot run as written: {group}: {error}" for of, arm, group, error in collected.cannot_run if of == name]:
        return ScenarioStatus.FAILED, "; ".join(broken), ScenarioFailedError.code
    return ScenarioStatus.FAILED, "no operation was due in measured time; run longer, or raise the load", ScenarioFailedError.code


def _latency(arm: LoadedArm, blocks: Blocks) -> Latency:
    """Return an arm's response times in the form that other runs have."""
    times = arm.response
    medians = [_median_ns(of_worker, arm.arm, arm.group) for of_worker in blocks.values()]
    return Latency(
        arm=arm.arm,
        group=arm.group,
        samples=times.operations,
        mean_ns=times.mean_ns or 0.0,
        min_ns=times.min_ns or 0,
        max_ns=times.max_ns or 0,
        percentiles_ns=times.percentiles_ns,
        process_medians_ns=[ns for ns in medians if ns is not None],
        intervals_ns={label: within for label, within in times.intervals_ns.items() if within is not None},
    )


def _ratio(ratio: LoadRatio, blocks: Blocks) -> Ratio:
    medians = [[_median_ns(found, arm, ratio.group) for arm in (BASELINE, ratio.arm)] for found in blocks.values()]
    by_worker = [base / arm for base, arm in medians if base is not None and arm]
    return Ratio(ratio.arm, ratio.group, ratio.ratio, ratio.low, ratio.high, by_worker, ratio.cycles)


def _median_ns(blocks: Sequence[LoadBlock], arm: str, group: str) -> float | None:
    return merged(b.groups[group].response for b in blocks if b.arm == arm and group in b.groups).percentile_ns(0.5)
