"""A gate's result for GitHub Actions: annotations that no text can break out of, and a summary that is shown."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.github import MOST, MOST_TEXT, commands, summary
from harness.results.gate import GateResult, GateVerdict
from harness.results.run import RunWarning
from tests.harness.report.gates import hostile, result, row

COMMAND = re.compile(r"::(error|warning|notice) title=[^:,\r\n]*::[^\r\n]*")


@pytest.mark.parametrize(
    ("verdict", "level"),
    [
        ("regressed", "error"),
        ("not comparable", "error"),
        ("inconclusive", "warning"),
        ("improved", "notice"),
        ("equivalent", "notice"),
    ],
)
def test_the_verdict_is_annotated_by_its_weight(verdict: GateVerdict, level: str) -> None:
    """It is an error if the build fails, a warning if undecided, else a notice."""
    (line,) = commands(GateResult("a", "b", verdict, "so"))
    assert line.startswith(f"::{level} title=harness gate::")
    assert line.endswith(f"{verdict}: so")


def test_every_change_and_reason_is_annotated() -> None:
    """The worst are first; equal and unjudged figures have none."""
    lines = commands(result())
    assert Counter(line.split(" ", 1)[0] for line in lines) == {"::error": 5, "::warning": 2, "::notice": 1}
    assert (
        "::error title=regressed%3A indexes · sqlite::optimised · prompts · statements 3 → 4 (+33.3 %25): because it is regressed"
        in lines
    )


def test_names_cannot_begin_a_command() -> None:
    """Special characters are escaped, and nothing has a second line."""
    for line in commands(hostile()):
        assert COMMAND.fullmatch(line)
        assert "\x1b" not in line
        assert "\x00" not in line
    assert any("\\r%0A: :error::boo" in line and "%250A" in line for line in commands(hostile()))


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_one_command(name: str, message: str) -> None:
    """Any name and message gives one line per command."""
    found = GateResult(
        "a",
        "b",
        GateVerdict.NOT_COMPARABLE,
        message,
        [row("regressed", scenario=name, reason=message)],
        [RunWarning(name, message, message)],
    )
    lines = commands(found)
    assert len(lines) == 3
    assert all(COMMAND.fullmatch(line) and len(line.splitlines()) == 1 for line in lines)


def test_annotations_are_limited_to_what_github_shows() -> None:
    """GitHub drops further annotations silently; the last one gives their number."""
    many = GateResult("a", "b", GateVerdict.REGRESSED, "so", [row("regressed")] * 30 + [row("improved")] * 3)
    lines = commands(many)
    assert Counter(line.split(" ", 1)[0] for line in lines) == {"::error": MOST, "::notice": 3}
    assert lines[MOST - 1].endswith("and 22 more; see the job's summary")


def test_a_summary_is_short_whatever_the_texts() -> None:
    """GitHub does not show one of more than 1 MiB at all; it ends with an empty line, so that more can be appended."""
    long = GateResult("a", "b", GateVerdict.REGRESSED, "日" * 10**6, [], [RunWarning("n", "日" * 10**6, "r")] * 5_000)
    assert len(summary(long).encode()) < 10_000
    assert summary(result()).endswith("\n\n")
    assert summary(hostile())


def test_long_texts_are_shortened_in_their_middle() -> None:
    """A name of ten thousand characters is an annotation of the usual length."""
    found = GateResult("a", "b", GateVerdict.REGRESSED, "x" * 10_000, [row("regressed", scenario="y" * 10_000)])
    assert all(len(line) < MOST_TEXT + 200 for line in commands(found))
