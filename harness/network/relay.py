"""The relay process between clients and a server: forwards bytes, adds latency and counts round trips.

`harness.network.link` starts it. The model, with R the round-trip time:

- Each chunk arrives R/2 after it was sent, whatever else is in flight: latency delays a stream and does not throttle it. The end of
  a stream and a reset are delayed alike. "Sent" is the time at which the kernel received the chunk, not when this process read it.
- Opening a connection takes R until the client can send, and 1.5 R until the server sees it. On loopback the client's `connect`
  returns at once; data sent before R has passed arrives with the connection, at 1.5 R, as though sent at R. The server's first data
  arrives at 2 R.
- A server that refuses shows as a reset at 1.5 R, because `connect` has succeeded by then.
- Limited bandwidth is one queue per direction, shared by the chunks of all connections.

Not modelled: slow start, packet loss and segments. A chunk is the data of one read. A round trip is counted when a client sends
after data from the server, or sends first on a new connection, in one or more packets.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import itertools
import os
import resource
import select
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum

import msgspec

from harness.network.addresses import LOOPBACK
from harness.network.conditions import Conditions, Direction, RateLimiter, jitters_ns, window_bytes
from harness.network.proxy import Listening, RelayCommand, RelayJob, RelayOrder, Traffic
from harness.runtime import channel
from harness.runtime.child import JobFailed

# Limits of one read; on a slow link it is what the link sends in a millisecond, so that connections alternate.
_READ_BYTES = 256 * 1024
_SEGMENT_BYTES = 1448
_BACKLOG = 4096
_NEVER_NS = 2**63
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_SO_TIMESTAMPNS = 35  # Linux's constant is in no Python module
_TIMESTAMP = struct.Struct("@ll")
_MAX_WAIT_NS = 20_000_000
"""A chunk that waited longer in the kernel waited for buffer space, not for this process; it counts as sent this long ago."""


class Ending(Enum):
    """The last item of a flow: an orderly end (TCP FIN) or a reset (TCP RST)."""

    FIN = "fin"
    RST = "rst"


class TimerLoop:
    """A single-threaded event loop for descriptors and timers, in nanoseconds of the monotonic clock.

    Timeouts of epoll, and therefore of asyncio and uvloop, are whole milliseconds. This loop waits in `select` on the epoll's own
    descriptor, whose timeout has the resolution of the kernel's clock. It wakes up slightly early and polls for the rest.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._early_ns = 50_000
        self._not_before_ns = 0

    def watch(self, fd: int, mask: int, handler: Callable[[int], None]) -> None:
        """Call `handler` with the epoll events of a descriptor from now on; a `mask` of 0 stops that."""
        known = fd in self._handlers
        if not mask:
            if known:
                del self._handlers[fd]
                self._epoll.unregister(fd)
            return
        self._handlers[fd] = handler
        (self._epoll.modify if known else self._epoll.register)(fd, mask)

    def call_at(self, due_ns: int, callback: Callable[[], None]) -> None:
        """Call `callback` once at `due_ns`, never earlier."""
        heapq.heappush(self._timers, (due_ns, next(self._numbers), callback))

    @property
    def is_paused(self) -> bool:
        """Whether timers are paused."""
        return self._not_before_ns == _NEVER_NS

    def pause(self) -> None:
        """Fire no timer until `resume`; descriptors are still served."""
        self._not_before_ns = _NEVER_NS

    def resume(self, not_before_ns: int) -> None:
        """Fire timers again, none of them before `not_before_ns`."""
        self._not_before_ns = not_before_ns

    def run_once(self) -> None:
        """Wait for the next event or timer and handle it."""
        if not self._timers or self.is_paused:
            events = self._epoll.poll()
        else:
            events = self._wait(max(self._timers[0][0], self._not_before_ns))
        for fd, mask in events:
            if handler := self._handlers.get(fd):
                handler(mask)
        while self._timers and max(self._timers[0][0], self._not_before_ns) <= time.monotonic_ns():
            heapq.heappop(self._timers)[2]()

    def _wait(self, until_ns: int) -> list[tuple[int, int]]:
        """Wait for a descriptor or until just before a time; the lead adapts so that about four in five wake-ups are in time."""
        left_ns = until_ns - self._early_ns - time.monotonic_ns()
        if left_ns <= 0:
            return self._epoll.poll(0)
        ready, _, _ = select.select([self._epoll], [], [], left_ns / 1e9)
        if ready:
            return self._epoll.poll(0)
        late = time.monotonic_ns() > until_ns
        self._early_ns = min(200_000, self._early_ns + 8_000) if late else max(0, self._early_ns - 2_000)
        return []


