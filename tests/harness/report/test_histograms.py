"""Histograms of a load run, read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.report.histograms import HISTOGRAM_COLUMNS, read_histograms


def test_buckets_come_back(histogram_folder: Path) -> None:
    """Every bucket of every block is a row, and a group called NA is a group."""
    path = histogram_folder / "samples" / "indexes.csv"
    found = read_histograms(path)
    assert tuple(found.columns) == HISTOGRAM_COLUMNS
    assert found["count"].sum() == 4 * 2 * 2 * 400 * 2


@pytest.mark.parametrize("text", ["", "process,pair\n1,2\n", ",".join(HISTOGRAM_COLUMNS) + "\n0,0,0,a,g,response,many,1\n"])
def test_something_else_is_refused(tmp_path: Path, text: str) -> None:
    """An empty file, other columns and words for numbers are a one-line refusal, as is no file at all."""
    path = tmp_path / "histograms.csv"
    with pytest.raises(UsageError, match="cannot read the histograms"):
        read_histograms(path)
    path.write_text(text)
    with pytest.raises(UsageError, match="cannot read the histograms"):
        read_histograms(path)
