"""pytest-benchmark's JSON: rounds in nanoseconds, with and without their data, and averages over iterations."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import importers
from harness.errors import UsageError

Shape = Callable[[str], Path]
Written = Callable[[str | bytes], Path]


def file(**stats: object) -> str:
    """Return a file with one benchmark; keywords replace its statistics."""
    whole = {"min": 0.1, "max": 0.3, "mean": 0.2, "median": 0.2, "rounds": 3, "iterations": 1} | stats
    return json.dumps({"benchmarks": [{"name": "a", "fullname": "t.py::a", "stats": whole}], "machine_info": {}})


def test_rounds_become_nanoseconds_by_full_name(shape: Shape) -> None:
    """Each round is a unit, and the environment has the tool's version."""
    found = importers.reading(shape("pytest_benchmark-5.3-data.json"))
    assert found.tool == "pytest-benchmark"
    assert [t.name for t in found.timings] == [
        "test_small.py::test_sum[10]",
        "test_small.py::test_sum[100]",
        "test_small.py::test_sorted",
    ]
    assert [t.samples for t in found.timings] == [30, 30, 12]
    assert all(t.units is not None and t.units.total == t.samples for t in found.timings)
    assert found.environment["pytest-benchmark"] == "5.3.1"


def test_a_saved_run_without_data_has_the_same_medians_and_no_units(shape: Shape) -> None:
    """The storage leaves the rounds out by default."""
    with_data = {t.name: t for t in importers.reading(shape("pytest_benchmark-5.3-data.json")).timings}
    for timing in importers.reading(shape("pytest_benchmark-5.3.json")).timings:
        assert timing.units is None
        assert timing.median_ns == pytest.approx(with_data[timing.name].median_ns)
        assert timing.samples == with_data[timing.name].samples


def test_fewer_values_than_rounds_are_thinned(written: Written) -> None:
    """The other figures are those of all rounds, as the file states them; percentiles come from the values."""
    values = [n / 1000 for n in range(101, 301)]
    found = importers.reading(written(file(data=values, rounds=5_000, max=9.0, mean=0.25)))
    (timing,) = found.timings
    assert (timing.samples, timing.median_ns, timing.mean_ns, timing.min_ns, timing.max_ns) == (5_000, 2e8, 2.5e8, 1e8, 9e9)
    assert timing.units is not None
    assert timing.units.total == 200
    assert timing.percentiles_ns["90"] == pytest.approx(2.8e8, rel=0.01)


def test_old_versions_are_read(shape: Shape) -> None:
    """Version 3.0, which had no number of iterations, and 3.2 are read."""
    old, newer = (importers.reading(shape(f"pytest_benchmark-{version}.json")) for version in ("3.0", "3.2"))
    assert old.timings[0].median_ns == pytest.approx(13_250_000)
    assert (newer.commit, newer.dirty) == ("c0f8a1ae72ad90ee2ba2cf6a2bd2b3c1ddc4a1e2", True)
    assert newer.timings[0].samples == 120_000


def test_the_host_name_is_a_digest(shape: Shape) -> None:
    """A report may be published, so a digest distinguishes hosts."""
    environment = importers.reading(shape("pytest_benchmark-3.2.json")).environment
    assert "box" not in environment.values()
    assert len(environment["host, as a digest"]) == 8


def test_averages_over_iterations_have_no_percentiles(written: Written) -> None:
    """Two thousand rounds of one call support a p99, two thousand averages of ten calls do not."""
    data = [0.1 + i / 1e5 for i in range(2_000)]
    calls = importers.reading(written(file(data=data, iterations=1))).timings[0]
    averages = importers.reading(written(file(data=data, iterations=10))).timings[0]
    assert calls.percentiles_ns["99"] is not None
    assert averages.percentiles_ns["99"] is None
    assert averages.median_ns == calls.median_ns


