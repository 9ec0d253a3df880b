"""A child process of the doctor's: times a fixed piece of work as often as it is told to, one line in, one line out.

Always a fresh interpreter with a hash seed and a memory layout of its own, since that is what differs between processes.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

import msgspec

from harness.bench.probes.cpu_control import spin
from harness.bench.worker import die_with_parent, only_events_on_stdout
from harness.runtime.clock import Clock, MonotonicClock
from harness.runtime.cores import settle

WARM_UP = 20
"""Operations before the first that is timed: the interpreter specialises its bytecode meanwhile."""


def main() -> None:
    """Settle on the cores named as arguments; for every number on standard input, answer with so many times in nanoseconds."""
    die_with_parent()
    channel = only_events_on_stdout()
    if len(sys.argv) > 1:
        settle([int(core) for core in sys.argv[1:]])
    times_ns(spin, WARM_UP, MonotonicClock())
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        channel.write(msgspec.json.encode(times_ns(spin, int(line), MonotonicClock())) + b"\n")
        channel.flush()


def times_ns(work: Callable[[], object], number: int, clock: Clock) -> list[int]:
    """Return how long `work` takes, `number` times in a row, in nanoseconds."""
    found = []
    for _ in range(number):
        start = clock.now_ns()
        work()
        found.append(clock.now_ns() - start)
    return found


if __name__ == "__main__":
    main()
