"""Progress: steps run in order, and the time left learns from those done."""

from __future__ import annotations

import threading

import pytest

from harness.bench.steps import RunStep, Silent, StepRunner
from harness.runtime.clock import FakeClock


class Listening(Silent):
    """Keeps what it heard."""

    def __init__(self) -> None:
        """Hear nothing yet."""
        self.heard: list[tuple[str, float]] = []

    def step(self, says: str, number: int, total: int, left_s: float) -> None:
        """Keep the step and the time left."""
        self.heard.append((says, left_s))


def test_the_time_left_learns_from_steps_of_the_same_kind() -> None:
    """First guesses are replaced by what such steps have taken."""
    clock = FakeClock()
    heard = Listening()

    def act() -> None:
        clock.advance(3_000_000_000)

    StepRunner([RunStep("a1", "a", 1.0, act), RunStep("b", "b", 5.0, act), RunStep("a2", "a", 1.0, act)], heard, clock).run()
    assert heard.heard == [("a1", 7.0), ("b", 8.0), ("a2", 3.0)]


def test_chains_run_side_by_side_and_each_in_its_order() -> None:
    """Two chains meet in the middle, which they could not one after the other; a step without a chain waits for both."""
    meeting = threading.Barrier(2, timeout=10)
    done: list[str] = []

    def act(name: str, *, meet: bool = False) -> RunStep:
        def deed() -> None:
            if meet:
                meeting.wait()
            done.append(name)

        return RunStep(name, "k", 1.0, deed, name[0] if name != "alone" else "")

    steps = [act("a1"), act("b1", meet=True), act("a2", meet=True), act("b2"), act("alone")]
    StepRunner(steps, Silent(), lanes=2).run()
    assert done[-1] == "alone"
    assert done.index("a1") < done.index("a2")
    assert done.index("b1") < done.index("b2")


def test_nothing_runs_beside_another_stage() -> None:
    """A step waits for every step of the stage before it, even of other chains; then its own stage goes on side by side."""
    done: list[str] = []
    together = threading.Barrier(2, timeout=5)

    def step(stage: str, chain: str, *, meets: bool) -> RunStep:
        def deed() -> None:
            if meets:
                together.wait()
            assert stage == "first" or done.count("first") == 3
            done.append(stage)

        return RunStep(stage, "k", 1.0, deed, chain, stage)

    first = [step("first", chain, meets=chain == "b") for chain in ("a", "b")]
    steps = [*first, step("first", "a", meets=True), step("second", "a", meets=True), step("second", "b", meets=True)]
    StepRunner(steps, Silent(), FakeClock(), lanes=2).run()
    assert done == ["first"] * 3 + ["second"] * 2


def test_a_failure_in_one_lane_ends_the_others() -> None:
    """What they are doing is abandoned, and the failure goes through."""
    abandoned = threading.Event()

    def fail() -> None:
        raise RuntimeError("disk full")

    steps = [RunStep("a", "k", 1.0, fail, "a"), RunStep("b", "k", 1.0, lambda: assert_set(abandoned), "b")]
    with pytest.raises(RuntimeError, match="disk full"):
        StepRunner(steps, Silent(), lanes=2, abandon=abandoned.set).run()


def assert_set(event: threading.Event) -> None:
    """Wait for the event."""
    assert event.wait(10)


def test_an_interruption_goes_through() -> None:
    """What comes after it is not begun."""
    heard = Listening()

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        StepRunner([RunStep("a", "a", 1.0, stop), RunStep("b", "b", 1.0, stop)], heard, FakeClock()).run()
    assert [says for says, _ in heard.heard] == ["a"]
