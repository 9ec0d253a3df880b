"""The engine's own process: unpatched Python, whatever its supervisor has done to itself. A job in, orders in, reports out."""

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
from typing import BinaryIO

import msgspec

from harness.bench.protocol import decode_paths
from harness.bench.worker import die_with_parent, only_events_on_stdout
from harness.discovery import load
from harness.errors import HarnessError
from harness.load.engine import LoadLevel, LoadWorker
from harness.load.pacing import Pacer
from harness.load.protocol import LoadJob, Order, WorkerReport
from harness.load.sampler import Sampler
from harness.runtime.clock import MonotonicClock
from harness.runtime.cores import settle

try:
    import uvloop
except ImportError:  # the engine works on asyncio's own loop as well; which one it was stands in the record
    new_event_loop, EVENT_LOOP = asyncio.new_event_loop, "asyncio"
else:
    new_event_loop, EVENT_LOOP = uvloop.new_event_loop, f"uvloop {importlib.metadata.version('uvloop')}"


SWITCH_S = 0.0002
"""How long the thread that samples may keep the interpreter from the loop: Python's own five milliseconds would be in the times."""


def main() -> None:
    """Read a job from standard input, report ready, then run blocks under the orders that follow."""
    die_with_parent()
    channel = only_events_on_stdout()
    source = sys.stdin.buffer
    job = msgspec.json.decode(source.readline(), type=LoadJob, dec_hook=decode_paths)
    if job.cpus:
        settle(job.cpus)
    sys.setswitchinterval(SWITCH_S)
    encoder, saying = msgspec.json.Encoder(), threading.Lock()

    def say(report: WorkerReport) -> None:
        line = encoder.encode(report) + b"\n"
        with saying, contextlib.suppress(BrokenPipeError):  # ticks come from a thread; a supervisor that has gone wants no reports
            channel.write(line)
            channel.flush()

    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_serve(job, source, say))
    except HarnessError as error:
        say(WorkerReport(failed=str(error)))
    except Exception as error:  # noqa: BLE001 - a scenario's own code may raise anything; the supervisor shows it in one line
        say(WorkerReport(failed=f"{type(error).__name__}: {error}"))
    with contextlib.suppress(BrokenPipeError):
        channel.close()
    os._exit(0)  # the thread that waits for orders must not keep the process


async def _serve(job: LoadJob, source: BinaryIO, say: Callable[[WorkerReport], None]) -> None:
    clock = MonotonicClock()
    async with Pacer(clock) as pacer, Sampler(lambda tick: say(WorkerReport(tick=tick)), clock) as sampler:
        engine = LoadWorker([load(Path(f)) for f in job.files], job, clock, pacer, sampler)
        try:
            await engine.open()
            gc.collect()
            gc.freeze()  # what was opened lives as long as the process: collections under load need not go through it
            orders = _Orders(asyncio.get_running_loop())
            say(WorkerReport(ready=True, facts={"event loop": EVENT_LOOP, **engine.facts}, cannot_run=engine.cannot_run))
            threading.Thread(target=orders.listen, args=(source,), daemon=True).start()
            await (_on_request if job.on_request else _in_cycles)(engine, orders, say)
        finally:
            await engine.close()


async def _in_cycles(engine: LoadWorker, orders: _Orders, say: Callable[[WorkerReport], None]) -> None:
    await orders.first.wait()
    async for block in engine.cycles(lambda: orders.level, lambda: orders.stop):
        say(WorkerReport(block=block))


async def _on_request(engine: LoadWorker, orders: _Orders, say: Callable[[WorkerReport], None]) -> None:
    number = 0
    while (order := await orders.waiting.get()).users is not None:
        block = await engine.run_block(
            order.arm, number, LoadLevel(order.users, order.rate_factor), order.block_s, lambda: orders.stop
        )
        say(WorkerReport(block=block))
        number += 1


class _Orders:
    """The orders so far, read by a thread so that waiting for one never holds up the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.level = LoadLevel()
        self.stop = False
        self.first = asyncio.Event()
        self.waiting: asyncio.Queue[Order] = asyncio.Queue()
        self._loop = loop

    def listen(self, source: BinaryIO) -> None:
        """Follow orders until the supervisor is gone, which also means stop."""
        for line in source:
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
