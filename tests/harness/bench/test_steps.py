"""Tests of steps: their order, and the estimate of the time left."""

import math
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bench.steps import Overlap, RunStep, Silent, StepRunner, makespan
from harness.runtime.clock import FakeClock


class RecordingObserver(Silent):
    """Observer that records the steps."""

    def __init__(self) -> None:
        """Start without steps."""
        self.steps: list[tuple[str, float]] = []

    def step(self, description: str, number: int, total: int, left_s: float) -> None:
        """Record the step and the time left."""
        self.steps.append((description, left_s))


def step(
    name: str,
    kind: str,
    expected_s: float,
    act: Callable[[], object],
    chain: str = "",
    stage: str = "",
    is_due: Callable[[], bool] = lambda: True,
) -> RunStep:
    """Return a step of a kind, whose parts are separated by slashes."""

    def action() -> None:
        act()

    return RunStep(name, tuple(kind.split("/")), lambda: expected_s, action, chain, stage, is_due)


def test_the_time_left_learns_from_steps_that_are_alike() -> None:
    """A step that is like others takes as long; one of the same kind is expected to be wrong by the same factor."""
    clock = FakeClock()
    observer = RecordingObserver()

    def act() -> None:
        clock.advance(3_000_000_000)

    steps = [
        step("a1", "a/x/one", 1.0, act),
        step("a2", "a/x/one", 1.0, act),
        step("a3", "a/y/one", 2.0, act),
        step("b", "b/x/one", 5.0, act),
    ]
    StepRunner(steps, observer, clock, after_s=1.0).run()
    speed = (3.0 + 4.0) / (1.0 + 4.0)
    kind = (3.0 + 2.0 * speed) / (1.0 + 2.0)
    first, second, *_ = observer.steps
    assert first == ("a1", 10.0)
    assert second[1] == pytest.approx(3.0 + 2.0 * kind + 5.0 * speed + speed)


SECONDS = st.just(0.0) | st.floats(0.001, 50)


@given(st.lists(st.tuples(st.sampled_from(["a/x", "a/y", "b/x"]), SECONDS, SECONDS), min_size=1, max_size=6))
def test_the_time_left_is_finite_whatever_is_expected(found: list[tuple[str, float, float]]) -> None:
    """Also of steps that are expected to take no time, and of those that take none."""
    clock, observer = FakeClock(), RecordingObserver()
    acts = [(kind, expected_s, partial(clock.advance, round(taken_s * 1e9))) for kind, expected_s, taken_s in found]
    StepRunner([step(str(number), *each) for number, each in enumerate(acts)], observer, clock).run()
    assert len(observer.steps) == len(found)
    assert all(0 <= left_s < math.inf for _, left_s in observer.steps)


def test_the_time_left_is_true_from_the_first_fifth_on() -> None:
    """With kinds that take 3 and 0.5 times as long as expected, it is right within a fifth once each kind has run some times."""
    clock = FakeClock()
    observer = RecordingObserver()
    factors = {"a": 3.0, "b": 0.5}

    def taking(seconds: float) -> Callable[[], None]:
        return lambda: clock.advance(round(seconds * 1e9))

    plan = [(kind, n, s) for n, s in enumerate((2.0, 5.0) * 20) for kind in factors]
    steps = [step(f"{kind}{n}", f"{kind}/{n}", s, taking(s * factors[kind])) for kind, n, s in plan]
    whole_s = sum(s * factors[kind] for kind, _, s in plan)
    StepRunner(steps, observer, clock).run()
    taken_s = 0.0
    for (_, left_s), (kind, _, expected_s) in zip(observer.steps, plan, strict=True):
        if taken_s > whole_s / 5:
            assert left_s == pytest.approx(whole_s - taken_s, rel=0.2)
        taken_s += expected_s * factors[kind]


def test_the_time_left_counts_lanes_and_what_is_in_progress() -> None:
    """Chains in parallel take as long as the lane that ends last, and a step that has begun takes only its rest."""
    assert makespan([4.0, 1.0, 1.0, 1.0], 2) == 4.0
    assert makespan([3.0, 3.0, 3.0], 2) == 6.0
    assert makespan([], 2) == 0.0
    clock, observer, met = FakeClock(), RecordingObserver(), threading.Barrier(2, timeout=10)

    def first() -> None:
        met.wait()
        clock.advance(2_000_000_000)
        met.wait()
        met.wait()

    def both() -> None:
        met.wait()
        met.wait()

    steps = [step("a", "a", 5.0, first, "a"), step("b1", "b", 2.0, both, "b"), step("b2", "c", 1.0, met.wait, "b")]
    StepRunner(steps, observer, clock, lanes=2).run()
    assert observer.steps[-1] == ("b2", 3.0)


def test_a_step_that_is_no_longer_due_is_left_out() -> None:
    """The steps of a scenario that has failed are neither shown nor part of the time left."""
    observer, failed = RecordingObserver(), list[bool]()
    steps = [
        step("a", "k", 1.0, lambda: failed.append(True)),
        step("b", "k", 5.0, lambda: None, is_due=lambda: not failed),
        step("c", "j", 2.0, lambda: None),
    ]
    StepRunner(steps, observer, FakeClock()).run()
    assert [name for name, _ in observer.steps] == ["a", "c"]
    assert observer.steps[0] == ("a", 8.0)


