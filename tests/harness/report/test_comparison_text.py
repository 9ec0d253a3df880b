"""Files of other tools in a terminal and as Markdown: whole in 80 columns, and safe whatever a benchmark is called."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from harness.gate.result_files import side_by_side
from harness.importers import own_run
from harness.importers.reading import Reading, raw_timing
from harness.report.comparison_text import markdown, terminal
from harness.results.run import Run

HOSTILE = "test_x[<b>|`tick`*a*_b_] [red]"


def reading(name: str, factor: float) -> Reading:
    """Return a file of two benchmarks, one of which has a name that means something everywhere."""
    values = [factor * 1e6 * (1 + i / 1e4) for i in range(30)]
    return Reading(name, "tool", "a file", (raw_timing(HOSTILE, values), raw_timing("plain", values)), digest=name)


RUNS = [side_by_side(reading("old.json", 2), reading("new.json", 1)), own_run.of_file(reading("one.json", 1))]


@pytest.mark.parametrize("run", RUNS, ids=["two files", "one file"])
@pytest.mark.parametrize("width", [80, 140])
def test_nothing_is_cut_off_in_a_terminal(run: Run, width: int) -> None:
    """Every name and every figure is there, and no line is longer than the terminal."""
    console = Console(file=io.StringIO(), width=width)
    console.print(terminal(run))
    said = console.file.getvalue()  # type: ignore[attr-defined] # it is the buffer from above
    assert max(map(len, said.splitlines())) <= width
    squeezed = "".join(said.split())
    assert "plain" in squeezed
    assert "1.00ms" in squeezed
    assert "[red]" in squeezed


def test_the_terminal_says_the_verdict_the_interval_and_the_warning() -> None:
    """The most that two files can show, and why it is not more."""
    console = Console(file=io.StringIO(), width=100)
    console.print(terminal(RUNS[0]))
    said = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined] # it is the buffer from above
    assert "▲ improved" in said
    assert "2.00×" in said
    assert "unpaired" in said


@pytest.mark.parametrize("run", RUNS, ids=["two files", "one file"])
def test_markdown_shows_names_as_they_are(run: Run) -> None:
    """A bar does not end a cell, and HTML is text."""
    said = markdown(run)
    assert "<b>" not in said
    rows = [line for line in said.splitlines() if line.startswith("| test")]
    assert rows
    columns = said.splitlines()[next(i for i, line in enumerate(said.splitlines()) if line.startswith("| benchmark"))].count("|")
    assert all(line.replace("\\|", "").count("|") == columns for line in rows)
    assert said.endswith("\n")
