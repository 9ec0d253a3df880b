"""The question about pairs: what counts as a false alarm and as found."""

import numpy as np

from tools.validation.paired_time import Stream, seconds_until_found, section
from tools.validation.workload import INJECTED


def stream(percent: int, truth: float, pairs: int = 1700) -> Stream:
    """Return pairs of 6 ms whose second side takes so many per cent longer, in little noise."""
    logs = np.random.default_rng(percent).normal(np.log1p(truth / 100), 0.01, pairs)
    return Stream(percent, [3e6] * pairs, (3e6 * np.exp(logs)).tolist(), [6_000_000 * (n + 1) for n in range(pairs)])


def streams(**truths: float) -> list[Stream]:
    """Return a stream for each slow-down; those that are named differ from what was planted."""
    return [stream(p, truths.get(f"plus{p}", p)) for p in INJECTED]


def test_what_is_planted_is_found_and_nothing_else() -> None:
    """Both requirements are kept where streams are as planted; the tables have a row for each budget and slow-down."""
    found = section(streams())
    assert [requirement.met for requirement in found.requirements] == [True, True]
    assert "0 of 10 within 1 s" in found.requirements[0].text
    assert [row[1] for row in found.tables[0].rows] == ["10", "3", "1"]
    assert [row[0] for row in found.tables[1].rows] == ["+1 %", "+3 %", "+5 %", "+10 %"]


def test_an_alarm_on_the_same_work_is_false() -> None:
    """Either direction counts."""
    assert not section(streams(plus0=4)).requirements[0].met
    assert not section(streams(plus0=-4)).requirements[0].met


def test_a_slow_down_that_is_not_found_is_missed() -> None:
    """Nothing where three per cent should be breaks the requirement."""
    assert not section(streams(plus3=0)).requirements[1].met


def test_the_time_is_that_of_the_pair_that_decided() -> None:
    """Seconds are those spent up to the deciding pair."""
    found = seconds_until_found(stream(10, 10))
    assert found is not None
    assert found == 0.006 * round(found / 0.006)
    assert found < 0.2
    assert seconds_until_found(stream(0, 0)) is None
