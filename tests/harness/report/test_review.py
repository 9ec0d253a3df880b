"""A run's answers to a review: its scorecard and its ranking."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.report import markdown, overview
from harness.report.html import render
from harness.report.promises import rows
from harness.report.review import answers, ranking, scorecard
from harness.results.run import Priority, Review, Run, ScenarioResult, Score

REVIEW = Review(
    "a review",
    {"I": "indexes", "M": "memory", "Q": "queues"},
    {"I1": "faster", "I2": "fewer", "M1": "survives", "Q1": "nothing"},
    [
        Priority("Q", "P0", "high", "low", "lasting"),
        Priority("I", "P1", "high", "low", "5×", ["I1"]),
        Priority("M", "P2", "low", "high", "2×", ["M1"]),
    ],
    [Score("speed", "70 %", "95 %", ["I1", "I2"]), Score("queues", "unknown", "90 %", ["Q1"])],
)


@pytest.fixture
def run(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> Run:
    """Return a run of one scenario."""
    return make_run(make_result())


def test_scores_are_next_to_the_figures_of_their_promises(run: Run) -> None:
    """Each figure has its promise and its verdict's sign, and a promise that was not tried is named."""
    table = scorecard(REVIEW, rows(run))
    assert table is not None
    (aspect, today, goal, proposed, optimised), queues = table.rows
    assert (aspect.text, today.text, goal.text) == ("speed", "70 %", "95 %")
    assert "I1" in proposed.text
    assert "1.9948×" in proposed.text
    assert "8.0305×" in optimised.text
    assert "Q1 not in this run" in queues[3].text


def test_areas_are_ranked_by_the_gain_that_was_measured(run: Run) -> None:
    """Only promises of a speedup have a gain and a rank; the order is the review's."""
    table = ranking(REVIEW, rows(run))
    assert table is not None
    by_area = {line[0].text: [cell.text for cell in line] for line in table.rows}
    assert list(by_area) == ["queues", "indexes", "memory"]
    assert by_area["indexes"][-3:] == ["1.99×", "8.03×", "1"]
    assert by_area["queues"][-3:] == by_area["memory"][-3:] == ["–", "–", "–"]


def test_a_gain_is_the_geometric_mean_of_its_promises(run: Run) -> None:
    """Two promises of about 2× and 8× make 4×, the geometric mean."""
    promises = [row for row in rows(run) if row.promise == "I1"]
    other = replace(promises[0], promise="I9", verdicts=tuple(replace(v, arm=_twin(v.arm)) for v in promises[0].verdicts))
    both = replace(REVIEW, priorities=[replace(REVIEW.priorities[1], answers=["I1", "I9"])])
    table = ranking(both, [*promises, other])
    assert table is not None
    assert table.rows[0][-2].text == "4.00×"


def _twin(arm: str) -> str:
    return {"proposed": "optimised", "optimised": "proposed"}.get(arm, arm)


def test_a_run_without_a_review_has_no_answers(run: Run) -> None:
    """Without a review, or if nothing was tried, there is no table."""
    assert answers(run) == []
    assert answers(replace(run, review=REVIEW, scenarios=[])) == []


def test_the_answers_are_on_the_page_and_in_markdown(run: Run) -> None:
    """Both show the scorecard and the ranking of a run that has a review."""
    judged = replace(run, review=REVIEW)
    for text in (render(judged), markdown.write(overview.full(judged))):
        assert "scorecard, and what was measured" in text
        assert "gain that was measured" in text
