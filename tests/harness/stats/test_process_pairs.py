"""What process pairs show: pure functions, held by properties and by simulated noise whose truth is known."""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gate.against.compare import PROCESS_PAIRS, SECOND_SET_LIMIT
from harness.stats import process_pairs as evidence

MARGIN = 0.03
LOGS = st.lists(st.floats(-0.5, 0.5), min_size=4, max_size=30)
Noise = Callable[[random.Random], float]


@given(LOGS, st.floats(-1, 1))
def test_an_effect_moves_with_its_logs(logs: list[float], shift: float) -> None:
    """Every log greater by the same makes the effect and both bounds greater by that."""
    before, after = evidence.effect(logs).interval, evidence.effect([log + shift for log in logs]).interval
    assert before.low is not None
    assert before.high is not None
    assert (after.value, after.low, after.high) == pytest.approx(
        (before.value + shift, before.low + shift, before.high + shift), abs=1e-9
    )


@given(st.lists(st.floats(-0.01, 0.01), min_size=9, max_size=9), st.floats(-3, 3))
def test_one_wild_process_pair_moves_the_effect_no_further_than_the_others_reach(logs: list[float], wild: float) -> None:
    """The mean stays inside the range of the others, whatever one of ten says."""
    assert -0.01 <= evidence.effect([*logs, wild]).interval.value <= 0.01


@given(LOGS, st.floats(0.001, 1))
def test_what_looks_slower_is_so_by_half_the_margin(logs: list[float], margin: float) -> None:
    """However sure it is, less than that calls for no second set."""
    seen = evidence.effect(logs)
    assert not evidence.looks_slower(seen, margin) or math.expm1(seen.interval.value) > margin / 2


def test_precision_does_not_hide_what_must_be_found() -> None:
    """A slow-down known to be a little below the margin is found all the same."""
    seen = evidence.effect([0.0270 + 0.0001 * i for i in range(10)])
    assert evidence.within(seen, MARGIN)
    assert evidence.looks_slower(seen, MARGIN)


def test_three_process_pairs_show_nothing() -> None:
    """Without an interval nothing is slower, within, or visible."""
    seen = evidence.effect([0.3, 0.3, 0.3])
    assert not evidence.looks_slower(seen, MARGIN)
    assert not evidence.within(seen, MARGIN)
    assert evidence.detectable(seen, 3) is None
    assert evidence.process_pairs_needed(seen, 3, MARGIN) is None


def test_a_second_set_goes_on_until_it_is_sure_or_cannot_be() -> None:
    """Eight of eight may still, nine of nine are enough, ten that are not slower end it; more questions ask for more."""
    assert evidence.recurs([0.03] * 8, 1, SECOND_SET_LIMIT, MARGIN) is None
    assert evidence.recurs([0.03] * 9, 1, SECOND_SET_LIMIT, MARGIN) is True
    assert evidence.recurs([0.03] * 9, 5, SECOND_SET_LIMIT, MARGIN) is None
    assert evidence.recurs([-0.01] * 10, 1, SECOND_SET_LIMIT, MARGIN) is False
    assert evidence.recurs([0.005] * SECOND_SET_LIMIT, 1, SECOND_SET_LIMIT, MARGIN) is False


@given(st.integers(0, 2**32))
def test_more_noise_hides_more(seed: int) -> None:
    """Twice the deviations hide twice the effect, and need four times the process pairs."""
    coin = random.Random(seed)
    logs = [coin.gauss(0, 0.02) for _ in range(10)]
    quiet, loud = evidence.effect(logs), evidence.effect([2 * log for log in logs])
    seen = evidence.detectable(quiet, 10), evidence.detectable(loud, 10)
    assert seen[0] is not None
    assert seen[1] is not None
    assert math.log1p(seen[1]) == pytest.approx(2 * math.log1p(seen[0]))
    needed = [evidence.process_pairs_needed(one, 10, MARGIN) for one in (quiet, loud)]
    assert needed[0] is not None
    assert needed[1] is not None
    assert needed[0] <= needed[1] <= 4 * needed[0]


def fails(noise: Noise, slower: float, coin: random.Random) -> bool:
    """Return whether a benchmark so much slower fails a gate: both sets, as they are taken."""
    shift = math.log1p(slower)
    first = evidence.effect([shift + noise(coin) for _ in range(PROCESS_PAIRS)])
    if not evidence.looks_slower(first, MARGIN):
        return False
    second: list[float] = []
    while (found := evidence.recurs(second, 1, SECOND_SET_LIMIT, MARGIN)) is None:
        second.append(shift + noise(coin))
    return found


NOISES: dict[str, Noise] = {
    "normal, sd 1.2 %": lambda coin: coin.gauss(0, 0.012),
    "normal, sd 4 %": lambda coin: coin.gauss(0, 0.04),
    "heavy tails": lambda coin: 0.01 * (coin.paretovariate(1.5) - 1) * coin.choice((-1, 1)),
    "one process in ten 20 % off": lambda coin: coin.gauss(0, 0.01) + (0.2 * coin.choice((-1, 1)) if coin.random() < 0.1 else 0),
}


@pytest.mark.parametrize("noise", NOISES)
def test_the_same_code_fails_no_gate(noise: str) -> None:
    """In 600 gates of the same code, under any of these noises, at most one in a hundred fails."""
    coin = random.Random(f"same {noise}")
    assert sum(fails(NOISES[noise], 0.0, coin) for _ in range(600)) <= 6


def test_three_percent_is_found() -> None:
    """With the noise of two pinned processes, 3 % slower fails at least 95 of 100 gates."""
    coin = random.Random("slower")
    assert sum(fails(NOISES["normal, sd 1.2 %"], 0.03, coin) for _ in range(400)) >= 380
