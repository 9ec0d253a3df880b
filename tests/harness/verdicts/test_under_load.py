"""Measures under load: percentiles and their ratios with intervals and sample counts, and the reasons without them."""

from dataclasses import replace

import pytest

from harness.errors import NotMeasurableError
from harness.results.load import ALL, LatencySummary, LoadedArm, LoadModel, LoadRatio, LoadResult
from harness.results.run import ArmResult, ScenarioResult, ScenarioStatus
from harness.verdicts.under_load import response_time, speedup_under_load

NONE = LatencySummary(0)


def row(arm: str, p95_ms: float, **changes: object) -> LoadedArm:
    """Return an arm's figures over all operations."""
    times = LatencySummary(300, percentiles_ns={"95": p95_ms * 1e6, "99": None}, intervals_ns={"95": (p95_ms * 9e5, p95_ms * 12e5)})
    return replace(LoadedArm(arm, ALL, 30.0, 29.0, 300, 0, 0, 0, times, NONE, NONE), **changes)  # type: ignore[arg-type]


def result(*rows: LoadedArm, left_out: str = "", **changes: object) -> ScenarioResult:
    """Return a result with these arms under load."""
    ratios = [LoadRatio("optimised", ALL, "95", 10.0, 8.0, 13.0, 4)]
    load = LoadResult([LoadModel.OPEN], "30 per second", 2.0, 0.5, list(rows), ratios)
    arms = [ArmResult("baseline", "b"), ArmResult("optimised", "o"), ArmResult("proposed", "p", {"write": "OSError"})]
    made = ScenarioResult("whole_api", "S", "S.", "s.py", "sqlite", 0.0, ScenarioStatus.OK, arms=arms, load_left_out=left_out)
    return replace(made, load=replace(load, **changes) if rows else None)  # type: ignore[arg-type]


BOTH = row("baseline", 100.0), row("optimised", 10.0)


def test_a_percentile_has_its_interval_and_its_sample_count() -> None:
    """In milliseconds or in seconds."""
    found = response_time("95")(result(*BOTH), "optimised")
    assert (found.value, found.low, found.high) == pytest.approx((10.0, 9.0, 12.0))
    assert found.note == "p95 of 300 operations at 30 per second"
    assert response_time("95", "s")(result(*BOTH), "optimised").value == pytest.approx(0.01)


def test_a_ratio_is_that_of_the_same_cycles() -> None:
    """With its own interval, and both percentiles with their sample counts in the note."""
    found = speedup_under_load("95")(result(*BOTH), "optimised")
    assert (found.value, found.low, found.high) == (10.0, 8.0, 13.0)
    other = row("optimised", 10.0, offered_per_s=29.0)
    assert "of 300 operations at 30 per second and of 300 operations at 29 per second" in (
        speedup_under_load("95")(result(BOTH[0], other), "optimised").note
    )
    assert found.note == "p95 100 ms → 10 ms, of 300 operations at 30 per second each"


@pytest.mark.parametrize(
    ("found", "arm", "reason"),
    [
        (result(), "optimised", "needs the load of `harness run whole_api`"),
        (result(left_out="the run has no time for the load"), "optimised", "the run has no time for the load"),
        (result(*BOTH, invalid="the load generator was the limit"), "optimised", "the load generator was the limit"),
        (result(*BOTH), "proposed", "cannot run as written: write: OSError"),
        (result(row("baseline", 1.0)), "optimised", "optimised was not under load"),
        (
            result(BOTH[0], row("optimised", 1.0, failing="3 of 300 failed")),
            "optimised",
            "optimised fails under load: 3 of 300 failed",
        ),
        (
            result(row("baseline", 1.0, overloaded="5 were dropped"), BOTH[1]),
            "optimised",
            "baseline cannot sustain the load: 5 were",
        ),
        (result(*BOTH, ratios=[]), "optimised", "optimised and the baseline had other operations under load"),
    ],
)
def test_a_missing_figure_has_its_reason(found: ScenarioResult, arm: str, reason: str) -> None:
    """No load, an invalid one, an arm that could not take it, fails or is overloaded, on either side of a ratio."""
    with pytest.raises(NotMeasurableError, match=f"^{reason}"):
        speedup_under_load("95")(found, arm)


def test_a_percentile_that_the_operations_do_not_support_is_not_measured() -> None:
    """The reason has their number."""
    with pytest.raises(NotMeasurableError, match="300 operations under load do not support p99"):
        response_time("99")(result(*BOTH), "optimised")


def test_an_unknown_percentile_is_refused_where_it_is_declared() -> None:
    """The message names those that there are."""
    with pytest.raises(ValueError, match=r"unknown percentile 'p95'; did you mean 95\? choose from 50, 90, 95, 99, 99\.9"):
        response_time("p95")
    with pytest.raises(ValueError, match="unknown percentile"):
        speedup_under_load("0.95")