class Endpoint:
    """One socket of a relayed connection, with the flow that reads from it and the flow that writes to it."""

    reader: Flow
    writer: Flow

    def __init__(self, loop: TimerLoop, sock: socket.socket) -> None:
        sock.settimeout(0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.sock = sock
        self._loop = loop
        self._fd = sock.fileno()
        self._mask = 0
        self._is_closed = False

    def watch(self) -> None:
        """Watch for the events that the two flows need now. A socket that neither needs reports an error only once."""
        mask = (select.EPOLLIN if self.reader.is_reading else 0) | (select.EPOLLOUT if self.writer.is_blocked else 0)
        mask = mask or select.EPOLLET
        if mask != self._mask and not self._is_closed:
            self._mask = mask
            self._loop.watch(self._fd, mask, self._handle)

    def close(self, *, reset: bool) -> None:
        """Close the socket, with a reset or in order."""
        self._is_closed = True
        self._loop.watch(self._fd, 0, self._handle)
        if reset:
            with contextlib.suppress(OSError):  # its peer may have reset it first
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.sock.close()

    def _handle(self, events: int) -> None:
        if self.writer.is_blocked and events & ~select.EPOLLIN:
            self.writer.unblock()
        if self.reader.is_reading:
            self.reader.read()
        elif events & select.EPOLLERR:
            self.reader.finish(Ending.RST)


class Flow:
    """One direction of a connection: reads chunks at `source`, holds them for the latency, writes them to `sink`.

    It calls `on_data` after each chunk that it has read, and its owner after it has delivered its ending.
    """

    def __init__(
        self, owner: RelayedConnection, direction: Direction, source: Endpoint, sink: Endpoint, *, on_data: Callable[[], None]
    ) -> None:
        relay = owner.relay
        source.reader = sink.writer = self
        self.held_bytes = 0
        self.is_blocked = False
        self.is_connected = False
        self.is_delivered = False
        self._source = source
        self._sink = sink
        self._on_data = on_data
        self._on_end = owner.flow_ended
        self._loop = relay.loop
        self._read_buffer = relay.read_buffer
        self._limiter = relay.limiters[direction]
        self._one_way_ns = relay.conditions.one_way_ns
        self._jitters_ns = jitters_ns(relay.conditions, owner.number, direction)
        self._window_bytes = window_bytes(relay.conditions)
        self._is_direct = relay.conditions.is_direct
        self._queue: deque[tuple[int, bytes | memoryview | Ending]] = deque()
        self._ending: Ending | None = None
        self._is_dropped = False
        self._is_scheduled = False

    @property
    def is_reading(self) -> bool:
        """Whether the stream has not ended and the window has space."""
        return self._ending is None and self.held_bytes < self._window_bytes

    def read(self) -> None:
        """Read a chunk and forward or queue it."""
        buffer = self._read_buffer
        try:
            size, ancillary, _, _ = self._source.sock.recvmsg_into([buffer], 64)
        except BlockingIOError:
            return
        except OSError:
            self.finish(Ending.RST)
            return
        if not size:
            self.finish(Ending.FIN)
            return
        self._on_data()
        written = 0
        if self._is_direct and self.is_connected and not self._queue and not self._loop.is_paused:
            written = self._write(buffer[:size])
        if written < size and self._ending is None:
            self.held_bytes += size - written
            self._send(bytes(buffer[written:size]), size - written, _sent_ns(ancillary))
            self._source.watch()

    def finish(self, ending: Ending) -> None:
        """Stop reading; the ending follows the data in flight."""
        if self._ending is None or (self._ending is Ending.FIN and ending is Ending.RST):
            self._ending = ending
            self._send(ending, 0, time.monotonic_ns())
            self._source.watch()

    def connected(self) -> None:
        """Start writing, now that the sink is connected."""
        self.is_connected = True
        self._schedule(time.monotonic_ns())

    def unblock(self) -> None:
        """Continue writing, now that the sink has buffer space."""
        self.is_blocked = False
        self._sink.watch()
        self._schedule(time.monotonic_ns())

    def drop(self) -> None:
        """Discard the data in flight and stop reading and writing."""
        self._ending = Ending.RST
        self._is_dropped = True
        self._queue.clear()
        self.held_bytes = 0
        self.is_blocked = False

    def _send(self, item: bytes | Ending, size_bytes: int, sent_ns: int) -> None:
        due_ns = self._limiter.departure_ns(sent_ns, size_bytes) + self._one_way_ns + next(self._jitters_ns)
        self._queue.append((due_ns, item))
        if not self.is_blocked:
            self._schedule(due_ns)

    def _schedule(self, due_ns: int) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_at(due_ns, self._deliver)

    def _deliver(self) -> None:
        """Write the items that are due, and schedule the next delivery."""
        self._is_scheduled = False
        if self.is_blocked or not self.is_connected:
            return
        now_ns = time.monotonic_ns()
        while self._queue and self._queue[0][0] <= now_ns and not self.is_blocked:
            due_ns, item = self._queue.popleft()
            if isinstance(item, Ending):
                if item is Ending.FIN:
                    with contextlib.suppress(OSError):  # its peer may have closed meanwhile; then a reset comes from there
                        self._sink.sock.shutdown(socket.SHUT_WR)
                self.is_delivered = True
                self._on_end(item)
                continue
            written = self._write(item)
            if self._is_dropped:
                return
            self.held_bytes -= written
            if written < len(item):
                self._queue.appendleft((due_ns, memoryview(item)[written:]))
        if self._queue and not self.is_blocked:
            self._schedule(self._queue[0][0])
        self._source.watch()  # the window may have space again

    def _write(self, chunk: bytes | memoryview) -> int:
        """Write as much as the sink accepts and return the number of bytes. A sink without a peer causes a reset."""
        try:
            written = self._sink.sock.send(chunk)
        except BlockingIOError:
            written = 0
        except OSError:
            both_reset = self._ending is Ending.RST
            self.drop()
            self._source.watch()
            if both_reset:
                self._on_end(Ending.RST)
            else:
                self._sink.reader.finish(Ending.RST)
            return 0
        if written < len(chunk):
            self.is_blocked = True
            self._sink.watch()
        return written


def _sent_ns(ancillary: list[tuple[int, int, bytes]]) -> int:
    """Return the monotonic time at which the kernel received a chunk, from its timestamp on the real-time clock, if it has one."""
    wall_ns, now_ns = time.time_ns(), time.monotonic_ns()  # in this order: a delay between the two makes a chunk late, never early
    for level, kind, stamp in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = _TIMESTAMP.unpack(stamp)
            waited_ns: int = wall_ns - seconds * 1_000_000_000 - nanoseconds
            return now_ns - min(max(0, waited_ns), _MAX_WAIT_NS)  # the wall clock may be set at any time
    return now_ns


class RelayedConnection:
    """A client's connection and the matching connection to the target."""

    def __init__(self, relay: Relay, number: int, client: socket.socket) -> None:
        family = socket.AF_INET6 if ":" in relay.target[0] else socket.AF_INET
        self.relay = relay
        self.number = number
        self._is_clients_turn = True
        self._client = Endpoint(relay.loop, client)
        self._server = Endpoint(relay.loop, socket.socket(family, socket.SOCK_STREAM))
        self._to_target = Flow(self, Direction.TO_TARGET, self._client, self._server, on_data=self._count_turn)
        to_client = Flow(self, Direction.TO_CLIENT, self._server, self._client, on_data=self._server_sent)
        to_client.is_connected = True
        self.flows = (self._to_target, to_client)
        self._client.watch()
        relay.loop.call_at(time.monotonic_ns() + 3 * relay.conditions.one_way_ns, self._connect)

    def close(self, *, reset: bool) -> None:
        """Close both sockets, with a reset or in order, and discard the data in flight."""
        self.relay.connections.discard(self)
        for flow in self.flows:
            flow.drop()
        for endpoint in (self._client, self._server):
            endpoint.close(reset=reset)

    def flow_ended(self, ending: Ending) -> None:
        """Close both sockets after a reset, or once both directions have ended."""
        if ending is Ending.RST:
            self.close(reset=True)
        elif all(flow.is_delivered for flow in self.flows):
            self.close(reset=False)

    def _count_turn(self) -> None:
        self.relay.round_trips += self._is_clients_turn
        self._is_clients_turn = False

    def _server_sent(self) -> None:
        self._is_clients_turn = True

    def _connect(self) -> None:
        if self not in self.relay.connections:
            return
        sock = self._server.sock
        failed = sock.connect_ex(self.relay.target)
        if failed == errno.EINPROGRESS:
            result = (socket.SOL_SOCKET, socket.SO_ERROR)
            self.relay.loop.watch(sock.fileno(), select.EPOLLOUT, lambda _: self._connected(sock.getsockopt(*result)))
        else:
            self._connected(failed)

    def _connected(self, failed: int) -> None:
        if failed:
            self.close(reset=True)
        else:
            self._server.watch()
            self._to_target.connected()


class Relay:
    """A listening port, the target behind it, and the connections between them."""

    def __init__(self, loop: TimerLoop, target: tuple[str, int], conditions: Conditions) -> None:
        self.loop = loop
        self.target = target
        self.conditions = conditions
        self.connections: set[RelayedConnection] = set()
        self.round_trips = 0
        self.limiters = {direction: RateLimiter(conditions.bandwidth_bytes_per_s) for direction in Direction}
        millisecond_bytes = _READ_BYTES if (bandwidth := conditions.bandwidth_bytes_per_s) is None else round(bandwidth / 1000)
        self.read_buffer = memoryview(bytearray(max(_SEGMENT_BYTES, min(_READ_BYTES, millisecond_bytes))))
        self.accepted = 0
        self._listener = _bound(0)
        self.port: int = self._listener.getsockname()[1]
        self.execute(RelayCommand.LISTEN)

    def execute(self, command: RelayCommand) -> None:
        """Execute a command of `harness.network.Link`."""
        listener = self._listener
        match command:
            case RelayCommand.LISTEN:
                listener.listen(_BACKLOG)
                self.loop.watch(listener.fileno(), select.EPOLLIN, lambda _: self._accept())
            case RelayCommand.REFUSE:
                self._accept()
                self.loop.watch(listener.fileno(), 0, lambda _: None)
                listener.close()
                self._listener = _bound(self.port)  # bound but not listening: the port stays reserved, and the kernel refuses
            case RelayCommand.PAUSE:
                self.loop.pause()
            case RelayCommand.RESUME:
                self.loop.resume(time.monotonic_ns() + self.conditions.one_way_ns)
            case RelayCommand.RESET:
                self._accept()
                for connection in list(self.connections):
                    connection.close(reset=True)
            case RelayCommand.TRAFFIC:
                pass

    def _accept(self) -> None:
        """Accept all waiting connections: to their clients they are open already."""
        with contextlib.suppress(OSError):  # none left, or not listening
            while True:
                client, _ = self._listener.accept()
                self.connections.add(RelayedConnection(self, self.accepted, client))
                self.accepted += 1


def _bound(port: int) -> socket.socket:
    """Return a socket bound to a port of 127.0.0.1, 0 for a free one; it is not listening yet."""
    sock = socket.socket()
    sock.settimeout(0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((LOOPBACK, port))
    return sock


def main() -> None:
    """Run the relays of the first message and execute the orders that follow, until the channel ends."""
    parent = channel.connect(exit_with_parent=False)  # at the end of the channel: the thread that started it may end before
    line = parent.read_line()
    if not line:
        return
    job = msgspec.json.decode(line, type=RelayJob)
    max_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max_files, max_files))
    loop = TimerLoop()
    try:
        relays = [Relay(loop, target, job.conditions) for target in job.targets]
    except OSError as error:
        _send(parent, JobFailed(error.strerror or str(error)))
        sys.exit(1)
    _send(parent, Listening([relay.port for relay in relays]))
    loop.watch(parent.fileno(), select.EPOLLIN, lambda _: _receive(parent, relays))
    while True:
        loop.run_once()


def _receive(parent: channel.Channel, relays: Sequence[Relay]) -> None:
    line = parent.read_line()
    if not line:
        os._exit(0)  # the kernel closes what is open
    order = msgspec.json.decode(line, type=RelayOrder)
    for relay in relays:
        relay.execute(order.command)
    connections = [connection for relay in relays for connection in relay.connections]
    held_bytes = sum(flow.held_bytes for connection in connections for flow in connection.flows)
    accepted, round_trips = sum(relay.accepted for relay in relays), sum(relay.round_trips for relay in relays)
    _send(parent, Traffic(accepted, len(connections), held_bytes, round_trips))


def _send(parent: channel.Channel, message: Listening | Traffic | JobFailed) -> None:
    with contextlib.suppress(OSError):  # the parent has exited
        parent.write_line(msgspec.json.encode(message))


if __name__ == "__main__":
    main()
