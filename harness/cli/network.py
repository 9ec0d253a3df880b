"""Measure how exactly the network proxy adds round-trip time on this machine.

Small messages go to an echo server and back, directly and through the proxy, at each distance asked for. The median of what the
proxy adds must be within 5 % or 0.3 ms of what was asked, whichever is larger; otherwise the exit code is 1.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from harness import options as converters

if TYPE_CHECKING:
    from harness.network.accuracy import Accuracy, Added

RTTS_MS = "0,1,5,25,150"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    help_ = f"round-trip times to try, in ms (default: {RTTS_MS})"
    parser.add_argument("--rtt", default=RTTS_MS, type=converters.rtts_ms, metavar="MS[,MS]", help=help_)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Measure, print what was found, and return 0 if every distance is within its bound, else 1."""
    rtts_ms = options.rtt
    from harness.network import accuracy  # noqa: PLC0415 - keeps `--help` quick

    if options.json:
        import json  # noqa: PLC0415 - only for this one way out
        from dataclasses import asdict  # noqa: PLC0415 - only for this one way out

        found = accuracy.measure(rtts_ms)
        print(json.dumps({**asdict(found), "ok": found.ok}, indent=1))
    else:
        from rich.console import Console  # noqa: PLC0415 - keeps `--help` quick

        with Console(stderr=True).status("measuring round trips, some seconds at each distance"):
            found = accuracy.measure(rtts_ms)
        _show(found)
    return 0 if found.ok else 1


def _show(found: Accuracy) -> None:
    from rich.console import Console  # noqa: PLC0415 - keeps `--help` quick
    from rich.table import Table  # noqa: PLC0415 - keeps `--help` quick

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("asked", "added", "p5–p95", "p99", "error", "error %", "bound", "pings", ""):
        table.add_column(column, justify="right", no_wrap=True)
    for row in found.added:
        table.add_row(*_cells(row))
    console = Console(highlight=False)
    console.print(table)
    up, down = found.through_mb_per_s
    direct_up, direct_down = found.direct_mb_per_s
    console.print(f"round trips in ms; added: the median beyond the direct {found.direct_ms:.3f} ms", soft_wrap=True)
    console.print(f"through it at 0 ms: {up:,.0f} MB/s to the server, {down:,.0f} MB/s from it", soft_wrap=True)
    console.print(f"directly: {direct_up:,.0f} MB/s to the server, {direct_down:,.0f} MB/s from it", soft_wrap=True)


def _cells(row: Added) -> tuple[str, ...]:
    return (
        f"{row.asked_ms:g}",
        f"{row.median_ms:.3f}",
        f"{row.p5_ms:.3f}–{row.p95_ms:.3f}",
        "–" if row.p99_ms is None else f"{row.p99_ms:.3f}",
        f"{row.error_ms:+.3f}",
        "–" if row.error_percent is None else f"{row.error_percent:+.1f}",
        f"{row.bound_ms:g}",
        f"{row.pings:,}",
        "ok" if row.ok else "not ok",
    )
