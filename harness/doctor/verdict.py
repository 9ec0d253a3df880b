"""The grade of a machine for measurements: the findings, the reasons for the grade, and the remedies."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from harness.results.run import RunWarning
from harness.stats.noise import SECONDS, Noise, detectable_in_pairs, detectable_in_process_pairs


class Grade(StrEnum):
    """The grade of a machine's times, best first."""

    GOOD = "good"
    """Changes of a few percent are detected within a minute."""

    USABLE = "usable"
    """Only larger changes are, or after a longer time."""

    POOR = "poor"
    """Only work counts are reliable."""


PROCESS_PAIRS_GOOD, PROCESS_PAIRS_USABLE = 0.03, 0.10
"""The change between two versions that has to be detectable, as a share: within a minute for good, within five for usable."""

PAIRS_GOOD, PAIRS_USABLE = 0.01, 0.05
"""The change within a process that has to be detectable within ten seconds, as a share."""

DRIFT_GOOD, DRIFT_USABLE = 0.05, 0.20
STEAL_GOOD, STEAL_USABLE = 0.01, 0.10
TICK_NS = 1_000
"""Limit of the clock's step: a larger one adds more than a thousandth to a slot of a millisecond."""

LATE_NS = 1_000_000
"""Limit of the timers' 99th percentile of lateness: beyond it arrivals do not follow their plan."""

BUSY = 0.5
"""Limit of the load average per core before the check: beyond it other processes are running."""


@dataclass(frozen=True)
class Machine:
    """The machine's figures."""

    cores: int
    """Cores that this process may use."""

    pinned: bool
    """Whether workers are pinned to a core."""

    governor: str
    """Frequency governor of the first core."""

    load_average: float
    """Load average over a minute, before the check."""

    stolen: float | None
    """Share of CPU time that the host gave to others; None if the system does not report it."""

    resolution_ns: float
    """The clock's resolution as reported by the system."""

    tick_ns: int
    """The clock's smallest observed step."""

    reading_ns: float
    """Median difference of two consecutive readings of the clock."""

    late_median_ns: float | None
    """Median lateness of timers; None without a pacer."""

    late_p99_ns: float | None
    """99th percentile of the lateness of timers; None without a pacer."""


@dataclass(frozen=True)
class DetectableChange:
    """The smallest change that is detectable within a time, as a share."""

    seconds: int
    """The time."""

    in_pairs: float | None
    """Between arms interleaved in one process, which does not include the difference between processes; None if the time is
    too short."""

    in_process_pairs: float | None
    """Between an old and a new version in interleaved processes on one core; None if the time is too short."""

    work_counts: float = 0.0
    """Between work counts, such as statements, rows, steps and calls, that repeat."""


@dataclass(frozen=True)
class Checkup:
    """The result of a machine check."""

    machine: Machine
    """The machine's figures."""

    noise: Noise
    """The noise of the same work in fresh processes."""

    detectable: list[DetectableChange]
    """The smallest detectable changes by time."""

    grade: Grade
    """The grade."""

    reasons: list[RunWarning]
    """The reasons against a better grade, worst first, each with its remedy."""


def check_up(machine: Machine, found: Noise) -> Checkup:
    """Return the grade of a machine, which is that of its worst reason, and all reasons with their remedies."""
    detectable = [DetectableChange(s, detectable_in_pairs(found, s), detectable_in_process_pairs(found, s)) for s in SECONDS]
    graded = [each for check in _CHECKS for each in check(machine, found, detectable)]
    grade = max((grade for grade, _ in graded), key=list(Grade).index, default=Grade.GOOD)
    return Checkup(
        machine, found, detectable, grade, [reason for _, reason in sorted(graded, key=lambda g: -list(Grade).index(g[0]))]
    )


Graded = tuple[Grade, RunWarning]


def _grade(value: float, good: float, usable: float) -> Grade:
    return Grade.GOOD if value <= good else Grade.USABLE if value <= usable else Grade.POOR


def _percent(share: float) -> str:
    return f"{share * 100:.2g} %" if abs(share) < 0.1 else f"{share * 100:.0f} %"  # noqa: PLR2004 - two digits either way


