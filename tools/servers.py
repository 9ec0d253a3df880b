"""Servers of the benchmarks and of the validation, each in a child process on a free loopback port, which it reports."""

import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from harness.errors import NotMeasurableError
from harness.runtime.channel import connect
from harness.runtime.child import Child, python_module

HOST = "127.0.0.1"
_BACKLOG = 2048


@contextmanager
def served(module: str, cores: Collection[int] = ()) -> Iterator[tuple[int, int]]:
    """Run a module that calls `listening`; yield its port and process id. Raise NotMeasurableError if it does not start."""
    with Child(python_module(module), msgspec.json.Decoder(dict[str, Any]), cores=cores, capture=False) as child:
        message = child.receive()
        if message is None:
            remedy = "see its output above, and install what the trial needs: pip install -r requirements.lock"
            raise NotMeasurableError(f"the server {module} did not start; {remedy}")
        yield message["port"], child.process.pid


@contextmanager
def listening() -> Iterator[socket.socket]:
    """Yield a listening socket, and send its port to the parent process, with which this one ends."""
    parent = connect()
    with socket.create_server((HOST, 0), backlog=_BACKLOG) as listener:  # before the port is sent, so that none is refused
        parent.send("listening", port=listener.getsockname()[1])
        yield listener
