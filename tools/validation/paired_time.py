"""Detection of injected slowdowns by pairs inside a process: a workload and its slower twin, timed by the worker of a run."""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

import numpy as np

from harness.bench.job import BenchJob, PairTimes, Task, TimePairs
from harness.bench.process import run_job
from harness.errors import ScenarioFailedError
from harness.results.run import BASELINE
from harness.runtime.child import JobFailed
from harness.runtime.clock import MonotonicClock
from harness.runtime.cores import choose_cores
from harness.scenario import Setting
from harness.stats.sequential_test import ALPHA, FASTER, SAME, SLOWER, SequentialTest, first_conclusion
from tools.section import Requirement, Section, SectionTable
from tools.validation import workload
from tools.validation.workload import INJECTED, QueryWorkload

TITLE = "Do pairs inside a process detect small slowdowns, and none in identical work?"

MARGIN = 0.01
"""The smallest slowdown that the harness's rule tests for, as a share."""

LONGEST_S, FEWEST_PAIRS = 10.0, 60
"""The duration of a stream, and its fewest pairs, for rules that are evaluated once."""

BUDGETS_S = (1.0, 3.0, LONGEST_S)
MOST_FALSE, LEAST_FOUND, MUST_FIND = 0.01, 0.95, 3
"""Highest share of false alarms on the same work; lowest share of detected slowdowns of MUST_FIND percent."""

_TEXT = (
    "An operation of a few milliseconds on SQLite in memory is timed in pairs with a twin that does exactly the injected"
    " share more, each side with a separate database, in a fresh process, by the worker that times a run's arms. The rule is"
    f" evaluated after every pair and stops at evidence of {1 - ALPHA:.0%} that the median pair is more than {MARGIN:.0%} slower,"
    " or faster, or neither. Seconds are those spent in slots, the control's among them."
)
_NOTES = (
    f"A slowdown of {MARGIN:.0%} is at the rule's limit: an alarm is neither required nor forbidden.",
    "All of this is within single processes; variance between processes is covered by the intervals over processes.",
)


@dataclass(frozen=True)
class Stream:
    """The pairs of one process, in ns: an operation of the baseline and of its twin, and all slots up to a pair's end."""

    percent: int
    base_ns: list[float]
    other_ns: list[float]
    spent_ns: list[int]

    @property
    def log_ratios(self) -> list[float]:
        """The twin against the baseline, above 0 where it is slower."""
        return [math.log(other / base) for base, other in zip(self.base_ns, self.other_ns, strict=True)]

    def cut(self, seconds: float) -> list[Stream]:
        """Return the parts of `seconds` seconds each; an incomplete part at the end is left out."""
        parts, begin, since_ns = [], 0, 0
        for end, spent_ns in enumerate(self.spent_ns, 1):
            if spent_ns - since_ns >= seconds * 1e9:
                parts.append(self._part(begin, end))
                begin, since_ns = end, spent_ns
        return parts

    def pieces(self, pairs: int) -> list[Stream]:
        """Return the parts of `pairs` pairs each; an incomplete part at the end is left out."""
        return [self._part(begin, begin + pairs) for begin in range(0, len(self.base_ns) - pairs + 1, pairs)]

    def _part(self, begin: int, end: int) -> Stream:
        before_ns = self.spent_ns[begin - 1] if begin else 0
        spent_ns = [ns - before_ns for ns in self.spent_ns[begin:end]]
        return Stream(self.percent, self.base_ns[begin:end], self.other_ns[begin:end], spent_ns)


@cache
def recorded(effort: float) -> tuple[Stream, ...]:
    """Return all streams, recorded once: of the same work, whole ones; of slowdowns, each until the harness's rule has found it."""
    plan = {0: 10, 1: 3, 3: 40, 5: 20, 10: 20}
    numbers = count(1)
    with tempfile.TemporaryDirectory() as folder:
        return tuple(
            record(Path(folder), percent, next(numbers), LONGEST_S, until_found=percent > 0)
            for percent, streams in plan.items()
            for _ in range(max(1, round(streams * effort)))
        )


def record(folder: Path, percent: int, process: int, seconds: float, *, until_found: bool) -> Stream:
    """Return the pairs of one fresh process within `seconds` of slots, or until the rule has found a slowdown."""
    name, stream, evidence, spent_ns = workload.arm_of(percent), Stream(percent, [], [], []), SequentialTest(MARGIN), 0
    core = choose_cores().worker
    job = BenchJob(
        Task.PAIRS,
        Path(workload.__file__),
        Setting(folder, folder),
        process=process,
        groups=("queries",),
        excluded=tuple((workload.arm_of(other), "queries") for other in workload.INJECTED if other != percent),
        cpus=() if core is None else (core,),
    )
    turn = TimePairs({"queries": sys.maxsize}, int(2 * seconds * 1e9))  # more than is used: it includes the time between slots
    with closing(run_job(job, turn=lambda: turn)) as received:
        for event in received:
            if isinstance(event, JobFailed):
                raise ScenarioFailedError(f"timing failed: {event.message}")
            if isinstance(event, PairTimes):
                times = {slot.arm: slot.totals.mean_ns for slot in event.slots}
                spent_ns += sum(slot.totals.total_ns for slot in event.slots)
                stream.base_ns.append(times[BASELINE])
                stream.other_ns.append(times[name])
                stream.spent_ns.append(spent_ns)
                evidence.add(math.log(times[name] / times[BASELINE]))
                found = until_found and len(stream.base_ns) >= FEWEST_PAIRS and evidence.conclusion() == SLOWER
                if found or spent_ns >= seconds * 1e9:
                    break
    return stream


