"""The benchmark of load workers: sums, cores, limits, and a short real run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import NotMeasurableError, ScenarioFailedError
from harness.load.block import LatencyHistograms, LoadBlock
from harness.stats.histogram import Histogram, HistogramWire
from tools.load_generator import bench_workers
from tools.load_generator.bench_workers import WorkersResult, cores_of, limits
from tools.load_generator.echo_scenario import ECHO, NOTHING

ROOT = Path(__file__).parents[3]


def wire(*times_ns: int) -> HistogramWire:
    """Return a histogram of times."""
    histogram = Histogram()
    for ns in times_ns:
        histogram.record(ns)
    return histogram.to_wire()


def block(times_ns: list[int], measured_ns: int, cpu_percent: float, errors: dict[str, int] | None = None) -> LoadBlock:
    """Return one worker's block."""
    number = len(times_ns)
    times = LatencyHistograms(wire(*times_ns), wire(*times_ns), wire(), number, errors or {}, 0, 0, number, number)
    return LoadBlock("asking", ECHO, 0, 0, 4, measured_ns, {"ask": times}, wire(), cpu_percent)


def test_workers_are_added_up() -> None:
    """Rates add up, each over its own measured time; percentiles are those of all operations."""
    result = WorkersResult.of([block([1000] * 10, 10**9, 50.0), block([3000] * 30, 2 * 10**9, 70.0)], 0.4)
    assert result.operations_per_s == 10 + 15
    assert result.p50_ms == result.p99_ms == pytest.approx(0.003, rel=1e-3)
    assert result.workers_cores == pytest.approx(1.2)
    assert result.echo_cores == 0.4


def test_failed_operations_are_an_error() -> None:
    """Errors end the benchmark with their message, and so does a block without operations."""
    with pytest.raises(ScenarioFailedError, match="refuses"):
        WorkersResult.of([block([1000], 10**9, 1.0, {"the server refuses connections": 1})], 0.0)
    with pytest.raises(ScenarioFailedError, match="no operation"):
        WorkersResult.of([block([], 10**9, 1.0)], 0.0)


def test_the_echo_has_its_core_while_it_is_used() -> None:
    """Workers share the other cores while they use the echo, and all cores otherwise."""
    assert cores_of(ECHO, 4, [0, 1, 2]) == [1, 2, 1, 2]
    assert cores_of(NOTHING, 4, [0, 1, 2]) == [2, 1, 0, 2]


@pytest.mark.parametrize(
    ("arm", "workers_cores", "echo_cores", "expected"),
    [
        (ECHO, 0.5, 0.95, "the echo"),
        (ECHO, 0.95, 0.5, "the workers' 1"),
        (ECHO, 1.0, 1.0, "the echo and the workers' 1"),
        (ECHO, 0.2, 0.2, "neither: other processes used the cores"),
        (NOTHING, 1.9, 1.0, "the workers' 2"),
    ],
)
def test_the_limit_is_named(arm: str, workers_cores: float, echo_cores: float, expected: str) -> None:
    """The echo's core counts only while it is used, the workers' cores if all of them are full."""
    result = WorkersResult(1.0, 1.0, 1.0, workers_cores, echo_cores)
    assert limits(arm, 2, result, [0, 1]) == expected


def test_a_single_core_is_not_enough() -> None:
    """Server and generator on one core would delay each other."""
    with pytest.raises(NotMeasurableError, match="two cores"):
        bench_workers.grow((1,), 1, 1, 0.1, [0])


@pytest.mark.slow
def test_a_short_bench_prints_every_row() -> None:
    """One, two and four workers run with and without the echo, and no process remains."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("the bench needs two cores")
    pytest.importorskip("uvicorn")
    command = [sys.executable, "-m", "tools.load_generator.bench_workers", "--rounds", "1", "--seconds", "0.6", "--users", "4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if "│" in line and ("the echo" in line or "nothing" in line)]
    assert len(rows) == 6
