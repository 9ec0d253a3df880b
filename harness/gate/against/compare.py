"""Time two versions interleaved, for any two commands that speak `protocol`: their processes, and the verdict on their times.

A process pair runs both versions in two fresh processes, alternating slices of each benchmark in random order. A first set of
process pairs screens all benchmarks; what looks slower there is timed again in a second set, which alone can make it a regression.
"""

import json
import math
import random
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import HarnessError, NotComparableError, NotMeasurableError, ScenarioFailedError
from harness.gate.against import protocol
from harness.gate.against.protocol import Timed
from harness.gate.verdict import in_words
from harness.results.gate import GateRow, GateVerdict, RowKind
from harness.runtime import channel
from harness.runtime.channel import LONG
from harness.runtime.child import Child, last_error_line
from harness.runtime.clock import WRONG_CLOCK, Clock, MonotonicClock
from harness.runtime.cores import CoreAllocator, Cores, Isolation, choose_cores
from harness.runtime.machine import worker_environment
from harness.runtime.watch import OPERATION_TIMEOUT_S, ActivityWatch, place_of
from harness.stats import process_pairs
from harness.stats.intervals import holm
from harness.stats.slice_pairs import MEDIAN, ProcessPairLogs, SlicePair, process_pair_logs, supported

MARGIN = 0.03
"""The smallest slowdown, as a share, that must be found. A slowdown of less than half of it never fails a build."""

PROCESS_PAIRS, SECOND_SET_LIMIT = 10, 20
"""The numbers of process pairs: of the first set, and at most of the second, which the sequential test usually ends before."""

MIN_SLICES_S, START_UP_S = 0.15, 1.0
"""The seconds of a process pair: for every benchmark, whatever the budget, and for its start, until one has been started."""

TAIL_MARGINS = 3.0
"""The margin of the mean and of the tails, in margins of the median: they scatter more between two processes of the same code."""

SLICE_NS, MIN_PAIRS = 3_000_000, 3
"""The target duration of a slice, and the fewest pairs of slices in a process pair. Shorter slices measure the switch between
processes, longer ones more of the machine's noise."""

MAX_PADDING = 4096
"""Bytes: a page. Stacks that begin anywhere in it cover every alignment."""

END_S = 5.0
"""Seconds that a version may take to exit after its last message, in which it prints the end of its output."""

NEXT, FOREIGN_IMPORT, HANGS = {"type": "next"}, "foreign import", "hangs"
"""The message to go on, the kind of a failure of neither version: both versions' code ran in one process, and that of a timeout."""

ProcessPairs = Mapping[str, Sequence[ProcessPairLogs]]
"""Benchmark → its process pairs of one set."""
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
    ) -> None:
        """Start a version on a core.

        `seed` is its hash seed, `padding` the number of bytes added to its environment, `only` a file with the benchmarks to
        announce. The start of a stack depends on the size of the environment, and the speed of code depends on that (Mytkowicz et
        al. 2009): another padding for every process turns a constant bias into noise that the interval includes. `exit_timeout_s`
        are the seconds that the version gets at the end to stop what it started. `progress` receives a line while it does not
        answer.
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
        self._name, self._progress = version.name, progress
        self._watch = ActivityWatch(self.activity, version.timeout_s, LONG * version.timeout_s)

    def receive(self, timeout_s: float | None = None) -> dict[str, Any]:
        """Return the version's next message; raise VersionError if it failed, crashed, or is at one activity for too long."""
        self._watch.moved()
        while True:
            try:
                message = super().receive(timeout_s or self._watch.poll_s)
                break
            except TimeoutError:
                self._look()
        if message is None:
            ended = self.exit_description()
            error = last_error_line(self.output())[:300] or "exited unexpectedly"
            raise VersionError(self._name, f"{error} ({ended})")
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


def run_to_end(version: VersionCommand, progress: ProgressLine = lambda _: None) -> dict[str, Any]:
    """Run a version to its end without timing its benchmarks; return what it found, with its output under `output`."""
    (found,) = run_all_to_end([version], progress)
    return found


