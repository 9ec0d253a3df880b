"""A trial of importing the user's files, in a forked process: code that ends, crashes or forks it is named and goes no further."""

import contextlib
import mmap
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from harness.errors import UsageError
from harness.runtime.channel import begin, leave, set_parent_death_signal, watch_forks
from harness.runtime.child import exit_description
from harness.runtime.signals import STOPPING
from harness.text import encode

POLL_S = 0.005
"""Seconds between two looks at the forked process."""
LATE_S = 5.0
"""Seconds that the forked process may take longer for a file than the deadline of the file's import, which it has itself."""
FORK_S = 1.0
"""Seconds that a process which a file has forked may take to go on with the work of its parent."""
_SIZE = 1 << 16
_NUMBER, _FORKED = 0, 4
"""Places in the shared memory: of the number of files that were imported, and of whether one has forked the process."""
_MESSAGE = 8
"""The place of the message of a deadline, which NUL ends."""


def try_import(files: Sequence[Path], load: Callable[[Path], object], timeout_s: float) -> None:
    """Raise UsageError for the first file with which `load` ends or forks its process, or does not come to an end.

    `load` has a deadline of `timeout_s` seconds itself. Whatever else it raises is left to the caller's own attempt. Linux only,
    and not where other threads run, which a forked process lacks; without effect elsewhere.
    """
    if sys.platform != "linux" or threading.active_count() > 1:
        return
    shared = mmap.mmap(-1, _SIZE)
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process == 0:
        _load_all(files, load, timeout_s, shared)
    try:
        ended = _waited(process, shared, timeout_s + LATE_S)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process, signal.SIGKILL)
    imported = int.from_bytes(shared[_NUMBER:_FORKED], sys.byteorder)
    if imported < len(files) or shared[_FORKED]:
        _refuse(files[min(imported, len(files) - 1)], ended, shared, timeout_s)


def _refuse(file: Path, ended: int | None, shared: mmap.mmap, timeout_s: float) -> None:
    """Raise UsageError for a file whose import did not come to its own end."""
    message = bytes(shared[_MESSAGE:]).partition(b"\0")[0].decode(errors="replace")
    if message == _RAISED:
        return
    if message:
        raise UsageError(message)
    if ended is None:
        problem = f"its import did not finish within {timeout_s:g} s; raise --timeout if it may take longer"
    else:
        problem = f"it ended the process that imports it ({exit_description(ended)}); remove that"
    raise UsageError(f"{file.resolve()} cannot be imported: {problem}")


_RAISED = "raised"
"""The message of a process in which a file raised an exception, which the caller's own attempt will raise as well."""


def _load_all(files: Sequence[Path], load: Callable[[Path], object], timeout_s: float, shared: mmap.mmap) -> NoReturn:
    """Load the files in the forked process, with their output left out, and end it."""
    forks = 0

    def count() -> None:
        nonlocal forks
        forks += 1

    def report(message: str) -> None:
        _write(shared, message)
        shared[_FORKED] = 1

    os.register_at_fork(after_in_parent=count)
    watch_forks(report)
    begin("importing")
    _detach()
    message = ""
    try:
        for number, file in enumerate(files):
            started_s = time.monotonic()
            try:
                load(file)
            except UsageError as error:
                message = str(error) if time.monotonic() - started_s >= timeout_s else _RAISED
                break
            shared[_NUMBER:_FORKED] = (number + 1).to_bytes(_FORKED - _NUMBER, sys.byteorder)
    except BaseException:  # noqa: BLE001 - the caller's own attempt names it
        message = _RAISED
    if message:
        _write(shared, message)
    for _ in range(round(FORK_S / POLL_S) if forks else 0):
        if shared[_FORKED]:
            break
        time.sleep(POLL_S)
    leave(0)


def _detach() -> None:
    """Let this process end by any signal, whatever its parent does upon it, and with its parent; leave out what it prints."""
    os.setsid()
    set_parent_death_signal(signal.SIGKILL)
    for stopping in STOPPING:
        signal.signal(stopping, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 - until the process ends


def _write(shared: mmap.mmap, message: str) -> None:
    written = encode(message)[: _SIZE - _MESSAGE - 1]
    shared[_MESSAGE : _MESSAGE + len(written)] = written


def _waited(process: int, shared: mmap.mmap, limit_s: float) -> int | None:
    """Wait for the forked process; return its return code as `subprocess` has it, or None if it was ended because a file hangs."""
    imported, since_s = 0, time.monotonic()
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if shared[_FORKED]:
            break
        number = int.from_bytes(shared[_NUMBER:_FORKED], sys.byteorder)
        if number != imported:
            imported, since_s = number, time.monotonic()
        if time.monotonic() - since_s > limit_s:
            break
        time.sleep(POLL_S)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None
