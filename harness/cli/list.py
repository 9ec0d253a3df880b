"""Show the scenarios there are, or with --promises every promise and the scenario that tries it."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.cli import _options


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--promises", action="store_true", help="one line a promise")
    parser.add_argument("--scenarios", metavar="DIR", type=Path, default=_options.SCENARIOS, help="folder of scenario files")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the list; a scenario that cannot be used is an error that names its file."""
    loaded = _options.scenarios(["all"], options.scenarios)
    if options.json:
        import json  # noqa: PLC0415 - only for this one way out

        rows = [
            {
                "name": s.name,
                "title": s.title,
                "arms": list(s.scenario.arms),
                "engines": list(s.scenario.engines),
                "promises": list(dict.fromkeys(p.id for p in s.scenario.promises)),
            }
            for s in loaded
        ]
        print(json.dumps(rows, indent=1))
        return 0
    from rich.console import Console  # noqa: PLC0415 - keeps `--help` quick
    from rich.table import Table  # noqa: PLC0415 - keeps `--help` quick

    table = Table(box=None, pad_edge=False, header_style="bold")
    if options.promises:
        for column in ("promise", "scenario", "the review says"):
            table.add_column(column, no_wrap=column != "the review says")
        for s in loaded:
            for promise in s.scenario.promises:
                part = f" · {promise.part}" if promise.part else ""
                table.add_row(f"{promise.id}{part}", s.name, promise.says)
    else:
        for column in ("scenario", "engines", "promises", "what it tries"):
            table.add_column(column, no_wrap=column != "what it tries")
        for s in loaded:
            ids = " ".join(dict.fromkeys(p.id for p in s.scenario.promises))
            table.add_row(s.name, " ".join(s.scenario.engines), ids, s.title)
    Console().print(table)
    return 0
