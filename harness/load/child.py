"""The engine's own process: unpatched Python, whatever its supervisor has done to itself. A job in, orders in, reports out."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec

from harness.discovery import load
from harness.errors import HarnessError
from harness.load.engine import Engine
from harness.load.protocol import LoadJob, Order, Report
from harness.measure.clock import MonotonicClock
from harness.measure.protocol import decode_paths
from harness.measure.worker import die_with_parent, only_events_on_stdout


def main() -> None:
    """Read a job from standard input, report ready, then run cycles under the orders that follow."""
    die_with_parent()
    channel = only_events_on_stdout()
    source = sys.stdin.buffer
    job = msgspec.json.decode(source.readline(), type=LoadJob, dec_hook=decode_paths)
    encoder = msgspec.json.Encoder()

    def say(report: Report) -> None:
        channel.write(encoder.encode(report) + b"\n")
        channel.flush()

    try:
        asyncio.run(_serve(job, source, say))
    except HarnessError as error:
        say(Report(failed=str(error)))
    except Exception as error:  # noqa: BLE001 - a scenario's own code may raise anything; the supervisor shows it in one line
        say(Report(failed=f"{type(error).__name__}: {error}"))
    channel.close()
    os._exit(0)  # the thread that waits for orders must not keep the process


async def _serve(job: LoadJob, source: BinaryIO, say: Callable[[Report], None]) -> None:
    engine = Engine([load(Path(f)) for f in job.files], job.settings, job.block_s, MonotonicClock())
    await engine.open()
    orders = _Orders(asyncio.get_running_loop())
    try:
        say(Report(ready=True))
        threading.Thread(target=orders.listen, args=(source,), daemon=True).start()
        await orders.first.wait()
        async for block in engine.cycles(lambda: max(1, orders.users), lambda: orders.stop):
            say(Report(block=block))
    finally:
        await engine.close()


class _Orders:
    """The latest order, read by a thread so that waiting for one never holds up the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.users = 0
        self.stop = False
        self.first = asyncio.Event()
        self._loop = loop

    def listen(self, source: BinaryIO) -> None:
        """Follow orders until the supervisor is gone, which also means stop."""
        for line in source:
            order = msgspec.json.decode(line, type=Order)
            if order.users is None:
                break
            self.users = order.users
            if self.users:
                self._loop.call_soon_threadsafe(self.first.set)
        self.stop = True
        self._loop.call_soon_threadsafe(self.first.set)


if __name__ == "__main__":
    main()
