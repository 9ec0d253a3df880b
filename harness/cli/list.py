"""List the scenarios, or with --promises all promises."""

import argparse

from harness.cli import _options


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
        rows = [(s.name, s.title, list(s.scenario.arms), list(s.scenario.engines), ids[s.name]) for s in loaded]
        _console.print_json([dict(zip(keys, row, strict=True)) for row in rows])
    elif options.promises:
        tested = [(promise, each.name) for each in loaded for promise in each.scenario.promises]
        cells = [(f"{p.id} · {p.part}" if p.part else p.id, name, p.text) for p, name in tested]
        if (review := store.read_review(options.scenarios)) is not None:  # in its order, with the promises that no scenario tests
            untested = review.promises.keys() - {promise.id for promise, _ in tested}
            cells += [(promise, "none yet", review.promises[promise]) for promise in untested]
            order = {promise: place for place, promise in enumerate(review.promises)}
            cells.sort(key=lambda row: order.get(row[0].split(" · ")[0], len(order)))
        _console.print_table(("promise", "scenario", "text of the promise"), cells)
    else:
        lines = [(s.name, " ".join(s.scenario.engines), " ".join(ids[s.name]), s.title) for s in loaded]
        _console.print_table(("scenario", "engines", "promises", "title"), lines)
    return 0
