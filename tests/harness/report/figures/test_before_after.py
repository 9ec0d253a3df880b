"""The figure of two files: a row per benchmark, and the band of the drift."""

from dataclasses import replace

import pytest

from harness.gate.result_files import FileRules, side_by_side
from harness.importers.reading import Reading, Timing, raw_timing
from harness.report.figures import before_after
from harness.report.svg import look
from harness.results.run import RunKind


def reading(factor: float, number: int = 3) -> Reading:
    """Return a file with `number` benchmarks."""
    return Reading(
        "x", "t", "f", tuple(raw_timing(f"b{n}", [factor * (n + 1) * 1e6 * (1 + i / 1e4) for i in range(9)]) for n in range(number))
    )


def test_other_kinds_of_runs_have_no_such_figure() -> None:
    """A comparison without a ratio has no figure either."""
    run = side_by_side(reading(1), reading(2)).run
    assert before_after.draw_run(replace(run, kind=RunKind.PAIRS)) is None
    rounded_away = Reading("x", "t", "f", (Timing("a", 9, 0.0, 0.0, 0.0, 0.0),))
    assert before_after.draw_run(side_by_side(rounded_away, rounded_away).run) is None


@pytest.mark.parametrize("factor", [1.0, 2.0, 1e6, 1e-6])
def test_every_benchmark_has_a_row_and_no_change_is_in_the_middle(factor: float) -> None:
    """The axis includes "as fast as before" whatever the size of the change."""
    run = side_by_side(reading(1), reading(factor)).run
    with look():
        made = before_after.draw_run(run)
    assert made is not None
    texts = [text.get_text() for text in made.texts]
    assert {"b0", "b1", "b2"} <= set(texts)
    low, high = made.axes[0].get_xlim()
    assert low * high == pytest.approx(1)
    assert low <= 1 / factor <= high


def test_of_many_benchmarks_those_with_the_largest_changes_are_drawn() -> None:
    """At most `MOST` rows are drawn."""
    before, after = reading(1, before_after.MOST + 20), reading(2, before_after.MOST + 20)
    with look():
        made = before_after.draw_run(side_by_side(before, after).run)
    assert made is not None
    assert sum(text.get_text().startswith("b") for text in made.texts) == before_after.MOST


def test_a_drift_that_cannot_be_read_draws_no_band() -> None:
    """A missing or unreadable drift is not an error."""
    run = side_by_side(reading(1), reading(2), FileRules(drift=0.1)).run
    assert before_after.drift_of(run) == pytest.approx(0.1)
    assert before_after.drift_of(replace(run, environment={})) is None
    assert before_after.drift_of(replace(run, environment={"drift": "a lot"})) is None
