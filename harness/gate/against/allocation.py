"""Which benchmarks the next process pair times, and for how long each: a pure function of what they need and of the time left."""

from collections.abc import Sequence
from dataclasses import dataclass

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


def slices_s(benchmarks: int, start_up_s: float) -> float:
    """Return the seconds of slices of each benchmark in a process pair: together about as long as its start, within limits.

    Few benchmarks get long slices, as the start has to be paid anyway; of many, more process pairs show more than longer ones.
    """
    return min(MAX_SLICES_S, max(MIN_SLICES_S, start_up_s / max(1, benchmarks)))


def chosen(needs: Sequence[PredictedNeed], left_s: float, start_up_s: float, wait_s: float) -> list[str]:
    """Return the benchmarks of the next process pair, in the order of `needs`; none if none can be timed in the time left.

    `start_up_s` are the seconds that a start takes, `wait_s` those that it is waited for.
    If time is left for all, all. Else those that are predicted to be decided in it: the smallest need first, which decides most
    (shortest processing time first, Smith 1956); of equal needs the first of `needs` first. If not even one is, the nearest still
    gets what is left.
    """
    wanted: list[PredictedNeed] = []
    for need in sorted(needs, key=lambda need: (need.process_pairs, need.other_s)):
        each_s = slices_s(len(wanted) + 1, start_up_s)
        together = [*wanted, need]
        next_s = wait_s + sum(each_s + one.other_s for one in together)
        all_s = need.process_pairs * wait_s + sum(one.process_pairs * (each_s + one.other_s) for one in together)
        if next_s > left_s:
            continue
        if wanted and all_s > left_s:
            break
        wanted = together
    names = {need.name for need in wanted}
    return [need.name for need in needs if need.name in names]


def predicted_s(needs: Sequence[PredictedNeed], start_up_s: float, wait_s: float) -> float:
    """Return the seconds until all are decided, if each leaves when it is predicted to."""
    left, total_s, done = sorted(needs, key=lambda need: need.process_pairs), 0.0, 0
    while left:
        rounds = left[0].process_pairs - done
        each_s = slices_s(len(left), start_up_s)
        total_s += rounds * (wait_s + sum(each_s + need.other_s for need in left))
        done = left[0].process_pairs
        left = [need for need in left if need.process_pairs > done]
    return total_s
