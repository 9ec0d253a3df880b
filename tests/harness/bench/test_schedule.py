"""The number of pairs that each group gets."""

import math
import random
import statistics
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bench.schedule import (
    FEWEST,
    MEDIAN_PAIRS,
    MOST_DECIDED_PAIRS,
    P95_PAIRS,
    P99_PAIRS,
    QUICK_PAIRS,
    SLOW_PAIRS,
    GroupPairs,
    Schedule,
    TrialPairs,
    allocate,
    pairs_for,
)
from harness.stats.intervals import t_quantile


def give(groups: Sequence[GroupPairs], seconds: float, processes: int = 5) -> list[int]:
    """Allocate the pairs of groups that are still to be timed in all processes."""
    return allocate(groups, [group.at_least(3 if group.is_slow else processes) for group in groups], seconds, processes, 0.05)


COSTS = st.lists(st.floats(1e-4, 5.0), min_size=1, max_size=12)


def quick(name: str, pair_s: float, pairs: int = 0) -> GroupPairs:
    """Return a group of quick operations."""
    return GroupPairs(name, pair_s, pair_s / 4, pairs=pairs, is_decided=True)


@given(COSTS, st.floats(0, 1000))
def test_the_time_is_kept_beyond_the_minimum(costs: list[float], seconds: float) -> None:
    """Every group gets its minimum; all else fits into the seconds."""
    groups = [quick(str(number), cost) for number, cost in enumerate(costs)]
    pairs = give(groups, seconds, 5)
    minimum_s = MEDIAN_PAIRS * sum(costs)
    assert min(pairs) >= MEDIAN_PAIRS
    assert sum(cost * number for cost, number in zip(costs, pairs, strict=True)) <= max(minimum_s, seconds) + 1e-6


@given(COSTS, st.floats(0, 1000), st.floats(0, 1000))
def test_more_time_never_takes_pairs_away(costs: list[float], seconds: float, more_s: float) -> None:
    """As many groups or more have a percentile with more time."""
    groups = [quick(str(number), cost) for number, cost in enumerate(costs)]
    few, many = (sum(n >= P95_PAIRS for n in give(groups, s, 5)) for s in (seconds, seconds + more_s))
    assert few <= many


def test_the_cheapest_percentiles_come_first() -> None:
    """The 95th percentile of a cheap group comes first, then its 99th, which costs less than the 95th of a dear one."""
    groups = [quick("dear", 1.0), quick("cheap", 0.004), quick("other", 0.1)]
    minimum_s = MEDIAN_PAIRS * 1.104
    p95_s, p99_s = (P95_PAIRS - MEDIAN_PAIRS) * 0.004, (P99_PAIRS - P95_PAIRS) * 0.004
    assert give(groups, minimum_s + p95_s + 0.1, 5) == [MEDIAN_PAIRS, P95_PAIRS, MEDIAN_PAIRS]
    assert give(groups, minimum_s + p95_s + p99_s + 0.1, 5) == [MEDIAN_PAIRS, P99_PAIRS, MEDIAN_PAIRS]
    assert give(groups, minimum_s + 100, 5) == [P95_PAIRS, P99_PAIRS, P95_PAIRS]


def test_a_slow_group_gets_its_median_alone() -> None:
    """Whatever the time, it gets no more than the pairs of a median with an interval."""
    slow = GroupPairs("slow", 3.0, 1.0, is_slow=True)
    assert give([slow], 1e6, 5) == [SLOW_PAIRS]


def test_a_preview_has_few_pairs() -> None:
    """However noisy a group is and whatever the time, a preview gives it no more than its limit, and no percentile its pairs."""
    noisy = GroupPairs("noisy", 0.01, 0.01, is_quick=True, log_ratios={"b": {1: [0.0, 1.0, -1.0], 2: [2.0, 0.0, -2.0]}})
    assert give([noisy, GroupPairs("new", 0.01, is_quick=True, is_preview=True)], 1e6, 3) == [QUICK_PAIRS, SLOW_PAIRS]


def test_time_that_is_left_goes_to_undecided_groups_first() -> None:
    """A decided group gets more pairs only once the undecided one has all that it should have, and not without limit."""
    draw = random.Random(1)
    noise = {process: [draw.gauss(0, 0.2) for _ in range(30)] for process in range(1, 5)}
    done, undecided = (GroupPairs(name, 0.01, 0.01, pairs=120, log_ratios={"b": noise}) for name in ("done", "undecided"))
    done.is_decided = True
    extra = give([done, undecided], 1, 5)
    assert extra[0] == FEWEST * 5
    assert extra[1] > extra[0]
    extra = give([done, undecided], 1_000, 5)
    assert FEWEST * 5 < extra[0] <= MOST_DECIDED_PAIRS - done.pairs
    done.pairs = MOST_DECIDED_PAIRS
    assert give([done, undecided], 1_000, 5)[0] == FEWEST * 5


