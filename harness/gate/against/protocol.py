"""The version's end of `harness gate --against`: serves benchmarks in slices to the coordinator.

A version announces a `benchmark` (its name and number of cases), then receives `slice` (a case's number and the number of
repetitions) and sends `time` (of each, or of all together), until it receives `next`. It ends with `end` or `JobFailed`. Standard
library only, because it runs with whichever tree and interpreter is timed; what runs in a version therefore reads time directly.
"""

import json
import os
import runpy
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

ONLY, FOREIGN, LIST, RECORD = (f"HARNESS_VERSION_{name}" for name in ("ONLY", "FOREIGN", "LIST", "RECORD"))
"""Environment variables: a file with a JSON list of the benchmarks to announce, without which all are; the other version's trees,
from which nothing may be imported; one that is set if benchmarks are to be listed, not timed; and the version's own tree, if what
is executed and read is to be recorded."""

HARNESS = Path(__file__).resolve().parents[2]
channel = runpy.run_path(str(HARNESS / "runtime" / "channel.py"))
begin, beat, LONG = channel["begin"], channel["beat"], channel["LONG"]
now_ns = partial(time.clock_gettime_ns, time.CLOCK_MONOTONIC)
"""The clock of `time.perf_counter_ns`, of which libraries that freeze time do not know."""

EACH = 32
"""The largest number of repetitions that are timed one by one: operations of less than a tenth of a millisecond need more to fill a
slice, and reading the clock between them would be a part of it."""

Timed = Callable[[int, int], list[int]]
"""From a case's number and a number of repetitions to the nanoseconds of each, or of all together if there are more than `EACH`."""


def recorder(*own_files: str) -> Any:
    """Return a started recorder of this process if one is wanted, else None; code in `own_files` is the gate's own."""
    root = os.environ.get(RECORD)
    if not root:
        return None
    own = {*own_files, __file__, str(HARNESS / "runtime" / "channel.py")}
    started = runpy.run_path(str(HARNESS / "gate" / "impact" / "recording.py"))["ProcessRecorder"](root, own)
    started.start()
    return started


class VersionChannel:
    """The version's end of the channel."""

    def __init__(self) -> None:
        self._channel = channel["connect"](exit_with_parent=False)  # the launcher has seen to that; Ctrl-C keeps its meaning
        self.send = self._channel.send
        only = os.environ.get(ONLY)
        self._only = None if only is None else frozenset(json.loads(Path(only).read_text(encoding="utf-8")))

    def wants(self, name: str) -> bool:
        """Return whether the benchmark of this name is to be announced."""
        return self._only is None or name in self._only

    def wants_any_of(self, file: str) -> bool:
        """Return whether a benchmark of this file is to be announced."""
        return self._only is None or any(name.split("::")[0] == file for name in self._only)

    def next_slice(self) -> tuple[int, int] | None:
        """Wait for an order: a case's number and a number of repetitions, or None to go on; exits if the coordinator has exited."""
        message = self._channel.receive()
        if message is None:
            sys.exit("the coordinator has exited")
        return (message["case"], message["repeats"]) if message["type"] == "slice" else None

    def serve(self, name: str, timed: Timed, cases: int = 1) -> None:
        """Announce a benchmark and serve slices of it until the coordinator goes on."""
        self.send("benchmark", name=name, cases=cases)
        while (wanted := self.next_slice()) is not None:
            begin("timing", name)
            self.send("time", ns=timed(*wanted))

    def end(self, **found: Any) -> None:
        """Send the last message, with what was found."""
        self.send("end", found=found, foreign_imports=foreign_imports())

    def fail(self, message: str, kind: str) -> None:
        """Send the last message of a version that failed, with the type of the exception."""
        self.send(channel["FAILED"], message=message, kind=kind)


def repeated(operation: Callable[[], object]) -> Timed:
    """Return the function that times a function without arguments."""

    def timed(_: int, repeats: int) -> list[int]:
        if repeats <= EACH:
            return [once() for _ in range(repeats)]
        start = now_ns()
        for _ in range(repeats):
            operation()
        return [now_ns() - start]

    def once() -> int:
        start = now_ns()
        operation()
        return now_ns() - start

    return timed


def serve(benchmarks: Mapping[str, Callable[[], object]]) -> None:
    """Serve functions without arguments, by name, and end."""
    version = VersionChannel()
    for name, operation in benchmarks.items():
        if version.wants(name):
            version.serve(name, repeated(operation))
    version.end()


def foreign_imports() -> list[str]:
    """Return the modules that were imported from the other version's tree, without those of environments inside it."""
    foreign = os.environ.get(FOREIGN)
    if not foreign:
        return []
    roots = [Path(tree).resolve() for tree in foreign.split(os.pathsep)]
    environment, own = Path(sys.prefix).resolve(), Path(__file__).resolve().parent
    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items()) if name != "__main__"}
    paths = {name: Path(file).resolve() for name, file in files.items() if isinstance(file, str)}
    inside = {
        name: path for name, path in paths.items() if any(map(path.is_relative_to, roots)) and not path.is_relative_to(environment)
    }
    return sorted(name for name, path in inside.items() if "site-packages" not in path.parts and path.parent != own)
