"""Tests of the memory probe, in separate processes: the kernel's peak has what sampling misses, and a limit ends an operation."""

import subprocess
import sys

import pytest

from harness.bench.probes.memory import CURVE_POINTS, thin

PROGRAM = """
import sys
from harness.runtime.clock import MonotonicClock
from harness.bench.probes import memory
calls = []
def operation():
    calls.append(1)
    {body}
    return 42
try:
    used, answer = memory.{call}
except MemoryError:
    print("MemoryError")
else:
    print(answer, len(calls), used.peak_bytes - used.idle_bytes, len(used.curve))
"""


def measured(body: str, call: str = "measure(operation, MonotonicClock())") -> list[str]:
    """Run the probe in a fresh process and return the words it printed."""
    program = PROGRAM.format(body=body, call=call)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_short_spike_is_in_the_peak() -> None:
    """Eighty megabytes that are gone at once are in the kernel's high-water mark, whatever the sampler saw."""
    answer, calls, added, _ = measured("x = bytearray(80_000_000); x[::4096] = b'x' * len(x[::4096]); del x")
    assert (answer, calls) == ("42", "1")
    assert 75_000_000 < int(added) < 120_000_000


def test_a_quick_operation_runs_once() -> None:
    """memory-profiler repeats short functions unless told not to, which would write twice."""
    assert measured("pass")[:2] == ["42", "1"]


def test_only_a_tight_limit_ends_an_operation() -> None:
    """The same operation raises MemoryError under a tight limit, and completes under a wide one."""
    body = "bytearray(80_000_000)"
    assert measured(body, "measure(operation, MonotonicClock(), 40_000_000)") == ["MemoryError"]
    assert measured(body, "measure(operation, MonotonicClock(), 160_000_000)")[0] == "42"


@pytest.mark.parametrize("length", [0, 1, CURVE_POINTS, CURVE_POINTS + 1, 10 * CURVE_POINTS + 7])
def test_a_long_curve_is_thinned_and_keeps_its_peak(length: int) -> None:
    """Never many more points than asked for; the highest and the last stay."""
    curve = [(i / 100, (i * 7919) % 10_007) for i in range(length)]
    kept = thin(curve)
    assert len(kept) <= CURVE_POINTS + 1
    if curve:
        assert max(b for _, b in kept) == max(b for _, b in curve)
        assert kept[-1] == curve[-1]
