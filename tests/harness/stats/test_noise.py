"""Tests of noise: it is estimated from simulated times, and more time detects smaller changes."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.noise import Noise, ProcessPairTimes, detectable_in_pairs, detectable_in_process_pairs, noise, robust_sd

MS = 1_000_000


def simulated(
    number: int, within: float, between: float, *, rounds: int = 50, drift: float = 0.0, seed: int = 1
) -> list[ProcessPairTimes]:
    """Return process pairs with the noise `within` and `between` processes, whose times grow by `drift` over all."""
    chance = random.Random(seed)
    found = []
    for place in range(number):
        slow = 1 + drift * place / max(1, number - 1)
        sides = []
        for _ in range(2):
            level = MS * slow * math.exp(chance.gauss(0, between))
            sides.append([[round(level * math.exp(chance.gauss(0, within))) for _ in range(4)] for _ in range(rounds)])
        found.append(ProcessPairTimes(sides[0], sides[1], seconds=2.0))
    return found


def some(**other: float) -> Noise:
    """Return a usual machine's noise."""
    usual = {
        "operation": 0.05,
        "pair": 0.07,
        "processes": 0.03,
        "process_pairs": 0.01,
        "drift": 0.0,
        "operation_s": 0.001,
        "process_pair_s": 1.0,
    }
    return Noise(**{**usual, **other}, number=10)


def test_simulated_noise_is_estimated() -> None:
    """Each kind of noise is estimated within its sampling error."""
    found = noise(simulated(60, within=0.04, between=0.03))
    assert found.operation == pytest.approx(0.04, rel=0.1)
    assert found.pair == pytest.approx(0.04 * math.sqrt(2), rel=0.1)
    assert found.processes == pytest.approx(0.03, rel=0.25)
    assert found.process_pairs == pytest.approx(0.03 * math.sqrt(2), rel=0.3)
    assert found.operation_s == pytest.approx(0.001, rel=0.02)
    assert (found.process_pair_s, found.number) == (2.0, 60)


def test_a_machine_that_slows_down_drifts() -> None:
    """The second half is compared with the first; drift does not count as noise between interleaved processes."""
    found = noise(simulated(10, within=0.0, between=0.0, drift=0.4))
    assert found.drift == pytest.approx(0.178, abs=0.03)
    assert found.process_pairs == 0
    assert found.processes > 0.05


def test_equal_times_have_no_noise() -> None:
    """Any change is detectable then."""
    found = noise(simulated(3, 0.0, 0.0))
    assert (found.operation, found.pair, found.processes, found.process_pairs, found.drift) == (0, 0, 0, 0, 0)
    assert (detectable_in_pairs(found, 10), detectable_in_process_pairs(found, 10)) == (0, 0)


def test_one_process_pair_has_no_spread() -> None:
    """It is refused and does not count as no noise."""
    with pytest.raises(ValueError, match="two process pairs"):
        noise(simulated(1, 0.1, 0.1))


def test_an_outlier_does_not_move_a_robust_spread() -> None:
    """One value of a million among a hundred hardly changes it."""
    import numpy as np  # noqa: PLC0415 - for this one test

    values = [float(i % 10) for i in range(100)]
    assert robust_sd(np.asarray([*values, 1e6])) == pytest.approx(robust_sd(np.asarray(values)), rel=0.3)


def test_the_smallest_change_in_pairs_is_the_textbook_value() -> None:
    """It is (1.96 + 0.84) · 1.2533 · sd ÷ √n, for pairs of one millisecond per operation in ten seconds."""
    assert detectable_in_pairs(some(), 10) == pytest.approx(2.8016 * 1.2533 * 0.07 / math.sqrt(5000), rel=0.01)


def test_few_process_pairs_only_detect_large_changes() -> None:
    """Two process pairs detect only changes many times larger than sixty do, because of Student's t."""
    few, many = detectable_in_process_pairs(some(), 2), detectable_in_process_pairs(some(), 60)
    assert few is not None
    assert many is not None
    assert many == pytest.approx((2.001 + 0.848) * 0.01 / math.sqrt(60), rel=0.01)
    assert few > 20 * many


def test_without_time_for_two_pairs_there_is_no_result() -> None:
    """A process pair of a minute detects nothing in a minute and a half."""
    assert detectable_in_process_pairs(some(process_pair_s=60.0), 90) is None
    assert detectable_in_pairs(some(operation_s=5.0), 10) is None


@given(st.floats(10, 1e5), st.floats(1.0, 10.0), st.floats(0, 0.5))
def test_more_time_never_hides_a_change(seconds: float, times: float, sd: float) -> None:
    """A change that is detectable in some time is detectable in a longer one."""
    found = some(pair=sd, process_pairs=sd)
    for detectable in (detectable_in_pairs, detectable_in_process_pairs):
        short, long = detectable(found, seconds), detectable(found, seconds * times)
        assert short is not None
        assert long is not None
        assert long <= short * (1 + 1e-9)
