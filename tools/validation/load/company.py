"""Who else was on the machine: how much processor time went to processes that were none of a question's own.

A tool that has to share its core waits for it, and whatever it measures waits with it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil

from harness.runtime.clock import Clock

_IDLE = frozenset({"idle", "iowait", "guest", "guest_nice"})
"""Times in which no core works; a guest's are counted as its host's already."""


@dataclass(frozen=True)
class CpuReading:
    """Processor time used until a moment, in seconds: by everybody, and by this process, its ended children and the server."""

    at_ns: int
    everybody_s: float
    own_s: float


def reading(server: int, clock: Clock) -> CpuReading:
    """Return how much was used until now; `server` is a process's id."""
    used = psutil.cpu_times()._asdict()
    everybody_s = sum(seconds for kind, seconds in used.items() if kind not in _IDLE)
    times, served = os.times(), psutil.Process(server).cpu_times()
    own_s = times.user + times.system + times.children_user + times.children_system + served.user + served.system
    return CpuReading(clock.now_ns(), everybody_s, own_s)


def others_cores(before: CpuReading, after: CpuReading) -> float:
    """Return how many cores' time others used on average between two readings."""
    used_s = (after.everybody_s - before.everybody_s) - (after.own_s - before.own_s)
    return max(0.0, used_s / (max(1, after.at_ns - before.at_ns) / 1e9))
