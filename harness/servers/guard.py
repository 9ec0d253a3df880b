"""A server that never outlives its starter: not after success, failure or Ctrl-C, and not if the starter is killed.

A small process between the two, the guard, holds one end of a pipe whose other end the starter holds. When the starter ends in any
way, the kernel closes that end; the guard then stops the server and removes its folder. The server of a process that is pinned to
one core for timing runs on the other cores, so that client and server do not compete.
"""

import contextlib
import ctypes
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
import psutil

from harness.errors import NotMeasurableError, UsageError
from harness.network.addresses import free_port
from harness.runtime import channel, leftovers
from harness.runtime.child import (
    Child,
    child_environment,
    decode_path,
    encode_path,
    exit_description,
    last_error_line,
    python_module,
)
from harness.runtime.cores import elsewhere, keep_apart
from harness.text import encode_json

_KEPT = "kept.json"
_LEAST_USER = "nobody"
_POLL_S = 0.02
_LOOK_S = 0.001
_PORTS_TRIED = 5
_IGNORED = (signal.SIGINT, signal.SIGHUP)  # by the guard: the starter handles them
_ROUNDS = 10
_PR_SET_CHILD_SUBREAPER = 36
_Result = TypeVar("_Result")


class Command(msgspec.Struct, tag=True, frozen=True):
    """A server to start: the first message to its guard."""

    name: str
    """Name of the server in messages."""
    arguments: Sequence[str]
    """Command line."""
    log: Path
    """File for the server's output; it should not be in `remove`."""
    stop: signal.Signals = signal.SIGTERM
    """Signal for a quick but orderly shutdown."""
    complete: signal.Signals | None = None
    """Signal for a shutdown after which the server's data can be used again, if that differs; see `keep`."""
    remove: Path | None = None
    """Folder of the server, created if necessary and deleted after the server has stopped."""
    user: tuple[int, int] | None = None
    """The uid and gid to run as, for servers that refuse to run as root."""
    bring: dict[str, Path] = {}
    """Folders to copy into `remove` first, by their names there, for programs that the user may not read in place."""
    take: dict[str, Path] = {}
    """Folders to move into `remove` first, by their names there."""
    files: dict[str, str] = {}
    """Texts to write into `remove` first, by their names there, that this user alone may read: a configuration with a secret."""
    environment: dict[str, str] = {}
    """Variables in addition to the starter's environment."""
    stop_s: float = 10.0
    """Seconds until a server that does not stop is killed."""


class ServerStarted(msgspec.Struct, tag=True, frozen=True):
    """A guard's reply once its server runs."""

    pid: int
    """Process id of the server."""


class ServerEnded(msgspec.Struct, tag=True, frozen=True):
    """A guard's last message if its server has ended by itself."""

    code: int
    """Return code of `subprocess`."""


class KeptFolder(msgspec.Struct, frozen=True):
    """A folder of a server to move elsewhere once it has shut down completely."""

    name: str
    """Its name in the command's `remove`."""
    target: Path
    """Its new path."""


_Reply = ServerStarted | ServerEnded
_decoder: msgspec.json.Decoder[_Reply] = msgspec.json.Decoder(_Reply)


class RunningServer:
    """A server that this process has started, and how it ended if it did so by itself."""

    def __init__(self, command: Command, pid: int, guard: Child[_Reply]) -> None:
        self.name, self.log, self.pid = command.name, command.log, pid
        self._guard, self._how = guard, ""
        self._asking = threading.Lock()

    def ended(self, wait_s: float = 0.0) -> str | None:
        """Return how it ended, such as `SIGKILL`, after waiting at most `wait_s` seconds for that; None while it runs."""
        with self._asking:
            if not self._how:
                try:
                    message = self._guard.receive(max(wait_s, _LOOK_S))
                except TimeoutError:
                    return None
                self._how = self._description(message)
            return self._how

    def _description(self, message: _Reply | None) -> str:
        if not isinstance(message, ServerEnded):
            return f"its guard was ended ({self._guard.exit_description()})"
        how = exit_description(message.code)
        return how if message.code < 0 else f"{how} ({last_log_line(self.log)})"


_serving: dict[int, RunningServer] = {}


def serving_at(port: int) -> RunningServer | None:
    """Return the server that this process has started on a port of loopback; None if it has started none there."""
    return _serving.get(port)


