"""How exact the proxy is on this machine: round trips and bulk transfers, through it and past it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from harness.network.conditions import Conditions
from harness.network.echo import ECHO, PING_BYTES, Address, connected, echo_server, receive, transfers_mb_per_s
from harness.network.proxy import link
from harness.stats.intervals import is_supported

BOUND_SHARE, BOUND_MS = 0.05, 0.3
"""How far the median of what is added may be from what was asked: the larger of a share of it and a time."""

PINGS = 1000
MAX_S = 5.0
"""How long the pings at one distance may take; beyond some hundred milliseconds there are fewer of them."""

APART_MS, MAX_TURNS = 3.0, 50
"""Over a long distance so many connections at most take turns, so far apart at least: none is in another's way."""

BULK_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Added:
    """What the proxy added to the round trip that it was asked to lengthen by `asked_ms`.

    All times are in milliseconds, beyond the median round trip without the proxy. `p99_ms` is None where there are too few `pings`.
    """

    asked_ms: float
    pings: int
    p5_ms: float
    median_ms: float
    p95_ms: float
    p99_ms: float | None
    error_ms: float
    error_percent: float | None
    bound_ms: float
    ok: bool


@dataclass(frozen=True)
class Accuracy:
    """What was measured on this machine. Transfers are in MB (a million bytes) a second, to the server and from it."""

    direct_ms: float
    added: Sequence[Added]
    direct_mb_per_s: tuple[float, float]
    through_mb_per_s: tuple[float, float]

    @property
    def ok(self) -> bool:
        """Whether every distance is within its bound."""
        return all(row.ok for row in self.added)


def measure(rtts_ms: Sequence[float]) -> Accuracy:
    """Measure the proxy at these distances, one after the other, and its throughput at none."""
    with echo_server() as server:
        direct_ns = round_trips_ns(server, 0.0, PINGS)
        rows = []
        for rtt_ms in rtts_ms:
            with link(server, Conditions(rtt_ms=rtt_ms)) as far:
                rows.append(added(rtt_ms, direct_ns, round_trips_ns((far.host, far.port), rtt_ms, PINGS)))
        with link(server, Conditions()) as far:
            through = transfers_mb_per_s((far.host, far.port), BULK_BYTES)
        return Accuracy(float(np.median(direct_ns)) / 1e6, rows, transfers_mb_per_s(server, BULK_BYTES), through)


def added(asked_ms: float, direct_ns: Sequence[int], through_ns: Sequence[int]) -> Added:
    """Judge the round trips through a proxy by those without it, in nanoseconds."""
    beyond_ms = (np.asarray(through_ns) - np.median(direct_ns)) / 1e6
    p5_ms, median_ms, p95_ms, p99_ms = (float(np.quantile(beyond_ms, q)) for q in (0.05, 0.5, 0.95, 0.99))
    error_ms, bound_ms = median_ms - asked_ms, max(BOUND_SHARE * asked_ms, BOUND_MS)
    return Added(
        asked_ms=asked_ms,
        pings=len(through_ns),
        p5_ms=p5_ms,
        median_ms=median_ms,
        p95_ms=p95_ms,
        p99_ms=p99_ms if is_supported(len(through_ns), 0.99) else None,
        error_ms=error_ms,
        error_percent=error_ms / asked_ms * 100 if asked_ms else None,
        bound_ms=bound_ms,
        ok=abs(error_ms) <= bound_ms,
    )


def round_trips_ns(address: Address, rtt_ms: float, most: int) -> list[int]:
    """Return how long each small message took to come back, in nanoseconds; at most so many, and within `MAX_S` or so."""
    turns = min(MAX_TURNS, most, max(1, int(rtt_ms / APART_MS)))
    count = min(most, round(MAX_S * 1000 * turns / rtt_ms)) if rtt_ms else most
    message = bytes(PING_BYTES)
    with ExitStack() as stack:
        socks = [stack.enter_context(connected(address, ECHO + message)) for _ in range(turns)]
        for sock in socks:  # opening takes longer: once there and back is not timed
            receive(sock, PING_BYTES)
        sent_ns, taken_ns = [], []
        for sock in socks:
            sent_ns.append(time.perf_counter_ns())
            sock.sendall(message)
            if sock is not socks[-1]:
                time.sleep(rtt_ms / turns / 1000)
        for number in range(count):
            turn = number % turns
            receive(socks[turn], PING_BYTES)
            now_ns = time.perf_counter_ns()
            taken_ns.append(now_ns - sent_ns[turn])
            if number + turns < count:
                sent_ns[turn] = time.perf_counter_ns()
                socks[turn].sendall(message)
        return taken_ns
