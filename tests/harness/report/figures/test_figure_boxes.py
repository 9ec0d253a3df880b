"""The figures of a page in their boxes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.report.figures import of_scenario
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