def keep(command: Command, folder: KeptFolder) -> None:
    """Let the guard of a running server move a folder elsewhere at the end, instead of removing it; OSError if that fails."""
    assert command.remove is not None
    (command.remove / _KEPT).write_bytes(encode_json(folder, encode_path))


@contextmanager
def guarded(command: Command, is_ready: Callable[[], bool], *, start_s: float = 30.0, port: int = 0) -> Iterator[int]:
    """Start a server, wait at most `start_s` seconds until it is ready, yield its process id, and stop it at the end.

    `port` is the one of loopback that it listens on, by which `serving_at` finds it.

    Raises:
        UsageError: the server exited before it was ready, or was not ready in time; the message ends with its last log line.
    """
    inherited = {**child_environment(unbuffered=False), leftovers.GUARD: "1"}  # by the server, like the cores
    module = python_module("harness.servers.guard")
    try:
        with Child(module, _decoder, environment=inherited, cores=elsewhere(), capture=False, exit_timeout_s=None) as guard:
            keep_apart(guard.process.pid)
            guard.send(command)  # not an argument, which every user of the machine can read: the environment may contain a password
            started = guard.receive()
            if not isinstance(started, ServerStarted):
                advice = f"check {command.arguments[0]}"
                raise UsageError(f"{command.name} cannot be started: {last_log_line(command.log)}; {advice}")
            _wait(command, guard.process, is_ready, start_s)
            if port:
                _serving[port] = RunningServer(command, started.pid, guard)
            try:
                yield started.pid
            finally:
                _serving.pop(port, None)
    finally:
        if command.remove:
            leftovers.remove(command.remove)  # still there if the guard was killed


@contextmanager
def guarded_on_free_port(
    folder: Path, name: str, prepare: Callable[[int, Path], tuple[Command, Callable[[], bool], _Result]]
) -> Iterator[_Result]:
    """Start a server on a free port, again on another one if that is taken meanwhile; yield the last value of `prepare`.

    That returns the command for a port and a log file in `folder`, and a check whether this server is ready. Errors are those of
    `guarded`.
    """
    for attempt in range(1, _PORTS_TRIED + 1):
        log = folder / f"{name}-{attempt}.log"
        port = free_port()
        command, is_ready, found = prepare(port, log)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(guarded(command, is_ready, port=port))
            except UsageError:
                if attempt == _PORTS_TRIED or not log.exists() or "Address already in use" not in log.read_text(errors="replace"):
                    raise
                continue
            yield found
            return


def unprivileged_user(server: str, preferred: str, variable: str) -> tuple[int, int] | None:
    """Return the uid and gid for a server that root starts: a user of its own, or else the least one; None where this is not root.

    Raises NotMeasurableError, with the variable that names a server of the user, if there is no such user.
    """
    if os.geteuid() != 0:
        return None
    for name in (preferred, _LEAST_USER):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return found.pw_uid, found.pw_gid
    raise NotMeasurableError(f"{server} is not run as root; create a user named {preferred} or {_LEAST_USER}, or set {variable}")


def can_run(program: Path, user: tuple[int, int] | None) -> bool:
    """Return whether a user can run a program: a virtual environment in a home folder is often closed to other users."""
    uid, gid = user or (None, None)
    with contextlib.suppress(OSError):
        groups: list[int] | None = None if user is None else []
        done = subprocess.run([program, "--version"], user=uid, group=gid, extra_groups=groups, capture_output=True, check=False)
        return done.returncode == 0
    return False


def last_log_line(log: Path) -> str:
    """Return the last line of a log that reports an error, else its last line that is not empty."""
    text = log.read_text(errors="replace") if log.is_file() else ""
    return last_error_line(text) or "its log is empty"


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
        raise UsageError(f"{command.name} {why}: {last_log_line(command.log)}; fix that, or configure a server of your own")


