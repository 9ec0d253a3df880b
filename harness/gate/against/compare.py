"""Two versions that speak `protocol`: their processes, run to the end, or timed in a process pair.

A process pair runs both versions in two fresh processes, alternating slices of each benchmark in random order.
"""

import json
import math
import random
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import msgspec

from harness.errors import HarnessError, NotComparableError, NotMeasurableError, ScenarioFailedError
from harness.gate.against import protocol
from harness.gate.against.protocol import Timed
from harness.runtime import channel
from harness.runtime.channel import LONG
from harness.runtime.child import Child, last_error_line
from harness.runtime.clock import WRONG_CLOCK, Clock, MonotonicClock
from harness.runtime.cores import Cores
from harness.runtime.machine import worker_environment
from harness.runtime.watch import OPERATION_TIMEOUT_S, ActivityWatch, place_of
from harness.stats.slice_pairs import ProcessPairLogs, SlicePair, process_pair_logs

SLICE_NS, MIN_PAIRS = 3_000_000, 3
"""The target duration of a slice, and the fewest pairs of slices in a process pair. Shorter slices measure the switch between
processes, longer ones more of the machine's noise."""

MAX_PADDING = 4096
"""Bytes: a page. Stacks that begin anywhere in it cover every alignment."""

END_S = 5.0
"""Seconds that a version may take to exit after its last message, in which it prints the end of its output."""

NEXT, FOREIGN_IMPORT, HANGS = {"type": "next"}, "foreign import", "hangs"
"""The message to go on, the kind of a failure of neither version: both versions' code ran in one process, and that of a timeout."""

ProgressLine = Callable[[str], None]
"""Receives a line per step, and while a version does not answer."""


@dataclass(frozen=True)
class VersionCommand:
    """A command that implements `harness.gate.against.protocol`, such as a script that calls its `serve`."""

    command: Sequence[str]
    name: str
    """Name of the version in messages, "old" or "new"."""
    folder: Path = field(default_factory=Path.cwd)
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables in addition to this process's environment."""
    timeout_s: float = OPERATION_TIMEOUT_S
    """Timeout of one operation, in seconds."""


class VersionError(HarnessError):
    """A version has failed; `version` is its name, `kind` the type of its exception, `benchmark` the one that hangs."""

    def __init__(self, version: str, message: str, kind: str = "", benchmark: str = "") -> None:
        super().__init__(f"{version}: {message}")
        self.version, self.kind, self.message, self.benchmark = version, kind, message, benchmark

    def as_refusal(self) -> HarnessError:
        """Return the error for the command: not comparable if the old version failed, a failure if the new one did."""
        if self.kind == "NotMeasurableError":
            return NotMeasurableError(self.message)
        is_invalid = self.version == "old" or self.kind == FOREIGN_IMPORT
        return (NotComparableError if is_invalid else ScenarioFailedError)(str(self))


class BudgetSpentError(HarnessError):
    """The time budget has ended while a version was at work."""


def never() -> bool:
    """Return that there is no end of the time."""
    return False


