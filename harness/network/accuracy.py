"""Accuracy of the latency proxy on this machine: round trips and bulk transfers, through the proxy and directly."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from harness.network.conditions import Conditions
from harness.network.echo import ECHO, PING_BYTES, Address, connect, echo_server, receive, transfers_mb_per_s
from harness.network.proxy import link
from harness.stats.intervals import is_supported

BOUND_SHARE, BOUND_MS = 0.05, 0.3
"""Allowed error of the median of the added latency: the larger of a share of the configured RTT and an absolute time."""

PINGS = 1000
MAX_S = 5.0
"""Time limit of the pings at one RTT, in seconds; above some hundred milliseconds of RTT there are fewer pings."""

SPACING_MS, MAX_CONNECTIONS = 3.0, 50
"""At a long RTT, up to this many connections alternate, their pings at least this far apart, so that none delays another."""

BULK_BYTES = 256 * 2**20


@dataclass(frozen=True)
class AddedLatency:
    """The round-trip time that the proxy added, in milliseconds above the median round trip without it."""

    rtt_ms: float
    """Configured round-trip time."""

    pings: int
    """Number of round trips measured."""

    p5_ms: float
    median_ms: float
    p95_ms: float
    p99_ms: float | None
    """None if there are too few pings for this percentile."""

    error_ms: float
    """Median minus configured round-trip time."""

    error_percent: float | None
    """Error relative to the configured round-trip time; None at 0 ms."""

    bound_ms: float
    """Allowed error of the median."""

    ok: bool
    """Whether the error is within the bound."""


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of the proxy on this machine. Transfer rates are in MB (a million bytes) per second, to the server and from it."""

    direct_ms: float
    """Median round trip without the proxy, in milliseconds."""

    added: Sequence[AddedLatency]
    """One entry per configured round-trip time."""

    direct_mb_per_s: tuple[float, float]
    """Transfer rates without the proxy."""

    proxied_mb_per_s: tuple[float, float]
    """Transfer rates through the proxy at 0 ms."""

    @property
    def ok(self) -> bool:
        """Whether the error at every round-trip time is within its bound."""
        return all(row.ok for row in self.added)


def measure(rtts_ms: Sequence[float]) -> Accuracy:
    """Measure the proxy's added latency at each of these round-trip times, and its throughput at 0 ms."""
    with echo_server() as server:
        direct_ns = round_trips_ns(server, 0.0, PINGS)
        rows = []
        for rtt_ms in rtts_ms:
            with link(server, Conditions(rtt_ms=rtt_ms)) as proxy:
                rows.append(added_latency(rtt_ms, direct_ns, round_trips_ns((proxy.host, proxy.port), rtt_ms, PINGS)))
        with link(server, Conditions()) as proxy:
            proxied = transfers_mb_per_s((proxy.host, proxy.port), BULK_BYTES)
        return Accuracy(float(np.median(direct_ns)) / 1e6, rows, transfers_mb_per_s(server, BULK_BYTES), proxied)


def added_latency(rtt_ms: float, direct_ns: Sequence[int], proxied_ns: Sequence[int]) -> AddedLatency:
    """Compare round trips through a proxy with direct ones, both in nanoseconds."""
    added_ms = (np.asarray(proxied_ns) - np.median(direct_ns)) / 1e6
    p5_ms, median_ms, p95_ms, p99_ms = (float(np.quantile(added_ms, q)) for q in (0.05, 0.5, 0.95, 0.99))
    error_ms, bound_ms = median_ms - rtt_ms, max(BOUND_SHARE * rtt_ms, BOUND_MS)
    return AddedLatency(
        rtt_ms=rtt_ms,
        pings=len(proxied_ns),
        p5_ms=p5_ms,
        median_ms=median_ms,
        p95_ms=p95_ms,
        p99_ms=p99_ms if is_supported(len(proxied_ns), 0.99) else None,
        error_ms=error_ms,
        error_percent=error_ms / rtt_ms * 100 if rtt_ms else None,
        bound_ms=bound_ms,
        ok=abs(error_ms) <= bound_ms,
    )


def round_trips_ns(address: Address, rtt_ms: float, limit: int) -> list[int]:
    """Return the round-trip times of small messages in nanoseconds: at most `limit` of them, within about `MAX_S` seconds."""
    connections = min(MAX_CONNECTIONS, limit, max(1, int(rtt_ms / SPACING_MS)))
    count = min(limit, round(MAX_S * 1000 * connections / rtt_ms)) if rtt_ms else limit
    message = bytes(PING_BYTES)
    with ExitStack() as stack:
        socks = [stack.enter_context(connect(address, ECHO + message)) for _ in range(connections)]
        for sock in socks:  # opening takes longer: the first round trip is not timed
            receive(sock, PING_BYTES)
        sent_ns, taken_ns = [], []
        for sock in socks:
            sent_ns.append(time.perf_counter_ns())
            sock.sendall(message)
            if sock is not socks[-1]:
                time.sleep(rtt_ms / connections / 1000)
        for number in range(count):
            index = number % connections
            receive(socks[index], PING_BYTES)
            now_ns = time.perf_counter_ns()
            taken_ns.append(now_ns - sent_ns[index])
            if number + connections < count:
                sent_ns[index] = time.perf_counter_ns()
                socks[index].sendall(message)
        return taken_ns
