"""Response time by percentile under load."""

import re
from dataclasses import replace
from pathlib import Path

from harness.report.figures.load_percentiles import POINTS, draw
from harness.results.load import LoadResult
from harness.results.run import ArmResult, ScenarioResult
from harness.results.store import read_histograms
from tests.harness.report.drawn import rows_of


def test_only_arms_that_sustain_the_rate_have_lines(load_result: ScenarioResult) -> None:
    """Each group has a panel with the baseline and the faster arm; the saturated one is only in the key."""
    chart = draw(load_result, None)
    assert chart is not None
    drawn = [panel.svg("") for panel in chart.panels]
    assert {name for svg in drawn for name in re.findall(r'<g class="(\w+)"', svg)} == {"a0", "a2"}
    assert chart.key == [("a0", "baseline"), ("a1", "proposed: saturated"), ("a2", "optimised")]
    assert {(row[1].text, row[2].text) for row in rows_of(chart)} == {
        (arm, kind) for arm in ("baseline", "optimised") for kind in ("response", "service")
    }


def test_only_groups_with_a_p90_have_a_panel(load_result: ScenarioResult, under_load: LoadResult) -> None:
    """A group with the median alone is left out, and counted."""
    whole = draw(load_result, None)
    few = under_load.arms[-1].group
    short = [replace(x, response=replace(x.response, percentiles_ns={"50": 1e6})) if x.group == few else x for x in under_load.arms]
    chart = draw(replace(load_result, load=replace(under_load, arms=short)), None)
    assert whole is not None
    assert chart is not None
    assert (len(chart.panels), chart.groups) == (len(whole.panels) - 1, whole.groups)


def test_histograms_give_whole_curves(load_result: ScenarioResult, histogram_folder: Path) -> None:
    """With histograms a line has many points, and few characters."""
    samples = read_histograms(histogram_folder / "samples" / "indexes.csv")
    chart = draw(load_result, samples)
    assert chart is not None
    lines = re.findall(r'class="[ln]" d="([^"]+)"', "".join(panel.svg("") for panel in chart.panels))
    assert max(len(re.findall(r"-?\d+", data)) for data in lines) > POINTS
    assert max(map(len, lines)) <= 7 * POINTS
    assert all(int(x) >= 0 for data in lines for x in re.findall(r"(-?\d+)", data)[2::2])


def test_nothing_is_drawn_without_valid_times(load_result: ScenarioResult, under_load: LoadResult) -> None:
    """Runs that are invalid, overloaded in every arm, without load, or with more arms than colours have no figure."""
    names = ["baseline", *(f"only {i}" for i in range(9))]
    many = [replace(under_load.arms[0], arm=name) for name in names]
    for changes in ({"invalid": "the generator"}, {"arms": [x for x in under_load.arms if x.overloaded]}, {"arms": many}):
        result = replace(load_result, load=replace(under_load, **changes), arms=[ArmResult(name, "") for name in names])
        assert draw(result, None) is None
    assert draw(replace(load_result, load=None), None) is None