def one_after_the_other(percent: int, operations: int) -> Stream:
    """Return `operations` of the baseline, then of its twin, in this process, as tools that run A and then B do."""
    now_ns = MonotonicClock().now_ns
    times_ns: tuple[list[float], list[float]] = [], []
    with closing(QueryWorkload.new(0)) as base, closing(QueryWorkload.new(percent)) as other:
        for instance, found in zip((base, other), times_ns, strict=True):
            workload.operation(instance)
            for _ in range(operations):
                begun_ns = now_ns()
                workload.operation(instance)
                found.append(now_ns() - begun_ns)
    return Stream(percent, *times_ns, [])


def all_of(streams: Sequence[Stream], percent: int) -> list[Stream]:
    """Return the streams with a slowdown of `percent`."""
    return [stream for stream in streams if stream.percent == percent]


def run(effort: float) -> Section:
    """Time the same work and injected slowdowns."""
    return section(recorded(effort))


def section(streams: Sequence[Stream]) -> Section:
    """Return the section for streams of each slowdown, and of the same work."""
    same = {budget_s: _alarms(all_of(streams, 0), budget_s) for budget_s in BUDGETS_S}
    found = {percent: [seconds_until_found(s) for s in all_of(streams, percent)] for percent in INJECTED if percent}
    parts, false = len(same[BUDGETS_S[0]]), sum(conclusion in {SLOWER, FASTER} for conclusion in same[BUDGETS_S[0]])
    must = [seconds is not None and seconds <= LONGEST_S for seconds in found[MUST_FIND]]
    quiet = f"the same work raises at most {MOST_FALSE:.0%} false alarms: {false} of {parts} within {BUDGETS_S[0]:g} s"
    sharp = f"{MUST_FIND} % is found at least {LEAST_FOUND:.0%} of the time within {LONGEST_S:g} s: {sum(must)} of {len(must)}"
    requirements = [Requirement(quiet, bool(parts) and false <= MOST_FALSE * parts)]
    requirements += [Requirement(sharp, bool(must) and sum(must) >= LEAST_FOUND * len(must))]
    return Section(TITLE, _TEXT, [_same(same), _found(streams, found), _bias(streams)], requirements, _NOTES)


def _alarms(streams: Sequence[Stream], budget_s: float) -> list[str | None]:
    return [first_conclusion(part.log_ratios, MARGIN)[0] for stream in streams for part in stream.cut(budget_s)]


def seconds_until_found(stream: Stream) -> float | None:
    """Return the seconds until the slowdown was found; None if it was not."""
    conclusion, pairs = first_conclusion(stream.log_ratios, MARGIN)
    return stream.spent_ns[pairs - 1] / 1e9 if conclusion == SLOWER else None


def _same(same: dict[float, list[str | None]]) -> SectionTable:
    kinds = (SLOWER, FASTER, SAME, None)
    rows = [[f"{budget_s:g} s", f"{len(each)}", *(f"{each.count(kind)}" for kind in kinds)] for budget_s, each in same.items()]
    text = f"False alarms are those in the columns “{SLOWER}” and “{FASTER}”. All rows are cut from the same streams."
    return SectionTable("The same work", ("within", "comparisons", SLOWER, FASTER, f"within {MARGIN:.0%}", "open"), rows, text)


def _found(streams: Sequence[Stream], found: dict[int, list[float | None]]) -> SectionTable:
    rows = []
    for percent, seconds in found.items():
        known = [s for s in seconds if s is not None]
        pairs = [first_conclusion(s.log_ratios, MARGIN)[1] for s in all_of(streams, percent) if seconds_until_found(s) is not None]
        within = [f"{sum(s <= budget_s for s in known)}" for budget_s in BUDGETS_S]
        typical = [f"{np.median(pairs):.0f}", f"{np.median(known):.2f} s"] if known else ["–", "–"]
        rows.append([f"+{percent} %", f"{len(seconds)}", *within, *typical])
    columns = ("slowdown", "processes", *(f"found within {b:g} s" for b in BUDGETS_S), "pairs needed (median)", "time (median)")
    return SectionTable("Injected slowdowns", columns, rows)


def _bias(streams: Sequence[Stream]) -> SectionTable:
    rows = []
    for percent in INJECTED:
        medians = [float(np.median(s.log_ratios)) for s in all_of(streams, percent)]
        shares = np.expm1(medians)
        rows.append([f"+{percent} %", f"{len(medians)}", f"{np.median(shares):+.2%}", f"{shares.min():+.2%} … {shares.max():+.2%}"])
    columns, text = ("slowdown", "processes", "median of processes", "least … most"), "Medians over each process's pairs."
    return SectionTable("The measured slowdown of the twin", columns, rows, text)
