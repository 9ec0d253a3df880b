"""The contract that a scenario file fulfils.

A scenario file has one subclass of `Scenario`; the file's name is the scenario's name. It imports neither pytest nor Locust.
`harness.discovery` finds and loads such files.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from harness.results.load import CapacityKind
from harness.results.run import Statement
from harness.verdicts.promise import Promise

Instance = TypeVar("Instance")
ANY_ENGINE = "any"
"""The engines of a scenario that uses no database: it runs once, whichever engine is named, and its figures have none."""


@dataclass(frozen=True)
class Server:
    """A server that instances connect to."""

    direct_url: str
    """URL of the server itself."""
    url: str
    """URL for instances, through the network latency of the setting; equal to `direct_url` at an RTT of 0."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Version and settings, for the run record."""


@dataclass(frozen=True)
class Setting:
    """The place and the data of a scenario's instances."""

    folder: Path
    """The scenario's own working folder, kept for the whole run."""
    shared: Path
    """The working folder of all scenarios of the run, for data that several of them use."""
    engine: str = "sqlite"
    """Name of the engine; "" in a scenario that declares none."""
    size: str = "small"
    """Size of the dataset."""
    scale: float = 1.0
    """Share of the size's rows; growth passes use less than 1."""
    seed: int = 0
    """Seed of the data, the cases and the order."""
    rtt_ms: float = 0.0
    """Round-trip time to the servers, in milliseconds."""
    quick: bool = False
    """Whether a first impression is enough."""
    stream: int = 0
    """Number of an independent stream of cases: the first process has 0, each virtual user a different one."""
    servers: Mapping[str, Server] = field(default_factory=dict)
    """The servers that the scenario's `servers` started, by name."""
    resets: bool = False
    """Whether every operation will be reset, so that an instance may use data that others have used before it."""


@dataclass(frozen=True)
class Arm:
    """One side of a comparison, where there is more to declare than its description.

    Example:
        arms = {"baseline": "one query per row", "advised": Arm("the advice, literally", as_written=True)}
    """

    description: str
    """The change, in a few words."""
    as_written: bool = False
    """It tests advice literally and may fail to run: that is then a finding, not a failure of the run."""


@dataclass(frozen=True)
class Group:
    """Cases of one kind, which are timed and judged together.

    Example:
        Group("page", "a user's 50 newest posts", skip={"cached": "it answers from memory"})
    """

    name: str
    """The name by which cases and measures refer to it."""
    description: str
    """The operation, in a few words."""
    slow: bool = False
    """One operation takes seconds: timed twice in each of a few processes, without warm-up or A/A control."""
    secondary: bool = False
    """No promise rests on it: always verified and counted, timed only where there is time for it."""
    uncounted: bool = False
    """Too large to count its work, statement by statement and step by step."""
    growth: Sequence[float] = ()
    """Shares of the data, such as 1/4, on which its work counts are counted again, for growth exponents; and its memory is measured
    again, where a promise rests on the growth of that."""
    load: bool = True
    """Concurrent users run it under load."""
    memory: bool = True
    """Its memory is measured."""
    skip: Mapping[str, str] = field(default_factory=dict)
    """Arm → the reason why it is not tried here."""


@dataclass(frozen=True)
class LoadTest:
    """A load that a run puts on all arms besides timing them in pairs, for promises about response times and capacity under load.

    Operations are those of `Scenario.load_cases`. Arms alternate in blocks with the same arrivals (open model). With an SLO, the
    highest load at which each arm meets it is searched next. `harness load` and `harness capacity` do both at length.

    Example:
        load_test = LoadTest(30, slo="p95 < 150ms, errors < 0.1%")
    """

    rate_per_s: float
    """Operations per second, due at random times (Poisson): the same for every arm, and one that the baseline sustains."""
    seconds: float = 10.0
    """Measured time of each arm; a percentile needs ten operations beyond it."""
    slo: str = ""
    """The objective of the capacity searches, as that of `harness capacity`; without one nothing is searched."""
    kinds: Sequence[CapacityKind] = tuple(CapacityKind)
    """The kinds of capacity that are searched."""


@dataclass(frozen=True)
class Case:
    """One input."""

    group: str
    """Name of its group."""
    name: str
    """A unique name, shown when arms disagree."""
    args: Any
    """The arguments of `run`, in any form; pickled once per run for all processes."""


