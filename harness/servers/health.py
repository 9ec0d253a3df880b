"""Whether the servers of a setting still serve, and if not, why: the likely cause of a failure of what connects to them.

A server that the harness started has a guard that says how it ended, a process whose state is known, and a log. Of any other one
only its address is known: whether it accepts connections there, and whether it answers a greeting that needs no password.
"""

import contextlib
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from harness.runtime.child import STOPPED, process_fault
from harness.scenario import Server
from harness.servers.guard import RunningServer, serving_at
from harness.servers.lifecycle import processes

CONNECT_S, ANSWER_S = 2.0, 5.0
"""Timeouts of connecting to a server and of its answer to a greeting, in seconds."""
ENDED_S = 2.0
"""Seconds in which a guard says how a server ended that refuses connections."""
_GREETINGS = {"postgres": b"\x00\x00\x00\x08\x04\xd2\x16\x2f", "redis": b"PING\r\n"}  # of PostgreSQL: whether it offers TLS
_GRAVE = re.compile(r"terminated by signal|PANIC:")  # of PostgreSQL, which then ends all connections, and starts anew by itself
_LOG_PREFIX = re.compile(r"^[\d:. -]+ \w+ \[\d+\] *")


class ServerWatch:
    """Watches servers from the time at which it is made, which is when something begins to use them.

    Example:
        watch = ServerWatch(setting.servers)
        ...  # something that fails
        watch.fault()  # "PostgreSQL ended: SIGKILL"
    """

    def __init__(self, servers: Mapping[str, Server]) -> None:
        self._servers = servers
        self._logs = {running.log: _size(running.log) for _, running in self._own()}

    def ended(self) -> str | None:
        """Return which server that the harness started has ended, and how; None if none has. It contacts no server."""
        return next((found for _, running in self._own() if (found := _ended(running))), None)

    def stopped(self) -> str | None:
        """Return which server that the harness started is stopped, as by SIGSTOP; None if none is. It contacts no server."""
        return next((found for _, running in self._own() if (found := _stopped(running.name, running.pid))), None)

    def fault(self, *, contact: bool = True) -> str | None:
        """Return a line about the first server that does not serve, or that has reported something grave; None if all is well.

        It takes some milliseconds, or seconds with a server that does not answer. Without `contact` no server is contacted, as
        before the data are there, for which one of the scenario's own may wait.
        """
        unreachable = self._unreachable(dict(self._own())) if contact else None
        return self.ended() or self.stopped() or unreachable or self._reported()

    def _unreachable(self, own: Mapping[str, RunningServer]) -> str | None:
        for name, server in self._servers.items():
            for url in dict.fromkeys((server.direct_url, server.url)):
                place = urlsplit(url)
                if not (place.hostname and place.port):
                    continue
                subject = f"the {name} server at {place.hostname}:{place.port}"
                problem = _problem(place.hostname, place.port, _greeting(place.scheme))
                if problem is None:
                    continue
                if name in own and (found := _ended(own[name], ENDED_S)):  # a moment before its guard has said so
                    return found
                pid = processes({name: server}).get(name)
                return (_stopped(subject, pid) if pid else None) or f"{subject} {problem}"
        return None

    def _own(self) -> Iterator[tuple[str, RunningServer]]:
        """Yield the servers that the harness started, by name."""
        for name, server in self._servers.items():
            port = urlsplit(server.direct_url).port
            if port is not None and (running := serving_at(port)) is not None:
                yield name, running

    def _reported(self) -> str | None:
        """Return what a server has logged meanwhile that it survived and its clients may not."""
        for _, running in self._own():
            with contextlib.suppress(OSError), running.log.open("rb") as log:
                log.seek(self._logs.get(running.log, 0))
                grave = [line.strip() for line in log.read().decode(errors="replace").splitlines() if _GRAVE.search(line)]
                if grave:
                    return f"{running.name} reported: {_LOG_PREFIX.sub('', grave[0])}"
        return None


def _ended(running: RunningServer, wait_s: float = 0.0) -> str | None:
    how = running.ended(wait_s)
    return f"{running.name} ended: {how}" if how is not None else None


def _stopped(subject: str, pid: int) -> str | None:
    return f"{subject} {STOPPED}" if process_fault(pid) == STOPPED else None


def _greeting(scheme: str) -> bytes:
    return next((greeting for name, greeting in _GREETINGS.items() if scheme.startswith(name)), b"")


def _problem(host: str, port: int, greeting: bytes) -> str | None:
    """Return what is wrong with a server at an address; a greeting is a message that it answers without a password."""
    try:
        connection = socket.create_connection((host, port), timeout=CONNECT_S)
    except TimeoutError:
        return f"does not accept connections within {CONNECT_S:g} s"
    except OSError:
        return "stopped"
    with connection:
        if greeting:
            try:
                connection.settimeout(ANSWER_S)
                connection.sendall(greeting)
                if not connection.recv(1):
                    return "closes connections"
            except TimeoutError:
                return f"accepts connections and does not answer within {ANSWER_S:g} s"
            except OSError:
                return "resets connections"
    return None


def _size(file: Path) -> int:
    with contextlib.suppress(OSError):
        return file.stat().st_size
    return 0
