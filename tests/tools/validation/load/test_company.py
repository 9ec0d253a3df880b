"""Who else was on the machine."""

from __future__ import annotations

import os

import pytest

from harness.runtime.clock import MonotonicClock
from tools.validation.load.company import CpuReading, others_cores, reading

S = 1_000_000_000


def test_what_is_not_our_own_is_others() -> None:
    """Others have what everybody used but for our own, over the time that passed; rounding never makes it less than nothing."""
    before = CpuReading(5 * S, 100.0, 10.0)
    assert others_cores(before, CpuReading(15 * S, 112.0, 15.0)) == pytest.approx(0.7)
    assert others_cores(before, CpuReading(15 * S, 103.0, 13.1)) == 0.0
    assert others_cores(before, before) == 0.0


def test_readings_only_grow() -> None:
    """On this machine a later reading has used at least as much as an earlier one, and everybody at least something."""
    clock = MonotonicClock()
    before, after = reading(os.getpid(), clock), reading(os.getpid(), clock)
    assert after.at_ns > before.at_ns
    assert after.own_s >= before.own_s
    assert after.everybody_s > 0
