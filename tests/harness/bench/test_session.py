"""A run from start to end: who is timed beside others."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.bench.result import ScenarioEvidence
from harness.bench.session import RunPlan, RunSession
from harness.bench.steps import Silent
from harness.bench.trial import ScenarioRun
from harness.discovery import load
from harness.results.run import RunSettings
from harness.runtime.cores import Cores, Isolation
from harness.scenario import Server, Setting

TOY = Path(__file__).parents[2] / "toys" / "distant.py"
SERVERS = {"echo": Server("echo://127.0.0.1:1", "echo://127.0.0.1:2")}
SEVERAL = RunSettings(["sqlite"], "tiny", 0, [0.0, 5.0], quick=False, processes=1, budget_s=1.0)


@pytest.mark.parametrize(
    ("rtt_ms", "busy", "company"),
    [(0.0, False, Isolation.NONE), (5.0, False, Isolation.TIMED), (5.0, True, Isolation.NONE)],
)
def test_only_what_leaves_its_core_idle_is_timed_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rtt_ms: float, company: Isolation, *, busy: bool
) -> None:
    """A server near by needs a core, one that is far away does not, unless the scenario says that it keeps one busy."""
    loaded = load(TOY)
    monkeypatch.setattr(loaded.scenario, "busy", busy)
    plan = RunPlan([loaded], SEVERAL, tmp_path, "harness run distant")
    session = RunSession(plan, Silent(), Cores(0, 1, (0, 1)))
    trial = ScenarioRun(ScenarioEvidence(loaded, "sqlite", rtt_ms), Setting(tmp_path, tmp_path, rtt_ms=rtt_ms, servers=SERVERS))
    assert session._company(trial) is company
