"""What makes a run under load worthless: a generator at its limit, or an arm that does not hold what it was offered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import pytest

from harness.load.generator_checks import generator, generator_limit, overloaded
from harness.load.protocol import LatencyHistograms, LoadBlock
from harness.load.totals import total
from harness.stats.histogram import Histogram, HistogramWire

MS = 1_000_000


def wire(times_ms: Sequence[float]) -> HistogramWire:
    """Return a histogram of times."""
    histogram = Histogram()
    for ms in times_ms:
        histogram.record(int(ms * MS))
    return histogram.to_wire()


def block(
    times_ms: Sequence[float],
    *,
    answered: int | None = None,
    dropped: int = 0,
    censored: int = 0,
    errors: Mapping[str, int] | None = None,
    users: int = 0,
    cpu_percent: float = 20.0,
    late_ms: float = 0.05,
    targets: bool = True,
) -> LoadBlock:
    """Return a block of five seconds with one group."""
    failed = dict(errors or {})
    operations = len(times_ms)
    found = LatencyHistograms(
        response=wire([*times_ms, *[9_000.0] * censored]),
        service=wire(times_ms),
        queue=wire([0.0] * operations),
        operations=operations,
        errors=failed,
        dropped=dropped,
        unfinished=censored,
        planned=operations + dropped + censored + sum(failed.values()),
        completed=operations if answered is None else answered,
    )
    return LoadBlock("timed", "optimised", 0, 0, users, 5000 * MS, {"read": found}, wire([late_ms] * 100), cpu_percent, targets)


def test_an_arm_that_answers_in_time_is_sound() -> None:
    """Also one whose every operation takes longer than it warmed up for: what is under way at the end is no backlog."""
    assert overloaded(total([block([10.0] * 1000)])) is None
    assert overloaded(total([block([2000.0] * 1000, answered=600)])) is None


def test_an_arm_that_falls_behind_is_overloaded_though_draining_answers_everything() -> None:
    """A queue that grows from nothing to more than a second, of 200 a second in place of 150."""
    growing = [10.0 + i * 1.67 for i in range(1000)]
    said = overloaded(total([block(growing, answered=750)]))
    assert said == "it answered 150 of 200 operations a second, and fell behind"


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (block([10.0] * 999, dropped=1), "1 of 1000 operations were dropped, because as many as allowed were under way"),
        (block([10.0] * 999, censored=1), "1 of 1000 operations were not answered before waiting for them ended"),
        (block([10.0] * 970, errors={"locked": 30}), "30 of 1000 operations failed"),
    ],
)
def test_what_is_not_answered_is_overload(found: LoadBlock, says: str) -> None:
    """With its reason and its number; a few errors are none."""
    assert overloaded(total([found])) == says
    assert overloaded(total([block([10.0] * 999, errors={"locked": 1})])) is None


def test_the_closed_model_has_no_rate_to_hold() -> None:
    """Only what was never answered is overload there."""
    assert overloaded(total([block([10.0] * 100, answered=50, users=4)])) is None
    assert "were not answered" in str(overloaded(total([block([10.0] * 99, censored=1, users=4)])))


def test_a_generator_without_a_core_to_spare_invalidates() -> None:
    """In a sentence that names the arm and what to do; one busy block among idle ones does not."""
    said = generator_limit([block([10.0] * 100, cpu_percent=97.0)])
    assert said is not None
    assert "used 97 % of its core with optimised" in said
    assert generator_limit([block([10.0] * 100, cpu_percent=c) for c in (97.0, 40.0, 40.0)]) is None


def test_a_generator_that_is_late_invalidates_if_it_shows() -> None:
    """Three milliseconds beside ten do, beside a second they do not, nor does half a millisecond beside one."""
    said = generator_limit([block([10.0] * 100, late_ms=3.0)])
    assert said is not None
    assert "every second operation 3.0 ms late or later with optimised" in said
    assert generator_limit([block([1000.0] * 100, late_ms=3.0)]) is None
    assert generator_limit([block([1.0] * 100, late_ms=0.5)]) is None


def test_lateness_stands_against_response_times_at_the_same_percentile() -> None:
    """A few late by five milliseconds are nothing beside a few that take a hundred, and half of what a few that take ten met."""
    late = {"lateness": wire([0.1] * 95 + [5.0] * 5)}
    assert generator_limit([msgspec.structs.replace(block([2.0] * 95 + [100.0] * 5), **late)]) is None
    said = generator_limit([msgspec.structs.replace(block([2.0] * 95 + [10.0] * 5), **late)])
    assert said is not None
    assert "one operation in a hundred 5.0 ms late or later" in said


def test_a_data_layer_in_the_generators_process_cannot_be_told_from_it() -> None:
    """A full core may be its own, so nothing is said."""
    assert generator_limit([block([10.0] * 100, cpu_percent=99.0, late_ms=50.0, targets=False)]) is None


def test_the_record_says_how_the_generator_did() -> None:
    """Its busiest block and its lateness over all of them; nothing without blocks."""
    found = generator([block([10.0], cpu_percent=12.0), block([10.0], cpu_percent=31.0)])
    assert found == {"generator's busiest block": "31 % of a core", "generator's lateness (p99)": "0.050 ms"}
    assert generator([]) == {}


def test_what_is_far_away_is_not_behind_by_chance() -> None:
    """Of what takes long beside what is near, a few more may be under way at the end than at the beginning: that is no backlog."""
    times_ms = [5.0] * 100 + [500.0] * 100
    assert overloaded(total([block(times_ms, answered=188)])) is None
    assert overloaded(total([block(times_ms, answered=150)])) is not None
