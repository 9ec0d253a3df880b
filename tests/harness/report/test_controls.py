"""The run's controls as tables."""

from __future__ import annotations

from collections.abc import Callable

from harness.report.controls import tables
from harness.results.run import PURE_CPU, Controls, Drift, InjectedSlowdown, ScenarioResult


def test_drift_and_planted_slow_downs_are_told(make_result: Callable[..., ScenarioResult]) -> None:
    """A row a control and a row a group; what has no interval says why."""
    drift = Drift(PURE_CPU, 1234, 1_250_000.0, 1.031, 0.012, [1.03, 1.031])
    planted = [InjectedSlowdown("g", 0.03, 0.029, 0.02, 0.04, 40), InjectedSlowdown("h", 0.03, 0.029, None, None, 8)]
    drifts, slowed = tables(make_result(controls=Controls([drift], planted)))
    assert [cell.text for cell in drifts.rows[0]] == ["pure CPU", "1.250", "1.031", "±1.2 %", "1,234"]
    assert [cell.text for cell in slowed.rows[0]] == ["g", "+3.0 %", "+2.9 %", "+2.0 % … +4.0 %", "yes", "40"]
    assert [cell.text for cell in slowed.rows[1]][3:] == ["–", "no", "8"]
    assert "two processes" in slowed.rows[1][3].note


def test_without_controls_there_is_no_table(make_result: Callable[..., ScenarioResult]) -> None:
    """As in runs that were measured before there were any."""
    assert tables(make_result()) == []
