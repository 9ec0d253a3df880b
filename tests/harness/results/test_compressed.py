"""Compressed files are read whole or refused, and never grow beyond the limit."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.results.compressed import GZIP, bytes_of, unpacked

FILE = Path("run.json.gz")


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=3))
def test_every_member_is_decompressed(parts: list[bytes]) -> None:
    """Members that were appended to one another are read as one content."""
    assert unpacked(FILE, b"".join(map(gzip.compress, parts))) == b"".join(parts)


@given(st.binary().filter(lambda body: not body.startswith(GZIP)))
def test_other_content_is_returned_as_it_is(body: bytes) -> None:
    """A file that is not compressed stays the same."""
    assert unpacked(FILE, body) == body


@given(st.integers(min_value=2, max_value=40))
def test_a_truncated_file_is_refused(end: int) -> None:
    """A file that is cut anywhere is named, and nothing of it is returned."""
    body = gzip.compress(bytes(range(256)))
    with pytest.raises(UsageError, match="is truncated"):
        unpacked(FILE, body[:end])


def test_content_above_the_limit_is_refused() -> None:
    """A small file cannot fill the memory."""
    with pytest.raises(UsageError, match="more than the limit of 1 MB"):
        unpacked(FILE, gzip.compress(bytes(2 * 2**20)), 2**20)


def test_a_bomb_is_refused_by_its_ratio() -> None:
    """What grows as no result does is refused before it is large; small contents may have any ratio."""
    bomb = gzip.compress(bytes(64 * 2**20))
    with pytest.raises(UsageError, match=r"decompresses to more than 200 times its [\d,]+ bytes"):
        unpacked(FILE, bomb)
    assert len(unpacked(FILE, gzip.compress(bytes(2**20)))) == 2**20


def test_only_regular_files_within_the_limit_are_read(tmp_path: Path) -> None:
    """A pipe or a device would never end, and a large file would fill the memory."""
    file = tmp_path / "x"
    file.write_bytes(b"12345")
    assert bytes_of(file, 5) == b"12345"
    with pytest.raises(UsageError, match="more than the limit of 0 MB; name a smaller file"):
        bytes_of(file, 4)
    for other in (tmp_path, Path("/dev/zero")):
        with pytest.raises(UsageError, match="is not a regular file"):
            bytes_of(other)
    with pytest.raises(FileNotFoundError):
        bytes_of(tmp_path / "missing")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (GZIP + b"\x08\xff" + bytes(20), "cannot be decompressed"),
        (gzip.compress(b"{}", mtime=0) + b"more", "has 4 bytes after its compressed content"),
    ],
)
def test_a_damaged_file_is_refused(body: bytes, message: str) -> None:
    """The reason and the file are named."""
    with pytest.raises(UsageError, match=rf"run\.json\.gz {message}"):
        unpacked(FILE, body)
