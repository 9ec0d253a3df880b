"""The question about intervals: the made-up times are what they say, and too many misses are seen."""

import numpy as np
import pytest

from tools.validation.coverage import (
    AUTOCORRELATION,
    METHODS,
    NOISES,
    PAIRS,
    PROCESSES,
    Method,
    autocorrelated,
    drift,
    is_plausible,
    section,
    simulated,
)


def test_autocorrelated_noise_remembers() -> None:
    """Neighbours correlate as stated, and the spread is that of the other noises."""
    noise = np.concatenate([autocorrelated(np.random.default_rng(seed))[0] for seed in range(100)])
    assert np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1] == pytest.approx(AUTOCORRELATION, abs=0.03)
    assert noise.std() == pytest.approx(0.05, rel=0.05)


def test_drift_is_the_same_for_both_sides() -> None:
    """The machine slows both, so that their difference has none of it."""
    one, other = drift(np.random.default_rng(1))
    assert one[-1].mean() - one[0].mean() > 0.25
    assert abs((other - one)[-1].mean() - (other - one)[0].mean()) < 0.05


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_method_has_an_interval(method: Method) -> None:
    """So many processes and pairs are enough for all of them."""
    assert (PROCESSES, PAIRS) == (5, 60)
    assert None not in simulated(method, "independent", 2)


def test_the_same_simulations_every_time() -> None:
    """A seed decides."""
    assert simulated(METHODS[1], "heavy tails", 40) == simulated(METHODS[1], "heavy tails", 40)


def test_too_many_misses_are_seen() -> None:
    """95 of 100 are as stated, 85 are not; an interval that is not there misses."""
    assert is_plausible([True] * 95 + [False] * 5)
    assert not is_plausible([True] * 85 + [False] * 15)
    assert not is_plausible([True] * 85 + [None] * 15)


def test_only_what_is_required_is_required() -> None:
    """A method that misses where nothing is required of it breaks nothing; the table shows it all the same."""
    held = {noise: [noise != "autocorrelated"] * 100 for noise in NOISES}
    strict = Method("strict", lambda _: True, tuple(NOISES))
    lenient = Method("lenient", lambda _: True, ("independent",))
    found = section([(strict, held), (lenient, held)])
    assert [requirement.met for requirement in found.requirements] == [False, True]
    assert found.tables[0].rows[1] == ["lenient", "100", "100.0%", "100.0%", "0.0%", "100.0%"]
