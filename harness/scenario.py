"""What a scenario is: the contract that a scenario file fulfils.

A scenario file holds one subclass of `Scenario`; the file's name is the scenario's name. It imports neither pytest nor Locust.
How such files are found and loaded is in `harness.discovery`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from harness.results.run import Statement
from harness.verdicts.promise import Promise

SIZES = ("tiny", "small", "medium", "large")

Instance = TypeVar("Instance")


@dataclass(frozen=True)
class Server:
    """A server's URL, twice: `near` is the server itself, `far` is where instances connect, `rtt_ms` away; the same at no distance.

    `facts` are its version and settings, for the record.
    """

    near: str
    far: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """Where and on what a scenario runs.

    `scale` is the share of the size's rows (growth passes use less than 1); `folder` is this scenario's own working folder, kept
    for the whole run; `shared` is one for all scenarios of the run, for what several of them can use. `stream` numbers an
    independent stream of cases: the first process is 0, each virtual user has its own. `servers` are those that the scenario's
    `servers` started, by name. `resets` says that every operation will be reset, so that an instance may use data that others have
    used before it.
    """

    folder: Path
    shared: Path
    engine: str = "sqlite"
    size: str = "small"
    scale: float = 1.0
    seed: int = 0
    rtt_ms: float = 0.0
    quick: bool = False
    stream: int = 0
    servers: Mapping[str, Server] = field(default_factory=dict)
    resets: bool = False


@dataclass(frozen=True)
class Case:
    """One input.

    `group` collects cases of one kind, which are timed and judged together; `name` is unique and is shown when arms disagree;
    `args` is whatever `run` needs; it is pickled once a run for all processes.
    """

    group: str
    name: str
    args: Any


@dataclass(frozen=True)
class Prepared:
    """What `prepare` built: the data's digest and counts, and the engine's settings and version, for the record."""

    dataset: Mapping[str, str | int] = field(default_factory=dict)
    engine_settings: Mapping[str, str] = field(default_factory=dict)


class Probe(Protocol):
    """Counts something while an operation runs, in a pass of its own, never while it is timed. An async context manager."""

    async def __aenter__(self) -> Self:
        """Start counting from zero."""
        ...

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop counting."""
        ...

    def counts(self) -> Mapping[str, float]:
        """Return what was counted, by metric name."""
        ...


Demonstration = Callable[[Any, Any, Sequence[Case]], Awaitable[str]]


@dataclass(frozen=True)
class DeclaredFinding:
    """A finding about the proposal as written, with the code that shows it. Made by `demonstrates`."""

    arm: str
    message: str
    demonstrate: Demonstration


def demonstrates(says: str, *, arm: str = "proposed") -> Callable[[Demonstration], Demonstration]:
    """Mark a scenario's method `async (instance, cases) -> evidence` as a finding on `arm` as written.

    It runs once, on an instance of its own, and returns the evidence as a sentence. If the fault does not show it raises
    AssertionError with what happened instead, or NotMeasurableError where this engine cannot have it; the finding is then reported
    as not observed.
    """

    def mark(method: Demonstration) -> Demonstration:
        method.fault = DeclaredFinding(arm, says, method)  # type: ignore[attr-defined]
        return method

    return mark


