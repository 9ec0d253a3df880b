"""The command line: commands found by file, errors in one line with their exit codes, and help that imports nothing heavy."""

import asyncio
import errno
import json
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import harness.cli
from harness.cli import MOST, main
from harness.cli import list as list_command

ROOT = Path(__file__).parents[3]
COMMANDS = [m.name for m in pkgutil.iter_modules(harness.cli.__path__) if not m.name.startswith("_")]
HEAVY = {
    "aiosqlite",
    "asyncio",
    "faker",
    "jinja2",
    "msgspec",
    "numpy",
    "pandas",
    "pytest",
    "rich",
    "scipy",
    "sqlalchemy",
}

HELP = """\
usage: harness [-h] [--traceback] [--version] COMMAND ...

Test performance advice: measure the arms of a scenario in interleaved pairs
and decide every promise with an interval.

options:
  -h, --help    show this help message and exit
  --traceback   print the traceback of an error, also by HARNESS_TRACEBACK=1
  --version     print the version and exit

commands:
  COMMAND
    ablate      Measure the contribution of each switch (ablation)
    baseline    Save a run as the baseline for later gates
    capacity    Find the highest load at which each arm meets an SLO
    comment     Replace the comment on the pull request of this job
    compare     Compare two result files, before and after
    completion  Print the code with which a shell completes commands, options
                and names
    data        List or prune the snapshot cache: filled databases and
                computed values that later runs start from
    doctor      Measure this machine's noise and the smallest change it can
                detect
    explain     Explain a verdict, a warning, a state, an exit code, or any
                other name that a result shows
    gate        Fail if the candidate does more work or is slower than the
                baseline
    history     Show figures over many runs, and at which commits they changed
    init        Write a first scenario for a project, and its settings
    list        List the scenarios, or with --promises all promises
    load        Load-test all arms with the same schedule, interleaved in
                blocks
    network     Measure the accuracy of the latency proxy on this machine
    report      Write the report of a run, or of result files of another tool
    run         Measure scenarios in interleaved pairs and write a report

exit codes:
  0   pass
  1   regression or failure
  2   usage error, unreadable input, or output that cannot be written
  3   inconclusive or interrupted
  4   not comparable: different scenarios, data, settings or versions
  70  internal error: a bug, please report it
"""


