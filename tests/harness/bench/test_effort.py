"""How much a run puts into each trial."""

from __future__ import annotations

from dataclasses import replace

from harness.bench.effort import QUICK, SEVERAL, USUAL, effort
from harness.results.run import RunSettings

ONE = RunSettings(engines=["sqlite"], size="small", seed=0, rtts_ms=[0.0], quick=False, processes=5, budget_s=30.0)


def test_several_places_get_less_each_however_they_come_about() -> None:
    """Several engines, several distances, or both are several places; a first look at one place is no such run."""
    assert effort(ONE) is USUAL
    assert effort(replace(ONE, quick=True)) is QUICK
    assert effort(replace(ONE, rtts_ms=[0.0, 5.0])) is SEVERAL
    assert effort(replace(ONE, engines=["sqlite", "turso"], quick=True)) is SEVERAL
