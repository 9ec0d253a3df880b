"""Memory of one operation: the curve that memory-profiler samples, and the kernel's peak.

Only for a dedicated worker process: when the measured function raises, memory-profiler kills every child of its process, and it
runs a short function again unless `max_iterations=1`.
"""

import gc
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from memory_profiler import memory_usage

from harness.runtime.clock import Clock

INTERVAL_S = 0.01
"""Seconds between two samples of the curve. Shorter spikes are still part of the kernel's peak."""
CURVE_POINTS = 400
"""Number of points that a longer curve is thinned to, keeping its peaks."""
_STATUS = Path("/proc/self/status")


class MemoryUse(NamedTuple):
    """Memory of a process during one operation; the fields are those of `harness.results.run.Memory`."""

    idle_bytes: int
    peak_bytes: int
    seconds: float
    curve: list[tuple[float, int]]


def measure(operation: Callable[[], Any], clock: Clock, limit_bytes: int | None = None) -> tuple[MemoryUse, Any]:
    """Run `operation` once; return its memory use, without a curve if it may add `limit_bytes` at most, and its answer."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    idle, samples = status_bytes("VmRSS"), []
    if limit_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (status_bytes("VmData") + limit_bytes,) * 2)
    start_ns = clock.now_ns()
    if limit_bytes is not None:
        answer = operation()
    else:
        samples, answer = memory_usage(
            (operation, (), {}), interval=INTERVAL_S, max_iterations=1, timestamps=True, retval=True, backend="psutil"
        )
    seconds = (clock.now_ns() - start_ns) / 1e9
    curve = [(round(stamp - samples[0][1], 4), int(mib * 2**20)) for mib, stamp in samples]
    return MemoryUse(idle, max([status_bytes("VmHWM"), *(b for _, b in curve)]), seconds, thin(curve)), answer


def status_bytes(name: str) -> int:
    """Return a figure of `/proc/self/status` such as VmRSS, VmHWM or VmData, in bytes; raise OSError if it does not exist."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {name} in {_STATUS}")


def thin(curve: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """Return about `CURVE_POINTS` points of a longer curve: the highest of each stretch, and the last."""
    if len(curve) <= CURVE_POINTS:
        return curve
    stretch = -(-len(curve) // CURVE_POINTS)
    kept = [max(curve[i : i + stretch], key=lambda point: point[1]) for i in range(0, len(curve), stretch)]
    return kept if kept[-1] == curve[-1] else [*kept, curve[-1]]