class Scenario(Generic[Instance]):
    """One optimisation on trial. The class docstring is the card in the report: its first line is the title.

    Class attributes:
        arms: name → what the arm does, in the order they are shown. `baseline` first.
        groups: group of cases → what it asks. Groups in the order they are shown.
        promises: what the review promises, each with how it is measured.
        engines: where it makes sense.
        heavy_groups: groups whose one operation takes seconds: timed once in a few processes, without warm-up or control.
        side_groups: groups that no promise rests on: verified and counted always, timed only where there is time for them.
        inexact_groups: groups that are too large to count exactly, statement by statement and step by step.
        memory_groups: groups whose memory is measured, each arm in a child of its own.
        sits_out: (arm, group) → why the arm is not tried there.
        memory_warm_up: light groups run before memory is measured, so that what is loaded on first use is not counted.
        growth_scales: shares of the data on which exact work and memory are measured again, for growth exponents.
        growth_groups: groups whose exact work is counted at those shares.
        load_groups: groups that many users run at once; None means all of them.
        busy: whether its instances keep a core busy though their servers are far away, since they are processes of their own: timed
            alone at any distance.
        tolerances: metric → the share by which it may change before `harness gate` calls that a change, for figures that do not
            repeat exactly, and for an arm's own `facts`, which are taken once and gated only where they stand here.
        higher_is_better: metrics of which more is better; the hits of a cache are known, of everything else more is worse.
        switches: name → what it turns on. A scenario with at least two can be ablated: `harness ablate` tries each of them alone,
            and each left out of all. Every set of switches has to give the same answers.
    """

    arms: ClassVar[Mapping[str, str]] = {}
    groups: ClassVar[Mapping[str, str]] = {}
    promises: ClassVar[Sequence[Promise]] = ()
    engines: ClassVar[Sequence[str]] = ("sqlite",)
    heavy_groups: ClassVar[Sequence[str]] = ()
    side_groups: ClassVar[Sequence[str]] = ()
    inexact_groups: ClassVar[Sequence[str]] = ()
    memory_groups: ClassVar[Sequence[str]] = ()
    sits_out: ClassVar[Mapping[tuple[str, str], str]] = {}
    memory_warm_up: ClassVar[Sequence[str]] = ()
    growth_scales: ClassVar[Sequence[float]] = ()
    growth_groups: ClassVar[Sequence[str]] = ()
    load_groups: ClassVar[Sequence[str] | None] = None
    busy: ClassVar[bool] = False
    tolerances: ClassVar[Mapping[str, float]] = {}
    higher_is_better: ClassVar[Sequence[str]] = ()
    switches: ClassVar[Mapping[str, str]] = {}

    def servers(self, setting: Setting) -> AbstractContextManager[Mapping[str, Server]]:
        """Start what the instances connect to, and stop it at the end. Entered once, by the coordinator, for the whole run.

        Several scenarios of a run may share what they start. A setting with a round-trip time and nothing to lengthen is not run.

        Raises, when entered:
            NotMeasurableError: it cannot run here; the reason stands in the report.
            UsageError: it should run and does not, such as an address that nobody answers; the scenario has failed.
        """
        del setting
        return nullcontext({})

    def prepare(self, setting: Setting) -> Prepared:
        """Build what all instances start from, once per setting, in a child process; never timed. Must be safe to call again."""
        del setting
        return Prepared()

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return the inputs: the same for every arm, a pure function of the setting's seed and stream."""
        del setting
        raise TypeError(f"{type(self).__name__} must define cases(setting)")

    def open(self, arm: str, setting: Setting) -> AbstractAsyncContextManager[Instance]:
        """Build one arm's instance from its own restored snapshot; never timed."""
        del arm, setting
        raise TypeError(f"{type(self).__name__} must define open(arm, setting)")

    def open_switched(self, on: frozenset[str], setting: Setting) -> AbstractAsyncContextManager[Instance]:
        """Build an instance in which the switches in `on` are turned on and all others are off; never timed.

        An ablation of n switches has 2 n + 3 of them open at once in a process, so an instance should be light.

        Raises:
            NotImplementedError: the scenario has switches and does not define this.
        """
        del on, setting
        raise NotImplementedError(f"{type(self).__name__} must define open_switched(on, setting) for its switches")

    async def run(self, instance: Instance, case: Case) -> Any:
        """Do the operation and return its answer. The only timed line."""
        del instance, case
        raise TypeError(f"{type(self).__name__} must define async run(instance, case)")

    def normalise(self, case: Case, answer: Any) -> Any:
        """Return the answer in a form that is equal between arms that agree; not timed."""
        del case
        return answer

    def self_reported_ns(self, case: Case, answer: Any) -> int | None:
        """Return the nanoseconds that count, where an operation measures itself: a wait inside it, or CPU time. None: all of it."""
        del case, answer
        return None

    def load_cases(self, setting: Setting) -> Sequence[Case]:
        """Return what one stream of operations under load asks for, in turn and over again: a pure function of seed and stream.

        By default those of the `load_groups`, groups taking turns. An operation is one request: it is what an arrival brings.
        """
        by_group: dict[str, list[Case]] = {}
        for case in self.cases(setting):
            if self.load_groups is None or case.group in self.load_groups:
                by_group.setdefault(case.group, []).append(case)
        rounds = max(map(len, by_group.values()), default=0)
        return [group[i % len(group)] for i in range(rounds) for group in by_group.values()]

    def targets(self, instance: Instance) -> Mapping[str, int]:
        """Return name → process id of what serves the instance, whose CPU and memory are watched under load; none: in-process."""
        del instance
        return {}

    async def ping(self, instance: Instance) -> object:
        """Do the least there is to do between here and what serves the instance, such as `SELECT 1`: a control of the machine's drift.

        NotImplemented, which is the default, says that there is no such thing.
        """
        del instance
        return NotImplemented

    async def counts(self, instance: Instance) -> Mapping[str, float]:
        """Return what the instance has counted so far, ever growing, such as statements and hits; watched under load. Be cheap."""
        del instance
        return {}

    async def state(self, instance: Instance, case: Case) -> Any:
        """Return what the operation left behind, which must be equal between arms as well; only in the verification pass."""
        del instance, case

    async def reset(self, instance: Instance, case: Case, answer: Any) -> None:
        """Undo what `run` wrote or made, between pairs; not timed."""

    async def settle(self, instance: Instance) -> None:
        """Undo what `reset` has put off under load: called after each block, when nothing is under way.

        What `reset` does while others are being timed takes time from them, and from the load generator.
        """
        del instance

    def probes(self, instance: Instance) -> Sequence[Probe]:
        """Return what is counted in the exact-work pass."""
        del instance
        return ()

    async def statements(self, instance: Instance, case: Case) -> Sequence[Statement]:
        """Return the statements one operation sends, each with its plan; outside timing."""
        del instance, case
        return ()

    async def facts(self, instance: Instance) -> Mapping[str, float]:
        """Return figures of the arm itself that are no operation's: bytes of index, number of connections.

        Raises:
            NotMeasurableError: this engine cannot tell.
        """
        del instance
        return {}

    def memory_limits_bytes(self, setting: Setting) -> Mapping[str, int]:
        """Return group → how much memory an operation may add before it is ended; groups without a limit are left out."""
        del setting
        return {}

    def rows(self, case: Case, answer: Any) -> int | None:
        """Return how many rows the answer stands for, where that is worth a line beside the memory curve."""
        del case, answer
        return None
