"""The process between a client and a server far away: what `harness.network.link` starts.

What is modelled, with R the round-trip time:

- Each chunk arrives half of R after it was sent, whatever else is on its way: a stream is late, not slow. So do the end of a stream
  and a reset. "Sent" is when the kernel took the chunk in, not when this process came to read it.
- Opening a connection takes R before the client can send, and 1.5 R before the server knows of it. On loopback the client's
  `connect` returns at once; what it sends before R has passed arrives with the connection, at 1.5 R, as though sent at R. What the
  server says first arrives at 2 R.
- A server that refuses shows as a reset at 1.5 R, because `connect` has succeeded by then.
- A link of limited bandwidth is one line in each direction: chunks of all connections follow each other on it.

Not modelled: slow start, loss, and segments: a chunk is what one read finds.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import select
import socket
import sys
import time
from dataclasses import asdict

from harness.network.clockwork import Clockwork
from harness.network.conditions import Conditions, Direction, Line, jitters_ns, window_bytes
from harness.network.lane import End, Lane, Mark, Road
from harness.network.proxy import Traffic

READ_BYTES = 256 * 1024
"""What one read takes at most. On a slow link it takes what the link sends in a millisecond, so that connections take turns."""

_SEGMENT_BYTES = 1448
_RETRY_NS = 1_000_000
_BACKLOG = 4096


class RelayedConnection:
    """A client's connection, and the one to the target that goes with it."""

    def __init__(self, relay: LatencyRelay, number: int, client: socket.socket) -> None:
        family = socket.AF_UNIX if isinstance(relay.target, str) else socket.AF_INET6 if ":" in relay.target[0] else socket.AF_INET
        self._relay = relay
        self._near = End(relay.clockwork, client)
        self._far = End(relay.clockwork, socket.socket(family, socket.SOCK_STREAM))
        self._to_target = Lane(relay.clockwork, relay.road("to target", number), self._near, self._far, self._finished)
        self._to_client = Lane(relay.clockwork, relay.road("to client", number), self._far, self._near, self._finished)
        self.lanes = (self._to_target, self._to_client)
        self._to_client.is_connected = True
        self._near.watch()
        relay.clockwork.at(time.monotonic_ns() + 3 * relay.conditions.one_way_ns, self._connect)

    def close(self, *, reset: bool) -> None:
        """Close both ends, in order or with a reset, and forget what is on its way."""
        self._relay.connections.discard(self)
        for lane in self.lanes:
            lane.drop()
        for end in (self._near, self._far):
            end.close(reset=reset)

    def _connect(self) -> None:
        if self not in self._relay.connections:
            return
        failed = self._far.sock.connect_ex(self._relay.target)
        if failed == errno.EAGAIN:  # a Unix socket whose queue is full
            self._relay.clockwork.at(time.monotonic_ns() + _RETRY_NS, self._connect)
        elif failed == errno.EINPROGRESS:
            self._relay.clockwork.watch(self._far.sock.fileno(), select.EPOLLOUT, lambda _: self._answered())
        else:
            self._opened(failed)

    def _answered(self) -> None:
        self._relay.clockwork.watch(self._far.sock.fileno(), 0, lambda _: None)
        self._opened(self._far.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def _opened(self, failed: int) -> None:
        if failed:
            self.close(reset=True)
        else:
            self._far.watch()
            self._to_target.connected()

    def _finished(self, mark: Mark) -> None:
        if mark is Mark.RESET:
            self.close(reset=True)
        elif all(lane.is_delivered for lane in self.lanes):
            self.close(reset=False)


class LatencyRelay:
    """A listening port and the connections through it. `port` 0 is a free one."""

    def __init__(self, target: str | tuple[str, int], conditions: Conditions, port: int) -> None:
        self.target = target
        self.conditions = conditions
        self.clockwork = Clockwork()
        self.connections: set[RelayedConnection] = set()
        self._lines: dict[Direction, Line] = {
            "to target": Line(conditions.bandwidth_bytes_per_s),
            "to client": Line(conditions.bandwidth_bytes_per_s),
        }
        self._scratch = memoryview(bytearray(_read_bytes(conditions.bandwidth_bytes_per_s)))
        self._accepted = 0
        self._listener = _bound(port)
        self.port: int = self._listener.getsockname()[1]
        self.do("listen")

    def road(self, direction: Direction, connection: int) -> Road:
        """Return what a new connection's lane leads over."""
        return Road(
            line=self._lines[direction],
            one_way_ns=self.conditions.one_way_ns,
            jitter_ns=jitters_ns(self.conditions, connection, direction),
            window_bytes=window_bytes(self.conditions),
            is_direct=self.conditions.is_direct,
            scratch=self._scratch,
        )

    def do(self, command: str) -> str:
        """Carry out what `harness.network.Link` asks, and return the answer."""
        listener = self._listener
        match command:
            case "listen":
                listener.listen(_BACKLOG)
                self.clockwork.watch(listener.fileno(), select.EPOLLIN, lambda _: self._accept())
            case "refuse":
                self._accept()
                self.clockwork.watch(listener.fileno(), 0, lambda _: None)
                listener.close()
                self._listener = _bound(self.port)  # bound but deaf: the port stays ours, and the kernel refuses
            case "hold":
                self.clockwork.hold()
            case "release":
                self.clockwork.release(time.monotonic_ns() + self.conditions.one_way_ns)
            case "reset":
                self._accept()
                for connection in list(self.connections):
                    connection.close(reset=True)
            case "traffic":
                held_bytes = sum(lane.held_bytes for connection in self.connections for lane in connection.lanes)
                return json.dumps(asdict(Traffic(self._accepted, len(self.connections), held_bytes)))
            case _:
                raise ValueError(command)
        return "done"

    def _accept(self) -> None:
        """Take all connections that wait: to their clients they are open already."""
        with contextlib.suppress(OSError):  # no more of them, or nobody listens
            while True:
                client, _ = self._listener.accept()
                self.connections.add(RelayedConnection(self, self._accepted, client))
                self._accepted += 1


def _bound(port: int) -> socket.socket:
    """Return a socket bound to a port of this machine; it is not listening yet."""
    sock = socket.socket()
    sock.settimeout(0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock


def _read_bytes(bandwidth_bytes_per_s: float | None) -> int:
    if bandwidth_bytes_per_s is None:
        return READ_BYTES
    return max(_SEGMENT_BYTES, min(READ_BYTES, round(bandwidth_bytes_per_s / 1000)))


def main() -> None:
    """Do what the first argument describes and what standard input says, until that ends."""
    job = json.loads(sys.argv[1])
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    target = job["target"] if isinstance(job["target"], str) else tuple(job["target"])
    try:
        relay = LatencyRelay(target, Conditions(**job["conditions"]), job["port"])
    except (OSError, OverflowError) as error:
        _say(json.dumps({"error": getattr(error, "strerror", None) or str(error)}))
        sys.exit(1)
    _say(json.dumps({"port": relay.port}))
    relay.clockwork.watch(0, select.EPOLLIN, lambda _: _obey(relay))
    while True:
        relay.clockwork.turn()


def _obey(relay: LatencyRelay) -> None:
    said = os.read(0, 1024)
    if not said:
        os._exit(0)  # the kernel closes what is open
    for command in said.decode().split():
        _say(relay.do(command))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
