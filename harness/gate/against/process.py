"""The coordinator's side of one version: its command as a child process, with the messages of `harness.gate.against.protocol`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import HarnessError, NotComparableError, NotMeasurableError, ScenarioFailedError
from harness.gate.against import protocol
from harness.runtime import channel
from harness.runtime.child import Child, last_error_line

FOREIGN_IMPORT = "foreign import"
"""The kind of a failure that belongs to neither version: both versions' code ran in one process."""

REPLY_S = 600.0
"""Timeout of a side's next message, in seconds; after it the side counts as hung."""

_decoder: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True)
class Side:
    """A command that implements `harness.gate.against.protocol`, such as a script that calls its `serve`."""

    command: Sequence[str]
    """The command line."""

    name: str
    """Name of the version in messages, "old" or "new"."""

    folder: Path = field(default_factory=Path.cwd)
    """Working directory."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables in addition to this process's environment."""


class SideError(HarnessError):
    """A side has failed; `side` is its name, `kind` the type of its exception."""

    def __init__(self, side: str, message: str, kind: str = "") -> None:
        super().__init__(f"{side}: {message}")
        self.side, self.kind, self.message = side, kind, message

    def as_refusal(self) -> HarnessError:
        """Return the error for the command: not comparable if the old side failed, a failure if the new one did."""
        if self.kind == "NotMeasurableError":
            return NotMeasurableError(self.message)
        return (
            NotComparableError(str(self)) if self.side == "old" or self.kind == FOREIGN_IMPORT else ScenarioFailedError(str(self))
        )


class SideProcess:
    """A running side."""

    def __init__(self, side: Side, child: Child[dict[str, Any]]) -> None:
        self.side = side
        self._child = child

    def receive(self) -> dict[str, Any]:
        """Return the side's next message.

        Raises:
            SideError: it failed, crashed, or sent nothing within `REPLY_S` seconds.
        """
        try:
            message = self._child.receive(REPLY_S)
        except TimeoutError:
            raise SideError(self.side.name, f"no reply within {REPLY_S:g} s") from None
        if message is None:
            ended = self._child.exit_description()
            error = last_error_line(self._child.output())[:300] or "exited unexpectedly"
            raise SideError(self.side.name, f"{error} ({ended})")
        if message["type"] == channel.FAILED:
            raise SideError(self.side.name, message["message"], message.get("kind", ""))
        if message.get("foreign_imports"):
            module = message["foreign_imports"][0]
            raise SideError(
                self.side.name,
                f"module {module!r} was imported from the other version's tree, so its times are not valid",
                FOREIGN_IMPORT,
            )
        return message

    def send(self, kind: str, /, **fields: Any) -> None:
        """Send a message of type `kind`; a side that has exited is noticed when its next message is expected."""
        self._child.send({"type": kind, **fields})

    def slice(self, case: int, repeats: int) -> int:
        """Run a number of repetitions of a case; return the nanoseconds that they took together, at least 1."""
        self.send("slice", case=case, repeats=repeats)
        return max(1, int(self.receive()["ns"]))

    def move(self, core: int) -> None:
        """Pin the side to a core from now on, with all its threads and all processes that it has started."""
        self._child.move(core)


@contextmanager
def alive(
    side: Side, *, core: int | None = None, seed: int = 0, padding: int = 0, only: Path | None = None, exit_timeout_s: float = 0.0
) -> Iterator[SideProcess]:
    """Start a side on a core, with a hash seed and a number of bytes more in its environment; end it and all it started at the end.

    The start of a stack depends on the size of the environment, and the speed of code depends on that (Mytkowicz et al. 2009):
    another padding for every process turns a constant bias into noise that the interval includes. `exit_timeout_s` are the seconds
    that the side gets at the end to stop what it started.
    """
    environment = {**_inherited(), "PYTHONUNBUFFERED": "1", **side.environment}
    if only is not None:
        environment[protocol.ONLY] = str(only)
    with Child(
        side.command,
        _decoder,
        environment=environment,
        folder=side.folder,
        cores=() if core is None else (core,),
        hash_seed=seed,
        padding=padding,
        exit_timeout_s=exit_timeout_s,
    ) as child:
        yield SideProcess(side, child)


def _inherited() -> dict[str, str]:
    """Return this process's environment, without what would make a side's test session a part of the one around this process."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}


def asked(side: Side, *, core: int | None = None) -> dict[str, Any]:
    """Run a side to its end without timing its benchmarks, and return what it found.

    Raises:
        SideError: it failed.
    """
    with alive(side, core=core) as process:
        while (message := process.receive())["type"] != "end":
            process.send("next")
    found: dict[str, Any] = message["found"]
    return found
