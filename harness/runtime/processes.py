"""Starting child processes, hearing their events, and ending them whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator

import msgspec

from harness.bench.protocol import BenchJob, Event, JobFailed, encode_job

COUNTING = ("examine", "count", "instructions")
FIXED = {"PYTHONHASHSEED": "0"}
"""What processes that count exact work have the same every time: the order of sets decides what is called, and how often."""

_decoder = msgspec.json.Decoder(Event)


_living: set[subprocess.Popen[bytes]] = set()


def events(job: BenchJob) -> Generator[Event, None, None]:
    """Run a job in a fresh process and yield its events as they come.

    A child that dies without a word yields a `JobFailed` of its own. Closing the generator, or an exception at the caller, ends the
    child and everything it started.
    """
    with tempfile.TemporaryFile() as stderr:
        child = subprocess.Popen(
            [*job.prefix, sys.executable, "-m", "harness.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**environment(), **(FIXED if job.task in COUNTING else {})},
            start_new_session=True,
        )
        _living.add(child)
        assert child.stdin is not None
        assert child.stdout is not None
        last: Event | None = None
        try:
            with contextlib.suppress(BrokenPipeError):  # a child that cannot even start says why on its standard error
                child.stdin.write(encode_job(job))
                child.stdin.close()
            for line in child.stdout:
                last = _decoder.decode(line)
                yield last
            code = child.wait()
            if last is None or code != 0:
                stderr.seek(0)
                detail = stderr.read().decode(errors="replace")
                yield JobFailed(f"the worker process ended without a word ({ending(code)})", 1, detail)
        finally:
            end(child)
            _living.discard(child)
            child.stdout.close()


def end(child: subprocess.Popen[bytes]) -> None:
    """Kill a child's whole process group, if any of it is left, and reap it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def end_all() -> None:
    """Kill every child that is being listened to, whichever thread listens; each listener hears its child's end."""
    for child in list(_living):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)


def environment() -> dict[str, str]:
    """Return the environment of a child: the parent's, with this process's import path, so that it finds the same scenarios."""
    paths = dict.fromkeys(p for p in sys.path if p)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


def ending(code: int) -> str:
    """Return how a process ended, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
