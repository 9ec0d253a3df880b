"""Servers of the benchmarks and of the validation, each in a child process on a free loopback port, and the cores of clients."""

import os
import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from harness.errors import NotMeasurableError
from harness.runtime.channel import Channel, connect
from harness.runtime.child import Child, python_module

HOST = "127.0.0.1"
_BACKLOG = 2048


@contextmanager
def served(module: str, cores: Collection[int] = ()) -> Iterator[tuple[int, Child[dict[str, Any]]]]:
    """Run a module that calls `listening`; yield its port and its process. Raise NotMeasurableError if it does not start."""
    with Child(python_module(module), msgspec.json.Decoder(dict[str, Any]), cores=cores, capture=False) as child:
        message = child.receive()
        if message is None:
            remedy = "see its output above, and install what the trial needs: pip install -r requirements.lock"
            raise NotMeasurableError(f"the server {module} did not start; {remedy}")
        yield message["port"], child


@contextmanager
def pinned(cores: Collection[int]) -> Iterator[None]:
    """Keep this process and the children that it starts meanwhile to these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def listening() -> Iterator[tuple[socket.socket, Channel]]:
    """Yield a listening socket whose port the parent process knows, with which this one ends, and the channel to it."""
    parent = connect()
    with socket.create_server((HOST, 0), backlog=_BACKLOG) as listener:  # before the port is sent, so that none is refused
        parent.send("listening", port=listener.getsockname()[1])
        yield listener, parent
