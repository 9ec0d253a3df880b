"""A child process's side: its channel to the parent, its current activity, its cores and its end with the parent.

The wire format is one JSON object per line over one socket; the key `type` names the message. Standard library only and loadable by
path, because a worker of `harness gate --against` runs with another tree and its interpreter. Run by path, this is the launcher of
such a worker: `channel.py COMMAND …`.
"""

import contextlib
import ctypes
import faulthandler
import gc
import json
import mmap
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NoReturn

# Environment variables of a child
FD = "HARNESS_CHANNEL_FD"
"""The file descriptor of the child's end of the channel."""
PARENT = "HARNESS_PARENT_PID"
"""The parent's process id, to notice an exit of the parent before the kernel was asked to watch it."""
CORES = "HARNESS_CORES"
"""The cores to pin the child to, separated by commas."""
ACTIVITY = "HARNESS_ACTIVITY_FD"
"""The file descriptor of the memory with the child's current activity."""
PADDING = "HARNESS_PADDING"
"""Without meaning: its length moves the start of the stack."""
FAILED = "JobFailed"
"""Type of the message with which a worker gives up; see `harness.runtime.child.JobFailed`."""
ACTIVITY_BYTES, COUNTER_BYTES = 4096, 8
"""Size of the memory with the activity, behind which the stacks are written; and of the number of activities at its start."""
STACK_SIGNAL = signal.SIGQUIT
"""Signal upon which a child writes the stacks of its threads and tasks behind its activity."""
STACKS_END = "end of stacks"
"""The last line of the stacks."""
LONG = 10
"""Timeouts of an operation that an activity may take which consists of many operations, such as building the data."""
_NAME_LENGTHS = (300, 50)
"""The lengths to which names are cut: a character may take six bytes."""
_now_s = time.perf_counter
"""Kept here: what freezes time replaces the functions of `time`."""
leave = os._exit
"""Ends a process at once, also where `refuse_exits` has been called."""
_CHUNK_BYTES = 1 << 16
_PR_SET_PDEATHSIG = 1
_ADDR_NO_RANDOMIZE = 0x0040000
_QUERY = 0xFFFFFFFF

cores_before: frozenset[int] = frozenset()
"""The cores that this process ran on before it was pinned; empty if it was not."""


class Channel:
    """One end of a channel: sends and receives JSON lines. One thread may receive while others send."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._received = bytearray()
        self._sending = threading.Lock()

    def fileno(self) -> int:
        """Return the file descriptor, for `select`."""
        return self._socket.fileno()

    def send(self, kind: str, /, **fields: Any) -> None:
        """Send a message of type `kind`; raises as `write_line` does."""
        self.write_line(json.dumps({"type": kind, **fields}).encode())

    def receive(self) -> dict[str, Any] | None:
        """Wait for the next message and return it; None if the other side has closed its end."""
        line = self.read_line()
        return json.loads(line) if line else None

    def write_line(self, line: bytes) -> None:
        """Send an encoded message; raise OSError if the other side has closed its end."""
        end_if_forked()
        with self._sending:
            self._socket.sendall(line + b"\n")

    def read_line(self, timeout_s: float | None = None) -> bytes:
        """Wait for the next encoded message; return b"" if the other side has closed its end, even within a line.

        Raises TimeoutError after `timeout_s` seconds.
        """
        if self._socket.gettimeout() != timeout_s:
            self._socket.settimeout(timeout_s)
        searched = 0
        while (end := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            chunk = b""
            with contextlib.suppress(ConnectionError):  # such as a reset: the other side crashed with unread messages
                chunk = self._socket.recv(_CHUNK_BYTES)
            if not chunk:
                return b""
            self._received += chunk
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line

    def fail(self, message: str) -> None:
        """Send the message with which a worker gives up, if the other side has not closed its end."""
        with contextlib.suppress(OSError):
            self._socket.sendall(json.dumps({"type": FAILED, "message": message}).encode() + b"\n")

    def shut_down(self) -> None:
        """End the channel in both directions; a thread that is receiving returns."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Release the socket."""
        self._socket.close()


def refuse_exits() -> Callable[[], None]:
    """Let `os._exit` raise SystemExit in this process, as `sys.exit` does: foreign code must not end it unnoticed.

    Return the function that puts it back.
    """
    before, process, is_refused = os._exit, os.getpid(), True

    def refuse(status: int) -> NoReturn:
        if is_refused and os.getpid() == process:  # not in one that it forks
            raise SystemExit(status)
        before(status)

    def put_back() -> None:
        nonlocal is_refused
        is_refused = False  # for code that keeps the function
        os._exit = before

    os._exit = refuse
    return put_back


