"""From blocks to a scenario's result: pure functions, the same whether Locust or a command ran the load workers.

In this order: the results that load workers send, blocks combined and added up, the checks of the load generator and of each arm,
and the records of the run file. A generator at its limit measures itself, and an overloaded arm has no meaningful times.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.bench.result import in_order
from harness.discovery import LoadedScenario
from harness.errors import HarnessError
from harness.load import arrivals
from harness.load.block import LatencyHistograms, LoadBlock
from harness.load.protocol import LoadJob
from harness.results.load import ALL, LoadedArm, LoadModel, LoadRatio, LoadResult, Tick
from harness.results.run import BASELINE, ArmResult, Latency, Ratio, RunWarning, ScenarioResult, ScenarioStatus
from harness.stats.histogram import Histogram, HistogramWire, bounds_ns, latency_ratios, summary

MIN_ACHIEVED_SHARE = 0.98
"""An arm that completes a smaller share of the offered rate does not sustain it."""

MAX_CPU_PERCENT = 90.0
"""The highest CPU usage of a generator's core: above it, nothing is left for arrivals that coincide."""

LATE_NS = 1_000_000
LATE_SHARE = 0.1
"""Lateness above `LATE_NS` and above this share of the response time at the same percentile distorts the response times."""

LATENESS_PERCENTILES = {0.5: "half of the operations", 0.99: "1 % of the operations"}
"""The percentiles at which lateness is compared with response times: typical operations, and slow ones."""

CHANCE_SD = 3.0
"""Standard deviations that are attributed to chance: the number in flight varies by its square root (Poisson arrivals)."""

EARLY_QUANTILE = 0.1
"""The quantile of response times that stands for the duration of an operation with little queueing."""

MEDIAN = "50"

Blocks = Mapping[int, Sequence[LoadBlock]]
"""A load worker's number, from 1 → its blocks."""


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

    def add(self, worker: int, blocks: Sequence[LoadBlock], ticks: Sequence[Tick]) -> None:
        """Add blocks and ticks of a load worker."""
        if blocks:
            self.blocks.setdefault(worker, []).extend(blocks)
        self.ticks += [replace(tick, process=worker) for tick in ticks]


@dataclass(frozen=True)
class ScenarioEnvironment:
    """The database engine, RTT and data of one scenario, for the record."""

    engine: str
    rtt_ms: float
    dataset: Mapping[str, str | int] = field(default_factory=dict)
    engine_settings: Mapping[str, str] = field(default_factory=dict)


# Blocks combined and added up


def combined(workers: Iterable[Sequence[LoadBlock]]) -> list[LoadBlock]:
    """Combine the blocks of load workers that shared one load at the same time into the blocks of that load.

    An arm's block of a cycle consists of one block per worker: users and counts add up, histograms merge, and measured time is the
    mean of all workers, because it passed at the same time. The share of a worker that ended early is missing from then on.
    """
    found: dict[tuple[int, str, str], list[LoadBlock]] = defaultdict(list)
    for blocks in workers:
        for block in blocks:
            found[block.cycle, block.scenario, block.arm].append(block)
    whole = [_combined_block(parts) for parts in found.values()]
    return sorted(whole, key=lambda block: (block.cycle, block.scenario, block.position))


def _combined_block(parts: Sequence[LoadBlock]) -> LoadBlock:
    first = parts[0]
    groups = dict.fromkeys(group for part in parts for group in part.groups)
    return LoadBlock(
        scenario=first.scenario,
        arm=first.arm,
        cycle=first.cycle,
        position=first.position,
        users=sum(part.users for part in parts),
        measured_ns=round(math.fsum(part.measured_ns for part in parts) / len(parts)),
        groups={group: _combined_group([part.groups[group] for part in parts if group in part.groups]) for group in groups},
        lateness=merged(part.lateness for part in parts).to_wire(),
        cpu_percent=max(part.cpu_percent for part in parts),  # the busiest one limits the load
        targets=first.targets,
    )


