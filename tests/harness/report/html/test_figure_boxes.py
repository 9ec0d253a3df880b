"""The figures of a page in their boxes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.report.html.figure_boxes import of_scenario
from harness.results.run import ScenarioResult

UNDER_LOAD = ["Response time by percentile, under load", "How much it holds: latency against throughput", "The run over its time"]


@pytest.mark.parametrize("at_hand", [True, False])
def test_figures_under_load_need_no_histograms(
    load_result: ScenarioResult, histogram_folder: Path, tmp_path: Path, *, at_hand: bool
) -> None:
    """With the histograms or without, a run under load has its three figures, and no box that says what is missing."""
    boxes = list(of_scenario(load_result, "card", histogram_folder if at_hand else tmp_path))
    assert [box.title for box in boxes] == UNDER_LOAD
    assert not any(box.missing for box in boxes)
    assert [box.wide for box in boxes] == [False, False, True]


def test_what_needs_samples_says_that_they_are_missing(make_result: Callable[..., ScenarioResult], tmp_path: Path) -> None:
    """Figures of single operations are left out with a reason where the samples are not there, and only they are."""
    missing = [box.title for box in of_scenario(make_result(), "card", tmp_path) if box.missing]
    assert missing == ["Latency by percentile", "Pair by pair"]
