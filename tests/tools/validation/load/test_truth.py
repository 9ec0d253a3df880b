"""What independent users would have met."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tools.validation.load.situations import TABLE, Course, Ns, delays_ns
from tools.validation.load.truth import released_ns, responses_ns, truth_ns

S = 1_000_000_000
moments = st.lists(st.integers(0, 20 * S), min_size=1, max_size=50)


def ns(*values: int) -> Ns:
    """Return an array of nanoseconds."""
    return np.array(values, dtype=np.int64)


@st.composite
def stalls(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Draw stalls that ascend and do not touch."""
    edges = sorted(draw(st.sets(st.integers(0, 20 * S), max_size=6)))
    return list(zip(edges[::2], edges[1::2], strict=False))


@st.composite
def users(draw: st.DrawFn) -> tuple[Ns, Ns, Ns]:
    """Draw when users come, how long they are held, and how late the server is."""
    due = sorted(draw(moments))
    times = st.lists(st.integers(0, 3 * S), min_size=len(due), max_size=len(due))
    return ns(*due), ns(*draw(times)), ns(*draw(times))


@given(moments, stalls())
def test_nothing_is_answered_in_a_stall(ready: list[int], planted: list[tuple[int, int]]) -> None:
    """No answer goes out within a stall or before it is ready, and outside of stalls none waits."""
    for before, after in zip(ready, released_ns(ns(*ready), planted).tolist(), strict=True):
        hit = [end for start, end in planted if start <= before < end]
        assert after == (hit[0] if hit else before)
        assert not any(start <= after < end for start, end in planted)


@given(users(), stalls())
def test_a_stall_only_adds(met: tuple[Ns, Ns, Ns], planted: list[tuple[int, int]]) -> None:
    """Every response takes at least what it takes without stalls, and at most the longest stall more."""
    due, held, late = met
    without = responses_ns(due, held, late, [])
    assert np.array_equal(without, held + late)
    added = responses_ns(due, held, late, planted) - without
    assert (added >= 0).all()
    assert (added <= max((end - start for start, end in planted), default=0)).all()


@given(users(), stalls(), st.integers(0, 10 * S))
def test_only_differences_of_moments_count(met: tuple[Ns, Ns, Ns], planted: list[tuple[int, int]], later: int) -> None:
    """The same users and stalls later give the same response times."""
    due, held, late = met
    moved = [(start + later, end + later) for start, end in planted]
    assert np.array_equal(responses_ns(due, held, late, planted), responses_ns(due + later, held, late, moved))


def test_users_who_come_in_a_stall_wait_for_its_end() -> None:
    """A second's stall gives whoever comes in it what is left of it: evenly from a second to nothing."""
    due = np.arange(0, 3 * S, S // 10)
    took = responses_ns(due, ns(*[0] * 30), ns(*[0] * 30), [(S, 2 * S)])
    assert took.tolist() == [0] * 10 + [S - i * S // 10 for i in range(10)] + [0] * 10


def test_the_truth_counts_from_the_first_request() -> None:
    """Users' moments count from the first one's, which is when the server saw its first request and stalls begin to count."""
    course = Course("uniform", 3, [(S, 2 * S)])
    due = np.arange(5 * S, 8 * S, S // 2)
    assert np.array_equal(truth_ns(due, course, ns(0)), truth_ns(due - 5 * S, course, ns(0)))
    assert truth_ns(due, course, ns(0))[2] == S  # whoever comes as the stall begins


def test_the_truth_has_the_servers_own_lateness() -> None:
    """Each request's lateness is added to it, those that nobody waited for are left out, and fewer than users begin again."""
    course = Course("uniform", 3)
    due = np.arange(0, 5 * S, S)
    late = truth_ns(due, course, ns(10, -1, 30)) - delays_ns("uniform", 3)[:5]
    assert late.tolist() == [10, 30, 10, 30, 10]
    assert np.array_equal(truth_ns(due, course, ns(-1)), delays_ns("uniform", 3)[:5])


def test_times_begin_again_after_the_table() -> None:
    """More users than there are times meet the first ones again, as at the server."""
    found = truth_ns(np.arange(TABLE + 2), Course("uniform"), ns(0))
    assert found[TABLE:].tolist() == found[:2].tolist()
