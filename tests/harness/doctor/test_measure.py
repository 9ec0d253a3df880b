"""Tests of the machine check, with simulated clocks and figures, and once with real processes."""

import os
import random
from dataclasses import dataclass

import pytest

from harness.bench.probes.cpu_control import CHECK, spin
from harness.doctor.measure import DoctorEffort, examine, process_pair, stolen, ticks
from harness.doctor.worker import times_ns
from harness.runtime.clock import FakeClock, MonotonicClock
from harness.runtime.cores import Cores


@dataclass
class Stepping(FakeClock):
    """A coarse clock: it advances by a step at every second reading."""

    step_ns: int = 100
    _read: int = 0

    def now_ns(self) -> int:
        """Return the time, and advance every other time."""
        self._read += 1
        self.time_ns += self.step_ns * (self._read % 2)
        return self.time_ns


def test_the_fixed_work_is_always_the_same() -> None:
    """Its result is a constant."""
    assert (spin(), spin()) == (CHECK, CHECK)


def test_each_operation_is_timed_by_itself() -> None:
    """Time between operations is not included."""
    clock = FakeClock()
    lengths = iter([3, 5, 8])
    assert times_ns(lambda: clock.advance(next(lengths)), 3, clock) == [3, 5, 8]


def test_a_coarse_clock_is_detected_by_its_steps() -> None:
    """The smallest step ignores readings without a step; the median includes them."""
    assert ticks(Stepping(step_ns=100), 1001) == (100, 50.0)
    assert ticks(FakeClock(7), 100) == (0, 0.0)


def test_the_stolen_share_is_of_all_cpu_time_between_two_readings() -> None:
    """Guest time is part of the user time and not counted twice; without figures the share is None."""
    before, after = [100, 0, 50, 800, 0, 0, 0, 10, 99, 0], [140, 0, 60, 840, 0, 0, 0, 20, 199, 0]
    assert stolen(before, after) == 0.1
    assert stolen(before, before) is None
    assert stolen([1, 2, 3], [4, 5, 6]) is None


@pytest.mark.slow
def test_two_real_processes_are_interleaved() -> None:
    """Each returns one slice per round."""
    found = process_pair(3, random.Random(1), MonotonicClock(), None)
    assert [[len(times) for times in side] for side in (found.first, found.second)] == [[4, 4, 4], [4, 4, 4]]
    assert found.seconds > 0


@pytest.mark.slow
def test_a_machine_check_restores_the_cores_of_the_process() -> None:
    """Afterwards the process may use the same cores as before."""
    before = os.sched_getaffinity(0)
    found = examine(DoctorEffort(process_pairs=2, rounds=2, waits=3), cores=Cores(min(before), max(before), tuple(sorted(before))))
    assert os.sched_getaffinity(0) == before
    assert found.noise.number == 2
    assert found.machine.late_p99_ns is not None