class VersionProcess(Child[dict[str, Any]]):
    """A running version. It is ended at the end of its context, with all that it started."""

    def __init__(
        self,
        version: VersionCommand,
        *,
        core: int | None = None,
        seed: int = 0,
        padding: int = 0,
        only: Path | None = None,
        exit_timeout_s: float = 0.0,
        progress: ProgressLine = lambda _: None,
        is_over: Callable[[], bool] = never,
    ) -> None:
        """Start a version on a core.

        `seed` is its hash seed, `padding` the number of bytes added to its environment, `only` a file with the benchmarks to
        announce. The start of a stack depends on the size of the environment, and the speed of code depends on that (Mytkowicz et
        al. 2009): another padding for every process turns a constant bias into noise that the interval includes. `exit_timeout_s`
        are the seconds that the version gets at the end to stop what it started. `progress` receives a line while it does not
        answer; once `is_over` is true, waiting for its answer raises BudgetSpentError.
        """
        # A version's test session must not become a part of the one around this process.
        inherited = {name: value for name, value in worker_environment().items() if not name.startswith("PYTEST_XDIST")}
        selected = {protocol.ONLY: str(only)} if only else {}
        super().__init__(
            version.command,
            msgspec.json.Decoder(dict[str, Any]),
            environment={**inherited, "PYTHONUNBUFFERED": "1", **version.environment, **selected},
            folder=version.folder,
            cores=() if core is None else (core,),
            hash_seed=seed,
            padding=padding,
            exit_timeout_s=exit_timeout_s,
        )
        self._name, self._progress, self._is_over = version.name, progress, is_over
        self._watch = ActivityWatch(self.activity, version.timeout_s, LONG * version.timeout_s)

    def receive(self, timeout_s: float | None = None) -> dict[str, Any]:
        """Return the version's next message; raise VersionError if it failed, crashed, or is at one activity for too long."""
        self._watch.moved()
        while True:
            try:
                message = super().receive(timeout_s or self._watch.poll_s)
                break
            except TimeoutError:
                if self._is_over():
                    raise BudgetSpentError from None
                self._look()
        if message is None:
            ended = self.exit_description()
            error = last_error_line(self.output())[:300] or "exited unexpectedly"
            activity = self.activity()
            during = f" while {activity}" if activity.number else ""
            raise VersionError(self._name, f"{error} ({ended}){during}")
        if message["type"] == channel.FAILED:
            raise VersionError(self._name, message["message"], message.get("kind", ""))
        for module in message.get("foreign_imports", ()):
            text = f"module {module!r} was imported from the other version's tree, so its times are not valid"
            raise VersionError(self._name, text, FOREIGN_IMPORT)
        return message

    def _look(self) -> None:
        """Report what the version is doing if that lasts; raise VersionError if it lasts too long."""
        lasting = self._watch.look()
        if lasting.is_over:
            is_stopped = self.is_stopped()
            place = "" if is_stopped else place_of(self.stacks())
            raise VersionError(self._name, lasting.failure(place, is_stopped=is_stopped), HANGS, lasting.activity.arm)
        if lasting.is_news:
            self._progress(f"the {self._name} version · {lasting.progress()}")

    def slice(self, case: int, repeats: int) -> list[int]:
        """Run a number of repetitions of a case; return the nanoseconds of each, or of all together if there are many."""
        self.send({"type": "slice", "case": case, "repeats": repeats})
        spent_ns = [int(ns) for ns in self.receive()["ns"]]
        if min(spent_ns) <= 0:
            raise VersionError(self._name, f"{self.activity().arm or 'a benchmark'} took {min(spent_ns)} ns; {WRONG_CLOCK}")
        return spent_ns


def run_to_end(
    version: VersionCommand, progress: ProgressLine = lambda _: None, is_over: Callable[[], bool] = never
) -> dict[str, Any]:
    """Run a version to its end without timing its benchmarks; return what it found, with its output under `output`."""
    (found,) = run_all_to_end([version], progress, is_over=is_over)
    return found


def run_all_to_end(
    versions: Sequence[VersionCommand],
    progress: ProgressLine = lambda _: None,
    only: Path | None = None,
    is_over: Callable[[], bool] = never,
) -> list[dict[str, Any]]:
    """Run versions side by side to their ends, as `run_to_end` does; `only` is a file with the benchmarks to run.

    BudgetSpentError: `is_over` became true meanwhile.
    """
    with ExitStack() as stack:
        running = [
            stack.enter_context(VersionProcess(version, only=only, progress=progress, is_over=is_over)) for version in versions
        ]
        return [_found_at_end(process) for process in running]


def _found_at_end(process: VersionProcess) -> dict[str, Any]:
    while (message := process.receive())["type"] != "end":
        process.send(NEXT)
    found: dict[str, Any] = message["found"]
    with suppress(subprocess.TimeoutExpired):  # something that it has left running keeps it, and its output is complete
        process.process.wait(END_S)
    return {**found, "output": process.output()}


@dataclass
class MeasuredPair:
    """The measurements of one process pair, as far as it has come."""

    logs: dict[str, ProcessPairLogs] = field(default_factory=dict)
    """Benchmark → the logs of new ÷ old."""
    other_s: dict[str, float] = field(default_factory=dict)
    """Benchmark → the seconds that it took apart from its slices."""
    start_up_s: float = 0.0
    """The seconds until both versions were ready, as far as they were waited for."""
    timed_s: float = 0.0
    """The seconds of its slices."""


