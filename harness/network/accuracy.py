"""Accuracy of the latency proxy on this machine: round trips and bulk transfers, through the proxy and directly.

Run as a module, this is the server that they go to: it echoes, receives or sends bytes, as the first byte of a connection selects.
"""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import msgspec
import numpy as np

from harness.network.addresses import LOOPBACK
from harness.network.conditions import Conditions
from harness.network.proxy import STOP_S, Listening, link
from harness.runtime import channel
from harness.runtime.child import Child, python_module
from harness.stats.intervals import is_supported

BOUND_SHARE, BOUND_MS = 0.05, 0.3
"""Allowed error of the median of the added latency: the larger of a share of the configured RTT and an absolute time."""

PINGS = 1000
MAX_S = 5.0
"""Time limit of the pings at one RTT, in seconds; above some hundred milliseconds of RTT there are fewer pings."""

SPACING_MS, MAX_CONNECTIONS = 3.0, 50
"""At a long RTT, up to this many connections alternate, their pings at least this far apart, so that none delays another."""

PING_BYTES, BULK_BYTES = 64, 256 * 2**20

ECHO, UPLOAD, DOWNLOAD = b"e", b"u", b"d"
"""First byte of a connection; the last two are followed by a size in bytes."""

Address = tuple[str, int]

_CHUNK_BYTES = 256 * 1024
_SIZE = struct.Struct("!Q")
_TIMEOUT_S = 10.0
_decoder = msgspec.json.Decoder(Listening)


@dataclass(frozen=True)
class AddedLatency:
    """The round-trip time that the proxy added, in milliseconds above the median round trip without it."""

    rtt_ms: float
    """Configured round-trip time."""
    pings: int
    p5_ms: float
    median_ms: float
    p95_ms: float
    p99_ms: float | None
    """None if there are too few pings for this percentile."""
    error_ms: float
    """Median minus configured round-trip time."""
    error_percent: float | None
    """Error relative to the configured round-trip time; None at 0 ms."""
    bound_ms: float
    """Allowed error of the median."""
    ok: bool


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of the proxy on this machine. Transfer rates are in MB (a million bytes) per second, to the server and from it."""

    direct_ms: float
    """Median round trip without the proxy, in milliseconds."""
    added: Sequence[AddedLatency]
    """One entry per configured round-trip time."""
    direct_mb_per_s: tuple[float, float]
    """Transfer rates without the proxy."""
    proxied_mb_per_s: tuple[float, float]
    """Transfer rates through the proxy at 0 ms."""

    @property
    def ok(self) -> bool:
        """Whether the error at every round-trip time is within its bound."""
        return all(row.ok for row in self.added)


def measure(rtts_ms: Sequence[float]) -> Accuracy:
    """Measure the proxy's added latency at each of these round-trip times, and its throughput at 0 ms."""
    with echo_server() as server:
        direct_ns = round_trips_ns(server, 0.0, PINGS)
        rows = []
        for rtt_ms in rtts_ms:
            with link(server, Conditions(rtt_ms=rtt_ms)) as proxy:
                rows.append(added_latency(rtt_ms, direct_ns, round_trips_ns((proxy.host, proxy.port), rtt_ms, PINGS)))
        with link(server, Conditions()) as proxy:
            proxied = transfers_mb_per_s((proxy.host, proxy.port), BULK_BYTES)
        return Accuracy(float(np.median(direct_ns)) / 1e6, rows, transfers_mb_per_s(server, BULK_BYTES), proxied)


def added_latency(rtt_ms: float, direct_ns: Sequence[int], proxied_ns: Sequence[int]) -> AddedLatency:
    """Compare round trips through a proxy with direct ones, both in nanoseconds."""
    added_ms = (np.asarray(proxied_ns) - np.median(direct_ns)) / 1e6
    p5_ms, median_ms, p95_ms, p99_ms = (float(np.quantile(added_ms, q)) for q in (0.05, 0.5, 0.95, 0.99))
    error_ms, bound_ms = median_ms - rtt_ms, max(BOUND_SHARE * rtt_ms, BOUND_MS)
    return AddedLatency(
        rtt_ms=rtt_ms,
        pings=len(proxied_ns),
        p5_ms=p5_ms,
        median_ms=median_ms,
        p95_ms=p95_ms,
        p99_ms=p99_ms if is_supported(len(proxied_ns), 0.99) else None,
        error_ms=error_ms,
        error_percent=error_ms / rtt_ms * 100 if rtt_ms else None,
        bound_ms=bound_ms,
        ok=abs(error_ms) <= bound_ms,
    )


