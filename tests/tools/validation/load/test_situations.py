"""The planned times of the server."""

from dataclasses import replace

import numpy as np
import pytest

from harness.stats.intervals import QUANTILES
from tools.validation.load.server import DELAYS, SITUATIONS, TABLE, delays_ns


@pytest.mark.parametrize("name", DELAYS)
def test_times_are_a_function_of_the_seed(name: str) -> None:
    """Equal seeds give equal times, different seeds different ones, one for each request of the table."""
    first = delays_ns(name, 1)
    assert first.shape == (TABLE,)
    assert first.min() > 0
    assert np.array_equal(first, delays_ns(name, 1))
    assert not np.array_equal(first, delays_ns(name, 2))


def test_uniform_times_are_below_a_millisecond() -> None:
    """They cover the range from 0.05 to 0.45 ms."""
    times_ms = delays_ns("uniform", 0) / 1e6
    assert 0.05 <= times_ms.min() < 0.06
    assert 0.44 < times_ms.max() <= 0.45


def test_lognormal_times_have_their_median() -> None:
    """Half of the log-normal times are below 2 ms, within chance."""
    assert float(np.median(delays_ns("lognormal", 0))) / 1e6 == pytest.approx(2.0, rel=0.03)


def test_every_hundred_has_the_same_tail() -> None:
    """Of every 100 requests exactly three take 2 s and one 100 ms, at varying positions."""
    hundreds = (delays_ns("tail", 0) / 1e6).reshape(-1, 100)
    assert ((hundreds == 2000).sum(axis=1) == 3).all()
    assert ((hundreds == 100).sum(axis=1) == 1).all()
    assert (hundreds <= 3).sum() == TABLE * 96 // 100
    assert len(set(np.argmax(hundreds, axis=1).tolist())) > 10


def test_no_percentile_is_at_the_edge_of_a_step() -> None:
    """With 0.8 % more or fewer slow requests, every percentile but the last stays on the same step."""
    times = delays_ns("tail", 0)
    for label in set(QUANTILES) - {"99.9"}:
        q = QUANTILES[label]
        low, high = np.quantile(times, [q - 0.008, q + 0.008])
        assert high < 3 * low or low > 1e9, label


def test_a_shorter_situation_keeps_its_stall() -> None:
    """In half of the duration a stall has the same relative start and length; seconds are whole, at least one."""
    stall = replace(SITUATIONS[0], seconds=10, stalls_s=((3.0, 4.0),))
    half = stall.shortened(0.5)
    assert half.seconds == 5
    assert half.stalls_s == ((1.5, 2.5),)
    assert half.course().stalls_ns == [(1_500_000_000, 2_500_000_000)]
    assert stall.shortened(0.001).seconds == 1
    assert all(situation.shortened(1.0) == situation for situation in SITUATIONS)


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_every_tool_can_offer_the_load(situation: object) -> None:
    """Each user has a whole number of requests per second, and there are more users than requests in flight."""
    one = next(s for s in SITUATIONS if s is situation)
    assert one.rate_per_s % one.users == 0
    assert 1 <= one.in_flight < one.users
