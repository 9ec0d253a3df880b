"""Tests of what foreign code changes in this process, and what is put back."""

import os
import resource
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

CODE = """
import gc, os, resource, signal, sys, tempfile, warnings
sys.path.insert(0, {path!r})
from harness.runtime.process_state import kept

def state():
    return [
        os.getcwd(), os.environ.get("HOME"), list(sys.path), sys.stdout is not None, os.fstat(1).st_ino, os.fstat(2).st_ino,
        signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT), list(warnings.filters), sys.getrecursionlimit(),
        sys.excepthook, gc.isenabled(), resource.getrlimit(resource.RLIMIT_NOFILE)[0], os.umask(0o022),
    ]

os.umask(0o022)
before = state()
try:
    with kept():
        {body}
except ValueError:
    pass
assert state() == before, [pair for pair in zip(before, state()) if pair[0] != pair[1]]
print("put back")
"""


@pytest.mark.parametrize(
    "body",
    [
        "os.close(1), os.close(2)",
        "os.dup2(os.open(os.devnull, os.O_WRONLY), 1)",
        "sys.stdout = sys.stderr = None",
        "folder = tempfile.mkdtemp(); os.chdir(folder); os.rmdir(folder)",
        "os.environ.clear()",
        "sys.path.clear()",
        "os.umask(0o777)",
        "warnings.simplefilter('error')",
        "sys.setrecursionlimit(200)",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN), signal.signal(signal.SIGINT, signal.SIG_IGN)",
        "sys.excepthook = None",
        "gc.disable()",
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))",
        "os.umask(0o777); raise ValueError",
        "os.closerange(3, 256)",
    ],
)
def test_what_a_command_needs_is_put_back(body: str) -> None:
    """Folder, names, streams, handlers, limits and the interpreter's settings, also after an exception."""
    root = str(Path(__file__).parents[3])
    code = textwrap.dedent(CODE).format(body=body, path=root)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "put back\n"), done.stderr


def test_what_later_processes_need_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable and an import folder that a file adds reach the processes that measure; a higher limit stays."""
    from harness.runtime.process_state import kept  # noqa: PLC0415 - beside the other test, which imports it elsewhere

    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv("HARNESS_ADDED", raising=False)
    with kept():
        os.environ["HARNESS_ADDED"] = "1"
        sys.path.append("/added")
    assert os.environ.pop("HARNESS_ADDED") == "1"
    assert sys.path[-1] == "/added"
    assert signal.getsignal(signal.SIGINT) is not None
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 3
