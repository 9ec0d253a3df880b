"""The file of a load test's histograms."""

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.results.store import HISTOGRAM_COLUMNS, read_histograms, write_histograms

ROWS = [
    (1, 0, 0, "baseline", "read", "response", 1024, 3),
    (1, 0, 1, "optimised", "NA", "service", 2**62, 1),
    (2, 1, 0, "baseline", 'a "quoted", group', "queue", 0, 2),
]


def test_written_rows_are_read_back(tmp_path: Path) -> None:
    """Rows come back with the same values and types; a group called NA stays a group."""
    path = tmp_path / "samples" / "indexes.csv"
    write_histograms(ROWS, path)
    found = read_histograms(path)
    assert tuple(found) == HISTOGRAM_COLUMNS
    assert list(zip(*(column.tolist() for column in found.values()), strict=True)) == ROWS


@pytest.mark.parametrize("text", ["", "process,pair\n1,2\n", ",".join(HISTOGRAM_COLUMNS) + "\n0,0,0,a,g,response,many,1\n"])
def test_invalid_file_is_rejected(tmp_path: Path, text: str) -> None:
    """A missing or empty file, other columns and text instead of numbers raise an error of one line."""
    path = tmp_path / "histograms.csv"
    with pytest.raises(UsageError, match="cannot read the histograms"):
        read_histograms(path)
    path.write_text(text)
    with pytest.raises(UsageError, match="cannot read the histograms"):
        read_histograms(path)


def test_an_unwritable_folder_is_an_error(tmp_path: Path) -> None:
    """It raises an error of one line."""
    (tmp_path / "samples").write_text("a file")
    with pytest.raises(UsageError, match="cannot write"):
        write_histograms(ROWS, tmp_path / "samples" / "indexes.csv")
