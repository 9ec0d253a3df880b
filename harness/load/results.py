"""From blocks to a scenario's result: pure functions, the same whether Locust or a command ran the load workers.

In this order: the results that load workers send, blocks combined and added up, the checks of the load generator and of each arm,
and the records of the run file. A generator at its limit measures itself, and an overloaded arm has no meaningful times.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import Any

import msgspec

from harness.bench.result import in_order
from harness.discovery import LoadedScenario
from harness.errors import HarnessError
from harness.load import arrivals
from harness.load.block import LatencyHistograms, LoadBlock
from harness.load.protocol import LoadJob
from harness.results.load import ALL, LatencySummary, LoadedArm, LoadModel, LoadRatio, LoadResult, Tick
from harness.results.run import BASELINE, ArmResult, Latency, Ratio, RunWarning, ScenarioResult, ScenarioStatus
from harness.runtime.clock import utc_now
from harness.stats.histogram import Histogram, HistogramWire, bounds_ns, latency_ratios, summary

MIN_ACHIEVED_SHARE = 0.98  # an arm that completes a smaller share of the offered rate does not sustain it
MAX_CPU_PERCENT = 90.0  # the highest CPU usage of a generator's core: above it, nothing is left for arrivals that coincide
LATE_NS = 1_000_000  # lateness above this, and above `LATE_SHARE` of the response time, distorts the response times
LATE_SHARE = 0.1
LATENESS_PERCENTILES = {0.5: "half of the operations", 0.99: "1 % of the operations"}  # where it is compared with them
CHANCE_SD = 3.0  # standard deviations that are attributed to chance; the number in flight varies by its square root (Poisson)
EARLY_QUANTILE = 0.1  # the quantile of response times that stands for the duration of an operation with little queueing
MEDIAN = "50"  # the percentile label of the ratios that other runs have as well
KINDS = ("response", "service", "queue")  # the times of an operation, as fields of `LatencyHistograms`
COUNTS = ("planned", "operations", "completed", "dropped", "unfinished")  # its numbers of operations

Blocks = Mapping[int, Sequence[LoadBlock]]
"""A load worker's number, from 1 → its blocks."""


@dataclass(frozen=True)
class ScenarioEnvironment:
    """The database engine, RTT and data of one scenario, for the record."""

    engine: str
    rtt_ms: float
    dataset: Mapping[str, str | int] = field(default_factory=dict)
    engine_settings: Mapping[str, str] = field(default_factory=dict)


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

    def add(self, worker: int, blocks: Sequence[LoadBlock], ticks: Sequence[Tick]) -> None:
        """Add blocks and ticks of a load worker."""
        if blocks:
            self.blocks.setdefault(worker, []).extend(blocks)
        self.ticks += [replace(tick, process=worker) for tick in ticks]


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
    return msgspec.structs.replace(
        first,
        users=sum(part.users for part in parts),
        measured_ns=round(math.fsum(part.measured_ns for part in parts) / len(parts)),
        groups={group: _combined_group([part.groups[group] for part in parts if group in part.groups]) for group in groups},
        lateness=merged(part.lateness for part in parts).to_wire(),
        cpu_percent=max(part.cpu_percent for part in parts),  # the busiest one limits the load
    )


def _combined_group(parts: Sequence[LatencyHistograms]) -> LatencyHistograms:
    errors = sum((Counter(part.errors) for part in parts), Counter[str]())
    times: dict[str, Any] = {kind: merged(getattr(part, kind) for part in parts).to_wire() for kind in KINDS}
    return LatencyHistograms(errors=dict(errors), **times, **{name: sum(getattr(part, name) for part in parts) for name in COUNTS})


def merged(wires: Iterable[HistogramWire]) -> Histogram:
    """Return the histogram of all operations of some histograms."""
    return Histogram.merged(map(Histogram.from_wire, wires))


