"""The table of metrics: buckets that ascend evenly, and names as Prometheus wants them."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.observability.metrics import COARSE, FINE, METRICS, buckets_s


@given(least_s=st.floats(1e-6, 1e-2), times=st.floats(2, 1e6), step=st.floats(1.02, 4))
def test_buckets_reach_from_the_least_to_the_most_in_even_steps(least_s: float, times: float, step: float) -> None:
    """They begin at the least, end at the most or just beyond, and each is a step above the one before, to three digits."""
    bounds = buckets_s(step, least_s, least_s * times)
    assert bounds[0] == pytest.approx(least_s, rel=0.01)
    assert least_s * times * 0.99 <= bounds[-1] <= least_s * times * step * 1.01
    assert all(low < high <= low * step * 1.012 for low, high in itertools.pairwise(bounds))


def test_both_kinds_of_buckets_begin_where_statements_do_and_end_at_ten_seconds() -> None:
    """A statement of 50 µs is in the first one, and one of ten seconds in one that has a bound."""
    for step in (FINE, COARSE):
        assert buckets_s(step)[0] == 50e-6
        assert 10 <= buckets_s(step)[-1] < 10 * step


@pytest.mark.parametrize(("step", "least_s", "most_s"), [(1.0, 1e-3, 1), (1.1, 0, 1), (1.1, 1, 1)])
def test_buckets_that_lead_nowhere_are_refused(step: float, least_s: float, most_s: float) -> None:
    """No step, no beginning, or an end at the beginning."""
    with pytest.raises(ValueError, match="no buckets"):
        buckets_s(step, least_s, most_s)


def test_names_say_what_they_count() -> None:
    """Counters end in _total, times in _seconds, no name comes twice, and no label could hold SQL or an id."""
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.name.endswith("_seconds") == (metric.kind == "histogram")
        assert not {"sql", "statement", "id", "path", "url", "user"} & set(metric.labels)
