"""The statistics of an item: figures of all operations, and a limited number of times."""

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import pytest_benchmark.stats
from hypothesis import given
from hypothesis import strategies as st

from harness.pytest_plugin.recorded import LIMIT, OperationTimes, thinned
from harness.results.run import Slot, SlotTotals
from harness.stats.intervals import QUANTILES


def slot(times_ns: Sequence[int], everything: SlotTotals | None = None) -> Slot:
    """Return a slot of one arm."""
    return Slot(1, 1, 0, "optimised", "group", "case", times_ns, everything)


FIGURES = ("min", "max", "mean", "stddev", "median", "total", "ops")


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=40))
def test_figures_are_those_that_pytest_benchmark_computes(times_ns: list[int]) -> None:
    """Of few operations every time is recorded, in the order of measuring, and every figure is pytest-benchmark's own."""
    own: Any = pytest_benchmark.stats.Stats()  # type: ignore[no-untyped-call] # pytest-benchmark has no types
    own.data = [ns / 1e9 for ns in times_ns]
    found: Any = OperationTimes([slot(part) for part in (times_ns[:3], times_ns[3:]) if part])
    assert found.data == own.data
    assert {name: getattr(found, name) for name in FIGURES} == {name: pytest.approx(getattr(own, name)) for name in FIGURES}
    assert found.rounds == own.rounds
    assert list(found.as_dict()) == list(own.as_dict())


def test_a_million_times_are_thinned_and_keep_their_figures() -> None:
    """The recorded times have the percentiles and the mean of all; the figures are of all, the slowest operation included."""
    times_ns = np.random.default_rng(1).lognormal(np.log(200), 0.3, 1_000_000).astype(np.int64)
    times_ns[777] = 50_000_000
    found = OperationTimes([slot(array("q", times_ns.tobytes()))])
    assert (len(found.data), found.rounds) == (LIMIT, 1_000_000)
    assert (found.min, found.max) == (times_ns.min() / 1e9, 0.05)
    assert found.mean == pytest.approx(times_ns.mean() / 1e9)
    assert np.mean(found.data) == pytest.approx(np.delete(times_ns, 777).mean() / 1e9, rel=0.001)
    assert found.stddev == pytest.approx(times_ns.std(ddof=1) / 1e9)
    for share in QUANTILES.values():
        assert np.quantile(found.data, share) == pytest.approx(np.quantile(times_ns, share) / 1e9, rel=0.01)


def test_ends_and_mean_are_of_all_operations() -> None:
    """Of a slot with many operations some are recorded; its minimum, maximum and mean are of all."""
    found = OperationTimes([slot([200, 300], SlotTotals(4, 2_000, 100, 1_400))])
    assert (found.min, found.max, found.rounds) == (1e-7, 1.4e-6, 2)
    assert found.mean == pytest.approx(5e-7)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(2, 10))
def test_thinned_times_keep_their_order(values: list[int], limit: int) -> None:
    """They are a subsequence, as long as the limit lets it be; each is from its own part of the sorted times."""
    kept = thinned(np.array(values), limit).tolist()
    rest = iter(values)
    assert all(value in rest for value in kept)
    assert len(kept) == min(limit, len(values))
    bounds = np.linspace(0, len(values), len(kept) + 1).round().astype(int).tolist()
    for time, start, end in zip(sorted(kept), bounds, bounds[1:], strict=False):
        assert time in sorted(values)[start:end]
