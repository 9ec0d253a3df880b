"""Recorded arrivals: exact both ways, in both kinds of file, and every error names the file and the line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.load.trace import read_trace, write_trace

MOST = 1000


@given(offsets=st.lists(st.integers(0, 10**15), min_size=1, max_size=50).map(sorted))
def test_what_was_written_is_read_to_the_nanosecond(tmp_path_factory: pytest.TempPathFactory, offsets: list[int]) -> None:
    """A run's own trace replays exactly."""
    file = tmp_path_factory.mktemp("trace") / "trace.csv"
    write_trace(file, np.array(offsets, dtype=np.int64))
    assert read_trace(file, MOST).tolist() == offsets


@pytest.mark.parametrize(
    "text",
    [
        "0.5\n1.5\n",
        "# recorded on a Monday\n\n  0.5  \n\n1.5",
        "at_s\n0.5\n1.5\n",
        'arm,"at_s",group\nbaseline,0.5,"read, one"\n# half way\nbaseline, 1.5 ,write\n',
        "\ufeffat_s\r\n0.5\r\n1.5\r\n",
    ],
)
def test_a_text_and_a_csv_say_the_same(tmp_path: Path, text: str) -> None:
    """One a line or a column among others; comments, blank lines, spaces, a byte-order mark and Windows' line ends mean nothing."""
    file = tmp_path / "trace"
    file.write_bytes(text.encode())
    assert read_trace(file, MOST).tolist() == [500_000_000, 1_500_000_000]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1\n\n0.5\n", r"trace, line 3: 0.5 s is before the arrival above it"),
        ("1\nsoon\n", r"trace, line 2: 'soon' is no arrival"),
        ("-0.1\n", r"trace, line 1: '-0.1' is no arrival"),
        ("nan\n", r"trace, line 1: 'nan' is no arrival"),
        ("sNaN\n", r"trace, line 1: 'sNaN' is no arrival"),
        ("0\ninf\n", r"trace, line 2: 'inf' is no arrival"),
        ("1000001\n", r"trace, line 1: '1000001' is no arrival.*from 0 to 1000000"),
        ("1 2\n", r"trace, line 1: '1 2' is no arrival"),
        ("start,end\n1,2\n", r"trace, line 1: a CSV of arrivals has a column at_s; here are start, end"),
        ("arm,at_s\nbaseline\n", r"trace, line 2: nothing in column at_s"),
        ("at_s\n", r"trace has no arrivals"),
        ("# nothing\n", r"trace has no arrivals"),
        ("", r"trace has no arrivals"),
        ("0\n" * (MOST + 1), rf"trace, line {MOST + 1}: more than {MOST} arrivals"),
        ("at_s," + "x" * 200_000 + "\n1\n", r"trace is no CSV of arrivals"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, says: str) -> None:
    """The line says which file and which line, and what is wrong with it."""
    file = tmp_path / "trace"
    file.write_text(text)
    with pytest.raises(UsageError, match=says):
        read_trace(file, MOST)


def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path) -> None:
    """Missing, a folder, or no text: each is named."""
    with pytest.raises(UsageError, match=r"missing cannot be read: No such file"):
        read_trace(tmp_path / "missing", MOST)
    with pytest.raises(UsageError, match=r"cannot be read: Is a directory"):
        read_trace(tmp_path, MOST)
    (tmp_path / "latin").write_bytes(b"# \xe9t\xe9\n1\n")
    with pytest.raises(UsageError, match=r"latin is no UTF-8 text"):
        read_trace(tmp_path / "latin", MOST)