@dataclass(frozen=True)
class Prepared:
    """The result of `prepare`, for the run record."""

    dataset: Mapping[str, str | int] = field(default_factory=dict)
    """The data's digest and counts."""
    engine_settings: Mapping[str, str] = field(default_factory=dict)
    """The engine's settings and version."""
    warnings: Sequence[str] = ()
    """Problems, one line each with the next step, that cost time and nothing else."""
    changes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Arm → the DDL statements that changed its database, such as those that create an index."""


class Probe(Protocol):
    """Counts something while an operation runs, in a pass of its own, never while it is timed. An async context manager."""

    async def __aenter__(self) -> Self:
        """Start counting from zero."""

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop counting."""

    def counts(self) -> Mapping[str, float]:
        """Return the counts by metric name."""


Demonstration = Callable[[Any, Any, Sequence[Case]], Awaitable[str] | str]


@dataclass(frozen=True)
class DeclaredFinding:
    """A finding about an arm as written, made by `demonstrates`."""

    arm: str
    """Name of the arm; "" for the one as written."""
    message: str
    """The fault, in a sentence."""
    demonstrate: Demonstration
    """The method that shows it."""


def demonstrates(message: str, *, arm: str = "") -> Callable[[Demonstration], Demonstration]:
    """Mark a scenario's method `(instance, cases) -> evidence` as a finding on `arm`: by default the arm that is `as_written`.

    It runs once, on an instance of its own, and returns the evidence as a sentence. It raises AssertionError, with what happened
    instead, if the fault does not show, or NotMeasurableError where this engine cannot have it; the finding is then reported as not
    observed.

    Example:
        @demonstrates("the loader answers None until a hundred keys are waiting")
        async def answers_none(self, instance, cases):
            answer = await instance.loader.load(cases[0].args)
            assert answer is None, f"it answered {answer!r}"
            return "one key was answered with None"
    """

    def mark(method: Demonstration) -> Demonstration:
        method.finding = DeclaredFinding(arm, message, method)  # type: ignore[attr-defined]
        return method

    return mark