@dataclass(frozen=True)
class Total:
    """One arm's operations of one group over several blocks."""

    blocks: Blocks
    group: str
    """The group's name; `ALL` is every operation."""

    @cached_property
    def sums(self) -> LatencyHistograms:
        """The operations of all blocks together."""
        return _combined_group([times for block in chain(*self.blocks.values()) for times in _groups(block, self.group)])

    @property
    def offered_per_s(self) -> float | None:
        """Planned operations per second of measured time; None in the closed model."""
        return self.sums.planned / self.seconds if self.is_open else None

    @property
    def achieved_per_s(self) -> float:
        """Operations completed without an error per second of measured time."""
        return (self.sums.completed if self.is_open else self.sums.operations) / self.seconds

    @property
    def is_open(self) -> bool:
        """Whether the load was that of the open model."""
        return not any(block.users for block in chain(*self.blocks.values()))

    @property
    def seconds(self) -> float:
        """The measured time."""
        return max(1, sum(block.measured_ns for block in chain(*self.blocks.values()))) / 1e9

    def times(self, kind: str) -> LatencySummary:
        """Return the distribution of one of `KINDS`; a block without the group counts as one without operations."""
        workers = self.blocks.items()
        return summary({n: [merged(getattr(g, kind) for g in _groups(b, self.group)) for b in found] for n, found in workers})


def total(blocks: Sequence[LoadBlock]) -> Total:
    """Return the sum of all operations in some blocks of one load worker, such as a single block."""
    return Total({1: blocks}, ALL)


def totals(blocks: Blocks) -> dict[tuple[str, str], Total]:
    """Return (arm, group) → its sum over the blocks of one scenario; the group `ALL` is every operation."""
    found: dict[tuple[str, str], Total] = {}
    for arm in dict.fromkeys(block.arm for block in chain(*blocks.values())):
        of_arm = {worker: [block for block in of_worker if block.arm == arm] for worker, of_worker in blocks.items()}
        groups = dict.fromkeys([ALL, *(group for block in chain(*of_arm.values()) for group in block.groups)])
        found |= {(arm, group): Total(of_arm, group) for group in groups}
    return found


def cycles(blocks: Blocks, group: str) -> dict[int, list[dict[str, Histogram]]]:
    """Return worker → its cycles in order → arm → the response times of its block of one scenario, for one group or `ALL`."""
    found: dict[int, dict[int, dict[str, Histogram]]] = defaultdict(lambda: defaultdict(dict))
    for worker, of_worker in blocks.items():
        for block in of_worker:
            if group == ALL or group in block.groups:
                found[worker][block.cycle][block.arm] = merged(g.response for g in _groups(block, group))
    return {worker: [arms for _, arms in sorted(numbered.items())] for worker, numbered in found.items()}


def histogram_rows(blocks: Blocks, scenario: str) -> Iterator[tuple[int | str, ...]]:
    """Yield one scenario's histograms as rows of `harness.results.store.HISTOGRAM_COLUMNS`."""
    for worker, of_worker in _of_scenario(blocks, scenario).items():
        for block, (group, times), kind in ((b, g, kind) for b in of_worker for g in b.groups.items() for kind in KINDS):
            wire: HistogramWire = getattr(times, kind)
            for bucket, count in zip(wire.buckets, wire.counts, strict=True):
                yield worker, block.cycle, block.position, block.arm, group, kind, bounds_ns(bucket)[0], count


def _of_scenario(blocks: Blocks, scenario: str) -> Blocks:
    """Return the blocks of one scenario by load worker, in ascending order."""
    found = {worker: [block for block in blocks[worker] if block.scenario == scenario] for worker in sorted(blocks)}
    return {worker: of_worker for worker, of_worker in found.items() if of_worker}


def _groups(block: LoadBlock, group: str) -> list[LatencyHistograms]:
    return list(block.groups.values()) if group == ALL else [block.groups[group]] if group in block.groups else []


# Checks of the load generator and of each arm