def run_all_to_end(
    versions: Sequence[VersionCommand], progress: ProgressLine = lambda _: None, only: Path | None = None
) -> list[dict[str, Any]]:
    """Run versions side by side to their ends, as `run_to_end` does; `only` is a file with the benchmarks to run."""
    with ExitStack() as stack:
        running = [stack.enter_context(VersionProcess(version, only=only, progress=progress)) for version in versions]
        return [_found_at_end(process) for process in running]


def _found_at_end(process: VersionProcess) -> dict[str, Any]:
    while (message := process.receive())["type"] != "end":
        process.send(NEXT)
    found: dict[str, Any] = message["found"]
    with suppress(subprocess.TimeoutExpired):  # something that it has left running keeps it, and its output is complete
        process.process.wait(END_S)
    return {**found, "output": process.output()}


def _process_pair(
    old: VersionCommand,
    new: VersionCommand,
    folder: Path,
    cores: Cores,
    coin: random.Random,
    number: int,
    slices_s: float,
    wanted: frozenset[str] | None,
    progress: ProgressLine,
) -> tuple[dict[str, ProcessPairLogs], float]:
    """Start both versions, give each wanted benchmark `slices_s` seconds of slices, and end both.

    Both are timed on one core; they start on one each, drawn at random, since starting takes longest. `number` is their hash seed,
    `folder` is for the list of wanted benchmarks. Returns the logs of new ÷ old by benchmark, and the seconds that it took to start
    both.
    """
    clock = MonotonicClock()
    start_ns = clock.now_ns()
    starts = [cores.worker, cores.coordinator]
    coin.shuffle(starts)
    only = None if wanted is None else folder / "only.json"
    if only:
        only.write_text(json.dumps(sorted(wanted or ())), encoding="utf-8")
    with ExitStack() as stack:
        one, other = (
            stack.enter_context(
                VersionProcess(version, core=core, seed=number, padding=coin.randrange(MAX_PADDING), only=only, progress=progress)
            )
            for version, core in zip((old, new), starts, strict=True)
        )
        received = one.receive(), other.receive()
        start_up_s = (clock.now_ns() - start_ns) / 1e9
        if cores.worker is not None:
            one.move(cores.worker)
            other.move(cores.worker)
        logs: dict[str, ProcessPairLogs] = {}
        while (name := _agreed(*received)) is not None:
            if wanted is None or name in wanted:
                budget_ns, cases = int(slices_s * 1e9), received[0]["cases"]
                logs[name] = process_pair_logs(interleave(one.slice, other.slice, budget_ns, cases, coin, clock))
            one.send(NEXT)
            other.send(NEXT)
            received = one.receive(), other.receive()
    return logs, start_up_s


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


@dataclass(frozen=True)
class PairedTime:
    """One benchmark, old against new version."""

    name: str
    verdict: GateVerdict
    reason: str
    ratio: float
    """The ratio new ÷ old: 1.03 is 3 % slower."""
    low: float | None
    """The lower bound of the ratio's 99 % interval."""
    high: float | None
    detectable: float | None
    """The smallest slowdown, as a share, that the first set would detect in 95 of 100 cases."""
    needed_s: float | None
    """The seconds for a first set that would detect the margin."""
    metric: str = "time"
    """"time" for the median; of a regression of the mean or of a tail, its name, such as "p95"."""

    def row(self, margin: float, scenario: str, engine: str, rtt_ms: float = 0.0, arm: str = "", group: str = "") -> GateRow:
        """Return the row of the time; the reason of an inconclusive one states the time that the margin needs."""
        reason = self.reason
        is_open = self.verdict == GateVerdict.INCONCLUSIVE
        if is_open and self.needed_s is not None and self.detectable is not None and self.detectable > margin:
            reason += f"; {margin * 100:+.3g} % needs about {self.needed_s:.0f} s per set"
        row = GateRow(RowKind.TIME, scenario, engine, rtt_ms, arm, group, self.metric, self.verdict, reason)
        return replace(
            row, change=self.ratio, low=self.low, high=self.high, tolerated=margin, paired=True, detectable=self.detectable
        )


