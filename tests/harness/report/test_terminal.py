"""The tables in a terminal."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console, RenderableType

from harness.report.terminal import before_after_table, ratio_table, verdict_table
from harness.results.run import Run, ScenarioResult


def printed(renderable: RenderableType, width: int) -> str:
    """Print without colour at a width."""
    sink = io.StringIO()
    Console(file=sink, width=width, no_color=True).print(renderable)
    return sink.getvalue()


@pytest.mark.parametrize("width", [80, 140])
def test_every_verdict_is_there_and_fits(
    make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult], failed_result: ScenarioResult, width: int
) -> None:
    """At 80 and at 140 columns each promise has its words, nothing is cut, and what failed follows with its error."""
    text = printed(verdict_table(make_run(make_result(), failed_result)), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for word in ("confirmed", "fell short", "not measurable", "measured", "I4 · growth", "rows^1.00"):
        assert word in text
    assert "arms disagree on case 'user 17'" in text
    assert "warning" in text


@pytest.mark.parametrize("width", [80, 140])
def test_ratios_fit_and_name_the_control(make_result: Callable[..., ScenarioResult], width: int) -> None:
    """A scenario's speed has ratio, interval and p50 before → after on one line an arm, the A/A control among them."""
    text = printed(ratio_table(make_result()), width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    line = next(x for x in lines if "optimised" in x)
    assert "×" in line
    assert "→" in line
    assert "A/A control" in text
    assert "40 answers compared, all equal" in text


def test_markup_in_names_is_text(make_run: Callable[..., Run], hostile_result: ScenarioResult) -> None:
    """Square brackets and other signs in names and errors are printed as they are."""
    broken = [verdict_table(make_run(hostile_result, name="[red]x")), ratio_table(hostile_result)]
    assert all("<script>" in printed(part, 200) for part in broken)


def test_many_users_before_and_after(
    make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult], failed_result: ScenarioResult
) -> None:
    """A load run shows operations and percentiles in ms an arm, dashes where samples are too few, and failures."""
    text = printed(before_after_table(make_run(make_result(), failed_result, kind="load")), 80)
    baseline = next(x for x in text.splitlines() if "baseline" in x)
    assert baseline.split()[:2] == ["baseline", "90"]
    assert "–" in baseline
    assert "failed caching" in text


def test_an_empty_run_says_so(make_run: Callable[..., Run]) -> None:
    """A run in which nothing finished prints a sentence instead of an empty table."""
    text = printed(verdict_table(make_run(interrupted=True)), 80)
    assert "No scenario finished" in text
    assert "interrupted" in text
