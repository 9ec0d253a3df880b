"""The file of a load test's histograms."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.results.histograms import HISTOGRAM_COLUMNS, write_histograms

ROWS = [
    (1, 0, 0, "baseline", "read", "response", 1024, 3),
    (2, 1, 0, "baseline", 'a "quoted", group', "queue", 0, 2),
]


def test_rows_are_written_below_their_columns(tmp_path: Path) -> None:
    """The folder is created, and texts are quoted."""
    path = tmp_path / "samples" / "indexes.csv"
    write_histograms(ROWS, path)
    with path.open(newline="") as text:
        assert list(csv.reader(text)) == [list(HISTOGRAM_COLUMNS), *(list(map(str, row)) for row in ROWS)]


def test_an_unwritable_folder_is_an_error(tmp_path: Path) -> None:
    """It raises an error of one line."""
    (tmp_path / "samples").write_text("a file")
    with pytest.raises(UsageError, match="cannot write"):
        write_histograms(ROWS, tmp_path / "samples" / "indexes.csv")