def test_help_names_every_command_and_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The help outside any project, in a terminal of 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == HELP


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_that_fits(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file in the folder is a command; its help has the exit codes and fits into 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: harness {command}")
    assert "exit codes:" in printed
    assert [line for line in printed.splitlines() if len(line) > 80] == []


def test_help_imports_nothing_heavy() -> None:
    """What takes long to import is imported by the command that needs it, after its options are parsed."""
    program = f"import sys; from harness.cli import _parser; _parser(); print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_commands_work_without_docstrings(tmp_path: Path) -> None:
    """With `python -OO`, which removes them, commands and scenarios have what their files say."""
    (tmp_path / "scenarios").mkdir()
    text = 'from harness import Case, Group, Scenario\n\n\nclass Good(Scenario):\n    """Look a number up in a set."""\n\n'
    text += '    arms = {"baseline": "a list", "optimised": "a set"}\n    groups = (Group("lookup", "is it there?"),)\n\n'
    text += '    def cases(self, setting):\n        return [Case("lookup", "1", 1)]\n\n'
    text += "    def open(self, arm, setting):\n        return [1]\n\n    def run(self, instance, case):\n        return 1\n"
    (tmp_path / "scenarios" / "good.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-OO", "-m", "harness", "list"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Look a number up in a set" in done.stdout


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """With the name of the distribution."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert re.fullmatch(r"advice-on-trial \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "next_step"),
    [
        ([], "harness: the following arguments are required: COMMAND; see `harness --help`"),
        (["dance"], "harness: unknown command 'dance'; choose from ablate, baseline, "),
    ],
)
def test_an_unknown_command_is_one_line(arguments: list[str], next_step: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The line has the next step."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert next_step in printed


def test_an_unexpected_exception_is_not_a_regression(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It exits with 70 and one line; the traceback, the versions and the command are in the file that the line names."""

    def crash(options: object) -> int:
        raise ZeroDivisionError("in\nthe middle")

    monkeypatch.setattr(list_command, "run", crash)
    assert main(["list", "--json"]) == 70
    printed = capsys.readouterr()
    assert printed.out == ""
    found = re.fullmatch(r"harness: internal error \(ZeroDivisionError: in the middle\); report it with (\S+\.txt)\n", printed.err)
    assert found is not None
    file = Path(found[1])
    text = file.read_text()
    file.unlink()
    assert text.startswith("advice-on-trial ")
    assert "\nharness list --json\n" in text
    assert "Traceback (most recent call last)" in text
    assert "in crash" in text


def test_an_unexpected_exception_without_a_disk_names_its_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Where no file can be written, the line has the place of the error instead."""

    def crash(options: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(list_command, "run", crash)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    assert main(["list"]) == 70
    assert re.search(r"; report it with this line: \S+test_main\.py:\d+\n$", capsys.readouterr().err)


def test_what_the_machine_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A full disk or a path that cannot be is no bug of the harness, and a long text of a message is cut."""

    def refuse(options: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", "x" * 9_000)

    monkeypatch.setattr(list_command, "run", refuse)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["list"]) == 2
    printed = capsys.readouterr().err
    assert printed.endswith("x: No space left on device; free some space, or write elsewhere\n")
    assert len(printed) <= MOST + 1
    assert not list(tmp_path.iterdir())


def test_the_help_obeys_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The docstrings of a project's commands are shown in it, and may have any character."""
    (tmp_path / "pyproject.toml").write_text('[tool.harness]\ncommands = "commands"\n')
    (tmp_path / "commands").mkdir()
    (tmp_path / "commands" / "serve.py").write_text('"""Serve \\x1b]0;title\\x07 ##[group]."""\n')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    printed = capsys.readouterr().out
    assert r"Serve \x1b]0;title\x07" in printed
    assert "\x1b" not in printed
    assert "##[" not in printed


@pytest.mark.parametrize("error", [RecursionError("too deep"), MemoryError(), asyncio.CancelledError(), GeneratorExit()])
def test_every_kind_of_bug_has_the_same_exit_code(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Also what is not an `Exception` neither ends with a traceback nor with 1."""

    def crash(options: object) -> int:
        raise error

    monkeypatch.setattr(list_command, "run", crash)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["list"]) == 70
    assert capsys.readouterr().err.startswith(f"harness: internal error ({type(error).__name__}")


def test_code_that_exits_is_a_failure_with_its_place(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A scenario's code that calls `sys.exit` does not end the command with the code it chose."""

    def leave(options: object) -> int:
        sys.exit(0)

    leave.__module__ = list_command.__name__
    monkeypatch.setattr(list_command, "run", leave)
    assert main(["list"]) == 1
    assert re.fullmatch(
        r"harness: \S+test_main\.py, line \d+, ended the command \(SystemExit: 0\); remove that\n", capsys.readouterr().err
    )


def test_ctrl_c_while_options_are_read_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An interrupt at any time is exit code 3, without a traceback."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(harness.cli, "_parser", interrupted)
    assert main(["list"]) == 3
    assert capsys.readouterr().err == "harness: interrupted\n"


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A package of an extra that is not installed is a usage error with the command that installs it."""

    def crash(options: object) -> int:
        raise ModuleNotFoundError("No module named 'sqlalchemy'", name="sqlalchemy")

    monkeypatch.setattr(list_command, "run", crash)
    assert main(["list"]) == 2
    assert "sqlalchemy is not installed; install it with: pip install 'advice-on-trial[sql]'\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [["list", "--scenarios", "tests/toys"], ["list", "--json", "--scenarios", "tests/toys"], ["run", "--help"]]
)
def test_a_full_disk_at_standard_output_is_one_line(options: list[str]) -> None:
    """Output that cannot be written is exit code 2, whether a table, JSON or help is printed."""
    command = [sys.executable, "-m", "harness", *options]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr == "harness: cannot write the output: No space left on device; free some space, or write elsewhere\n"
    assert done.returncode == 2


@pytest.mark.parametrize("options", [["list"], ["list", "--json"]])
def test_a_reader_that_ended_is_one_line(options: list[str]) -> None:
    """A pipe without a reader is exit code 2: what should have been printed is lost."""
    command = [sys.executable, "-m", "harness", *options, "--scenarios", "tests/toys"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.close()
    _, printed = process.communicate()
    assert printed == "harness: cannot write the output: the reading program ended; write to a file\n"
    assert process.returncode == 2


def test_a_removed_folder_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A current folder that does not exist any more is a usage error."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here").rmdir()
    assert main(["list"]) == 2
    assert capsys.readouterr().err == "harness: the current folder was removed; change to another one\n"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["rum"], "harness: unknown command 'rum'; did you mean run? choose from ablate, "),
        (["run", "--sise", "tiny"], "harness run: unrecognized arguments: --sise; did you mean --size? see `harness run --help`\n"),
        (["run", "--qick=3"], "harness run: unrecognized arguments: --qick=3; did you mean --quick? see `harness run --help`\n"),
        (["run", "--size", "smal"], "harness run: --size: unknown size 'smal'; did you mean small? choose from tiny, "),
        (["run", "--engine", "sqlite,turs"], "harness run: --engine: unknown engine 'turs'; did you mean turso? choose from "),
        (["report", "x", "--format", "htm"], "harness report: unknown format 'htm'; did you mean html? choose from html, "),
        (["data", "lst"], "harness data: unknown action 'lst'; did you mean list? choose from "),
    ],
)
def test_an_unknown_name_gets_the_nearest_one(command: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands, actions, options and their values: one line with the name that was probably meant."""
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(message)


def test_a_traceback_is_printed_on_request_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By default one line; with --traceback before or after the command, or the variable, where it was raised and the line."""
    monkeypatch.delenv("HARNESS_TRACEBACK", raising=False)
    (tmp_path / "broken.py").write_text("from harness import Scenario\n\nnonsense()\n")
    command = ["list", "--scenarios", str(tmp_path)]
    assert main(command) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    for asked in (["--traceback", *command], [*command, "--traceback"]):
        assert main(asked) == 2
        printed = capsys.readouterr().err.splitlines()
        assert printed[0] == "Traceback (most recent call last):"
        assert "NameError: name 'nonsense' is not defined" in printed
        assert printed[-1].startswith(f"harness: {tmp_path / 'broken.py'}, line 3, cannot be imported")
        assert "HARNESS_TRACEBACK" not in os.environ
    for value, is_shown in (("1", True), ("0", False), ("", False)):
        monkeypatch.setenv("HARNESS_TRACEBACK", value)
        assert main(command) == 2
        assert ("Traceback" in capsys.readouterr().err) is is_shown


def test_a_folder_with_helpers_is_listed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """conftest.py, helpers and models beside a scenario are not in the way; a folder of such files only has no scenario."""
    member = (ROOT / "tests/cases/scenarios/member.py").read_text()
    for name, text in {
        "conftest": "import pytest\n",
        "aid": "X = 1\n",
        "tables": "import harness\n\nclass A(harness.Arm): ...\n",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    assert main(["list", "--scenarios", str(tmp_path)]) == 2
    assert f"no scenario in {tmp_path}; `harness init` writes a first one" in capsys.readouterr().err
    (tmp_path / "member_too.py").write_text(member)
    assert main(["list", "--json", "--scenarios", str(tmp_path)]) == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == ["member_too"]
