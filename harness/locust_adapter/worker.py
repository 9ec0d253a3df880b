"""A worker's role: it carries a share of the load, and tells its master what became of it."""

from __future__ import annotations

import sys
from typing import Any

import gevent
import msgspec
from locust.env import Environment
from locust.runners import WorkerRunner

from harness.errors import HarnessError
from harness.load.protocol import LoadBlock
from harness.load.results import Where
from harness.locust_adapter.roles import Role
from harness.locust_adapter.seat import EngineHandle
from harness.locust_adapter.statistics import count
from harness.locust_adapter.wish import RunRequest
from harness.results.load import Tick

HERE, PREPARE, READY, DRAIN = "harness_here", "harness_prepare", "harness_ready", "harness_drain"
"""What master and workers say to each other beside Locust's own messages; a worker's blocks are in its reports."""

WISH = "harness_wish"
"""The name among Locust's options under which the master sends the wish to its workers; None where it cannot be met."""


class FromWorker(msgspec.Struct, frozen=True):
    """What a worker's report adds: blocks and ticks, on what they ran, why there will be no more, and whether these were the last.

    `run` says which run of the master's it is about: a report may come when the next one has begun.
    """

    run: int
    blocks: list[LoadBlock] = []
    ticks: list[Tick] = []
    places: dict[str, Where] = {}
    facts: dict[str, str] = {}
    cannot_run: list[tuple[str, str, str, str]] = []
    failed: str | None = None
    code: int = 0
    done: bool = False


class Worker(Role):
    """A process that carries a share of the load."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.seat = EngineHandle(self.runner.client_id)
        self.unsent: list[LoadBlock] = []
        self.ticks: list[Tick] = []
        self.failure: tuple[str, int] | None = None
        self.run = 0
        self.done = False

    @property
    def runner(self) -> WorkerRunner:
        """Locust's side of this worker."""
        assert isinstance(self.environment.runner, WorkerRunner)
        return self.environment.runner

    def ready(self) -> None:
        """Wait for the master's word."""
        self.runner.register_message(PREPARE, lambda msg, **_: self.prepares(msg.data), concurrent=True)
        self.runner.register_message(DRAIN, lambda **_: self.drain(), concurrent=True)
        self.runner.send_message(HERE, {})

    def prepares(self, wish: dict[str, Any]) -> None:
        """Prepare before the run, and say so."""
        try:
            asked = msgspec.convert(wish, RunRequest)
            self.run = asked.run
            self.seat.prepare(asked)
        except HarnessError as error:
            self.failure = str(error), error.code
        self.tell()
        self.runner.send_message(READY, {})

    def start(self) -> None:
        """Prepare, where that was not done, and load."""
        asked = getattr(self.options, WISH)
        if asked is None:
            return
        wish = msgspec.convert(asked, RunRequest)
        self.run, self.done, self.failure, self.unsent, self.ticks = wish.run, False, None, [], []
        if self.runner.client_id not in wish.workers:
            sys.stderr.write("harness: this worker came when the load was shared out already; it carries none until the next run\n")
            return
        self.running = True
        try:
            self.seat.prepare(wish)
        except HarnessError as error:
            self.fails(str(error), error.code)
        else:
            gevent.spawn(self.pumps, self.seat, self.hear, lambda reason: self.fails(reason, 1))

    def fails(self, reason: str, code: int) -> None:
        """Tell the master that there will be no more."""
        self.failure = reason, code
        self.drain()

    def hear(self, blocks: list[LoadBlock], ticks: list[Tick]) -> None:
        """Pass blocks on to Locust's statistics and to the next report."""
        self.unsent += blocks
        self.ticks += ticks
        for block in blocks:
            count(self.environment.stats, block, self.runner.client_id)

    def drain(self) -> None:
        """Wait for what is under way, and tell the master at once: who quits sends no other report."""
        if not self.running:
            return
        self.running = False
        self.hear(self.seat.drain(), self.seat.ticks())
        self.done = True
        self.tell()

    def stop(self) -> None:
        """Drain, and leave nothing behind."""
        self.drain()
        self.seat.leave()

    def tell(self) -> None:
        """Send a report now, as Locust does every few seconds."""
        data: dict[str, Any] = {}
        self.environment.events.report_to_master.fire(client_id=self.runner.client_id, data=data)
        self.runner.send_message("stats", data)

    def report(self) -> dict[str, Any]:
        """Return what the next report adds to Locust's."""
        (blocks, self.unsent), (ticks, self.ticks) = (self.unsent, []), (self.ticks, [])
        reason, code = self.failure or (None, 0)
        said = FromWorker(self.run, blocks, ticks, self.seat.places, self.seat.facts, self.seat.cannot_run, reason, code, self.done)
        found: dict[str, Any] = msgspec.to_builtins(said)
        return found
