"""The folder of a run that can be resumed: what it was asked for, and its results, stored as they come.

`request.json` has what a run that continues it must have in common with it. A journal is a file of JSON lines that gets one line
per result, so that storing costs the same however many there are. A line that was cut off by the end of the process is left out.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from harness.errors import UsageError
from harness.results.store import write_bytes
from harness.text import encode_json

Line = TypeVar("Line")
REQUEST_FILE = "request.json"


@dataclass(frozen=True)
class ResumableRequest:
    """A command that measures, in which a run and the one that it resumes must agree."""

    subject: str
    """The command, such as "load"."""
    command: str
    """The command line that repeats the run, without secrets."""
    arguments: Sequence[str]
    """The words that follow the command's name; none if they contain secrets."""
    identity: Mapping[str, str]
    """Everything that the result depends on, by its name in messages."""

    def write(self, folder: Path) -> None:
        """Write it into a run's folder; UsageError if the folder has one already, or cannot be written."""
        file = folder / REQUEST_FILE
        if file.exists():
            raise UsageError(f"{folder} already contains a run; continue it with --resume {folder}, or choose another folder")
        write_bytes(file, msgspec.json.format(encode_json(self), indent=1))

    def refuse_other(self, folder: Path, now: "ResumableRequest") -> None:
        """Raise UsageError, with the first difference, if the run of a folder cannot be resumed by the request that is made now."""
        before, asked = ({"the command": each.subject, **each.identity} for each in (self, now))
        refuse_other(folder, "run", before, asked)


def read_request(folder: Path) -> ResumableRequest:
    """Return the request of a run's folder; UsageError if it has none."""
    file = folder / REQUEST_FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=ResumableRequest)
    except (OSError, msgspec.DecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{folder} has no run to resume: {file.name}: {reason}; name the folder of an interrupted run") from error


def refuse_other(folder: Path, subject: str, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raise UsageError with the first difference between what a folder was made for and what is asked for now, by name."""
    for name in {**before, **now}:
        old, new = before.get(name, ""), now.get(name, "")
        if old != new:
            change = f"{name}: {old or 'none'} before, {new or 'none'} now"
            message = f"{folder} cannot be resumed, because it is of another {subject} ({change})"
            raise UsageError(f"{message}; start it again without --resume")


class Journal(Generic[Line]):
    """A file of results, one JSON line each, of one type."""

    def __init__(self, file: Path, kind: Any) -> None:
        """Name the file, which is made with the first line, and the type of its lines."""
        self.file = file
        self._decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(kind)

    def lines(self) -> list[Line]:
        """Return the lines that were written whole.

        The last one may have been cut off, and is removed so that others can follow. UsageError if the file cannot be read.
        """
        try:
            body = self.file.read_bytes()
            whole, _, rest = body.rpartition(b"\n")
            if rest:
                os.truncate(self.file, len(body) - len(rest))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UsageError(f"cannot read {self.file}: {error.strerror or error}") from error
        try:
            return [self._decoder.decode(line) for line in whole.split(b"\n") if line]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UsageError(f"{self.file} cannot be read: {error}; start it again without --resume") from error

    def append(self, line: Line) -> None:
        """Append one line, in one write; UsageError if that is not possible."""
        body = encode_json(line) + b"\n"
        try:
            with self.file.open("ab", buffering=0) as file:
                if file.write(body) != len(body):
                    raise UsageError(f"cannot write {self.file}: the disk is full; choose another folder with --out")
        except OSError as error:
            raise UsageError(f"cannot write {self.file}: {error.strerror or error}; choose another folder with --out") from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other process use the file meanwhile; UsageError if one does. A process that is killed leaves it to others."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            opened = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise UsageError(f"cannot write {self.file}: {error.strerror or error}; choose another folder with --out") from error
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(opened)
            raise UsageError(f"another process still measures into {self.file.parent}; wait for it, or end it") from error
        try:
            yield
        finally:
            os.close(opened)
