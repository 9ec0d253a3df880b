"""The folder of a gate against another version: its request, its plan, and every process pair, stored as they come.

`request.json` is what a gate that is resumed must have in common with it, `plan.json` what was found before the first process pair,
and `process_pairs.jsonl` gets one line per process pair, so that storing costs the same however many there are. A line that was cut
off by the end of the process is left out.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.errors import UsageError
from harness.gate.against.sequence import StoredProcessPair
from harness.results.gate import GateRow
from harness.results.run import RunWarning
from harness.results.store import write_bytes
from harness.text import encode_json

REQUEST_FILE, PLAN_FILE, PAIRS_FILE = "request.json", "plan.json", "process_pairs.jsonl"


@dataclass(frozen=True)
class GateRequest:
    """A request, in which a gate and the one that it resumes must agree."""

    against: str
    """The old version's commit."""
    candidate: str
    """The digest of this version's files."""
    arguments: Sequence[str]
    """pytest's arguments, or the scenarios."""
    options: Mapping[str, str]
    """Everything else that the result depends on, by the name of its option."""


@dataclass(frozen=True)
class SuitePlan:
    """The findings before the first process pair, and the benchmarks to be timed."""

    rows: list[GateRow]
    """Of what fails, and of what need not be timed."""
    incomparable: list[RunWarning]
    warnings: list[RunWarning]
    touched: list[str]
    """The benchmarks to be timed."""
    work: dict[str, str]
    """Benchmark → how its work counts changed, in words."""
    spent_s: float
    """The seconds that finding it took."""
    first: int = 0
    """The number of the new version's benchmarks if they are the project's first, so that there is nothing to compare."""


class GateFolder:
    """A folder that a gate writes to, and from which it can be resumed."""

    def __init__(self, folder: Path, request: GateRequest, *, is_resumed: bool) -> None:
        """Write the request, or compare it with the one that the folder has.

        UsageError: the folder has a gate already, or none to resume, or one of another request; or it cannot be written.
        """
        self.folder = folder
        file = folder / REQUEST_FILE
        if is_resumed:
            _refuse_other(_request(file), request, folder)
        elif file.exists():
            raise UsageError(f"{folder} already contains a gate; continue it with --resume {folder}, or choose another folder")
        else:
            write_bytes(folder / ".gitignore", b"*\n")  # inside the tree, it would make this version another one
            write_bytes(file, msgspec.json.format(encode_json(request), indent=1))
        self._known = _whole_lines(folder / PAIRS_FILE)

    @property
    def spent_s(self) -> float:
        """The seconds that earlier parts of the gate have taken, as far as they are stored."""
        plan = self.plan()
        return max([pair.spent_s for pair in self._known], default=plan.spent_s if plan else 0.0)

    def plan(self) -> SuitePlan | None:
        """Return the plan that was stored; None if there is none yet."""
        file = self.folder / PLAN_FILE
        try:
            return msgspec.json.decode(file.read_bytes(), type=SuitePlan)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise UsageError(f"{file} cannot be read: {error}; start the gate again without --resume") from error

    def write_plan(self, plan: SuitePlan) -> None:
        """Store the plan."""
        write_bytes(self.folder / PLAN_FILE, encode_json(plan))

    def known(self) -> Sequence[StoredProcessPair]:
        """Return those that were stored before."""
        return self._known

    def add(self, pair: StoredProcessPair) -> None:
        """Append one line, in one write."""
        try:
            with (self.folder / PAIRS_FILE).open("ab", buffering=0) as file:
                file.write(encode_json(pair) + b"\n")
        except OSError as error:
            problem = f"cannot write {self.folder / PAIRS_FILE}: {error.strerror or error}"
            raise UsageError(f"{problem}; choose another folder with --out") from error


def _request(file: Path) -> GateRequest:
    try:
        return msgspec.json.decode(file.read_bytes(), type=GateRequest)
    except (OSError, msgspec.DecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{file.parent} has no gate to resume: {file.name}: {reason}; name the folder that it printed") from error


def _refuse_other(stored: GateRequest, request: GateRequest, folder: Path) -> None:
    """Raise UsageError with the first difference of two requests."""
    pairs = [
        ("the version to compare with", stored.against, request.against),
        ("this version's files", stored.candidate, request.candidate),
        ("the arguments", " ".join(stored.arguments), " ".join(request.arguments)),
        *((name, stored.options.get(name, ""), request.options.get(name, "")) for name in {**stored.options, **request.options}),
    ]
    for name, before, now in pairs:
        if before != now:
            change = f"{name}: {before or 'none'} before, {now or 'none'} now"
            raise UsageError(
                f"{folder} cannot be resumed, because it is of another gate ({change}); start it again without --resume"
            )


def _whole_lines(file: Path) -> list[StoredProcessPair]:
    """Return the process pairs of whole lines; the last line may have been cut off, and is removed so that others can follow."""
    try:
        body = file.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}") from error
    whole, _, rest = body.rpartition(b"\n")
    if rest:
        os.truncate(file, len(body) - len(rest))
    try:
        return [msgspec.json.decode(line, type=StoredProcessPair) for line in whole.split(b"\n") if line]
    except msgspec.DecodeError as error:
        raise UsageError(f"{file} cannot be read: {error}; start the gate again without --resume") from error
