"""A run that has not ended by itself: what it is of, the steps that are done, and the results so far, stored as they come.

They are in a folder of the run's own until the run ends by itself: `request.json` has what a command that resumes the run must have
in common with it, `steps.jsonl` a line per step that is done, and `results/` the result so far of each scenario on an engine at an
RTT. So storing a step costs the same however many scenarios a run has, and a run that was killed can be read and resumed. A line
that was cut off by the end of the process is left out.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from harness.errors import UsageError
from harness.redaction import redacted_values
from harness.results.compressed import bytes_of
from harness.results.run import Run, ScenarioResult
from harness.results.store import without_secrets, write_bytes
from harness.text import encode_json

FOLDER, REQUEST_FILE, STEPS_FILE, RESULTS, LOCK_FILE = "unfinished", "request.json", "steps.jsonl", "results", "lock"
NONE = "none"
"""A fact that a run does not have."""
Line = TypeVar("Line", bound=msgspec.Struct)


class RunRequest(msgspec.Struct, frozen=True):
    """What a run is of, in which the command that resumes it must agree."""

    command: str
    """The command, such as `run`."""
    facts: dict[str, str] = {}
    """Everything that the results depend on, by name: the commit, each scenario file, the settings."""
    options: dict[str, Any] = {}
    """The command's options by their names, for a command that resumes it and states none."""
    started_at: str = ""
    """When the run began."""
    words: str = ""
    """The command line that repeats it."""


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return each fact in which two requests differ, such as `--seed: 0 before, 1 now`."""
    return [
        f"{name}: {before.get(name) or NONE} before, {now.get(name) or NONE} now"
        for name in {**before, **now}
        if before.get(name, "") != now.get(name, "")
    ]


def refuse_other(folder: Path, before: Mapping[str, str], now: Mapping[str, str], noun: str = "run") -> None:
    """Raise UsageError, which names all that differs, if the facts of what is to be resumed are not those of what is stored.

    `noun` is what the folder has: a run, or a gate.

    Example:
        refuse_other(Path("runs/a"), {"--seed": "0"}, {"--seed": "1"})
    """
    if found := changes(before, now):
        raise cannot_resume(folder, f"it is of another {noun} ({'; '.join(found)})")


def cannot_resume(folder: Path, reason: str) -> UsageError:
    """Return the error for a folder that cannot be resumed, with the next step."""
    return UsageError(f"{folder} cannot be resumed, because {reason}; start it again without --resume")


class UnfinishedRun:
    """What a run stores until it ends by itself. One process at a time has it."""

    def __init__(self, run: Path, request: RunRequest, *, is_resumed: bool = False) -> None:
        """Make the folder, or with `is_resumed` go on with the one that is there: see `request_of` and `refuse_other`.

        UsageError: the folder cannot be written, or another process is measuring this run.
        """
        self.run, self.request, self.is_resumed = run, request, is_resumed
        self._folder = run / FOLDER
        self._steps = self._folder / STEPS_FILE
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self._folder / LOCK_FILE).open("ab")
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        self._take()
        if not is_resumed:
            shutil.rmtree(self._folder / RESULTS, ignore_errors=True)
            write_bytes(self._steps, b"")
            write_bytes(self._folder / REQUEST_FILE, msgspec.json.format(encode_json(request), indent=1))

    def _take(self) -> None:
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise UsageError(f"{self.run} is being measured by another process; wait for its end, or end it") from None
        except OSError:  # a file system without locks
            pass

    def lines(self, kind: type[Line]) -> list[Line]:
        """Return what was stored with `add`, in its order; a last line that was cut off is removed, so that others can follow."""
        try:
            body = self._steps.read_bytes() if self._steps.exists() else b""
            whole, _, rest = body.rpartition(b"\n")
            if rest:
                os.truncate(self._steps, len(body) - len(rest))
            return [msgspec.json.decode(line, type=kind) for line in whole.split(b"\n") if line]
        except (OSError, msgspec.DecodeError, RecursionError) as error:
            raise cannot_resume(self.run, f"{FOLDER}/{STEPS_FILE} cannot be read ({error})") from error

    def add(self, line: msgspec.Struct) -> None:
        """Append one line, in one write, without the secrets in its texts."""
        body = encode_json(redacted_values(msgspec.to_builtins(line)))
        try:
            with self._steps.open("ab", buffering=0) as file:
                file.write(body + b"\n")
        except OSError as error:
            raise _unwritable(self._steps, error) from error

    def keep(self, place: int, result: ScenarioResult) -> None:
        """Store the result so far of the scenario that has this place among those of the run."""
        write_bytes(self._folder / RESULTS / f"{place:05}.json", encode_json(without_secrets(result)))

    def close(self) -> None:
        """Let another process go on with the run."""
        self._lock.close()

    def end(self) -> None:
        """Remove everything: the run has ended by itself, and its record is written."""
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def request_of(run: Path) -> RunRequest | None:
    """Return the request of a run's folder; None if it has nothing to resume. UsageError if it cannot be read."""
    file = run / FOLDER / REQUEST_FILE
    try:
        return msgspec.json.decode(bytes_of(file), type=RunRequest)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, RecursionError) as error:
        raise cannot_resume(run, f"{FOLDER}/{REQUEST_FILE} cannot be read ({error})") from error


def with_results_so_far(run: Run, folder: Path) -> Run:
    """Return an unfinished run with the results of the scenarios that were stored one by one since its record was written."""
    found = dict(enumerate(run.scenarios))
    for file in sorted((folder / FOLDER / RESULTS).glob("*.json")):
        if not file.stem.isdecimal():
            continue
        try:
            found[int(file.stem)] = msgspec.json.decode(bytes_of(file), type=ScenarioResult)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UsageError(f"{file} is not a scenario's result ({error}); remove it, or name another run") from error
    return replace(run, scenarios=[found[place] for place in sorted(found)])


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(f"cannot write {path}: {error.strerror or error}; choose another folder with --out")
