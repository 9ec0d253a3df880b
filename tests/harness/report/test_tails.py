"""Ratios of percentiles as a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from harness.report import tails
from harness.results.run import PercentileRatio, ScenarioResult


def test_arms_have_a_row_and_percentiles_their_columns(make_result: Callable[..., ScenarioResult]) -> None:
    """What cannot be resolved says so, and why; intervals stand beside their ratios."""
    result = replace(
        make_result(),
        percentile_ratios=[
            PercentileRatio("optimised", "g", "50", 300, 2.0, 1.8, 2.2),
            PercentileRatio("optimised", "g", "99", 300),
        ],
    )
    table = tails.ratios(result)
    assert table is not None
    assert table.head == ("cases", "arm", "p50 shorter", "95 % interval", "p99 shorter", "95 % interval", "n")
    (row,) = table.rows
    assert row[2].text == "2.00×"
    assert "1.80" in row[3].text
    assert (row[4].text, row[4].note) == ("not resolvable", "too few samples: 1,000 are needed, there are 300")
    assert row[6].text == "300"


def test_a_run_without_pairs_has_no_such_table(make_result: Callable[..., ScenarioResult]) -> None:
    """An old run file, or a scenario that failed, has none."""
    assert tails.ratios(replace(make_result(), percentile_ratios=[])) is None
