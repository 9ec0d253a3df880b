"""The figures of the documentation are drawn from the harness's own functions, and are the same each time."""

import re
from xml.etree import ElementTree as ET

import pytest

from harness.results.run import PromiseVerdict
from harness.results.store import read_run
from tools import figures
from tools.review_page import PUBLISHED


@pytest.mark.parametrize("name", ["verdicts", "pairs", "percentiles", "omission"])
def test_a_figure_is_an_svg_and_repeats(name: str) -> None:
    """It is XML with a title, within its view box, and equal when drawn again."""
    drawn: str = getattr(figures, name)()
    root = ET.fromstring(drawn)
    assert root.findtext("{*}title")
    assert drawn == getattr(figures, name)()
    assert all(-1 <= float(dot.get("cx", "0")) <= figures.WIDTH for dot in root.iter("{http://www.w3.org/2000/svg}circle"))


def test_every_verdict_on_an_interval_is_drawn() -> None:
    """Those that an interval can get, from the function that judges."""
    shown = set(re.findall(r">([a-z ]+)</text>", figures.verdicts())) - {"promised"}
    assert shown == {"exceeded", "confirmed", "fell short", "missed", "refuted", "inconclusive"} & set(PromiseVerdict)


def test_pairs_find_the_change_that_separate_runs_hide() -> None:
    """The figure shows what the text says: separate runs differ from the truth, pairs do not."""
    apart, paired = (float(text) for text in re.findall(r"measured ([\d.]+)×", figures.pairs()))
    assert abs(apart - 1.10) > 0.08
    assert abs(paired - 1.10) < 0.02


def test_the_closed_model_hides_the_stall() -> None:
    """Its p95 is that of a server that does not stall, and the open model's is not."""
    opened, closed = (int(text) for text in re.findall(r"p95 ([\d,]+) ms", figures.omission()))
    assert opened > 500
    assert closed < 10


def test_the_processes_are_those_of_the_run() -> None:
    """One dot per fresh process, and the interval over them."""
    run = read_run(PUBLISHED)
    ratio, where = figures._ratio(run)
    drawn = figures.processes(run)
    assert where in drawn
    assert drawn.count('class="c"') == len(ratio.processes)
    assert f"[{ratio.low:.3g}, {ratio.high:.3g}]" in drawn
