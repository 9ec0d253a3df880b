"""Evidence that may be looked at after every pair."""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats import intervals as statistics
from harness.stats.sequential_test import (
    FASTER,
    SAME,
    SLOWER,
    SequentialTest,
    first_conclusion,
    log_e_value,
)

TOSSES = st.integers(0, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def evidence(logs: Sequence[float], margin: float) -> SequentialTest:
    """Return the test after these log ratios."""
    test = SequentialTest(margin)
    for log in logs:
        test.add(log)
    return test


@given(TOSSES)
def test_an_e_value_is_the_closed_form(counts: tuple[int, int]) -> None:
    """Summed in floating point from its greatest term, it is the exact fraction."""
    heads, tosses = counts
    exact = Fraction(sum(math.comb(tosses + 1, k) for k in range(heads + 1)), (tosses + 1) * math.comb(tosses, heads))
    assert log_e_value(heads, tosses) == pytest.approx(math.log(exact.numerator) - math.log(exact.denominator), abs=1e-9)


@given(TOSSES, st.floats(0, 0.5))
def test_nobody_can_expect_to_win_while_the_claim_is_false(counts: tuple[int, int], chance: float) -> None:
    """With heads half the time at most, the next toss leaves the wager as it is on average, or lower."""
    heads, tosses = counts
    now, after_heads, after_tails = (
        math.exp(log_e_value(h, n) - log_e_value(heads, tosses))
        for h, n in ((heads, tosses), (heads + 1, tosses + 1), (heads, tosses + 1))
    )
    assert chance * after_heads + (1 - chance) * after_tails <= now * (1 + 1e-9)
    assert after_heads / 2 + after_tails / 2 == pytest.approx(now)


def test_more_heads_than_tosses_are_refused() -> None:
    """A count that cannot be is a mistake of the caller's."""
    with pytest.raises(ValueError, match="3 heads in 2 tosses"):
        log_e_value(3, 2)


@pytest.mark.parametrize("tail", ["normal", "pareto"])
def test_looking_after_every_pair_finds_nothing_in_nothing(tail: str) -> None:
    """Of 400 A/A streams no more than alpha conclude slower, nor faster, whenever they stop, with heavy tails as well."""
    random = np.random.default_rng(7)
    size = (400, 200)
    noise = random.normal(size=size) if tail == "normal" else np.log(random.pareto(1.1, size)) - np.log(random.pareto(1.1, size))
    found = [first_conclusion(stream, margin=0.0, alpha=0.05)[0] for stream in noise]
    assert SAME not in found
    for direction in (SLOWER, FASTER):
        assert statistics.at_least_by_chance(found.count(direction), len(found), 0.05) > 0.001


def test_what_is_there_is_found() -> None:
    """A planted slow-down of 3 % in noise of 3 % is found soon, called by its name, and turned round it is a speed-up."""
    noise = np.random.default_rng(3).normal(math.log(1.03), 0.03, size=(30, 300))
    found = [first_conclusion(stream, margin=0.01) for stream in noise]
    assert {word for word, _ in found} == {SLOWER}
    assert np.median([pairs for _, pairs in found]) < 100
    assert {first_conclusion(-stream, margin=0.01) for stream in noise} == {(FASTER, pairs) for _, pairs in found}


def test_what_is_the_same_is_shown_to_be() -> None:
    """Noise well within the margin ends as the same; without a margin nothing ever does."""
    noise = np.random.default_rng(3).normal(0, 0.01, size=200)
    assert first_conclusion(noise.tolist(), margin=0.03)[0] == SAME
    assert first_conclusion(noise.tolist(), margin=0.0)[0] is None


@given(st.lists(st.floats(-0.2, 0.2), max_size=60), st.floats(0, 0.1))
def test_turning_round_swaps_the_directions(logs: list[float], margin: float) -> None:
    """What is evidence for slower is evidence for faster with the versions swapped, and for the same it stays."""
    one, other = evidence(logs, margin), evidence([-log for log in logs], margin)
    assert one.log_e(SLOWER) == other.log_e(FASTER)
    assert one.log_e(SAME) == other.log_e(SAME)


def test_a_ratio_on_the_line_counts_for_nothing() -> None:
    """Ties, which a coarse clock makes, move no conclusion on."""
    ties = evidence([0.0] * 50, margin=0.0)
    assert all(ties.log_e(conclusion) < 0 for conclusion in (SLOWER, FASTER, SAME))
