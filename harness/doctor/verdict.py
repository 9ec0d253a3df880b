"""Whether a machine can be trusted with a measurement: what was found, a word for it, and what would make it better."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from harness.results.run import RunWarning
from harness.stats.noise import SECONDS, Noise, visible_in_pairs, visible_in_twins


class Grade(StrEnum):
    """How far a machine's times can be trusted, best first."""

    GOOD = "good"
    USABLE = "usable"
    POOR = "poor"


"""`good`: changes of a few percent show within a minute. `usable`: larger ones, or later. `poor`: trust exact work alone."""

TWINS_GOOD, TWINS_USABLE = 0.03, 0.10
"""The change between two versions that has to be visible: in a minute for good, in five for usable."""

PAIRS_GOOD, PAIRS_USABLE = 0.01, 0.05
"""The change inside a process that has to be visible in ten seconds."""

DRIFT_GOOD, DRIFT_USABLE = 0.05, 0.20
STEAL_GOOD, STEAL_USABLE = 0.01, 0.10
TICK_NS = 1_000
"""A clock that moves in larger steps than this adds a thousandth to a slot of a millisecond."""

LATE_NS = 1_000_000
"""Planned arrivals that begin later than this, once in a hundred, are no longer the plan."""

BUSY = 0.5
"""A load average of so much a core, before anything was measured, means that somebody else is at work."""


@dataclass(frozen=True)
class Machine:
    """What was read of the machine.

    `stolen` is the share of CPU time that the host gave to others, None where the system does not say. `tick_ns` is the least step
    that the clock was seen to make, `reading_ns` what two readings in a row differ by. `late_median_ns` and `late_p99_ns` are how
    late timers go off, None where there is no pacer.
    """

    cores: int
    pinned: bool
    governor: str
    load_average: float
    stolen: float | None
    resolution_ns: float
    tick_ns: int
    reading_ns: float
    late_median_ns: float | None
    late_p99_ns: float | None


@dataclass(frozen=True)
class Visible:
    """The smallest change that shows in so many seconds, as a share; None: too little time to tell.

    `in_pairs`: arms that take turns inside one process, which says nothing of other ones · `in_twins`: an old and a new version in
    processes that take turns on a core · `exact_work`: statements, rows, steps, calls, which repeat or are said not to.
    """

    seconds: int
    in_pairs: float | None
    in_twins: float | None
    exact_work: float = 0.0


@dataclass(frozen=True)
class Checkup:
    """All that the doctor found, its word , and every reason against a better one with its remedy."""

    machine: Machine
    noise: Noise
    visible: list[Visible]
    grade: Grade
    reasons: list[RunWarning]


def check_up(machine: Machine, found: Noise) -> Checkup:
    """Return the word for a machine and what to do about it; the worst of its reasons decides."""
    visible = [Visible(s, visible_in_pairs(found, s), visible_in_twins(found, s)) for s in SECONDS]
    weighed = [each for check in _CHECKS for each in check(machine, found, visible)]
    word = max((word for word, _ in weighed), key=list(Grade).index, default=Grade.GOOD)
    return Checkup(machine, found, visible, word, [reason for _, reason in sorted(weighed, key=lambda w: -list(Grade).index(w[0]))])


Weighed = tuple[Grade, RunWarning]


def _grade(value: float, good: float, usable: float) -> Grade:
    return Grade.GOOD if value <= good else Grade.USABLE if value <= usable else Grade.POOR


def _percent(share: float) -> str:
    return f"{share * 100:.2g} %" if abs(share) < 0.1 else f"{share * 100:.0f} %"  # noqa: PLR2004 - two digits either way


def _twins(_machine: Machine, found: Noise, visible: list[Visible]) -> Iterator[Weighed]:
    minute, longest = visible[1], visible[-1]
    if minute.in_twins is not None and minute.in_twins <= TWINS_GOOD:
        return
    word = Grade.USABLE if longest.in_twins is not None and longest.in_twins <= TWINS_USABLE else Grade.POOR
    says = f"two processes of the same code on the same core differ by {_percent(found.twins)} (sd over {found.number} pairs)"
    yield word, RunWarning("between processes", says, "give gates of time more processes or more seconds; exact work needs neither")


