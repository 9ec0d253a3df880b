"""The validation of response times under load: accuracy, requirements, the table, and a short real run."""

import os
from collections.abc import Mapping

import pytest

from harness.errors import NotMeasurableError
from harness.runtime.clock import MonotonicClock
from harness.runtime.cores import Cores
from harness.stats.intervals import QUANTILES
from tools.load_generator.programs import ToolResult
from tools.validation import load_times
from tools.validation.load.server import SITUATIONS, known_server
from tools.validation.load_times import (
    TOOLS,
    CpuReading,
    ToolAccuracy,
    measure,
    middle,
    other_cores,
    reading,
    requirements,
    table,
)

TRUTH = {"50": 0.25, "90": 2.0, "95": 100.0, "99": 500.0, "99.9": 1000.0}
BOUNDS = {"50": 0.5, "90": 0.5, "95": 1.0, "99": 5.0, "99.9": 10.0}


def line(errors_ms: Mapping[str, float], tool: int = 0) -> ToolAccuracy:
    """Return a line whose percentiles have these errors."""
    return ToolAccuracy(
        TOOLS[tool], ToolResult(990, {label: TRUTH[label] + errors_ms.get(label, 0.0) for label in TRUTH}), TRUTH, 1000
    )


@pytest.mark.parametrize("label", QUANTILES)
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_percentile_is_right_within_the_larger_bound(label: str, sign: int) -> None:
    """The bound is 0.5 ms or 1 % of the truth, whichever is more, in either direction."""
    assert line({label: sign * BOUNDS[label] * 0.99}).is_right(label)
    assert not line({label: sign * BOUNDS[label] * 1.01}).is_right(label)
    assert line({label: sign * BOUNDS[label] * 1.01}).right == len(QUANTILES) - 1


def test_one_disturbed_round_has_no_effect() -> None:
    """The medians over rounds count, of the results and of the truth."""
    rounds = [line({"99": 1.0}), line({"99": 900.0}), line({"99": 2.0})]
    assert middle(rounds).error_ms("99") == pytest.approx(2.0)
    assert middle(rounds).truth_ms == TRUTH
    assert middle(rounds).result.operations == 990
    assert middle(rounds).planned == 1000


def test_only_this_harness_has_to_be_right() -> None:
    """There is one requirement per situation, which names the worst percentile of this harness."""
    situation = SITUATIONS[0]
    found = requirements([(situation, line({"95": 3.0, "99": 4.0}), 0.25), (situation, line({"99": -400.0}, tool=1), 0.0)])
    assert [requirement.met for requirement in found] == [False]
    assert "the worst is p95, +3.0 ms, +3.0% (other processes used 25% of a core)" in found[0].text
    assert requirements([(situation, line({}), 0.0)])[0].met


def test_the_table_shows_truth_and_errors() -> None:
    """Each tool has its errors in brackets, the truth of its run above it, and a note if it is not installed."""
    drawn = table(SITUATIONS[2], [line({"50": 0.1234, "95": -60.0})], ["wrk"], 0.034)
    assert drawn.rows == [
        ["truth for this harness", "1000", "0.250", "2.000", "100.0", "500.0", "1000.0", ""],
        [
            "**this harness**",
            "990",
            "0.373 (+0.123 ms, +49.4%)",
            "2.000 (+0.000 ms, +0.0%)",
            "40.0 (-60.0 ms, -60.0%)",
            "500.0 (+0.000 ms, +0.0%)",
            "1000.0 (+0.000 ms, +0.0%)",
            "4 of 5",
        ],
        ["**wrk**", "not installed", "", "", "", "", "", ""],
    ]
    assert "the server stalls. From second 2 to second 3 it sends no response. 200 users arrive per second for 5 s" in drawn.text
    assert "Other processes used 3% of a core meanwhile." in drawn.text


def test_a_single_core_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server and a tool on one core would delay each other."""
    monkeypatch.setattr(load_times, "choose_cores", lambda: Cores(None, None))
    with pytest.raises(NotMeasurableError, match="two cores"):
        load_times.run(1.0)


@pytest.mark.slow
def test_a_short_real_run_counts_every_request() -> None:
    """This harness counts as many requests as users would have sent, and truth and result have every percentile."""
    pytest.importorskip("uvloop")
    before = os.sched_getaffinity(0)
    with known_server(frozenset()) as server:
        found = measure(TOOLS[0], server, SITUATIONS[0].shortened(0.1))
    assert found.result.operations == found.planned == 400
    assert set(found.truth_ms) == set(found.result.percentiles_ms) == set(QUANTILES)
    assert os.sched_getaffinity(0) == before


def test_other_load_is_the_total_without_own_time() -> None:
    """It is averaged over the elapsed time, and rounding never makes it negative."""
    before = CpuReading(5_000_000_000, 100.0, 10.0)
    assert other_cores(before, CpuReading(15_000_000_000, 112.0, 15.0)) == pytest.approx(0.7)
    assert other_cores(before, CpuReading(15_000_000_000, 103.0, 13.1)) == 0.0
    assert other_cores(before, before) == 0.0


def test_readings_only_grow() -> None:
    """A later reading is at least as large as an earlier one, and the total is above 0."""
    clock = MonotonicClock()
    before, after = reading(os.getpid(), clock), reading(os.getpid(), clock)
    assert after.at_ns > before.at_ns
    assert after.own_s >= before.own_s
    assert after.total_s > 0
