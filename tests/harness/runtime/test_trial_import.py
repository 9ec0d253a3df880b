"""Tests of trying to import the user's files before this process does."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.runtime.trial_import import try_import

FILES = [Path("/x/good.py"), Path("/x/bad.py")]
TIMEOUT_S = 60.0
"""No test waits for it."""


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the trial take place though the test's own process has other threads, as those of pytest-xdist."""
    monkeypatch.setattr(threading, "active_count", lambda: 1)


@pytest.mark.parametrize(
    ("signal_number", "how"),
    [(9, "SIGKILL"), (15, "SIGTERM"), (2, "SIGINT"), (11, "SIGSEGV")],
    ids=["kills", "terminates", "interrupts", "crashes"],
)
def test_a_file_that_ends_its_process_is_named(signal_number: int, how: str) -> None:
    """The process that tries it is another one; the file before it is not named."""

    def load(file: Path) -> None:
        if file.name == "bad.py":
            os.kill(os.getpid(), signal_number)
            time.sleep(TIMEOUT_S)

    with pytest.raises(UsageError, match=rf"^/x/bad\.py cannot be imported: it ended the process that imports it \({how}\)"):
        try_import(FILES, load, TIMEOUT_S)


def test_a_file_that_forks_its_process_is_named_with_the_line() -> None:
    """The forked process goes no further than the end of the file."""
    from harness.runtime.channel import end_fork  # noqa: PLC0415 - what `harness.discovery` calls

    def load(_: Path) -> None:
        process = os.getpid()
        os.fork()
        if os.getpid() != process:
            end_fork()

    with pytest.raises(UsageError, match=r"test_trial_import\.py, line \d+ \(importing\): a process that is forked there goes on"):
        try_import(FILES, load, TIMEOUT_S)


def test_a_file_that_hangs_is_ended() -> None:
    """Also in a call that no signal interrupts, which the deadline within the process does not end."""

    def load(_: Path) -> None:
        time.sleep(TIMEOUT_S)

    with pytest.raises(UsageError, match=r"^/x/good\.py cannot be imported: its import did not finish within -4\.9 s"):
        try_import(FILES, load, -4.9)


def test_exceptions_are_left_to_the_caller_and_output_is_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    """The caller imports the file again, and prints what it prints once."""

    def load(_: Path) -> None:
        sys.stdout.write("imported\n")
        sys.stdout.flush()
        os.write(1, b"imported\n")
        raise ValueError("the caller's")

    try_import(FILES, load, TIMEOUT_S)
    try_import(FILES, lambda _: None, TIMEOUT_S)
    assert capfd.readouterr().out == ""


def test_the_message_of_a_deadline_is_passed_on() -> None:
    """It has the line, for which the caller need not wait a second time."""

    def load(_: Path) -> None:
        time.sleep(0.05)
        raise UsageError("its import did not finish within 0.01 s, at good.py:3")

    with pytest.raises(UsageError, match=r"at good\.py:3$"):
        try_import(FILES, load, 0.01)
