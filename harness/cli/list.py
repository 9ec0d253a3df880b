"""List the scenarios, or with --promises all promises."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from harness.cli import _options
from harness.results.names import shortened

if TYPE_CHECKING:
    from harness.discovery import LoadedScenario

LABEL = 36
"""Columns of a promise's name in a narrow terminal."""


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
    ids = {each.name: list(dict.fromkeys(promise.id for promise in each.scenario.promises)) for each in loaded}
    if options.json:
        keys = ("name", "title", "arms", "engines", "promises")
        rows = [(s.name, s.title, list(s.scenario.arms), _engines(s), ids[s.name]) for s in loaded]
        _console.print_json([dict(zip(keys, row, strict=True)) for row in rows])
    elif options.promises:
        tested = [(promise, each.name) for each in loaded for promise in each.scenario.promises]
        promises = [(f"{p.id} · {p.part}" if p.part else p.id, name, p.text) for p, name in tested]
        if (review := store.read_review(options.scenarios)) is not None:  # in its order, with the promises that no scenario tests
            untested = review.promises.keys() - {promise.id for promise, _ in tested}
            promises += [(promise, "none yet", review.promises[promise]) for promise in untested]
            order = {promise: place for place, promise in enumerate(review.promises)}
            promises.sort(key=lambda row: order.get(row[0].split(" · ")[0], len(order)))
        _print_promises(promises)
    else:
        _print_scenarios([(s.name, " ".join(_engines(s)), " ".join(ids[s.name]), s.title) for s in loaded])
    return 0


def _engines(loaded: LoadedScenario) -> list[str]:
    """Return the engines of a scenario; none of one that uses no database."""
    from harness.scenario import ANY_ENGINE

    return [engine for engine in loaded.scenario.engines if engine != ANY_ENGINE]


def _print_promises(rows: Sequence[tuple[str, str, str]]) -> None:
    """Print a line per promise; in a narrow terminal below the scenario's name, its own cut in the middle."""
    from harness.cli import _console

    if _is_wide():
        _console.print_table(("promise", "scenario", "text of the promise"), rows)
        return
    for scenario, of_scenario in groupby(rows, key=itemgetter(1)):
        _console.print_lines(scenario)
        _console.print_table(("", ""), [(f"  {shortened(label, LABEL):<{LABEL}}", text) for label, _, text in of_scenario])


def _print_scenarios(rows: Sequence[tuple[str, str, str, str]]) -> None:
    """Print a line per scenario; in a narrow terminal two, with the title first."""
    from harness.cli import _console

    if _is_wide():
        _console.print_table(("scenario", "engines", "promises", "title"), rows)
        return
    lines = []
    for name, engines, promises, title in rows:
        lines += [(name, title), ("", " · ".join(filter(None, (engines, promises))))]
    _console.print_table(("scenario", "title, engines and promises"), lines)


def _is_wide() -> bool:
    from harness.cli import _console
    from harness.report.terminal import WIDE

    return _console.width() >= WIDE
