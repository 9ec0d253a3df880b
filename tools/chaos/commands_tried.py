"""Commands of the harness tried in processes of their own, many per second: forked from one that has imported the package.

A forked process runs `harness.cli.main` as the command does, with its own standard streams, environment, folder and end. One that
does not end in time, or takes more memory than allowed, is ended with all that it started. Linux.
"""

import contextlib
import importlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NoReturn

from harness.results.names import shortened
from harness.text import encode, message_line

ROOT = Path(__file__).parents[2]
LIMIT_S = 60.0
"""Seconds that an attempt may take: refusing takes one on a quiet core, and more where others work."""
MEMORY_BYTES = 4 * 2**30
"""Limit of the address space of an attempt; threads of numerical libraries reserve a part of it."""
WARMED = (
    "harness.cli",
    "harness.cli._console",
    "harness.discovery",
    "harness.importers",
    "harness.gate.result_files",
    "harness.gate.stored_runs",
    "harness.report.overview",
    "harness.results.store",
    "harness.targets.building",
)
"""Modules that every forked process has already."""
HARNESS = "harness"
PYTEST = "pytest"
IS_BUG = re.compile(r"Traceback \(most recent call last\)|internal error \(|INTERNALERROR|harness-error-")
OBEYED = {"Cc", "Cf", "Zl", "Zp"}
COMMAND = re.compile(r"^\s*::(?:\w|-)|##\w*\[", re.MULTILINE)


@dataclass(frozen=True)
class Attempt:
    """A command that is tried."""

    kind: str
    name: str
    words: Sequence[str]
    """The command line behind the program's name; half surrogate pairs stand for undecodable bytes."""
    codes: Sequence[int] = (2,)
    """The exit codes that are right."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that are set in addition; those with an empty name of value None are removed."""
    folder: str = ""
    """The folder it is run in; the prepared one if empty."""
    program: str = HARNESS
    is_quiet: bool = True
    """Whether one line on standard error is all that may be printed."""


@dataclass(frozen=True)
class TriedOutcome:
    """The end and the output of a command."""

    code: int | None
    """Its exit code, the negative number of the signal that ended it, or None if it did not end in time."""
    out: str
    err: str
    seconds: float = 0.0


def problem(attempt: Attempt, outcome: TriedOutcome) -> str:
    """Return what is wrong with an outcome in a few words; empty if nothing is."""
    lines = [line for line in outcome.err.split("\n") if line.strip()]
    if outcome.code is None:
        return f"did not end within {LIMIT_S:g} s"
    if IS_BUG.search(outcome.err) or IS_BUG.search(outcome.out):
        return "traceback" if "Traceback" in outcome.err + outcome.out else "internal error"
    if outcome.code not in attempt.codes:
        return f"exit code {outcome.code} instead of {' or '.join(map(str, attempt.codes))}"
    if attempt.is_quiet and len(lines) != 1:
        return f"{len(lines)} lines on standard error instead of one"
    if attempt.is_quiet and outcome.out:
        return "prints something on standard output"
    annotated = "--github" in attempt.words  # whose purpose is to print commands to the log
    return obeyed(outcome.out, annotated=annotated) or obeyed(outcome.err, annotated=annotated)


def note(*parts: str) -> str:
    """Return parts of a note as one line that a page can have, whatever their characters."""
    return shortened(encode(message_line(": ".join(parts))).decode(), 300)


def obeyed(text: str, *, annotated: bool = False) -> str:
    r"""Return what of a text a terminal or the log of a CI service obeys instead of showing it; empty if nothing.

    Example:
        >>> obeyed("a name\x1b[31m")
        "a terminal obeys '\\x1b'"
    """
    if found := sorted({c for c in text if c != "\n" and unicodedata.category(c) in OBEYED}):
        return f"a terminal obeys {', '.join(map(repr, found))}"
    command = None if annotated else COMMAND.search(text)
    return f"a log obeys {command[0].strip()!r}" if command else ""


def tried(attempts: Sequence[Attempt], folder: Path, limit_s: float = LIMIT_S) -> list[TriedOutcome]:
    """Return the outcome of each attempt, in their order; the prepared files are in `folder`."""
    with tempfile.TemporaryDirectory(prefix="harness-tried-") as space:
        plan, found = Path(space) / "plan.json", Path(space) / "found.json"
        plan.write_text(json.dumps([[asdict(attempt) for attempt in attempts], str(folder), limit_s]), encoding="ascii")
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "TMPDIR": space}
        for name in [name for name in environment if name.startswith(("HARNESS_", "GITHUB_", "CI_", "COLUMNS"))]:
            del environment[name]
        subprocess.run([sys.executable, "-m", __name__, str(plan), str(found)], cwd=folder, env=environment, check=True)
        return [TriedOutcome(**outcome) for outcome in json.loads(found.read_bytes())]


def _server(plan: Path, found: Path) -> None:
    """Try what a file lists, one after another, and write the outcomes."""
    attempts, folder, limit_s = json.loads(plan.read_bytes())
    for name in WARMED:
        importlib.import_module(name)
    outcomes = [_forked(Attempt(**attempt), Path(folder), plan.parent, limit_s) for attempt in attempts]
    found.write_text(json.dumps([asdict(outcome) for outcome in outcomes]), encoding="ascii")


def _forked(attempt: Attempt, folder: Path, space: Path, limit_s: float) -> TriedOutcome:
    out, err = space / "out", space / "err"
    start_s = time.monotonic()
    child = os.fork()
    if not child:
        _run(attempt, folder, out, err)
    status = None
    while status is None and time.monotonic() < start_s + limit_s:
        ended, waited = os.waitpid(child, os.WNOHANG)
        status = waited if ended else None
        if status is None:
            time.sleep(0.002)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    if status is None:
        os.waitpid(child, 0)
    code = None if status is None else os.waitstatus_to_exitcode(status)
    printed, said = (file.read_bytes().decode(errors="surrogateescape") if file.exists() else "" for file in (out, err))
    return TriedOutcome(code, printed, said, time.monotonic() - start_s)


def _run(attempt: Attempt, folder: Path, out: Path, err: Path) -> NoReturn:
    """Be the command, from its standard streams to its end."""
    code = 99
    try:
        os.setsid()
        for descriptor, file, flags in ((0, Path(os.devnull), os.O_RDONLY), *((n, f, _NEW) for n, f in ((1, out), (2, err)))):
            os.dup2(os.open(file, flags, 0o600), descriptor)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        os.chdir(attempt.folder or folder)
        os.environ.update(attempt.environment)
        sys.argv = [attempt.program, *attempt.words]
        try:
            code = _entered(attempt)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - as the interpreter does
        sys.excepthook(*sys.exc_info())
        code = 1
    finally:
        os._exit(code)


_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def _entered(attempt: Attempt) -> int:
    if attempt.program == PYTEST:
        import pytest  # noqa: PLC0415 - only the process that needs it

        return int(pytest.main([*attempt.words]))
    from harness.cli import main  # noqa: PLC0415 - imported before the fork

    return main()


if __name__ == "__main__":
    _server(*map(Path, sys.argv[1:]))
