"""A load test: its distribution over load workers."""

from pathlib import Path

import pytest

from harness.discovery import load
from harness.load.protocol import LoadJob
from harness.load.results import CollectedResults
from harness.load.session import LoadPlan, load_facts
from harness.results.load import LoadModel
from harness.results.run import RunSettings

TOY = load(Path(__file__).parents[2] / "toys" / "adding.py")


@pytest.mark.parametrize(("cycles", "processes", "shares"), [(6, 2, [3, 3]), (7, 2, [4, 3]), (1, 2, [1]), (5, 4, [2, 1, 1, 1])])
def test_cycles_are_distributed_over_load_workers(tmp_path: Path, cycles: int, processes: int, shares: list[int]) -> None:
    """The distribution is as even as possible, and every worker has at least one."""
    settings = RunSettings(["sqlite"], "tiny", 0, [0.0], quick=False, processes=processes, budget_s=1.0)
    assert LoadPlan(TOY, settings, LoadJob([], [], 1.0), cycles, tmp_path, "harness load").cycles_per_worker() == shares


def test_the_record_describes_the_load() -> None:
    """The facts have the schedule of the open model, and the users of the closed model."""
    assert load_facts(CollectedResults(), LoadJob([], [], 1.0, arrivals="200"), 0)["arrivals"] == "200 per second, evenly spaced"
    assert load_facts(CollectedResults(), LoadJob([], [], 1.0, model=LoadModel.CLOSED), 8)["users"] == "8"
