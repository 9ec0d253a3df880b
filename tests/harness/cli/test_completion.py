"""Completion by the Tab key, typed into the shells that are installed."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.cli import completion, main

ROOT = Path(completion.__file__).parents[2]
HANG_S = 120.0
PROMPT = "READY>"
SPELLED = "REA''DY'>'"
"""The prompt as the line has it that sets it, which the terminal shows as well."""
SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
PREPARE = {
    "bash": f'eval "$(harness completion bash)"; PS1={SPELLED}',
    "zsh": f'autoload -U compinit; compinit -u -D; eval "$(harness completion zsh)"; PS1={SPELLED}',
    "fish": f"harness completion fish | source; function fish_prompt; echo -n {SPELLED}; end",
}
HARNESS = """\
#!/bin/sh
test -n "$_ARGCOMPLETE" -o "$1" = completion && exec {python} -m harness "$@"
printf '%s\\n' "$@" >{typed}.new && mv {typed}.new {typed}
"""
"""The command as the shells find it: it completes, and otherwise notes what was typed."""

ON_A_TERMINAL = "import os, sys; os.login_tty(0); os.execvp(sys.argv[1], sys.argv[1:])"
"""A program that makes its standard input the terminal of a session of its own, and then becomes the shell."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a project with a scenario, a run and a command of its own, and make it the current folder."""
    (tmp_path / "pyproject.toml").write_text('[tool.harness]\nscenarios = "bench"\ncommands = "commands"\n')
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "conftest.py").touch()
    (tmp_path / "bench" / "membership.py").write_text(
        "import harness\nraise RuntimeError  # nothing is imported to complete a name\nharness.Scenario\n"
    )
    (tmp_path / "runs" / "20260102-030405-abc").mkdir(parents=True)
    (tmp_path / "commands").mkdir()
    command = '"""Greet."""\n\n\ndef arguments(parser):\n    parser.add_argument("--politely", action="store_true", help="bow")\n'
    (tmp_path / "commands" / "greet.py").write_text(f"{command}\n\ndef run(options):\n    return 0\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


FORKS = """
import os, sys
from harness.cli import main
for line in sys.argv[1:]:
    if not (child := os.fork()):
        os.environ.update(COMP_LINE=line, COMP_POINT=str(len(line)))
        main([])
        os._exit(3)
    assert os.waitpid(child, 0)[1] == 0, line
    with open("completions") as file:
        print(*sorted(file.read().split()))
"""
"""A process per command line, which completion ends; forked, so that the command line is imported once."""


def completed(*lines: str) -> list[str]:
    """Return the completions of each command line, in alphabetical order, as the code for fish receives them."""
    protocol = {"": "1", "_IFS": "\n", "_SUPPRESS_SPACE": "1", "_SHELL": "fish", "_STDOUT_FILENAME": "completions"}
    variables = {f"{completion.REQUESTED}{name}": text for name, text in protocol.items()}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COMP_TYPE": "", **variables}
    command = [sys.executable, "-c", FORKS, *lines]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=HANG_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_can_follow_is_completed(project: Path) -> None:
    """Commands, a project's too, options, names of a known set, runs, and files only where a file is expected."""
    expected = {
        "harness comp": "compare completion",
        "harness gre": "greet",
        "harness greet --pol": "--politely",
        "harness run --qu": "--quick",
        "harness run memb": "membership",
        "harness load memb": "membership",
        "harness run --engine ": "postgres sqlite turso",
        "harness run --engine sqlite,post": "sqlite,postgres",
        "harness gate --engine post": "postgres",
        "harness run --size me": "medium",
        "harness run --lang j": "ja",
        "harness report runs/2026": "runs/20260102-030405-abc",
        "harness report --format mark": "markdown",
        "harness baseline ac": "accept",
        "harness explain few-pr": "few-processes",
        "harness run --out ": "bench/ commands/ runs/",
        "harness gate --junit pyp": "pyproject.toml",
        "harness run --budget ": "",
    }
    assert dict(zip(expected, completed(*expected), strict=True)) == expected


def test_a_project_that_cannot_be_used_is_not_in_the_way(project: Path) -> None:
    """Completion goes on without what the settings or a command would add, and prints nothing into the line."""
    (project / "commands" / "greet.py").write_text('"""Greet."""\nraise RuntimeError\n')
    assert completed("harness greet --pol") == [""]
    (project / "commands" / "greet.py").write_text(
        '"""Greet."""\n\n\ndef arguments(parser):\n    raise RuntimeError\n\n\ndef run(options):\n    return 0\n'
    )
    assert completed("harness greet --pol") == [""]
    (project / "pyproject.toml").write_text("[tool.harness]\nunknown = 1\n")
    assert completed("harness run memb", "harness exp") == ["", "explain"]


def typed_into(shell: str, folder: Path, keys: str) -> list[str]:
    """Return the arguments of the command line that `keys` made, typed into a shell on a terminal."""
    typed = folder / "typed"
    (folder / "bin").mkdir()
    command = folder / "bin" / "harness"
    command.write_text(HARNESS.format(python=sys.executable, typed=typed))
    command.chmod(0o755)
    path = os.pathsep.join([str(command.parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "TERM": "dumb", "HOME": str(folder), "HISTFILE": ""}
    ours, theirs = pty.openpty()
    command_line = [sys.executable, "-c", ON_A_TERMINAL, *SHELLS[shell]]
    process = subprocess.Popen(command_line, stdin=theirs, env=environment)
    os.close(theirs)
    shown = ""
    deadline = time.monotonic() + HANG_S
    pending = [(PREPARE[shell] + "\r", ""), (keys + "\r", PROMPT)]
    try:
        while not typed.exists():
            assert time.monotonic() < deadline, shown
            assert process.poll() is None, shown
            while pending and pending[0][1] in shown:
                os.write(ours, pending.pop(0)[0].encode())
                shown = ""
            if select.select([ours], [], [], 0.1)[0]:
                shown += os.read(ours, 4096).decode(errors="replace")
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return typed.read_text().splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("shell", completion.SHELLS)
def test_a_shell_completes_with_the_code_that_is_printed(shell: str, project: Path) -> None:
    """The Tab key completes a command, a scenario of the project, an option, and a name behind a comma."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    keys = "harness ru\tmemb\t--eng\tsqlite,pos\t"
    assert typed_into(shell, project, keys) == ["run", "membership", "--engine", "sqlite,postgres"]


class Missing:
    """Finds no argcomplete, as where it is not installed."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        """Raise what Python raises."""
        if name.partition(".")[0] == "argcomplete":
            raise ModuleNotFoundError("No module named 'argcomplete'", name="argcomplete")


def test_the_command_needs_its_extra(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without argcomplete one line says how to install it, but not into a line that is typed."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "argcomplete"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing, *sys.meta_path])
    assert main(["completion", "bash"]) == 2
    assert "install it with: pip install 'advice-on-trial[completion]'" in capsys.readouterr().err
    monkeypatch.setenv(completion.REQUESTED, "1")
    assert main([]) == 1
    assert capsys.readouterr() == ("", "")
