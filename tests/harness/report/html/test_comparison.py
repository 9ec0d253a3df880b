"""The page of files of other tools: self-contained, escaped, and honest about what two files cannot show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.gate.result_files import side_by_side
from harness.importers import own_run
from harness.importers.reading import Reading, raw_timing
from harness.report.html.comparison import render, write
from harness.results.run import Run, RunWarning

HOSTILE = "<script>alert('x')</script> & \"quoted\" $x$ 日本語"


def reading(name: str, factor: float) -> Reading:
    """Return a file of two benchmarks, one of which has a name that means something to HTML and to Matplotlib."""
    values = [factor * 1e6 * (1 + i / 1e4) for i in range(30)]
    warnings = (RunWarning(HOSTILE, HOSTILE, HOSTILE),)
    return Reading(
        name, "tool", "a file", (raw_timing(HOSTILE, values), raw_timing("plain", values)), digest=name, warnings=warnings
    )


COMPARED = side_by_side(reading("old.json", 2), reading(f"{HOSTILE}.json", 1))
ALONE = own_run.of_file(reading("one.json", 1))


@pytest.mark.parametrize("run", [COMPARED, ALONE], ids=["two files", "one file"])
def test_the_page_needs_nothing_else_and_runs_nothing(run: Run) -> None:
    """No script, no address, and every name is text."""
    page = render(run)
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert "日本語" in page
    assert "plain" in page


def test_two_files_are_shown_with_verdicts_and_why_they_are_weak() -> None:
    """A tile a verdict, a figure with how to read it, and the warning that they are unpaired."""
    page = render(COMPARED)
    for text in ("improved", "regressed", "inconclusive", "<svg", "How to read this", "unpaired", "never shown to be equal"):
        assert text in page


def test_one_file_has_times_and_no_verdicts() -> None:
    """Nothing to judge it by."""
    page = render(ALONE)
    assert "1.00 ms" in page
    assert "regressed" not in page


def test_the_page_is_written_into_a_folder(tmp_path: Path) -> None:
    """Under the name that every report has."""
    assert write(ALONE, tmp_path / "deep") == tmp_path / "deep" / "report.html"
    assert (tmp_path / "deep" / "report.html").read_text() == render(ALONE)
