"""Commit messages: the form of a subject, as the hook of git and over this repository's history."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from tools.commit_message import LIMIT, SUBJECT, history, main, problems, written

GOOD = [
    "report: wrap long names",
    "gate, importers: read failures of both files",
    "pytest_plugin: need no configuration",
    "merge: reports in Japanese",
    "seed: feed rows in order",
    "docs: describe `harness init`\n\nThe reason, with a full stop.",
    f"run: {'keep '.ljust(LIMIT - 5, 'x')}",
]
BAD = {
    "": "is empty",
    "Fixed the report": "has no area",
    "report:wrap long names": "has no area",
    "report: ": "has no area",
    "Report: wrap long names": "has the area 'Report'",
    "pytest plugin: wrap long names": "has the area 'pytest plugin'",
    "Merge branch 'a' into b": "has no area",
    'Revert "report: wrap long names"': "has the area",
    "report: Wrap long names": "does not begin with a verb in lower case",
    "report: 3 long names": "does not begin with a verb in lower case",
    "report: wrapped long names": "'wrapped' in place of an imperative verb",
    "report: wrapping long names": "'wrapping' in place of an imperative verb",
    "report: the names of groups": "'the' in place of an imperative verb",
    "load: what decides": "'what' in place of an imperative verb",
    "report: wrap long names.": "ends with a full stop",
    "report: wip": "says 'wip'",
    "fixup! report: wrap long names": "says 'fixup'",
    "report: wrap names\nand more": "the second line is not empty",
    f"run: {'keep '.ljust(LIMIT - 4, 'x')}": f"has {LIMIT + 1} characters",
}


@pytest.mark.parametrize("message", GOOD)
def test_a_message_of_the_form_passes(message: str) -> None:
    """An area or several, a verb, an object; merges name what was merged."""
    assert problems(message) == []


@pytest.mark.parametrize(("message", "expected"), BAD.items())
def test_another_message_is_refused_with_what_to_write(message: str, expected: str) -> None:
    """Each problem names its part of the subject and ends in what to do."""
    found = problems(message)
    assert any(expected in line for line in found)
    assert all("; " in line for line in found)


@given(st.from_regex(SUBJECT, fullmatch=True).filter(lambda subject: "\n" not in subject), st.text())
def test_only_the_subject_decides(subject: str, body: str) -> None:
    """A body after an empty line adds no problem, whatever it holds."""
    assert problems(f"{subject}\n\n{body}") == problems(subject)


def test_what_an_editor_adds_is_not_part_of_the_message() -> None:
    """Comments and the diff of `git commit --verbose` are left out."""
    text = "\n# Please enter the message\nreport: wrap names\n# ------------------------ >8 ------------------------\ndiff\n"
    assert written(text) == "report: wrap names"


@pytest.mark.parametrize(("message", "code"), [("report: wrap names\n", 0), ("Wrapped names.\n", 1)])
def test_the_hook_reads_a_file(message: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Git passes a file and refuses the commit at another exit code than 0; what is wrong is printed."""
    file = tmp_path / "COMMIT_EDITMSG"
    file.write_text(message)
    assert main([str(file)]) == code
    assert bool(capsys.readouterr().err) == bool(code)


def test_the_history_has_messages_of_the_form() -> None:
    """Every commit of this repository since the last of another form."""
    try:
        commits = list(history())
    except UsageError as error:
        pytest.skip(str(error))
    assert len(commits) > 100
    assert {f"{commit[:7]}: {line}" for commit, message in commits for line in problems(message)} == set()
