"""The commands of a project: found by folder, listed without being imported, and refused in one line if they cannot be used."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.cli import main
from harness.cli._project import find_project_commands

GREET = '''"""Print a greeting."""
from greeting import TEXT


def arguments(parser):
    """Declare the options."""
    parser.add_argument("--name", default="world", help="name to greet (default: world)")


def run(options):
    """Greet."""
    print(f"{TEXT}, {options.name}")
    return 3
'''
NO_RUN = '"""Define half of a command."""\n\n\ndef arguments(parser):\n    """Declare nothing."""\n'
Refused = Callable[[Sequence[str], str], None]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a project with one command, and make it the current folder."""
    (tmp_path / "pyproject.toml").write_text('[tool.harness]\ncommands = "bench/commands"\n')
    (tmp_path / "greeting.py").write_text('TEXT = "hello"\n')
    folder = tmp_path / "bench" / "commands"
    folder.mkdir(parents=True)
    (folder / "greet.py").write_text(GREET)
    (folder / "_shared.py").write_text("raise RuntimeError\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))  # restores sys.path after the test
    monkeypatch.setenv("COLUMNS", "140")
    return tmp_path


def printed_help(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the help of a command line."""
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_help_lists_the_commands_of_the_project_under_a_heading(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The heading follows the commands of harness; each line is aligned with theirs and is the first line of the docstring."""
    printed = printed_help(capsys)
    assert "\ncommands of this project:\n    greet       Print a greeting\n\nexit codes:" in printed
    assert re.search(r"^    run         \S", printed, re.MULTILINE)


def test_a_command_has_its_own_help_options_and_exit_code(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command's options are parsed, it imports the project's code, and what it returns is the exit code."""
    assert "--name NAME  name to greet (default: world)" in printed_help(capsys, "greet")
    assert main(["greet", "--name", "Ada"]) == 3
    assert capsys.readouterr().out == "hello, Ada\n"


def test_a_subfolder_belongs_to_the_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest pyproject.toml counts, in the current folder or above it; below another one, the first is not seen."""
    inner = project / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    assert main(["greet"]) == 3
    (inner / "pyproject.toml").write_text("[project]\n")
    assert find_project_commands(inner, ()) == []


def test_listing_commands_imports_none(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A module that raises when imported is listed by its docstring, and other commands and the help work."""
    (project / "bench" / "commands" / "broken.py").write_text('"""Fail on import."""\nraise ValueError("two\\nlines")\n')
    assert "    broken      Fail on import\n" in printed_help(capsys)
    assert main(["greet"]) == 3


@pytest.mark.parametrize(
    ("text", "listed", "complaint"),
    [
        (
            '"""Fail."""\nraise ValueError("two\\nlines")\n',
            "Fail",
            "broken.py cannot be imported: ValueError: two lines; fix the module",
        ),
        ('"""Fail."""\nimport no_such_package\n', "Fail", "broken.py needs no_such_package, which is not installed; install it"),
        ('"""Fail."""\ndef run(\n', "cannot be used: line 2: '(' was never closed", "broken.py: line 2: '(' was never closed; fix"),
        ("x = 1\n", "cannot be used: no docstring", "broken.py: no docstring; add one, its first line becomes the help"),
        (NO_RUN, "Define half of a command", "broken.py defines no function 'run'; a command has `arguments(parser)`"),
    ],
)
def test_a_module_that_cannot_be_used_is_one_line(
    project: Path, refused: Refused, capsys: pytest.CaptureFixture[str], text: str, listed: str, complaint: str
) -> None:
    """Choosing it ends with exit code 2 and one line with the file's name; the help lists it, and other commands work."""
    (project / "bench" / "commands" / "broken.py").write_text(text)
    refused(["broken"], complaint)
    assert f"    broken      {listed}" in printed_help(capsys)
    assert main(["greet"]) == 3


def test_a_command_of_harness_takes_precedence(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A module named like one is listed with the reason, and the command of harness is the one that runs."""
    (project / "bench" / "commands" / "list.py").write_text(GREET)
    assert "    list        cannot be used: harness has a command of this name; rename the file" in printed_help(capsys)
    assert printed_help(capsys, "list").startswith("usage: harness list")
    assert "name to greet" not in printed_help(capsys, "list")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '[tool.harness]\ncommands = "no/such"\n',
            "commands = 'no/such' is not a folder next to this file; create it or fix the name",
        ),
        ("[tool.harness]\ncommands = 3\n", '[tool.harness] commands = 3 is not a text; write commands = "commands"'),
        ("[tool.harness\n", "pyproject.toml cannot be read: "),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_line(
    project: Path, refused: Refused, capsys: pytest.CaptureFixture[str], text: str, problem: str
) -> None:
    """A command that only the folder could have is refused with the reason; the help and the commands of harness work."""
    (project / "pyproject.toml").write_text(text)
    refused(["greet"], problem)
    assert problem in " ".join(printed_help(capsys).split())
    assert printed_help(capsys, "run").startswith("usage: harness run")


@pytest.mark.parametrize("text", ["", "tool = 3\n", "[tool.harness.gate.tolerances]\n"])
def test_a_project_without_commands_has_no_heading(project: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    """Without the key, the help names the commands of harness only."""
    (project / "pyproject.toml").write_text(text)
    assert "commands of this project" not in printed_help(capsys)


SEED = '''"""Load seeded rows."""


def arguments(parser):
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("seed", help="load seeded rows")


def run(options):
    """Load."""
    print(f"{options.action}: loaded")
    return 3
'''


def test_a_project_adds_actions_to_data(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`harness data` has the actions of both, each with its own function; its help has both descriptions."""
    monkeypatch.setenv("HARNESS_CACHE", str(project / "cache"))
    (project / "bench" / "commands" / "data.py").write_text(SEED)
    assert main(["data", "seed"]) == 3
    assert capsys.readouterr().out == "seed: loaded\n"
    assert main(["data", "list"]) == 0
    assert "0 entries" in capsys.readouterr().out
    printed = printed_help(capsys, "data")
    assert "List or prune the snapshot cache" in printed
    assert "\nLoad seeded rows.\n" in printed
    assert re.search(r"\n    seed {3,}load seeded rows", printed)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (SEED.replace('"seed"', '"prune"', 1), "conflicting subparser: prune"),
        ("import nothing_like_it\n" + SEED, "defines no docstring"),
        ('"""Load."""\nimport nothing_like_it\n', "needs nothing_like_it, which is not installed; install it"),
        (NO_RUN, "defines no function 'run'"),
    ],
)
def test_a_project_cannot_break_data(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, refused: Refused, text: str, problem: str
) -> None:
    """The actions of harness work as before; an action of the project is refused with the reason."""
    monkeypatch.setenv("HARNESS_CACHE", str(project / "cache"))
    (project / "bench" / "commands" / "data.py").write_text(text)
    assert main(["data", "prune"]) == 0
    assert "removed 0 entries" in capsys.readouterr().out
    if "docstring" not in problem:
        refused(["data", "seed"], problem)
