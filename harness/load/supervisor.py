"""The parent's side of a load worker: start it, send it orders, collect its blocks and ticks.

It works in a process that Locust has patched and in one that it has not: all messages go over a socket.
"""

import subprocess
import threading
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import msgspec

from harness.errors import ScenarioFailedError
from harness.load.block import GIVE_UP_S, LoadBlock
from harness.load.protocol import (
    CLOSED,
    LoadJob,
    Order,
    StepStarted,
    TickMeasured,
    WorkerFinished,
    WorkerReady,
    WorkerReport,
)
from harness.results.load import Tick
from harness.runtime.channel import LONG
from harness.runtime.child import ENDING_S, Child, JobFailed, child_environment, python_module
from harness.runtime.clock import Clock, MonotonicClock

STOP_S = 10.0  # seconds that the worker may take to close its instances, in addition to draining
GRACE_S = 5.0  # seconds after a step's timeout in which the worker can end it by itself, before it is ended
POLL_S = 0.1  # seconds between two checks, while waiting for a block, that the worker is still running

_Report = WorkerReport | JobFailed
_decoder: msgspec.json.Decoder[_Report] = msgspec.json.Decoder(_Report)


@dataclass
class Supervisor:
    """One load worker, from `start` to `close`."""

    job: LoadJob
    """The load it generates."""
    clock: Clock = field(default_factory=MonotonicClock)
    failed: str | None = None
    """The reason why it ended early."""
    hung_arm: str = ""
    """The arm that kept the worker from going on: it hung, crashed or ended the process; empty if it ended in no arm's step."""
    crashed: bool = False
    """Whether it ended early because its process ended: the arm may do that again, or something else may have killed it."""
    facts: dict[str, str] = field(default_factory=dict)
    """Description of its process."""
    cannot_run: list[tuple[str, str, str, str]] = field(default_factory=list)
    """(scenario, arm, group, error) of groups that an arm cannot run as written."""
    arms: list[str] = field(default_factory=list)
    """The arms that take load, of the first scenario."""
    left: list[str] = field(default_factory=list)
    """The threads and processes that the scenario left running when the worker had done its job."""

    _blocks: deque[LoadBlock] = field(default_factory=deque)
    _ticks: deque[Tick] = field(default_factory=deque)
    _received: threading.Event = field(default_factory=threading.Event)
    _child: Child[_Report] | None = None
    _reader: threading.Thread | None = None
    _last: Order | None = None
    _closing: bool = False
    _finished: bool = False
    _step: StepStarted | None = None
    """The step of the worker that runs; None while it waits for an order."""
    _deadline_ns: int | None = None
    """The time at which the worker is ended, because the step has not ended."""

    def start(self) -> None:
        """Start the worker and wait until its instances are open and their answers compared; raise its error if it cannot."""
        self._begin(StepStarted("loading the scenario", "", LONG * self.job.timeout_s))
        environment, command = child_environment(temporary=self.job.settings[0].folder), python_module("harness.load.worker")
        self._child = Child(command, _decoder, environment=environment, cores=self.job.cpus, capture=False)
        with ExitStack() as on_error:
            on_error.callback(self.close)
            self._child.send(self.job)
            while isinstance(report := self._receive(self._child), StepStarted):
                self._begin(report)
            if isinstance(report, JobFailed):
                with suppress(subprocess.TimeoutExpired):  # it closes its instances
                    self._child.process.wait(STOP_S)
                raise report.error()
            if not isinstance(report, WorkerReady):
                with suppress(subprocess.TimeoutExpired):  # it closes its channel before it can be reaped
                    self._child.process.wait(ENDING_S)
                raise ScenarioFailedError(self._exit_message(self._child))
            on_error.pop_all()
        self._begin(None)
        self.facts, self.cannot_run, self.arms = report.facts, report.cannot_run, report.arms
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

    def run_block(
        self, arm: str, users: int = 0, rate_factor: float = 1.0, block_s: float | None = None, cycle: int | None = None
    ) -> LoadBlock:
        """Run one block, of the closed model with `users`, else of the open one; `ScenarioFailedError` if the worker exits.

        Blocks of the same `cycle`, one after another, get the same arrivals and cases.
        """
        self._order(Order(users, rate_factor, arm, block_s, cycle))
        while not self._blocks:
            if not self.running and not self._blocks:  # in this order: its last block may arrive before it exits
                raise ScenarioFailedError(self.failed or "the load worker has exited")
            self.wait()
        return self._blocks.popleft()

    def wait(self) -> None:
        """Wait until a report arrives, or for `POLL_S` seconds; end a worker whose step has exceeded its timeout."""
        self._received.wait(POLL_S)
        self._received.clear()
        self.check()

    def check(self) -> None:
        """End the worker if its step has exceeded its timeout."""
        deadline_ns, step = self._deadline_ns, self._step
        if deadline_ns is not None and self.clock.now_ns() > deadline_ns and self.running and self._child is not None:
            if self.failed is None and step is not None:
                self.failed, self.hung_arm = _overdue(step, self._child.stopped()), step.arm
            self._child.end()

    def received(self) -> tuple[list[LoadBlock], list[Tick]]:
        """Return the blocks and the ticks received since the last call."""
        blocks, ticks = len(self._blocks), len(self._ticks)
        return [self._blocks.popleft() for _ in range(blocks)], [self._ticks.popleft() for _ in range(ticks)]

    def stop(self) -> None:
        """Let the worker cut its block short, drain and exit, and collect the rest; end one that does not."""
        self._order(Order(stop=True))
        if self._reader is None:
            return
        step = self._step  # it closes its instances next
        self._reader.join(self.job.drain_s + GIVE_UP_S + STOP_S)
        if self.running and self.failed is None:
            blocked = self._step or step
            self.failed = f"{blocked.step if blocked is not None else 'the load worker'} did not end when it was stopped"
            self.hung_arm = blocked.arm if blocked is not None else ""

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
        while not self._finished and (report := child.receive()) is not None:  # what it has left running may keep the channel open
            self._add(report)
            self._received.set()
        if self._finished and not self._closing:
            self.left += child.left()
        elif not self._finished:
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(ENDING_S)
            if not self._closing:
                if self.failed is None:
                    self.failed = self._exit_message(child)
                    self.hung_arm, self.crashed = self._step.arm if self._step is not None else "", True
                child.end()
        child.process.wait()
        self._received.set()

    def _add(self, report: _Report) -> None:
        if isinstance(report, LoadBlock):
            self._begin(None)
            self._blocks.append(report)
        elif isinstance(report, TickMeasured):
            self._ticks.append(report.tick)
        elif isinstance(report, StepStarted):
            self._begin(report)
        elif isinstance(report, WorkerFinished):
            self._finished, self.left = True, list(report.left)
            if self._child is not None:
                self._child.started = report.started
        elif isinstance(report, JobFailed):
            if self._step is not None and self.failed is None:
                self.hung_arm = self._step.arm
            self.failed = self.failed or report.message
            closing_s = STOP_S if report.kind else 0.0  # it closes its instances, unless it was forked and there are two of it
            self._deadline_ns = self.clock.now_ns() + int(closing_s * 1e9)

    def _begin(self, step: StepStarted | None) -> None:
        """Set the step that the worker has begun, and its deadline; a worker that has failed keeps its own."""
        self._step = step
        if self.failed is None:
            self._deadline_ns = None if step is None else self.clock.now_ns() + int((step.timeout_s + GRACE_S) * 1e9)

    def _receive(self, child: Child[_Report]) -> _Report | None:
        assert self._step is not None
        try:
            return child.receive(self._step.timeout_s + GRACE_S)
        except TimeoutError as error:
            raise ScenarioFailedError(_overdue(self._step, child.stopped())) from error

    def _exit_message(self, child: Child[_Report]) -> str:
        during = self._step.step if self._step is not None else "the run"
        if child.process.poll() in {None, CLOSED}:
            closed = f"the connection to the load worker was closed during {during}"
            return f"{closed}; the scenario must not close file descriptors that it has not opened"
        return f"load worker exited unexpectedly during {during} ({child.exit_description()})"

    def _order(self, order: Order) -> bool:
        if self._child is None or self._closing:
            return False
        return self._child.send(order)  # a worker that has exited is noticed by the reader


def _overdue(step: StepStarted, stopped: str = "") -> str:
    """Return why a step did not end; `stopped` is the name of a process that was stopped, such as by SIGSTOP."""
    if stopped:
        return f"{step.step}: {stopped} is stopped (SIGSTOP), so the load worker was ended after {step.timeout_s:g} s"
    return f"{step.step} did not end within {step.timeout_s:g} s, so the load worker was ended; see --timeout"
