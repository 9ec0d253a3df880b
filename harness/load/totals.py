"""Blocks added up: what one arm did in one group of cases, over all its blocks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.load.protocol import LatencyHistograms, LoadBlock
from harness.results.load import ALL
from harness.stats.histogram import Histogram, HistogramWire

Blocks = Mapping[int, Sequence[LoadBlock]]
"""An engine process's number → its blocks."""


def _by_process() -> dict[int, list[Histogram]]:
    return defaultdict(list)


@dataclass
class Total:
    """One arm's operations of one group. Histograms are by process, one a block; counts are sums."""

    open_model: bool = True
    blocks: int = 0
    measured_ns: int = 0
    planned: int = 0
    operations: int = 0
    answered: int = 0
    dropped: int = 0
    censored: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    response: dict[int, list[Histogram]] = field(default_factory=_by_process)
    service: dict[int, list[Histogram]] = field(default_factory=_by_process)
    queue: dict[int, list[Histogram]] = field(default_factory=_by_process)

    @property
    def offered_per_s(self) -> float | None:
        """How much was planned a second of measured time; None in the closed model."""
        return self.planned / self.seconds if self.open_model else None

    @property
    def achieved_per_s(self) -> float:
        """How much was answered well a second of measured time."""
        return (self.answered if self.open_model else self.operations) / self.seconds

    @property
    def seconds(self) -> float:
        """The measured time."""
        return max(1, self.measured_ns) / 1e9

    @property
    def failed(self) -> int:
        """How many operations raised."""
        return self.errors.total()

    def add(self, process: int, block: LoadBlock, groups: Iterable[LatencyHistograms]) -> None:
        """Take in a block's groups as one, also where there are none: the arm had its time."""
        found = list(groups)
        self.open_model = not block.users
        self.blocks += 1
        self.measured_ns += block.measured_ns
        for g in found:
            self.planned += g.planned
            self.operations += g.operations
            self.answered += g.completed
            self.dropped += g.dropped
            self.censored += g.unfinished
            self.errors.update(g.errors)
        self.response[process].append(_sum(g.response for g in found))
        self.service[process].append(_sum(g.service for g in found))
        self.queue[process].append(_sum(g.queue for g in found))


def total(blocks: Iterable[LoadBlock], group: str = ALL) -> Total:
    """Return the sum of some blocks of one process, such as a single one."""
    whole = Total()
    for block in blocks:
        whole.add(1, block, _of(block, group))
    return whole


def totals(blocks: Blocks, scenario: str) -> dict[tuple[str, str], Total]:
    """Return (arm, group) → its sum, for one scenario; the group `ALL` is every operation."""
    groups: dict[str, dict[str, None]] = defaultdict(lambda: {ALL: None})
    for _, block in _each(blocks, scenario):
        groups[block.arm].update(dict.fromkeys(block.groups))
    found: dict[tuple[str, str], Total] = defaultdict(Total)
    for process, block in _each(blocks, scenario):
        for group in groups[block.arm]:
            found[block.arm, group].add(process, block, _of(block, group))
    return dict(found)


def cycles(blocks: Blocks, scenario: str, group: str) -> dict[int, list[dict[str, Histogram]]]:
    """Return process → its cycles in order → arm → the response times of its block, for one group; `ALL` is every operation."""
    found: dict[int, dict[int, dict[str, Histogram]]] = defaultdict(lambda: defaultdict(dict))
    for process, block in _each(blocks, scenario):
        if group == ALL or group in block.groups:
            found[process][block.cycle][block.arm] = _sum(g.response for g in _of(block, group))
    return {process: [arms for _, arms in sorted(numbered.items())] for process, numbered in found.items()}


def _each(blocks: Blocks, scenario: str) -> Iterator[tuple[int, LoadBlock]]:
    return ((process, block) for process, found in sorted(blocks.items()) for block in found if block.scenario == scenario)


def _of(block: LoadBlock, group: str) -> list[LatencyHistograms]:
    return list(block.groups.values()) if group == ALL else [block.groups[group]] if group in block.groups else []


def _sum(wires: Iterable[HistogramWire]) -> Histogram:
    return Histogram.merged(map(Histogram.from_wire, wires))