def connect(*, exit_with_parent: bool = True) -> Channel:
    """Return the channel to the parent, after pinning this process to the cores that the parent chose.

    With `exit_with_parent` this process ends with its parent; see `die_with_parent`. Without it, it has to exit with the channel.
    """
    if exit_with_parent:
        die_with_parent()
    os.environ.pop(PARENT, None)
    pin()
    _share_activity()
    connection = socket.socket(fileno=int(os.environ.pop(FD)))
    connection.set_inheritable(False)
    connection.setblocking(True)  # noqa: FBT003 - the parent's event loop may have made it non-blocking
    parent = Channel(connection)
    watch_forks(parent.fail)
    return parent


_activity = memoryview(bytearray(ACTIVITY_BYTES))
_counter = _activity[:COUNTER_BYTES].cast("Q")


_doing: tuple[str, str, str] = ("starting", "", "")
_forked = ""
"""What this process did when it was forked from another one of the harness, and where; empty: it is the other one."""
_report_fork: Callable[[str], None] | None = None
_spent_s: dict[str, float] = {}
_since_s: tuple[str, float] | None = None


def begin(phase: str, arm: str = "", case: str = "", times: int = 1) -> None:
    """Record what this process starts to do, for the parent, which ends a process whose activity lasts too long.

    `times` is the number of an operation's timeouts that it may last. It costs about a microsecond, and `beat` a tenth of that.
    """
    global _doing, _since_s
    end_if_forked()
    now_s = _now_s()
    if _since_s is not None:
        _spent_s[_since_s[0]] = _spent_s.get(_since_s[0], 0.0) + now_s - _since_s[1]
    _since_s, _doing = (phase, now_s), (phase, arm, case)
    line = _encoded(phase, arm, case, times)
    _activity[COUNTER_BYTES : COUNTER_BYTES + len(line)] = line
    _counter[0] += 1


def doing() -> tuple[str, str, str]:
    """Return the phase, the arm and the case of the current activity."""
    return _doing


def beat() -> None:
    """Record that the same activity starts again."""
    _counter[0] += 1


def transfer(seconds: float, to: str) -> None:
    """Count these seconds of the current activity as those of another one."""
    if _since_s is not None:
        _spent_s[_since_s[0]] = _spent_s.get(_since_s[0], 0.0) - seconds
        _spent_s[to] = _spent_s.get(to, 0.0) + seconds


def spent_s() -> dict[str, float]:
    """Return the seconds spent so far: activity → seconds, from the first `begin` on."""
    found = _spent_s.copy()
    if _since_s is not None:
        found[_since_s[0]] = found.get(_since_s[0], 0.0) + _now_s() - _since_s[1]
    return found


@lru_cache(maxsize=4096)
def _encoded(phase: str, arm: str, case: str, times: int) -> bytes:
    for length in _NAME_LENGTHS:
        fields = [phase[:length], arm[:length], case[:length], times]
        line = json.dumps(fields, ensure_ascii=False).encode(errors="replace") + b"\n"
        if len(line) <= ACTIVITY_BYTES - COUNTER_BYTES:
            break
    return line


def _share_activity() -> None:
    """Record activities in the parent's memory from now on, and write all stacks behind it when the parent asks for them."""
    global _activity, _counter  # noqa: PLW0603 - one process, one activity
    number = os.environ.pop(ACTIVITY, None)
    if number is None:
        return
    file = int(number)
    os.set_inheritable(file, False)  # noqa: FBT003 - positional only
    _activity = memoryview(mmap.mmap(file, ACTIVITY_BYTES))
    _counter = _activity[:COUNTER_BYTES].cast("Q")
    os.lseek(file, ACTIVITY_BYTES, os.SEEK_SET)
    signal.signal(STACK_SIGNAL, lambda _, frame: _write_stacks(file, frame))
    # First the threads without the interpreter, which may wait for ever; then, if it runs, the tasks and the names of the threads.
    faulthandler.register(STACK_SIGNAL, file=file, all_threads=True, chain=True)
    faulthandler.enable(file=file)  # where a crash, such as SIGSEGV, was


def watch_forks(report: Callable[[str], None]) -> None:
    """Have forked processes recognised from now on that go on with the work of this one; `report` gets a line about such a one."""
    global _report_fork  # noqa: PLW0603 - one process, one parent
    _report_fork = report
    os.register_at_fork(after_in_child=_note_fork)


