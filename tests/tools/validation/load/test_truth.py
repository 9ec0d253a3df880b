"""The true response times of independent users."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tools.validation.load.server import TABLE, Course, Ns, delays_ns, released_ns, responses_ns, truth_ns

S = 1_000_000_000
due_times = st.lists(st.integers(0, 20 * S), min_size=1, max_size=50)


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
    """Draw users' due times, delays and the server's lateness."""
    due = sorted(draw(due_times))
    times = st.lists(st.integers(0, 3 * S), min_size=len(due), max_size=len(due))
    return ns(*due), ns(*draw(times)), ns(*draw(times))


@given(due_times, stalls())
def test_no_response_is_sent_in_a_stall(ready: list[int], planned: list[tuple[int, int]]) -> None:
    """A response is sent when it is ready, or at the end of a stall."""
    for before, after in zip(ready, released_ns(ns(*ready), planned).tolist(), strict=True):
        hit = [end for start, end in planned if start <= before < end]
        assert after == (hit[0] if hit else before)
        assert not any(start <= after < end for start, end in planned)


@given(users(), stalls())
def test_a_stall_only_adds(met: tuple[Ns, Ns, Ns], planned: list[tuple[int, int]]) -> None:
    """Every response takes at least as long as without stalls, and at most the longest stall longer."""
    due, held, late = met
    without = responses_ns(due, held, late, [])
    assert np.array_equal(without, held + late)
    added = responses_ns(due, held, late, planned) - without
    assert (added >= 0).all()
    assert (added <= max((end - start for start, end in planned), default=0)).all()


@given(users(), stalls(), st.integers(0, 10 * S))
def test_only_time_differences_matter(met: tuple[Ns, Ns, Ns], planned: list[tuple[int, int]], later: int) -> None:
    """The same users and stalls later give the same response times."""
    due, held, late = met
    moved = [(start + later, end + later) for start, end in planned]
    assert np.array_equal(responses_ns(due, held, late, planned), responses_ns(due + later, held, late, moved))


def test_users_in_a_stall_wait_for_its_end() -> None:
    """A stall of 1 s adds its remaining time to each user who arrives in it."""
    due = np.arange(0, 3 * S, S // 10)
    took = responses_ns(due, ns(*[0] * 30), ns(*[0] * 30), [(S, 2 * S)])
    assert took.tolist() == [0] * 10 + [S - i * S // 10 for i in range(10)] + [0] * 10


def test_the_truth_counts_from_the_first_request() -> None:
    """Due times count from the first one, which is the server's first request, as stalls do."""
    course = Course("uniform", 3, [(S, 2 * S)])
    due = np.arange(5 * S, 8 * S, S // 2)
    assert np.array_equal(truth_ns(due, course, ns(0)), truth_ns(due - 5 * S, course, ns(0)))
    assert truth_ns(due, course, ns(0))[2] == S  # the user who arrives at the start of the stall


def test_the_truth_includes_the_servers_lateness() -> None:
    """Each request's lateness is added, without those of disconnected clients, and repeated if there are fewer than users."""
    course = Course("uniform", 3)
    due = np.arange(0, 5 * S, S)
    late = truth_ns(due, course, ns(10, -1, 30)) - delays_ns("uniform", 3)[:5]
    assert late.tolist() == [10, 30, 10, 30, 10]
    assert np.array_equal(truth_ns(due, course, ns(-1)), delays_ns("uniform", 3)[:5])


def test_times_repeat_after_the_table() -> None:
    """Users beyond the table have its first times again, as at the server."""
    found = truth_ns(np.arange(TABLE + 2), Course("uniform"), ns(0))
    assert found[TABLE:].tolist() == found[:2].tolist()
