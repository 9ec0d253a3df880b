"""The table of metrics: ascending buckets, and names that follow Prometheus' conventions."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.observability.metrics import COARSE, FINE, METRICS, buckets_s


@given(min_s=st.floats(1e-6, 1e-2), times=st.floats(2, 1e6), step=st.floats(1.02, 4))
def test_buckets_cover_the_range_in_even_steps(min_s: float, times: float, step: float) -> None:
    """They begin at the minimum, end at the maximum or just above, and each is one step above the previous one, to three digits."""
    bounds = buckets_s(step, min_s, min_s * times)
    assert bounds[0] == pytest.approx(min_s, rel=0.01)
    assert min_s * times * 0.99 <= bounds[-1] <= min_s * times * step * 1.01
    assert all(low < high <= low * step * 1.012 for low, high in itertools.pairwise(bounds))


def test_both_kinds_of_buckets_cover_50_us_to_ten_seconds() -> None:
    """A statement of 50 µs is in the first bucket, and one of ten seconds in a bucket with a bound."""
    for step in (FINE, COARSE):
        assert buckets_s(step)[0] == 50e-6
        assert 10 <= buckets_s(step)[-1] < 10 * step


@pytest.mark.parametrize(("step", "min_s", "max_s"), [(1.0, 1e-3, 1), (1.1, 0, 1), (1.1, 1, 1)])
def test_an_empty_range_of_buckets_is_refused(step: float, min_s: float, max_s: float) -> None:
    """No step, no minimum, or a maximum equal to the minimum."""
    with pytest.raises(ValueError, match="cannot make buckets"):
        buckets_s(step, min_s, max_s)


def test_names_follow_the_conventions() -> None:
    """Counters end with _total, times with _seconds, names are unique, and no label could contain SQL or an id."""
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.name.endswith("_seconds") == (metric.kind == "histogram")
        assert not {"sql", "statement", "id", "path", "url", "user"} & set(metric.labels)
