"""The roof: commands found by file, one-line errors, and help that is quick because nothing heavy is imported."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import harness.cli
from harness.cli import main

HELP = """\
usage: harness [-h] COMMAND ...

Puts performance advice on trial: arms measured in interleaved pairs, verdicts with intervals.

options:
  -h, --help  show this help message and exit

commands:
  COMMAND
    ablate    Turn a scenario's switches on one by one and off one by one: which optimisation brings how much, alone and last
    baseline  Keep a run as what later ones are compared with, or show which are kept
    capacity  Search the most load at which each arm holds an objective, in operations a second and in users at once
    compare   Compare two files of results, before and after, of this harness or of another tool
    doctor    Say whether this machine can be trusted: its noise, its clock, and the smallest change it can show
    gate      Red or green: does a candidate do more work than its baseline, or take longer?
    list      Show the scenarios there are, or with --promises every promise and the scenario that tries it
    load      Put arms under the same load, in blocks that take turns: response times as many users at once meet them
    network   Measure how exactly the network proxy adds round-trip time on this machine
    report    Render a run's report again, or that of a file of another tool, or of two such files before and after
    run       Try scenarios: compare answers, time arms in pairs, measure memory, write the report

exit codes:
  0  good
  1  a regression, a failed promise gate, or a scenario that failed
  2  wrong use, or input or output that cannot be read or written
  3  inconclusive, or stopped before the end
  4  not comparable: a benchmark is missing or renamed, or the data, the tool or the kind of run is another
"""


def test_help_names_every_command_and_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The public interface, as it is printed outside any project."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == HELP


@pytest.mark.parametrize("command", [m.name for m in pkgutil.iter_modules(harness.cli.__path__) if not m.name.startswith("_")])
def test_every_command_has_help_with_its_options(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each file in the folder is a command, documented."""
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: harness {command}")
    assert "exit codes:" in said


def test_help_imports_nothing_heavy() -> None:
    """What takes long to import is imported by the command that needs it."""
    program = (
        "import sys; from harness.cli import _parser; _parser(); "
        "heavy = {'numpy', 'pandas', 'scipy', 'matplotlib', 'sqlalchemy', 'rich', 'jinja2', 'pytest', 'faker', 'msgspec'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [[], ["dance"]])
def test_an_unknown_command_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The line says where help is."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "see `harness --help`" in said
