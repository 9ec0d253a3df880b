"""The latency proxy from its starter's side: start it, send it commands, stop it."""

import contextlib
import socket
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum

import msgspec

from harness.errors import UsageError
from harness.network.addresses import LOOPBACK
from harness.network.conditions import Conditions
from harness.runtime.child import Child, JobFailed, python_module

STOP_S = 5.0
"""Seconds that a child process may take to exit before it is killed."""

_CONNECT_S = 1.0


class RelayCommand(StrEnum):
    """A command to a relay process, which replies to each with its traffic."""

    LISTEN = "listen"
    REFUSE = "refuse"
    PAUSE = "pause"
    RESUME = "resume"
    RESET = "reset"
    TRAFFIC = "traffic"


class Traffic(msgspec.Struct, tag=True, frozen=True):
    """Counters of a proxy, added up over its targets: a relay process's reply to a command."""

    accepted: int
    """Connections accepted so far."""
    open: int
    """Connections open now."""
    held_bytes: int
    """Bytes in flight."""
    round_trips: int
    """Round trips so far: a client's turns, each in one or more packets."""


class RelayJob(msgspec.Struct, tag=True, frozen=True):
    """The first message to a relay process."""

    targets: list[tuple[str, int]]
    """Numeric addresses with a port; each gets a relay."""
    conditions: Conditions


class RelayOrder(msgspec.Struct, tag=True, frozen=True):
    """A further message to a relay process."""

    command: RelayCommand


class Listening(msgspec.Struct, tag=True, frozen=True):
    """A relay process's first reply."""

    ports: list[int]
    """The port of each target, in their order."""


_Reply = Listening | Traffic | JobFailed
_decoder: msgspec.json.Decoder[_Reply] = msgspec.json.Decoder(_Reply)


class Link:
    """A running proxy: the ports that clients connect to, and the faults to inject. Not thread-safe."""

    def __init__(self, child: Child[_Reply], ports: Sequence[int]) -> None:
        self.host = LOOPBACK
        self.ports = tuple(ports)
        self.port = self.ports[0]
        self.pid = child.process.pid
        self._child = child

    def reset(self) -> None:
        """Reset every open connection at both ends (RST) and discard the data in flight."""
        self._send(RelayCommand.RESET)

    def black_hole(self) -> AbstractContextManager[None]:
        """Deliver nothing in either direction within the context: neither data nor the end of a connection.

        Neither side is notified: connections open, and data is accepted up to `window_bytes`. Afterwards all of it is delivered in
        order, as after a retransmission, half a round trip later.
        """
        return self._between(RelayCommand.PAUSE, RelayCommand.RESUME)

    def refuse(self) -> AbstractContextManager[None]:
        """Refuse new connections within the context; open ones are not affected."""
        return self._between(RelayCommand.REFUSE, RelayCommand.LISTEN)

    def traffic(self) -> Traffic:
        """Return the counters, added up over all targets."""
        return self._send(RelayCommand.TRAFFIC)

    @contextmanager
    def _between(self, begin: RelayCommand, end: RelayCommand) -> Iterator[None]:
        self._send(begin)
        try:
            yield
        finally:
            self._send(end)

    def _send(self, command: RelayCommand) -> Traffic:
        """Send a command, and return the traffic once it was executed; raise a UsageError if the proxy has exited."""
        self._child.send(RelayOrder(command))
        traffic = self._child.receive()
        if not isinstance(traffic, Traffic):
            raise UsageError(f"the network proxy on port {self.port} exited unexpectedly; see its error above")
        return traffic


def link(target: tuple[str, int], conditions: Conditions) -> AbstractContextManager[Link]:
    """Start a proxy in front of `target`, a host and port; yield it; stop it and its connections at the end.

    It listens on a free port of 127.0.0.1 and exits when this process ends in any way. A client of a target that refuses gets a
    reset, as on a network. An address that is not valid is a UsageError.
    """
    return _started([target], conditions)


def links(targets: Sequence[tuple[str, int]]) -> AbstractContextManager[Link]:
    """Start one proxy process in front of several targets, without latency; `ports` of the yielded link are in their order."""
    return _started(targets, Conditions())


@contextmanager
def _started(targets: Sequence[tuple[str, int]], conditions: Conditions) -> Iterator[Link]:
    job = RelayJob([_numeric(*target) for target in targets], conditions)
    with Child(python_module("harness.network.relay"), _decoder, capture=False, exit_timeout_s=STOP_S) as child:
        child.send(job)
        reply = child.receive()
        if isinstance(reply, Listening):
            yield Link(child, reply.ports)
            return
        cause = f"{reply.message}; fix that" if isinstance(reply, JobFailed) else "it exited unexpectedly; see its error above"
        raise UsageError(f"the network proxy cannot listen on {LOOPBACK}: {cause}")


def _numeric(host: str, port: int) -> tuple[str, int]:
    """Return an address: of several of a name, such as `localhost`, the first that accepts connections, IPv4 before IPv6."""
    if not 0 < port < 2**16:
        raise UsageError(f"{host}:{port} is not a valid address; choose a port from 1 to {2**16 - 1}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a host name"
        raise UsageError(f"{host}:{port} is not a valid address: {reason}; check the server's host") from error
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    addresses = [(str(address[0]), int(address[1])) for *_, address in found]
    for address in addresses if len(addresses) > 1 else ():
        with contextlib.suppress(OSError), socket.create_connection(address, timeout=_CONNECT_S):
            return address
    return addresses[0]