def _process_pairs(_machine: Machine, found: Noise, detectable: list[DetectableChange]) -> Iterator[Graded]:
    minute, longest = detectable[1], detectable[-1]
    if minute.in_process_pairs is not None and minute.in_process_pairs <= PROCESS_PAIRS_GOOD:
        return
    grade = (
        Grade.USABLE if longest.in_process_pairs is not None and longest.in_process_pairs <= PROCESS_PAIRS_USABLE else Grade.POOR
    )
    message = (
        f"two processes of the same code on the same core differ by {_percent(found.process_pairs)} (sd over {found.number} pairs)"
    )
    yield (
        grade,
        RunWarning("between processes", message, "give timed gates more processes or more seconds; work counts need neither"),
    )


def _pairs(_machine: Machine, found: Noise, detectable: list[DetectableChange]) -> Iterator[Graded]:
    shortest = detectable[0]
    if shortest.in_pairs is None:
        yield Grade.POOR, RunWarning("slow", "two operations take more than ten seconds", "measure on a faster machine")
    elif (grade := _grade(shortest.in_pairs, PAIRS_GOOD, PAIRS_USABLE)) != Grade.GOOD:
        message = f"consecutive operations of a process differ by {_percent(found.pair)}"
        yield grade, RunWarning("within a process", message, "give more time with --budget, or stop other processes")


def _drift(_machine: Machine, found: Noise, _detectable: list[DetectableChange]) -> Iterator[Graded]:
    if (grade := _grade(abs(found.drift), DRIFT_GOOD, DRIFT_USABLE)) != Grade.GOOD:
        message = f"the same work took {_percent(abs(found.drift))} {'longer' if found.drift > 0 else 'less'} in the second half"
        yield (
            grade,
            RunWarning(
                "drift", message, "wait until the machine is warm and idle; do not compare with times stored on another day"
            ),
        )


def _stolen(machine: Machine, _found: Noise, _detectable: list[DetectableChange]) -> Iterator[Graded]:
    if machine.stolen is not None and (grade := _grade(machine.stolen, STEAL_GOOD, STEAL_USABLE)) != Grade.GOOD:
        message = f"the host gave {_percent(machine.stolen)} of this machine's CPU time to others"
        yield grade, RunWarning("steal", message, "measure on a machine that is not shared, or at a quieter time")


def _busy(machine: Machine, _found: Noise, _detectable: list[DetectableChange]) -> Iterator[Graded]:
    if machine.load_average > BUSY * machine.cores:
        message = f"a load average of {machine.load_average:.1f} on {machine.cores} cores before anything was measured"
        yield Grade.USABLE, RunWarning("busy", message, "stop other processes")


def _pinning(machine: Machine, _found: Noise, _detectable: list[DetectableChange]) -> Iterator[Graded]:
    if not machine.pinned:
        message = "there is only one core, or cores cannot be chosen: timed processes share it with the coordinator and the servers"
        yield Grade.USABLE, RunWarning("not pinned", message, "use at least two cores")


def _governor(machine: Machine, _found: Noise, _detectable: list[DetectableChange]) -> Iterator[Graded]:
    if machine.governor in {"powersave", "ondemand", "conservative", "schedutil"}:
        message = f"the governor is {machine.governor}: the core's frequency follows the load"
        yield Grade.USABLE, RunWarning("governor", message, "set it to performance (`cpupower frequency-set -g performance`)")


def _clock(machine: Machine, _found: Noise, _detectable: list[DetectableChange]) -> Iterator[Graded]:
    coarse_ns = max(machine.resolution_ns, machine.tick_ns, machine.reading_ns)
    if coarse_ns > TICK_NS:
        message = f"the clock advances in steps of {coarse_ns:,.0f} ns"
        yield (
            Grade.USABLE,
            RunWarning("clock", message, "check the system's clock source; on Linux it should be tsc or the hypervisor's"),
        )


def _late(machine: Machine, _found: Noise, _detectable: list[DetectableChange]) -> Iterator[Graded]:
    if machine.late_p99_ns is not None and machine.late_p99_ns > LATE_NS:
        message = f"1 % of the timers are at least {machine.late_p99_ns / 1e6:.1f} ms late"
        yield Grade.USABLE, RunWarning("timers", message, "do not rely on small delays of load tests; stop other processes")


_CHECKS: tuple[Callable[[Machine, Noise, list[DetectableChange]], Iterator[Graded]], ...] = (
    _process_pairs,
    _pairs,
    _drift,
    _stolen,
    _busy,
    _pinning,
    _governor,
    _clock,
    _late,
)
