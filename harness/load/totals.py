"""Blocks of load combined and added up: pure functions, the same whether Locust or a command ran the load workers."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import msgspec

from harness.load.block import LatencyHistograms, LoadBlock
from harness.load.error_messages import grouped
from harness.results.load import ALL, LatencySummary
from harness.stats.histogram import Histogram, HistogramWire, bounds_ns, summary

KINDS = ("response", "service", "queue")  # the times of an operation, as fields of `LatencyHistograms`
COUNTS = ("planned", "operations", "completed", "dropped", "unfinished", "warm_up")  # its numbers of operations

Blocks = Mapping[int, Sequence[LoadBlock]]
"""A load worker's number, from 1 → its blocks."""


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
    first, busiest = parts[0], max(parts, key=lambda part: part.cpu_percent)
    groups = dict.fromkeys(group for part in parts for group in part.groups)
    return msgspec.structs.replace(
        first,
        users=sum(part.users for part in parts),
        measured_ns=round(math.fsum(part.measured_ns for part in parts) / len(parts)),
        groups={group: _combined_group([part.groups[group] for part in parts if group in part.groups]) for group in groups},
        lateness=merged(part.lateness for part in parts).to_wire(),
        cpu_percent=busiest.cpu_percent,  # it limits the load
        own_percent=busiest.own_percent,
    )


def _combined_group(parts: Sequence[LatencyHistograms]) -> LatencyHistograms:
    errors, in_warm_up = (
        grouped(sum((Counter(found) for found in counts), Counter[str]()))
        for counts in ([part.errors for part in parts], [part.warm_up_errors for part in parts])
    )
    times: dict[str, Any] = {kind: merged(getattr(part, kind) for part in parts).to_wire() for kind in KINDS}
    numbers = {name: sum(getattr(part, name) for part in parts) for name in COUNTS}
    return LatencyHistograms(errors=errors, warm_up_errors=in_warm_up, **times, **numbers)


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
    for worker, of_worker in of_scenario(blocks, scenario).items():
        for block, (group, times), kind in ((b, g, kind) for b in of_worker for g in b.groups.items() for kind in KINDS):
            wire: HistogramWire = getattr(times, kind)
            for bucket, count in zip(wire.buckets, wire.counts, strict=True):
                yield worker, block.cycle, block.position, block.arm, group, kind, bounds_ns(bucket)[0], count


def of_scenario(blocks: Blocks, scenario: str) -> Blocks:
    """Return the blocks of one scenario by load worker, in ascending order."""
    found = {worker: [block for block in blocks[worker] if block.scenario == scenario] for worker in sorted(blocks)}
    return {worker: of_worker for worker, of_worker in found.items() if of_worker}


def _groups(block: LoadBlock, group: str) -> list[LatencyHistograms]:
    return list(block.groups.values()) if group == ALL else [block.groups[group]] if group in block.groups else []
