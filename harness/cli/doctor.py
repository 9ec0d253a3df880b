"""Measure this machine's noise and the smallest change it can detect.

Fresh processes run the same piece of pure Python, interleaved on one core, for about half a minute (--quick: a few seconds). Their
differences are the machine's noise, a lower bound: a database adds its own, which the A/A control of every run shows. The exit
code is 0 on a good or usable machine and 3 on a poor one.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from harness.doctor.verdict import Checkup

POOR_EXIT = 3


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    help_ = "take a few seconds only; the noise between processes is then less precise"
    parser.add_argument("--quick", action="store_true", help=help_)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Measure, print the result with remedies, and return 0, or 3 on a poor machine."""
    from harness.doctor import measure as doctor

    effort = doctor.QUICK if options.quick else doctor.USUAL
    if options.json:
        import json
        from dataclasses import asdict

        found = doctor.examine(effort)
        print(json.dumps(asdict(found), indent=1))
    else:
        from rich.console import Console

        with Console(stderr=True).status("timing the same code in fresh processes"):
            found = doctor.examine(effort)
        show(found)
    return POOR_EXIT if found.grade == "poor" else 0


def show(found: Checkup) -> None:
    """Print a checkup in tables and lines."""
    from rich.console import Console

    console = Console(highlight=False)
    console.print(_detectable(found))
    console.print(_facts(found))
    for reason in found.reasons:
        console.print(f"{reason.name}: {reason.message}; {reason.remedy}", soft_wrap=True, markup=False)
    console.print(f"this machine is {found.grade}: {_MEANING[found.grade]}", soft_wrap=True, markup=False)


_MEANING = {
    "good": "it detects changes of a few percent within a minute",
    "usable": "give time gates a larger --budget, and gate small changes by work counts",
    "poor": "gate by work counts only; times measured here are inconclusive unless they change a lot",
}


def _detectable(found: Checkup) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("smallest detectable change", no_wrap=True)
    for v in found.detectable:
        table.add_column(f"in {v.seconds} s", justify="right", no_wrap=True)
    table.add_row("arms interleaved in one process", *(_share(v.in_pairs) for v in found.detectable))
    table.add_row("two versions in alternating processes", *(_share(v.in_process_pairs) for v in found.detectable))
    table.add_row("work counts", *("any" for _ in found.detectable))
    return table


def _facts(found: Checkup) -> Table:
    from rich.table import Table

    noise, machine = found.noise, found.machine
    rows = {
        "noise of one operation": f"{_share(noise.operation)} (robust sd), of a pair of neighbours {_share(noise.pair)}",
        "noise between processes": f"{_share(noise.processes)} in sequence, {_share(noise.process_pairs)} alternating (sd)",
        "drift": f"{noise.drift * 100:+.1f} % from the first half to the second",
        "clock": f"resolution {machine.resolution_ns:g} ns, step {machine.tick_ns} ns, {machine.reading_ns:.0f} ns per reading",
        "timers": _timers(machine.late_median_ns, machine.late_p99_ns),
        "CPU steal": "unavailable" if machine.stolen is None else f"{machine.stolen * 100:.2f} % of CPU time",
        "load before": f"{machine.load_average:.2f} on {machine.cores} cores, {'pinned' if machine.pinned else 'not pinned'}",
        "governor": machine.governor,
    }
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def _timers(median_ns: float | None, p99_ns: float | None) -> str:
    if median_ns is None or p99_ns is None:
        return "not measured"
    return f"delay: median {median_ns / 1e3:.0f} µs, p99 {p99_ns / 1e3:.0f} µs"


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.2g} %"
