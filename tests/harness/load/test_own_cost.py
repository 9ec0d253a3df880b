"""The load generator's own cost per operation, by a made-up CPU clock."""

import asyncio
import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from harness.load.own_cost import OPERATIONS, ROUNDS, own_cost_ns
from harness.load.pacing import FakePacer
from harness.results.load import LoadModel
from harness.runtime.clock import FakeClock


@dataclass
class CpuClock:
    """CPU time that passes between the readings of each round."""

    rounds_ns: list[int]
    readings: int = 0
    total_ns: int = 0

    def __call__(self) -> int:
        """Return the CPU time."""
        if self.readings % 2:
            self.total_ns += self.rounds_ns[self.readings // 2]
        self.readings += 1
        return self.total_ns


@pytest.mark.parametrize("model", LoadModel)
def test_the_cheapest_round_counts(model: LoadModel) -> None:
    """Another process that disturbs a round does not raise the generator's cost."""
    clock = FakeClock()
    cpu = CpuClock([9_000 * OPERATIONS, 4_000 * OPERATIONS, 5_000 * OPERATIONS])
    assert asyncio.run(own_cost_ns(model, clock, FakePacer(clock), read_cpu_ns=cpu)) == 4_000
    assert cpu.readings == 2 * ROUNDS


@pytest.mark.parametrize("model", LoadModel)
def test_synchronous_operations_are_calibrated_in_threads(model: LoadModel) -> None:
    """The way to a thread and back is the generator's own work too."""
    clock, used = FakeClock(), itertools.count()

    class Pool(ThreadPoolExecutor):
        def submit(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]  # the call alone is counted
            next(used)
            return super().submit(*args, **kwargs)  # type: ignore[arg-type]

    with Pool(2) as pool:
        asyncio.run(own_cost_ns(model, clock, FakePacer(clock), pool))
    assert next(used) >= ROUNDS * OPERATIONS
