"""A run under load: how it is shared out over engine processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.discovery import load
from harness.load.protocol import LoadJob
from harness.load.session import LoadPlan, load_facts
from harness.results.load import LoadModel
from harness.results.run import RunSettings

TOY = load(Path(__file__).parents[2] / "toys" / "adding.py")


@pytest.mark.parametrize(("cycles", "processes", "shares"), [(6, 2, [3, 3]), (7, 2, [4, 3]), (1, 2, [1]), (5, 4, [2, 1, 1, 1])])
def test_cycles_are_shared_out_over_processes(tmp_path: Path, cycles: int, processes: int, shares: list[int]) -> None:
    """All of them, as evenly as can be, and no process without one."""
    settings = RunSettings(["sqlite"], "tiny", 0, [0.0], quick=False, processes=processes, budget_s=1.0)
    assert LoadPlan(TOY, settings, LoadJob([], [], 1.0), cycles, tmp_path, "harness load").cycles_per_worker() == shares


def test_the_record_says_how_the_load_went() -> None:
    """Arrivals in the open model, users in the closed one."""
    assert load_facts(LoadJob([], [], 1.0, arrivals="200"), 0)["arrivals"] == "200 a second, evenly spaced"
    assert load_facts(LoadJob([], [], 1.0, model=LoadModel.CLOSED), 8)["users"] == "8"