def _note_fork() -> None:
    """Note in a forked process what its parent did, and where; it has no activity of its own that the other side would see."""
    global _activity, _counter, _forked  # noqa: PLW0603 - one process, one activity
    frame = sys._getframe(1)  # noqa: SLF001 - no traceback without an exception
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "gevent":  # which has its own fork
        frame = frame.f_back
    phase, arm, case = _doing
    _forked = _forked or f"{frame.f_code.co_filename}, line {frame.f_lineno} ({' · '.join(filter(None, (phase, arm, case)))})"
    _activity = memoryview(bytearray(ACTIVITY_BYTES))
    _counter = _activity[:COUNTER_BYTES].cast("Q")


def end_if_forked() -> None:
    """End this process if it was forked from one of the harness and goes on with its work."""
    if _forked:
        end_fork()


def end_fork() -> NoReturn:
    """Report that this process was forked, and goes on with the work of the other one instead of its own, and end it."""
    if _report_fork is not None:
        _report_fork(f"{_forked}: a process that is forked there goes on with the work of its parent; end it by os._exit(0)")
    leave(1)


def _write_stacks(file: int, interrupted: Any) -> None:
    """Write the stacks of the interrupted main thread, of asyncio's tasks and of all other threads, most recent call first."""
    main, frames = threading.main_thread(), sys._current_frames()  # noqa: SLF001 - no other way to another thread's stack
    sections = [("main thread", _frames(interrupted))]
    asyncio = sys.modules.get("asyncio")
    with contextlib.suppress(Exception):  # without a running loop there are no tasks
        tasks = sorted(asyncio.all_tasks(), key=lambda task: (len(task.get_name()), task.get_name()))  # type: ignore[union-attr]
        sections += [(f"task {task.get_name()!r}", _awaited(task.get_coro())) for task in tasks]
    for thread in threading.enumerate():
        if thread is not main and thread.ident in frames:
            sections.append((f"{'daemon thread' if thread.daemon else 'thread'} {thread.name!r}", _frames(frames[thread.ident])))
    lines = [line for title, places in sections for line in (f"{title}:", *places)]
    os.write(file, "\n".join(["", *lines, STACKS_END, ""]).encode(errors="replace"))


def _frames(frame: Any) -> list[str]:
    places = []
    while frame is not None:
        places.append(_place(frame))
        frame = frame.f_back
    return places


def _awaited(coroutine: Any) -> list[str]:
    """Return the lines at which a coroutine, and everything that it waits for, is suspended, the innermost first."""
    places = []
    while (kind := _suspended(coroutine)) is not None:
        places.append(_place(getattr(coroutine, f"{kind}_frame")))
        awaited = getattr(coroutine, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")
        if awaited is not None and _suspended(awaited) is None:  # such as a step of an async generator, which does not name it
            awaited = next(filter(_suspended, gc.get_referents(awaited)), None)
        coroutine = awaited
    return places[::-1]


def _suspended(awaited: Any) -> str | None:
    """Return the prefix of the attributes of a coroutine or generator that has not ended; None for anything else."""
    return next((kind for kind in ("cr", "gi", "ag") if getattr(awaited, f"{kind}_frame", None) is not None), None)


def _place(frame: Any) -> str:
    return f'  File "{frame.f_code.co_filename}", line {frame.f_lineno} in {frame.f_code.co_name}'


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent exits, and leave Ctrl-C to the parent, which decides what is kept."""
    set_parent_death_signal(signal.SIGKILL)
    if os.environ.get(PARENT, str(os.getppid())) != str(os.getppid()):
        leave(1)  # the parent exited before
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def set_parent_death_signal(number: int) -> None:
    """Let the kernel send this process a signal when its parent exits in any way; Linux only, without effect elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def pin() -> None:
    """Pin this process, and the threads that it starts from now on, to the cores that the parent chose, if any."""
    global cores_before  # noqa: PLW0603 - one process, one set of cores
    cores = os.environ.pop(CORES, "")
    if cores:
        cores_before |= os.sched_getaffinity(0)
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})


def main() -> None:
    """Become the command in the arguments, with the same addresses every time; exits with 127 and one line if that fails."""
    pin()
    set_parent_death_signal(signal.SIGKILL)
    if sys.platform == "linux":
        system = ctypes.CDLL(None)
        persona = system.personality(_QUERY)
        if persona != -1:  # a container may forbid it: addresses then differ between processes, which costs precision only
            system.personality(persona | _ADDR_NO_RANDOMIZE)
    command = sys.argv[1:]
    try:
        os.execvp(command[0], command)  # noqa: S606 - the parent's own list of arguments, no shell
    except OSError as error:
        sys.stderr.write(f"error: {command[0]}: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    main()
