"""Show the scenarios there are, or with --promises every promise and the scenario that tries it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import _options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.discovery import LoadedScenario
    from harness.results.run import Review


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
        from harness.results import review as review_file  # noqa: PLC0415 - keeps `--help` quick

        for row in _promises(loaded, review_file.read(options.scenarios)):
            table.add_row(*row)
    else:
        for column in ("scenario", "engines", "promises", "what it tries"):
            table.add_column(column, no_wrap=column != "what it tries")
        for s in loaded:
            ids = " ".join(dict.fromkeys(p.id for p in s.scenario.promises))
            table.add_row(s.name, " ".join(s.scenario.engines), ids, s.title)
    Console().print(table)
    return 0


def _promises(loaded: Sequence[LoadedScenario], review: Review | None) -> list[tuple[str, str, str]]:
    """Return (promise with its part, scenario, what the review says) in the review's order, untried ones included."""
    tried = [(promise, each.name) for each in loaded for promise in each.scenario.promises]
    rows = [(f"{p.id} · {p.part}" if p.part else p.id, name, p.text) for p, name in tried]
    if review is None:
        return rows
    ids = [p.id for p, _ in tried]
    rows += [(promise, "none yet", says) for promise, says in review.promises.items() if promise not in ids]
    order = {promise: place for place, promise in enumerate(review.promises)}
    return sorted(rows, key=lambda row: order.get(row[0].split(" · ")[0], len(order)))
