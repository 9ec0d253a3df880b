"""Verdicts on their common axis, and side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.report.promises import anchors, figure, kept, places, rows, rows_of, tally
from harness.results.run import PromiseVerdict, Run, ScenarioResult, Verdict


def verdict(unit: str, value: float, promised: float, *, limit: bool = False, **more: float) -> Verdict:
    """Make a verdict as the judge would."""
    made = Verdict(
        "P", "says", "proposed", PromiseVerdict.CONFIRMED, "", unit, value=value, promised_low=promised, less_is_better=limit
    )
    return replace(made, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (verdict("×", 10.0, 5.0), 2.0),
        (verdict("less", 0.75, 0.5), 2.0),
        (verdict("less", -1.0, 0.5), 0.25),
        (verdict("less", 1.0, 0.5), math.inf),
        (verdict("ms", 5.0, 10.0, limit=True), 2.0),
        (verdict("exponent", 1.1, 0.1, limit=True), 0.1),
        (verdict("share", 0.5, 1.0), 0.5),
    ],
)
def test_one_is_the_promise_in_every_unit(given: Verdict, expected: float) -> None:
    """Whatever the unit, 1 is the promise's lower bound and twice as far right is twice as good."""
    place = kept(given)
    assert place is not None
    assert place.value == pytest.approx(expected)


@pytest.mark.parametrize(
    "given", [verdict("works", 1.0, 1.0), verdict("statements", 0.0, 0.0, limit=True), verdict("less", 1.0, 1.0)]
)
def test_what_has_no_ratio_has_no_place(given: Verdict) -> None:
    """What merely works, a limit of nothing and a promise to leave nothing are not on the axis."""
    assert kept(given) is None


def test_intervals_turn_round_for_limits() -> None:
    """The worse end of a limit's interval is the left one on the axis."""
    place = kept(verdict("ms", 5.0, 10.0, limit=True, low=4.0, high=20.0))
    assert place is not None
    assert (place.low, place.high, place.exact) == (0.5, 2.5, False)


def test_a_value_without_interval_is_not_exact() -> None:
    """A figure from one process has neither interval nor the rank of an exact count."""
    place = kept(verdict("×", 10.0, 5.0))
    assert place is not None
    assert (place.low, place.high, place.exact) == (None, None, False)


def test_tiny_exponents_have_no_sign() -> None:
    """Constant cost reads as 0.00, not as -0.00."""
    assert figure(verdict("exponent", -0.001, 0.1, limit=True)) == "rows^0.00"


def test_parts_and_distances_are_told_apart(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """Two results of one scenario say their distance; a scenario that ran once does not."""
    run = make_run(make_result(), make_result(rtt_ms=5.0), make_result(name="other"))
    assert places(run) == ["RTT 0 ms", "RTT 5 ms", ""]
    assert len(set(anchors(run))) == 3
    labels = [row.label for row in rows(run)]
    assert "I4 · growth · RTT 5 ms" in labels
    assert len(labels) == len(set(labels))


def test_no_verdict_is_dropped(make_result: Callable[..., ScenarioResult]) -> None:
    """Promises that forgot to name their parts are shown one below the other, never one in place of the other."""
    twice = [verdict("×", value, 5.0) for value in (2.0, 10.0)]
    assert [row.verdicts for row in rows_of(make_result(verdicts=twice))] == [(twice[0],), (twice[1],)]


def test_the_tally_counts_every_verdict(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """Words that nobody earned are there with nothing, and the sum is the number of verdicts."""
    run = make_run(make_result())
    assert sum(sum(counts.values()) for counts in tally(run).values()) == len(run.scenarios[0].verdicts)
    assert len(tally(run)) == 8
