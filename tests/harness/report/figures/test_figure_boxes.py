"""The figures of a page in their boxes."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.report.figures import of_scenario
from harness.results.run import ScenarioResult
from harness.results.store import write_samples
from tests.harness.report.conftest import samples

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
    assert missing == ["Latency distribution", "Latency by percentile"]


def test_figures_of_pairs_have_panels_a_table_and_the_samples(
    make_result: Callable[..., ScenarioResult], sample_folder: Path
) -> None:
    """Each box has a panel per group, the same content as a table, and names the file of the raw samples where it draws them."""
    boxes = list(of_scenario(make_result(), "card", sample_folder))
    assert [box.title.partition(",")[0] for box in boxes] == [
        "Times faster than the baseline",
        "Latency distribution",
        "Latency by percentile",
        "Memory over time",
        "Growth with the data",
    ]
    assert all(box.table is not None and box.table.rows and len(box.panels) == 1 for box in boxes)
    assert [box.samples_link for box in boxes] == ["./samples/indexes.csv" if number < 3 else "" for number in range(5)]
    assert boxes[0].samples_note == "135 of 270 pairs drawn, all of them in"


def test_the_link_to_samples_stays_in_the_folder(make_result: Callable[..., ScenarioResult], sample_folder: Path) -> None:
    """A file name that looks like an address is a relative path."""
    result = make_result(samples_file="javascript:alert(1)")
    (sample_folder / "javascript:alert(1)").write_bytes((sample_folder / "samples" / "indexes.csv").read_bytes())
    assert {box.samples_link for box in of_scenario(result, "card", sample_folder)} == {"", "./javascript%3Aalert%281%29"}


def test_panels_share_no_id_and_name_their_group(make_result: Callable[..., ScenarioResult], sample_folder: Path) -> None:
    """A panel has no id, link or inline style, and is described by its figure, scenario and group."""
    panels = [svg for box in of_scenario(make_result(), "card", sample_folder) for _, svg in box.panels]
    assert not any(re.search(r' (?:id|href|style)="|<style|<!--|<defs', svg) for svg in panels)
    assert all("Composite indexes: user&#x27;s prompts" in svg for svg in panels)


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
    drawn = "".join(svg for box in of_scenario(wide, "card", tmp_path) for _, svg in box.panels)
    assert len(drawn.encode()) <= 50_000
    assert drawn.count("<") - drawn.count("</") <= 900
