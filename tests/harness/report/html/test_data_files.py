"""Links from a page to the data of its run, and the command that repeats it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.report.html import data_files
from harness.report.html.page import render
from harness.results.run import Run, ScenarioResult

MakeResult = Callable[..., ScenarioResult]
MakeRun = Callable[..., Run]


def test_only_files_that_are_there_are_linked(make_run: MakeRun, make_result: MakeResult, tmp_path: Path) -> None:
    """The others are named, on the page as well."""
    run = make_run(make_result(), make_result(rtt_ms=5.0, samples_file="samples/5 ms.csv"))
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "5 ms.csv").touch()
    found = data_files.links(run, tmp_path, None)
    assert found.there == (("samples/5 ms.csv", "./samples/5%20ms.csv"),)
    assert found.missing == ("run.json", "samples/indexes.csv")
    page = render(replace(run, scenarios=[replace(r, latencies=[], verdicts=[]) for r in run.scenarios]), tmp_path)
    assert '<a href="./samples/5%20ms.csv">samples/5 ms.csv</a>' in page
    assert "Not there when this page was written: run.json, samples/indexes.csv" in page


def test_a_page_elsewhere_leads_to_the_folder_of_the_run(make_run: MakeRun, tmp_path: Path) -> None:
    """Addresses are relative to the folder that the page is written to."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").touch()
    found = data_files.links(make_run(), tmp_path / "run", tmp_path / "pages" / "new")
    assert found.there == (("run.json", "./../../run/run.json"),)


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "javascript:alert(1)", "https://example.org/x", "a\0b", "x" * 10_000, "\udc80", "."]
)
def test_nothing_outside_the_folder_is_linked(name: str, make_run: MakeRun, make_result: MakeResult, tmp_path: Path) -> None:
    """A record can name anything as its samples file."""
    (tmp_path / "secret").touch()
    (tmp_path / "run").mkdir()
    found = data_files.links(make_run(make_result(samples_file=name)), tmp_path / "run", None)
    assert found.there == ()
    assert len(found.missing[1]) <= 100


def test_a_file_with_the_name_of_a_script_is_a_file(make_run: MakeRun, make_result: MakeResult, tmp_path: Path) -> None:
    """Its address is relative, and no scheme."""
    (tmp_path / "javascript:alert(1)").touch()
    found = data_files.links(make_run(make_result(samples_file="javascript:alert(1)")), tmp_path, None)
    assert [link for _, link in found.there] == ["./javascript%3Aalert%281%29"]


def test_a_run_is_repeated_at_its_commit(make_run: MakeRun) -> None:
    """The commit is checked out first; one that is not a commit is left out, and so is a command that is not recorded."""
    found = data_files.repeat(make_run(dirty=True))
    assert found == data_files.RepeatCommand("git checkout 3f9a1c2d5b\nharness run all --engine sqlite", "3f9a1c2d5b", dirty=True)
    for commit in (None, "", "HEAD; rm -rf x", "--help", "3F9A1C2D5B", "3f9a1c2d5b\n"):
        unknown = data_files.repeat(make_run(commit=commit))
        assert unknown is not None
        assert unknown.text == "harness run all --engine sqlite"
    assert data_files.repeat(make_run(command="")) is None


def test_a_command_shows_what_it_holds(make_run: MakeRun) -> None:
    """Direction marks and control characters are visible, since the text is there to be copied."""
    found = data_files.repeat(make_run(command="harness run \u202e\x1b[31m", commit=None))
    assert found is not None
    assert found.text == r"harness run \u202e\x1b[31m"


def test_the_page_states_what_the_commit_lacks(make_run: MakeRun) -> None:
    """Changes that were not committed, or an unknown commit."""
    assert "changes that were not committed" in render(make_run(dirty=True))
    assert "The commit is unknown" in render(make_run(commit=None))
