"""From blocks to a run: ratios over cycles or processes, errors as doubts, nothing out of nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.discovery import load
from harness.load import results
from harness.load.protocol import Block

TOY = load(Path(__file__).parents[2] / "toys" / "adding.py")


def cycle(number: int, base_ns: int, arm_ns: int, errors: dict[str, int] | None = None) -> list[Block]:
    """Return one cycle of two arms."""
    return [
        Block("adding", "baseline", number, 0, 8, 10**9, {"sum": [base_ns] * 3}, {}),
        Block("adding", "optimised", number, 1, 8, 10**9, {"sum": [arm_ns] * 3}, errors or {}),
    ]


def test_one_process_gives_the_sign_tests_interval_over_cycles() -> None:
    """With a doubt that says so."""
    blocks = {1: [b for i in range(20) for b in cycle(i, 4000 + i, 1000)]}
    found = results.result(TOY, "sqlite", 0.0, {}, blocks, "samples/x.csv")
    (ratio,) = found.ratios
    assert ratio.pairs == 20
    assert [ratio.ratio, ratio.low, ratio.high] == pytest.approx([4.0095, 4.005, 4.014])
    assert {d.name for d in found.doubts} == {"one process"}


def test_several_processes_give_students_interval() -> None:
    """Over each process's median."""
    blocks = {p: [b for i in range(5) for b in cycle(i, 4000 + 100 * p, 1000)] for p in (1, 2, 3)}
    (ratio,) = results.result(TOY, "sqlite", 0.0, {}, blocks, "x").ratios
    assert ratio.processes == pytest.approx([4.1, 4.2, 4.3])
    assert ratio.low is not None
    assert (ratio.low < 4.1, (ratio.high or 0) > 4.3) == (True, True)


def test_failed_operations_are_a_doubt_by_message() -> None:
    """They are no samples."""
    found = results.result(TOY, "sqlite", 0.0, {}, {1: cycle(0, 4, 1, {"locked": 7})}, "x")
    assert "optimised: 7 × locked" in {d.says for d in found.doubts}
    assert sum(x.samples for x in found.latencies) == 6


def test_a_run_without_operations_has_failed() -> None:
    """Zero requests is no success."""
    found = results.result(TOY, "sqlite", 0.0, {}, {1: []}, "x")
    assert (found.status, found.samples_file) == ("failed", None)
    assert "no operation was finished" in (found.error or "")
