"""Starting an engine process, telling it how much load there is, and hearing its blocks and ticks.

Works the same in a process that Locust has patched and in one that it has not: everything goes over pipes.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections import deque
from dataclasses import dataclass, field

import msgspec

from harness.bench.protocol import encode_paths
from harness.errors import ScenarioFailedError
from harness.load.block import GIVE_UP_S, LoadBlock
from harness.load.protocol import LoadJob, Order, WorkerReport
from harness.results.load import Tick
from harness.runtime.processes import end, ending, environment

STOP_S = 10.0
"""How long the engine may take to close its instances, beside draining."""

LOOK_S = 0.1
"""How often whoever waits for a block looks whether the engine is still there."""

_decoder = msgspec.json.Decoder(WorkerReport)


@dataclass
class Supervisor:
    """One engine process, from `start` to `close`. `failed` is the reason why it ended before its time; `facts` describe it.

    `cannot_run` holds (scenario, arm, group, error) of what raised as written when it compared answers.
    """

    job: LoadJob
    failed: str | None = None
    facts: dict[str, str] = field(default_factory=dict)
    cannot_run: list[tuple[str, str, str, str]] = field(default_factory=list)
    _blocks: deque[LoadBlock] = field(default_factory=deque)
    _ticks: deque[Tick] = field(default_factory=deque)
    _news: threading.Event = field(default_factory=threading.Event)
    _child: subprocess.Popen[bytes] | None = None
    _reader: threading.Thread | None = None
    _last: Order | None = None
    _closing: bool = False

    def start(self) -> None:
        """Start the engine and wait until its instances are open and their answers compared.

        Raises:
            ScenarioFailedError: it cannot, or the arms do not agree.
        """
        self._child = subprocess.Popen(
            [sys.executable, "-m", "harness.load.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            start_new_session=True,
        )
        try:
            report = self._introduce(self._child)
        except BaseException:
            self.close()
            raise
        self.facts, self.cannot_run = report.facts, report.cannot_run
        self._reader = threading.Thread(target=self._read, args=(self._child,), daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        """Whether more may be heard."""
        return self._reader is not None and self._reader.is_alive()

    def load(self, users: int = 0, rate_factor: float = 1.0) -> None:
        """Tell the engine how much load there is from its next cycle on; the first order sets it off."""
        order = Order(users, rate_factor)
        if order != self._last and self._order(order):
            self._last = order

    def one(self, arm: str, users: int = 0, rate_factor: float = 1.0, block_s: float | None = None) -> LoadBlock:
        """Have one block of an arm from an engine that works on request: closed model where there are users.

        Raises:
            ScenarioFailedError: the engine has ended.
        """
        self._order(Order(users, rate_factor, arm, block_s))
        while not self._blocks:
            if not self.running and not self._blocks:
                raise ScenarioFailedError(self.failed or "the engine process has ended")
            self.wait()
        return self._blocks.popleft()

    def wait(self) -> None:
        """Wait until something is heard, or for a moment."""
        self._news.wait(LOOK_S)
        self._news.clear()

    def blocks(self) -> list[LoadBlock]:
        """Return the blocks heard since the last call."""
        return [self._blocks.popleft() for _ in range(len(self._blocks))]

    def ticks(self) -> list[Tick]:
        """Return the ticks heard since the last call."""
        return [self._ticks.popleft() for _ in range(len(self._ticks))]

    def stop(self) -> None:
        """Let the engine cut its block short, drain and end, and hear the rest."""
        self._order(Order(None))
        if self._reader is not None:
            self._reader.join(self.job.drain_s + GIVE_UP_S + STOP_S)

    def close(self) -> None:
        """End the engine's process, if it has not ended by itself."""
        self._closing = True
        if self._child is None:
            return
        end(self._child)
        if self._reader is not None:
            self._reader.join()
        for pipe in (self._child.stdin, self._child.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):  # an order that nobody reads any more may still be in its buffer
                pipe.close()

    def _introduce(self, child: subprocess.Popen[bytes]) -> WorkerReport:
        assert child.stdin is not None
        assert child.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # a child that cannot even start says why on its standard error
            child.stdin.write(msgspec.json.encode(self.job, enc_hook=encode_paths) + b"\n")
            child.stdin.flush()
        first = child.stdout.readline()
        if not first:
            raise ScenarioFailedError(f"the engine process ended without a word ({ending(child.wait())})")
        report = _decoder.decode(first)
        if report.failed:
            raise ScenarioFailedError(report.failed)
        return report

    def _read(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        for line in child.stdout:
            if not line.endswith(b"\n"):  # it was killed while it wrote
                break
            report = _decoder.decode(line)
            if report.block is not None:
                self._blocks.append(report.block)
            if report.tick is not None:
                self._ticks.append(report.tick)
            if report.failed:
                self.failed = report.failed
            self._news.set()
        code = child.wait()
        if code != 0 and not self._closing:
            self.failed = self.failed or f"the engine process ended in mid-run ({ending(code)})"
        self._news.set()

    def _order(self, order: Order) -> bool:
        if self._child is None or self._child.stdin is None:
            return False
        try:
            self._child.stdin.write(msgspec.json.encode(order) + b"\n")
            self._child.stdin.flush()
        except (BrokenPipeError, ValueError):
            return False  # whoever reads its reports learns how it ended
        return True