def _combined_group(parts: Sequence[LatencyHistograms]) -> LatencyHistograms:
    errors: Counter[str] = Counter()
    for part in parts:
        errors.update(part.errors)
    return LatencyHistograms(
        response=merged(part.response for part in parts).to_wire(),
        service=merged(part.service for part in parts).to_wire(),
        queue=merged(part.queue for part in parts).to_wire(),
        operations=sum(part.operations for part in parts),
        errors=dict(errors),
        dropped=sum(part.dropped for part in parts),
        unfinished=sum(part.unfinished for part in parts),
        planned=sum(part.planned for part in parts),
        completed=sum(part.completed for part in parts),
    )


def merged(wires: Iterable[HistogramWire]) -> Histogram:
    """Return the histogram of all operations of some histograms."""
    return Histogram.merged(map(Histogram.from_wire, wires))


def _by_worker() -> dict[int, list[Histogram]]:
    return defaultdict(list)


@dataclass
class Total:
    """One arm's operations of one group over several blocks; counts are sums."""

    open_model: bool = True
    blocks: int = 0
    measured_ns: int = 0
    planned: int = 0
    operations: int = 0
    """Operations that were due in measured time and completed without an error."""
    completed: int = 0
    """Operations that completed without an error within measured time."""
    dropped: int = 0
    unfinished: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    response: dict[int, list[Histogram]] = field(default_factory=_by_worker)
    """A load worker's number → one histogram per block; as are `service` and `queue`."""
    service: dict[int, list[Histogram]] = field(default_factory=_by_worker)
    queue: dict[int, list[Histogram]] = field(default_factory=_by_worker)

    @property
    def offered_per_s(self) -> float | None:
        """Planned operations per second of measured time; None in the closed model."""
        return self.planned / self.seconds if self.open_model else None

    @property
    def achieved_per_s(self) -> float:
        """Operations completed without an error per second of measured time."""
        return (self.completed if self.open_model else self.operations) / self.seconds

    @property
    def seconds(self) -> float:
        """The measured time."""
        return max(1, self.measured_ns) / 1e9

    @property
    def failed(self) -> int:
        """The number of operations that raised."""
        return self.errors.total()

    def add(self, worker: int, block: LoadBlock, groups: Iterable[LatencyHistograms]) -> None:
        """Add a block's groups as one; without groups its measured time counts nevertheless."""
        found = list(groups)
        self.open_model = not block.users
        self.blocks += 1
        self.measured_ns += block.measured_ns
        for g in found:
            self.planned += g.planned
            self.operations += g.operations
            self.completed += g.completed
            self.dropped += g.dropped
            self.unfinished += g.unfinished
            self.errors.update(g.errors)
        self.response[worker].append(merged(g.response for g in found))
        self.service[worker].append(merged(g.service for g in found))
        self.queue[worker].append(merged(g.queue for g in found))


def total(blocks: Iterable[LoadBlock], group: str = ALL) -> Total:
    """Return the sum of some blocks of one load worker, such as a single block."""
    whole = Total()
    for block in blocks:
        whole.add(1, block, _groups(block, group))
    return whole


def totals(blocks: Blocks, scenario: str) -> dict[tuple[str, str], Total]:
    """Return (arm, group) → its sum, for one scenario; the group `ALL` is every operation."""
    groups: dict[str, dict[str, None]] = defaultdict(lambda: {ALL: None})
    for _, block in _each(blocks, scenario):
        groups[block.arm].update(dict.fromkeys(block.groups))
    found: dict[tuple[str, str], Total] = defaultdict(Total)
    for worker, block in _each(blocks, scenario):
        for group in groups[block.arm]:
            found[block.arm, group].add(worker, block, _groups(block, group))
    return dict(found)


