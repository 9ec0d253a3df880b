"""Locust's tables on the console: of scenarios only the totals, unless --print-stats asks for every row.

A folder of scenarios has hundreds of rows, each of them in two tables, every two seconds. The functions replaced here are those
that Locust's `main` looks up in `locust.stats` when it prints.
"""

import argparse
import copy

import locust.stats
from locust.stats import RequestStats, console_logger, get_percentile_stats_summary, get_stats_summary, print_error_report

from harness.locust_adapter.statistics import Entry

INTERVAL_S = 20
"""Seconds between two lines while a run without a web UI lasts; Locust prints its table every two."""
NAME_WIDTH = 16
"""Columns of the names, of which only "Aggregated" is left."""


class Totals:
    """Locust's tables without the rows of scenarios: those of other users, and the aggregated one."""

    def __init__(self) -> None:
        self._has_head = False

    def print_stats(self, stats: RequestStats, current: bool = True) -> None:
        """Print the table; while a run lasts, its head once and then the rows."""
        lines = get_stats_summary(_others(stats), current)
        if current and self._has_head:
            lines = lines[2:-2] + lines[-1:]
        self._has_head = True
        _print([*lines, *([] if current else [""])])

    def print_percentile_stats(self, stats: RequestStats) -> None:
        """Print the table of percentiles."""
        _print([*get_percentile_stats_summary(_others(stats)), ""])

    def print_error_report(self, stats: RequestStats) -> None:
        """Print the errors of other users; those of scenarios are in the summary of the run."""
        print_error_report(_others(stats))


def configure(options: argparse.Namespace, *, alone: bool) -> None:
    """Replace Locust's tables, unless the options ask for every row; narrow ones without other users (`alone`)."""
    if options.print_stats:
        return
    totals = Totals()
    locust.stats.print_stats = totals.print_stats
    locust.stats.print_percentile_stats = totals.print_percentile_stats
    locust.stats.print_error_report = totals.print_error_report
    locust.stats.CONSOLE_STATS_INTERVAL_SEC = INTERVAL_S
    if alone:
        locust.stats.STATS_NAME_WIDTH = NAME_WIDTH


def _print(lines: list[str]) -> None:
    for line in lines:
        console_logger.info(line)


def _others(stats: RequestStats) -> RequestStats:
    """Return statistics without the rows and errors of scenarios; the totals have them."""
    mine = {key for key, entry in stats.entries.items() if isinstance(entry, Entry) and entry.measured}
    shown = copy.copy(stats)
    shown.entries = {key: entry for key, entry in stats.entries.items() if key not in mine}
    shown.errors = {key: error for key, error in stats.errors.items() if (error.name, error.method) not in mine}
    return shown
