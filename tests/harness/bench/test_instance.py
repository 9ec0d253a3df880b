"""Tests of instances: all of a process are opened in their order, side by side where that mostly waits, and all are closed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from harness.bench.instance import Outbox, all_opened
from harness.errors import ScenarioFailedError
from harness.runnable import runnable
from harness.scenario import Arm, Scenario, Setting

TIMEOUT_S = 30.0
"""So that a test fails where it would wait for ever."""
ARMS = {"baseline": "baseline", "optimised": "optimised", "baseline again": "baseline"}


class Messages(Outbox):
    """An outbox that keeps the errors that it is to send."""

    def __init__(self, events: list[Any]) -> None:
        """Keep them among other events."""
        self._events = events

    def fail(self, error: BaseException) -> None:
        """Keep an error."""
        self._events.append(str(error))


class Opening(Scenario[str]):
    """An arm's instance is its name; what happens to it is recorded."""

    arms: ClassVar[Mapping[str, str | Arm]] = {"baseline": "", "optimised": ""}

    def __init__(self, during: Callable[[str], Any], after: Callable[[str], Any] = lambda arm: None) -> None:
        """Call these while an arm is opened, and closed; the first is awaited."""
        self.during, self.after = during, after
        self.events: list[Any] = []

    async def open(self, arm: str, setting: Setting) -> AsyncIterator[str]:
        """Open and close, in one task."""
        self.events.append(("opens", arm))
        task = asyncio.current_task()
        await self.during(arm)
        try:
            yield arm
        finally:
            self.after(arm)
            self.events.append(("closed", arm, asyncio.current_task() is task))


class Waiting(Opening):
    """Opening mostly waits."""

    waits_to_open = True


async def nothing(_arm: str) -> None:
    """Do nothing."""


def use(scenario: Opening, error: Exception | None = None) -> dict[str, str]:
    """Open all instances, use them for an error, and return them."""

    async def run() -> dict[str, str]:
        async with (
            asyncio.timeout(TIMEOUT_S),
            all_opened(runnable(scenario), ARMS, Setting(Path(), Path()), Messages(scenario.events)) as instances,
        ):
            if error is not None:
                raise error
            return instances

    return asyncio.run(run())


def test_instances_are_opened_one_after_another_and_closed_in_the_opposite_order() -> None:
    """This is so unless a scenario says that opening them waits."""
    scenario = Opening(nothing)
    assert use(scenario) == ARMS
    assert [event[:2] for event in scenario.events] == [
        *(("opens", arm) for arm in ARMS.values()),
        *(("closed", arm) for arm in reversed(ARMS.values())),
    ]


def test_instances_that_wait_are_opened_side_by_side_in_their_order() -> None:
    """Each waits for all others here; each is closed by the task that opened it."""
    barrier = asyncio.Barrier(len(ARMS))
    scenario = Waiting(lambda _arm: barrier.wait())
    assert use(scenario) == ARMS
    assert scenario.events[:3] == [("opens", arm) for arm in ARMS.values()]
    assert sorted(scenario.events[3:]) == sorted(("closed", arm, True) for arm in ARMS.values())


@pytest.mark.parametrize("kind", [Opening, Waiting])
def test_an_instance_that_cannot_be_opened_is_named_and_the_others_are_closed(kind: type[Opening]) -> None:
    """The error is sent before they are, as closing may not come to an end."""

    async def open_one(arm: str) -> None:
        if arm == "optimised":
            raise ValueError("no")

    scenario = kind(open_one)
    with pytest.raises(
        ScenarioFailedError, match=r"^optimised raised in open\(\) at .*test_instance.py, line \d+.*: ValueError: no$"
    ) as found:
        use(scenario)
    opened = [event for event in scenario.events if event[0] == "opens" and event[1] != "optimised"]
    closed = [event for event in scenario.events if event[0] == "closed"]
    assert len(opened) == len(closed) >= 1
    assert scenario.events.index(str(found.value)) < scenario.events.index(closed[0])


@pytest.mark.parametrize("kind", [Opening, Waiting])
def test_an_error_while_instances_are_used_is_sent_before_they_are_closed(kind: type[Opening]) -> None:
    """It is the one that is raised."""
    scenario = kind(nothing)
    with pytest.raises(ScenarioFailedError, match=r"^they disagree$"):
        use(scenario, ScenarioFailedError("they disagree"))
    assert scenario.events[3] == "they disagree"
    assert sorted(event[1] for event in scenario.events if event[0] == "closed") == sorted(ARMS.values())


@pytest.mark.parametrize("kind", [Opening, Waiting])
def test_an_instance_that_cannot_be_closed_is_named(kind: type[Opening]) -> None:
    """It fails the scenario."""

    def close(arm: str) -> None:
        if arm == "optimised":
            raise ValueError("no")

    with pytest.raises(ScenarioFailedError, match=r"^optimised raised .*: ValueError: no$"):
        use(kind(nothing, close))
