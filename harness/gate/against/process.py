"""One side as a living process: its command behind `launch`, a socket to it, and its end whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from harness.errors import HarnessError, NotComparableError, NotMeasurableError, ScenarioFailedError
from harness.gate.against import protocol as channel
from harness.runtime.processes import end, ending

LAUNCH = Path(__file__).with_name("launch.py")
STRAY = "stray"
"""The kind of a failure that is nobody's: what ran was a mixture of both versions."""

PATIENCE_S = 600.0
"""How long a side may take to say anything before it counts as hung."""


@dataclass(frozen=True)
class Side:
    """A command that speaks `harness.gate.against.protocol`, such as a script that calls its `serve`.

    `name` is what messages call it, "old" or "new"; `environment` is added to this process's own.
    """

    command: Sequence[str]
    name: str
    folder: Path = field(default_factory=Path.cwd)
    environment: Mapping[str, str] = field(default_factory=dict)


class SideError(HarnessError):
    """A side has failed; `side` is which, `kind` the type of its exception."""

    def __init__(self, side: str, message: str, kind: str = "") -> None:
        super().__init__(f"{side}: {message}")
        self.side, self.kind, self.message = side, kind, message

    def as_refusal(self) -> HarnessError:
        """Return what it means: nothing to compare with where the old side failed, a failure where it is the new one."""
        if self.kind == "NotMeasurableError":
            return NotMeasurableError(self.message)
        return NotComparableError(str(self)) if self.side == "old" or self.kind == STRAY else ScenarioFailedError(str(self))


class SideProcess:
    """A side under way."""

    def __init__(self, side: Side, child: subprocess.Popen[bytes], connection: socket.socket, said: Any) -> None:
        self.side = side
        self._child = child
        self._lines = connection.makefile("rwb")
        self._said = said

    def receive(self) -> dict[str, Any]:
        """Return the side's next message.

        Raises:
            SideError: it failed, died, or says nothing.
        """
        try:
            line = self._lines.readline()
        except TimeoutError:
            raise SideError(self.side.name, f"no answer for {PATIENCE_S:g} s") from None
        except ConnectionError:
            line = b""
        if not line:
            raise SideError(self.side.name, f"{self._last_words()} ({ending(self._child.wait())})")
        message: dict[str, Any] = json.loads(line)
        if "failed" in message:
            raise SideError(self.side.name, message["failed"], message.get("kind", ""))
        if message.get("end", {}).get("strays"):
            module = message["end"]["strays"][0]
            raise SideError(
                self.side.name, f"module {module!r} was imported from the other version's tree; its times say nothing", STRAY
            )
        return message

    def send(self, **message: Any) -> None:
        """Send one message; a side that has gone is noticed when it is heard."""
        with contextlib.suppress(ConnectionError):
            self._lines.write(json.dumps(message).encode() + b"\n")
            self._lines.flush()

    def slice(self, case: int, repeats: int) -> int:
        """Let the side do its benchmark so many times; return the nanoseconds that they took together, at least 1."""
        self.send(slice=[case, repeats])
        return max(1, int(self.receive()["ns"]))

    def move(self, core: int) -> None:
        """Keep the side, all its threads and all it has started on a core from now on."""
        with contextlib.suppress(psutil.Error, OSError):  # what has ended is noticed when it is heard
            process = psutil.Process(self._child.pid)
            for one in (process, *process.children(recursive=True)):
                for thread in one.threads():
                    os.sched_setaffinity(thread.id, {core})

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = [line for line in self._said.read().decode(errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()]
        return (errors or lines)[-1].strip()[:300] if lines else "it ended without a word"


@contextmanager
def alive(
    side: Side, *, core: int | None = None, seed: int = 0, padding: int = 0, only: Path | None = None, patience_s: float = 0.0
) -> Iterator[SideProcess]:
    """Start a side on a core, with a hash seed and so many bytes more in its environment; kill it and all it started at the end.

    Where a stack begins depends on the size of the environment, and how fast code runs depends on that (Mytkowicz et al. 2009): a
    padding of its own for every process makes a bias that would stay into noise that an interval shows. With `patience_s` the side
    hears at the end that nobody asks any more, and has so long to stop what it started.
    """
    ours, its = socket.socketpair()
    ours.settimeout(PATIENCE_S)
    extra = {
        channel.FD: str(its.fileno()),
        "PYTHONHASHSEED": str(seed),
        "PYTHONUNBUFFERED": "1",
        "HARNESS_SIDE_PADDING": "." * padding,
    }
    if only is not None:
        extra[channel.ONLY] = str(only)
    with ours, tempfile.TemporaryFile() as said:
        with its:
            child = subprocess.Popen(
                [sys.executable, "-I", "-S", str(LAUNCH), "" if core is None else str(core), *side.command],
                cwd=side.folder,
                env={**_inherited(), **side.environment, **extra},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                pass_fds=[its.fileno()],
                start_new_session=True,
            )
        try:
            yield SideProcess(side, child, ours, said)
        finally:
            try:
                if patience_s:
                    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                        ours.shutdown(socket.SHUT_RDWR)
                        child.wait(patience_s)
            finally:
                end(child)


def _inherited() -> dict[str, str]:
    """Return this process's environment, without what would make a test session in a side a part of one around this process."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}


def asked(side: Side, *, core: int | None = None) -> dict[str, Any]:
    """Run a side that serves nothing to its end, and return what it says there.

    Raises:
        SideError: it failed.
    """
    with alive(side, core=core) as live:
        while "end" not in (message := live.receive()):
            live.send(next=True)
    found: dict[str, Any] = message["end"]
    return found
