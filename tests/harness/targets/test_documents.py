"""Files of requests within limits."""

import os
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.targets import documents


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing one, a folder, a pipe and one that is too large are refused with the reason; the pipe is not waited for."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * 20)
    for name, message in (("none", "missing"), ("", "a folder"), ("pipe", "not a regular file"), ("large", "more than 0 MB")):
        with pytest.raises(UsageError, match=message):
            documents.bytes_of(tmp_path / name, 10)


def test_text_that_is_not_text(tmp_path: Path) -> None:
    """Another encoding and binary content are refused; a byte order mark is not a part of the text."""
    file = tmp_path / "a.txt"
    for content, message in ((b"\xff\xfe", "not UTF-8"), (b"a\0b", "null characters")):
        file.write_bytes(content)
        with pytest.raises(UsageError, match=message):
            documents.text_of(file)
    file.write_bytes(b"\xef\xbb\xbfGET /")
    assert documents.text_of(file) == "GET /"


def test_json_that_is_invalid_or_nested_too_deeply() -> None:
    """Both are refused in one line."""
    file = Path("a.json")
    with pytest.raises(UsageError, match=r"a\.json is not valid JSON"):
        documents.json_of(file, b"{", dict)
    with pytest.raises(UsageError, match="nested too deeply"):
        documents.json_of(file, b'{"a":' * 100_000 + b"1" + b"}" * 100_000, dict)
    with pytest.raises(UsageError, match="has another form"):
        documents.json_of(file, b"[]", dict)


def test_yaml_that_is_invalid_or_hostile() -> None:
    """Deep nesting, merges that multiply, and unsafe tags are refused; a date stays text."""
    pytest.importorskip("yaml")
    file = Path("a.yaml")
    assert documents.yaml_of(file, b"a: 2024-01-01\nb: [1]") == {"a": "2024-01-01", "b": [1]}
    for content, message in (
        (b"a: [", "line 1"),
        (b"[" * 5_000, "nested too deeply|not valid YAML"),
        (b"!!python/object:os.x 1", "not valid"),
    ):
        with pytest.raises(UsageError, match=message):
            documents.yaml_of(file, content)


def test_merged_members_of_yaml_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mappings that are merged again and again would multiply."""
    pytest.importorskip("yaml")
    monkeypatch.setattr(documents, "MAX_YAML_NODES", 20)
    base = "a: &a {" + ", ".join(f"k{i}: 1" for i in range(10)) + "}\n"
    with pytest.raises(UsageError, match="more than 20 merged members"):
        documents.yaml_of(Path("a.yaml"), (base + "b:\n  <<: [*a, *a, *a]\n").encode())
