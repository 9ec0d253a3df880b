"""A load worker: a fresh, unpatched process, whatever its supervisor has patched. It gets a job and orders and sends reports."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.metadata
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from harness.discovery import load
from harness.errors import HarnessError
from harness.load.engine import Engine, LoadLevel
from harness.load.pacing import Pacer
from harness.load.protocol import BlockMeasured, LoadJob, Order, TickMeasured, WorkerReady, WorkerReport
from harness.load.sampler import Sampler
from harness.runtime import channel
from harness.runtime.child import JobFailed, decode_path
from harness.runtime.clock import MonotonicClock

try:
    import uvloop
except ImportError:  # asyncio's own loop works as well; the record names the one that was used
    new_event_loop, EVENT_LOOP = asyncio.new_event_loop, "asyncio"
else:
    new_event_loop, EVENT_LOOP = uvloop.new_event_loop, f"uvloop {importlib.metadata.version('uvloop')}"


SWITCH_S = 0.0002
"""Seconds that the sampling thread may keep the interpreter from the loop: Python's default of 5 ms would show in the times."""


Send = Callable[[WorkerReport | JobFailed], None]


def main() -> None:
    """Receive a job, report ready, then run blocks under the orders that follow."""
    supervisor = channel.connect()
    line = supervisor.read_line()
    if not line:
        return
    job = msgspec.json.decode(line, type=LoadJob, dec_hook=decode_path)
    sys.setswitchinterval(SWITCH_S)
    encoder = msgspec.json.Encoder()

    def send(report: WorkerReport | JobFailed) -> None:
        with contextlib.suppress(OSError):  # the supervisor has exited
            supervisor.write_line(encoder.encode(report))

    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_serve(job, supervisor, send))
    except HarnessError as error:
        send(JobFailed(str(error), error.code))
    except Exception as error:  # noqa: BLE001 - a scenario's own code may raise anything; the supervisor shows it in one line
        send(JobFailed(f"{type(error).__name__}: {error}"))
    os._exit(0)  # the thread that waits for orders must not keep the process alive


async def _serve(job: LoadJob, supervisor: channel.Channel, send: Send) -> None:
    clock = MonotonicClock()
    async with Pacer(clock) as pacer, Sampler(lambda tick: send(TickMeasured(tick)), clock) as sampler:
        engine = Engine([load(Path(f)) for f in job.files], job, clock, pacer, sampler)
        try:
            await engine.open()
            gc.collect()
            gc.freeze()  # the instances live as long as the process: collections under load need not scan them
            orders = _Orders(asyncio.get_running_loop())
            send(WorkerReady({"event loop": EVENT_LOOP}, engine.cannot_run))
            threading.Thread(target=orders.listen, args=(supervisor,), daemon=True).start()
            await (_on_request if job.on_request else _in_cycles)(engine, orders, send)
        finally:
            await engine.close()


async def _in_cycles(engine: Engine, orders: _Orders, send: Send) -> None:
    await orders.first.wait()
    async for block in engine.cycles(lambda: orders.level, lambda: orders.stop):
        send(BlockMeasured(block))


async def _on_request(engine: Engine, orders: _Orders, send: Send) -> None:
    number = 0
    while (order := await orders.waiting.get()).users is not None:
        block = await engine.one(order.arm, number, LoadLevel(order.users, order.rate_factor), order.block_s, lambda: orders.stop)
        send(BlockMeasured(block))
        number += 1


class _Orders:
    """The orders so far, received by a thread so that waiting for one never blocks the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.level = LoadLevel()
        self.stop = False
        self.first = asyncio.Event()
        self.waiting: asyncio.Queue[Order] = asyncio.Queue()
        self._loop = loop

    def listen(self, supervisor: channel.Channel) -> None:
        """Receive orders until one of them, or the end of the supervisor, stops the run."""
        while line := supervisor.read_line():
            order = msgspec.json.decode(line, type=Order)
            if order.users is None:
                break
            self._loop.call_soon_threadsafe(self._take, order)
        self.stop = True
        self._loop.call_soon_threadsafe(self._take, Order(None))

    def _take(self, order: Order) -> None:
        if order.users is not None:
            self.level = LoadLevel(order.users, order.rate_factor)
        self.waiting.put_nowait(order)
        self.first.set()


if __name__ == "__main__":
    main()
