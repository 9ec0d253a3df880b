"""The router: prior, average, hysteresis, ejection, half-open probes and fail-over, on a clock that stands until it is moved."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.edges.routing import Policy, Router

PRIOR = {"near": 5.0, "middle": 70.0, "far": 160.0}


@dataclass
class Clock:
    """A clock that is moved by hand, in seconds."""

    now_s: float = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


def made(policy: Policy | None = None, prior: dict[str, float] | None = None) -> tuple[Router, Clock]:
    """Return a router and its clock."""
    clock = Clock()
    return Router(prior or PRIOR, clock, policy), clock


steps = st.lists(
    st.tuples(st.sampled_from(sorted(PRIOR)), st.sampled_from(["heard", "failed", "well", "ill", "wait"]), st.floats(0.1, 500)),
    max_size=60,
)


def play(router: Router, clock: Clock, played: list[tuple[str, str, float]]) -> None:
    """Let things happen to a router."""
    for name, what, number in played:
        if what == "heard":
            router.heard(name, number)
        elif what == "failed":
            router.failed(name)
        elif what == "wait":
            clock.now_s += number / 100
        elif router.may_probe(name):
            router.probed(name, number if what == "well" else None)


def test_the_nearest_is_chosen_before_anything_was_measured() -> None:
    """Distance stands in for what nobody has measured yet."""
    router, _ = made()
    assert router.choose() == "near"


def test_measurement_overrides_distance() -> None:
    """An edge that is near on the map and slow in truth loses its clients."""
    router, _ = made()
    router.heard("near", 200.0)
    assert router.choose() == "middle"


def test_the_first_measurement_replaces_the_prior() -> None:
    """The prior is a guess, so that it has no weight beside what was measured."""
    router, _ = made()
    router.heard("far", 12.0)
    assert router.rtt_ms("far") == 12.0


@given(st.lists(st.floats(0.1, 1000), min_size=1, max_size=50))
def test_the_average_lies_between_the_measurements(measured: list[float]) -> None:
    """A smoothed round trip is never outside of what was measured."""
    router, _ = made()
    for ms in measured:
        router.heard("near", ms)
    assert min(measured) - 1e-9 <= router.rtt_ms("near") <= max(measured) + 1e-9


def test_equals_do_not_trade_places() -> None:
    """Differences below the margin move nobody, whichever way they go."""
    router, _ = made(prior={"a": 20.0, "b": 20.5})
    chosen = router.choose()
    for ms in (19.0, 21.0) * 20:
        router.heard("a", ms)
        router.heard("b", 40.0 - ms)
        assert router.choose() == chosen


def test_a_much_better_edge_takes_over() -> None:
    """A difference beyond the margin moves the clients, and they stay when it shrinks again."""
    router, _ = made(prior={"a": 20.0, "b": 30.0})
    assert router.choose() == "a"
    router.heard("b", 10.0)
    assert router.choose() == "b"
    router.heard("a", 9.0)
    assert router.choose() == "b"


@given(steps)
def test_nobody_is_sent_to_an_ejected_edge_while_another_is_well(played: list[tuple[str, str, float]]) -> None:
    """Whatever has happened, the choice is an edge that is not ejected, if there is one."""
    router, clock = made()
    play(router, clock, played)
    chosen = router.choose()
    if any(not router.is_ejected(name) for name in PRIOR):
        assert not router.is_ejected(chosen)


@given(steps, st.sets(st.sampled_from(sorted(PRIOR)), max_size=2))
def test_a_second_try_is_another_edge(played: list[tuple[str, str, float]], without: set[str]) -> None:
    """Fail-over never goes back to what has just failed, and does not move the others' choice."""
    router, clock = made()
    play(router, clock, played)
    before = router.choose()
    assert router.choose(without=without) not in without
    assert router.choose() == before


@given(steps)
def test_the_same_events_give_the_same_choice(played: list[tuple[str, str, float]]) -> None:
    """A router is a function of what it has been told and when."""
    one, other = made(), made()
    play(*one, played)
    play(*other, played)
    assert one[0].choose() == other[0].choose()


def test_failures_in_a_row_eject_and_a_good_answer_between_does_not() -> None:
    """Two failures in a row eject an edge; with an answer between them they do not."""
    router, _ = made()
    router.failed("near")
    router.heard("near", 5.0)
    router.failed("near")
    assert not router.is_ejected("near")
    router.failed("near")
    assert router.is_ejected("near")
    assert router.choose() == "middle"


def test_an_ejected_edge_is_not_asked_before_its_time() -> None:
    """Until it is half open nobody may probe it."""
    router, clock = made()
    router.failed("near")
    router.failed("near")
    assert not router.may_probe("near")
    clock.now_s += Policy().eject_s
    assert router.may_probe("near")


def test_good_probes_bring_an_edge_back_and_its_clients() -> None:
    """One good probe is not enough; the second brings it back, and being the nearest it is chosen again."""
    router, clock = made()
    router.failed("near")
    router.failed("near")
    clock.now_s += 1.0
    router.probed("near", 5.0)
    assert router.is_ejected("near")
    router.probed("near", 5.0)
    assert not router.is_ejected("near")
    assert router.choose() == "near"


def test_a_failed_probe_ejects_for_twice_as_long_up_to_a_limit() -> None:
    """What stays dead is asked less and less often, and never less often than the limit says."""
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


def test_requests_do_not_bring_an_ejected_edge_back() -> None:
    """An answer that was on its way when the edge was ejected changes nothing: only probes bring it back."""
    router, _ = made()
    router.failed("near")
    router.failed("near")
    router.heard("near", 1.0)
    assert router.is_ejected("near")


def test_an_edge_with_old_data_is_avoided_until_it_has_caught_up() -> None:
    """Reads go past an edge that has lost its primary, and come back to it later."""
    router, _ = made()
    router.probed("near", 5.0, lag_s=31.0)
    assert router.choose() == "middle"
    router.probed("near", 5.0, lag_s=0.0)
    assert router.choose() == "near"


def test_with_all_ejected_the_best_is_still_tried() -> None:
    """No answer can come from nowhere, so the router fails open."""
    router, _ = made()
    for name in PRIOR:
        router.failed(name)
        router.failed(name)
    assert router.choose() == "near"
    assert router.choose(without=["near"]) == "middle"


def test_a_router_without_edges_is_refused() -> None:
    """There is nothing to choose among."""
    with pytest.raises(ValueError, match="at least one edge"):
        Router({}, Clock())
