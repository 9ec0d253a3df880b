"""One client library in the closed model, in a separate process: `bench_drivers NAME LOOP JOB` writes JSON.

Every user sends its next request when the last one has completed. A request counts in the window in which it ends.
"""

from __future__ import annotations

import asyncio
import sys
import time
from array import array
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from importlib import import_module

import msgspec
import numpy as np
import psutil

from harness.errors import ScenarioFailedError
from harness.load.http_client import Client
from harness.runtime.clock import MonotonicClock
from tools.servers import HOST

WARM_UP_S = 0.5

SendRequest = Callable[[], Awaitable[int]]
"""Sends a request, reads the whole response, and returns its status."""


class DriverJob(msgspec.Struct, frozen=True):
    """A measurement: concurrent users that send requests to `port`. `server` is the process whose CPU time is recorded."""

    port: int
    server: int
    users: int
    seconds: float


class DriverResult(msgspec.Struct, frozen=True):
    """A client's result in the window, with the CPU times of client and server."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    client_cpu_s: float
    server_cpu_s: float

    @property
    def per_s(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    @property
    def usage(self) -> tuple[float, float]:
        """The usage of the client's and the server's core."""
        return self.client_cpu_s / self.seconds, self.server_cpu_s / self.seconds


@dataclass
class Window:
    """The measured part of a run: opened after the warm-up, closed before the users stop. Users append to `took_ns`."""

    server: int
    took_ns: array[int] = field(default_factory=lambda: array("q"))
    _opened: tuple[int, float, float] = (0, 0.0, 0.0)

    def open(self) -> None:
        """Start measuring, and discard earlier times."""
        del self.took_ns[:]
        self._opened = self._now()

    def close(self) -> DriverResult:
        """Return the result since it was opened; raise ScenarioFailedError if no request completed."""
        if not self.took_ns:
            raise ScenarioFailedError("no request completed in the window; raise --seconds")
        passed_ns, client_s, server_s = (now - then for now, then in zip(self._now(), self._opened, strict=True))
        p50_ms, p99_ms = (float(ns) / 1e6 for ns in np.percentile(self.took_ns, (50, 99)))
        return DriverResult(len(self.took_ns), passed_ns / 1e9, p50_ms, p99_ms, client_s, server_s)

    def _now(self) -> tuple[int, float, float]:
        return MonotonicClock().now_ns(), time.process_time(), cpu_s(self.server)


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used so far."""
    used = psutil.Process(pid).cpu_times()
    return float(used.user + used.system)


async def _ours(stack: AsyncExitStack, port: int, _: int) -> SendRequest:
    client = stack.enter_context(closing(Client(HOST, port)))
    request = client.encode("GET", "/")

    async def send() -> int:
        return (await client.send(request)).status

    return send


async def _aiohttp(stack: AsyncExitStack, port: int, users: int) -> SendRequest:
    library, url = import_module("aiohttp"), f"http://{HOST}:{port}/"
    session = await stack.enter_async_context(library.ClientSession(connector=library.TCPConnector(limit=users)))

    async def send() -> int:
        async with session.get(url) as response:
            await response.read()
            return int(response.status)

    return send


async def _httpx(stack: AsyncExitStack, port: int, users: int) -> SendRequest:
    library, url = import_module("httpx"), f"http://{HOST}:{port}/"
    limits = library.Limits(max_connections=users, max_keepalive_connections=users)
    client = await stack.enter_async_context(library.AsyncClient(limits=limits, trust_env=False))

    async def send() -> int:
        return int((await client.get(url)).status_code)

    return send


async def _niquests(stack: AsyncExitStack, port: int, users: int) -> SendRequest:
    library, url = import_module("niquests"), f"http://{HOST}:{port}/"
    session = await stack.enter_async_context(library.AsyncSession(pool_connections=1, pool_maxsize=users))
    session.trust_env = False

    async def send() -> int:
        response = await session.get(url)
        assert response.content
        return int(response.status_code)

    return send


DRIVERS = {"ours": _ours, "aiohttp": _aiohttp, "httpx": _httpx, "niquests": _niquests}


async def measure(driver: str, job: DriverJob) -> DriverResult:
    """Run the users, and return the result in the window; raise ConnectionError if a response is not 200."""
    window, now_ns = Window(job.server), MonotonicClock().now_ns
    stopped = False

    async def user(send: SendRequest) -> None:
        while not stopped:
            begun_ns = now_ns()
            status = await send()
            window.took_ns.append(now_ns() - begun_ns)
            if status != 200:  # noqa: PLR2004 - the echo's status
                raise ConnectionError(f"the echo responded with {status}")

    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        send = await DRIVERS[driver](stack, job.port, job.users)
        for _ in range(job.users):
            group.create_task(user(send))
        await asyncio.sleep(WARM_UP_S)
        window.open()
        await asyncio.sleep(job.seconds)
        measured = window.close()
        stopped = True
    return measured


def main() -> None:
    """Measure the driver and the loop in the arguments, for the job in JSON."""
    driver, loop, job = sys.argv[1:]
    factory = import_module("uvloop").new_event_loop if loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        measured = runner.run(measure(driver, msgspec.json.decode(job, type=DriverJob)))
    sys.stdout.buffer.write(msgspec.json.encode(measured))


if __name__ == "__main__":
    main()
