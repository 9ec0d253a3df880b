"""Progress: steps run in order, and the time left learns from those done."""

from __future__ import annotations

import pytest

from harness.measure.clock import FakeClock
from harness.measure.progress import Silent, Step, Steps


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

    Steps([Step("a1", "a", 1.0, act), Step("b", "b", 5.0, act), Step("a2", "a", 1.0, act)], heard, clock).run()
    assert heard.heard == [("a1", 7.0), ("b", 8.0), ("a2", 3.0)]


def test_an_interruption_goes_through() -> None:
    """What comes after it is not begun."""
    heard = Listening()

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Steps([Step("a", "a", 1.0, stop), Step("b", "b", 1.0, stop)], heard, FakeClock()).run()
    assert [says for says, _ in heard.heard] == ["a"]