def cycles(blocks: Blocks, scenario: str, group: str) -> dict[int, list[dict[str, Histogram]]]:
    """Return worker → its cycles in order → arm → the response times of its block, for one group; `ALL` is every operation."""
    found: dict[int, dict[int, dict[str, Histogram]]] = defaultdict(lambda: defaultdict(dict))
    for worker, block in _each(blocks, scenario):
        if group == ALL or group in block.groups:
            found[worker][block.cycle][block.arm] = merged(g.response for g in _groups(block, group))
    return {worker: [arms for _, arms in sorted(numbered.items())] for worker, numbered in found.items()}


def histogram_rows(blocks: Blocks, scenario: str) -> Iterator[tuple[int | str, ...]]:
    """Yield one scenario's histograms as rows of `harness.results.histograms.HISTOGRAM_COLUMNS`."""
    for worker, block in _each(blocks, scenario):
        for group, times in block.groups.items():
            for kind, wire in (("response", times.response), ("service", times.service), ("queue", times.queue)):
                for bucket, count in zip(wire.buckets, wire.counts, strict=True):
                    yield worker, block.cycle, block.position, block.arm, group, kind, bounds_ns(bucket)[0], count


def _each(blocks: Blocks, scenario: str) -> Iterator[tuple[int, LoadBlock]]:
    return ((worker, block) for worker, found in sorted(blocks.items()) for block in found if block.scenario == scenario)


def _groups(block: LoadBlock, group: str) -> list[LatencyHistograms]:
    return list(block.groups.values()) if group == ALL else [block.groups[group]] if group in block.groups else []


# Checks of the load generator and of each arm


def generator_facts(blocks: Iterable[LoadBlock]) -> dict[str, str]:
    """Return the load generator's CPU usage and lateness, for the record; empty without blocks."""
    found = list(blocks)
    late_ns = merged(b.lateness for b in found).percentile_ns(0.99)
    facts = {"generator's busiest block": f"{max(b.cpu_percent for b in found):.0f} % of a core"} if found else {}
    late = {} if late_ns is None else {"generator's lateness (p99)": f"{late_ns / 1e6:.3f} ms"}
    return facts | late


def generator_limit(blocks: Iterable[LoadBlock]) -> str | None:
    """Return the reason why the generator, not the target, was the limit, or None; only a target in another process can be judged.

    Judged over all blocks of an arm together, because other processes may have disturbed a single block.
    """
    by_arm: dict[str, list[LoadBlock]] = {}
    for block in blocks:
        if block.targets:
            by_arm.setdefault(block.arm, []).append(block)
    found = (_limit(arm, of_arm) for arm, of_arm in by_arm.items())
    return next((reason for reason in found if reason), None)


def _limit(arm: str, blocks: Sequence[LoadBlock]) -> str | None:
    cpu_percent = sum(b.cpu_percent for b in blocks) / len(blocks)
    if cpu_percent > MAX_CPU_PERCENT:
        return (
            f"the load generator was the limit: it used {cpu_percent:.0f} % of its core with {arm}; "
            "lower the load, or distribute it over several generators"
        )
    late = merged(b.lateness for b in blocks)
    response = merged(g.response for b in blocks for g in b.groups.values())
    for percentile, part in LATENESS_PERCENTILES.items():
        late_ns, response_ns = late.percentile_ns(percentile), response.percentile_ns(percentile)
        if late_ns is None or response_ns is None or late_ns <= max(LATE_NS, LATE_SHARE * response_ns):
            continue
        return (
            f"the load generator was the limit: with {arm} it started {part} at least {late_ns / 1e6:.1f} ms late, where response "
            f"times are {response_ns / 1e6:.1f} ms; lower the load, or give the generator a core to itself"
        )
    return None