def round_trips_ns(address: Address, rtt_ms: float, limit: int) -> list[int]:
    """Return the round-trip times of small messages in nanoseconds: at most `limit` of them, within about `MAX_S` seconds."""
    connections = min(MAX_CONNECTIONS, limit, max(1, int(rtt_ms / SPACING_MS)))
    count = min(limit, round(MAX_S * 1000 * connections / rtt_ms)) if rtt_ms else limit
    message = bytes(PING_BYTES)
    with ExitStack() as stack:
        socks = [stack.enter_context(_connect(address, ECHO + message)) for _ in range(connections)]
        for sock in socks:  # opening takes longer: the first round trip is not timed
            _receive(sock, PING_BYTES)
        sent_ns, taken_ns = [], []
        for sock in socks:
            sent_ns.append(time.perf_counter_ns())
            sock.sendall(message)
            if sock is not socks[-1]:
                time.sleep(rtt_ms / connections / 1000)
        for number in range(count):
            index = number % connections
            _receive(socks[index], PING_BYTES)
            now_ns = time.perf_counter_ns()
            taken_ns.append(now_ns - sent_ns[index])
            if number + connections < count:
                sent_ns[index] = time.perf_counter_ns()
                socks[index].sendall(message)
        return taken_ns


@contextmanager
def echo_server() -> Iterator[Address]:
    """Start the server and yield its address; it exits at the end of the context or with this process."""
    with Child(python_module("harness.network.accuracy"), _decoder, capture=False, exit_timeout_s=STOP_S) as child:
        listening = child.receive()
        assert listening is not None, "the echo server exited; see its error above"
        yield LOOPBACK, listening.ports[0]


def _connect(address: Address, first: bytes) -> socket.socket:
    sock = socket.create_connection(address, timeout=_TIMEOUT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(first)
    return sock


def _receive(sock: socket.socket, size_bytes: int) -> None:
    """Receive exactly this number of bytes and discard them."""
    buffer = memoryview(bytearray(min(size_bytes, _CHUNK_BYTES)))
    while size_bytes > 0:
        received = sock.recv_into(buffer[:size_bytes])
        if not received:
            raise ConnectionError("the connection ended early")
        size_bytes -= received


def transfers_mb_per_s(address: Address, size_bytes: int) -> tuple[float, float]:
    """Return the transfer rates to the server and from it, in a million bytes per second."""
    begin_ns = time.perf_counter_ns()
    with _connect(address, UPLOAD + _SIZE.pack(size_bytes)) as sock:
        _send(sock, size_bytes)
        _receive(sock, 1)
    uploaded_ns = time.perf_counter_ns()
    with _connect(address, DOWNLOAD + _SIZE.pack(size_bytes)) as sock:
        _receive(sock, size_bytes)
    end_ns = time.perf_counter_ns()
    return size_bytes * 1e3 / (uploaded_ns - begin_ns), size_bytes * 1e3 / (end_ns - uploaded_ns)


def _send(sock: socket.socket, size_bytes: int) -> None:
    chunk = memoryview(bytes(_CHUNK_BYTES))
    while size_bytes > 0:
        size_bytes -= sock.send(chunk[:size_bytes])


def _serve(sock: socket.socket) -> None:
    with sock, contextlib.suppress(OSError):  # the client disconnected
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kind = sock.recv(1)
        if kind == ECHO:
            while data := sock.recv(_CHUNK_BYTES):
                sock.sendall(data)
        elif kind:
            (size_bytes,) = _SIZE.unpack(sock.recv(_SIZE.size, socket.MSG_WAITALL))
            if kind == UPLOAD:
                _receive(sock, size_bytes)
                sock.sendall(b".")
            else:
                _send(sock, size_bytes)


def main() -> None:
    """Serve on a free port, send its number, and exit when the channel ends."""
    listener = socket.create_server((LOOPBACK, 0), backlog=1024)

    def accept() -> None:
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=_serve, args=(sock,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    parent = channel.connect(exit_with_parent=False)  # at the end of the channel: the thread that started it may end before
    parent.write_line(msgspec.json.encode(Listening([listener.getsockname()[1]])))
    parent.read_line()


if __name__ == "__main__":
    main()
