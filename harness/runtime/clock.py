"""The one place that reads time, and the fake that tests put in its stead."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Reads a monotonic time in integer nanoseconds."""

    def now_ns(self) -> int:
        """Return the time since some fixed moment, in nanoseconds."""
        ...


class MonotonicClock:
    """The machine's finest monotonic clock."""

    def now_ns(self) -> int:
        """Return `time.perf_counter_ns()`."""
        return time.perf_counter_ns()


@dataclass
class FakeClock:
    """A clock that stands still until it is told to move."""

    time_ns: int = 0

    def now_ns(self) -> int:
        """Return the time it was last moved to, in nanoseconds."""
        return self.time_ns

    def advance(self, duration_ns: int) -> None:
        """Move on by `duration_ns`."""
        self.time_ns += duration_ns


def utc_now() -> datetime:
    """Return the wall-clock time in UTC, for labels; never for measuring."""
    return datetime.now(UTC)


def resolution_ns() -> float:
    """Return the clock's stated resolution, in nanoseconds."""
    return time.get_clock_info("perf_counter").resolution * 1e9


def cpu_ns() -> int:
    """Return the CPU time that this process has used in its life, all threads together, in nanoseconds."""
    return time.process_time_ns()