def overloaded(total: Total) -> str | None:
    """Return the reason why an arm does not sustain the offered rate, or None.

    Only operations that complete within measured time count: an arm that is too slow may still complete its backlog while draining.
    Operations in flight at the end for as long as an operation takes with little queueing are not a backlog.
    """
    if total.unfinished:
        return f"{_of(total.unfinished, total)} were unfinished at the drain timeout"
    if not total.open_model:
        return None
    if total.dropped:
        return f"{_of(total.dropped, total)} were dropped at the limit of in-flight operations"
    if total.failed > (1 - MIN_ACHIEVED_SHARE) * total.planned:
        return f"{_of(total.failed, total)} failed"
    missing = total.planned - total.completed
    response = Histogram.merged(h for blocks in total.response.values() for h in blocks)
    rate_per_s = total.planned / total.seconds
    in_flight = total.blocks * (1 + rate_per_s * (response.percentile_ns(EARLY_QUANTILE) or 0.0) / 1e9)
    # Operations in flight at the start and at the end of measured time cancel on average; their difference has both variances.
    chance = CHANCE_SD * math.sqrt(2 * total.blocks * rate_per_s * (response.mean_ns or 0.0) / 1e9)
    if missing <= (1 - MIN_ACHIEVED_SHARE) * total.planned or missing <= in_flight + chance + total.failed:
        return None
    return f"it completed {total.achieved_per_s:.4g} of {rate_per_s:.4g} operations per second"


def _of(count: int, total: Total) -> str:
    return f"{count} of {total.planned} operations"


# Records of the run file


def load_result(collected: CollectedResults, scenario: str, job: LoadJob) -> LoadResult:
    """Return one scenario's results under load, with ratios between arms unless a check forbids them."""
    found = totals(collected.blocks, scenario)
    invalid = generator_limit(block for _, block in _each(collected.blocks, scenario))
    arms = [_arm(arm, group, total, overloaded(found[arm, ALL])) for (arm, group), total in found.items()]
    incomparable = {(a.arm, a.group) for a in arms if a.overloaded}
    groups = {name: {a.group for a in arms if a.arm == name} for name in {a.arm for a in arms}}
    # All operations together are compared only between arms that had the same ones: an arm may be unable to run a group.
    incomparable |= {(name, ALL) for name, of_arm in groups.items() if of_arm != groups.get(BASELINE)}
    ratios: list[LoadRatio] = []
    for group in dict.fromkeys(a.group for a in arms) if invalid is None else ():
        if (BASELINE, group) not in incomparable:
            of_group = latency_ratios(cycles(collected.blocks, scenario, group), group)
            ratios += [r for r in of_group if (r.arm, group) not in incomparable]
    return LoadResult(
        models=[job.model],
        arrivals=arrivals.parse(job.arrivals).description if job.model == LoadModel.OPEN else _users(collected.blocks),
        block_s=job.block_s,
        warm_up_s=job.warm_up_s,
        arms=arms,
        ratios=ratios,
        ticks=collected.ticks,
        invalid=invalid,
        lost_workers=collected.crashed,
    )


def scenario_result(
    loaded: LoadedScenario, environment: ScenarioEnvironment, collected: CollectedResults, job: LoadJob, samples_file: str
) -> ScenarioResult:
    """Return one scenario's result; a scenario of which no operation completed has failed."""
    load = load_result(collected, loaded.name, job)
    completed = any(a.operations for a in load.arms)
    arms = [a for a in load.arms if a.group != ALL]
    status, error, exit_code = _status(load, collected, completed=completed)
    scenario = loaded.scenario
    return ScenarioResult(
        name=loaded.name,
        title=loaded.title,
        doc=loaded.doc,
        file=loaded.file.name,
        engine=environment.engine,
        rtt_ms=environment.rtt_ms,
        status=status,
        error=error,
        exit_code=exit_code,
        arms=[ArmResult(name, arm.description, _errors(name, loaded.name, collected)) for name, arm in scenario.arms.items()],
        groups={group.name: group.description for group in scenario.groups if group.name in {a.group for a in arms}},
        pairs=sum(len(found) for found in cycles(collected.blocks, loaded.name, ALL).values()),
        processes=sum(any(b.scenario == loaded.name for b in found) for found in collected.blocks.values()),
        dataset=dict(environment.dataset),
        engine_settings=dict(environment.engine_settings),
        latencies=in_order(
            [_latency(a, collected.blocks, loaded.name) for a in arms if a.operations and not a.overloaded], scenario
        ),
        ratios=in_order([_ratio(r, collected.blocks, loaded.name) for r in load.ratios if _is_median(r)], scenario),
        warnings=_warnings(load, collected, loaded.name),
        samples_file=samples_file if completed else None,
        load=load,
    )


