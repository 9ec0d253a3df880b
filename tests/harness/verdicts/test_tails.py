"""Percentiles at which an arm is slower than the baseline."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.results.run import ArmResult, Latency, PercentileRatio, PromiseVerdict, Ratio, ScenarioResult, ScenarioStatus
from harness.verdicts import measures, promise
from harness.verdicts.tails import slower
from harness.verdicts.warnings import warnings_about

TIMES_NS: dict[tuple[str, str], dict[str, float | None]] = {
    ("baseline", "read"): {"50": 14e6, "99": 35e6},
    ("optimised", "read"): {"50": 10e6, "99": 2.4e9},
}


def ratio(label: str, value: float | None, low: float | None = None, high: float | None = None) -> PercentileRatio:
    """Return the ratio of a percentile."""
    return PercentileRatio("optimised", "read", label, 1000, value, low, high)


def test_the_worst_percentile_is_named_beside_the_median() -> None:
    """With both times, and how the median compares."""
    found = slower([ratio("50", 1.4, 1.35, 1.45), ratio("95", 0.5, 0.4, 0.6), ratio("99", 0.0146, 0.012, 0.018)], TIMES_NS)
    assert found == {("optimised", "read"): "p99: 35 ms → 2.4 s (p50 1.4×)"}


@pytest.mark.parametrize(
    "ratios",
    [
        [ratio("50", 0.7, 0.6, 1.09)],
        [ratio("50", 2.0, 1.9, 2.1), ratio("99", 1.5, 1.2, 1.8)],
        [ratio("50", 1.0, 0.9, 1.1), ratio("95", 1.0, 0.9, 1.1), ratio("99", 0.8, 0.645, 0.99)],  # one of three, by chance
        [ratio("50", 0.5, 0.45, 0.55), ratio("99", 1.5, 1.2, 1.8)],  # the median has a ratio of its own
        [ratio("99", None)],
        [ratio("99", 0.5)],
        [ratio("99", 0.97, 0.969, 0.971)],  # significant, and not worth a word
    ],
)
def test_others_are_not_named(ratios: list[PercentileRatio]) -> None:
    """Faster ones, those without an interval, differences by chance, and small ones."""
    assert slower(ratios, TIMES_NS) == {}


@given(st.floats(1.0, 100), st.floats(1.0, 3.0))
def test_a_faster_arm_is_never_slower(value: float, spread: float) -> None:
    """Whatever the interval."""
    assert slower([ratio("99", value, value / spread, value * spread)], TIMES_NS) == {}


def result(*ratios: PercentileRatio) -> ScenarioResult:
    """Return a scenario's result with paired times and these ratios of percentiles."""
    latencies = [Latency(arm, group, 1000, 1e7, 1, 10**10, known) for (arm, group), known in TIMES_NS.items()]
    arms = [ArmResult(name, "") for name in ("baseline", "optimised")]
    timed = [Ratio("optimised", "read", 1.4, 1.35, 1.45, [1.4] * 5, 500)]
    whole = ScenarioResult("toy", "Toy.", "Toy.", "toy.py", "sqlite", 0.0, ScenarioStatus.OK, arms=arms, processes=5)
    return replace(whole, latencies=latencies, ratios=timed, percentile_ratios=list(ratios))


def test_a_kept_promise_of_speed_names_a_slower_tail() -> None:
    """The verdict's sentence has it, and so does a warning of the scenario."""
    fast = promise.Promise("P1", "faster", promise.times(1.2), measures.speedup("read"))
    slow_tail = result(ratio("50", 1.4, 1.35, 1.45), ratio("99", 0.0146, 0.012, 0.018))
    (verdict,) = promise.judge(fast, slow_tail)
    assert verdict.verdict == PromiseVerdict.CONFIRMED
    assert verdict.sentence.endswith("; slower at p99: 35 ms → 2.4 s (p50 1.4×)")
    (warning,) = [w for w in warnings_about(slow_tail) if w.name == "slower tail"]
    assert warning.message == "optimised, read: p99: 35 ms → 2.4 s (p50 1.4×)"
    (verdict,) = promise.judge(fast, result(ratio("50", 1.4, 1.35, 1.45)))
    assert "slower" not in verdict.sentence
