"""Load on a fake clock: a scenario whose operations take the time that a test sets, by a fake pacer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from harness.discovery import LoadedScenario
from harness.load.block import LoadBlock
from harness.load.pacing import FakePacer
from harness.load.protocol import LoadJob, Order
from harness.load.worker import LoadWorker
from harness.runnable import runnable
from harness.runtime.clock import FakeClock
from harness.scenario import Case, Group, Scenario, Setting

MS = 1_000_000
T = TypeVar("T")


class Timed(Scenario[str]):
    """Arms whose operations, once under load, take time of the fake clock, and may fail or never end."""

    arms = {"baseline": "", "optimised": "", "other": ""}  # noqa: RUF012 - a table
    groups = (
        Group("read", ""),
        Group("write", ""),
        Group("heavy", "", load=False),
    )

    def __init__(self, clock: FakeClock, pacer: FakePacer) -> None:
        """Share the clock."""
        self.clock, self.pacer = clock, pacer
        self.under_load = False
        self.ran: list[tuple[str, str, int]] = []
        self.was_reset: list[str] = []
        self.settled: list[tuple[str, int, int]] = []
        self.max_in_flight = self.in_flight = 0
        self.takes_ns: Callable[[str, Case], int] = lambda arm, case: 0
        self.breaks: Callable[[str, Case], BaseException | None] = lambda arm, case: None
        self.target: Mapping[str, int] = {}

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return different cases for each stream."""
        return [Case(group, f"stream {setting.stream} {group} {i}", i) for group in ("read", "write", "heavy") for i in range(4)]

    @asynccontextmanager
    async def open(self, arm: str, setting: Setting) -> AsyncIterator[str]:
        """Yield the arm's name as the instance."""
        yield arm

    async def run(self, instance: str, case: Case) -> int:
        """Take the time that the test sets, or fail; neither while answers are compared."""
        if not self.under_load:
            return int(case.args)
        self.ran.append((instance, case.name, self.clock.now_ns()))
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            takes_ns, error = self.takes_ns(instance, case), self.breaks(instance, case)
            if takes_ns:
                await self.pacer.until(self.clock.now_ns() + takes_ns)
            if error is not None:
                raise error
            return int(case.args)
        finally:
            self.in_flight -= 1

    async def reset(self, instance: str, case: Case, answer: Any) -> None:
        """Record the reset."""
        if self.under_load:
            self.was_reset.append(case.name)

    async def settle(self, instance: str) -> None:
        """Record the operations in flight and the operations done."""
        self.settled.append((instance, self.in_flight, len(self.ran)))

    def targets(self, instance: str) -> Mapping[str, int]:
        """Return the targets that the test sets."""
        return self.target

    def names(self, arm: str) -> list[str]:
        """Return the cases that an arm ran, in order."""
        return [name for a, name, _ in self.ran if a == arm]


@dataclass
class Stage:
    """A scenario with its clock and its pacer."""

    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    stopped: bool = False

    def __post_init__(self) -> None:
        self.pacer = FakePacer(self.clock)
        self.scenario = Timed(self.clock, self.pacer)

    @property
    def loaded(self) -> LoadedScenario:
        """The scenario as if it had been found in a file."""
        return LoadedScenario("timed", Path("timed.py"), runnable(self.scenario), "Timed.", "Timed.")

    def job(self, **how: Any) -> LoadJob:
        """Return a job of blocks of 0.1 s, of two arms, without warm-up."""
        usual: dict[str, Any] = {"block_s": 0.1, "arrivals": "100", "arms": ["baseline", "optimised"], "cycles": 1}
        return LoadJob(["timed.py"], **{"settings": [Setting(self.folder, self.folder)], **usual, **how})

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return asyncio.run(coroutine)

    def blocks(self, users: int = 0, rate_factor: float = 1.0, **how: Any) -> list[LoadBlock]:
        """Return the blocks of a job."""

        async def go() -> list[LoadBlock]:
            worker = LoadWorker([self.loaded], self.job(**how), self.clock, self.pacer)
            await worker.open()
            self.scenario.under_load = True
            found = [block async for block in worker.cycles(lambda: Order(users, rate_factor), lambda: self.stopped)]
            await worker.close()
            return found

        return self.run(go())


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Return a scenario on a fake clock."""
    return Stage(tmp_path)
