"""The doctor's readings, on clocks and figures that are made up, and once with real processes."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass

import pytest

from harness.bench.probes.cpu_control import CHECK, spin
from harness.doctor.measure import DoctorEffort, examine, stolen, ticks, twins
from harness.doctor.worker import times_ns
from harness.runtime.clock import FakeClock, MonotonicClock
from harness.runtime.cores import Cores


@dataclass
class Stepping(FakeClock):
    """A clock that moves on by a step every second time it is read, as a coarse one does."""

    step_ns: int = 100
    _read: int = 0

    def now_ns(self) -> int:
        """Return the time, and move every other time."""
        self._read += 1
        self.time_ns += self.step_ns * (self._read % 2)
        return self.time_ns


def test_the_fixed_work_is_always_the_same() -> None:
    """Its answer is known beforehand."""
    assert (spin(), spin()) == (CHECK, CHECK)


def test_each_operation_is_timed_by_itself() -> None:
    """What happens between them is not in their times."""
    clock = FakeClock()
    lengths = iter([3, 5, 8])
    assert times_ns(lambda: clock.advance(next(lengths)), 3, clock) == [3, 5, 8]


def test_a_coarse_clock_is_seen_by_its_steps() -> None:
    """The least step is what it moves by when it moves; in the middle a reading may cost none."""
    assert ticks(Stepping(step_ns=100), 1001) == (100, 50.0)
    assert ticks(FakeClock(7), 100) == (0, 0.0)


def test_the_stolen_share_is_of_all_cpu_time_between_two_readings() -> None:
    """Guests' time is in the user's already and is not counted twice; a system that says nothing gives None."""
    before, after = [100, 0, 50, 800, 0, 0, 0, 10, 99, 0], [140, 0, 60, 840, 0, 0, 0, 20, 199, 0]
    assert stolen(before, after) == 0.1
    assert stolen(before, before) is None
    assert stolen(None, after) is None
    assert stolen([1, 2, 3], [4, 5, 6]) is None


@pytest.mark.slow
def test_two_real_processes_take_turns() -> None:
    """Each has answered every round with its slice, and they are gone afterwards."""
    found = twins(3, random.Random(1), MonotonicClock(), None)
    assert [[len(times) for times in side] for side in (found.first, found.second)] == [[4, 4, 4], [4, 4, 4]]
    assert found.seconds > 0


@pytest.mark.slow
def test_an_examination_leaves_the_process_on_the_cores_it_had() -> None:
    """Whatever it found."""
    before = os.sched_getaffinity(0)
    found = examine(DoctorEffort(twins=2, rounds=2, waits=3), cores=Cores(min(before), max(before), tuple(sorted(before))))
    assert os.sched_getaffinity(0) == before
    assert found.noise.number == 2
    assert found.machine.late_p99_ns is not None