class Scenario(Generic[Instance]):
    """One optimisation on trial. The class docstring is the card in the report: its first line is the title.

    `open`, `run`, `prepare` and every other method of an instance may be asynchronous or synchronous. Synchronous code runs in the
    worker's own thread while it is timed, and in a bounded pool of threads under load.

    Example:
        class Membership(Scenario):
            '''Look a number up in a set instead of a list.'''

            arms = {"baseline": "a list", "optimised": "a set"}
            groups = [Group("lookup", "is this number in the collection?")]
            promises = [Promise("M1", "lookups are ten times faster", times(10), speedup("lookup"))]

            def cases(self, setting):
                return [Case("lookup", f"number {n}", n) for n in range(900, 1000)]

            def open(self, arm, setting):
                return list(range(1000)) if arm == "baseline" else set(range(1000))

            def run(self, instance, case):
                return case.args in instance
    """

    arms: ClassVar[Mapping[str, str | Arm]] = {}
    """Name → description, in the order they are shown; `baseline` first. `Arm` where there is more to declare of one."""
    groups: ClassVar[Sequence[Group]] = ()
    """The groups of cases, in the order they are shown."""
    promises: ClassVar[Sequence[Promise]] = ()
    """The promises, each with its measure."""
    engines: ClassVar[Sequence[str]] = (ANY_ENGINE,)
    """The engines that the scenario supports, by default the first one; without a database, `ANY_ENGINE` alone."""
    busy: ClassVar[bool] = False
    """Whether its instances keep a core busy though their servers are remote: timed alone at any RTT."""
    waits_to_open: ClassVar[bool] = False
    """Whether `open` mostly waits, such as for a process to start: the arms' instances are then opened side by side. It has to be
    asynchronous, each runs in a task of its own, and `run` does not see the context variables that it sets."""
    adds_latency: ClassVar[bool] = False
    """Whether `open` starts or reaches servers that `servers` does not name, and puts the setting's round-trip time before them."""
    tolerances: ClassVar[Mapping[str, float]] = {}
    """Metric → the share by which it may change before `harness gate` reports a change. For figures that do not repeat exactly,
    and for an arm's own `facts`, which are gated only where they stand here."""
    higher_is_better: ClassVar[Sequence[str]] = ()
    """Metrics of which more is better; cache hits are known, of everything else more is worse."""
    load_test: ClassVar[LoadTest | None] = None
    """The load of a run; without one, arms are under load only in `harness load` and `harness capacity`."""
    switches: ClassVar[Mapping[str, str]] = {}
    """Name → description. A scenario with at least two can be ablated by `harness ablate`; every set of switches has to give the
    same answers."""

    def servers(self, setting: Setting) -> AbstractContextManager[Mapping[str, Server]]:
        """Start the servers of the instances, and stop them at the end. Entered once, by the coordinator, for the whole run.

        Several scenarios of a run may share them. A setting with a round-trip time and no server is not run. Entering it raises
        NotMeasurableError if it cannot run here, with the reason for the report, or UsageError if it should run and does not.
        """
        return nullcontext({})

    def prepare(self, setting: Setting) -> Awaitable[Prepared | None] | Prepared | None:
        """Build the data that all instances start from, once per setting, in a child process; never timed. It may be repeated."""
        return Prepared()

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return the inputs: the same for every arm, a pure function of the setting's seed and stream."""
        raise TypeError(f"{type(self).__name__} must define cases(setting)")

    def open(self, arm: str, setting: Setting) -> Any:
        """Build one arm's instance from its own restored snapshot; never timed.

        Return the instance, or a context manager that enters as the instance and is left at the end; or be a generator that yields
        it once. All of these may be asynchronous.
        """
        raise TypeError(f"{type(self).__name__} must define open(arm, setting)")

    def open_switched(self, on: frozenset[str], setting: Setting) -> Any:
        """Build an instance in which the switches in `on` are turned on and all others are off; never timed.

        An ablation of n switches has 2 n + 3 of them open at once in a process, so an instance should be light.
        """
        raise TypeError(f"{type(self).__name__} must define open_switched(on, setting) for its switches")

    def run(self, instance: Instance, case: Case) -> Any:
        """Do the operation and return its answer. The only timed line."""
        raise TypeError(f"{type(self).__name__} must define run(instance, case)")

    def normalise(self, case: Case, answer: Any) -> Any:
        """Return the answer in a form that is equal between arms that agree; not timed."""
        return answer

    def self_reported_ns(self, case: Case, answer: Any) -> int | None:
        """Return the nanoseconds that count, where an operation measures itself: a wait inside it, or CPU time. None: all of it."""
        return None

    def load_cases(self, setting: Setting) -> Sequence[Case]:
        """Return the cases of one stream of operations under load, repeated in a loop: a pure function of seed and stream.

        By default those of the groups with `load`, interleaved. An operation is one request: an arrival brings one. Cases that are
        written for load may be of groups that are not declared.
        """
        by_group: dict[str, list[Case]] = {}
        left_out = {group.name for group in self.groups if not group.load}
        for case in self.cases(setting):
            if case.group not in left_out:
                by_group.setdefault(case.group, []).append(case)
        rounds = max(map(len, by_group.values()), default=0)
        return [group[i % len(group)] for i in range(rounds) for group in by_group.values()]

    def targets(self, instance: Instance) -> Mapping[str, int]:
        """Return name → process id of the instance's servers, whose CPU and memory are watched under load; none: in-process.

        An id of 0 stands for a server whose process is not known, as on another machine, and is not watched.
        """
        return {}

    def ping(self, instance: Instance) -> object:
        """Make the cheapest round trip to the server, such as `SELECT 1`, to control drift; NotImplemented if there is none."""
        return NotImplemented

    def counts(self, instance: Instance) -> Awaitable[Mapping[str, float]] | Mapping[str, float]:
        """Return the instance's counts so far, ever growing, such as statements and hits; watched under load. Be cheap."""
        return {}

    def state(self, instance: Instance, case: Case) -> Any:
        """Return the state that the operation left behind, also to be equal between arms; only in the verification pass."""

    def reset(self, instance: Instance, case: Case, answer: Any) -> Awaitable[None] | None:
        """Undo the writes of `run`, between pairs; not timed."""

    def settle(self, instance: Instance) -> Awaitable[None] | None:
        """Undo everything that `reset`, which takes time from other operations, has put off under load: called after each block."""

    def probes(self, instance: Instance) -> Sequence[Probe]:
        """Return the probes of the pass that counts work."""
        return ()

    def statements(self, instance: Instance, case: Case) -> Awaitable[Sequence[Statement]] | Sequence[Statement]:
        """Return the statements one operation sends, each with its plan; outside timing."""
        return ()

    def facts(self, instance: Instance) -> Awaitable[Mapping[str, float]] | Mapping[str, float]:
        """Return figures of the arm itself, such as bytes of index; raise NotMeasurableError if the engine reports none."""
        return {}

    def memory_limits_bytes(self, setting: Setting) -> Mapping[str, int]:
        """Return group → the memory that an operation may add before it is ended; groups without a limit are left out."""
        return {}

    def rows(self, case: Case, answer: Any) -> int | None:
        """Return the number of rows in the answer, where that is worth a line beside the memory curve."""
        return None
