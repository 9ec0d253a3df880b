"""Tests of steps: their order, and the estimate of the time left."""

import threading

import pytest

from harness.bench.steps import RunStep, Silent, StepRunner
from harness.runtime.clock import FakeClock


class RecordingObserver(Silent):
    """Observer that records the steps."""

    def __init__(self) -> None:
        """Start without steps."""
        self.steps: list[tuple[str, float]] = []

    def step(self, description: str, number: int, total: int, left_s: float) -> None:
        """Record the step and the time left."""
        self.steps.append((description, left_s))


def test_the_time_left_learns_from_steps_of_the_same_kind() -> None:
    """First estimates are replaced by the durations of such steps."""
    clock = FakeClock()
    observer = RecordingObserver()

    def act() -> None:
        clock.advance(3_000_000_000)

    StepRunner([RunStep("a1", "a", 1.0, act), RunStep("b", "b", 5.0, act), RunStep("a2", "a", 1.0, act)], observer, clock).run()
    assert observer.steps == [("a1", 7.0), ("b", 8.0), ("a2", 3.0)]


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
