"""One direction of a connection through the proxy: read, held for as long as it is on its way, written."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from harness.network.clockwork import Clockwork
from harness.network.conditions import Line

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_SO_TIMESTAMPNS = 35  # Linux's name for it is in no Python module
_TIMESTAMP = struct.Struct("@ll")
_MAX_WAIT_NS = 20_000_000
"""What has waited for longer than this had no room, rather than no attention; it counts as sent so long ago."""


class Mark(Enum):
    """What can follow the data."""

    END = "end"
    RESET = "reset"


class End:
    """One end of a connection: a socket, the lane that reads from it and the lane that writes to it."""

    reader: Lane
    writer: Lane

    def __init__(self, clockwork: Clockwork, sock: socket.socket) -> None:
        sock.settimeout(0)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.sock = sock
        self._clockwork = clockwork
        self._fd = sock.fileno()
        self._mask = 0
        self._is_closed = False

    def watch(self) -> None:
        """Wait for what the two lanes need now. A socket that neither needs may still report that it is dead, but only once."""
        mask = (select.EPOLLIN if self.reader.is_reading else 0) | (select.EPOLLOUT if self.writer.is_blocked else 0)
        mask = mask or select.EPOLLET
        if mask != self._mask and not self._is_closed:
            self._mask = mask
            self._clockwork.watch(self._fd, mask, self._happened)

    def close(self, *, reset: bool) -> None:
        """Close the socket, in order or with a reset."""
        self._is_closed = True
        self._clockwork.watch(self._fd, 0, self._happened)
        if reset:
            with contextlib.suppress(OSError):  # its peer may have been quicker
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.sock.close()

    def _happened(self, events: int) -> None:
        if self.writer.is_blocked and events & ~select.EPOLLIN:
            self.writer.unblock()
        if self.reader.is_reading:
            self.reader.read()
        elif events & select.EPOLLERR:
            self.reader.finish(Mark.RESET)


@dataclass(frozen=True)
class Road:
    """What a lane leads over.

    `line` is that of all lanes in its direction; `jitter_ns` is the lane's own. Where `is_direct`, there is nothing to wait for.
    `scratch` is where chunks are read, as large as they may be.
    """

    line: Line
    one_way_ns: int
    jitter_ns: Iterator[int]
    window_bytes: int
    is_direct: bool
    scratch: memoryview


class Lane:
    """Takes what it reads at `source` to `sink`. `closes` ends the connection, at once and with a reset, or in order."""

    def __init__(self, clockwork: Clockwork, road: Road, source: End, sink: End, closes: Callable[[Mark], None]) -> None:
        source.reader = sink.writer = self
        self.held_bytes = 0
        self.is_blocked = False
        self.is_connected = False
        self.is_delivered = False
        self._clockwork = clockwork
        self._road = road
        self._source = source
        self._sink = sink
        self._closes = closes
        self._queue: deque[tuple[int, bytes | memoryview | Mark]] = deque()
        self._over: Mark | None = None
        self._is_dropped = False
        self._is_scheduled = False

    @property
    def is_reading(self) -> bool:
        """Whether there may be more to read, and room for it."""
        return self._over is None and self.held_bytes < self._road.window_bytes

    def read(self) -> None:
        """Read a chunk and send it on its way."""
        scratch = self._road.scratch
        try:
            size, notes, _, _ = self._source.sock.recvmsg_into([scratch], 64)
        except BlockingIOError:
            return
        except OSError:
            self.finish(Mark.RESET)
            return
        if not size:
            self.finish(Mark.END)
            return
        written = 0
        if self._road.is_direct and self.is_connected and not self._queue and not self._clockwork.is_held:
            written = self._write(scratch[:size])
        if written < size and self._over is None:
            self.held_bytes += size - written
            self._send(bytes(scratch[written:size]), size - written, _sent_ns(notes))
            self._source.watch()

    def finish(self, mark: Mark) -> None:
        """Read no more; the end, or the reset, follows what is on its way."""
        if self._over is None or (self._over is Mark.END and mark is Mark.RESET):
            self._over = mark
            self._send(mark, 0, time.monotonic_ns())
            self._source.watch()

    def connected(self) -> None:
        """Know that the sink can be written to from now on."""
        self.is_connected = True
        self._schedule(time.monotonic_ns())

    def unblock(self) -> None:
        """Go on writing, now that the sink has room."""
        self.is_blocked = False
        self._sink.watch()
        self._schedule(time.monotonic_ns())

    def drop(self) -> None:
        """Forget what is on its way; nothing is read or written any more."""
        self._over = Mark.RESET
        self._is_dropped = True
        self._queue.clear()
        self.held_bytes = 0
        self.is_blocked = False

    def _send(self, item: bytes | Mark, size_bytes: int, sent_ns: int) -> None:
        road = self._road
        due_ns = road.line.passes_ns(sent_ns, size_bytes) + road.one_way_ns + next(road.jitter_ns)
        self._queue.append((due_ns, item))
        if not self.is_blocked:
            self._schedule(due_ns)

    def _schedule(self, due_ns: int) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._clockwork.at(due_ns, self._deliver)

    def _deliver(self) -> None:
        """Write what has arrived by now, and come back for the rest."""
        self._is_scheduled = False
        if self.is_blocked or not self.is_connected:
            return
        now_ns = time.monotonic_ns()
        while self._queue and self._queue[0][0] <= now_ns and not self.is_blocked:
            due_ns, item = self._queue.popleft()
            if isinstance(item, Mark):
                self._arrived(item)
                continue
            written = self._write(item)
            if self._is_dropped:
                return
            self.held_bytes -= written
            if written < len(item):
                self._queue.appendleft((due_ns, memoryview(item)[written:]))
        if self._queue and not self.is_blocked:
            self._schedule(self._queue[0][0])
        self._source.watch()  # there may be room again

    def _arrived(self, mark: Mark) -> None:
        if mark is Mark.END:
            with contextlib.suppress(OSError):  # its peer may have gone meanwhile; then a reset comes from there
                self._sink.sock.shutdown(socket.SHUT_WR)
        self.is_delivered = True
        self._closes(mark)

    def _write(self, chunk: bytes | memoryview) -> int:
        """Write what the sink has room for and return how much that was. A sink whose peer is gone answers with a reset."""
        try:
            written = self._sink.sock.send(chunk)
        except BlockingIOError:
            written = 0
        except OSError:
            nobody_is_left = self._over is Mark.RESET
            self.drop()
            self._source.watch()
            if nobody_is_left:
                self._closes(Mark.RESET)
            else:
                self._sink.reader.finish(Mark.RESET)
            return 0
        if written < len(chunk):
            self.is_blocked = True
            self._sink.watch()
        return written


def _sent_ns(notes: list[tuple[int, int, bytes]]) -> int:
    """Return when the kernel took a chunk in, on the monotonic clock; the timestamp it left, if any, is on the wall clock."""
    wall_ns, now_ns = time.time_ns(), time.monotonic_ns()  # in this order: who is held up between the two is late, never early
    for level, kind, stamp in notes:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = _TIMESTAMP.unpack(stamp)
            waited_ns: int = wall_ns - seconds * 1_000_000_000 - nanoseconds
            return now_ns - min(max(0, waited_ns), _MAX_WAIT_NS)  # whatever somebody does to the wall clock
    return now_ns
