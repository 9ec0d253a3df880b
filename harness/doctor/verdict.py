"""The grade of a machine for measurements: the findings, the reasons for the grade, and the remedies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.results.run import RunWarning
from harness.results.warning_names import WarningName
from harness.stats.noise import SECONDS, Noise, detectable_in_pairs, detectable_in_process_pairs


class Grade(StrEnum):
    """The grade of a machine's times, best first."""

    GOOD = "good"
    """Changes of a few percent are detected within a minute."""
    USABLE = "usable"
    """Only larger changes are, or after a longer time."""
    POOR = "poor"
    """Only work counts are reliable."""


MEANING = {
    Grade.GOOD: "it detects changes of a few percent within a minute",
    Grade.USABLE: "give time gates a larger --budget, and gate small changes by work counts",
    Grade.POOR: "gate by work counts only; times measured here are inconclusive unless they change a lot",
}
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
SLOW_GOVERNORS = {"powersave", "ondemand", "conservative", "schedutil"}


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
    """Median lateness of timers; None without a pacer, as is `late_p99_ns`."""
    late_p99_ns: float | None


@dataclass(frozen=True)
class DetectableChange:
    """The smallest change that is detectable within a time, as a share; None if the time is too short."""

    seconds: int
    """The time."""
    in_pairs: float | None
    """Between arms interleaved in one process, which does not include the difference between processes."""
    in_process_pairs: float | None
    """Between an old and a new version in interleaved processes on one core."""
    work_counts: float = 0.0
    """Between work counts, such as statements, rows, steps and calls, that repeat."""


@dataclass(frozen=True)
class Checkup:
    """The result of a machine check."""

    machine: Machine
    noise: Noise
    """The noise of the same work in fresh processes."""
    detectable: list[DetectableChange]
    """The smallest detectable changes by time."""
    grade: Grade
    reasons: list[RunWarning]
    """The reasons against a better grade, worst first, each with its remedy."""


def check_up(machine: Machine, found: Noise) -> Checkup:
    """Return the grade of a machine, which is that of its worst reason, and all reasons with their remedies."""
    detectable = [DetectableChange(s, detectable_in_pairs(found, s), detectable_in_process_pairs(found, s)) for s in SECONDS]
    graded = [*_noise_reasons(found, detectable), *_machine_reasons(machine)]
    graded.sort(key=lambda each: -list(Grade).index(each[0]))
    return Checkup(machine, found, detectable, graded[0][0] if graded else Grade.GOOD, [reason for _, reason in graded])


def _grade(value: float, good: float, usable: float) -> Grade:
    return Grade.GOOD if value <= good else Grade.USABLE if value <= usable else Grade.POOR


def _percent(share: float) -> str:
    return f"{share * 100:.2g} %" if abs(share) < 0.1 else f"{share * 100:.0f} %"  # noqa: PLR2004 - two digits either way


def _noise_reasons(found: Noise, detectable: Sequence[DetectableChange]) -> Iterator[tuple[Grade, RunWarning]]:
    shortest, minute, longest = detectable
    if minute.in_process_pairs is None or minute.in_process_pairs > PROCESS_PAIRS_GOOD:
        usable = longest.in_process_pairs is not None and longest.in_process_pairs <= PROCESS_PAIRS_USABLE
        grade = Grade.USABLE if usable else Grade.POOR
        differ = f"differ by {_percent(found.process_pairs)} (sd over {found.number} pairs)"
        remedy = "give timed gates more processes or more seconds; work counts need neither"
        yield grade, RunWarning(WarningName.BETWEEN_PROCESSES, f"two processes of the same code on the same core {differ}", remedy)
    if shortest.in_pairs is None:
        yield Grade.POOR, RunWarning(WarningName.SLOW, "two operations take more than ten seconds", "measure on a faster machine")
    elif (grade := _grade(shortest.in_pairs, PAIRS_GOOD, PAIRS_USABLE)) != Grade.GOOD:
        message = f"consecutive operations of a process differ by {_percent(found.pair)}"
        yield grade, RunWarning(WarningName.WITHIN_A_PROCESS, message, "give more time with --budget, or stop other processes")
    if (grade := _grade(abs(found.drift), DRIFT_GOOD, DRIFT_USABLE)) != Grade.GOOD:
        message = f"the same work took {_percent(abs(found.drift))} {'longer' if found.drift > 0 else 'less'} in the second half"
        remedy = "wait until the machine is warm and idle; do not compare with times stored on another day"
        yield grade, RunWarning(WarningName.MACHINE_DRIFT, message, remedy)


def _machine_reasons(machine: Machine) -> Iterator[tuple[Grade, RunWarning]]:
    if machine.stolen is not None and (grade := _grade(machine.stolen, STEAL_GOOD, STEAL_USABLE)) != Grade.GOOD:
        message = f"the host gave {_percent(machine.stolen)} of this machine's CPU time to others"
        yield grade, RunWarning(WarningName.STEAL, message, "measure on a machine that is not shared, or at a quieter time")
    if machine.load_average > BUSY * machine.cores:
        message = f"a load average of {machine.load_average:.1f} on {machine.cores} cores before anything was measured"
        yield Grade.USABLE, RunWarning(WarningName.BUSY, message, "stop other processes")
    if not machine.pinned:
        message = "there is only one core, or cores cannot be chosen: timed processes share it with the coordinator and the servers"
        yield Grade.USABLE, RunWarning(WarningName.NOT_PINNED, message, "use at least two cores")
    if machine.governor in SLOW_GOVERNORS:
        message = f"the governor is {machine.governor}: the core's frequency follows the load"
        yield (
            Grade.USABLE,
            RunWarning(WarningName.GOVERNOR, message, "set it to performance (`cpupower frequency-set -g performance`)"),
        )
    if (coarse_ns := max(machine.resolution_ns, machine.tick_ns, machine.reading_ns)) > TICK_NS:
        remedy = "check the system's clock source; on Linux it should be tsc or the hypervisor's"
        yield Grade.USABLE, RunWarning(WarningName.CLOCK, f"the clock advances in steps of {coarse_ns:,.0f} ns", remedy)
    if machine.late_p99_ns is not None and machine.late_p99_ns > LATE_NS:
        message = f"1 % of the timers are at least {machine.late_p99_ns / 1e6:.1f} ms late"
        yield (
            Grade.USABLE,
            RunWarning(WarningName.TIMERS, message, "do not rely on small delays of load tests; stop other processes"),
        )
