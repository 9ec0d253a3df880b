"""Measurements side by side."""

from __future__ import annotations

from collections.abc import Callable

from harness.report import tables
from harness.results.run import ScenarioResult, WorkCount


def test_exact_work_stands_side_by_side(make_result: Callable[..., ScenarioResult]) -> None:
    """Each arm has its column, with the ratio to the baseline beside the count."""
    table = tables.exact(make_result())
    assert table is not None
    assert table.head == ("cases", "what", "baseline", "proposed", "optimised")
    assert [cell.text for cell in table.rows[0]][2:] == ["15,810", "6,120 (2.58× less)", "32 (494× less)"]


def test_counts_that_are_missing_or_vary_say_so(make_result: Callable[..., ScenarioResult]) -> None:
    """A missing count is a dash with a reason, one that differed between repeats is marked, and zero has no ratio."""
    counts = [
        WorkCount("baseline", "g", "rows", 4.0),
        WorkCount("optimised", "g", "rows", 0.0),
        WorkCount("baseline", "g", "hits", 2.5, repeats_exactly=False),
    ]
    table = tables.exact(make_result(work_counts=counts))
    assert table is not None
    rows, hits = table.rows
    assert rows[3].text == "0 (none left)"
    assert (hits[2].text, hits[2].note) == ("≈ 2.50", "differed between repeats")
    assert (hits[3].text, hits[3].note) == ("–", "not counted for this arm")


def test_the_control_is_no_arm(make_result: Callable[..., ScenarioResult]) -> None:
    """The A/A control stands apart from the arms in every table."""
    result = make_result()
    ratios = tables.ratios(result)
    assert ratios is not None
    assert [row[1].text for row in ratios.rows] == ["proposed", "optimised"]
    assert [row[0].text for table in tables.percentiles(result) for row in table.rows] == ["baseline", "proposed", "optimised"]
    assert len(tables.controls(result)) == 1


def test_memory_is_compared_with_its_own_kind(make_result: Callable[..., ScenarioResult]) -> None:
    """An arm's memory is set against the baseline's at the same limit, and a bad end is told."""
    table = tables.memory(make_result())
    assert table is not None
    against = table.head.index("against baseline")
    assert [row[against].text for row in table.rows] == ["–", "\u221293 %", "–"]
    assert [row[2].text for row in table.rows] == ["ended well", "ended well", "MemoryError"]


def test_nothing_measured_is_no_table(failed_result: ScenarioResult) -> None:
    """A scenario without measurements has no empty tables."""
    assert tables.percentiles(failed_result) == []
    made = (tables.ratios(failed_result), tables.exact(failed_result), tables.memory(failed_result), tables.growth(failed_result))
    assert made == (None, None, None, None)
