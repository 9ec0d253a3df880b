"""The page of files: readable whatever they hold, with what changed in front and every benchmark once."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gate.result_files import side_by_side
from harness.importers import own_run
from harness.importers.reading import Reading, Timing, raw_timing
from harness.report.html import render
from harness.report.html.compared import FEW, MOST, MOST_REACH, content
from harness.results.run import OperationCounts, Run
from tests.harness.report.html.test_page import Outline

HOSTILE = "<script>alert(1)</script>\x1b[31m\x00 ::error::x \u202eabc | `y` " + "é" * 10_000


def file(name: str, factors: dict[str, float], **changes: object) -> Reading:
    """Return a file of benchmarks around a millisecond times a factor."""
    timings = tuple(raw_timing(key, [f * 1e6 * (1 + i / 1e4) for i in range(30)]) for key, f in factors.items())
    return replace(Reading(name, "tool", "a file", timings), **changes)  # type: ignore[arg-type]


def many(number: int, changed: int) -> Run:
    """Return a comparison of benchmarks of which some became slower, with long names that differ in their middle."""
    names = [f"tests/bench/test_orders.py::test[{'a' * 60}-{place}-{'z' * 60}]" for place in range(number)]
    after = {name: 3.0 if place < changed else 1.05 for place, name in enumerate(names)}
    return side_by_side(file("a", dict.fromkeys(names, 1.0)), file("b", after)).run


def test_what_changed_is_in_front_and_the_rest_folded_with_counts() -> None:
    """The number of rows in front is said with that of all; the figure is a column of the table, so that their order is one."""
    found = content(many(208, 30))
    assert (len(found["front"]), len(found["rest"])) == (30, 178)  # type: ignore[arg-type]
    assert found["counts"] == "178 inconclusive"
    page = render(many(208, 30))
    assert "178 inconclusive more: 30 of 208 benchmarks are shown above" in page
    assert page.count('<td class="axis"><i ') == 208
    assert len(page.encode()) < 160_000
    Outline(page)


def test_few_benchmarks_are_all_in_front() -> None:
    """So are those of a comparison in which nothing changed, as far as they fit."""
    assert not content(many(FEW, 1))["rest"]
    assert len(content(many(MOST + 5, 0))["front"]) == MOST  # type: ignore[arg-type]


def test_the_two_files_stand_in_front_with_commit_time_and_machine() -> None:
    """A row each; what no file states has no column."""
    facts = {"commit": "3f9a1c2", "started_at": "2026-01-05T10:22:11+00:00", "environment": {"cpu": "EPYC", "python": "3.11"}}
    page = render(side_by_side(file("old.json", {"x": 1}, **facts), file("new.json", {"x": 2}, **facts)).run)
    header = page[: page.index("<h2")]
    for text in ("before", "after", "old.json", "new.json", "3f9a1c2", "2026-01-05 10:22 UTC", "EPYC", "3.11"):
        assert text in header
    bare = render(side_by_side(file("old.json", {"x": 1}), file("new.json", {"x": 2})).run)
    assert "commit" not in bare[bare.index("<h1>") : bare.index("<h2")]


@pytest.mark.parametrize("is_pair", [True, False])
def test_hostile_files_are_readable(*, is_pair: bool) -> None:
    """Markup, scripts, control characters, a direction mark, workflow commands and ten thousand characters are short texts."""
    one = file(HOSTILE, {HOSTILE: 1, "מבחן": 1}, commit=HOSTILE, environment={"cpu": HOSTILE, HOSTILE: HOSTILE})
    run = side_by_side(one, replace(one, file="b")).run if is_pair else own_run.of_file(one)
    page = render(run)
    outline = Outline(page)
    assert "script" not in outline.tags
    top = page[: page.index("How to read this page")]
    assert not {"\u202e", "\x1b", "\x00"} & set(top)
    assert "é" * 3_000 not in top
    assert "מבחן" in page


def test_all_failed_one_and_none() -> None:
    """Each is a readable page whose heading says so."""
    counts = (OperationCounts("", "GET /", 400, 400, 66.0),)
    ok = Reading(
        "a", "Locust", "f", (Timing("GET /", 400, 2e6, 2e6, 1e6, 9e6, {"50": 2e6}),), operations=(replace(counts[0], errors=0),)
    )
    failed = replace(ok, file="b", timings=(), operations=counts)
    assert "<h1>All 400 operations failed.</h1>" in render(own_run.of_file(failed))
    page = render(side_by_side(ok, failed).run)
    assert "<h1>Comparison: 1 failing more.</h1>" in page
    assert "0 % → 100 %" in page
    assert "<h1>x: median 1.00 ms.</h1>" in render(own_run.of_file(file("a", {"x": 1})))
    assert "<h1>This file has no benchmark.</h1>" in render(own_run.of_file(file("a", {})))


def test_an_unknown_verdict_is_shown_as_one() -> None:
    """A newer version may write more verdicts; nothing is concluded from them."""
    run = many(3, 0)
    verdicts = [replace(v, verdict="from the future") for v in run.scenarios[0].verdicts]  # type: ignore[arg-type]
    page = render(replace(run, scenarios=[replace(run.scenarios[0], verdicts=verdicts)]))
    assert "Comparison: 3 with a verdict that this version does not know." in page
    assert "from the future" in page


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=5))
def test_bars_are_on_the_axis(factors: list[float]) -> None:
    """Whatever the ratios: those beyond the axis are at its end, and slower is left of the middle."""
    names = {f"b{place}": factor for place, factor in enumerate(factors)}
    run = side_by_side(file("a", dict.fromkeys(names, 1.0)), file("b", names)).run
    for row, bar in content(run)["front"]:  # type: ignore[attr-defined]
        assert 0 <= bar.at <= 100
        assert bar.low is None or 0 <= bar.low <= bar.at <= bar.high <= 100
        factor = names[row[0].text]
        assert abs(bar.at - 50) < 1 or (bar.at < 50) == (factor > 1)
    assert MOST_REACH > 1
