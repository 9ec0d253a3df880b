"""Commands that are tried: what is right and wrong of an outcome, and real ones in processes of their own."""

from dataclasses import replace
from pathlib import Path

import pytest

from tools.chaos.commands_tried import Attempt, TriedOutcome, obeyed, problem, tried

ATTEMPT = Attempt("options", "a name", ["run"])
REFUSED = TriedOutcome(2, "", "harness: no such thing; do that\n")


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (REFUSED, ""),
        (replace(REFUSED, code=None), "did not end within 60 s"),
        (replace(REFUSED, code=1), "exit code 1 instead of 2"),
        (replace(REFUSED, code=0), "exit code 0 instead of 2"),
        (replace(REFUSED, code=-9), "exit code -9 instead of 2"),
        (TriedOutcome(2, "", ""), "0 lines on standard error instead of one"),
        (TriedOutcome(2, "", "one\ntwo\n"), "2 lines on standard error instead of one"),
        (TriedOutcome(2, "a table\n", REFUSED.err), "prints something on standard output"),
        (TriedOutcome(1, "", "Traceback (most recent call last):\n  x\n"), "traceback"),
        (TriedOutcome(70, "", "harness: internal error (KeyError: 1); report it\n"), "internal error"),
        (TriedOutcome(2, "", "harness: \x1b[31m\n"), r"a terminal obeys '\x1b'"),
        (TriedOutcome(2, "", "::error::x\n"), "a log obeys '::e'"),
        (TriedOutcome(2, "", "harness: ##[error]x\n"), "a log obeys '##['"),
    ],
)
def test_an_outcome_is_judged(outcome: TriedOutcome, expected: str) -> None:
    """By its exit code, one line, nothing else, and nothing that is obeyed."""
    assert problem(ATTEMPT, outcome) == expected


def test_what_an_attempt_may_do_is_not_wrong() -> None:
    """Other exit codes, more output, and the annotations that are asked for."""
    shown = TriedOutcome(0, "a table\n::error title=x::y\n", "")
    assert problem(replace(ATTEMPT, codes=(0,), is_quiet=False, words=["gate", "--github"]), shown) == ""
    assert problem(replace(ATTEMPT, codes=(0,), is_quiet=False), shown) == "a log obeys '::e'"


def test_ordinary_text_is_not_obeyed() -> None:
    """Letters of any script, and colons within a line."""
    assert obeyed("größe → 3 µs · t.py::test_x\n  C# #12\n") == ""
    assert obeyed("\u202e") == r"a terminal obeys '\u202e'"


@pytest.mark.slow
def test_commands_are_tried_in_processes_of_their_own(tmp_path: Path) -> None:
    """Each with its exit code, streams, environment and folder; one that hangs is ended."""
    (tmp_path / "inner").mkdir()
    attempts = [
        Attempt("x", "refused", ["run", "--seed", "x"]),
        Attempt("x", "help", ["--help"], (0,), {"COLUMNS": "60"}, is_quiet=False),
        Attempt("x", "a folder", ["report", "missing"], folder=str(tmp_path / "inner")),
    ]
    found = tried(attempts, tmp_path)
    assert [problem(*each) for each in zip(attempts, found, strict=True)] == ["", "", ""]
    assert found[0].err.startswith("harness run: --seed: 'x' is not a whole number")
    assert max(map(len, found[1].out.splitlines())) <= 60
    (stuck,) = tried([Attempt("x", "stuck", ["network"])], tmp_path, 0.01)
    assert stuck.code is None
