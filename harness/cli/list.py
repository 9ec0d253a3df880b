"""List the scenarios, or with --promises all promises."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from harness.cli import _options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.discovery import LoadedScenario
    from harness.results.run import Review


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--promises", action="store_true", help="one line per promise")
    _options.scenarios_folder(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the list and return 0; a scenario that cannot be used is an error that names its file."""
    loaded = _options.load(["all"], options.scenarios)
    if options.json:
        import json

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
    if options.promises:
        from harness.results import review as review_file

        _print(("promise", "scenario", "text of the promise"), _promises(loaded, review_file.read(options.scenarios)))
    else:
        _print(("scenario", "engines", "promises", "title"), [_row(each) for each in loaded])
    return 0


def _print(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose last column wraps."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=column != columns[-1])
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def _row(loaded: LoadedScenario) -> tuple[str, ...]:
    ids = " ".join(dict.fromkeys(p.id for p in loaded.scenario.promises))
    return loaded.name, " ".join(loaded.scenario.engines), ids, loaded.title


def _promises(loaded: Sequence[LoadedScenario], review: Review | None) -> list[tuple[str, str, str]]:
    """Return (promise with its part, scenario, text) in the review's order, with the promises that no scenario tests."""
    tested = [(promise, each.name) for each in loaded for promise in each.scenario.promises]
    rows = [(f"{p.id} · {p.part}" if p.part else p.id, name, p.text) for p, name in tested]
    if review is None:
        return rows
    ids = [p.id for p, _ in tested]
    rows += [(promise, "none yet", text) for promise, text in review.promises.items() if promise not in ids]
    order = {promise: place for place, promise in enumerate(review.promises)}
    return sorted(rows, key=lambda row: order.get(row[0].split(" · ")[0], len(order)))
