"""The parent's side of a child process: start it, exchange messages with it, and end it with all that it started."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import msgspec
import psutil

from harness.errors import HarnessError, ScenarioFailedError, UsageError, print_traceback
from harness.runtime import channel, leftovers
from harness.runtime.cores import keep_to
from harness.runtime.machine import worker_environment
from harness.runtime.watch import Activity, Stack, stacks_in
from harness.text import encode_json

M = TypeVar("M")
P = TypeVar("P")

STOPPED = "is stopped (SIGSTOP)"
"""The state of a process that was stopped, in words."""
STACKS_S, STACKS_POLL_S = 2.0, 0.05
"""Timeout of a child that is asked for its stacks, and the interval of looking for them, in seconds."""
LEFT_S, COMMAND_LENGTH = 1.0, 60
"""Seconds that the processes of a child may take to notice its exit, and the length to which a command line is cut."""

_PACKAGE = Path(__file__).parents[1]
"""The folder of this program's package."""
ENDING_S = 10.0
"""The longest wait for a process to exit that has closed its channel, in seconds."""
_ERROR = re.compile(r"error|\b(?:fatal|panic|failed|cannot|could not)\b", re.IGNORECASE)


class JobFailed(msgspec.Struct, tag=True, frozen=True):
    """The last message of a worker that gives up, whatever its kind."""

    message: str
    """The reason, in one line."""
    code: int = ScenarioFailedError.code
    """The exit code that this failure means for the command."""
    detail: str = ""
    """The traceback or the process's output, for a file and never for the terminal."""
    kind: str = ""
    """The type of the exception; empty if there was none."""
    during: str = ""
    """The activity in which it happened, such as "comparing answers", if that is known."""

    def error(self, subject: str = "") -> HarnessError:
        """Return the exception to raise for it, with its exit code; the message begins with the subject, such as a scenario."""
        kind = UsageError if self.code == UsageError.code else ScenarioFailedError
        return kind(f"{subject}: {self.message}" if subject else self.message)