IDENTICAL = "the versions are identical; not timed"
"""The reason why benchmarks of two trees with the same content have no times."""


def not_timed(reason: str, scenario: str, engine: str, rtt_ms: float = 0.0, arm: str = "", group: str = "") -> GateRow:
    """Return the row of a benchmark that need not be timed, since nothing that it depends on has changed."""
    return GateRow(RowKind.TIME, scenario, engine, rtt_ms, arm, group, "time", GateVerdict.EQUIVALENT, reason, paired=True)


def compare_all(
    old: VersionCommand,
    new: VersionCommand,
    budget_s: float,
    *,
    wanted: Sequence[str] | None = None,
    margin: float = MARGIN,
    seed: str = "0",
    progress: ProgressLine = lambda _: None,
) -> list[PairedTime]:
    """Return a verdict on each benchmark that both commands serve.

    Half of `budget_s` is for the first set, half for the second. Within a process pair each benchmark gets an equal share of the
    time, at least MIN_SLICES_S. `wanted` selects benchmarks by name; `progress` is called with a line per step.

    Raises:
        VersionError: a command failed.
        NotComparableError: the commands serve different benchmarks, or none.
    """
    coin = random.Random(f"{seed}/against")  # noqa: S311 - seeded, to be repeatable
    first, second = defaultdict[str, list[ProcessPairLogs]](list), defaultdict[str, list[ProcessPairLogs]](list)
    names = None if wanted is None else frozenset(wanted)
    cores, clock = choose_cores(), MonotonicClock()
    allocator = CoreAllocator(cores)
    try:
        with tempfile.TemporaryDirectory(prefix="harness-against-") as folder, allocator.allocate(Isolation.MACHINE):
            run = partial(_process_pair, old, new, Path(folder), cores, coin)
            start_ns, start_up_s = clock.now_ns(), START_UP_S
            for number in range(1, PROCESS_PAIRS + 1):
                spent_s = (clock.now_ns() - start_ns) / 1e9
                left_s = spent_s / (number - 1) * (PROCESS_PAIRS - number + 1) if number > 1 else budget_s / 2
                progress(f"process pair {number} of {PROCESS_PAIRS}, about {left_s:.0f} s left of this set")
                slices_s = share_s(budget_s / 2 / PROCESS_PAIRS, start_up_s, len(names or first) or 1)
                logs, start_up_s = run(number, slices_s, names, progress)
                for name, log in logs.items():
                    first[name].append(log)
                if not first:
                    raise NotComparableError("there is no benchmark to time")
            each_s = (clock.now_ns() - start_ns) / 1e9 / PROCESS_PAIRS
            repeat = suspects(first, margin)
            undecided = list(repeat)
            slices_s = share_s(budget_s / 2 / PROCESS_PAIRS, start_up_s, len({name for name, _ in repeat}) or 1)
            while undecided:
                names = frozenset(name for name, _ in undecided)
                progress(f"second set for what looked slower: {len(names)} left")
                number += 1
                for name, log in run(number, slices_s, names, progress)[0].items():
                    second[name].append(log)
                decided = {each: _recurs(second, each, repeat, margin) for each in repeat}
                enough = {name for name, label in repeat if label == MEDIAN and decided[name, label]}
                undecided = [each for each in undecided if decided[each] is None and each[0] not in enough]
    finally:
        allocator.release()
    return verdicts(first, second, margin, each_s)


def share_s(process_pair_s: float, start_up_s: float, benchmarks: int) -> float:
    """Return the seconds of slices that each benchmark gets in a process pair of `process_pair_s` in all."""
    return max(MIN_SLICES_S, (process_pair_s - start_up_s) / benchmarks)


