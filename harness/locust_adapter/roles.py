"""What a process of Locust's does for a run, and the one that does all of it alone."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import gevent
from locust.env import Environment

from harness.errors import HarnessError
from harness.load.protocol import LoadBlock
from harness.locust_adapter.seat import EngineHandle
from harness.locust_adapter.statistics import count
from harness.locust_adapter.verdicts import VerdictPage
from harness.locust_adapter.wish import RunRequest
from harness.locust_adapter.written import RunResults, exit_code, report, write
from harness.results.load import Tick

LOOK_S = 0.2
"""How often engines are heard, and workers looked after."""

ALONE = "here"
"""Where the load comes from when there is one process."""


class Role(ABC):
    """One of Locust's processes. Each method is called when Locust says so: see `harness.locust_adapter.listeners`."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.running = False

    @property
    def options(self) -> Any:
        """Locust's options and ours."""
        return self.environment.parsed_options

    @abstractmethod
    def ready(self) -> None:
        """Prepare what must not eat into the time that a run without the web UI has."""

    @abstractmethod
    def start(self) -> None:
        """Begin a run."""

    @abstractmethod
    def stop(self) -> None:
        """End the run: wait for what is under way, and see that it is written down. Nothing where none is under way."""

    def quitting(self) -> None:
        """End with Locust, also in the middle of a run."""
        self.stop()

    def give_up(self, says: str, code: int) -> None:
        """End with one line; with the web UI the run ends and the page stays."""
        sys.stderr.write(f"harness: {says}\n")
        self.environment.process_exit_code = code
        runner = self.environment.runner
        if runner is not None:
            gevent.spawn(runner.stop if self.environment.web_ui is not None else runner.quit)

    def pumps(self, seat: EngineHandle, hear: Callable[[list[LoadBlock], list[Tick]], None], fail: Callable[[str], None]) -> None:
        """Tell the engine how many users there are, and hear its blocks, until the run ends."""
        while self.running:
            assert self.environment.runner is not None
            seat.load(self.environment.runner.user_count)
            hear(seat.blocks(), seat.ticks())
            if seat.failed:
                fail(seat.failed)
                return
            gevent.sleep(LOOK_S)


class Reporter(Role):
    """A process at which a run ends: it writes the folder and shows the report."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.told = RunResults()
        self.wish: RunRequest | None = None
        self.page = VerdictPage(environment) if environment.web_ui is not None else None

    def wishes(self, users: int, workers: list[str], run: int = 1) -> RunRequest:
        """Return what is asked for, as far as it can be done: checked before anybody prepares for it."""
        wish = RunRequest.of(self.options, [c.__name__ for c in self.environment.user_classes], users, workers, run)
        wish.job(lambda _: [], workers[0] if workers else "")
        return wish

    def quitting(self) -> None:
        """End with Locust; a run that was to last longer has been interrupted."""
        self.told.interrupted = self.running and bool(self.options.headless and self.options.run_time)
        self.stop()

    def finish(self) -> None:
        """Write the run and its report."""
        if self.wish is None:
            return
        try:
            folder, run = write(self.told, self.wish, self.options.out)
        except HarnessError as error:
            self.environment.process_exit_code = error.code
            sys.stderr.write(f"harness: {error}\n")
            return
        code = exit_code(run)
        if failed := report(folder):
            code = failed
        if code is not None:
            self.environment.process_exit_code = code
        if self.page is not None:
            self.page.show(folder, run)


class Alone(Reporter):
    """The only process."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.seat = EngineHandle()

    def ready(self) -> None:
        """Prepare."""
        if self.options.headless:
            try:
                self.seat.prepare(self.wishes(self.options.num_users or 1, []))
            except HarnessError as error:
                self.seat.leave()
                sys.stderr.write(f"harness: {error}\n")
                sys.exit(error.code)

    def start(self) -> None:
        """Prepare, where that was not done, and load."""
        assert self.environment.runner is not None
        self.told = RunResults()
        try:
            self.wish = self.wishes(self.options.num_users or 1, [])
            self.seat.prepare(self.wish)
        except HarnessError as error:
            self.wish = None
            self.give_up(str(error), error.code)
            return
        self.told.places, self.told.facts, self.told.cannot_run = self.seat.places, self.seat.facts, self.seat.cannot_run
        self.running = True
        gevent.spawn(self.pumps, self.seat, self.hear, lambda reason: self.give_up(reason, 1))

    def hear(self, blocks: list[LoadBlock], ticks: list[Tick]) -> None:
        """Pass blocks on to Locust's statistics and to the record."""
        self.told.add(ALONE, blocks, ticks)
        for block in blocks:
            count(self.environment.stats, block, ALONE)

    def stop(self) -> None:
        """Drain and report."""
        if not self.running:
            self.seat.leave()
            return
        self.running = False
        self.hear(self.seat.drain(), self.seat.ticks())
        if self.seat.failed:
            self.told.lost.append(f"the engine process, after {len(self.told.blocks[ALONE])} of its blocks: {self.seat.failed}")
        self.seat.leave()
        self.finish()
