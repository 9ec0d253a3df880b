"""The folder of a gate against another version: its request, its plan, and every process pair, stored as they come.

`request.json` is what a gate that is resumed must have in common with it, `plan.json` what was found before the first process pair,
and `process_pairs.jsonl` gets one line per process pair, so that storing costs the same however many there are. A line that was cut
off by the end of the process is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.errors import UsageError
from harness.gate.against.sequence import StoredProcessPair
from harness.results.gate import GateRow
from harness.results.resumable import Journal, refuse_other
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
        self._journal = Journal[StoredProcessPair](folder / PAIRS_FILE, StoredProcessPair)
        self._known = self._journal.lines()

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
        """Append one line."""
        self._journal.append(pair)


def _request(file: Path) -> GateRequest:
    try:
        return msgspec.json.decode(file.read_bytes(), type=GateRequest)
    except (OSError, ValueError, RecursionError) as error:  # those of msgspec are ValueErrors
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{file.parent} has no gate to resume: {file.name}: {reason}; name the folder that it printed") from error


def _refuse_other(stored: GateRequest, request: GateRequest, folder: Path) -> None:
    """Raise UsageError with the first difference of two requests."""
    before, now = (
        {
            "the version to compare with": each.against,
            "this version's files": each.candidate,
            "the arguments": " ".join(each.arguments),
            **each.options,
        }
        for each in (stored, request)
    )
    refuse_other(folder, "gate", before, now)
