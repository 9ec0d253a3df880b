"""The figures of a page in their boxes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.report.html.figure_boxes import of_scenario, read_histograms
from harness.results.histograms import HISTOGRAM_COLUMNS
from harness.results.run import ScenarioResult

UNDER_LOAD = ["Response time by percentile, under load", "Capacity: latency against throughput", "The run over time"]


@pytest.mark.parametrize("with_samples", [True, False])
def test_figures_under_load_need_no_histograms(
    load_result: ScenarioResult, histogram_folder: Path, tmp_path: Path, *, with_samples: bool
) -> None:
    """With the histograms or without, a run under load has its three figures, and no box about missing samples."""
    boxes = list(of_scenario(load_result, "card", histogram_folder if with_samples else tmp_path))
    assert [box.title for box in boxes] == UNDER_LOAD
    assert not any(box.missing for box in boxes)
    assert [box.wide for box in boxes] == [False, False, True]


def test_figures_that_need_samples_are_left_out_without(make_result: Callable[..., ScenarioResult], tmp_path: Path) -> None:
    """Only figures of single operations are left out without samples, with the reason."""
    missing = [box.title for box in of_scenario(make_result(), "card", tmp_path) if box.missing]
    assert missing == ["Latency by percentile", "Pair by pair"]


def test_histograms_are_read(histogram_folder: Path) -> None:
    """Every bucket of every block is an entry."""
    path = histogram_folder / "samples" / "indexes.csv"
    found = read_histograms(path)
    assert tuple(found) == HISTOGRAM_COLUMNS
    assert found["count"].sum() == 4 * 2 * 2 * 400 * 2


@pytest.mark.parametrize("text", ["", "process,pair\n1,2\n", ",".join(HISTOGRAM_COLUMNS) + "\n0,0,0,a,g,response,many,1\n"])
def test_a_file_without_histograms_is_refused(tmp_path: Path, text: str) -> None:
    """A missing or empty file, other columns, and texts for numbers are refused in one line."""
    path = tmp_path / "histograms.csv"
    with pytest.raises(UsageError, match="cannot read the histograms"):
        read_histograms(path)
    path.write_text(text)
    with pytest.raises(UsageError, match="cannot read the histograms"):
        read_histograms(path)
