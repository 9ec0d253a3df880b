"""`harness gate --against REF`: another version of the same code timed in turn with this one, here and now.

`harness.cli.gate` calls `arguments(parser)` and, where `--against` is given, `run(options)`. `options.files` are then names or
files of scenarios, none for all; or, after `--`, `pytest` and its arguments. The result is a `harness.results.gate.GateResult`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import _gating, _options
from harness.errors import NotComparableError, UsageError

if TYPE_CHECKING:
    from harness.gate.against.scenarios import CompareRequest
    from harness.gate.against.checkout import Checkout
    from harness.results.gate import GateResult

MARGIN_PERCENT = 3.0
MAX_MARGIN_PERCENT = 100.0

LEAST_S, EACH_S = 30.0, 12.0
"""Seconds for timing unless a person says otherwise: at least LEAST_S, and EACH_S for each benchmark."""

PYTEST = "pytest"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `--against` needs beyond the gate's own options."""
    group = parser.add_argument_group(
        "timing against another version (with --against)",
        "What is timed: [SCENARIO ...] (default: all), or -- pytest [ARGUMENT ...] for a project's own pytest-benchmark suite.",
    )
    group.add_argument(
        "--against", metavar="REF", help="a commit, branch or tag of git: its version is timed in turn with this tree's"
    )
    group.add_argument(
        "--margin",
        metavar="PERCENT",
        help=f"the slow-down that must not be missed (default: {MARGIN_PERCENT:g}); below half of it none is one",
    )
    group.add_argument(
        "--budget", metavar="S", help=f"seconds for timing (default: {EACH_S:g} for each benchmark, at least {LEAST_S:g})"
    )
    group.add_argument("--engine", default="sqlite", metavar="ENGINE[,ENGINE]", help="database engines, or all (default: sqlite)")
    group.add_argument("--size", default="tiny", metavar="SIZE", help=f"how much data: {', '.join(_options.SIZES)} (default: tiny)")
    group.add_argument("--seed", default="0", metavar="N", help="seed of data, cases and order (default: 0)")
    group.add_argument("--rtt", default="0", metavar="MS", help="round-trip time to the engine, in ms (default: 0)")
    group.add_argument("--scenarios", metavar="DIR", type=Path, default=_options.SCENARIOS, help="where names are looked up")


def run(options: argparse.Namespace) -> int:
    """Time REF's version in turn with this one, print and write the result, and return the exit code.

    Raises:
        UsageError: there is no such ref, an option has no meaning, or the old version's environment cannot be made.
    """
    from harness.gate import stored_runs as gate  # noqa: PLC0415 - keeps `--help` quick
    from harness.gate.against.checkout import checkout  # noqa: PLC0415 - keeps `--help` quick
    from harness.runtime.workspace import workspace  # noqa: PLC0415 - keeps `--help` quick

    margin, budget_s = _margin(options.margin), _budget(options.budget)
    with _told() as told, workspace() as space, checkout(options.against, space) as trees:
        try:
            found = _compared(trees, space, options, margin, budget_s, told)
        except NotComparableError as error:  # a result as well, so that a test reporter hears of it
            found = gate.refused(*trees.names, str(error))
    return _gating.publish(found, options)


def _compared(
    trees: Checkout,
    space: Path,
    options: argparse.Namespace,
    margin: float,
    budget_s: Callable[[int], float],
    told: Callable[[str], None],
) -> GateResult:
    from harness.gate.against import pytest_suites as suites  # noqa: PLC0415 - keeps `--help` quick
    from harness.gate.against import scenarios  # noqa: PLC0415 - keeps `--help` quick
    from harness.gate.against.checkout import interpreter  # noqa: PLC0415 - keeps `--help` quick

    wish = None if options.files[:1] == [PYTEST] else _wish(trees, options, margin, budget_s)
    told("looking at what both versions depend on")
    python, _ = interpreter(trees, space)
    if wish is None:
        return suites.compare(trees, python, options.files[1:], space, margin, budget_s, told)
    return scenarios.compare(trees, python, wish, space, told)


def _wish(trees: Checkout, options: argparse.Namespace, margin: float, budget_s: Callable[[int], float]) -> CompareRequest:
    from harness.gate.against.scenarios import CompareRequest  # noqa: PLC0415 - keeps `--help` quick
    from harness.results.run import RunSettings  # noqa: PLC0415 - keeps `--help` quick

    rtts_ms = _options.rtts_ms(options.rtt)
    if len(rtts_ms) > 1:
        raise UsageError(f"--rtt {options.rtt!r}: one distance at a time with --against; try --rtt {rtts_ms[0]:g}")
    settings = RunSettings(
        engines=_options.engines(options.engine),
        size=_options.size(options.size),
        seed=_options.seed(options.seed),
        rtts_ms=rtts_ms,
        quick=False,
        processes=0,
        budget_s=0.0,
    )
    files = _files(trees, options.files or ["all"], options.scenarios)
    return CompareRequest(files, settings, margin, _gating.tolerances(_gating.PROJECT), budget_s)


def _files(trees: Checkout, names: Sequence[str], folder: Path) -> list[Path]:
    """Return the scenario files that names mean, relative to the trees: those of either, so that one that is gone is noticed.

    Raises:
        UsageError: a name means nothing in either.
    """
    from harness.discovery import find  # noqa: PLC0415 - keeps `--help` quick

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
            raise refusals[0]
    return sorted(found)


def _inside(trees: Checkout, path: Path) -> Path:
    """Return a path as it is in either tree, relative to its root.

    Raises:
        UsageError: it is in neither.
    """
    whole = (trees.new / trees.inside / path).resolve()
    if not whole.is_relative_to(trees.new):
        raise UsageError(f"{path} is outside of {trees.new}, so that there is no other version of it")
    return whole.relative_to(trees.new)


def _margin(text: str | None) -> float:
    if text is None:
        return MARGIN_PERCENT / 100
    try:
        percent = float(text.removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not 0 < percent <= MAX_MARGIN_PERCENT:
        raise UsageError(f"--margin {text!r} is not above 0 and up to {MAX_MARGIN_PERCENT:g} %; try --margin {MARGIN_PERCENT:g}")
    return percent / 100


def _budget(text: str | None) -> Callable[[int], float]:
    if text is None:
        return lambda benchmarks: max(LEAST_S, EACH_S * benchmarks)
    seconds = _options.seconds(text, "--budget")
    return lambda _: seconds


class _told:  # noqa: N801 - read as a context: `with _told() as told`
    """Shows what goes on in one line of standard error that is written over, and only to a person."""

    def __enter__(self) -> Callable[[str], None]:
        from rich.console import Console  # noqa: PLC0415 - keeps `--help` quick

        self._status = Console(stderr=True).status("") if sys.stderr.isatty() else None
        if self._status:
            self._status.start()
        return self._say

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def _say(self, says: str) -> None:
        if self._status:
            self._status.update(says.replace("[", r"\["))
