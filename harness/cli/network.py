"""Measure the accuracy of the latency proxy on this machine.

Sends small messages to an echo server and back, directly and through the proxy, at each round-trip time. The median of the added
latency must be within 5 % or 0.3 ms of the configured round-trip time, whichever is larger; otherwise the exit code is 1.
"""

import argparse
from dataclasses import asdict

from harness import options as converters
from harness.cli import _options


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    _options.value(parser, "--rtt MS[,MS]", converters.rtts_ms, "round-trip times to measure, in ms", "0,1,5,25,150")
    _options.json_output(parser)


def run(options: argparse.Namespace) -> int:
    """Measure and print the accuracy; return 0 if the error at every round-trip time is within its bound, else 1."""
    from harness.cli import _console
    from harness.network import accuracy

    with _console.StatusLine("measuring round trips, some seconds per round-trip time"):
        measured = accuracy.measure(options.rtt)
    if options.json:
        _console.print_json({**asdict(measured), "ok": measured.ok})
        return 0 if measured.ok else 1
    columns = ("RTT", "added", "p5–p95", "p99", "error", "error %", "bound", "pings", "")
    rows = [
        (
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
        for row in measured.added
    ]
    _console.print_table(columns, rows, align="r" * len(columns))
    _console.print_lines(
        f"times in ms; added: the median above the direct round trip of {measured.direct_ms:.3f} ms",
        "throughput via proxy at 0 ms: {:,.0f} MB/s to the server, {:,.0f} MB/s from it".format(*measured.proxied_mb_per_s),
        "throughput without proxy: {:,.0f} MB/s to the server, {:,.0f} MB/s from it".format(*measured.direct_mb_per_s),
    )
    return 0 if measured.ok else 1
