"""The router: prior, average, hysteresis, ejection, half-open probes and fail-over, with a clock that is set by hand."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.edges.routing import Policy, Router

PRIOR = {"near": 5.0, "middle": 70.0, "far": 160.0}


@dataclass
class RouterClock:
    """A clock that is set by hand, in seconds."""

    now_s: float = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


def made(policy: Policy | None = None, prior: dict[str, float] | None = None) -> tuple[Router, RouterClock]:
    """Return a router and its clock."""
    clock = RouterClock()
    return Router(prior or PRIOR, clock, policy), clock


steps = st.lists(
    st.tuples(
        st.sampled_from(sorted(PRIOR)),
        st.sampled_from(["succeeded", "failed", "healthy", "unhealthy", "wait"]),
        st.floats(0.1, 500),
    ),
    max_size=60,
)


def play(router: Router, clock: RouterClock, played: list[tuple[str, str, float]]) -> None:
    """Apply events to a router."""
    for name, what, number in played:
        if what == "succeeded":
            router.succeeded(name, number)
        elif what == "failed":
            router.failed(name)
        elif what == "wait":
            clock.now_s += number / 100
        elif router.may_probe(name):
            router.probed(name, number if what == "well" else None)


def test_the_lowest_prior_is_chosen_before_any_measurement() -> None:
    """The estimate is used until there is a measurement."""
    router, _ = made()
    assert router.choose() == "near"


def test_a_measurement_overrides_the_prior() -> None:
    """An edge that is close on the map but slow loses its clients."""
    router, _ = made()
    router.succeeded("near", 200.0)
    assert router.choose() == "middle"


def test_the_first_measurement_replaces_the_prior() -> None:
    """The prior is an estimate, so it has no weight next to a measurement."""
    router, _ = made()
    router.succeeded("far", 12.0)
    assert router._edges["far"].rtt_ms == 12.0


@given(st.lists(st.floats(0.1, 1000), min_size=1, max_size=50))
def test_the_average_lies_between_the_measurements(measured: list[float]) -> None:
    """A smoothed round trip is never outside the range of the measurements."""
    router, _ = made()
    for ms in measured:
        router.succeeded("near", ms)
    assert min(measured) - 1e-9 <= router._edges["near"].rtt_ms <= max(measured) + 1e-9


def test_equal_edges_do_not_alternate() -> None:
    """Differences below the margin do not change the choice."""
    router, _ = made(prior={"a": 20.0, "b": 20.5})
    chosen = router.choose()
    for ms in (19.0, 21.0) * 20:
        router.succeeded("a", ms)
        router.succeeded("b", 40.0 - ms)
        assert router.choose() == chosen


def test_a_much_better_edge_takes_over() -> None:
    """A difference above the margin moves the clients, and they stay when it shrinks again."""
    router, _ = made(prior={"a": 20.0, "b": 30.0})
    assert router.choose() == "a"
    router.succeeded("b", 10.0)
    assert router.choose() == "b"
    router.succeeded("a", 9.0)
    assert router.choose() == "b"


@given(steps)
def test_no_client_is_sent_to_an_ejected_edge_while_another_is_healthy(played: list[tuple[str, str, float]]) -> None:
    """After any events, the choice is an edge that is not ejected, if there is one."""
    router, clock = made()
    play(router, clock, played)
    chosen = router.choose()
    if any(router._edges[name].ejected_until_s is None for name in PRIOR):
        assert router._edges[chosen].ejected_until_s is None


@given(steps, st.sets(st.sampled_from(sorted(PRIOR)), max_size=2))
def test_a_second_try_is_another_edge(played: list[tuple[str, str, float]], without: set[str]) -> None:
    """Fail-over never returns an edge that has just failed, and does not change the choice for others."""
    router, clock = made()
    play(router, clock, played)
    before = router.choose()
    assert router.choose(without=without) not in without
    assert router.choose() == before


@given(steps)
def test_the_same_events_give_the_same_choice(played: list[tuple[str, str, float]]) -> None:
    """A router is a function of its events and their times."""
    one, other = made(), made()
    play(*one, played)
    play(*other, played)
    assert one[0].choose() == other[0].choose()


def test_consecutive_failures_eject_and_separated_ones_do_not() -> None:
    """Two failures in a row eject an edge; with a success between them they do not."""
    router, _ = made()
    router.failed("near")
    router.succeeded("near", 5.0)
    router.failed("near")
    assert router._edges["near"].ejected_until_s is None
    router.failed("near")
    assert router._edges["near"].ejected_until_s is not None
    assert router.choose() == "middle"


def test_an_ejected_edge_is_not_probed_before_it_is_half_open() -> None:
    """Until its ejection ends no probe is allowed."""
    router, clock = made()
    router.failed("near")
    router.failed("near")
    assert not router.may_probe("near")
    clock.now_s += Policy().eject_s
    assert router.may_probe("near")


def test_successful_probes_restore_an_edge_and_its_clients() -> None:
    """One successful probe is not enough; the second restores it, and with the lowest round trip it is chosen again."""
    router, clock = made()
    router.failed("near")
    router.failed("near")
    clock.now_s += 1.0
    router.probed("near", 5.0)
    assert router._edges["near"].ejected_until_s is not None
    router.probed("near", 5.0)
    assert router._edges["near"].ejected_until_s is None
    assert router.choose() == "near"


def test_a_failed_probe_ejects_for_twice_as_long_up_to_a_limit() -> None:
    """An edge that stays down is probed less and less often, but never less often than the limit."""
    policy = Policy(eject_s=1.0, longest_s=5.0)
    router, clock = made(policy)
    router.failed("near")
    router.failed("near")
    waited = []
    for _ in range(5):
        before_s = clock.now_s
        while not router.may_probe("near"):
            clock.now_s += 0.5
        waited.append(clock.now_s - before_s)
        router.probed("near", None)
    assert waited == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_requests_do_not_restore_an_ejected_edge() -> None:
    """A response that was in flight when the edge was ejected changes nothing: only probes restore it."""
    router, _ = made()
    router.failed("near")
    router.failed("near")
    router.succeeded("near", 1.0)
    assert router._edges["near"].ejected_until_s is not None


def test_an_edge_with_old_data_is_avoided_until_it_has_caught_up() -> None:
    """An edge that has lost its primary gets no reads until its data is current."""
    router, _ = made()
    router.probed("near", 5.0, lag_s=31.0)
    assert router.choose() == "middle"
    router.probed("near", 5.0, lag_s=0.0)
    assert router.choose() == "near"


def test_with_all_ejected_the_best_is_still_tried() -> None:
    """If no edge is healthy, the router fails open."""
    router, _ = made()
    for name in PRIOR:
        router.failed(name)
        router.failed(name)
    assert router.choose() == "near"
    assert router.choose(without=["near"]) == "middle"


def test_a_router_without_edges_is_refused() -> None:
    """There is nothing to choose from."""
    with pytest.raises(ValueError, match="at least one edge"):
        Router({}, RouterClock())
