"""Several engine processes that offer one load between them, at the same time: their blocks as those of the one load."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from harness.load.protocol import Block, Times3
from harness.stats.histogram import Histogram, HistogramWire


def together(blocks: Iterable[Sequence[Block]]) -> list[Block]:
    """Return the blocks of one load, from those of each of its engine processes.

    An arm's block of a cycle is one of each process: users and counts add up, histograms merge, and measured time is the mean of
    theirs, for it passed at the same time. Of a process that was lost its share is missing from then on.
    """
    found: dict[tuple[int, str, str], list[Block]] = defaultdict(list)
    for each in blocks:
        for block in each:
            found[block.cycle, block.scenario, block.arm].append(block)
    whole = [_one(parts) for parts in found.values()]
    return sorted(whole, key=lambda block: (block.cycle, block.scenario, block.position))


def _one(parts: Sequence[Block]) -> Block:
    first = parts[0]
    groups = dict.fromkeys(group for part in parts for group in part.groups)
    return Block(
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


def _sum(parts: Sequence[Times3]) -> Times3:
    errors: Counter[str] = Counter()
    for part in parts:
        errors.update(part.errors)
    return Times3(
        response=_merged(part.response for part in parts),
        service=_merged(part.service for part in parts),
        queue=_merged(part.queue for part in parts),
        operations=sum(part.operations for part in parts),
        errors=dict(errors),
        shed=sum(part.shed for part in parts),
        censored=sum(part.censored for part in parts),
        planned=sum(part.planned for part in parts),
        answered=sum(part.answered for part in parts),
    )


def _merged(wires: Iterable[HistogramWire]) -> HistogramWire:
    return Histogram.merged(map(Histogram.from_wire, wires)).to_wire()
