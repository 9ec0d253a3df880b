"""The client side of the server with known times: start it, set its course, and read its log."""

import http.client
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import msgspec

from harness.errors import NotMeasurableError
from harness.runtime.child import child_environment, kill_group
from tools.validation.load.server import BEGIN, HOST, LOG, Log
from tools.validation.load.situations import Course

TIMEOUT_S = 10.0


@dataclass(frozen=True)
class KnownServer:
    """A running server."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """The server's URL."""
        return f"http://{HOST}:{self.port}"

    def begin(self, course: Course) -> None:
        """Start a new course; requests that it still holds are answered and not logged."""
        self._request("POST", BEGIN, msgspec.json.encode(course))

    def log(self) -> Log:
        """Return its log since the start of the course."""
        return msgspec.json.decode(self._request("GET", LOG, b""), type=Log)

    def _request(self, method: str, path: bytes, body: bytes) -> bytes:
        with closing(http.client.HTTPConnection(HOST, self.port, timeout=TIMEOUT_S)) as connection:
            connection.request(method, path.decode(), body)
            return connection.getresponse().read()


@contextmanager
def known_server(cpus: frozenset[int]) -> Iterator[KnownServer]:
    """Start the server on these cores, or on all cores if there are none, and end it afterwards.

    Raises:
        NotMeasurableError: it does not start.
    """
    command = [sys.executable, "-m", "tools.validation.load.server"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, env=child_environment(), start_new_session=True)
    assert child.stdout is not None
    try:
        first = child.stdout.readline()
        if not first:
            raise NotMeasurableError("the server with known times did not start; see its output above")
        if cpus:
            os.sched_setaffinity(child.pid, cpus)
        yield KnownServer(int(first), child.pid)
    finally:
        kill_group(child)
        child.stdout.close()