def main() -> None:
    """Start the server that the first message describes; stop it when the channel ends."""
    for ignored in _IGNORED:
        signal.signal(ignored, signal.SIG_IGN)
    for marking in (leftovers.OWNERS, leftovers.GUARD):  # it is this process that ends the server
        os.environ.pop(marking, None)
    ended, ends = os.pipe()
    os.set_blocking(ends, False)
    signal.set_wakeup_fd(ends)
    for waking in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(waking, lambda *_: None)  # writes a byte to the pipe that the loop below reads
    starter = channel.connect(exit_with_parent=False)
    line = starter.read_line()
    if not line:
        return  # the starter has exited already
    command = msgspec.json.decode(line, type=Command, dec_hook=decode_path)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)  # the guard adopts and ends what the server leaves behind
    server = None
    try:
        server = _started(command)
        starter.write_line(msgspec.json.encode(ServerStarted(server.pid)))
        _wait_for_end(server, starter, ended)
        if server.returncode is not None:
            with contextlib.suppress(OSError):  # the starter has exited
                starter.write_line(msgspec.json.encode(ServerEnded(server.returncode)))
    except OSError as error:
        with contextlib.suppress(OSError), command.log.open("a") as log:
            log.write(f"{error.strerror or error}: {error.filename or command.arguments[0]}\n")
        sys.exit(1)
    finally:
        _end(server, command)


def _wait_for_end(server: subprocess.Popen[bytes], starter: channel.Channel, ended: int) -> None:
    """Wait until the server has exited, the starter has closed the channel, or SIGTERM has arrived through the pipe `ended`."""
    while server.poll() is None:
        ready, _, _ = select.select([starter.fileno(), ended], [], [])
        if starter.fileno() in ready and not starter.read_line():
            break
        if ended in ready and signal.SIGTERM in os.read(ended, 1024):
            break


def _end(server: subprocess.Popen[bytes] | None, command: Command) -> None:
    """Stop the server and remove its folder; the part to keep is moved elsewhere before if the shutdown was complete."""
    kept = _kept(command)
    _stop(server, command, command.complete if kept else None)
    if kept and command.remove and server is not None and server.returncode == 0:
        with contextlib.suppress(OSError):  # then it is missing there, as a whole
            moving = kept.target.with_name(f"{kept.target.name}.moving")
            shutil.move(command.remove / kept.name, moving)
            moving.rename(kept.target)
    if command.remove:
        leftovers.remove(command.remove)


def _started(command: Command) -> subprocess.Popen[bytes]:
    if command.remove:
        _fill(command.remove, command)
    uid, gid = command.user or (None, None)
    guard = os.getpid()

    def set_up() -> None:
        """Let the kernel stop the server if its guard is killed. The change of user, which would clear this, has happened."""
        for heeded in (*_IGNORED, command.stop):  # a shell's background jobs ignore SIGINT and SIGQUIT, and so would the server
            signal.signal(heeded, signal.SIG_DFL)
        channel.set_parent_death_signal(command.stop)
        if os.getppid() != guard:
            os._exit(1)

    with command.log.open("ab") as log:
        return subprocess.Popen(
            command.arguments,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **command.environment},
            start_new_session=True,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
            preexec_fn=set_up,  # noqa: PLW1509 - this process has one thread
        )


def _fill(folder: Path, command: Command) -> None:
    """Create the folder of a server with what it needs, for its user."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, source in command.bring.items():
        shutil.copytree(source, folder / name, symlinks=True)
    for name, source in command.take.items():
        shutil.move(source, folder / name)
    for name, text in command.files.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text)
    if command.user is not None:
        for path in (folder, *folder.rglob("*")):
            if path.lstat().st_uid != command.user[0]:  # otherwise the time of the file's last change stays as it is
                os.chown(path, *command.user, follow_symlinks=False)


def _kept(command: Command) -> KeptFolder | None:
    """Return the folder that the starter wants to keep."""
    if command.remove is None or not (command.remove / _KEPT).exists():
        return None
    return msgspec.json.decode((command.remove / _KEPT).read_bytes(), type=KeptFolder, dec_hook=decode_path)


def _stop(server: subprocess.Popen[bytes] | None, command: Command, complete: signal.Signals | None = None) -> None:
    """Stop the server, then kill all of its processes that are still running."""
    if server is not None and server.poll() is None:
        server.send_signal(complete or command.stop)
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):  # one that was stopped, as by SIGSTOP, heeds the signal only then
                process.resume()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(command.stop_s)
    for _ in range(_ROUNDS):  # a killed process may have started another one meanwhile
        left = psutil.Process().children(recursive=True)
        if not left:
            break
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=1)


if __name__ == "__main__":
    main()
