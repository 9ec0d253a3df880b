"""Any file as text: decoded, decompressed, outlined, or refused with the true reason."""

import gzip
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.importers.content import explained, read

Written = Callable[[str | bytes], Path]


def test_numbers_that_are_not_finite_become_text(written: Written) -> None:
    """They are not JSON, but Python and JavaScript write them; strings that contain them are kept."""
    body = '{"a": NaN, "b": [-Infinity, inf, 1.5], "c": "NaN, \\"Infinity", "d": -nan}'
    content = read(written(body))
    assert content is not None
    assert content.problem == ""
    assert content.member("a") == b'"NaN"'
    assert content.member("b") == b'["-Infinity", "inf", 1.5]'
    assert content.member("c") == b'"NaN, \\"Infinity"'
    assert content.member("d") == b'"-nan"'


def test_the_digest_is_that_of_the_bytes_on_disk(written: Written) -> None:
    """A user can check it with sha256sum."""
    body = '{"a": 1}'.encode("utf-16")
    content = read(written(body))
    assert content is not None
    assert content.digest == sha256(body).hexdigest()
    assert content.body == b'{"a": 1}'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("remember the milk\n", ""),
        ("see [1] and {braces}\n", ""),
        ("log {\nnot json\n", ""),
        ('"just a string"', ""),
        ('{"a": 1}', ""),
        ('{"a": 1} more', "has text after the JSON, from byte 9 on: 'more'; remove it, or name another file"),
        ("[INFO] a\n[1, 2]\n", "has text before the JSON (line 1): '[INFO] a'; remove it, and send messages elsewhere"),
    ],
)
def test_text_around_json_is_named_and_other_text_is_not(body: str, reason: str, written: Written) -> None:
    """Braces alone are not JSON."""
    content = read(written(body))
    assert content is not None
    assert explained(content) == reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"PK\x03\x04rest", "is a zip archive (or a spreadsheet); unpack it"),
        (b"BZh91AY", "is a bzip2 file; unpack it"),
        (b"\xfd7zXZ\0\0", "is an xz file"),
        (b"\x28\xb5\x2f\xfd\x00", "is a zstd file"),
        (b"SQLite format 3\0" + bytes(50), "is a SQLite database"),
        (b"\x89PNG\r\n\x1a\n", "is a PNG image"),
        (b"%PDF-1.7", "is a PDF document"),
        (b"\x80\x04\x95", "is a Python pickle"),
    ],
)
def test_binary_files_are_named(body: bytes, reason: str, written: Written) -> None:
    """The first bytes are enough."""
    with pytest.raises(UsageError) as refused:
        read(written(body))
    assert reason in str(refused.value)


def test_a_run_of_this_harness_is_read_from_its_own_file(written: Written) -> None:
    """It may be compressed; a copy in another encoding is named as what it is."""
    body = '{"schema_version": 2}'
    assert read(written(body)) is None
    assert read(written(gzip.compress(body.encode()))) is None
    for other in (body.encode("utf-16"), gzip.compress(body.encode("utf-8-sig"))):
        with pytest.raises(UsageError, match="is a run of this harness, but not plain UTF-8"):
            read(written(other))
