"""Tests of steps: their order, and the estimate of the time left."""

import threading
from collections.abc import Callable

import pytest

from harness.bench.steps import RunStep, Silent, StepRunner, makespan
from harness.runtime.clock import FakeClock


class RecordingObserver(Silent):
    """Observer that records the steps."""

    def __init__(self) -> None:
        """Start without steps."""
        self.steps: list[tuple[str, float]] = []

    def step(self, description: str, number: int, total: int, left_s: float) -> None:
        """Record the step and the time left."""
        self.steps.append((description, left_s))


def test_the_time_left_learns_from_steps_that_are_alike() -> None:
    """A step that is like others takes their mean; one of their kind, its estimate times the kind's factor."""
    clock = FakeClock()
    observer = RecordingObserver()

    def act() -> None:
        clock.advance(3_000_000_000)

    steps = [
        RunStep("a1", "a", 1.0, act, like="x"),
        RunStep("b", "b", 5.0, act),
        RunStep("a2", "a", 1.0, act, like="x"),
        RunStep("a3", "a", 2.0, act, like="y"),
    ]
    StepRunner(steps, observer, clock).run()
    after_one, after_two = (3.0 + 2.0) / (1.0 + 2.0), (6.0 + 2.0) / (2.0 + 2.0)
    assert observer.steps == [
        ("a1", 9.0),
        ("b", 5.0 + 3.0 + 2.0 * after_one),
        ("a2", 3.0 + 2.0 * after_one),
        ("a3", 2.0 * after_two),
    ]


def test_the_time_left_is_true_from_the_first_fifth_on() -> None:
    """With kinds that take 3 and 0.5 times as long as expected, it is right within a fifth once each kind has run some times."""
    clock = FakeClock()
    observer = RecordingObserver()

    def taking(seconds: float) -> Callable[[], None]:
        return lambda: clock.advance(round(seconds * 1e9))

    steps = [
        RunStep(f"{kind}{n}", kind, s, taking(s * factor))
        for n, s in enumerate((2.0, 5.0) * 20)
        for kind, factor in (("a", 3), ("b", 0.5))
    ]
    whole_s = sum(3.5 * step.expected_s for step in steps) / 2
    StepRunner(steps, observer, clock).run()
    taken_s = 0.0
    for (_, left_s), step in zip(observer.steps, steps, strict=True):
        if taken_s > whole_s / 5:
            assert left_s == pytest.approx(whole_s - taken_s, rel=0.2)
        taken_s += step.expected_s * (3 if step.kind == "a" else 0.5)


def test_the_time_left_counts_lanes_and_what_is_in_progress() -> None:
    """Chains in parallel take as long as the lane that ends last, and a step that has begun takes only its rest."""
    assert makespan([4.0, 1.0, 1.0, 1.0], 2) == 4.0
    assert makespan([3.0, 3.0, 3.0], 2) == 6.0
    assert makespan([], 2) == 0.0
    clock, observer, met = FakeClock(), RecordingObserver(), threading.Barrier(2, timeout=10)

    def first() -> None:
        clock.advance(2_000_000_000)
        met.wait()
        met.wait()

    def meet() -> None:
        met.wait()

    steps = [
        RunStep("a", "a", 5.0, first, "a"),
        RunStep("b1", "b", 1.0, meet, "b"),
        RunStep("b2", "b", 1.0, meet, "b"),
    ]
    StepRunner(steps, observer, clock, lanes=2).run()
    assert observer.steps[-1] == ("b2", 3.0)


def test_a_step_that_is_no_longer_due_is_left_out() -> None:
    """The steps of a scenario that has failed are neither shown nor part of the time left."""
    observer, failed = RecordingObserver(), list[bool]()
    steps = [
        RunStep("a", "k", 1.0, lambda: failed.append(True)),
        RunStep("b", "k", 5.0, lambda: None, is_due=lambda: not failed),
        RunStep("c", "j", 2.0, lambda: None),
    ]
    StepRunner(steps, observer, FakeClock()).run()
    assert observer.steps == [("a", 8.0), ("c", 2.0)]


def test_chains_run_side_by_side_and_each_in_its_order() -> None:
    """Steps of two chains wait for each other, which requires parallel chains; a step without a chain waits for both."""
    meeting = threading.Barrier(2, timeout=10)
    done: list[str] = []

    def act(name: str, *, meet: bool = False) -> RunStep:
        def action() -> None:
            if meet:
                meeting.wait()
            done.append(name)

        return RunStep(name, "k", 1.0, action, name[0] if name != "alone" else "")

    steps = [act("a1"), act("b1", meet=True), act("a2", meet=True), act("b2"), act("alone")]
    StepRunner(steps, Silent(), lanes=2).run()
    assert done[-1] == "alone"
    assert done.index("a1") < done.index("a2")
    assert done.index("b1") < done.index("b2")


def test_stages_do_not_overlap() -> None:
    """A step waits for every step of the previous stage, of all chains; its stage runs in parallel again."""
    done: list[str] = []
    together = threading.Barrier(2, timeout=5)

    def step(stage: str, chain: str, *, meets: bool) -> RunStep:
        def action() -> None:
            if meets:
                together.wait()
            assert stage == "first" or done.count("first") == 3
            done.append(stage)

        return RunStep(stage, "k", 1.0, action, chain, stage)

    first = [step("first", chain, meets=chain == "b") for chain in ("a", "b")]
    steps = [*first, step("first", "a", meets=True), step("second", "a", meets=True), step("second", "b", meets=True)]
    StepRunner(steps, Silent(), FakeClock(), lanes=2).run()
    assert done == ["first"] * 3 + ["second"] * 2


def test_a_failure_in_one_lane_ends_the_others() -> None:
    """Their steps are abandoned, and the exception propagates."""
    abandoned = threading.Event()

    def fail() -> None:
        raise RuntimeError("disk full")

    steps = [RunStep("a", "k", 1.0, fail, "a"), RunStep("b", "k", 1.0, lambda: assert_set(abandoned), "b")]
    with pytest.raises(RuntimeError, match="disk full"):
        StepRunner(steps, Silent(), lanes=2, abandon=abandoned.set).run()


def assert_set(event: threading.Event) -> None:
    """Wait for the event."""
    assert event.wait(10)


def test_an_interruption_propagates() -> None:
    """Later steps are not started."""
    observer = RecordingObserver()

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        StepRunner([RunStep("a", "a", 1.0, stop), RunStep("b", "b", 1.0, stop)], observer, FakeClock()).run()
    assert [description for description, _ in observer.steps] == ["a"]
