"""A server that never outlives its starter: not after success, failure or Ctrl-C, and not if the starter is killed.

A small process between the two, the guard, holds one end of a pipe whose other end the starter holds. When the starter ends in any
way, the kernel closes that end; the guard then stops the server and removes its folder.

The server of a process that is pinned to one core for timing runs on the other cores, so that client and server do not compete.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from harness.errors import UsageError
from harness.runtime.cores import elsewhere

START_S = 30.0
"""Timeout of a server's start, in seconds."""

_POLL_S = 0.02
_IGNORED = (signal.SIGINT, signal.SIGHUP)  # by the guard: the starter handles them
_ROUNDS = 10
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_TELLING = re.compile(r"\b(?:fatal|panic|error|failed|cannot|could not)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Command:
    """A server to start."""

    name: str
    """Name of the server in messages."""

    words: Sequence[str]
    """Command line."""

    log: Path
    """File for the server's output; it should not be in `remove`."""

    stop: signal.Signals = signal.SIGTERM
    """Signal for a quick but orderly shutdown."""

    remove: Path | None = None
    """Folder of the server, created if necessary and deleted after the server has stopped."""

    user: tuple[int, int] | None = None
    """The uid and gid to run as, for servers that refuse to run as root."""

    bring: Mapping[Path, str] = field(default_factory=dict)
    """Folders to copy into `remove` first, with their names there, for programs that the user may not read in place."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables in addition to the starter's environment."""

    stop_s: float = 10.0
    """Seconds until a server that does not stop is killed."""


@contextmanager
def guarded(command: Command, is_ready: Callable[[], bool], *, start_s: float = START_S) -> Iterator[int]:
    """Start a server, wait until it is ready, yield its process id, and stop it at the end.

    Raises:
        UsageError: the server exited before it was ready, or was not ready in time; the message ends with its last log line.
    """
    job = {
        "words": list(command.words),
        "log": str(command.log),
        "stop": int(command.stop),
        "remove": str(command.remove) if command.remove else None,
        "user": command.user,
        "bring": {str(source): name for source, name in command.bring.items()},
        "environment": dict(command.environment),
        "stop_s": command.stop_s,
        "cores": sorted(elsewhere()),
    }
    paths = os.pathsep.join(dict.fromkeys(p for p in sys.path if p))
    guard = subprocess.Popen(
        [sys.executable, "-m", "harness.servers.guard"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
        start_new_session=True,  # Ctrl-C at the terminal is for the starter to handle
    )
    assert guard.stdin is not None
    assert guard.stdout is not None
    try:
        with contextlib.suppress(BrokenPipeError):
            # Not an argument, which every user of the machine can read: the environment may contain a password.
            guard.stdin.write(json.dumps(job).encode() + b"\n")
            guard.stdin.flush()
        first = guard.stdout.readline()
        if not first:
            raise UsageError(f"{command.name} cannot be started: {last_words(command.log)}; check {command.words[0]}")
        _wait(command, guard, is_ready, start_s)
        yield int(first)
    finally:
        with contextlib.suppress(BrokenPipeError):
            guard.stdin.close()
        guard.wait()
        guard.stdout.close()
        if command.remove:
            shutil.rmtree(command.remove, ignore_errors=True)  # still there if the guard was killed


def last_words(log: Path) -> str:
    """Return the last line of a log that reports an error, else its last line that is not empty."""
    try:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    complaints = [line for line in lines if _TELLING.search(line)]
    return (complaints or lines or ["its log is empty"])[-1]


def _wait(command: Command, guard: subprocess.Popen[bytes], is_ready: Callable[[], bool], start_s: float) -> None:
    ends = time.monotonic() + start_s
    while not is_ready():
        if guard.poll() is not None:
            why = "exited while starting"
        elif time.monotonic() > ends:
            why = f"was not ready within {start_s:g} s"
        else:
            time.sleep(_POLL_S)
            continue
        raise UsageError(f"{command.name} {why}: {last_words(command.log)}; fix that, or configure a server of your own")


def main() -> None:
    """Start the server that the first line of standard input describes; stop it when standard input ends."""
    for ignored in _IGNORED:
        signal.signal(ignored, signal.SIG_IGN)
    ended, ends = os.pipe()
    os.set_blocking(ends, False)
    signal.set_wakeup_fd(ends)
    for waking in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(waking, lambda *_: None)  # writes a byte to the pipe that the loop below reads
    line = sys.stdin.buffer.readline()
    if not line:
        return  # the starter has exited already
    job = json.loads(line)
    if job["cores"]:
        os.sched_setaffinity(0, job["cores"])  # the server inherits them
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)  # the guard adopts processes that the server leaves behind, and ends them
    server = None
    try:
        server = _started(job)
        sys.stdout.write(f"{server.pid}\n")
        sys.stdout.flush()
        while server.poll() is None:
            ready, _, _ = select.select([0, ended], [], [])
            if 0 in ready and not os.read(0, 1024):
                break
            if ended in ready and signal.SIGTERM in os.read(ended, 1024):
                break
    except OSError as error:
        with contextlib.suppress(OSError), Path(job["log"]).open("a") as log:
            log.write(f"{error.strerror or error}: {error.filename or job['words'][0]}\n")
        sys.exit(1)
    finally:
        _stop(server, job)
        if job["remove"]:
            shutil.rmtree(job["remove"], ignore_errors=True)


def _started(job: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    uid, gid = job["user"] or (None, None)
    if job["remove"]:
        folder = Path(job["remove"])
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for source, name in job["bring"].items():
            shutil.copytree(source, folder / name, symlinks=True)
        for path in (folder, *folder.rglob("*")) if job["user"] else ():
            os.chown(path, *job["user"], follow_symlinks=False)
    guard = os.getpid()

    def set_up() -> None:
        """Let the kernel stop the server if its guard is killed. The change of user, which would clear this, has happened."""
        for ignored in _IGNORED:
            signal.signal(ignored, signal.SIG_DFL)
        _prctl(_PR_SET_PDEATHSIG, job["stop"])
        if os.getppid() != guard:
            os._exit(1)

    with Path(job["log"]).open("ab") as log:
        return subprocess.Popen(
            job["words"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **job["environment"]},
            start_new_session=True,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
            preexec_fn=set_up,  # noqa: PLW1509 - this process has one thread
        )


def _stop(server: subprocess.Popen[bytes] | None, job: Mapping[str, Any]) -> None:
    """Stop the server, then kill all of its processes that are still running."""
    if server is not None and server.poll() is None:
        server.send_signal(job["stop"])
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(job["stop_s"])
    for _ in range(_ROUNDS):  # a killed process may have started another one meanwhile
        left = psutil.Process().children(recursive=True)
        if not left:
            break
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


if __name__ == "__main__":
    main()
