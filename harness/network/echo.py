"""The TCP server that the proxy's accuracy is measured against: a child process that echoes, receives or sends bytes.

Run as a module, this is that server.
"""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from harness.network.addresses import LOOPBACK
from harness.network.proxy import STOP_S, Listening
from harness.runtime import channel
from harness.runtime.child import Child, python_module

Address = tuple[str, int]

ECHO, UPLOAD, DOWNLOAD = b"e", b"u", b"d"
"""First byte of a connection, which selects what the server does; the last two are followed by a size in bytes."""

PING_BYTES = 64

_CHUNK_BYTES = 256 * 1024
_SIZE = struct.Struct("!Q")
_TIMEOUT_S = 10.0
_decoder = msgspec.json.Decoder(Listening)


@contextmanager
def echo_server() -> Iterator[Address]:
    """Start the server and yield its address; it exits at the end of the context or with this process."""
    with Child(python_module("harness.network.echo"), _decoder, capture=False, exit_timeout_s=STOP_S) as child:
        listening = child.receive()
        assert listening is not None, "the echo server exited; see its error above"
        yield LOOPBACK, listening.ports[0]


def connect(address: Address, first: bytes) -> socket.socket:
    """Connect and send `first`.

    Raises:
        OSError: the server cannot be reached.
    """
    sock = socket.create_connection(address, timeout=_TIMEOUT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(first)
    return sock


def receive(sock: socket.socket, size_bytes: int) -> None:
    """Receive exactly this number of bytes and discard them.

    Raises:
        ConnectionError: the connection ended early.
    """
    buffer = memoryview(bytearray(min(size_bytes, _CHUNK_BYTES)))
    while size_bytes > 0:
        received = sock.recv_into(buffer[:size_bytes])
        if not received:
            raise ConnectionError("the connection ended early")
        size_bytes -= received


def transfers_mb_per_s(address: Address, size_bytes: int) -> tuple[float, float]:
    """Return the transfer rates to the server and from it, in a million bytes per second."""
    begin_ns = time.perf_counter_ns()
    with connect(address, UPLOAD + _SIZE.pack(size_bytes)) as sock:
        _send(sock, size_bytes)
        receive(sock, 1)
    uploaded_ns = time.perf_counter_ns()
    with connect(address, DOWNLOAD + _SIZE.pack(size_bytes)) as sock:
        receive(sock, size_bytes)
    end_ns = time.perf_counter_ns()
    return size_bytes * 1e3 / (uploaded_ns - begin_ns), size_bytes * 1e3 / (end_ns - uploaded_ns)


def _send(sock: socket.socket, size_bytes: int) -> None:
    chunk = memoryview(bytes(_CHUNK_BYTES))
    while size_bytes > 0:
        size_bytes -= sock.send(chunk[:size_bytes])


def _serve(sock: socket.socket) -> None:
    """Echo, receive an upload or send a download, as the first byte selects."""
    with sock, contextlib.suppress(OSError):  # the client disconnected
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kind = sock.recv(1)
        if kind == ECHO:
            while data := sock.recv(_CHUNK_BYTES):
                sock.sendall(data)
        elif kind:
            (size_bytes,) = _SIZE.unpack(sock.recv(_SIZE.size, socket.MSG_WAITALL))
            if kind == UPLOAD:
                receive(sock, size_bytes)
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
