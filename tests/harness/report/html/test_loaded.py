"""The page of a load test: readable whatever it holds, with failures, throughput and the tail in front."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.report.html import render
from harness.report.html.loaded import classes, heads
from harness.results.load import ALL, LoadResult
from harness.results.run import ArmResult, Run, RunWarning, ScenarioResult, ScenarioStatus
from tests.harness.report.html.test_page import Outline

HOSTILE = "<script>alert(1)</script>\x1b[31m\x00 ::error::x \u202eabc | `y` } \" ' \\ " + "é" * 10_000


def test_all_operations_come_before_each_operation(
    make_run: Callable[..., Run], load_result: ScenarioResult, histogram_folder: Path
) -> None:
    """Failures, drops and throughput stand before times; every figure has its table; each caption is there once."""
    page = render(make_run(load_result, kind="load"), histogram_folder)
    outline = Outline(page)
    assert page.index("<caption>All operations</caption>") < page.index("<caption>By operation</caption>") < page.index("<figure")
    heads_of_first = page[page.index("<caption>All operations</caption>") :]
    order = [heads_of_first.index(f">{name}</th>") for name in ("failed", "dropped", "per second", "tail, ms", "p50, ms")]
    assert order == sorted(order)
    for text in ("Every percentile, with its 95 % confidence interval", "The run over time, by block", "Every step of the search"):
        assert f"<summary>{text}" in page
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.tags.count("script") == 1, "its own"


def test_a_hostile_load_is_readable(make_run: Callable[..., Run], load_result: ScenarioResult, under_load: LoadResult) -> None:
    """Markup, control characters, quotes in column names and ten thousand characters in arms, groups, messages and reasons."""
    arms = [
        replace(x, arm=f"{x.arm}{HOSTILE}", group=HOSTILE if x.group != ALL else ALL, error_messages={HOSTILE: 3})
        for x in under_load.arms
    ]
    capacities = [
        replace(c, arm=f"{c.arm}{HOSTILE}", reason=HOSTILE, objective="p95 < 1 ms", steps=[]) for c in under_load.capacities
    ]
    load = replace(under_load, arms=arms, capacities=capacities, lost_workers=[HOSTILE], arrivals=HOSTILE)
    found = replace(load_result, load=load, arms=[ArmResult(HOSTILE, HOSTILE)], warnings=[RunWarning(HOSTILE, HOSTILE, HOSTILE)])
    page = render(make_run(found, kind="load", environment={HOSTILE: HOSTILE}))
    outline = Outline(page)
    assert outline.tags.count("script") == 1, "its own"
    for table in page.split('<table class="stacked"')[1:]:
        cells = table[: table.index("</table>")]
        assert not {"\u202e", "\x1b", "\x00"} & set(cells)
        assert "é" * 3_000 not in cells


@pytest.mark.parametrize("status", [ScenarioStatus.FAILED, ScenarioStatus.INTERRUPTED, ScenarioStatus.OK])
def test_a_load_without_figures_is_readable(
    make_run: Callable[..., Run], load_result: ScenarioResult, under_load: LoadResult, status: ScenarioStatus
) -> None:
    """Nothing was measured; the error is a banner."""
    empty = replace(under_load, arms=[], ratios=[], ticks=[], capacities=[])
    page = render(make_run(replace(load_result, load=empty, status=status, error="arms disagree"), kind="load"))
    assert '<table class="stacked"' not in page
    assert ("arms disagree" in page) == (status != ScenarioStatus.OK)
    assert "No scenario finished" in render(make_run(kind="load"))
    Outline(page)


def test_all_operations_failed(make_run: Callable[..., Run], load_result: ScenarioResult, under_load: LoadResult) -> None:
    """No time, no percentile, and every failure counted."""
    gone = replace(
        under_load.arms[0].response, operations=0, mean_ns=None, max_ns=None, min_ns=None, percentiles_ns={}, intervals_ns={}
    )
    arms = [
        replace(
            x, operations=0, errors=400, achieved_per_s=0.0, response=gone, service=gone, queue=gone, failing="400 of 400 failed"
        )
        for x in under_load.arms
    ]
    page = render(make_run(replace(load_result, load=replace(under_load, arms=arms, ratios=[], ticks=[])), kind="load"))
    assert "nothing can be compared" in page
    assert "1,200 of 1,200 operations failed" in page
    assert "(100 %)" in page


def test_column_names_cannot_end_their_string() -> None:
    """They are values of style variables: quotes and backslashes would end or escape them."""
    assert heads(['a"b', "c\\"]) == '--h1:"a\'b";--h2:"c"'


def test_each_arm_has_its_colour(load_result: ScenarioResult) -> None:
    """The baseline and the others, by their place among the scenario's arms."""
    assert classes(load_result) == {"baseline": "baseline", "proposed": "arm-1", "optimised": "arm-2"}
