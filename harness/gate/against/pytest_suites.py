"""Compare a project's pytest-benchmark suite in two versions: collected in a session of each, and timed interleaved by a plugin."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.gate.against import protocol
from harness.gate.against.checkout import Checkout, version_command
from harness.gate.against.compare import HANGS, ProgressLine, VersionCommand, VersionError, compare_all, identical, run_to_end
from harness.gate.matching import renamed
from harness.gate.verdict import SHOWN_NAMES, listed, result
from harness.results.gate import GateResult, GateRow, GateVerdict, status_row
from harness.results.run import RunWarning
from harness.results.warning_names import WarningName
from harness.runtime.child import last_error_line
from harness.runtime.watch import OPERATION_TIMEOUT_S

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
    progress: ProgressLine,
    timeout_s: float = OPERATION_TIMEOUT_S,
    *,
    allow_missing: bool = False,
) -> GateResult:
    """Compare every benchmark that pytest collects with these arguments.

    `python` runs the old version; `space` is a folder for the plugin; `budget_s` returns the seconds for timing a number of
    benchmarks; `progress` is called with a line per step; `timeout_s` is the timeout of one operation; with `allow_missing`, what
    the new version lacks is a warning.

    Raises:
        UsageError: pytest cannot be run like this, a benchmark times a coroutine function, or a file of them can be imported in
            neither version.
        NotComparableError: a benchmark of the old version hangs.
    """
    tools = space / "tools"
    tools.mkdir()
    (tools / f"{PLUGIN_NAME}.py").symlink_to(Path(__file__).with_name("pytest_worker.py"))
    command = ["-m", "pytest", "-p", PLUGIN_NAME, *arguments]
    commands = (version_command(trees, name, python, command, tools) for name in ("old", "new"))
    old, new = (replace(version, timeout_s=timeout_s) for version in commands)
    progress("collecting the benchmarks of both versions")
    try:
        before, after = _collected(old, progress), _collected(new, progress)
    except VersionError as error:
        if error.as_refusal().code != 1:
            raise error.as_refusal() from error
        return result(trees.names, [_failed(error.benchmark or "the suite", error.message)], [], [])
    rows, incomparable, missing, warnings = _compared(before, after)
    (warnings if allow_missing else incomparable).extend(missing)
    failed = {*before["failed"], *after["failed"]}
    both = [name for name in before["benchmarks"] if name in after["benchmarks"] and name not in failed]
    if trees.same:
        rows += [identical(file, ENGINE, group=test) for file, _, test in (name.partition("::") for name in both)]
    elif both:
        try:
            times = compare_all(old, new, budget_s(len(both)), wanted=both, margin=margin, progress=progress)
        except VersionError as error:
            if error.as_refusal().code == 1:
                rows.append(_failed(error.benchmark or "the suite", f"while timed, {error.message}"))
            else:
                incomparable.append(RunWarning(WarningName.THE_SUITE, str(error), "run pytest on the old version to see why"))
        else:
            for time in times:
                file, _, test = time.name.partition("::")
                rows.append(time.row(margin, file, ENGINE, group=test))
    return result(trees.names, rows, incomparable, warnings)


def _collected(version: VersionCommand, progress: ProgressLine) -> Mapping[str, Any]:
    """Return the names of a version's benchmarks, and its failures; raise VersionError if one hangs."""
    try:
        found = run_to_end(replace(version, environment={**version.environment, protocol.LIST: "1"}), progress)
    except VersionError as error:
        if error.kind == HANGS:
            raise
        reason = error.message.removeprefix("E  ").strip()  # pytest marks an error's lines by it
        raise UsageError(f"pytest of the {version.name} version: {reason}") from error
    if found["refused"]:
        raise UsageError(found["refused"][0])
    if found["status"] in BROKEN:
        reason = last_error_line(found["output"])[:300] or "it stopped early"
        raise UsageError(f"pytest of the {version.name} version: {reason}; run it without --against to see more")
    return found


def _compared(
    old: Mapping[str, Any], new: Mapping[str, Any]
) -> tuple[list[GateRow], list[RunWarning], list[RunWarning], list[RunWarning]]:
    """Return the new version's failures, why benchmarks cannot be compared, which are missing in it, and which are new.

    UsageError: a file can be imported in neither version.
    """
    broken = [f"{name} cannot be imported: {error}" for name, error in new["uncollected"].items() if name in old["uncollected"]]
    if broken:
        raise UsageError(f"neither version can be compared: {broken[0]}")
    before, after = ({**found["uncollected"], **found["failed"]} for found in (old, new))
    rows = [_failed(name, error) for name, error in after.items() if name not in before]
    incomparable = [
        RunWarning(name, f"it fails in {'both versions' if name in after else 'the old version'}: {error}", "fix it there first")
        for name, error in before.items()
    ]
    # pytest runs no test at all if it cannot collect a file, so that all others would be missing.
    known, found = (names["benchmarks"] for names in (old, new))
    lacking = {n: "" for n in known if n not in {*found, *after}} if not new["uncollected"] else {}
    added = {n: "" for n in found if n not in {*known, *before}} if not old["uncollected"] else {}
    likely = renamed(lacking, added, CLOSE)
    missing = []
    for name in list(lacking)[:SHOWN_NAMES]:
        hint = f"; it may have been renamed to {likely[name]!r}" if name in likely else ""
        missing.append(RunWarning(name, f"missing in the new version{hint}", RENAMED))
    if len(lacking) > SHOWN_NAMES:
        missing.append(
            RunWarning(WarningName.BENCHMARKS, f"{len(lacking) - SHOWN_NAMES} more are missing in the new version", RENAMED)
        )
    names = [name for name in added if name not in likely.values()]
    if not names:
        return rows, incomparable, missing, []
    message = f"{listed(names, quote=False)}: not in the old version, so not compared"
    return (
        rows,
        incomparable,
        missing,
        [RunWarning(WarningName.NEW_BENCHMARKS, message, "they are compared from the next version on")],
    )


def _failed(name: str, error: str) -> GateRow:
    file, _, test = name.partition("::")  # the file stands for a scenario, and the test's name in it for a group
    return status_row(file, ENGINE, 0.0, GateVerdict.REGRESSED, f"it failed: {error}", group=test)
