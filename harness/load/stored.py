"""The results of load tests and capacity searches as they are stored, one line each, and read again when a run is resumed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from harness.load.block import LoadBlock
from harness.load.capacity import TriedStep
from harness.results.load import CapacityKind, Tick


class StoredData(msgspec.Struct, tag=True, frozen=True):
    """The data on which all that follows was measured."""

    engine: str
    """Database engine; empty if the scenario has none."""
    dataset: dict[str, str | int]
    """Its digest, and the other facts of the record."""

    def described(self) -> dict[str, str]:
        """Return it by names for a message."""
        facts = ", ".join(f"{name} {value}" for name, value in self.dataset.items())
        return {"the database engine": self.engine, "the data": facts}


class StoredStart(msgspec.Struct, tag=True, frozen=True):
    """A load worker that got ready."""

    worker: int
    """Its number, from 1."""
    arms: list[str]
    """The arms that it puts under load."""
    facts: dict[str, str]
    """Description of its process, for the record."""
    cannot_run: list[tuple[str, str, str, str]]
    """(scenario, arm, group, error) of groups that an arm cannot run as written."""


class StoredBlock(msgspec.Struct, tag=True, frozen=True):
    """A whole block of a load worker, with the samples taken since the one before."""

    worker: int
    block: LoadBlock
    ticks: list[Tick]


class StoredEnd(msgspec.Struct, tag=True, frozen=True):
    """The end of a load worker."""

    worker: int
    failed: str | None
    """The reason why it ended early."""
    arm: str
    """The arm that is the reason."""
    crashed: bool
    """Whether the process ended, instead of hanging."""
    left: list[str]
    """Threads and processes that it left running."""


class StoredLevel(msgspec.Struct, tag=True, frozen=True):
    """A step of a capacity search."""

    arm: str
    kind: CapacityKind
    tried: TriedStep
    arrivals: int
    """The operations that were due in it."""
    targets: bool
    """Whether the system under load was another process."""


class StoredCrash(msgspec.Struct, tag=True, frozen=True):
    """A step of a capacity search in which the load worker ended."""

    arm: str
    kind: CapacityKind
    level: float
    reason: str


class StoredResume(msgspec.Struct, tag=True, frozen=True):
    """The beginning of a part of the run that goes on with what is stored before."""


StoredResult = StoredData | StoredStart | StoredBlock | StoredEnd | StoredLevel | StoredCrash | StoredResume


class StoredLoadLine(msgspec.Struct, frozen=True):
    """One line."""

    result: StoredResult


@dataclass
class StoredWorker:
    """A load worker of an earlier part of the run, as far as it is stored."""

    start: StoredStart
    stored: list[StoredBlock] = field(default_factory=list)
    end: StoredEnd | None = None
    """None if the run ended before it did."""

    @property
    def cycles(self) -> int:
        """The number of its whole cycles, those in which every arm had its block."""
        arms = {block.cycle: set[str]() for block in self._blocks}
        for block in self._blocks:
            arms[block.cycle].add(block.arm)
        return next((cycle for cycle in range(len(arms)) if arms.get(cycle, set()) < set(self.start.arms)), len(arms))

    @property
    def _blocks(self) -> list[LoadBlock]:
        return [line.block for line in self.stored]

    @property
    def kept(self) -> list[StoredBlock]:
        """Its blocks that count: a cycle that the end of the run has cut off is run again as a whole, so that arms stay paired."""
        whole = self.cycles
        return [line for line in self.stored if self.end is not None or line.block.cycle < whole]

    @property
    def arrived(self) -> int:
        """The operations that were due in one arm's blocks of the whole cycles."""
        return sum({line.block.cycle: line.block.arrivals for line in self.kept}.values())

    @property
    def seconds(self) -> float:
        """The seconds from its first block to its last sample."""
        return max((tick.at_s for line in self.kept for tick in line.ticks), default=0.0)


def stored_workers(lines: Sequence[StoredResult]) -> dict[int, StoredWorker]:
    """Return load worker → its results, of the lines of a load test.

    A run that was resumed starts its last worker again: what then follows continues the whole cycles before.
    """
    found: dict[int, StoredWorker] = {}
    for line in lines:
        if isinstance(line, StoredStart):
            before = found.get(line.worker)
            found[line.worker] = StoredWorker(line, before.kept if before is not None else [])
        elif isinstance(line, StoredBlock):
            found[line.worker].stored.append(line)
        elif isinstance(line, StoredEnd):
            found[line.worker].end = line
    return found


def stored_steps(lines: Sequence[StoredResult]) -> list[StoredLevel | StoredCrash]:
    """Return the steps of a capacity search in the order in which they were run."""
    return [line for line in lines if isinstance(line, StoredLevel | StoredCrash)]


def stored_data(lines: Sequence[StoredResult]) -> StoredData | None:
    """Return the data of the lines; None if the run ended before they were ready."""
    return next((line for line in lines if isinstance(line, StoredData)), None)
