"""The wall-clock budget of a whole gate: collecting and recording included, however often it is interrupted and resumed."""

import math

from harness.runtime.clock import Clock, MonotonicClock

BASE_S, BENCHMARK_S, PROCESS_PAIRS, MOST_S = 60.0, 5.0, 25, 900.0
"""The default: seconds for every gate, for each benchmark that is timed, and a number of starts of both versions; at most this."""
START_UP_S = 2.0
"""The seconds that starting a process pair takes, until one has been started."""
END_S, END_SHARE = 2.0, 0.03
"""The time that is kept for removing the other tree and writing the results: seconds, and at most a share of the budget."""


class GateBudget:
    """The time that a gate may take, and what is left of it. Without a limit until `settle`, if the user has not chosen one."""

    def __init__(self, seconds: float | None = None, *, clock: Clock | None = None) -> None:
        """Begin to count now."""
        self._clock = clock or MonotonicClock()
        self._start_ns, self._spent_s = self._clock.now_ns(), 0.0
        self._is_chosen = seconds is not None
        self.seconds = math.inf if seconds is None else seconds
        self._settled_s: float | None = None

    @property
    def spent_s(self) -> float:
        """Seconds since the beginning, of all parts."""
        return self._spent_s + (self._clock.now_ns() - self._start_ns) / 1e9

    @property
    def left_s(self) -> float:
        """Seconds that are left for timing; 0 at the end."""
        return max(0.0, self.seconds - min(END_S, END_SHARE * self.seconds) - self.spent_s) if self.is_limited else math.inf

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit yet."""
        return self.seconds < math.inf

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left."""
        return self.left_s <= 0

    def resume(self, spent_s: float) -> None:
        """Add what the earlier parts of a gate have spent."""
        self._spent_s += spent_s

    def settle(self, benchmarks: int, start_up_s: float = START_UP_S, before_s: float | None = None) -> None:
        """Set the default for a number of benchmarks to be timed, unless the user has chosen a budget.

        `before_s` is what was spent before the first of them was timed; by default, until now.
        """
        if self._is_chosen:
            return
        if self._settled_s is None:
            self._settled_s = self.spent_s if before_s is None else before_s
        self.seconds = self._settled_s + min(MOST_S, BASE_S + BENCHMARK_S * benchmarks + PROCESS_PAIRS * start_up_s)
