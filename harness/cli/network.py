"""Measure the accuracy of the latency proxy on this machine.

Sends small messages to an echo server and back, directly and through the proxy, at each round-trip time. The median of the added
latency must be within 5 % or 0.3 ms of the configured round-trip time, whichever is larger; otherwise the exit code is 1.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from harness import options as converters

if TYPE_CHECKING:
    from harness.network.accuracy import Accuracy, AddedLatency

RTTS_MS = "0,1,5,25,150"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--rtt",
        default=RTTS_MS,
        type=converters.rtts_ms,
        metavar="MS[,MS]",
        help=f"round-trip times to measure, in ms (default: {RTTS_MS})",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Measure and print the accuracy; return 0 if the error at every round-trip time is within its bound, else 1."""
    from harness.network import accuracy

    if options.json:
        import json
        from dataclasses import asdict

        measured = accuracy.measure(options.rtt)
        print(json.dumps({**asdict(measured), "ok": measured.ok}, indent=1))
    else:
        from rich.console import Console

        with Console(stderr=True).status("measuring round trips, some seconds per round-trip time"):
            measured = accuracy.measure(options.rtt)
        _show(measured)
    return 0 if measured.ok else 1


def _show(measured: Accuracy) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("RTT", "added", "p5–p95", "p99", "error", "error %", "bound", "pings", ""):
        table.add_column(column, justify="right", no_wrap=True)
    for row in measured.added:
        table.add_row(*_cells(row))
    console = Console(highlight=False)
    console.print(table)
    up, down = measured.proxied_mb_per_s
    direct_up, direct_down = measured.direct_mb_per_s
    console.print(f"times in ms; added: the median above the direct round trip of {measured.direct_ms:.3f} ms", soft_wrap=True)
    console.print(f"throughput via proxy at 0 ms: {up:,.0f} MB/s to the server, {down:,.0f} MB/s from it", soft_wrap=True)
    console.print(f"throughput without proxy: {direct_up:,.0f} MB/s to the server, {direct_down:,.0f} MB/s from it", soft_wrap=True)


def _cells(row: AddedLatency) -> tuple[str, ...]:
    return (
        f"{row.rtt_ms:g}",
        f"{row.median_ms:.3f}",
        f"{row.p5_ms:.3f}–{row.p95_ms:.3f}",
        "–" if row.p99_ms is None else f"{row.p99_ms:.3f}",
        f"{row.error_ms:+.3f}",
        "–" if row.error_percent is None else f"{row.error_percent:+.1f}",
        f"{row.bound_ms:g}",
        f"{row.pings:,}",
        "ok" if row.ok else "not ok",
    )
