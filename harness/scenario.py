"""The contract that a scenario file fulfils.

A scenario file holds one subclass of `Scenario`; the file's name is the scenario's name. It imports neither pytest nor Locust.
How such files are found and loaded is in `harness.discovery`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from harness.results.run import Statement
from harness.verdicts.promise import Promise

Instance = TypeVar("Instance")


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
class Arm:
    """One side of a comparison, where its description is not all there is to say.

    Example:
        arms = {"baseline": "one query per row", "advised": Arm("the advice, literally", as_written=True)}
    """

    description: str
    as_written: bool = False
    """It tests advice literally and may fail to run: that is then a finding, not a failure of the run."""


@dataclass(frozen=True)
class Group:
    """Cases of one kind, which are timed and judged together.

    Example:
        Group("page", "a user's 50 newest posts", memory=True, skip={"cached": "it answers from memory"})
    """

    name: str
    description: str
    slow: bool = False
    """One operation takes seconds: timed once in a few processes, without warm-up or A/A control."""
    secondary: bool = False
    """No promise rests on it: always verified and counted, timed only where there is time for it."""
    uncounted: bool = False
    """Too large to count its work, statement by statement and step by step."""
    memory: bool = False
    """Its memory is measured, each arm in a child process of its own."""
    memory_warm_up: bool = False
    """Run before memory is measured, so that what is loaded on first use is not counted."""
    growth: Sequence[float] = ()
    """Shares of the data, such as 1/4, on which its work counts and memory are measured again, for growth exponents."""
    load: bool = True
    """Concurrent users run it under load."""
    skip: Mapping[str, str] = field(default_factory=dict)
    """Arm → the reason why it is not tried here."""


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
    """The result of `prepare`: the data's digest and counts, and the engine's settings and version, for the record."""

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


Demonstration = Callable[[Any, Any, Sequence[Case]], Awaitable[str] | str]


@dataclass(frozen=True)
class DeclaredFinding:
    """A finding about an arm as written, with the code that shows it.

    Made by `demonstrates`; `arm` is "" for the one as written.
    """

    arm: str
    message: str
    demonstrate: Demonstration


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
    """Name → what the arm does, in the order they are shown; `baseline` first. `Arm` where there is more to say of one."""
    groups: ClassVar[Sequence[Group]] = ()
    """The groups of cases, in the order they are shown."""
    promises: ClassVar[Sequence[Promise]] = ()
    """What is promised, each with how it is measured."""
    engines: ClassVar[Sequence[str]] = ("sqlite",)
    """The engines that the scenario supports."""
    busy: ClassVar[bool] = False
    """Whether its instances keep a core busy though their servers are remote: timed alone at any RTT."""
    tolerances: ClassVar[Mapping[str, float]] = {}
    """Metric → the share by which it may change before `harness gate` reports a change. For figures that do not repeat exactly,
    and for an arm's own `facts`, which are gated only where they stand here."""
    higher_is_better: ClassVar[Sequence[str]] = ()
    """Metrics of which more is better; cache hits are known, of everything else more is worse."""
    switches: ClassVar[Mapping[str, str]] = {}
    """Name → what it turns on. A scenario with at least two can be ablated by `harness ablate`; every set of switches has to give
    the same answers."""

    def servers(self, setting: Setting) -> AbstractContextManager[Mapping[str, Server]]:
        """Start what the instances connect to, and stop it at the end. Entered once, by the coordinator, for the whole run.

        Several scenarios of a run may share what they start. A setting with a round-trip time and nothing to lengthen is not run.

        Raises, when entered:
            NotMeasurableError: it cannot run here; the reason stands in the report.
            UsageError: it should run and does not, such as an address without a server; the scenario has failed.
        """
        del setting
        return nullcontext({})

    def prepare(self, setting: Setting) -> Awaitable[Prepared | None] | Prepared | None:
        """Build what all instances start from, once per setting, in a child process; never timed. Must be safe to call again."""
        del setting
        return Prepared()

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return the inputs: the same for every arm, a pure function of the setting's seed and stream."""
        del setting
        raise TypeError(f"{type(self).__name__} must define cases(setting)")

    def open(self, arm: str, setting: Setting) -> Any:
        """Build one arm's instance from its own restored snapshot; never timed.

        Return the instance, or a context manager that enters as the instance and is left at the end; or be a generator that yields
        it once. All of these may be asynchronous.
        """
        del arm, setting
        raise TypeError(f"{type(self).__name__} must define open(arm, setting)")

    def open_switched(self, on: frozenset[str], setting: Setting) -> Any:
        """Build an instance in which the switches in `on` are turned on and all others are off; never timed.

        An ablation of n switches has 2 n + 3 of them open at once in a process, so an instance should be light.

        Raises:
            TypeError: the scenario has switches and does not define this.
        """
        del on, setting
        raise TypeError(f"{type(self).__name__} must define open_switched(on, setting) for its switches")

    def run(self, instance: Instance, case: Case) -> Any:
        """Do the operation and return its answer. The only timed line."""
        del instance, case
        raise TypeError(f"{type(self).__name__} must define run(instance, case)")

    def normalise(self, case: Case, answer: Any) -> Any:
        """Return the answer in a form that is equal between arms that agree; not timed."""
        del case
        return answer

    def self_reported_ns(self, case: Case, answer: Any) -> int | None:
        """Return the nanoseconds that count, where an operation measures itself: a wait inside it, or CPU time. None: all of it."""
        del case, answer
        return None

    def load_cases(self, setting: Setting) -> Sequence[Case]:
        """Return the cases of one stream of operations under load, repeated in a loop: a pure function of seed and stream.

        By default those of the groups with `load`, interleaved. An operation is one request: it is what an arrival brings.
        """
        by_group: dict[str, list[Case]] = {}
        loaded = {group.name for group in self.groups if group.load}
        for case in self.cases(setting):
            if case.group in loaded:
                by_group.setdefault(case.group, []).append(case)
        rounds = max(map(len, by_group.values()), default=0)
        return [group[i % len(group)] for i in range(rounds) for group in by_group.values()]

    def targets(self, instance: Instance) -> Mapping[str, int]:
        """Return name → process id of what serves the instance, whose CPU and memory are watched under load; none: in-process."""
        del instance
        return {}

    def ping(self, instance: Instance) -> object:
        """Make the cheapest round trip to what serves the instance, such as `SELECT 1`: a control of the machine's drift.

        NotImplemented, which is the default, says that there is no such thing.
        """
        del instance
        return NotImplemented

    def counts(self, instance: Instance) -> Awaitable[Mapping[str, float]] | Mapping[str, float]:
        """Return what the instance has counted so far, ever growing, such as statements and hits; watched under load. Be cheap."""
        del instance
        return {}

    def state(self, instance: Instance, case: Case) -> Any:
        """Return what the operation left behind, which must be equal between arms as well; only in the verification pass."""
        del instance, case

    def reset(self, instance: Instance, case: Case, answer: Any) -> Awaitable[None] | None:
        """Undo what `run` wrote or made, between pairs; not timed."""
        del instance, case, answer
        return None

    def settle(self, instance: Instance) -> Awaitable[None] | None:
        """Undo what `reset` has put off under load: called after each block, when nothing is in flight.

        What `reset` does while others are being timed takes time from them, and from the load generator.
        """
        del instance
        return None

    def probes(self, instance: Instance) -> Sequence[Probe]:
        """Return what is counted in the exact-work pass."""
        del instance
        return ()

    def statements(self, instance: Instance, case: Case) -> Awaitable[Sequence[Statement]] | Sequence[Statement]:
        """Return the statements one operation sends, each with its plan; outside timing."""
        del instance, case
        return ()

    def facts(self, instance: Instance) -> Awaitable[Mapping[str, float]] | Mapping[str, float]:
        """Return figures of the arm itself, not of an operation: bytes of index, number of connections.

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
