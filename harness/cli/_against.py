"""`harness gate --against REF`: time another version of the same code, interleaved with the version in this folder.

`harness.cli.gate` calls `arguments(parser)`, and `run(options)` if `--against` is given. `options.files` are then names or files
of scenarios, all of them if there are none; or `pytest` and its arguments, after `--`. The result is a
`harness.results.gate.GateResult`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness import options as converters
from harness.cli import _gating, _options
from harness.errors import NotComparableError, UsageError

if TYPE_CHECKING:
    from harness.gate.against.checkout import Checkout
    from harness.gate.against.scenarios import CompareRequest
    from harness.results.gate import GateResult

MARGIN = 0.03

MIN_BUDGET_S, BENCHMARK_BUDGET_S = 30.0, 12.0
"""Seconds for timing by default: BENCHMARK_BUDGET_S per benchmark, but at least MIN_BUDGET_S."""

PYTEST = "pytest"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `--against` needs beyond the gate's own options."""
    group = parser.add_argument_group(
        "timing against another version (with --against)",
        "Times [SCENARIO ...] (default: all), or -- pytest [ARGUMENT ...] for a project's own pytest-benchmark suite.",
    )
    group.add_argument("--against", metavar="REF", help="commit, branch or tag to time against, interleaved with this version")
    group.add_argument(
        "--margin",
        default=MARGIN,
        type=converters.percent(1.0),
        metavar="PERCENT",
        help=f"smallest slowdown to detect; changes below half of it count as equal (default: {MARGIN * 100:g}%%)",
    )
    group.add_argument(
        "--budget",
        type=converters.duration,
        metavar="DURATION",
        help=f"time for timing (default: {BENCHMARK_BUDGET_S:g}s per benchmark, at least {MIN_BUDGET_S:g}s)",
    )
    _options.engines(group)
    _options.dataset(group, default="tiny")
    _options.rtt(group)
    _options.scenarios_folder(group)


def run(options: argparse.Namespace) -> int:
    """Time both versions, print and write the result, and return the exit code.

    Raises:
        UsageError: there is no such ref, a scenario is unknown, or the old version's environment cannot be made.
    """
    from harness.gate import stored_runs
    from harness.gate.against.checkout import checkout
    from harness.runtime.workspace import workspace

    with _status_line() as report, workspace() as space, checkout(options.against, space) as trees:
        try:
            found = _compared(trees, space, options, report)
        except NotComparableError as error:  # a result as well, so that test reporters show it
            found = stored_runs.refused(*trees.names, str(error))
    return _gating.publish(found, options)


def _compared(trees: Checkout, space: Path, options: argparse.Namespace, report: Callable[[str], None]) -> GateResult:
    from harness.gate.against import pytest_suites, scenarios
    from harness.gate.against.checkout import interpreter

    budget_s = _budget(options.budget)
    request = None if options.files[:1] == [PYTEST] else _request(trees, options, budget_s)
    report("comparing the dependencies of both versions")
    python = interpreter(trees, space)
    if request is None:
        return pytest_suites.compare(trees, python, options.files[1:], space, options.margin, budget_s, report)
    return scenarios.compare(trees, python, request, space, report)


def _request(trees: Checkout, options: argparse.Namespace, budget_s: Callable[[int], float]) -> CompareRequest:
    from harness.gate.against.scenarios import CompareRequest
    from harness.results.run import RunSettings

    settings = RunSettings(
        engines=options.engine,
        size=options.size,
        seed=options.seed,
        rtts_ms=[options.rtt],
        quick=False,
        processes=0,
        budget_s=0.0,
    )
    files = _files(trees, options.files or ["all"], options.scenarios)
    return CompareRequest(files, settings, options.margin, _gating.tolerances(_gating.PROJECT), budget_s)


def _files(trees: Checkout, names: Sequence[str], folder: Path) -> list[Path]:
    """Return the scenario files that names mean in either tree, relative to its root, so that a removed one is noticed.

    Raises:
        UsageError: a name is unknown in both.
    """
    from harness.discovery import find

    found: dict[Path, None] = {}
    for name in names:
        refusals = []
        for tree in (trees.new, trees.old):
            here = tree / _inside(trees, folder)
            known = name == "all" or (here / f"{name}.py").is_file()
            try:
                files = find([name if known else str(tree / _inside(trees, Path(name)))], here)
            except UsageError as error:
                refusals.append(error)
            else:
                found.update(dict.fromkeys(file.resolve().relative_to(tree.resolve()) for file in files))
        if len(refusals) == 2:  # noqa: PLR2004 - both trees
            find([name], trees.new / _inside(trees, folder))  # refuses an unknown name as it was written
            raise refusals[0]
    return sorted(found)


def _inside(trees: Checkout, path: Path) -> Path:
    """Return a path relative to the root of the trees.

    Raises:
        UsageError: it is in neither.
    """
    whole = (trees.new / trees.inside / path).resolve()
    if not whole.is_relative_to(trees.new):
        raise UsageError(f"{path} is outside the repository {trees.new}, so it has no other version; name a path inside it")
    return whole.relative_to(trees.new)


def _budget(seconds: float | None) -> Callable[[int], float]:
    if seconds is None:
        return lambda benchmarks: max(MIN_BUDGET_S, BENCHMARK_BUDGET_S * benchmarks)
    return lambda _: seconds


@contextmanager
def _status_line() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows the current step in one line of standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status("") as status:
        yield lambda message: status.update(escape(message))
