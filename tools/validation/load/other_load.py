"""Other load on the machine: the CPU time of processes that do not belong to the validation.

A tool that shares its core waits for it, and its measurements include that wait.
"""

import os
from dataclasses import dataclass

import psutil

from harness.runtime.clock import Clock

_IDLE = frozenset({"idle", "iowait", "guest", "guest_nice"})
"""Kinds of CPU time in which no core works; a guest's time is already counted as its host's."""


@dataclass(frozen=True)
class CpuReading:
    """CPU time used until a point in time, in seconds."""

    at_ns: int
    total_s: float
    """By all processes."""
    own_s: float
    """By this process, its ended children and the server."""


def reading(server: int, clock: Clock) -> CpuReading:
    """Return the CPU time used until now; `server` is its process id."""
    used = psutil.cpu_times()._asdict()
    total_s = sum(seconds for kind, seconds in used.items() if kind not in _IDLE)
    times, served = os.times(), psutil.Process(server).cpu_times()
    own_s = times.user + times.system + times.children_user + times.children_system + served.user + served.system
    return CpuReading(clock.now_ns(), total_s, own_s)


def other_cores(before: CpuReading, after: CpuReading) -> float:
    """Return the average number of cores that other processes used between two readings."""
    used_s = (after.total_s - before.total_s) - (after.own_s - before.own_s)
    return max(0.0, used_s / (max(1, after.at_ns - before.at_ns) / 1e9))