class Child(Generic[M]):
    """A child process and the channel to it. At the end of its context it is ended, with all processes that it started.

    Example:
        with Child(python_module("harness.doctor.worker"), msgspec.json.Decoder(Times)) as child:
            child.send(Measure(4))
            times = child.receive()
    """

    def __init__(
        self,
        command: Sequence[str],
        decoder: msgspec.json.Decoder[M],
        *,
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        cores: Collection[int] = (),
        hash_seed: int | None = None,
        padding: int | None = None,
        capture: bool = True,
        exit_timeout_s: float | None = 0.0,
    ) -> None:
        """Start a command whose program calls `harness.runtime.channel.connect`, behind a `prefix` such as valgrind's command line.

        `environment` replaces that of `child_environment()`. `cores` are those to pin it to; none leaves it to the system.
        `hash_seed` fixes the order of sets. `padding` is a number of bytes to add to the environment; the process then starts
        through the launcher, without address-space randomisation. Without `capture` its output, instead of being kept for
        `output()`, goes to standard error. `exit_timeout_s` is the time to exit by itself once its channel is closed, before it is
        killed; None: no limit, and an interrupt does not kill it either.
        """
        self._decoder = decoder
        self._exit_timeout_s = exit_timeout_s
        leftovers.watch()
        self.mark = leftovers.new_mark()
        """In the environment of everything that the process starts, whatever session that is in."""
        self.started: Sequence[int] = ()
        """The processes that it has started and named before its end, which may have no mark."""
        self._output = tempfile.TemporaryFile() if capture else None  # noqa: SIM115 - closed by `close`
        self._activity = _memory(channel.ACTIVITY_BYTES)
        ours, theirs = socket.socketpair()
        self._channel = channel.Channel(ours)
        shared = [theirs.fileno(), self._activity.fileno()]
        extra = {channel.FD: str(shared[0]), channel.ACTIVITY: str(shared[1]), channel.PARENT: str(os.getpid())}
        extra[leftovers.OWNERS] = leftovers.marks(self.mark)
        if cores:
            extra[channel.CORES] = ",".join(map(str, sorted(cores)))
        if hash_seed is not None:
            extra["PYTHONHASHSEED"] = str(hash_seed)
        launcher: list[str] = []
        if padding is not None:
            extra[channel.PADDING] = "." * padding
            launcher = [sys.executable, "-I", "-S", channel.__file__]
        try:
            with theirs:
                self.process = subprocess.Popen(
                    [*prefix, *launcher, *command],
                    cwd=folder,
                    env={**(child_environment() if environment is None else environment), **extra},
                    stdin=subprocess.DEVNULL,
                    stdout=self._output or 2,
                    stderr=self._output,
                    pass_fds=shared,
                    start_new_session=True,  # Ctrl-C at the terminal is for the parent to handle
                )
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return the child, which runs already."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End the process and all that it started."""
        try:
            self.end()
        finally:
            self.close()

    def send(self, message: object) -> bool:
        """Send a message, a tagged struct or a dict with a `type`; return False if the process has exited or closed its end."""
        try:
            self._channel.write_line(encode_json(message, encode_path))
        except ConnectionError:
            return False
        return True

    def receive(self, timeout_s: float | None = None) -> M | None:
        """Wait for the next message; return None if the process has exited or closed its end.

        Raises TimeoutError after `timeout_s` seconds.
        """
        line = self._channel.read_line(timeout_s)
        message = self._decoder.decode(line) if line else None
        if isinstance(message, JobFailed):
            print_traceback(message.detail)
        return message

    def move(self, core: int) -> None:
        """Move the process to a core, with all its threads and all processes that it has started."""
        with contextlib.suppress(psutil.Error):  # one that has exited is noticed when a message is expected
            keep_to({core}, psutil.Process(self.process.pid))

    def activity(self) -> Activity:
        """Return what the process is doing, which can be read also if it hangs."""
        content = os.pread(self._activity.fileno(), channel.ACTIVITY_BYTES, 0)
        number = int.from_bytes(content[: channel.COUNTER_BYTES], sys.byteorder)
        line = content[channel.COUNTER_BYTES :].partition(b"\n")[0]
        try:
            return Activity(number, *json.loads(line))
        except (ValueError, TypeError):  # not begun yet, or read while it was written
            return Activity(number)

    def stacks(self) -> list[Stack]:
        """Return the stacks of the process's threads and tasks, none if it does not answer within STACKS_S, as a stopped one.

        Those of a process that has crashed are where it did.
        """
        if self.activity().number == 0:  # it does not know the signal yet
            return []
        file, text = self._activity.fileno(), ""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(channel.STACK_SIGNAL)
        for _ in range(round(STACKS_S / STACKS_POLL_S)):
            text = os.pread(file, os.fstat(file).st_size, channel.ACTIVITY_BYTES).decode(errors="replace")
            if channel.STACKS_END in text or self.process.poll() is not None:
                break
            time.sleep(STACKS_POLL_S)
        return stacks_in(text)

    def stopped(self) -> str:
        """Return the name of a process that was stopped, such as by SIGSTOP: this one, or one that it started; else empty."""
        found = stopped_process(self.process.pid)
        if found is None or found.pid == self.process.pid:
            return "" if found is None else "its process"
        with contextlib.suppress(psutil.Error):
            return f"process {' '.join(found.cmdline() or [found.name()])[:COMMAND_LENGTH]!r}"
        return ""

    def left(self) -> list[str]:
        """Return the processes that it started and that go on running, also if it has exited itself, by their command lines.

        Those that end within LEFT_S, as helpers do that notice its exit, are not among them.
        """
        running: list[psutil.Process] = []
        for _ in range(round(LEFT_S / STACKS_POLL_S)):
            running = [
                process for process in started_by(self.process.pid, self.mark, self.started) if process.pid != self.process.pid
            ]
            if not running:
                break
            time.sleep(STACKS_POLL_S)
        found = []
        for process in running:
            with contextlib.suppress(psutil.Error):
                command = process.cmdline() or [process.name()]
                is_fork = command == list(map(str, self.process.args)) if isinstance(self.process.args, list) else False
                found.append("a forked process" if is_fork else f"process {' '.join(command)[:COMMAND_LENGTH]!r}")
        return found

    def output(self) -> str:
        """Return the captured standard output and standard error so far; empty if they are not captured."""
        if self._output is None:
            return ""
        self._output.seek(0)
        return self._output.read().decode(errors="replace")

    def exit_description(self) -> str:
        """Wait for the process to exit; return its exit code or signal, such as `exit code 3` or `SIGKILL`.

        One that goes on for ENDING_S, as after its code has closed the channel, is killed.
        """
        try:
            return exit_description(self.process.wait(ENDING_S))
        except subprocess.TimeoutExpired:
            self.kill()
            return f"it had closed its channel, and was killed after {ENDING_S:g} s"

    def ending(self) -> str:
        """Return why a process ended that has closed its channel: the last line that reports an error, else its exit code.

        Python prints the reason of an exit when a program's objects are gone, so that this waits for the exit, for `ENDING_S`.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(ENDING_S)
        code = self.process.poll()
        return last_error_line(self.output()) or ("it sends nothing more" if code is None else exit_description(code))

    def end(self) -> None:
        """Close the channel, wait for the process to exit if it has time to, then kill its process group and reap it."""
        try:
            if self._exit_timeout_s != 0:
                self._channel.shut_down()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(self._exit_timeout_s)
        finally:
            if self._exit_timeout_s is not None or self.process.returncode is not None:  # an interrupt leaves it its time
                self.kill()
            self._channel.shut_down()

    def kill(self) -> None:
        """Kill the process with all that it started, also what has left its session, and reap it.

        A guard that it has started ends by itself once it notices that, for which it is continued if it is stopped.
        """
        family: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            family += psutil.Process(self.process.pid).children(recursive=True)
        unmarked = leftovers.below_process(self.process.pid)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for pid in unmarked:  # such as one in a session and an environment of its own
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for left in started_by(self.process.pid, self.mark, self.started):
            with contextlib.suppress(psutil.Error):
                left.kill()
        leftovers.end(self.mark, 0.0, guards=False)
        for left in family:
            with contextlib.suppress(psutil.Error):
                left.resume()
        self.process.wait()

    def close(self) -> None:
        """Release the channel and the captured output, after `end` and when no thread receives messages any more."""
        self._channel.close()
        self._activity.close()
        if self._output is not None:
            self._output.close()


def process_fault(pid: int) -> str | None:
    """Return why a process does not run: `has ended`, or `is stopped (SIGSTOP)`, as one that it started may be; None if it runs."""
    try:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return "has ended"
    except psutil.NoSuchProcess:
        return "has ended"
    except psutil.Error:
        return None
    return None if stopped_process(pid) is None else STOPPED


def stopped_process(pid: int) -> psutil.Process | None:
    """Return the process, or the first one that it has started, that is stopped, such as by SIGSTOP; None if none is."""
    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        family.append(psutil.Process(pid))
        family += family[0].children(recursive=True)
    for each in family:
        with contextlib.suppress(psutil.Error):
            if each.status() in {psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP}:
                return each
    return None


def started_by(pid: int, mark: str, known: Iterable[int] = ()) -> list[psutil.Process]:
    """Return the running processes of the session that a process has started, those below it, and those with its mark but guards.

    Those that it has named itself are `known`. One that waits to be reaped does not run.
    """
    found, marked = [], {each.pid for each in leftovers.running(mark) if not each.is_guard}
    marked.update(leftovers.below_process(pid), known)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError, PermissionError):
            if (process.pid in marked or os.getsid(process.pid) == pid) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _memory(size: int) -> FileIO:
    """Return memory to share with a child, as an open file; one on a disk would be written to it again and again."""
    if sys.platform == "linux":
        file = FileIO(os.memfd_create("harness-activity"), "r+")
    else:
        with tempfile.TemporaryFile() as other:
            file = FileIO(os.dup(other.fileno()), "r+")
    file.truncate(size)
    return file


def python_module(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a module with this interpreter.

    Raises UsageError where a child would import another package of this one's name.
    """
    if name.partition(".")[0] == _PACKAGE.name:
        _refuse_hidden()
    return [sys.executable, "-m", name, *arguments]


