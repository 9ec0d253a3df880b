"""The times that the server is to take."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.stats.intervals import QUANTILES
from tools.validation.load.situations import DELAYS, SITUATIONS, TABLE, delays_ns


@pytest.mark.parametrize("name", DELAYS)
def test_times_are_a_function_of_the_seed(name: str) -> None:
    """A seed gives the same times again, another seed others, and there is one for each request of the table."""
    first = delays_ns(name, 1)
    assert first.shape == (TABLE,)
    assert first.min() > 0
    assert np.array_equal(first, delays_ns(name, 1))
    assert not np.array_equal(first, delays_ns(name, 2))


def test_sub_millisecond_times_are() -> None:
    """The uniform times lie between 0.05 and 0.45 ms, and reach to both ends."""
    times_ms = delays_ns("uniform", 0) / 1e6
    assert 0.05 <= times_ms.min() < 0.06
    assert 0.44 < times_ms.max() <= 0.45


def test_lognormal_times_have_their_median() -> None:
    """Half of the log-normal times are below 2 ms, within what chance allows."""
    assert float(np.median(delays_ns("lognormal", 0))) / 1e6 == pytest.approx(2.0, rel=0.03)


def test_every_hundred_has_the_same_tail() -> None:
    """Of every hundred requests exactly three take 2 s and one 100 ms, at places that change."""
    hundreds = (delays_ns("tail", 0) / 1e6).reshape(-1, 100)
    assert ((hundreds == 2000).sum(axis=1) == 3).all()
    assert ((hundreds == 100).sum(axis=1) == 1).all()
    assert (hundreds <= 3).sum() == TABLE * 96 // 100
    assert len(set(np.argmax(hundreds, axis=1).tolist())) > 10


def test_no_percentile_lies_on_the_edge_of_a_step() -> None:
    """A percent more or fewer slow requests leaves every percentile of the tail, but the last, on the same step."""
    times = delays_ns("tail", 0)
    for label in set(QUANTILES) - {"99.9"}:
        q = QUANTILES[label]
        low, high = np.quantile(times, [q - 0.008, q + 0.008])
        assert high < 3 * low or low > 1e9, label


def test_a_shorter_situation_keeps_its_stall() -> None:
    """In half of the time a stall begins at the same share of it and lasts as long; seconds stay whole, at least one."""
    stall = replace(SITUATIONS[0], seconds=10, stalls_s=((3.0, 4.0),))
    half = stall.shortened(0.5)
    assert half.seconds == 5
    assert half.stalls_s == ((1.5, 2.5),)
    assert half.course().stalls_ns == [(1_500_000_000, 2_500_000_000)]
    assert stall.shortened(0.001).seconds == 1
    assert all(situation.shortened(1.0) == situation for situation in SITUATIONS)


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_every_tool_can_offer_the_plan(situation: object) -> None:
    """The rate is shared out evenly over users in whole requests a second, and users are more than are under way on average."""
    one = next(s for s in SITUATIONS if s is situation)
    assert one.rate_per_s % one.users == 0
    assert 1 <= one.under_way < one.users
