"""Capacities as tables and in words."""

import math
from dataclasses import replace

import pytest

from harness.report import capacity
from harness.report.capacity import level, limit
from harness.report.numbers import interval, significant
from harness.results.load import CapacityKind, CapacityStep
from harness.results.run import ScenarioResult


@pytest.mark.parametrize(
    ("objective", "found"),
    [
        ("p95 < 150ms, errors < 0.1%", ("p95", 150e6)),
        ("errors ≤ 1 %, p99.9 ≤ 2.5 s", ("p99.9", 2.5e9)),
        ("mean<=800 µs", ("mean", 800e3)),
        ("errors < 1 %", ("p95", math.inf)),
        ("p95 < 1.2.3 ms", ("p95", math.inf)),
    ],
)
def test_the_limit_is_read_from_the_objective(objective: str, found: tuple[str, float]) -> None:
    """The first limit of time is drawn; without one there is no line."""
    assert (limit(objective).name, limit(objective).limit) == found


def step(at: float, achieved: float, ms: float | None, **changes: object) -> CapacityStep:
    """A step with one percentile."""
    percentiles_ns = {"95": None if ms is None else ms * 1e6}
    return replace(CapacityStep(at, achieved, 100, 0, percentiles_ns, sustained=True, reason="fine"), **changes)  # type: ignore[arg-type]


def test_sustained_levels_are_compared_with_the_baseline(load_result: ScenarioResult) -> None:
    """Each kind has a table with a row per arm, with units, and the ratio within the outer quotients of both brackets."""
    rates, users = capacity.tables(load_result)
    assert rates.caption == "Highest operations per second within p95 < 150 ms, errors < 0.1 %"
    assert [row[0].text for row in users.rows] == ["baseline", "proposed", "optimised"]
    assert rates.rows[0][1].text.endswith("/s")
    assert users.rows[0][1].text.endswith(" users")
    under = load_result.load
    assert under is not None
    base, best = (capacity.found(under, arm, CapacityKind.RATE) for arm in ("baseline", "optimised"))
    assert base is not None
    assert best is not None
    value, low, high = best.sustained / base.sustained, best.sustained / base.failed_at, best.failed_at / base.sustained  # type: ignore[operator]
    assert capacity.against(under, best).full == f"{significant(value)}× {interval(low, high)}"
    assert capacity.against(under, base).text == "–"


def test_a_missing_level_is_a_dash_with_its_reason(load_result: ScenarioResult) -> None:
    """A search that ended early shows why, and has no bounds."""
    under = load_result.load
    assert under is not None
    ended = [replace(c, failed_at=None, reason="at least: the generator was the limit") for c in under.capacities]
    none = [replace(c, sustained=None, reason="the lowest level failed") for c in under.capacities]
    rows = capacity.tables(replace(load_result, load=replace(under, capacities=ended)))[0].rows
    assert (rows[0][3].text, rows[0][6].text) == ("–", "at least: the generator was the limit")
    assert not rows[2][2].detail
    rows = capacity.tables(replace(load_result, load=replace(under, capacities=none)))[0].rows
    assert {row[1].text for row in rows} == {row[2].text for row in rows} == {"–"}


def test_the_next_level_has_the_reason_why_it_fails(load_result: ScenarioResult) -> None:
    """It is that of the step at the failing level, its failures before its times; a hostile one is a short line."""
    under = load_result.load
    assert under is not None
    first = under.capacities[0]
    failed = next(s for s in first.steps if s.level == first.failed_at)
    assert capacity.tables(load_result)[0].rows[0][6].text == failed.reason
    steps = [replace(s, failing="9 of 9 operations failed") for s in first.steps]
    assert capacity.reason(replace(first, steps=steps)) == "9 of 9 operations failed"
    hostile = capacity.reason(replace(first, steps=[], reason="\x1b[31m\n" + "x" * 10_000))
    assert len(hostile) == capacity.MOST_REASON
    assert hostile.isprintable()


def test_every_step_is_listed(load_result: ScenarioResult) -> None:
    """Steps are in their order, each with its outcome and reason."""
    table = capacity.steps(load_result)
    under = load_result.load
    assert table is not None
    assert under is not None
    assert len(table.rows) == sum(len(c.steps) for c in under.capacities)
    assert {row[2].text for row in table.rows} == {"sustained", "failed"}
    assert capacity.outcome(step(1, 1, 1, sustained=None)) == "undecided"
    assert capacity.outcome(step(1, 1, 1, invalid="generator")) == "undecided"


def test_levels_have_units() -> None:
    """Rates are per second, users are whole numbers."""
    assert (
        level(420.0, CapacityKind.RATE),
        level(36.0, CapacityKind.USERS),
        level(1.0, CapacityKind.USERS),
        level(None, CapacityKind.RATE),
    ) == ("420/s", "36 users", "1 user", "–")


def test_a_result_without_capacities_has_no_tables(failed_result: ScenarioResult) -> None:
    """A scenario without capacities has no empty tables."""
    assert (capacity.tables(failed_result), capacity.steps(failed_result), capacity.reasons(failed_result)) == ([], None, [])
