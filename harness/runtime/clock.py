"""The clock: the only module that reads time, and a fake clock for tests."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of monotonic time in integer nanoseconds."""

    def now_ns(self) -> int:
        """Return the time since a fixed moment, in nanoseconds."""


class MonotonicClock:
    """The machine's finest monotonic clock."""

    def now_ns(self) -> int:
        """Return `time.perf_counter_ns()`."""
        return time.perf_counter_ns()


@dataclass
class FakeClock:
    """A clock for tests that only moves when it is advanced."""

    time_ns: int = 0
    """The current time."""

    def now_ns(self) -> int:
        """Return the current time, in nanoseconds."""
        return self.time_ns

    def advance(self, duration_ns: int) -> None:
        """Advance the time by `duration_ns`."""
        self.time_ns += duration_ns


def utc_now() -> datetime:
    """Return the wall-clock time in UTC, for labels; never for measuring."""
    return datetime.now(UTC)


def resolution_ns() -> float:
    """Return the clock's resolution as reported by the system, in nanoseconds."""
    return time.get_clock_info("perf_counter").resolution * 1e9


def cpu_ns() -> int:
    """Return the CPU time of this process since its start, of all threads together, in nanoseconds."""
    return time.process_time_ns()
