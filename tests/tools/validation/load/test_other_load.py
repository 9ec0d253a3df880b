"""Other load on the machine."""

import os

import pytest

from harness.runtime.clock import MonotonicClock
from tools.validation.load.other_load import CpuReading, other_cores, reading

S = 1_000_000_000


def test_other_load_is_the_total_without_own_time() -> None:
    """It is averaged over the elapsed time, and rounding never makes it negative."""
    before = CpuReading(5 * S, 100.0, 10.0)
    assert other_cores(before, CpuReading(15 * S, 112.0, 15.0)) == pytest.approx(0.7)
    assert other_cores(before, CpuReading(15 * S, 103.0, 13.1)) == 0.0
    assert other_cores(before, before) == 0.0


def test_readings_only_grow() -> None:
    """A later reading is at least as large as an earlier one, and the total is above 0."""
    clock = MonotonicClock()
    before, after = reading(os.getpid(), clock), reading(os.getpid(), clock)
    assert after.at_ns > before.at_ns
    assert after.own_s >= before.own_s
    assert after.total_s > 0
