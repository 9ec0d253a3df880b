"""A child process's side: its channel to the parent, its cores and its end with the parent.

The wire format is one JSON object per line over one socket; the key `type` names the message. Standard library only and loadable by
path, because a worker of `harness gate --against` runs with another tree and its interpreter. Run by path, this is the launcher of
such a worker: `channel.py COMMAND …`.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
import threading
from typing import Any

# Environment variables of a child
FD = "HARNESS_CHANNEL_FD"
"""The file descriptor of the child's end of the channel."""
PARENT = "HARNESS_PARENT_PID"
"""The parent's process id, to notice an exit of the parent before the kernel was asked to watch it."""
CORES = "HARNESS_CORES"
"""The cores to pin the child to, separated by commas."""
PADDING = "HARNESS_PADDING"
"""Without meaning: its length moves the start of the stack."""
FAILED = "JobFailed"
"""Type of the message with which a worker gives up; see `harness.runtime.child.JobFailed`."""
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

    def shut_down(self) -> None:
        """End the channel in both directions; a thread that is receiving returns."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Release the socket."""
        self._socket.close()


def connect(*, exit_with_parent: bool = True) -> Channel:
    """Return the channel to the parent, after pinning this process to the cores that the parent chose.

    With `exit_with_parent` this process ends with its parent; see `die_with_parent`. Without it, it has to exit with the channel.
    """
    if exit_with_parent:
        die_with_parent()
    os.environ.pop(PARENT, None)
    pin()
    connection = socket.socket(fileno=int(os.environ.pop(FD)))
    connection.set_inheritable(False)
    connection.setblocking(True)  # noqa: FBT003 - the parent's event loop may have made it non-blocking
    return Channel(connection)


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent exits, and leave Ctrl-C to the parent, which decides what is kept."""
    set_parent_death_signal(signal.SIGKILL)
    if os.environ.get(PARENT, str(os.getppid())) != str(os.getppid()):
        os._exit(1)  # the parent exited before
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
