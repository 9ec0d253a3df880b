"""The other side when the proxy's accuracy is measured: a server in a process of its own that echoes, takes and gives bytes.

Run as a module, this is that server.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from harness.network.proxy import child

Address = tuple[str, int]

ECHO, TAKE, GIVE = b"e", b"t", b"g"
"""A connection's first byte, which says what is to be done; the last two are followed by a size."""

PING_BYTES = 64

_CHUNK_BYTES = 256 * 1024
_SIZE = struct.Struct("!Q")
_PATIENCE_S = 10.0


@contextmanager
def echo_server() -> Iterator[Address]:
    """Start the server and yield its address; it ends with its starter."""
    with child("harness.network.echo") as process:
        assert process.stdout is not None
        yield "127.0.0.1", int(process.stdout.readline())


def connected(address: Address, first: bytes) -> socket.socket:
    """Connect and say something at once."""
    sock = socket.create_connection(address, timeout=_PATIENCE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(first)
    return sock


def receive(sock: socket.socket, size_bytes: int) -> None:
    """Receive exactly so many bytes and forget them."""
    buffer = memoryview(bytearray(min(size_bytes, _CHUNK_BYTES)))
    while size_bytes > 0:
        got = sock.recv_into(buffer[:size_bytes])
        if not got:
            raise ConnectionError("the connection ended early")
        size_bytes -= got


def transfers_mb_per_s(address: Address, size_bytes: int) -> tuple[float, float]:
    """Return how fast so many bytes go to the server, and come from it, in a million bytes a second."""
    begin_ns = time.perf_counter_ns()
    with connected(address, TAKE + _SIZE.pack(size_bytes)) as sock:
        _give(sock, size_bytes)
        receive(sock, 1)
    turned_ns = time.perf_counter_ns()
    with connected(address, GIVE + _SIZE.pack(size_bytes)) as sock:
        receive(sock, size_bytes)
    end_ns = time.perf_counter_ns()
    return size_bytes * 1e3 / (turned_ns - begin_ns), size_bytes * 1e3 / (end_ns - turned_ns)


def _give(sock: socket.socket, size_bytes: int) -> None:
    chunk = memoryview(bytes(_CHUNK_BYTES))
    while size_bytes > 0:
        size_bytes -= sock.send(chunk[:size_bytes])


def _serve(sock: socket.socket) -> None:
    """Do what the first byte says: echo, take an upload or give a download."""
    with sock, contextlib.suppress(OSError):  # the client has gone
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kind = sock.recv(1)
        if kind == ECHO:
            while data := sock.recv(_CHUNK_BYTES):
                sock.sendall(data)
        elif kind:
            (size_bytes,) = _SIZE.unpack(sock.recv(_SIZE.size, socket.MSG_WAITALL))
            if kind == TAKE:
                receive(sock, size_bytes)
                sock.sendall(b".")
            else:
                _give(sock, size_bytes)


def main() -> None:
    """Serve on a free port, said on standard output, until standard input ends."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)

    def accept() -> None:
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=_serve, args=(sock,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