def suspects(first: ProcessPairs, margin: float) -> list[tuple[str, str]]:
    """Return (benchmark, statistic) of what looks slower in the first set, each benchmark's median first."""
    return [
        (name, label)
        for name, found in first.items()
        for label in supported(found)
        if process_pairs.looks_slower(process_pairs.effect(_logs(found, label)), _margin(label, margin))
    ]


def _logs(found: Sequence[ProcessPairLogs], label: str) -> list[float]:
    """Return the logs of a statistic; 0, which is not slower, of a process pair without it."""
    return [pair.logs.get(label, 0.0) for pair in found]


def _margin(label: str, margin: float) -> float:
    return margin if label == MEDIAN else margin * TAIL_MARGINS


def _recurs(second: ProcessPairs, each: tuple[str, str], repeat: Sequence[tuple[str, str]], margin: float) -> bool | None:
    """Return whether the second set confirms one of `repeat`, corrected for all medians among them, or for all means and tails."""
    name, label = each
    tests = sum((other == MEDIAN) == (label == MEDIAN) for _, other in repeat)
    return process_pairs.recurs(_logs(second.get(name, ()), label), tests, SECOND_SET_LIMIT, _margin(label, margin))


def verdicts(first: ProcessPairs, second: ProcessPairs, margin: float, process_pair_s: float) -> list[PairedTime]:
    """Return a verdict on each benchmark, from the logs of new ÷ old of the process pairs of both sets.

    A regression, of the median, the mean or a tail, looks slower in the first set and recurs in the second; the worst one is the
    benchmark's verdict. An improvement is shown by the medians of the first set alone, corrected for all (Holm).
    `process_pair_s` is the duration of a process pair, for the advice.
    """
    effects = {name: process_pairs.effect(_logs(found, MEDIAN)) for name, found in first.items()}
    repeat = suspects(first, margin)
    worse = [each for each in repeat if second.get(each[0]) and _recurs(second, each, repeat, margin)]
    corrected = holm([1.0 if effect.p is None else effect.p for effect in effects.values()])
    found = []
    for (name, effect), p in zip(effects.items(), corrected, strict=True):
        shown, n, again, metric = effect, len(first[name]), second.get(name, ()), "time"
        if regressed := {label: process_pairs.effect(_logs(again, label)) for of, label in worse if of == name}:
            # The set that was not selected by its result.
            label, shown = max(regressed.items(), key=lambda item: item[1].interval.value)
            verdict, reason = (
                GateVerdict.REGRESSED,
                f"slower in {PROCESS_PAIRS} process pairs, and again in {len(again)} fresh ones",
            )
            if label != MEDIAN:
                metric, middle = label, math.exp(process_pairs.effect(_logs(again, MEDIAN)).interval.value)
                times = in_words(1 / middle)
                reason = f"regressed at {label}: {reason} (median {times})"
        elif process_pairs.within(effect, margin):
            verdict, reason = GateVerdict.EQUIVALENT, f"the whole interval lies within ±{margin * 100:g} %"
        elif (name, MEDIAN) in repeat:
            verdict = GateVerdict.INCONCLUSIVE
            reason = f"slower in the first set of process pairs, but not confirmed by {len(again)} fresh ones"
        elif p <= process_pairs.ALPHA and effect.interval.value < -math.log1p(margin / 2):
            verdict, reason = GateVerdict.IMPROVED, f"faster in {PROCESS_PAIRS} process pairs"
        else:
            verdict, reason = GateVerdict.INCONCLUSIVE, f"the interval reaches beyond ±{margin * 100:g} %, and shows no slowdown"
        low, high = (None if log is None else math.exp(log) for log in (shown.interval.low, shown.interval.high))
        needed = process_pairs.process_pairs_needed(effect, n, margin)
        needed_s = None if needed is None else needed * process_pair_s
        ratio, detectable = math.exp(shown.interval.value), process_pairs.detectable(effect, n)
        found.append(PairedTime(name, verdict, reason, ratio, low, high, detectable, needed_s, metric))
    return found
