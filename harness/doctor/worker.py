"""A worker of the machine check, always a fresh interpreter: its hash seed and memory layout differ from those of others."""

import gc
from collections.abc import Callable

import msgspec

from harness.bench.probes.cpu_control import spin
from harness.runtime import channel
from harness.runtime.clock import Clock, MonotonicClock

WARM_UP = 20
"""Operations before the first that is timed: the interpreter specialises its bytecode meanwhile."""


def main() -> None:
    """Send the nanoseconds of each operation for every number of operations that is received, until the channel ends."""
    parent, clock = channel.connect(), MonotonicClock()
    times_ns(spin, WARM_UP, clock)
    gc.collect()
    gc.freeze()
    while line := parent.read_line():
        parent.write_line(msgspec.json.encode(times_ns(spin, int(line), clock)))


def times_ns(work: Callable[[], object], number: int, clock: Clock) -> list[int]:
    """Return the nanoseconds of each of a number of calls of `work`."""
    found = []
    for _ in range(number):
        start = clock.now_ns()
        work()
        found.append(clock.now_ns() - start)
    return found


if __name__ == "__main__":
    main()