def _arm(arm: str, group: str, total: Total, all_overloaded: str | None) -> LoadedArm:
    return LoadedArm(
        arm=arm,
        group=group,
        offered_per_s=total.offered_per_s,
        achieved_per_s=total.achieved_per_s,
        operations=total.operations,
        errors=total.failed,
        dropped=total.dropped,
        unfinished=total.unfinished,
        response=summary(total.response),
        service=summary(total.service),
        queue=summary(total.queue),
        error_messages=dict(total.errors),
        overloaded=all_overloaded or overloaded(total),
    )


def _errors(arm: str, scenario: str, collected: CollectedResults) -> dict[str, str]:
    """Return group → error, of the groups that an arm cannot run as written."""
    return {g: error for name, broken, g, error in collected.cannot_run if (name, broken) == (scenario, arm)}


def _users(blocks: Blocks) -> str:
    users = {b.users for found in blocks.values() for b in found}
    return f"{max(users)} concurrent users" if users else "no users"


def _status(load: LoadResult, collected: CollectedResults, *, completed: bool) -> tuple[ScenarioStatus, str | None, int]:
    if collected.failed is not None:
        return ScenarioStatus.FAILED, str(collected.failed), collected.failed.code
    if completed:
        return ScenarioStatus.OK, None, 0
    if collected.interrupted:
        return ScenarioStatus.INTERRUPTED, None, 0
    messages = [message for arm in load.arms if arm.group == ALL for message in arm.error_messages]
    reason = f"; the first error: {messages[0]}" if messages else ""
    return ScenarioStatus.FAILED, f"no operation completed{reason}; run longer, or lower the load", 1


def _is_median(ratio: LoadRatio) -> bool:
    return ratio.percentile == MEDIAN and ratio.group != ALL


def _latency(arm: LoadedArm, blocks: Blocks, scenario: str) -> Latency:
    """Return an arm's response times in the form that other runs have."""
    times = arm.response
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
    by_worker = []
    for _, found in sorted(blocks.items()):
        base, arm = (_median_ns(found, scenario, name, ratio.group) for name in (BASELINE, ratio.arm))
        if base is not None and arm:
            by_worker.append(base / arm)
    return Ratio(ratio.arm, ratio.group, ratio.ratio, ratio.low, ratio.high, by_worker, ratio.cycles)


def _median_ns(blocks: Sequence[LoadBlock], scenario: str, arm: str, group: str) -> float | None:
    found = (b.groups[group].response for b in blocks if b.scenario == scenario and b.arm == arm and group in b.groups)
    return merged(found).percentile_ns(0.5)


def shared_process_warning(remedy: str) -> RunWarning:
    """Return the warning that the load generator and the data layer run in one process."""
    message = "the load generator and the data layer share a process, so that each takes CPU time from the other"
    return RunWarning("one process for both", message, remedy)


def _warnings(load: LoadResult, collected: CollectedResults, scenario: str) -> list[RunWarning]:
    blocks = [block for _, block in _each(collected.blocks, scenario)]
    warnings = [
        RunWarning("failed operations", f"{a.arm}: {count} × {message}", "fix them, or lower the load; they have no response time")
        for a in load.arms
        if a.group == ALL
        for message, count in a.error_messages.items()
    ]
    if blocks and not any(b.targets for b in blocks):
        warnings.append(shared_process_warning("read ratios; a rate is not the data layer's own"))
    if blocks and len(collected.blocks) == 1:
        message = "intervals are over the cycles of a single load worker"
        warnings.append(RunWarning("one process", message, "add --processes 2 or more"))
    return warnings
