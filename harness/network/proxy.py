"""The proxy as its starter sees it: a process to start, to talk to and to end."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.network.conditions import Conditions

STOP_S = 5.0


@dataclass(frozen=True)
class Traffic:
    """What a proxy has before it: connections `accepted` so far and those `open` now, and bytes on their way."""

    accepted: int
    open: int
    held_bytes: int


class Link:
    """A running proxy: where clients connect to, and the faults it can be told to have. For one thread at a time."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.host = "127.0.0.1"
        self.port = port
        self.pid = process.pid
        self._process = process

    def reset(self) -> None:
        """Reset every open connection at once, at both ends (RST); what was on its way is lost."""
        self._tell("reset")

    @contextmanager
    def black_hole(self) -> Iterator[None]:
        """Let nothing arrive, in either direction, meanwhile: neither data nor the end of a connection.

        Nobody is told: connections open, and what is sent is taken, up to `window_bytes`. Afterwards it all arrives, in order, as
        retransmission would have it, half a round trip later.
        """
        self._tell("hold")
        try:
            yield
        finally:
            self._tell("release")

    @contextmanager
    def refuse(self) -> Iterator[None]:
        """Refuse new connections meanwhile; open ones are left alone."""
        self._tell("refuse")
        try:
            yield
        finally:
            self._tell("listen")

    def traffic(self) -> Traffic:
        """Return what the proxy has before it now."""
        return Traffic(**json.loads(self._tell("traffic")))

    def _tell(self, command: str) -> bytes:
        """Send a command, and return the answer once it is done."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{command}\n".encode())
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise UsageError(f"the network proxy on port {self.port} has ended; what it said is on standard error")
        return answer


@contextmanager
def child(module: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a module as a process of its own, with pipes to talk to it; it is to end when its standard input does.

    That is at the end of the context, or when its starter ends, however that happens: the kernel closes the other end.
    """
    paths = os.pathsep.join(dict.fromkeys(p for p in sys.path if p))
    process = subprocess.Popen(
        [sys.executable, "-m", module, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
        start_new_session=True,  # a Ctrl-C at the terminal is its starter's to handle
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


@contextmanager
def link(target: tuple[str, int] | Path, conditions: Conditions, *, port: int = 0) -> Iterator[Link]:
    """Start a proxy before `target`, a host and port or a Unix socket; yield where it listens; end it and its connections.

    It listens on 127.0.0.1, on `port` or a free one. It ends when its starter ends, however that happens. A target that refuses is
    found out by a client, as in a network: its connection is reset.

    Raises:
        UsageError: the port is taken, or the target has no address.
    """
    job = {"target": _address(target), "port": port, "conditions": asdict(conditions)}
    with child("harness.network", json.dumps(job)) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline() or '{"error": "it said nothing"}')
        if "error" in first:
            instead = "; leave the port out for a free one" if port else ""
            raise UsageError(f"the network proxy cannot listen on 127.0.0.1:{port}: {first['error']}{instead}")
        yield Link(process, first["port"])


def _address(target: tuple[str, int] | Path) -> str | list[str | int]:
    """Return a Unix socket's path, or a numeric address and port; IPv4 where a name has both, as servers on loopback do."""
    if isinstance(target, Path):
        return str(target)
    host, port = target
    if not 0 < port < 2**16:
        raise UsageError(f"{host}:{port} is no address: a port is a number from 1 to {2**16 - 1}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no host has such a name"
        raise UsageError(f"{host}:{port} is no address: {why}; check the server's host") from error
    *_, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return [str(address[0]), int(address[1])]
