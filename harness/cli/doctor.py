"""Measure this machine's noise and the smallest change it can detect.

Fresh processes run the same piece of pure Python, interleaved on one core, for about half a minute (--quick: a few seconds). Their
differences are the machine's noise, a lower bound: a database adds its own, which the A/A control of every run shows. The exit
code is 0 on a good or usable machine and 3 on a poor one.
"""

import argparse

from harness.cli import _options
from harness.errors import INTERRUPTED


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    help_ = "take a few seconds only; the noise between processes is then less precise"
    parser.add_argument("--quick", action="store_true", help=help_)
    _options.json_output(parser)


def run(options: argparse.Namespace) -> int:
    """Measure, print the result with remedies, and return 0, or 3 on a poor machine."""
    from harness.cli import _console
    from harness.doctor import measure as doctor
    from harness.doctor.verdict import MEANING, Grade
    from harness.report.blocks import Paragraph

    _console.warn_of_removed_settings()
    with _console.StatusLine("timing the same code in fresh processes"):
        found = doctor.examine(doctor.QUICK if options.quick else doctor.USUAL)
    exit_code = INTERRUPTED if found.grade == Grade.POOR else 0
    if options.json:
        _console.print_json(found)
        return exit_code
    verdict = Paragraph("", f"This machine is {found.grade}: {MEANING[found.grade]}.")
    reasons = [Paragraph(f"{reason.message}; {reason.remedy}", f"{reason.name}:") for reason in found.reasons]
    _console.print_blocks([verdict, *reasons])
    noise, machine, changes = found.noise, found.machine, found.detectable
    rows = [
        ("arms interleaved in one process", *(_share(change.in_pairs) for change in changes)),
        ("two versions in alternating processes", *(_share(change.in_process_pairs) for change in changes)),
        ("work counts", *("any" for _ in changes)),
    ]
    columns = ("smallest detectable change", *(f"in {change.seconds} s" for change in changes))
    _console.print_table(columns, rows, align="l" + "r" * len(changes))
    timers = "not measured"
    if machine.late_median_ns is not None and machine.late_p99_ns is not None:
        timers = f"delay: median {machine.late_median_ns / 1e3:.0f} µs, p99 {machine.late_p99_ns / 1e3:.0f} µs"
    facts = {
        "noise of one operation": f"{_share(noise.operation)} (robust sd), of a pair of neighbours {_share(noise.pair)}",
        "noise between processes": f"{_share(noise.processes)} in sequence, {_share(noise.process_pairs)} alternating (sd)",
        "drift": f"{noise.drift * 100:+.1f} % from the first half to the second",
        "clock": f"resolution {machine.resolution_ns:g} ns, step {machine.tick_ns} ns, {machine.reading_ns:.0f} ns per reading",
        "timers": timers,
        "CPU steal": "unavailable" if machine.stolen is None else f"{machine.stolen * 100:.2f} % of CPU time",
        "load before": f"{machine.load_average:.2f} on {machine.cores} cores, {'pinned' if machine.pinned else 'not pinned'}",
        "governor": machine.governor,
        "snapshot cache": _cache(),
    }
    _console.print_table(("", ""), facts.items())
    return exit_code


def _cache() -> str:
    from harness.runtime.snapshot_cache import shown_bytes, snapshot_cache

    cache = snapshot_cache()
    return "switched off" if cache is None else f"{shown_bytes(cache.size())} in {cache.folder} (see `harness data list`)"


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.2g} %"
