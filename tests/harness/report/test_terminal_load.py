"""What many users at once met, in a terminal."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from harness.report.terminal import before_after_table, verdict_table
from harness.results.run import Run, ScenarioResult


def printed(run: Run, width: int) -> str:
    """Print without colour at a width."""
    sink = io.StringIO()
    Console(file=sink, width=width, no_color=True).print(before_after_table(run))
    return sink.getvalue()


@pytest.mark.parametrize("width", [80, 140])
def test_everything_fits(
    make_run: Callable[..., Run], load_result: ScenarioResult, failed_result: ScenarioResult, width: int
) -> None:
    """At 80 and at 140 columns nothing is cut; overload, ratios, capacities, errors and failures are there."""
    text = printed(make_run(load_result, failed_result, kind="load"), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    joined = " ".join(text.split())
    for words in (
        "does not hold this rate",
        "13.5×",
        "[12.2, 14.9]",
        "of 200",
        "concurrent users",
        "arms disagree on case",
        "QueuePool",
    ):
        assert words in joined


def test_an_overloaded_arm_has_words_in_place_of_times(make_run: Callable[..., Run], load_result: ScenarioResult) -> None:
    """Its row says what it answered of what was offered, and that it was not held."""
    lines = printed(make_run(load_result, kind="load"), 80).splitlines()
    row = next(line for line in lines if line.split()[:1] == ["proposed"])
    assert row.split() == ["proposed", "122", "not", "held"]


def test_verdicts_come_before_the_load(
    make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult], load_result: ScenarioResult
) -> None:
    """Where promises were on trial too, their table is first, and a run without any does not say that it has none."""
    sink = io.StringIO()
    run = make_run(replace(make_result(), load=load_result.load))
    Console(file=sink, width=140, no_color=True).print(verdict_table(run))
    text = sink.getvalue()
    assert text.index("the review says") < text.index("does not hold this rate")
    assert "No promise was on trial" not in printed(make_run(load_result, kind="load"), 80)
