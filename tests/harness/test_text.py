"""Text as bytes: substitutes for characters that an encoding lacks, and escapes for bytes that are not valid text."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness import text
from harness.redaction import redacted

SOURCES = Path(text.__file__).parent


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "koi8-r", "utf-8", "utf-16"])
def test_every_text_can_be_written(encoding: str) -> None:
    """Arrows, marks, letters of any script and half surrogate pairs are written in every encoding."""
    written = "2.0× → 3 µs … ✓ größe Ж \udcff \ud800 😀".encode(encoding, text.ERRORS)
    assert "3 " in written.decode(encoding)


def test_our_own_characters_have_a_like_in_ascii() -> None:
    """The words stay readable."""
    written = "35 ms → 2.4 s · 1.4× faster … ✓ ±2 ≤ 3 –".encode("ascii", text.ERRORS)
    assert written == b"35 ms -> 2.4 s | 1.4x faster ... + +/-2 <= 3 -"
    assert "größe \udcff".encode("ascii", text.ERRORS) == rb"gr\xf6\xdfe \xff"
    assert text.encode("größe \udcff \ud800") == "größe \\xff \\ud800".encode()


def test_every_character_that_we_print_has_a_substitute() -> None:
    """No message of the harness needs an escape; names of people and sections are in comments, which are not printed."""
    used = {c for file in SOURCES.rglob("*.py") for c in file.read_text(encoding="utf-8") if ord(c) > 127}
    assert used - set(text.SUBSTITUTES) <= {"ü", "§"}


def test_a_record_with_half_a_surrogate_pair_is_valid_json() -> None:
    """Such text becomes an escape wherever it is, and other records are encoded as msgspec does."""
    record: dict[str, Any] = {"a\udcff": ["b\ud800", 1, None, float("nan")], "c": {"d": "é"}}
    assert json.loads(text.encode_json(record)) == {"a\\xff": ["b\\ud800", 1, None, None], "c": {"d": "é"}}
    assert text.encode_json({"c": "é"}) == msgspec.json.encode({"c": "é"})


def test_json_for_a_terminal_without_utf_8_is_ascii() -> None:
    """Characters become escapes of JSON, one per UTF-16 code unit, so the value stays the same."""
    body = msgspec.json.encode({"name": "größe → 😀"})
    written = text.ascii_json(body)
    assert written.isascii()
    assert json.loads(written) == {"name": "größe → 😀"}


@pytest.mark.parametrize(
    ("encoding", "expected"), [("utf-8", True), ("UTF8", True), (None, True), ("latin-1", False), ("?", False)]
)
def test_utf_8_has_several_names(encoding: str | None, expected: bool) -> None:
    """An unknown encoding is not UTF-8."""
    assert text.is_utf8(encoding) is expected


@given(st.text())
def test_a_printable_text_has_no_control_characters(name: str) -> None:
    """All but line breaks are escaped; what was printable stays as it is."""
    made = text.printable(name)
    assert all(unicodedata.category(c) not in {"Cc", "Cf", "Zl", "Zp"} or c == "\n" for c in made)
    if name.isprintable():
        assert made == name


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("a\u202eb\u200b", r"a\u202eb\u200b"),
        ("a\tb\rc", r"a b\rc"),
        ("größe 日本語 😀 a\u00a0b", "größe 日本語 😀 a\u00a0b"),
    ],
)
def test_what_a_terminal_obeys_is_escaped(hostile: str, shown: str) -> None:
    """Colours, bells, the direction of text and carriage returns; letters of any script are shown."""
    assert text.printable(hostile) == shown


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("::error::x", ": :error::x"),
        ("  ::add-mask::x", "  : :add-mask::x"),
        ("a ##[group]b", "a ## [group]b"),
        ("##vso[task.setvariable variable=x]y", "## vso[task.setvariable variable=x]y"),
        ("##teamcity[message text='x']", "## teamcity[message text='x']"),
        ("#1 ## heading", "#1 ## heading"),
        ("std::vector", "std::vector"),
    ],
)
def test_a_log_of_a_ci_service_obeys_no_line(line: str, shown: str) -> None:
    """In neither form of the commands of GitHub Actions, nor those of Azure Pipelines and TeamCity."""
    assert text.without_command(line) == shown
    assert text.message_line(f"a\n{line}\x1b").startswith("a ")
    assert "\x1b" not in text.message_line(f"a\n{line}\x1b")


@given(st.text())
def test_texts_for_a_page_keep_their_length_and_white_space(value: str) -> None:
    """Each character that a page must not have is one replacement character, and nothing else changes."""
    assume(redacted(value) == value)
    found = text.for_page(value)
    assert len(found) == len(value)
    assert all(b in {a, "\ufffd"} for a, b in zip(value, found, strict=True))
    assert not {"\x00", "\x1b", "\x9b", "\u202e", "\u2066"} & set(found)
    assert text.for_page("a\tb\nc é 日本語 \u200f") == "a\tb\nc é 日本語 \u200f"
