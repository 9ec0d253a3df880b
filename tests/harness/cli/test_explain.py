"""The command explain, and the page that it writes."""

from pathlib import Path

import pytest

from harness import cli, explanations

ROOT = Path(cli.__file__).parents[2]


def test_explain_prints_every_meaning_of_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    """A name of several kinds is explained for each, with what to do and the page."""
    assert cli.main(["explain", "few", "pairs"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("few pairs (trust)\n  Fewer than 10 pairs in a group of cases.\n  What to do: Increase --budget.\n")
    assert "few pairs (warning)" in printed
    assert "  More: docs/method.md" in printed


def test_explain_prints_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """An exit code is a name as well."""
    assert cli.main(["explain", "4"]) == 0
    assert capsys.readouterr().out.startswith("4 (exit code)\n  Not comparable: ")


def test_explain_lists_all_names_in_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a name, all names are listed by kind, none broken."""
    assert cli.main(["explain"]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    shown = " ".join(printed.split())
    for kind, texts in explanations.KINDS.items():
        assert f"{kind}: {', '.join(texts)}" in shown


def test_explain_suggests_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown name is a usage error with the nearest one."""
    assert cli.main(["explain", "few", "proceses"]) == 2
    message = "harness: unknown name 'few proceses'; did you mean 'few processes'? see `harness explain` for all names\n"
    assert capsys.readouterr().err == message


def test_the_page_is_what_the_command_writes(capsys: pytest.CaptureFixture[str]) -> None:
    """docs/verdicts.md is the output of `harness explain --markdown`."""
    assert cli.main(["explain", "--markdown"]) == 0
    assert capsys.readouterr().out == (ROOT / "docs/verdicts.md").read_text(encoding="utf-8")
