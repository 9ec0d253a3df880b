"""How much a run puts into each trial: a usual run, a first look, or one over several engines or distances."""

from __future__ import annotations

from dataclasses import dataclass

from harness.results.run import RunSettings, RunWarning


@dataclass(frozen=True)
class Effort:
    """What a trial gets.

    `minimum_pairs`: pairs of every group in a process. `slow_processes`: how many of the processes time heavy groups as well, and
    `slow_at_higher_rtt`: whether they do so at a second distance, which adds little to what takes seconds.
    `slow_from_ns`: a group whose baseline takes this long an operation is timed like one that its scenario calls heavy; at a distance
    many are. `processes_at_higher_rtt`: the most processes at a second distance, None for as many as at the first.
    `secondary_groups`: whether groups that no promise rests on are timed. `interpreter`: whether calls and allocations are counted
    beside the data layer's work. `side_by_side`: whether scenarios that use no server, and then those at a distance, are timed as
    many at a time as there are cores, each on one of its own.
    """

    minimum_pairs: int = 3
    slow_processes: int = 3
    slow_at_higher_rtt: bool = True
    slow_from_ns: int = 500_000_000
    processes_at_higher_rtt: int | None = None
    secondary_groups: bool = True
    interpreter: bool = True
    side_by_side: bool = False


USUAL = Effort()
QUICK = Effort(minimum_pairs=2, slow_processes=2, slow_from_ns=100_000_000)
SEVERAL = Effort(
    minimum_pairs=2,
    slow_processes=2,
    slow_at_higher_rtt=False,
    slow_from_ns=50_000_000,
    processes_at_higher_rtt=2,
    secondary_groups=False,
    interpreter=False,
    side_by_side=True,
)
"""Over several places there are many trials; one place at a time brings back what is left out here."""

SIDE_BY_SIDE = RunWarning(
    "side by side",
    "what uses no server, or is at a distance, was timed several at a time, a core for each: they slow one another, all arms alike",
    "name one engine and one distance",
)
"""What a run says of itself that timed scenarios side by side."""


def effort(settings: RunSettings) -> Effort:
    """Return what the trials of a run with these settings get."""
    if len(settings.engines) * len(settings.rtts_ms) > 1:
        return SEVERAL
    return QUICK if settings.quick else USUAL
