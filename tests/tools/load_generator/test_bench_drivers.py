"""The drivers of the client benchmark: every library sends the same requests, and only the window counts."""

import asyncio
import os
import time
from contextlib import suppress
from importlib.util import find_spec

import pytest

from tools.load_generator import bench_drivers
from tools.load_generator.bench_drivers import DRIVERS, DriverJob, DriverResult, Window, measure


async def measured(driver: str, answer: bytes, seconds: float = 0.1) -> tuple[DriverResult, list[bytes]]:
    """Measure a driver with a server that sends this response; return its figures and its request lines."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                received.append((await reader.readuntil(b"\r\n\r\n")).split(b" HTTP", 1)[0])
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        job = DriverJob(server.sockets[0].getsockname()[1], os.getpid(), users=3, seconds=seconds)
        return await measure(driver, job), received
    finally:
        server.close()
        await asyncio.sleep(0.01)  # the connections' ends have to arrive


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_driver_sends_requests_until_the_window_closes(driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each repeats the same request, and its figures are of requests within the window."""
    if driver != "ours" and find_spec(driver) is None:
        pytest.skip(f"{driver} is not installed")
    monkeypatch.setattr(bench_drivers, "WARM_UP_S", 0.05)
    for seconds in (0.1, 1.0, 10.0):  # a busy machine may leave no time in a short window
        with suppress(ExceptionGroup):
            found, received = asyncio.run(measured(driver, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", seconds))
            break
    assert set(received) == {b"GET /"}
    assert 0 < found.requests < len(received)
    assert 0 < found.p50_ms <= found.p99_ms


def test_an_error_status_ends_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that fails quickly would otherwise look like a fast client."""
    monkeypatch.setattr(bench_drivers, "WARM_UP_S", 0.05)
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(measured("ours", b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"))
    assert caught.group_contains(ConnectionError, match="the echo responded with 503")


def test_a_window_discards_earlier_times() -> None:
    """Only times after the opening count."""
    window = Window(os.getpid())
    window.took_ns.extend([10**9] * 10)
    window.open()
    window.took_ns.extend([1_000_000, 2_000_000, 3_000_000])
    time.sleep(0)
    found = window.close()
    assert (found.requests, found.p50_ms) == (3, 2.0)
    assert found.client_cpu_s >= 0
