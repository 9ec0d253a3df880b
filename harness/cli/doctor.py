"""Say whether this machine can be trusted: its noise, its clock, and the smallest change it can show.

Fresh processes do the same piece of pure Python in turns on one core, for about half a minute, with --quick for some seconds. What
they differ by is noise, and the least there is: a database adds its own, which the A/A controls of a run show. The
exit code is 0 on a machine that is good or usable, and 3 on a poor one.
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
    parser.add_argument("--quick", action="store_true", help="look for some seconds only; what is said of processes is rougher")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Measure, print what was found and what to do, and return 0, or 3 on a poor machine."""
    from harness.doctor import measure as doctor  # noqa: PLC0415 - keeps `--help` quick

    effort = doctor.QUICK if options.quick else doctor.USUAL
    if options.json:
        import json  # noqa: PLC0415 - only for this one way out
        from dataclasses import asdict  # noqa: PLC0415 - only for this one way out

        found = doctor.examine(effort)
        print(json.dumps(asdict(found), indent=1))
    else:
        from rich.console import Console  # noqa: PLC0415 - keeps `--help` quick

        with Console(stderr=True).status("timing the same work in fresh processes"):
            found = doctor.examine(effort)
        show(found)
    return POOR_EXIT if found.grade == "poor" else 0


def show(found: Checkup) -> None:
    """Print a checkup as a person reads it."""
    from rich.console import Console  # noqa: PLC0415 - keeps `--help` quick

    console = Console(highlight=False)
    console.print(_detectable(found))
    console.print(_facts(found))
    for reason in found.reasons:
        console.print(f"{reason.name}: {reason.message}; {reason.remedy}", soft_wrap=True, markup=False)
    console.print(f"this machine is {found.grade}: {_MEANING[found.grade]}", soft_wrap=True, markup=False)


_MEANING = {
    "good": "changes of a few percent show within a minute",
    "usable": "give time gates more seconds, and let exact work decide about small changes",
    "poor": "gate on exact work alone; times from here are inconclusive unless they change a lot",
}


def _detectable(found: Checkup) -> Table:
    from rich.table import Table  # noqa: PLC0415 - keeps `--help` quick

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("the smallest change it shows", *(f"in {v.seconds} s" for v in found.detectable)):
        table.add_column(column, justify="left" if "change" in column else "right", no_wrap=True)
    table.add_row("arms in turn, in one process", *(_share(v.in_pairs) for v in found.detectable))
    table.add_row("old and new version, processes in turn", *(_share(v.in_process_pairs) for v in found.detectable))
    table.add_row("exact work", *("any" for _ in found.detectable))
    return table


def _facts(found: Checkup) -> Table:
    from rich.table import Table  # noqa: PLC0415 - keeps `--help` quick

    noise, machine = found.noise, found.machine
    rows = {
        "noise of one operation": f"{_share(noise.operation)} (robust sd), paired with its neighbour {_share(noise.pair)}",
        "noise between processes": f"{_share(noise.processes)} one after another, {_share(noise.process_pairs)} in turn on a core (sd)",
        "drift": f"{noise.drift * 100:+.1f} % from the first half to the second",
        "clock": f"{machine.resolution_ns:g} ns stated, least step {machine.tick_ns} ns, a reading {machine.reading_ns:.0f} ns",
        "timers": _timers(machine.late_median_ns, machine.late_p99_ns),
        "stolen by the host": "not told" if machine.stolen is None else f"{machine.stolen * 100:.2f} % of CPU time",
        "load before": f"{machine.load_average:.2f} on {machine.cores} cores, {'pinned' if machine.pinned else 'not pinned'}",
        "governor": machine.governor,
    }
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, says in rows.items():
        table.add_row(name, says)
    return table


def _timers(median_ns: float | None, p99_ns: float | None) -> str:
    if median_ns is None or p99_ns is None:
        return "not tried"
    return f"late by {median_ns / 1e3:.0f} µs, one in a hundred by {p99_ns / 1e3:.0f} µs or more"


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.2g} %"
