"""Which benchmarks the next round times, and for how long each: a pure function of what they need and of the time left.

In a round, each part that has benchmarks to time, such as a scenario on an engine, starts one process pair; a suite is one part.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum

MIN_SLICES_S, MAX_SLICES_S = 0.15, 0.6
"""The seconds of slices of a benchmark in a process pair: no fewer, whatever the budget; more do not help, as processes differ."""


@dataclass(frozen=True)
class PredictedNeed:
    """The predicted need of an undecided benchmark."""

    name: str
    process_pairs: int
    """The process pairs until it is decided, if they are like those so far."""
    other_s: float = 0.0
    """The seconds that it takes in a process pair apart from its slices: fixtures, first runs."""
    part: str = ""
    """The part whose processes serve it."""


@dataclass(frozen=True)
class StartUp:
    """The start of both versions of a part."""

    alone_s: float
    """The seconds that it takes when nothing else runs."""
    waited_s: float
    """The seconds that it is waited for: less, if it overlaps."""


def slices_s(benchmarks: int, start_up_s: float) -> float:
    """Return the seconds of slices of each benchmark in a process pair: together about as long as its start, within limits.

    Few benchmarks get long slices, as the start has to be paid anyway; of many, more process pairs show more than longer ones.
    """
    return min(MAX_SLICES_S, max(MIN_SLICES_S, start_up_s / max(1, benchmarks)))


def chosen(needs: Sequence[PredictedNeed], left_s: float, start_ups: Mapping[str, StartUp]) -> list[str]:
    """Return the benchmarks of the next round, in the order of `needs`; none if none can be timed in the time left.

    `start_ups` are those of the parts. If time is left for all, all. Else those that are predicted to be decided in it: the
    smallest need first, which decides most (shortest processing time first, Smith 1956); of equal needs the first of `needs` first.
    If not even one is, the nearest still gets what is left.
    """
    if _seconds([(need, need.process_pairs) for need in needs], start_ups) <= left_s:
        return [need.name for need in needs]
    wanted: list[PredictedNeed] = []
    for need in sorted(needs, key=lambda need: (need.process_pairs, need.other_s)):
        together = [*wanted, need]
        if _seconds([(one, 1) for one in together], start_ups) > left_s:
            continue
        if wanted and _seconds([(one, one.process_pairs) for one in together], start_ups) > left_s:
            break
        wanted = together
    names = {need.name for need in wanted}
    return [need.name for need in needs if need.name in names]


def predicted_s(needs: Sequence[PredictedNeed], start_ups: Mapping[str, StartUp]) -> float:
    """Return the seconds until all are decided, if each leaves when it is predicted to."""
    left, total_s, done = sorted(needs, key=lambda need: need.process_pairs), 0.0, 0
    while left:
        rounds = left[0].process_pairs - done
        total_s += rounds * _seconds([(need, 1) for need in left], start_ups)
        done = left[0].process_pairs
        left = [need for need in left if need.process_pairs > done]
    return total_s


def _seconds(timed: Sequence[tuple[PredictedNeed, int]], start_ups: Mapping[str, StartUp]) -> float:
    """Return the seconds of benchmarks, each in a number of process pairs; a part starts as often as one of them needs."""
    parts: dict[str, list[tuple[PredictedNeed, int]]] = defaultdict(list)
    for need, pairs in timed:
        parts[need.part].append((need, pairs))
    return fsum(
        max(pairs for _, pairs in served) * start_ups[part].waited_s
        + fsum(pairs * (slices_s(len(served), start_ups[part].alone_s) + need.other_s) for need, pairs in served)
        for part, served in parts.items()
    )
