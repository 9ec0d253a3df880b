"""The server with known times as its coordinator holds it: started, told what to do, and asked what it did."""

from __future__ import annotations

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

PATIENCE_S = 10.0


@dataclass(frozen=True)
class KnownServer:
    """A running server: where it listens, and its process."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """Where to ask."""
        return f"http://{HOST}:{self.port}"

    def begin(self, course: Course) -> None:
        """Have it begin anew; requests that it still holds are answered and no longer noted."""
        self._ask("POST", BEGIN, msgspec.json.encode(course))

    def log(self) -> Log:
        """Return what it did since it began."""
        return msgspec.json.decode(self._ask("GET", LOG, b""), type=Log)

    def _ask(self, method: str, path: bytes, body: bytes) -> bytes:
        with closing(http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE_S)) as connection:
            connection.request(method, path.decode(), body)
            return connection.getresponse().read()


@contextmanager
def known_server(cpus: frozenset[int]) -> Iterator[KnownServer]:
    """Start the server on these cores, all that there are if none is named, and end it afterwards.

    Raises:
        NotMeasurableError: it does not start.
    """
    command = [sys.executable, "-m", "tools.validation.load.server"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, env=child_environment(), start_new_session=True)
    assert child.stdout is not None
    try:
        first = child.stdout.readline()
        if not first:
            raise NotMeasurableError("the server with known times did not start; see above what it said")
        if cpus:
            os.sched_setaffinity(child.pid, cpus)
        yield KnownServer(int(first), child.pid)
    finally:
        kill_group(child)
        child.stdout.close()