def generator_facts(blocks: Iterable[LoadBlock]) -> dict[str, str]:
    """Return the load generator's CPU usage and lateness, for the record; empty without blocks."""
    found = list(blocks)
    late_ns = merged(b.lateness for b in found).percentile_ns(0.99)
    facts = {"generator's busiest block": f"{max(b.cpu_percent for b in found):.0f} % of a core"} if found else {}
    return facts if late_ns is None else facts | {"generator's lateness (p99)": f"{late_ns / 1e6:.3f} ms"}


def generator_limit(blocks: Iterable[LoadBlock]) -> str | None:
    """Return the reason why the generator, not the target, was the limit, or None; only a target in another process is judged."""
    by_arm: dict[str, list[LoadBlock]] = defaultdict(list)  # because other processes may have disturbed a single block
    for block in blocks:
        if block.targets:
            by_arm[block.arm].append(block)
    for arm, of_arm in by_arm.items():
        cpu_percent = sum(block.cpu_percent for block in of_arm) / len(of_arm)
        if cpu_percent > MAX_CPU_PERCENT:
            return (
                f"the load generator was the limit: it used {cpu_percent:.0f} % of its core with {arm}; "
                "lower the load, or distribute it over several generators"
            )
        late, response = merged(b.lateness for b in of_arm), merged(g.response for b in of_arm for g in b.groups.values())
        for percentile, part in LATENESS_PERCENTILES.items():
            late_ns, response_ns = late.percentile_ns(percentile), response.percentile_ns(percentile)
            if late_ns is not None and response_ns is not None and late_ns > max(LATE_NS, LATE_SHARE * response_ns):
                return (
                    f"the load generator was the limit: with {arm} it started {part} at least {late_ns / 1e6:.1f} ms late, where "
                    f"response times are {response_ns / 1e6:.1f} ms; lower the load, or give the generator a core to itself"
                )
    return None


def overloaded(total: Total) -> str | None:
    """Return the reason why an arm does not sustain the offered rate, or None.

    Only operations that complete within measured time count: an arm that is too slow may still complete its backlog while draining.
    Operations in flight at the end for as long as an operation takes with little queueing are not a backlog.
    """
    sums, blocks = total.sums, len([*chain(*total.blocks.values())])
    failed, missing, response = sum(sums.errors.values()), sums.planned - sums.completed, Histogram.from_wire(sums.response)
    if sums.unfinished:
        return f"{sums.unfinished} of {sums.planned} operations were unfinished at the drain timeout"
    if not total.is_open:
        return None
    if sums.dropped:
        return f"{sums.dropped} of {sums.planned} operations were dropped at the limit of in-flight operations"
    if failed > (1 - MIN_ACHIEVED_SHARE) * sums.planned:
        return f"{failed} of {sums.planned} operations failed"
    rate_per_s = sums.planned / total.seconds
    in_flight = blocks * (1 + rate_per_s * (response.percentile_ns(EARLY_QUANTILE) or 0.0) / 1e9)
    # Operations in flight at the start and at the end of measured time cancel on average; their difference has both variances.
    chance = CHANCE_SD * math.sqrt(2 * blocks * rate_per_s * (response.mean_ns or 0.0) / 1e9)
    if missing <= (1 - MIN_ACHIEVED_SHARE) * sums.planned or missing <= in_flight + chance + failed:
        return None
    return f"it completed {total.achieved_per_s:.4g} of {rate_per_s:.4g} operations per second"


# Records of the run file


def started_result(
    loaded: LoadedScenario, collected: CollectedResults, status: tuple[ScenarioStatus, str | None, int], load: LoadResult
) -> ScenarioResult:
    """Return the part of a scenario's result that load tests and capacity searches share, from its status, error and exit code."""
    environment = collected.environments[loaded.name]
    errors: dict[str, dict[str, str]] = {name: {} for name in loaded.scenario.arms}
    for _, arm, group, error in (broken for broken in collected.cannot_run if broken[0] == loaded.name):
        errors[arm][group] = error
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
        arms=[ArmResult(name, arm.description, errors[name]) for name, arm in loaded.scenario.arms.items()],
        dataset=dict(environment.dataset),
        engine_settings=dict(environment.engine_settings),
        load=load,
    )


