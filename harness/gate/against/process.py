"""The coordinator's end of one version: its command as a child process, with the messages of `harness.gate.against.protocol`."""

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
"""Timeout of a version's next message, in seconds; after it the version counts as hung."""

_decoder: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True)
class VersionCommand:
    """A command that implements `harness.gate.against.protocol`, such as a script that calls its `serve`."""

    command: Sequence[str]
    """The command line."""

    name: str
    """Name of the version in messages, "old" or "new"."""

    folder: Path = field(default_factory=Path.cwd)
    """Working directory."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables in addition to this process's environment."""


class VersionError(HarnessError):
    """A version has failed; `version` is its name, `kind` the type of its exception."""

    def __init__(self, version: str, message: str, kind: str = "") -> None:
        super().__init__(f"{version}: {message}")
        self.version, self.kind, self.message = version, kind, message

    def as_refusal(self) -> HarnessError:
        """Return the error for the command: not comparable if the old version failed, a failure if the new one did."""
        if self.kind == "NotMeasurableError":
            return NotMeasurableError(self.message)
        return (
            NotComparableError(str(self))
            if self.version == "old" or self.kind == FOREIGN_IMPORT
            else ScenarioFailedError(str(self))
        )


class VersionProcess:
    """A running version."""

    def __init__(self, version: VersionCommand, child: Child[dict[str, Any]]) -> None:
        self.version = version
        self._child = child

    def receive(self) -> dict[str, Any]:
        """Return the version's next message.

        Raises:
            VersionError: it failed, crashed, or sent nothing within `REPLY_S` seconds.
        """
        try:
            message = self._child.receive(REPLY_S)
        except TimeoutError:
            raise VersionError(self.version.name, f"no reply within {REPLY_S:g} s") from None
        if message is None:
            ended = self._child.exit_description()
            error = last_error_line(self._child.output())[:300] or "exited unexpectedly"
            raise VersionError(self.version.name, f"{error} ({ended})")
        if message["type"] == channel.FAILED:
            raise VersionError(self.version.name, message["message"], message.get("kind", ""))
        if message.get("foreign_imports"):
            module = message["foreign_imports"][0]
            raise VersionError(
                self.version.name,
                f"module {module!r} was imported from the other version's tree, so its times are not valid",
                FOREIGN_IMPORT,
            )
        return message

    def send(self, kind: str, /, **fields: Any) -> None:
        """Send a message of type `kind`; a version that has exited is noticed when its next message is expected."""
        self._child.send({"type": kind, **fields})

    def slice(self, case: int, repeats: int) -> int:
        """Run a number of repetitions of a case; return the nanoseconds that they took together, at least 1."""
        self.send("slice", case=case, repeats=repeats)
        return max(1, int(self.receive()["ns"]))

    def move(self, core: int) -> None:
        """Pin the version to a core from now on, with all its threads and all processes that it has started."""
        self._child.move(core)


@contextmanager
def alive(
    version: VersionCommand,
    *,
    core: int | None = None,
    seed: int = 0,
    padding: int = 0,
    only: Path | None = None,
    exit_timeout_s: float = 0.0,
) -> Iterator[VersionProcess]:
    """Start a version on a core, and end it with all that it started at the end of the context.

    `seed` is its hash seed, `padding` the number of bytes added to its environment, `only` a file with the benchmarks to announce.
    The start of a stack depends on the size of the environment, and the speed of code depends on that (Mytkowicz et al. 2009):
    another padding for every process turns a constant bias into noise that the interval includes. `exit_timeout_s` are the seconds
    that the version gets at the end to stop what it started.
    """
    environment = {**_inherited(), "PYTHONUNBUFFERED": "1", **version.environment}
    if only is not None:
        environment[protocol.ONLY] = str(only)
    with Child(
        version.command,
        _decoder,
        environment=environment,
        folder=version.folder,
        cores=() if core is None else (core,),
        hash_seed=seed,
        padding=padding,
        exit_timeout_s=exit_timeout_s,
    ) as child:
        yield VersionProcess(version, child)


def _inherited() -> dict[str, str]:
    """Return this process's environment, without what would make a version's test session a part of the one around this process."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}


def run_to_end(version: VersionCommand, *, core: int | None = None) -> dict[str, Any]:
    """Run a version to its end without timing its benchmarks, and return what it found.

    Raises:
        VersionError: it failed.
    """
    with alive(version, core=core) as process:
        while (message := process.receive())["type"] != "end":
            process.send("next")
    found: dict[str, Any] = message["found"]
    return found
