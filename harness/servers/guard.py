"""A server that never outlives whoever started it: not after success, failure or Ctrl-C, and not when that process is killed.

Between the two stands a small process of its own, the guard. It holds one end of a pipe whose other end its starter holds. However
the starter ends, the kernel closes that end; the guard then stops the server, and removes its folder.

A server of a process that is kept on one core, to be timed there, runs on the others: client and server do not wait for each other.
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
"""How long a server may take until it is ready."""

_POLL_S = 0.02
_IGNORED = (signal.SIGINT, signal.SIGHUP)  # by the guard, whose starter decides
_ROUNDS = 10
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_TELLING = re.compile(r"\b(?:fatal|panic|error|failed|cannot|could not)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Command:
    """A server to start.

    `words` is the command; `stop` the signal that ends it at once but in order; `log` the file that takes its output. `remove` is a
    folder of its own, made for it if need be and deleted after it; the log is better kept elsewhere. `user` is whom to run it as, a
    uid and gid, for servers that refuse to run as root. `bring` are folders to copy into `remove` beforehand, each with its place
    there, for programs that lie where that user cannot read. `environment` is added to the starter's own. What has not stopped
    after `stop_s` is killed.
    """

    name: str
    words: Sequence[str]
    log: Path
    stop: signal.Signals = signal.SIGTERM
    remove: Path | None = None
    user: tuple[int, int] | None = None
    bring: Mapping[Path, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_s: float = 10.0


@contextmanager
def guarded(command: Command, is_ready: Callable[[], bool], *, start_s: float = START_S) -> Iterator[int]:
    """Start a server, wait until it is ready, yield its process id, and stop it at the end.

    Raises:
        UsageError: it ended before it was ready, or was not ready in time; says what it said last.
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
        start_new_session=True,  # a Ctrl-C at the terminal is its starter's to handle
    )
    assert guard.stdin is not None
    assert guard.stdout is not None
    try:
        with contextlib.suppress(BrokenPipeError):
            # Not an argument, which everybody on the machine can read: the environment may hold a password.
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
            shutil.rmtree(command.remove, ignore_errors=True)  # still there when somebody has killed the guard


def last_words(log: Path) -> str:
    """Return the last line in which a server complains, or else the last that says anything."""
    try:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    complaints = [line for line in lines if _TELLING.search(line)]
    return (complaints or lines or ["it said nothing"])[-1]


def _wait(command: Command, guard: subprocess.Popen[bytes], is_ready: Callable[[], bool], start_s: float) -> None:
    ends = time.monotonic() + start_s
    while not is_ready():
        if guard.poll() is not None:
            why = "ended while starting"
        elif time.monotonic() > ends:
            why = f"was not ready within {start_s:g} s"
        else:
            time.sleep(_POLL_S)
            continue
        raise UsageError(f"{command.name} {why}: {last_words(command.log)}; mend that, or name a server of yours")


def main() -> None:
    """Start the server that the first line of standard input describes; stop it when standard input ends."""
    for ignored in _IGNORED:
        signal.signal(ignored, signal.SIG_IGN)
    ended, ends = os.pipe()
    os.set_blocking(ends, False)
    signal.set_wakeup_fd(ends)
    for waking in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(waking, lambda *_: None)  # a byte in the pipe, which the loop below reads
    line = sys.stdin.buffer.readline()
    if not line:
        return  # the starter is gone already
    job = json.loads(line)
    if job["cores"]:
        os.sched_setaffinity(0, job["cores"])  # the server will inherit them
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)  # what the server leaves behind becomes the guard's, to be ended by it
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
        """Let the kernel stop the server should its guard be killed. The change of user, which would clear this, is done."""
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
    """Ask the server to stop, then kill what is left of it and of all that it started."""
    if server is not None and server.poll() is None:
        server.send_signal(job["stop"])
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(job["stop_s"])
    for _ in range(_ROUNDS):  # what is killed may have started something meanwhile
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
