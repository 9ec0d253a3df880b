"""The bench of engine processes: how it sums up, seats and judges, and a short real run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import NotMeasurableError, ScenarioFailedError
from harness.load.block import LatencyHistograms, LoadBlock
from harness.stats.histogram import Histogram, HistogramWire
from tools.load_generator import bench_workers
from tools.load_generator.bench_workers import Turn, limits, seats
from tools.load_generator.echo_scenario import ECHO, NOTHING

ROOT = Path(__file__).parents[3]


def wire(*times_ns: int) -> HistogramWire:
    """Return a histogram of these times."""
    histogram = Histogram()
    for ns in times_ns:
        histogram.record(ns)
    return histogram.to_wire()


def block(times_ns: list[int], measured_ns: int, cpu_percent: float, errors: dict[str, int] | None = None) -> LoadBlock:
    """Return one engine's block."""
    number = len(times_ns)
    times = LatencyHistograms(wire(*times_ns), wire(*times_ns), wire(), number, errors or {}, 0, 0, number, number)
    return LoadBlock("asking", ECHO, 0, 0, 4, measured_ns, {"ask": times}, wire(), cpu_percent)


def test_engines_are_summed_up() -> None:
    """Rates add up, each over its own measured time; percentiles are those of all operations."""
    turn = Turn.of([block([1000] * 10, 10**9, 50.0), block([3000] * 30, 2 * 10**9, 70.0)], 0.4)
    assert turn.operations_per_s == 10 + 15
    assert turn.p50_ms == turn.p99_ms == pytest.approx(0.003, rel=1e-3)
    assert turn.engines_cores == pytest.approx(1.2)
    assert turn.echo_cores == 0.4


def test_what_failed_is_no_measurement() -> None:
    """Errors end the bench by their message, and so does a block without an operation."""
    with pytest.raises(ScenarioFailedError, match="refuses"):
        Turn.of([block([1000], 10**9, 1.0, {"the server refuses connections": 1})], 0.0)
    with pytest.raises(ScenarioFailedError, match="no operation"):
        Turn.of([block([], 10**9, 1.0)], 0.0)


def test_the_echo_keeps_its_core_while_it_is_asked() -> None:
    """Engines share the other cores while they ask the echo, and all of them when they ask nothing."""
    assert seats(ECHO, 4, [0, 1, 2]) == [1, 2, 1, 2]
    assert seats(NOTHING, 4, [0, 1, 2]) == [2, 1, 0, 2]


@pytest.mark.parametrize(
    ("arm", "engines_cores", "echo_cores", "says"),
    [
        (ECHO, 0.5, 0.95, "the echo"),
        (ECHO, 0.95, 0.5, "the engines' 1"),
        (ECHO, 1.0, 1.0, "the echo and the engines' 1"),
        (ECHO, 0.2, 0.2, "neither: others used the cores"),
        (NOTHING, 1.9, 1.0, "the engines' 2"),
    ],
)
def test_what_was_full_is_said(arm: str, engines_cores: float, echo_cores: float, says: str) -> None:
    """The echo's core counts as full only while it is asked, the engines' ones when all that they had are."""
    turn = Turn(1.0, 1.0, 1.0, engines_cores, echo_cores)
    assert limits(arm, 2, turn, [0, 1]) == says


def test_one_core_is_too_few() -> None:
    """Server and generator on one core would measure each other."""
    with pytest.raises(NotMeasurableError, match="two cores"):
        bench_workers.grow((1,), 1, 1, 0.1, [0])


@pytest.mark.slow
def test_a_short_bench_prints_every_row() -> None:
    """One, two and four engines are measured against the echo and against nothing, and nothing is left running."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("the bench needs two cores")
    pytest.importorskip("uvicorn")
    command = [sys.executable, "-m", "tools.load_generator.bench_workers", "--rounds", "1", "--seconds", "0.6", "--users", "4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if "│" in line and ("the echo" in line or "nothing" in line)]
    assert len(rows) == 6