@pytest.mark.parametrize(
    ("stats", "complaint"),
    [
        ({"median": -1.0}, "has the median -1.0, which is not a time"),
        ({"min": -1e-9}, "has the minimum -1e-09, which is not a time: did the clock go backwards?"),
        ({"data": [0.1, -0.2]}, "has the round -0.2, which is not a time"),
        ({"data": [0.1, float("nan")]}, "has the round NaN, which is not a number"),
        ({"median": float("inf")}, "has the median Infinity, which is not a number"),
        ({"median": None}, "has no median"),
        ({"data": [1e300]}, "which is not a time"),
        ({"rounds": 0}, "has 0 values"),
        ({"median": "fast"}, "has the median 'fast', which is not a number"),
        ({"data": [0.1, None]}, "has no round"),
        ({"rounds": "many"}, "incomplete or malformed"),
    ],
)
def test_an_invalid_time_is_refused(stats: dict[str, object], complaint: str, written: Written) -> None:
    """The error names the benchmark."""
    with pytest.raises(UsageError, match=complaint):
        importers.reading(written(file(**stats)))


def test_one_round_is_read(written: Written) -> None:
    """One round is a time, although it is not enough for a verdict."""
    assert importers.reading(written(file(data=[0.25], rounds=1))).timings[0].median_ns == 0.25e9


def test_a_file_without_benchmarks_is_refused(written: Written) -> None:
    """pytest-benchmark writes such a file when every benchmark failed."""
    with pytest.raises(UsageError, match="it contains no times"):
        importers.reading(written('{"machine_info": {"node": "x"}, "benchmarks": [], "version": "5.3.1"}'))


def test_two_benchmarks_of_one_name_are_distinguished_by_their_group(written: Written) -> None:
    """Or else by their order."""
    twice = json.loads(file())
    twice["benchmarks"] *= 2
    assert [t.name for t in importers.reading(written(json.dumps(twice))).timings] == ["t.py::a", "t.py::a (2)"]
    twice["benchmarks"] = [benchmark | {"group": group} for benchmark, group in zip(twice["benchmarks"], "xy", strict=True)]
    assert [t.name for t in importers.reading(written(json.dumps(twice))).timings] == ["t.py::a (x)", "t.py::a (y)"]


def test_one_invalid_benchmark_leaves_the_others(written: Written) -> None:
    """It is named with the reason."""
    both = json.loads(file())
    both["benchmarks"] += [{"name": "b", "stats": {"min": 1}}, {"name": "c", "stats": None}]
    found = importers.reading(written(json.dumps(both)))
    assert [t.name for t in found.timings] == ["t.py::a"]
    message = next(w.message for w in found.warnings if w.name == "unreadable benchmarks")
    assert message == "left out: 'b' has no median; 'c' has no statistics: it failed"


@pytest.mark.parametrize(
    ("stats", "deviation_ns"),
    [
        ({"stddev": 0.01, "iqr": 0.5}, 0.01e9),
        ({"stddev": float("nan"), "iqr": 0.01349}, 0.01e9),
        ({"stddev": None}, None),
        ({"stddev": 0, "iqr": 0}, None),
        ({"stddev": 0.01, "data": [0.1, 0.2, 0.3]}, None),
    ],
)
def test_without_rounds_the_deviation_is_kept_for_an_interval(
    stats: dict[str, object], deviation_ns: float | None, written: Written
) -> None:
    """It is the stated one or that of the quartiles, and a warning says that the interval is approximate."""
    found = importers.reading(written(file(**stats)))
    assert found.timings[0].deviation_ns == (pytest.approx(deviation_ns) if deviation_ns else None)
    assert ("approximate intervals" in {w.name for w in found.warnings}) == (deviation_ns is not None)


def test_zero_is_a_time(written: Written) -> None:
    """A clock may be too coarse for a quick benchmark."""
    timing = importers.reading(written(file(min=0, data=[0.0, 0.1, 0.2]))).timings[0]
    assert (timing.min_ns, timing.median_ns) == (0, 0.1e9)
