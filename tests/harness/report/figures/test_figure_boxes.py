"""The figures of a page in their boxes."""

import re
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from harness.report.figures import IN_BRIEF, drawings, of_scenario
from harness.results.run import ScenarioResult
from harness.results.store import write_samples
from tests.harness.report.conftest import samples

LONGEST = 125
"""The length of a reading aid that fits one line of the page."""
UNDER_LOAD = ["Response time by percentile, under load", "Capacity: latency against throughput", "The run over time"]


@pytest.mark.parametrize("with_samples", [True, False])
def test_figures_under_load_need_no_histograms(
    load_result: ScenarioResult, histogram_folder: Path, tmp_path: Path, *, with_samples: bool
) -> None:
    """With the histograms or without, a run under load has its three figures, and no box about missing samples."""
    boxes = list(of_scenario(load_result, histogram_folder if with_samples else tmp_path))
    assert [box.title for box in boxes] == UNDER_LOAD
    assert not any(box.missing for box in boxes)
    assert all(box.wide == (len(box.panels) > 1) and box.panels for box in boxes)


def test_figures_that_need_samples_are_left_out_without(make_result: Callable[..., ScenarioResult], tmp_path: Path) -> None:
    """Only figures of single operations are left out without samples, with the reason."""
    missing = [box.title for box in of_scenario(make_result(), tmp_path) if box.missing]
    assert missing == ["Latency distribution", "Latency by percentile"]


def test_figures_of_pairs_have_panels_a_table_and_the_samples(
    make_result: Callable[..., ScenarioResult], sample_folder: Path
) -> None:
    """Each box has a panel per group, and its content as a table or the name of the one above that has it.

    It names the file of the raw samples where it draws them.
    """
    boxes = list(of_scenario(make_result(), sample_folder, samples_link="./samples/indexes.csv"))
    assert [box.title.partition(",")[0] for box in boxes] == [
        "Times faster than the baseline",
        "Latency distribution",
        "Latency by percentile",
        "Memory over time",
        "Growth with the data",
    ]
    assert all(len(box.panels) == 1 for box in boxes)
    assert [bool(box.table and box.table.rows) for box in boxes] == [False, True, False, True, True]
    assert [bool(box.twin) for box in boxes] == [True, False, True, False, False]
    assert [box.samples_link for box in boxes] == ["./samples/indexes.csv" if number < 3 else "" for number in range(5)]
    assert {box.samples_file for box in boxes[:3]} == {"samples/indexes.csv"}
    assert boxes[0].samples_note == "54 of 270 pairs drawn, all of them in"


def test_in_brief_there_are_figures_of_the_record_only(
    load_result: ScenarioResult, make_result: Callable[..., ScenarioResult], sample_folder: Path
) -> None:
    """A page of many engines and RTTs has neither pairs nor distributions, and says so; the tables of the card are enough."""
    boxes = list(of_scenario(make_result(), sample_folder, in_brief=True))
    assert [box.title.partition(",")[0] for box in boxes] == [
        "Times faster than the baseline",
        "Memory over time",
        "Growth with the data",
    ]
    assert [list(box.notes) for box in boxes] == [[IN_BRIEF], [], []]
    assert not any(box.table or box.samples_link for box in boxes)
    assert sum(len(svg) for box in boxes for _, svg in box.panels) < 4500
    assert [box.title for box in of_scenario(load_result, None, in_brief=True)] == UNDER_LOAD[:2]


def test_samples_that_are_not_there_have_no_link(make_result: Callable[..., ScenarioResult], sample_folder: Path) -> None:
    """Their name is shown all the same."""
    boxes = list(of_scenario(make_result(), sample_folder))
    assert {box.samples_link for box in boxes} == {""}
    assert {box.samples_file for box in boxes} == {"samples/indexes.csv", ""}


def test_panels_share_no_id_and_name_their_group(make_result: Callable[..., ScenarioResult], sample_folder: Path) -> None:
    """A panel has no id, link or inline style, and is described by its figure and group."""
    panels = [svg for box in of_scenario(make_result(), sample_folder) for _, svg in box.panels]
    assert not any(re.search(r' (?:id|href|style)="|<style|<!--|<defs', svg) for svg in panels)
    assert all(": user&#x27;s prompts" in svg for svg in panels)


def test_a_card_of_many_groups_stays_small(make_result: Callable[..., ScenarioResult], tmp_path: Path) -> None:
    """Ten groups of four arms with 1,500 pairs each take at most 5,000 bytes and 90 elements per group."""
    one = make_result()
    names = [f"group {number}" for number in range(10)]
    wide = replace(
        one,
        groups=dict.fromkeys(names, ""),
        ratios=[replace(ratio, group=name) for name in names for ratio in one.ratios],
        latencies=[replace(latency, group=name) for name in names for latency in one.latencies],
        samples_file="many.csv",
    )
    write_samples((replace(slot, group=name) for name in names for slot in samples(5, 300)), tmp_path / "many.csv")
    drawn = "".join(svg for box in of_scenario(wide, tmp_path) for _, svg in box.panels)
    assert len(drawn.encode()) <= 50_000
    assert drawn.count("<") - drawn.count("</") <= 900


def test_every_figure_has_a_title_and_how_to_read_it() -> None:
    """Each file of the folder draws a run or a scenario, and has one line on how to read it."""
    names = [drawing.__name__.rpartition(".")[2] for drawing in drawings()]
    assert names == [
        *("ablation", "load_percentiles", "capacity", "load_timeline"),
        *("ratio", "distribution", "percentiles", "memory", "growth"),
    ]
    assert all(hasattr(drawing, "draw") != hasattr(drawing, "draw_run") for drawing in drawings())
    assert all(drawing.TITLE and drawing.HOW_TO_READ.endswith(".") for drawing in drawings())
    assert all(len(drawing.HOW_TO_READ) <= LONGEST for drawing in drawings())


def test_the_style_sheets_define_every_colour_and_class(make_result: Callable[..., ScenarioResult], sample_folder: Path) -> None:
    """Every colour of a figure is defined for the light and the dark page, and every class of a mark has a rule."""
    folder = files("harness.report.html")
    own, page = ((folder / name).read_text(encoding="utf-8") for name in ("figure.css", "style.css"))
    assert all(len(re.findall(rf"{colour}:", page)) >= 2 for colour in set(re.findall(r"var\((--(?!sans)[\w-]+)\)", own)))
    drawn = "".join(svg for box in of_scenario(make_result(), sample_folder) for _, svg in box.panels)
    classes = {name for names in re.findall(r'class="([^"]+)"', drawn) for name in names.split()}
    assert {name for name in classes if f".{name}" not in own} == {"l"} - set(re.findall(r"\.(l)\b", own))
