"""What a side and the coordinator say to each other: a JSON line each, over a socket whose number is in the environment.

The side says `at` (a benchmark's name and its number of cases) and then serves slices: it hears `slice` (a case's number and how
often to repeat it) and says `ns`, until it hears `next`. It ends with `end`, or with `failed`. Standard library alone, since it
runs with whichever tree and interpreter is being timed: what runs in a side reads time itself, not through `harness.runtime.clock`.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

FD = "HARNESS_SIDE_FD"
"""Names the socket's file descriptor."""

ONLY = "HARNESS_SIDE_ONLY"
"""Names a file with a JSON list of the benchmarks that are wanted; not set: all."""

FOREIGN = "HARNESS_SIDE_FOREIGN"
"""Names the other side's tree, from which nothing may be imported."""

LIST = "HARNESS_SIDE_LIST"
"""Set where benchmarks are to be named, not timed."""

Timed = Callable[[int, int], int]
"""From a case's number and a number of repetitions to the nanoseconds that they took together."""


class Channel:
    """The side's end of the socket."""

    def __init__(self) -> None:
        self._lines = socket.socket(fileno=int(os.environ[FD])).makefile("rwb")
        only = os.environ.get(ONLY)
        self._only = None if only is None else frozenset(json.loads(Path(only).read_text(encoding="utf-8")))

    def wants(self, name: str) -> bool:
        """Whether the benchmark of this name is to be announced."""
        return self._only is None or name in self._only

    def send(self, **message: Any) -> None:
        """Send one message."""
        self._lines.write(json.dumps(message).encode() + b"\n")
        self._lines.flush()

    def order(self) -> tuple[int, int] | None:
        """Wait for an order: a case's number and how often to repeat it, or None to go on; ends the process if nobody asks."""
        line = self._lines.readline()
        if not line:
            sys.exit("the coordinator has gone")
        wanted = json.loads(line).get("slice")
        return None if wanted is None else (wanted[0], wanted[1])

    def serve(self, name: str, timed: Timed, cases: int = 1) -> None:
        """Announce a benchmark and serve slices of it until told to go on."""
        self.send(at=name, cases=cases)
        while (order := self.order()) is not None:
            self.send(ns=timed(*order))


def repeated(operation: Callable[[], object]) -> Timed:
    """Return what times a function without arguments."""

    def timed(_: int, repeats: int) -> int:
        start = time.perf_counter_ns()
        for _ in range(repeats):
            operation()
        return time.perf_counter_ns() - start

    return timed


def serve(benchmarks: Mapping[str, Callable[[], object]]) -> None:
    """Be a side: serve functions without arguments, by name, and end."""
    channel = Channel()
    for name, operation in benchmarks.items():
        if channel.wants(name):
            channel.serve(name, repeated(operation))
    channel.send(end={})


def strays() -> list[str]:
    """Return the modules that were imported from the other side's tree, environments inside it apart."""
    foreign = os.environ.get(FOREIGN)
    if not foreign:
        return []
    root = Path(foreign).resolve()
    found = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or name == "__main__":
            continue
        path = Path(file).resolve()
        inside = path.is_relative_to(root) and not path.is_relative_to(Path(sys.prefix).resolve())
        if inside and "site-packages" not in path.parts and path.parent != Path(__file__).resolve().parent:
            found.append(name)
    return sorted(found)
