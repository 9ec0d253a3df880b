"""Noise: what is planted in times comes out again, and more time shows smaller changes."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.noise import Noise, Twins, noise, robust_sd, visible_in_pairs, visible_in_twins

MS = 1_000_000


def twins(number: int, within: float, between: float, *, rounds: int = 50, drift: float = 0.0, seed: int = 1) -> list[Twins]:
    """Return twins whose operations scatter by `within`, whose processes by `between`, and that grow by `drift` over all."""
    chance = random.Random(seed)
    found = []
    for place in range(number):
        slow = 1 + drift * place / max(1, number - 1)
        sides = []
        for _ in range(2):
            level = MS * slow * math.exp(chance.gauss(0, between))
            sides.append([[round(level * math.exp(chance.gauss(0, within))) for _ in range(4)] for _ in range(rounds)])
        found.append(Twins(sides[0], sides[1], seconds=2.0))
    return found


def some(**other: float) -> Noise:
    """Return a usual machine's noise."""
    usual = {"operation": 0.05, "pair": 0.07, "processes": 0.03, "twins": 0.01, "drift": 0.0, "operation_s": 0.001, "twins_s": 1.0}
    return Noise(**{**usual, **other}, number=10)


def test_noise_that_was_planted_is_found() -> None:
    """Each kind shows where it belongs, within what so many samples tell."""
    found = noise(twins(60, within=0.04, between=0.03))
    assert found.operation == pytest.approx(0.04, rel=0.1)
    assert found.pair == pytest.approx(0.04 * math.sqrt(2), rel=0.1)
    assert found.processes == pytest.approx(0.03, rel=0.25)
    assert found.twins == pytest.approx(0.03 * math.sqrt(2), rel=0.3)
    assert found.operation_s == pytest.approx(0.001, rel=0.02)
    assert (found.twins_s, found.number) == (2.0, 60)


def test_a_machine_that_slows_down_drifts() -> None:
    """The second half is set against the first; drift is not taken for noise between processes that take turns."""
    found = noise(twins(10, within=0.0, between=0.0, drift=0.4))
    assert found.drift == pytest.approx(0.178, abs=0.03)
    assert found.twins == 0
    assert found.processes > 0.05


def test_the_same_times_everywhere_are_no_noise() -> None:
    """Then any change at all shows."""
    found = noise(twins(3, 0.0, 0.0))
    assert (found.operation, found.pair, found.processes, found.twins, found.drift) == (0, 0, 0, 0, 0)
    assert (visible_in_pairs(found, 10), visible_in_twins(found, 10)) == (0, 0)


def test_one_process_pair_has_no_spread() -> None:
    """It is refused and does not count as no noise."""
    with pytest.raises(ValueError, match="two process pairs"):
        noise(twins(1, 0.1, 0.1))


def test_an_outlier_does_not_move_a_robust_spread() -> None:
    """One value of a million among hundred leaves it alone."""
    import numpy as np  # noqa: PLC0415 - for this one test

    values = [float(i % 10) for i in range(100)]
    assert robust_sd(np.asarray([*values, 1e6])) == pytest.approx(robust_sd(np.asarray(values)), rel=0.3)


def test_the_smallest_change_in_pairs_is_the_textbooks() -> None:
    """(1.96 + 0.84) · 1.2533 · sd ÷ √n, for pairs of a millisecond an operation in ten seconds."""
    assert visible_in_pairs(some(), 10) == pytest.approx(2.8016 * 1.2533 * 0.07 / math.sqrt(5000), rel=0.01)


def test_the_smallest_change_in_twins_pays_for_few_processes() -> None:
    """With two pairs of processes Student's t asks for many times what sixty need."""
    few, many = visible_in_twins(some(), 2), visible_in_twins(some(), 60)
    assert few is not None
    assert many is not None
    assert many == pytest.approx((2.001 + 0.848) * 0.01 / math.sqrt(60), rel=0.01)
    assert few > 20 * many


def test_without_time_for_two_nothing_is_said() -> None:
    """A pair of processes that takes a minute tells nothing in a minute and a half."""
    assert visible_in_twins(some(twins_s=60.0), 90) is None
    assert visible_in_pairs(some(operation_s=5.0), 10) is None


@given(st.floats(10, 1e5), st.floats(1.0, 10.0), st.floats(0, 0.5))
def test_more_time_never_hides_a_change(seconds: float, times: float, sd: float) -> None:
    """What shows in a while shows in a longer one."""
    found = some(pair=sd, twins=sd)
    for visible in (visible_in_pairs, visible_in_twins):
        short, long = visible(found, seconds), visible(found, seconds * times)
        assert short is not None
        assert long is not None
        assert long <= short * (1 + 1e-9)
