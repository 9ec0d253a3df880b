"""The Markdown writer, with the report for a pull request."""

from collections.abc import Callable

from harness.report import overview
from harness.report.markdown import escape, write
from harness.results.run import Run, ScenarioResult


def test_the_conclusion_comes_first(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """Heading, sentence and a row per optimisation stand above everything that is folded."""
    text = write(overview.full(make_run(make_result())))
    shown = text.split("<details>")[0].splitlines()
    assert shown[0] == "## Composite indexes: not decided."
    head, _, row = (line for line in shown if line.startswith("|"))
    assert head.startswith(
        "| optimisation | what to do | promised | proposed | optimised | p50 | p95 | memory | the catch | trust |"
    )
    assert row.startswith("| Composite indexes | ? **not decided** | 5–10× |")
    assert " → 0.5" in row


def test_every_promise_has_a_row_in_a_folded_table(
    make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]
) -> None:
    """Every row has the table's columns, and the numbers of verdicts stand above them."""
    text = write(overview.full(make_run(make_result())))
    folded = next(part for part in text.split("<details>") if "All promises: 9" in part)
    table = [line for line in folded.splitlines() if line.startswith("| ")]
    assert len(table) == 1 + 9
    assert {line.count(" |") for line in table} == {4}
    assert "proposed: 2 confirmed, 5 fell short, 1 not measured, 1 measured." in text


def test_hostile_texts_are_text(make_run: Callable[..., Run], hostile_result: ScenarioResult) -> None:
    """Markup, vertical bars and backticks in names neither become elements nor break tables."""
    text = write(overview.full(make_run(hostile_result, command="a ``` b")))
    assert "<script>" not in text.replace(hostile_result.error or "", "")
    assert "````\na ``` b\n````" in text
    assert escape("a|b\n<c>") == r"a\|b &lt;c&gt;"


def test_failures_and_empty_runs_are_shown(make_run: Callable[..., Run], failed_result: ScenarioResult) -> None:
    """A failed scenario has its error; a run without scenarios has a sentence."""
    assert "arms disagree on case" in write(overview.full(make_run(failed_result)))
    assert "No scenario finished" in write(overview.full(make_run(interrupted=True)))
    assert "1,000 users" in write(overview.full(make_run(failed_result, kind="load", environment={"users": "1,000"})))