def test_chains_run_side_by_side_and_each_in_its_order() -> None:
    """Steps of two chains wait for each other, which requires parallel chains; a step without a chain waits for both."""
    meeting = threading.Barrier(2, timeout=10)
    done: list[str] = []

    def act(name: str, *, meet: bool = False) -> RunStep:
        def action() -> None:
            if meet:
                meeting.wait()
            done.append(name)

        return step(name, "k", 1.0, action, name[0] if name != "alone" else "")

    steps = [act("a1"), act("b1", meet=True), act("a2", meet=True), act("b2"), act("alone")]
    StepRunner(steps, Silent(), lanes=2).run()
    assert done[-1] == "alone"
    assert done.index("a1") < done.index("a2")
    assert done.index("b1") < done.index("b2")


def test_stages_do_not_overlap() -> None:
    """A step waits for every step of the previous stage, of all chains; its stage runs in parallel again."""
    done: list[str] = []
    together = threading.Barrier(2, timeout=5)

    def staged(stage: str, chain: str, *, meets: bool) -> RunStep:
        def action() -> None:
            if meets:
                together.wait()
            assert stage == "first" or done.count("first") == 3
            done.append(stage)

        return step(stage, "k", 1.0, action, chain, stage)

    first = [staged("first", chain, meets=chain == "b") for chain in ("a", "b")]
    steps = [*first, staged("first", "a", meets=True), staged("second", "a", meets=True), staged("second", "b", meets=True)]
    StepRunner(steps, Silent(), FakeClock(), lanes=2).run()
    assert done == ["first"] * 3 + ["second"] * 2


def test_a_failure_in_one_lane_ends_the_others() -> None:
    """Their steps are abandoned, and the exception propagates."""
    abandoned = threading.Event()

    def fail() -> None:
        raise RuntimeError("disk full")

    steps = [step("a", "k", 1.0, fail, "a"), step("b", "k", 1.0, lambda: assert_set(abandoned), "b")]
    for order in (steps, steps[::-1]):
        abandoned.clear()
        with pytest.raises(RuntimeError, match="disk full"):
            StepRunner(order, Silent(), lanes=2, abandon=abandoned.set).run()


def assert_set(event: threading.Event) -> None:
    """Wait for the event."""
    assert event.wait(10)


def test_an_interruption_propagates() -> None:
    """Later steps are not started."""
    observer = RecordingObserver()

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        StepRunner([step("a", "a", 1.0, stop), step("b", "b", 1.0, stop)], observer, FakeClock()).run()
    assert [description for description, _ in observer.steps] == ["a"]


def test_lanes_keep_their_threads_to_the_end() -> None:
    """A child process dies with the thread that has started it, so one that is started in a lane lives in later stages."""
    lanes: list[threading.Thread] = []
    starting = [step(f"start {n}", "a", 1.0, lambda: lanes.append(threading.current_thread()), f"{n}", "first") for n in range(3)]
    alive: list[bool] = []
    using = step("use", "b", 1.0, lambda: alive.extend(lane.is_alive() for lane in lanes))
    StepRunner([*starting, using], Silent(), lanes=2).run()
    assert alive == [True, True, True]


def test_activities_side_by_side_share_the_time_that_they_take_together() -> None:
    """Two of 4 s that overlap by 2 s take 6 s together, three quarters of their sum; without any the share is 1."""
    clock = FakeClock()
    overlap = Overlap(clock)
    assert overlap.share == 1.0
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(overlap.activity())
        clock.advance(2_000_000_000)
        second.enter_context(overlap.activity())
        clock.advance(2_000_000_000)
        first.close()
        clock.advance(2_000_000_000)
    assert overlap.share == 0.75
    with overlap.activity():
        clock.advance(4_000_000_000)
    assert overlap.share == 10 / 12


def test_steps_that_are_not_shown_are_neither_reported_nor_numbered() -> None:
    """The numbers of the others are without them."""

    class Numbers(Silent):
        found: ClassVar[list[tuple[str, int, int]]] = []

        def step(self, description: str, number: int, total: int, left_s: float) -> None:
            self.found.append((description, number, total))

    steps = [replace(step(name, "a", 1.0, lambda: None), is_shown=name != "hidden") for name in ("one", "hidden", "two")]
    StepRunner(steps, Numbers()).run()
    assert Numbers.found == [("one", 1, 2), ("two", 2, 2)]


def test_a_chain_begins_once_those_are_done_that_it_comes_after() -> None:
    """It waits for them even where a lane is free, and chains of other stages do not count; the others are not held up."""
    done: list[str] = []
    second_ran = threading.Event()

    def first() -> None:
        assert second_ran.wait(10)
        done.append("first")

    def second() -> None:
        done.append("second")
        second_ran.set()

    after = replace(step("after", "k", 1.0, lambda: done.append("after"), "after"), after=frozenset({"first", "elsewhere"}))
    steps = [step("first", "k", 1.0, first, "first"), after, step("second", "k", 1.0, second, "second")]
    StepRunner(steps, Silent(), FakeClock(), lanes=2).run()
    assert done == ["second", "first", "after"]


def test_a_failure_leaves_out_what_comes_after() -> None:
    """A lane that waits for the failed chain ends, and the exception propagates."""
    done: list[str] = []

    def fail() -> None:
        raise RuntimeError("disk full")

    after = replace(step("after", "k", 1.0, lambda: done.append("after"), "after"), after=frozenset({"first"}))
    with pytest.raises(RuntimeError, match="disk full"):
        StepRunner([step("first", "k", 1.0, fail, "first"), after], Silent(), FakeClock(), lanes=2).run()
    assert not done
