"""Several engine processes that offer one load between them, at the same time: their blocks as those of the one load."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from harness.load.protocol import LatencyHistograms, LoadBlock
from harness.stats.histogram import Histogram, HistogramWire


def together(blocks: Iterable[Sequence[LoadBlock]]) -> list[LoadBlock]:
    """Return the blocks of one load, from those of each of its engine processes.

    An arm's block of a cycle is one of each process: users and counts add up, histograms merge, and measured time is the mean of
    theirs, for it passed at the same time. Of a process that was lost its share is missing from then on.
    """
    found: dict[tuple[int, str, str], list[LoadBlock]] = defaultdict(list)
    for each in blocks:
        for block in each:
            found[block.cycle, block.scenario, block.arm].append(block)
    whole = [_one(parts) for parts in found.values()]
    return sorted(whole, key=lambda block: (block.cycle, block.scenario, block.position))


def _one(parts: Sequence[LoadBlock]) -> LoadBlock:
    first = parts[0]
    groups = dict.fromkeys(group for part in parts for group in part.groups)
    return LoadBlock(
        scenario=first.scenario,
        arm=first.arm,
        cycle=first.cycle,
        position=first.position,
        users=sum(part.users for part in parts),
        measured_ns=round(math.fsum(part.measured_ns for part in parts) / len(parts)),
        groups={group: _sum([part.groups[group] for part in parts if group in part.groups]) for group in groups},
        lateness=_merged(part.lateness for part in parts),
        cpu_percent=max(part.cpu_percent for part in parts),  # the busiest one limits the load
        targets=first.targets,
    )


def _sum(parts: Sequence[LatencyHistograms]) -> LatencyHistograms:
    errors: Counter[str] = Counter()
    for part in parts:
        errors.update(part.errors)
    return LatencyHistograms(
        response=_merged(part.response for part in parts),
        service=_merged(part.service for part in parts),
        queue=_merged(part.queue for part in parts),
        operations=sum(part.operations for part in parts),
        errors=dict(errors),
        dropped=sum(part.dropped for part in parts),
        unfinished=sum(part.unfinished for part in parts),
        planned=sum(part.planned for part in parts),
        completed=sum(part.completed for part in parts),
    )


def _merged(wires: Iterable[HistogramWire]) -> HistogramWire:
    return Histogram.merged(map(Histogram.from_wire, wires)).to_wire()
