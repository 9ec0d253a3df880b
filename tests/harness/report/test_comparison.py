"""Files of other tools as tables: the most pressing first, and a reason beside every dash."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.gate.result_files import side_by_side
from harness.importers import own_run
from harness.importers.reading import Reading, Timing, raw_timing
from harness.report.comparison import CLASSES, SIGNS, table, tails, tally
from harness.report.numbers import DASH
from harness.results.run import Run


def compared(before: dict[str, float], after: dict[str, float]) -> Run:
    """Return a comparison of two files with thirty values around each time, in milliseconds."""
    sides = [
        Reading(
            name, "tool", "a file", tuple(raw_timing(k, [v * 1e6 * (1 + i / 1e4) for i in range(30)]) for k, v in times.items())
        )
        for name, times in (("old", before), ("new", after))
    ]
    return side_by_side(*sides)


def test_regressions_come_first_and_then_the_largest_changes() -> None:
    """Whatever the order in the files."""
    run = compared({"a": 1, "b": 1, "c": 1, "d": 1}, {"a": 0.5, "b": 1.1, "c": 2, "d": 5})
    rows = table(run).rows
    assert [(row[0].text, row[1].text) for row in rows] == [
        ("d", "✗ regressed"),
        ("c", "✗ regressed"),
        ("a", "▲ improved"),
        ("b", "? inconclusive"),
    ]
    assert list(tally(run).values()) == [2, 1, 1]
    assert set(tally(run)) == set(SIGNS) == set(CLASSES)


def test_medians_stand_with_their_ratio_however_few_values_they_rest_on() -> None:
    """A median of three is shown, and that nothing follows from it."""
    few = raw_timing("x", [1e6, 2e6, 3e6])
    row = table(side_by_side(Reading("a", "t", "f", (few,)), Reading("b", "t", "f", (few,)))).rows[0]
    assert [cell.text for cell in row[2:]] == ["2.00 ms", "2.00 ms", "1.00×", DASH, "3"]
    assert "is not enough" in row[1].note


def test_a_dash_has_its_reason() -> None:
    """No ratio of a median of nothing, no interval of aggregates, no number that the file does not say."""
    nothing, unknown = Timing("x", None, 0.0, 0.0, 0.0, 1e6), Timing("x", None, 1e6, 1e6, 0.0, 1e6)
    row = table(side_by_side(Reading("a", "t", "f", (nothing,)), Reading("b", "t", "f", (unknown,)))).rows[0]
    dashes = [cell for cell in row if cell.text == DASH]
    assert len(dashes) == 3
    assert all(cell.note for cell in dashes)


def test_percentiles_beyond_the_median_are_shown_where_a_file_has_them() -> None:
    """And the table is left out where none has."""
    assert tails(compared({"a": 1}, {"a": 2})) is None
    many = [1e6 + i for i in range(2_000)]
    run = side_by_side(Reading("a", "t", "f", (raw_timing("x", many),)), Reading("b", "t", "f", (raw_timing("x", many),)))
    found = tails(run)
    assert found is not None
    assert "→" in found.rows[0][3].text
    assert found.rows[0][4].text == DASH


@pytest.mark.parametrize("samples", [None, 50])
def test_one_file_is_a_row_a_benchmark(samples: int | None) -> None:
    """Its median, its tail, its mean and how many values there were."""
    timing = replace(raw_timing("x", [1e6] * 50), samples=samples)
    found = table(own_run.of_file(Reading("a.json", "t", "f", (timing,))))
    assert [cell.text for cell in found.rows[0]][:2] == ["x", "1.00 ms"]
    assert found.rows[0][-1].text == (DASH if samples is None else "50")
