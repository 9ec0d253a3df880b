"""Hostile text: what is obeyed is found, in outputs and in files, and a sample of real commands obeys nothing."""

from pathlib import Path

import pytest

from tools.chaos import hostile_text
from tools.chaos.commands_tried import tried
from tools.chaos.hostile_text import HOSTILE, Shown, attempts, judged, prepare, section, shown, written


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("g.md", "a [x](<y>) \\@team", ""),
        ("g.md", "hello @team", "a comment obeys '@'"),
        ("g.md", "![a](https://b)", "a comment obeys '!['"),
        ("g.md", "<script>", "a comment obeys '<script>'"),
        ("g.md", "\x1b[31m", r"a terminal obeys '\x1b'"),
        ("g.xml", "<a>text</a>", ""),
        ("g.xml", "<a>", "not XML: no element found: line 1, column 3"),
        ("g.html", "<p>&lt;script>alert", ""),
        ("g.html", "<script>alert(1)", "a page obeys '<script>alert'"),
        ("g.html", "\u202e", "a page obeys '\\u202e'"),
    ],
)
def test_files_are_judged(name: str, body: str, expected: str) -> None:
    """Markdown, XML and pages, each by what its readers obey."""
    assert judged(name, body) == expected


def test_an_output_that_is_obeyed_misses_the_requirement() -> None:
    """The note has the text, the command and what is obeyed."""
    good, bad = Shown("colours", "report", "", is_shown=True), Shown("colours", "list", "a log obeys '::'", is_shown=True)
    assert section([good]).is_met
    assert not section([good, bad]).is_met
    assert section([good, bad]).notes == ["colours: list: a log obeys '::'"]
    assert section([good, bad]).tables[0].rows == [["colours", "2", "2", "1"]]
    assert not section([]).is_met


@pytest.mark.slow
def test_a_sample_of_commands_obeys_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text reaches at least half of their outputs, and the files that a gate writes."""
    monkeypatch.setattr(hostile_text, "HOSTILE", {name: HOSTILE[name] for name in ("colours and titles", "line breaks")})
    prepare(tmp_path)
    chosen = [each for each in attempts(tmp_path) if each.words and each.words[0] in {"report", "gate", "list", "--help"}]
    found = [*map(shown, chosen, tried(chosen, tmp_path)), *written(tmp_path)]
    assert [each for each in found if each.problem] == []
    assert sum(each.is_shown for each in found) > len(found) / 2
