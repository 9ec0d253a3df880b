"""The parent's side of a load worker: start it, send it orders, collect its blocks and ticks.

It works in a process that Locust has patched and in one that it has not: all messages go over a socket.
"""

import threading
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field

import msgspec

from harness.errors import ScenarioFailedError
from harness.load.block import GIVE_UP_S, LoadBlock
from harness.load.protocol import LoadJob, Order, TickMeasured, WorkerReady, WorkerReport
from harness.results.load import Tick
from harness.runtime.child import Child, JobFailed, child_environment, python_module

STOP_S = 10.0  # seconds that the worker may take to close its instances, in addition to draining
POLL_S = 0.1  # seconds between two checks, while waiting for a block, that the worker is still running

_Report = WorkerReport | JobFailed
_decoder: msgspec.json.Decoder[_Report] = msgspec.json.Decoder(_Report)


@dataclass
class Supervisor:
    """One load worker, from `start` to `close`."""

    job: LoadJob
    """The load it generates."""
    failed: str | None = None
    """The reason why it ended early."""
    facts: dict[str, str] = field(default_factory=dict)
    """Description of its process."""
    cannot_run: list[tuple[str, str, str, str]] = field(default_factory=list)
    """(scenario, arm, group, error) of groups that an arm cannot run as written."""

    _blocks: deque[LoadBlock] = field(default_factory=deque)
    _ticks: deque[Tick] = field(default_factory=deque)
    _received: threading.Event = field(default_factory=threading.Event)
    _child: Child[_Report] | None = None
    _reader: threading.Thread | None = None
    _last: Order | None = None
    _closing: bool = False

    def start(self) -> None:
        """Start the worker and wait until its instances are open and their answers compared; raise its error if it cannot."""
        environment, command = child_environment(temporary=self.job.settings[0].folder), python_module("harness.load.worker")
        self._child = Child(command, _decoder, environment=environment, cores=self.job.cpus, capture=False)
        with ExitStack() as on_error:
            on_error.callback(self.close)
            self._child.send(self.job)
            report = self._child.receive()
            if isinstance(report, JobFailed):
                raise report.error()
            if not isinstance(report, WorkerReady):
                raise ScenarioFailedError(f"load worker exited unexpectedly ({self._child.exit_description()})")
            on_error.pop_all()
        self.facts, self.cannot_run = report.facts, report.cannot_run
        self._reader = threading.Thread(target=self._read, args=(self._child,), daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        """Whether more reports may arrive."""
        return self._reader is not None and self._reader.is_alive()

    def load(self, users: int = 0) -> None:
        """Set the number of users from the worker's next cycle on; the first call starts the load."""
        order = Order(users)
        if order != self._last and self._order(order):
            self._last = order

    def run_block(self, arm: str, users: int = 0, rate_factor: float = 1.0, block_s: float | None = None) -> LoadBlock:
        """Run one block, of the closed model with `users`, else of the open one; `ScenarioFailedError` if the worker exits."""
        self._order(Order(users, rate_factor, arm, block_s))
        while not self._blocks:
            if not self.running and not self._blocks:  # in this order: its last block may arrive before it exits
                raise ScenarioFailedError(self.failed or "the load worker has exited")
            self.wait()
        return self._blocks.popleft()

    def wait(self) -> None:
        """Wait until a report arrives, or for `POLL_S` seconds."""
        self._received.wait(POLL_S)
        self._received.clear()

    def received(self) -> tuple[list[LoadBlock], list[Tick]]:
        """Return the blocks and the ticks received since the last call."""
        blocks, ticks = len(self._blocks), len(self._ticks)
        return [self._blocks.popleft() for _ in range(blocks)], [self._ticks.popleft() for _ in range(ticks)]

    def stop(self) -> None:
        """Let the worker cut its block short, drain and exit, and collect the rest."""
        self._order(Order(stop=True))
        if self._reader is not None:
            self._reader.join(self.job.drain_s + GIVE_UP_S + STOP_S)

    def close(self) -> None:
        """End the worker, if it has not exited by itself."""
        self._closing = True
        if self._child is None:
            return
        self._child.end()
        if self._reader is not None:
            self._reader.join()
        self._child.close()

    def _read(self, child: Child[_Report]) -> None:
        while (report := child.receive()) is not None:
            if isinstance(report, LoadBlock):
                self._blocks.append(report)
            elif isinstance(report, TickMeasured):
                self._ticks.append(report.tick)
            elif isinstance(report, JobFailed):
                self.failed = report.message
            self._received.set()
        if child.process.wait() != 0 and not self._closing:
            self.failed = self.failed or f"load worker exited unexpectedly during the run ({child.exit_description()})"
        self._received.set()

    def _order(self, order: Order) -> bool:
        if self._child is None or self._closing:
            return False
        return self._child.send(order)  # a worker that has exited is noticed by the reader