class ProcessPair:
    """Both versions in two fresh processes, from their start to the end of its context."""

    def __init__(
        self,
        old: VersionCommand,
        new: VersionCommand,
        folder: Path,
        cores: Cores,
        coin: random.Random,
        number: int,
        wanted: Collection[str] | None,
        progress: ProgressLine = lambda _: None,
        *,
        is_over: Callable[[], bool] = never,
        beside: bool = False,
    ) -> None:
        """Start both versions, without waiting for them.

        Both will be timed on one core; they start on one each, drawn at random, since starting takes longest; those that start
        `beside` a pair that is timed share the other core. `number` is their hash seed, `folder` is for the list of `wanted`
        benchmarks; `is_over` ends the waiting for a message by BudgetSpentError.
        """
        self._cores, self._coin, self._is_over, self._clock = cores, coin, is_over, MonotonicClock()
        starts = [cores.worker, cores.coordinator]
        coin.shuffle(starts)
        if beside:
            starts = [cores.coordinator] * 2
        only = None if wanted is None else folder / f"only-{number}.json"
        if only:
            only.write_text(json.dumps(sorted(wanted or ())), encoding="utf-8")
        self._stack = ExitStack()
        with self._stack:  # ends the first one if the other cannot be started
            self._sides = [
                self._stack.enter_context(
                    VersionProcess(
                        version,
                        core=core,
                        seed=number,
                        padding=coin.randrange(MAX_PADDING),
                        only=only,
                        progress=progress,
                        is_over=is_over,
                    )
                )
                for version, core in zip((old, new), starts, strict=True)
            ]
            self._stack = self._stack.pop_all()

    def __enter__(self) -> Self:
        """End both versions at the end of the context."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End both versions."""
        self._stack.close()

    def receive(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the next message of both."""
        one, other = self._sides
        return one.receive(), other.receive()

    def time(
        self,
        slices_s: float,
        is_wanted: Callable[[str], bool],
        found: MeasuredPair,
        is_ready: Callable[[], None] = lambda: None,
    ) -> None:
        """Give each wanted benchmark `slices_s` seconds of slices, filling in `found`; call `is_ready` before the first one."""
        one, other = self._sides
        start_ns = self._clock.now_ns()
        received = self.receive()
        found.start_up_s = (self._clock.now_ns() - start_ns) / 1e9
        is_ready()
        if self._cores.worker is not None:
            one.move(self._cores.worker)
            other.move(self._cores.worker)
        before_ns = self._clock.now_ns()
        while (name := _agreed(*received)) is not None:
            if is_wanted(name):
                slices = interleave(one.slice, other.slice, int(slices_s * 1e9), received[0]["cases"], self._coin, self._clock)
                found.logs[name] = process_pair_logs(slices)
                found.timed_s += sum(sum(pair.old_ns) + sum(pair.new_ns) for pair in slices) / 1e9
            if self._is_over():
                raise BudgetSpentError
            for side in self._sides:
                side.send(NEXT)
            received = self.receive()
            now_ns = self._clock.now_ns()
            if name in found.logs:
                found.other_s[name] = max(0.0, (now_ns - before_ns) / 1e9 - slices_s)
            before_ns = now_ns


def _agreed(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """Return the benchmark that both versions announce, None at the end of both."""
    names = [message.get("name") for message in (old, new)]
    if names[0] != names[1] or old.get("cases") != new.get("cases"):
        both = " and ".join("no more" if name is None else repr(name) for name in names)
        raise NotComparableError(f"old and new version announce different benchmarks: {both}")
    return names[0]


def interleave(old: Timed, new: Timed, budget_ns: int, cases: int, coin: random.Random, clock: Clock) -> list[SlicePair]:
    """Return pairs of slices: the same case and number of repetitions in both versions, in random order.

    Cases alternate as long as there is time; the pairs that must follow are of cases that have run. Repetitions are sized once per
    case, by the quicker of first runs of both versions, which are not counted. Those alternate in the order of the pair that
    follows: a version that has just run finds the core's caches as it left them, and one that always ran last would look faster.
    """
    repeats: dict[int, int] = {}
    pairs: list[SlicePair] = []
    start_ns = clock.now_ns()
    while (in_time := clock.now_ns() - start_ns < budget_ns) or len(pairs) < MIN_PAIRS:
        case = len(pairs) % (cases if in_time else len(repeats) or 1)
        order = [(0, old), (1, new)]
        coin.shuffle(order)
        if case not in repeats:
            once_ns = min(sum(timed(case, 1)) for _ in range(1 if len(pairs) >= MIN_PAIRS else 2) for _, timed in order)
            repeats[case] = max(1, math.ceil(SLICE_NS / max(1, once_ns)))
            for _, timed in order if repeats[case] > 1 else ():
                timed(case, repeats[case])
        times_ns: dict[int, list[int]] = {}
        for place, timed in order:
            times_ns[place] = timed(case, repeats[case])
        pairs.append(SlicePair(repeats[case], times_ns[0], times_ns[1]))
    return pairs