def _pairs(_machine: Machine, found: Noise, visible: list[Visible]) -> Iterator[Weighed]:
    shortest = visible[0]
    if shortest.in_pairs is None:
        yield Grade.POOR, RunWarning("slow", "two operations do not fit into ten seconds", "measure on a faster machine")
    elif (word := _grade(shortest.in_pairs, PAIRS_GOOD, PAIRS_USABLE)) != Grade.GOOD:
        says = f"neighbouring operations of a process differ by {_percent(found.pair)}"
        yield word, RunWarning("within a process", says, "give more time with --budget, or stop what else is running")


def _drift(_machine: Machine, found: Noise, _visible: list[Visible]) -> Iterator[Weighed]:
    if (word := _grade(abs(found.drift), DRIFT_GOOD, DRIFT_USABLE)) != Grade.GOOD:
        says = f"the same work took {_percent(abs(found.drift))} {'longer' if found.drift > 0 else 'less'} in the second half"
        yield (
            word,
            RunWarning("drift", says, "wait until the machine is warm and idle; never compare with times stored on another day"),
        )


def _stolen(machine: Machine, _found: Noise, _visible: list[Visible]) -> Iterator[Weighed]:
    if machine.stolen is not None and (word := _grade(machine.stolen, STEAL_GOOD, STEAL_USABLE)) != Grade.GOOD:
        says = f"the host gave {_percent(machine.stolen)} of this machine's CPU time to others"
        yield word, RunWarning("steal", says, "measure on a machine, or at an hour, that is not shared")


def _busy(machine: Machine, _found: Noise, _visible: list[Visible]) -> Iterator[Weighed]:
    if machine.load_average > BUSY * machine.cores:
        says = f"a load average of {machine.load_average:.1f} on {machine.cores} cores before anything was measured"
        yield Grade.USABLE, RunWarning("busy", says, "stop what else is running")


def _pinning(machine: Machine, _found: Noise, _visible: list[Visible]) -> Iterator[Weighed]:
    if not machine.pinned:
        says = "there is one core, or none can be chosen: what is timed shares it with the coordinator and the servers"
        yield Grade.USABLE, RunWarning("not pinned", says, "give it at least two cores")


def _governor(machine: Machine, _found: Noise, _visible: list[Visible]) -> Iterator[Weighed]:
    if machine.governor in {"powersave", "ondemand", "conservative", "schedutil"}:
        says = f"the governor is {machine.governor}: the core's frequency follows the load"
        yield Grade.USABLE, RunWarning("governor", says, "set it to performance (`cpupower frequency-set -g performance`)")


def _clock(machine: Machine, _found: Noise, _visible: list[Visible]) -> Iterator[Weighed]:
    coarse_ns = max(machine.resolution_ns, machine.tick_ns, machine.reading_ns)
    if coarse_ns > TICK_NS:
        says = f"the clock is told apart in steps of {coarse_ns:,.0f} ns"
        yield (
            Grade.USABLE,
            RunWarning("clock", says, "look for the system's clock source; on Linux it should be tsc or the host's own"),
        )


def _late(machine: Machine, _found: Noise, _visible: list[Visible]) -> Iterator[Weighed]:
    if machine.late_p99_ns is not None and machine.late_p99_ns > LATE_NS:
        says = f"one timer in a hundred is {machine.late_p99_ns / 1e6:.1f} ms late or more"
        yield Grade.USABLE, RunWarning("timers", says, "read load tests at small delays with care; stop what else is running")


_CHECKS: tuple[Callable[[Machine, Noise, list[Visible]], Iterator[Weighed]], ...] = (
    _twins,
    _pairs,
    _drift,
    _stolen,
    _busy,
    _pinning,
    _governor,
    _clock,
    _late,
)