@given(st.integers(2, 9), st.floats(0.01, 0.5), st.floats(0.01, 0.3), st.integers(0, 99))
def test_more_noise_or_a_narrower_interval_needs_more_pairs(number: int, noise: float, half_width: float, seed: int) -> None:
    """The number grows with the noise and with the wanted precision."""
    draw = random.Random(seed)
    quiet = [[draw.gauss(0, noise) for _ in range(20)] for _ in range(number)]
    loud = [[3 * value for value in values] for values in quiet]
    found = pairs_for(quiet, number, half_width)
    one_each = number  # where processes differ most, both numbers are equal but for rounding
    assert pairs_for(quiet, number, half_width / 2) >= found - one_each
    assert pairs_for(loud, number, half_width) >= found - one_each


def test_the_pairs_give_the_half_width() -> None:
    """With noise within processes alone, intervals over that number of pairs have the wanted half width on average."""
    draw, half_width, number = random.Random(2), 0.05, 5
    pilot = [[draw.gauss(0, 0.3) for _ in range(200)] for _ in range(number)]
    each = pairs_for(pilot, number, half_width) // number
    widths = []
    for _ in range(200):
        medians = [statistics.median(draw.gauss(0, 0.3) for _ in range(each)) for _ in range(number)]
        widths.append(t_quantile(0.975, number - 1) * statistics.stdev(medians) / math.sqrt(number))
    assert statistics.fmean(widths) == pytest.approx(half_width, rel=0.25)


def test_pairs_cannot_buy_what_differs_between_processes() -> None:
    """Where processes differ by more than the interval may be wide, more pairs are not asked for without end."""
    draw = random.Random(3)
    biased = [[bias + draw.gauss(0, 0.05) for _ in range(40)] for bias in (-0.3, -0.1, 0.0, 0.2, 0.3)]
    assert pairs_for(biased, 5, 0.02) < 40


def trial(*groups: GroupPairs, processes: int = 5) -> TrialPairs:
    """Return a trial of these groups."""
    return TrialPairs({group.name: group for group in groups}, processes, min(3, processes), 2.0)


def test_processes_share_the_pairs_equally() -> None:
    """Each process gets a fifth of what is still to be timed, a slow group a third in the first three processes."""
    timed = trial(quick("quick", 0.004), GroupPairs("slow", 3.0, 1.0, is_slow=True))
    schedule = Schedule({"t": timed})
    pairs, seconds = schedule.next_process("t", 1000)
    assert pairs == {"quick": P99_PAIRS // 5, "slow": 2}
    assert seconds == pytest.approx(2.0 + P99_PAIRS // 5 * 0.004 + 2 * 3.0)
    timed.done, timed.groups["quick"].pairs, timed.groups["slow"].pairs = 3, P99_PAIRS - 160, 6
    assert schedule.next_process("t", 1000)[0] == {"quick": 80}


@given(st.integers(0, 500), st.integers(0, 4), st.booleans())
def test_every_process_times_every_group(pairs: int, done: int, slow: bool) -> None:
    """Whatever a group has, a process that is still to time it gets the fewest pairs at least: all medians are comparable."""
    group = GroupPairs("g", 0.1, 0.1, pairs=pairs, is_slow=slow, is_decided=True)
    timed = trial(group)
    timed.done = done
    shares, _ = Schedule({"t": timed}).next_process("t", 0.0)
    assert shares == {} if slow and done >= 3 else shares["g"] >= FEWEST


def test_a_run_takes_no_longer_than_it_may() -> None:
    """What all processes together are expected to take is within the seconds, overhead included, and less if all is supported."""
    schedule = Schedule({"a": trial(quick("x", 0.5), quick("y", 0.2)), "b": trial(quick("z", 0.004))})
    assert schedule.minimum_s() <= schedule.wanted_s(60) <= 60
    assert schedule.wanted_s(10_000) == pytest.approx(20 + P95_PAIRS * 0.7 + P99_PAIRS * 0.004)


def test_groups_without_a_median_are_named() -> None:
    """A group with fewer pairs than a median needs is one of them, whether slow or not."""
    schedule = Schedule(
        {"t": trial(quick("few", 1.0, pairs=5), quick("enough", 1.0, pairs=6), GroupPairs("slow", 9.0, is_slow=True))}
    )
    assert schedule.without_median() == [("t", "few"), ("t", "slow")]
