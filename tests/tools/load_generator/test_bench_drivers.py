"""The bench's drivers: every library asks the same server in the same way, and only the window counts."""

from __future__ import annotations

import asyncio
import os
import time
from importlib.util import find_spec

import pytest

from tools.load_generator import bench_drivers
from tools.load_generator.bench_drivers import DRIVERS, DriverJob, DriverResult, Window, measure


async def measured(driver: str, answer: bytes, seconds: float = 0.1) -> tuple[DriverResult, list[bytes]]:
    """Measure a driver at a server that gives this answer; return its figures and the methods and paths it asked for."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                asked.append((await reader.readuntil(b"\r\n\r\n")).split(b" HTTP", 1)[0])
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        job = DriverJob(server.sockets[0].getsockname()[1], os.getpid(), users=3, seconds=seconds)
        return await measure(driver, job), asked
    finally:
        server.close()
        await asyncio.sleep(0.01)  # the connections' ends have to arrive


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_driver_asks_until_the_window_closes(driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each asks for the same thing again and again, and its figures are of requests within the window."""
    if driver != "ours" and find_spec(driver) is None:
        pytest.skip(f"{driver} is not installed")
    monkeypatch.setattr(bench_drivers, "WARM_UP_S", 0.05)
    found, asked = asyncio.run(measured(driver, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
    assert set(asked) == {b"GET /"}
    assert 0 < found.requests < len(asked)
    assert 0 < found.p50_ms <= found.p99_ms


def test_an_answer_that_is_no_echo_ends_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that fails quickly would otherwise look like a fast client."""
    monkeypatch.setattr(bench_drivers, "WARM_UP_S", 0.05)
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(measured("ours", b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"))
    assert caught.group_contains(ConnectionError, match="the echo answered 503")


def test_a_window_forgets_what_was_before() -> None:
    """Only what is put in after opening counts."""
    window = Window(os.getpid())
    window.took_ns.extend([10**9] * 10)
    window.open()
    window.took_ns.extend([1_000_000, 2_000_000, 3_000_000])
    time.sleep(0)
    found = window.close()
    assert (found.requests, found.p50_ms) == (3, 2.0)
    assert found.client_cpu_s >= 0
