"""How much load arms hold, as tables and in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.report import capacity
from harness.report.capacity import Limit, level, limit
from harness.report.numbers import interval, significant
from harness.results.load import CapacityKind, CapacityStep
from harness.results.run import ScenarioResult


@pytest.mark.parametrize(
    ("objective", "found"),
    [
        ("p95 < 150ms, errors < 0.1%", Limit("95", 150e6)),
        ("errors ≤ 1 %, p99.9 ≤ 2.5 s", Limit("99.9", 2.5e9)),
        ("mean<=800 µs", Limit("mean", 800e3)),
        ("errors < 1 %", Limit("95")),
        ("p95 < 1.2.3 ms", Limit("95")),
    ],
)
def test_the_limit_is_read_from_the_objective(objective: str, found: Limit) -> None:
    """The first clause about a time gives the line to draw; without one there is none."""
    assert limit(objective) == found


def step(at: float, achieved: float, ms: float | None, **changes: object) -> CapacityStep:
    """A step with one percentile."""
    percentiles_ns = {"95": None if ms is None else ms * 1e6}
    return replace(CapacityStep(at, achieved, 100, 0, percentiles_ns, sustained=True, reason="fine"), **changes)  # type: ignore[arg-type]


def test_held_levels_stand_against_the_baseline(load_result: ScenarioResult) -> None:
    """A table a kind and a row an arm, with units, and the ratio between the outer quotients of both brackets."""
    rates, users = capacity.tables(load_result)
    assert rates.caption == "The most operations a second at which p95 < 150 ms, errors < 0.1 %"
    assert [row[0].text for row in users.rows] == ["baseline", "proposed", "optimised"]
    assert rates.rows[0][1].text.endswith("/s")
    assert users.rows[0][1].text.endswith(" users")
    under = load_result.load
    assert under is not None
    base, best = (capacity.found(under, arm, CapacityKind.RATE) for arm in ("baseline", "optimised"))
    assert base is not None
    assert best is not None
    value, low, high = best.sustained / base.sustained, best.sustained / base.failed_at, best.failed_at / base.sustained  # type: ignore[operator]
    assert capacity.against(under, best).text == f"{significant(value)}× {interval(low, high)}"
    assert capacity.against(under, base).text == "–"


def test_what_was_not_found_is_a_dash_with_its_reason(load_result: ScenarioResult) -> None:
    """A search that ended before its bracket shows why, and gives no bounds."""
    under = load_result.load
    assert under is not None
    ended = [replace(c, failed_at=None, reason="at least: the generator was the limit") for c in under.capacities]
    none = [replace(c, sustained=None, reason="the lowest level failed") for c in under.capacities]
    rows = capacity.tables(replace(load_result, load=replace(under, capacities=ended)))[0].rows
    assert (rows[0][2].text, rows[0][2].note) == ("–", "at least: the generator was the limit")
    assert "[" not in rows[2][3].text
    rows = capacity.tables(replace(load_result, load=replace(under, capacities=none)))[0].rows
    assert {row[3].text for row in rows} == {"–"}


def test_every_step_is_listed(load_result: ScenarioResult) -> None:
    """In its order, with its outcome in a word and its reason at hand."""
    table = capacity.steps(load_result)
    under = load_result.load
    assert table is not None
    assert under is not None
    assert len(table.rows) == sum(len(c.steps) for c in under.capacities)
    assert {row[2].text for row in table.rows} == {"holds", "fails"}
    assert capacity.outcome(step(1, 1, 1, sustained=None)) == "undecided"
    assert capacity.outcome(step(1, 1, 1, invalid="generator")) == "undecided"


def test_levels_have_units() -> None:
    """Rates are a second, users are whole."""
    assert (
        level(420.0, CapacityKind.RATE),
        level(36.0, CapacityKind.USERS),
        level(1.0, CapacityKind.USERS),
        level(None, CapacityKind.RATE),
    ) == ("420/s", "36 users", "1 user", "–")


def test_nothing_searched_is_no_table(failed_result: ScenarioResult) -> None:
    """A scenario without capacities has no empty tables."""
    assert (capacity.tables(failed_result), capacity.steps(failed_result), capacity.reasons(failed_result)) == ([], None, [])
