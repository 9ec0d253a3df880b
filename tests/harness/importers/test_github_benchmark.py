"""The JSON of github-action-benchmark, and its data.js."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import importers
from harness.errors import UsageError

Shape = Callable[[str], Path]
Written = Callable[[str | bytes], Path]


def test_times_are_known_by_their_unit_and_others_are_metrics(shape: Shape) -> None:
    """More per second is better; the better size is unknown."""
    found = importers.reading(shape("github-benchmark.json"))
    assert [(t.name, t.median_ns) for t in found.timings] == [("page of 20", 2_500_000)]
    assert [(m.group, m.unit, m.mean, m.less_is_better) for m in found.metrics] == [
        ("pages per second", "iter/sec", 400, False),
        ("size of the index", "MiB", 12, None),
    ]
    assert "one figure per benchmark" in {warning.name for warning in found.warnings}


def test_the_last_commit_of_each_suite_is_read(shape: Shape) -> None:
    """The suite distinguishes equal names, and the tool says what is better."""
    found = importers.reading(shape("github-data.js"))
    assert [(t.name, t.median_ns) for t in found.timings] == [("fib (Rust)", 450)]
    assert [(m.group, m.less_is_better) for m in found.metrics] == [("fib (Sizes)", False)]
    assert (found.commit, found.started_at) == ("bbbb", "2026-01-05T10:40:00+00:00")


def test_every_commit_of_every_suite_can_be_read(shape: Shape) -> None:
    """In the order of their times; with several suites, names have that of their suite."""
    found = importers.read_all(shape("github-data.js"))
    assert isinstance(found, list)
    assert [(x.commit, [t.name for t in x.timings] + [m.group for m in x.metrics]) for x in found] == [
        ("aaaa", ["Rust · fib"]),
        ("bbbb", ["Rust · fib", "Sizes · fib"]),
    ]
    single = importers.read_all(shape("github-benchmark.json"))
    assert isinstance(single, list)
    assert [t.name for t in single[0].timings] == ["page of 20"]


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("ns", 1), ("ns/iter", 1), ("nsec", 1), ("us", 1e3), ("µs", 1e3), ("μs/op", 1e3), ("ms", 1e6), ("s", 1e9), ("sec", 1e9)],
)
def test_units_of_time_are_converted(unit: str, factor: float, written: Written) -> None:
    """They may be per iteration."""
    found = importers.reading(written(json.dumps([{"name": "a", "unit": unit, "value": 3}])))
    assert found.timings[0].median_ns == 3 * factor


@pytest.mark.parametrize("unit", ["iter/sec", "ops/s", "req/s", "MB/s", "ops", "per second", "Requests per second"])
def test_more_per_second_is_better(unit: str, written: Written) -> None:
    """Throughput is not a time."""
    found = importers.reading(written(json.dumps([{"name": "a", "unit": unit, "value": 3}])))
    assert (found.metrics[0].less_is_better, found.metrics[0].unit) == (False, unit)


def test_a_time_of_which_more_is_better_is_a_metric(shape: Shape, written: Written) -> None:
    """The tool decides: a time between failures is not a duration to lower."""
    body = shape("github-data.js").read_text().replace('"points"', '"ms"')
    assert importers.reading(written(body)).metrics[0].less_is_better is False


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("window.BENCHMARK_DATA = {entries: {}};", "what it assigns is not JSON"),
        ('window.BENCHMARK_DATA = {"entries": {}};', "it contains no times"),
        ('[{"name": "a", "unit": "ms", "value": -1}]', "'a' has the value -1.0, which is not a time"),
        ('[{"name": "a", "unit": "ms", "value": null}]', "'a' has no value"),
        ('[{"name": 1, "unit": "ms", "value": 1}]', "incomplete or malformed"),
    ],
)
def test_invalid_figures_are_refused(body: str, complaint: str, written: Written) -> None:
    """The error names the benchmark."""
    with pytest.raises(UsageError, match=complaint):
        importers.reading(written(body))
