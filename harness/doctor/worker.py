"""A worker of the machine check: times a fixed piece of work as often as it is told to.

Always a fresh interpreter with its own hash seed and memory layout, since those differ between processes.
"""

import gc
from collections.abc import Callable

import msgspec

from harness.bench.probes.cpu_control import spin
from harness.runtime import channel
from harness.runtime.clock import Clock, MonotonicClock

WARM_UP = 20
"""Operations before the first that is timed: the interpreter specialises its bytecode meanwhile."""


class MeasureSlice(msgspec.Struct, tag=True, frozen=True):
    """The order to time the work this number of times."""

    operations: int


class Measured(msgspec.Struct, tag=True, frozen=True):
    """The reply to `MeasureSlice`."""

    times_ns: list[int]
    """Nanoseconds of each operation."""


def main() -> None:
    """Time the work on every order, until the channel ends."""
    parent = channel.connect()
    orders, encoder = msgspec.json.Decoder(MeasureSlice), msgspec.json.Encoder()
    times_ns(spin, WARM_UP, MonotonicClock())
    gc.collect()
    gc.freeze()
    while line := parent.read_line():
        measured = Measured(times_ns(spin, orders.decode(line).operations, MonotonicClock()))
        parent.write_line(encoder.encode(measured))


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