def scenario_result(loaded: LoadedScenario, collected: CollectedResults, job: LoadJob) -> ScenarioResult:
    """Return one scenario's result; a scenario of which no operation completed has failed."""
    blocks, scenario = _of_scenario(collected.blocks, loaded.name), loaded.scenario
    load = _load_result(blocks, collected, job)
    completed = any(a.operations for a in load.arms)
    result = started_result(loaded, collected, _status(load, collected, completed=completed), load)
    arms = [a for a in load.arms if a.group != ALL]
    medians = [ratio for ratio in load.ratios if ratio.percentile == MEDIAN and ratio.group != ALL]
    return replace(
        result,
        groups={group.name: group.description for group in scenario.groups if group.name in {a.group for a in arms}},
        pairs=sum(len(found) for found in cycles(blocks, ALL).values()),
        processes=len(blocks) * collected.sharing,
        latencies=in_order([_latency(a, blocks) for a in arms if a.operations and not a.overloaded], scenario),
        ratios=in_order([_ratio(r, blocks) for r in medians], scenario),
        warnings=_warnings(load, blocks, collected.sharing),
        samples_file=f"samples/{loaded.name}-{result.engine}.csv" if completed else None,
    )


def _load_result(blocks: Blocks, collected: CollectedResults, job: LoadJob) -> LoadResult:
    """Return one scenario's results under load, with ratios between arms unless a check forbids them."""
    found = totals(blocks)
    invalid = generator_limit(chain(*blocks.values()))
    arms = [_arm(arm, group, total, overloaded(found[arm, ALL])) for (arm, group), total in found.items()]
    incomparable = {(a.arm, a.group) for a in arms if a.overloaded}
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
    return LoadResult(
        models=[job.model],
        arrivals=load,
        block_s=job.block_s,
        warm_up_s=job.warm_up_s,
        arms=arms,
        ratios=ratios,
        ticks=collected.ticks,
        invalid=invalid,
        lost_workers=collected.crashed,
        drain_s=job.drain_s,
        in_flight_limit=job.in_flight_limit,
    )


def _arm(arm: str, group: str, total: Total, all_overloaded: str | None) -> LoadedArm:
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
    )


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
    )


def _ratio(ratio: LoadRatio, blocks: Blocks) -> Ratio:
    medians = [[_median_ns(found, arm, ratio.group) for arm in (BASELINE, ratio.arm)] for found in blocks.values()]
    by_worker = [base / arm for base, arm in medians if base is not None and arm]
    return Ratio(ratio.arm, ratio.group, ratio.ratio, ratio.low, ratio.high, by_worker, ratio.cycles)


def _median_ns(blocks: Sequence[LoadBlock], arm: str, group: str) -> float | None:
    return merged(b.groups[group].response for b in blocks if b.arm == arm and group in b.groups).percentile_ns(0.5)


def shared_process_warning(remedy: str) -> RunWarning:
    """Return the warning that the load generator and the data layer run in one process."""
    message = "the load generator and the data layer share a process, so that each takes CPU time from the other"
    return RunWarning("one process for both", message, remedy)


def _warnings(load: LoadResult, blocks: Blocks, sharing: int) -> list[RunWarning]:
    warnings = [
        RunWarning("failed operations", f"{a.arm}: {count} × {message}", "fix them, or lower the load; they have no response time")
        for a in load.arms
        if a.group == ALL
        for message, count in a.error_messages.items()
    ]
    if blocks and not any(block.targets for block in chain(*blocks.values())):
        warnings.append(shared_process_warning("read ratios; a rate is not the data layer's own"))
    if len(blocks) == sharing == 1:
        message = "intervals are over the cycles of a single load worker"
        warnings.append(RunWarning("one process", message, "add --processes 2 or more"))
    return warnings
