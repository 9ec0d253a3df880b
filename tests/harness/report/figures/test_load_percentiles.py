"""Response time by percentile under load."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.report.figures.load_percentiles import draw
from harness.report.svg import ARM_COLOURS, BASELINE_COLOUR, look
from harness.results.load import LoadResult
from harness.results.run import ArmResult, ScenarioResult
from harness.results.store import read_histograms


def test_only_arms_that_sustain_the_rate_have_lines(load_result: ScenarioResult) -> None:
    """Each group has a panel with the baseline and the faster arm; the overloaded one is only in the legend."""
    with look():
        drawing = draw(load_result, None)
    assert drawing is not None
    assert len(drawing.axes) == 3
    colours = {line.get_color() for axes in drawing.axes for line in axes.lines}
    assert colours == {BASELINE_COLOUR, ARM_COLOURS[1]}
    assert "proposed: saturated" in [text.get_text() for text in drawing.legends[0].get_texts()]


def test_histograms_give_whole_curves(load_result: ScenarioResult, histogram_folder: Path) -> None:
    """With histograms a line has many points, its median is the record's, and all operations are the sum of the groups."""
    samples = read_histograms(histogram_folder / "samples" / "indexes.csv")
    with look():
        drawing = draw(load_result, samples)
    assert drawing is not None
    thick = [line for line in drawing.axes[1].lines if line.get_linewidth() == 2.0 and line.get_alpha() is None]
    longest = max(thick, key=lambda line: float(np.max(line.get_ydata())))
    nines, values = np.asarray(longest.get_xdata()), np.asarray(longest.get_ydata())
    assert len(nines) > 20
    assert np.all(np.diff(values) >= 0)
    assert abs(np.interp(2.0, nines, values) / 55e6 - 1) < 0.03
    assert max(len(np.asarray(line.get_xdata())) for line in drawing.axes[0].lines) > 20


def test_nothing_is_drawn_without_valid_times(load_result: ScenarioResult, under_load: LoadResult) -> None:
    """Runs that are invalid, overloaded in every arm, without load, or with more arms than colours have no figure."""
    names = ["baseline", *(f"only {i}" for i in range(9))]
    many = [replace(under_load.arms[0], arm=name) for name in names]
    for changes in ({"invalid": "the generator"}, {"arms": [x for x in under_load.arms if x.overloaded]}, {"arms": many}):
        result = replace(load_result, load=replace(under_load, **changes), arms=[ArmResult(name, "") for name in names])
        with look():
            assert draw(result, None) is None
    assert draw(replace(load_result, load=None), None) is None
