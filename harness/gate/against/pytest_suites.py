"""Compare a project's pytest-benchmark suite in two versions: collected in a session of each, and timed interleaved by a plugin."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.gate.against import protocol
from harness.gate.against.checkout import Checkout, version_command
from harness.gate.against.compare import VersionCommand, VersionError, compare_all, identical, run_to_end
from harness.gate.matching import renamed
from harness.gate.verdict import SHOWN_NAMES, listed, result
from harness.results.gate import GateResult, GateRow, GateVerdict, status_row
from harness.results.run import RunWarning
from harness.runtime.child import last_error_line

PLUGIN_NAME, ENGINE = "harness_pytest_worker", "pytest"
RENAMED = "restore the old name, or merge the rename separately"
CLOSE = 0.6
"""The similarity from which on a test may be another's new name: node ids are long, and the file is part of them."""

BROKEN = (3, 4)
"""pytest's exit codes for an internal error and a usage error."""


def compare(
    trees: Checkout,
    python: str,
    arguments: Sequence[str],
    space: Path,
    margin: float,
    budget_s: Callable[[int], float],
    progress: Callable[[str], None],
) -> GateResult:
    """Compare every benchmark that pytest collects with these arguments.

    `python` runs the old version; `space` is a folder for the plugin; `budget_s` returns the seconds for timing a number of
    benchmarks; `progress` is called with a line per step.

    Raises:
        UsageError: pytest cannot be run like this, or a benchmark times a coroutine function.
    """
    tools = space / "tools"
    tools.mkdir()
    (tools / f"{PLUGIN_NAME}.py").symlink_to(Path(__file__).with_name("pytest_worker.py"))
    command = ["-m", "pytest", "-p", PLUGIN_NAME, *arguments]
    old, new = (version_command(trees, name, python, command, tools) for name in ("old", "new"))
    progress("collecting the benchmarks of both versions")
    before, after = _collected(old), _collected(new)
    rows, incomparable, warnings = _compared(before, after)
    both = [name for name in before["benchmarks"] if name in after["benchmarks"] and name not in after["failed"]]
    if both and not incomparable and trees.same:
        rows += [identical(file, ENGINE, group=test) for file, _, test in (name.partition("::") for name in both)]
    elif both and not incomparable:
        try:
            times = compare_all(old, new, budget_s(len(both)), wanted=both, margin=margin, progress=progress)
        except VersionError as error:
            if error.as_refusal().code == 1:
                rows.append(_failed("the suite", f"while timed, {error.message}"))
            else:
                incomparable.append(RunWarning("the suite", str(error), "run pytest on the old version to see why"))
        else:
            for time in times:
                file, _, test = time.name.partition("::")
                rows.append(time.row(margin, file, ENGINE, group=test))
    return result(trees.names, rows, incomparable, warnings)


def _collected(version: VersionCommand) -> Mapping[str, Any]:
    """Return the names of a version's benchmarks, and its failures."""
    try:
        found = run_to_end(replace(version, environment={**version.environment, protocol.LIST: "1"}))
    except VersionError as error:
        reason = error.message.removeprefix("E  ").strip()  # pytest marks an error's lines by it
        raise UsageError(f"pytest of the {version.name} version: {reason}") from error
    if found["refused"]:
        raise UsageError(found["refused"][0])
    if found["status"] in BROKEN:
        reason = last_error_line(found["output"])[:300] or "it stopped early"
        raise UsageError(f"pytest of the {version.name} version: {reason}; run it without --against to see more")
    return found


def _compared(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[list[GateRow], list[RunWarning], list[RunWarning]]:
    """Return the new version's failures, why benchmarks cannot be compared, and which are new."""
    rows = [_failed(name, error) for name, error in new["failed"].items()]
    remedy = "fix it there first"
    incomparable = [RunWarning(name, f"it fails in the old version: {e}", remedy) for name, e in old["failed"].items()]
    missing, added = (
        {name: "" for name in one["benchmarks"] if name not in other["benchmarks"] and name not in other["failed"]}
        for one, other in ((old, new), (new, old))
    )
    likely = renamed(missing, added, CLOSE)
    for name in list(missing)[:SHOWN_NAMES]:
        hint = f"; it may have been renamed to {likely[name]!r}" if name in likely else ""
        incomparable.append(RunWarning(name, f"missing in the new version{hint}", RENAMED))
    if len(missing) > SHOWN_NAMES:
        incomparable.append(RunWarning("benchmarks", f"{len(missing) - SHOWN_NAMES} more are missing in the new version", RENAMED))
    if not added or missing:
        return rows, incomparable, []
    message = f"{listed(list(added), quote=False)}: not in the old version, so not compared"
    return rows, incomparable, [RunWarning("new benchmarks", message, "they are compared from the next version on")]


def _failed(name: str, error: str) -> GateRow:
    file, _, test = name.partition("::")  # the file stands for a scenario, and the test's name in it for a group
    return status_row(file, ENGINE, 0.0, GateVerdict.REGRESSED, f"it failed: {error}", group=test)