def _refuse_hidden() -> None:
    """Raise UsageError if a child, which starts in the current folder, would find a package of this one's name before it."""
    for folder in map(Path, dict.fromkeys([".", *filter(None, sys.path)])):
        if folder.resolve() == _PACKAGE.parent:
            return
        for other in (folder / _PACKAGE.name / "__init__.py", folder / f"{_PACKAGE.name}.py"):
            if other.is_file():
                hides = f"{other.resolve()} hides the package {_PACKAGE.name!r} of this program from the processes that it starts"
                raise UsageError(f"{hides}; rename it, or keep its folder off the import path")


def child_environment(*, unbuffered: bool = True, temporary: Path | None = None) -> dict[str, str]:
    """Return this process's environment and import path for a child, without settings that distort times and counts.

    `unbuffered` keeps the output of a child that is killed. `temporary` is its folder for temporary files, which it then cannot
    leave behind.
    """
    more = {"TMPDIR": str(temporary)} if temporary else {}
    paths = dict.fromkeys(p for p in sys.path if p)
    return {
        **worker_environment(),
        "PYTHONPATH": os.pathsep.join(paths),
        **({"PYTHONUNBUFFERED": "1"} if unbuffered else {}),
        **more,
    }


def exit_description(code: int) -> str:
    """Return the meaning of a return code of `subprocess`, such as `exit code 3` or `SIGKILL`."""
    if code >= 0:
        return f"exit code {code}"
    return signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"


def last_error_line(text: str) -> str:
    """Return the last line of a process's output that reports an error, else the last line; empty if there is none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.search(line)]
    return (errors or lines or [""])[-1]


def encode_path(path: Any) -> str:
    """Return a path as a JSON string; a hook for msgspec, which knows all other types of messages.

    A byte that is not valid text is written as NUL, which no path contains, and two digits.
    """
    return re.sub("[\udc80-\udcff]", lambda found: f"\0{ord(found[0]) - 0xDC00:02x}", os.fspath(path))


def decode_path(kind: Callable[[str], P], value: Any) -> P:
    """Return a path from such a JSON string; a hook for msgspec."""
    return kind(re.sub("\0(..)", lambda found: chr(0xDC00 + int(found[1], 16)), value))
