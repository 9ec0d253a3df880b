"""Times of a file: counted, summarised, checked, and named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.importers.reading import MAX_TEXT, InvalidFileError, TimeCounts, check_timings, nanoseconds, one_line, raw_timing
from harness.stats.intervals import percentiles


@given(st.lists(st.integers(1, 1_000), min_size=1, max_size=200))
def test_counted_values_have_the_figures_of_the_raw_ones(values: list[int]) -> None:
    """Mean, quantiles and percentiles equal those that NumPy computes from the values."""
    counted = TimeCounts.of(float(v) for v in values)
    assert counted.total == len(values)
    assert counted.mean_ns == pytest.approx(np.mean(values))
    for quantile in (0.0, 0.25, 0.5, 0.9, 1.0):
        assert counted.quantile_ns(quantile) == pytest.approx(np.quantile(values, quantile))
    expected = percentiles(values)
    found = counted.percentiles_ns()
    assert {label for label, v in found.items() if v is None} == {label for label, v in expected.items() if v is None}


@pytest.mark.parametrize("value", [-1.0, 0.0, float("nan"), float("inf"), -float("inf"), 1e300])
def test_an_invalid_time_is_refused_by_name(value: float) -> None:
    """A time that is negative, zero, not finite or implausibly long is refused."""
    with pytest.raises(InvalidFileError, match=r"'slow' contains .* which is not a time") as refused:
        nanoseconds("slow", [1.0, value])
    assert "\n" not in str(refused.value)


def test_a_tool_that_rounds_may_write_zero() -> None:
    """Zero milliseconds is less than half a millisecond; a negative time is refused."""
    assert nanoseconds("quick", [0.0, 2.0], per_s=1e3, zero=True) == [0.0, 2e6]
    with pytest.raises(InvalidFileError):
        nanoseconds("quick", [-0.1], per_s=1e3, zero=True)


def test_benchmark_names_must_be_distinct() -> None:
    """Two benchmarks of the same name, or none at all, are refused."""
    timing = raw_timing("twice", [1.0])
    with pytest.raises(InvalidFileError, match="two of its benchmarks are named 'twice'"):
        check_timings([timing, timing])
    with pytest.raises(InvalidFileError, match="it contains no times"):
        check_timings([])


@given(st.text())
def test_any_text_becomes_one_printable_line(text: str) -> None:
    """Line breaks, control characters, escape sequences and lone surrogates are removed."""
    line = one_line(text)
    assert line.isprintable()
    assert len(line) <= MAX_TEXT


def test_averages_have_no_percentile_but_the_median() -> None:
    """The p99 of averages is not that of calls."""
    values = [float(v) for v in range(1, 2001)]
    assert raw_timing("calls", values).percentiles_ns["99"] is not None
    averaged = raw_timing("averages", values, single_calls=False).percentiles_ns
    assert [label for label, value in averaged.items() if value is not None] == ["50"]
