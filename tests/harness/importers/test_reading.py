"""Times of a file: counted, summarised, checked, and named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.importers.reading import (
    Benchmarks,
    InvalidFileError,
    Number,
    TimeCounts,
    deviation_ns,
    four_figures,
    nanoseconds,
    one_line,
    raw_metric,
    raw_timing,
)
from harness.stats.intervals import QUANTILES, is_supported


@given(st.lists(st.integers(1, 1_000), min_size=1, max_size=200))
def test_counted_values_have_the_figures_of_the_raw_ones(values: list[int]) -> None:
    """Mean, quantiles and percentiles equal those that NumPy computes from the values."""
    counted = TimeCounts.of(float(v) for v in values)
    assert counted.total == len(values)
    assert counted.mean_ns == pytest.approx(np.mean(values))
    for quantile in (0.0, 0.25, 0.5, 0.9, 1.0):
        assert counted.quantile_ns(quantile) == pytest.approx(np.quantile(values, quantile))
    for label, found in counted.percentiles_ns().items():
        supported = is_supported(len(values), QUANTILES[label])
        assert found == (pytest.approx(np.quantile(values, QUANTILES[label])) if supported else None)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), -float("inf"), 1e300, "NaN", "fast", None])
def test_an_invalid_time_is_refused_with_its_figure(value: Number) -> None:
    """A time that is missing, not a number, negative, not finite or implausibly long is refused."""
    with pytest.raises(InvalidFileError, match=r"has (the|no) median"):
        nanoseconds("median", value)


def test_zero_is_a_time_and_units_are_converted() -> None:
    """Tools that round, or correct for their own cost, write 0; a whole number of milliseconds stays a whole number."""
    assert nanoseconds("time", 0.0) == 0
    assert nanoseconds("time", 90.9, per_s=1e3) == 90_900_000
    assert four_figures({"median": 2, "mean": 3, "min": 1, "max": 4}, per_s=1e9) == (2, 3, 1, 4)


def test_a_deviation_is_the_stated_one_or_follows_from_the_quartiles() -> None:
    """The interquartile range of a normal distribution is 1.349 standard deviations; 0 and NaN are unknown."""
    assert deviation_ns(1e-9, 5e-9) == pytest.approx(1)
    assert deviation_ns("NaN", 1.349e-9) == pytest.approx(1)
    assert deviation_ns(0.0, None) is None


def test_an_invalid_benchmark_is_left_out_and_the_others_are_kept() -> None:
    """The warning names it with the reason, and its counts are left out as well; without another one, the file is refused."""
    found = Benchmarks()
    with found.benchmark("bad"):
        found.count("bad", 3, 0)
        raise InvalidFileError("has no median")
    with pytest.raises(InvalidFileError, match="'bad' has no median"):
        found.reading("tool", "form")
    with found.benchmark("good"):
        found.add(raw_timing("good", [1.0, 2.0]))
    read = found.reading("tool", "form")
    assert [timing.name for timing in read.timings] == ["good"]
    assert read.operations == ()
    assert [warning.message for warning in read.warnings] == ["left out: 'bad' has no median"]


@pytest.mark.parametrize(("operations", "errors", "expected"), [(3, 0, True), (3, 3, False), (0, 0, False), (2, 5, False)])
def test_times_need_an_operation_that_succeeded(operations: int, errors: int, expected: bool) -> None:
    """A tool may count more failures than operations: each failure is an operation as well."""
    found = Benchmarks()
    assert found.count("x", operations, errors) is expected
    assert found.operations[0].operations == max(operations, errors)


@pytest.mark.parametrize(("operations", "errors"), [(-1, 0), (1, -1), (2**60, 0)])
def test_an_impossible_count_is_refused(operations: int, errors: int) -> None:
    """A number of operations is from 0 up, and fits into 64 bits as a sum."""
    with pytest.raises(InvalidFileError, match="operations"):
        Benchmarks().count("x", operations, errors)


def test_equal_names_are_made_distinct_with_a_warning() -> None:
    """What else differs is added to them."""
    found = Benchmarks()
    assert found.names([("a", "n=1"), ("a", "n=2"), ("b", "n=1")]) == ["a (n=1)", "a (n=2)", "b"]
    assert found.warnings[0].name == "equal names"


def test_a_file_without_times_is_refused() -> None:
    """There is nothing to show."""
    with pytest.raises(InvalidFileError, match="it contains no times"):
        Benchmarks().reading("tool", "form")


@given(st.text())
def test_any_text_becomes_one_printable_line(text: str) -> None:
    """Line breaks, control characters, escape sequences and lone surrogates are removed."""
    assert one_line(text).isprintable()


def test_figures_of_values_that_are_not_times() -> None:
    """They have the unit that is given, and percentiles where the values are single ones."""
    metric = raw_metric("memory", "bytes", [1.0, 2.0, 4.0], less_is_better=True)
    assert (metric.median, metric.min, metric.max, metric.samples, metric.unit) == (2.0, 1.0, 4.0, 3, "bytes")
    with pytest.raises(InvalidFileError, match="has the value NaN"):
        raw_metric("memory", "bytes", ["NaN"])


def test_averages_have_no_percentile_but_the_median() -> None:
    """The p99 of averages is not that of calls."""
    values = [float(v) for v in range(1, 2001)]
    assert raw_timing("calls", values).percentiles_ns["99"] is not None
    averaged = raw_timing("averages", values, single_calls=False).percentiles_ns
    assert [label for label, value in averaged.items() if value is not None] == ["50"]
