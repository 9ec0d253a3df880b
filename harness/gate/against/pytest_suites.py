"""A project's own pytest-benchmark suite, in two versions: named by a session of each, and timed in turn by a plugin of ours."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.gate.against import protocol as channel
from harness.gate.against.compare import compare_all
from harness.gate.against.environment import import_path
from harness.gate.against.process import Side, SideError, asked
from harness.gate.against.result import BenchmarkPlace, result, row
from harness.gate.against.worktree import Checkout
from harness.results.gate import GateResult, GateRow, GateVerdict, RowKind
from harness.results.run import RunWarning

PLUGIN = Path(__file__).with_name("pytest_worker.py")
PLUGIN_NAME = "harness_side_of_pytest"
ENGINE = "pytest"
NAMES = "give it its name back, or merge the rename on its own"
SOME = 5
BROKEN = (3, 4)
"""pytest's exit codes for an error inside it, and for wrong use."""


def compare(
    trees: Checkout,
    python: str,
    arguments: Sequence[str],
    space: Path,
    margin: float,
    budget_s: Callable[[int], float],
    told: Callable[[str], None],
) -> GateResult:
    """Return what became of every benchmark that pytest collects with these arguments.

    Raises:
        UsageError: pytest cannot be run like this, or a benchmark times a coroutine function.
    """
    tools = space / "tools"
    tools.mkdir()
    (tools / f"{PLUGIN_NAME}.py").symlink_to(PLUGIN)
    old = _side("old", python, trees.old, trees.new, trees, tools, arguments)
    new = _side("new", sys.executable, trees.new, trees.old, trees, tools, arguments)
    told("naming the benchmarks of both versions")
    found = [_listed(side) for side in (old, new)]
    rows, reasons, warnings = _compared(found[0], found[1])
    well = [name for name in found[1]["benchmarks"] if name not in found[1]["failed"]]
    both = [name for name in found[0]["benchmarks"] if name in well]
    if both and not reasons:
        try:
            times = compare_all(old, new, budget_s(len(both)), wanted=both, margin=margin, told=told)
        except SideError as error:
            if error.as_refusal().code == 1:
                rows.append(_failed("the suite", f"while timed, {error.message}"))
            else:
                reasons.append(RunWarning("the suite", str(error), "run pytest on the old version by hand to see why"))
        else:
            rows += [row(time, _place(time.name), margin) for time in times]
    return result(trees.names, rows, reasons, warnings)


def _side(name: str, python: str, tree: Path, other: Path, trees: Checkout, tools: Path, arguments: Sequence[str]) -> Side:
    path = f"{import_path(tree, trees)}{os.pathsep}{tools}"
    command = [python, "-m", "pytest", "-p", PLUGIN_NAME, *arguments]
    return Side(command, name, tree / trees.inside, {"PYTHONPATH": path, channel.FOREIGN: str(other)})


def _listed(side: Side) -> Mapping[str, Any]:
    """Return the names of a version's benchmarks, and what went wrong.

    Raises:
        UsageError: pytest cannot be run, or a benchmark times a coroutine function.
    """
    try:
        found = asked(replace(side, environment={**side.environment, channel.LIST: "1"}))
    except SideError as error:
        raise UsageError(f"pytest of the {side.name} version: {error.message}") from error
    if found["refused"]:
        raise UsageError(found["refused"][0])
    if found["status"] in BROKEN:
        raise UsageError(f"pytest of the {side.name} version broke off; run the same without --against to see why")
    return found


def _compared(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[list[GateRow], list[RunWarning], list[RunWarning]]:
    """Return failures of the new version, why others cannot be compared, and what is new."""
    rows = [_failed(name, says) for name, says in new["failed"].items()]
    reasons = [
        RunWarning(name, f"it fails in the old version: {says}", "mend it there first") for name, says in old["failed"].items()
    ]
    gone = [n for n in old["benchmarks"] if n not in new["benchmarks"] and n not in new["failed"]]
    added = [n for n in new["benchmarks"] if n not in old["benchmarks"] and n not in old["failed"]]
    for name in gone[:SOME]:
        close = difflib.get_close_matches(name, added, 1, 0.6)
        hint = f"; it may be {close[0]!r} now" if close else ""
        reasons.append(RunWarning(name, f"missing in the new version{hint}", NAMES))
    if len(gone) > SOME:
        reasons.append(RunWarning("benchmarks", f"{len(gone) - SOME} more are missing in the new version", NAMES))
    warnings = []
    if added and not gone:
        shown = ", ".join(added[:SOME]) + (f" and {len(added) - SOME} more" if len(added) > SOME else "")
        warnings.append(
            RunWarning("new benchmarks", f"{shown}: nothing to compare with", "they are compared from the next version on")
        )
    return rows, reasons, warnings


def _failed(name: str, says: str) -> GateRow:
    place = _place(name)
    return GateRow(
        RowKind.STATUS, place.scenario, ENGINE, 0.0, "", place.group, "status", GateVerdict.REGRESSED, f"it failed: {says}"
    )


def _place(name: str) -> BenchmarkPlace:
    """Return where a test belongs: its file stands where a scenario does, and what it is called there in the place of a group."""
    file, _, test = name.partition("::")
    return BenchmarkPlace(file, ENGINE, group=test)
