"""A run that has not ended by itself: what it is of, the steps that are done, and the results so far, stored as they come.

They are in a folder within the run's until the run ends by itself: the request of `harness.results.resumable`, a journal with a
line per step that is done, and the result so far of each scenario on an engine at an RTT, in a file each. So storing a step costs
the same however many scenarios a run has, and a run that was killed can be read and resumed.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from harness.errors import UsageError
from harness.redaction import redacted_values
from harness.results.compressed import bytes_of
from harness.results.resumable import REQUEST_FILE, Journal, ResumableRequest, read_request
from harness.results.run import Run, ScenarioResult
from harness.results.store import run_file, without_secrets, write_bytes

FOLDER, STEPS_FILE, RESULTS = "unfinished", "steps.jsonl", "results"
Line = TypeVar("Line", bound=msgspec.Struct)


def cannot_resume(folder: Path, reason: str) -> UsageError:
    """Return the error for a run that cannot be resumed, with the next step."""
    return UsageError(f"{folder} cannot be resumed, because {reason}; start it again without --resume")


class UnfinishedRun(Generic[Line]):
    """The store of a run until it ends by itself. One process at a time has it, until it is closed."""

    def __init__(self, run: Path, request: ResumableRequest, kind: Any, *, is_resumed: bool = False) -> None:
        """Begin, or with `is_resumed` go on with what is there; `kind` is the type of the lines.

        UsageError: the folder cannot be written, another process is measuring this run, or there is one that can be resumed.
        """
        self.run, self.request, self.is_resumed = run, request, is_resumed
        self._folder = run / FOLDER
        self._journal, self._held = Journal[Line](self._folder / STEPS_FILE, kind), ExitStack()
        self._held.enter_context(self._journal.alone())
        if not is_resumed:
            if can_be_resumed(run):
                raise UsageError(f"{run} already contains a run; complete it with --resume {run}, or choose another folder")
            request.write(self._folder)

    def lines(self) -> list[Line]:
        """Return what was stored with `add`, in its order."""
        return self._journal.lines()

    def add(self, line: Line) -> None:
        """Append one line, without the secrets in its texts."""
        self._journal.append(redacted_values(msgspec.to_builtins(line)))

    def keep(self, place: int, result: ScenarioResult) -> None:
        """Store the result so far of the scenario that has this place among those of the run."""
        write_bytes(self._folder / RESULTS / f"{place:05}.json", msgspec.json.encode(without_secrets(result)))

    def close(self) -> None:
        """Let another process go on with the run."""
        self._held.close()

    def end(self) -> None:
        """Remove everything: the run has ended by itself, and its record is written."""
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def without_run(out: Path) -> Path:
    """Return a folder; UsageError if it has a run already."""
    if run_file(out).exists():
        complete = f"complete it with --resume {out}, " if can_be_resumed(out) else ""
        raise UsageError(f"{out} already contains a run; {complete}choose another folder with --out, or delete it")
    return out


def can_be_resumed(run: Path) -> bool:
    """Return whether a run's folder, or that of its `run.json`, has what is needed to complete the run."""
    return ((run.parent if run.is_file() else run) / FOLDER / REQUEST_FILE).exists()


def request_of(run: Path) -> ResumableRequest:
    """Return the request of an unfinished run; UsageError if its folder has none that can be read."""
    if not can_be_resumed(run):
        raise cannot_resume(run, f"its steps are not there, in {FOLDER}/{REQUEST_FILE}")
    return read_request(run / FOLDER)


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
