"""List the scenarios, or with --promises all promises."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.cli import _options
from harness.results.run import Review

if TYPE_CHECKING:
    from harness.discovery import LoadedScenario


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--promises", action="store_true", help="one line per promise")
    _options.scenarios_folder(parser)
    _options.json_output(parser)


def run(options: argparse.Namespace) -> int:
    """Print the list and return 0; a scenario that cannot be used is an error that names its file."""
    from harness.cli import _console
    from harness.results import store

    loaded = _options.load(["all"], options.scenarios)
    if options.json:
        keys = ("name", "title", "arms", "engines", "promises")
        rows = [(s.name, s.title, list(s.scenario.arms), list(s.scenario.engines), _ids(s)) for s in loaded]
        _console.print_json([dict(zip(keys, row, strict=True)) for row in rows])
    elif options.promises:
        columns = ("promise", "scenario", "text of the promise")
        _console.print_table(columns, _promises(loaded, store.read_review(options.scenarios)))
    else:
        cells = [(s.name, " ".join(s.scenario.engines), " ".join(_ids(s)), s.title) for s in loaded]
        _console.print_table(("scenario", "engines", "promises", "title"), cells)
    return 0


def _ids(loaded: LoadedScenario) -> list[str]:
    return list(dict.fromkeys(promise.id for promise in loaded.scenario.promises))


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
