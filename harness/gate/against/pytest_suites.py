"""Compare a project's pytest-benchmark suite in two versions: collected in a session of each, and timed interleaved by a plugin."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness.errors import UsageError
from harness.gate.against import protocol
from harness.gate.against.budget import GateBudget
from harness.gate.against.checkout import Checkout, version_command
from harness.gate.against.compare import (
    FOREIGN_IMPORT,
    HANGS,
    BudgetSpentError,
    ProgressLine,
    VersionCommand,
    VersionError,
    never,
    run_all_to_end,
    run_to_end,
)
from harness.gate.against.gate_folder import GateFolder, SuitePlan
from harness.gate.against.sequence import INTERRUPTED, SuiteTimes, TimedPart, compare_all, duration
from harness.gate.against.verdicts import IDENTICAL, not_timed
from harness.gate.impact.decision import parsed
from harness.gate.impact.proof import Impact, Recordings, impact
from harness.gate.matching import renamed
from harness.gate.verdict import SHOWN_NAMES, counted, ended, first, listed, result
from harness.results.gate import GateResult, GateRow, GateTiming, GateVerdict, status_row
from harness.results.run import RunWarning
from harness.results.warning_names import WarningName
from harness.runtime.child import last_error_line
from harness.runtime.watch import OPERATION_TIMEOUT_S

PLUGIN_NAME, ENGINE = "harness_pytest_worker", "pytest"
RENAMED = "restore the old name, or merge the rename separately"
CLOSE = 0.6
"""The similarity from which on a test may be another's new name: node ids are long, and the file is part of them."""

EMPTY: Mapping[str, Any] = {
    **dict.fromkeys(("benchmarks", "refused", "skipped"), ()),
    **dict.fromkeys(("failed", "uncollected"), MappingProxyType({})),
    "status": 0,
    "output": "",
    "recording": {"codes": [], "windows": {}, "benchmarks": {}, "facts": {}, "blind": "", "counts": {}},
}
"""The findings in a version without any of the files of tests that are named."""

COLLECTING = "collecting the benchmarks of both versions"
RECORDING = "recording what the benchmarks of both versions execute and read"
SIDES = ("old", "new")
BROKEN = (3, 4)
"""pytest's exit codes for an internal error and a usage error."""


def compare(
    trees: Checkout,
    python: str,
    arguments: Sequence[str],
    space: Path,
    margin: float,
    budget: GateBudget,
    folder: GateFolder,
    progress: ProgressLine,
    timeout_s: float = OPERATION_TIMEOUT_S,
    *,
    allow_missing: bool = False,
    time_all: bool = False,
) -> GateResult:
    """Compare every benchmark that pytest collects with these arguments; at an interrupt, those that were decided before.

    `python` runs the old version; `space` is a folder for the plugin; `folder` keeps what is found, and may have the beginning of
    this gate; `progress` is called with a line per step; `timeout_s` is the timeout of one operation; with `allow_missing`, what
    the new version lacks is a warning; with `time_all`, benchmarks that the change cannot have touched are timed as well.

    Raises:
        UsageError: pytest can run neither version, a benchmark times a coroutine function, or a file of them can be imported in
            neither version.
        NotComparableError: a benchmark of the old version hangs, or pytest cannot run that version.
    """
    suite = SuiteVersions(trees, python, arguments, space, timeout_s, progress, lambda: budget.is_spent)
    try:
        plan = folder.plan()
        if plan is None:
            plan = _planned(suite, trees, allow_missing=allow_missing, time_all=time_all, budget=budget)
            folder.write_plan(plan)
    except VersionError as error:
        if error.as_refusal().code != 1:
            raise error.as_refusal() from error
        return result(trees.names, [_failed(error.benchmark or "the suite", error.message)], [], [])
    except (BudgetSpentError, KeyboardInterrupt) as error:
        doing = COLLECTING if time_all else RECORDING
        reason = INTERRUPTED if isinstance(error, KeyboardInterrupt) else f"the budget of {duration(budget.seconds)} was spent"
        row = status_row("the suite", ENGINE, 0.0, GateVerdict.INCONCLUSIVE, f"{reason} while {doing}")
        return ended(result(trees.names, [row], [], []), reason, folder.folder)
    if plan.first:
        return first(trees.names, plan.first, plan.warnings)
    rows, incomparable = list(plan.rows), list(plan.incomparable)
    found = SuiteTimes([], 0, 0.0)
    if plan.touched:
        part = TimedPart(suite.old, suite.new, plan.touched)
        found = compare_all([part], budget, margin=margin, overlap=True, store=folder, progress=progress)
        for failure in found.failures.values():
            if failure.as_refusal().code == 1:
                rows.append(_failed(failure.benchmark or "the suite", f"while timed, {failure.message}"))
            else:
                incomparable.append(RunWarning(WarningName.THE_SUITE, str(failure), "run pytest on the old version to see why"))
        for time in found.times:
            file, _, test = time.name.partition("::")
            row = time.row(margin, file, ENGINE, group=test)
            work = plan.work.get(time.name, "")
            rows.append(replace(row, reason=f"{row.reason}; {work}") if work else row)
    timed = GateTiming(budget.spent_s, found.timed_s, found.process_pairs)
    return ended(replace(result(trees.names, rows, incomparable, plan.warnings), timing=timed), found.unfinished, folder.folder)


def _planned(suite: "SuiteVersions", trees: Checkout, *, allow_missing: bool, time_all: bool, budget: GateBudget) -> SuitePlan:
    """Run both versions once, and return which benchmarks have to be timed."""
    before, after = suite.collected(recorded=not (time_all or trees.same))
    rows, incomparable, missing, warnings = _compared(before, after)
    only_new = _first(before, after, [*rows, *incomparable])
    (warnings if allow_missing else incomparable).extend(missing)
    failed = {*before["failed"], *after["failed"]}
    both = [name for name in before["benchmarks"] if name in after["benchmarks"] and name not in failed]
    touched, work = both, dict[str, str]()
    if trees.same and not time_all:
        rows += [_not_timed(name, IDENTICAL) for name in both]
        touched = []
    elif both and not time_all:
        found = suite.impact(before, after, both)
        rows += [_not_timed(name, found.reason(name)) for name in found.unchanged]
        touched = found.touched
        work = {name: found.work(name) for name in touched}
    return SuitePlan(rows, incomparable, warnings, touched, work, budget.spent_s, only_new)


def explain(
    trees: Checkout,
    python: str,
    arguments: Sequence[str],
    space: Path,
    progress: ProgressLine,
    timeout_s: float = OPERATION_TIMEOUT_S,
) -> Impact:
    """Return what the change touches of every benchmark that both versions have, without timing any; raises as `compare` does."""
    suite = SuiteVersions(trees, python, arguments, space, timeout_s, progress)
    try:
        before, after = suite.collected(recorded=True)
    except VersionError as error:
        raise error.as_refusal() from error
    _compared(before, after)
    failed = {*before["failed"], *after["failed"]}
    if not before["benchmarks"] or not after["benchmarks"]:
        which = "new" if before["benchmarks"] else "old"
        raise UsageError(f"the {which} version has no benchmarks: nothing to explain; name tests that use the fixture benchmark")
    return suite.impact(before, after, [n for n in before["benchmarks"] if n in after["benchmarks"] and n not in failed])


class SuiteVersions:
    """A suite in both versions: the commands that serve it, and what a session of each finds."""

    def __init__(
        self,
        trees: Checkout,
        python: str,
        arguments: Sequence[str],
        space: Path,
        timeout_s: float,
        progress: ProgressLine,
        is_over: Callable[[], bool] = never,
    ) -> None:
        tools = space / "tools"
        tools.mkdir()
        (tools / f"{PLUGIN_NAME}.py").symlink_to(Path(__file__).with_name("pytest_worker.py"))
        own = {name: _arguments(trees, tree, arguments) for name, tree in (("old", trees.old), ("new", trees.new))}
        commands = (
            version_command(trees, name, python, ["-m", PLUGIN_NAME, "-p", PLUGIN_NAME, *(each or ())], tools)
            for name, each in own.items()
        )
        self.old, self.new = (replace(version, timeout_s=timeout_s) for version in commands)
        self._is_empty = [each is None for each in own.values()]
        self._trees, self._space, self._progress, self._is_over = (trees.old, trees.new), space, progress, is_over

    def collected(self, *, recorded: bool, only: Sequence[str] | None = None) -> list[Mapping[str, Any]]:
        """Run every benchmark of both versions a few times, side by side; return their names, failures and recordings.

        Raises:
            UsageError: pytest can run neither version.
            VersionError: pytest can run one version only, or a benchmark hangs.
        """
        doing = RECORDING if recorded else COLLECTING
        self._progress(doing if only is None else f"{doing}: {counted(len(only), 'benchmark')} again")
        versions = [
            replace(
                version,
                environment={**version.environment, protocol.LIST: "1", **({protocol.RECORD: str(tree)} if recorded else {})},
            )
            for version, tree in zip((self.old, self.new), self._trees, strict=True)
        ]
        file = self._space / "recorded.json"
        if only is not None:
            file.write_text(json.dumps(list(only)), encoding="utf-8")
        try:
            running = [version for version, is_empty in zip(versions, self._is_empty, strict=True) if not is_empty]
            found_in = iter(run_all_to_end(running, self._progress, None if only is None else file, self._is_over))
            both = [dict(EMPTY) if is_empty else next(found_in) for is_empty in self._is_empty]
        except VersionError as error:
            if error.kind in {HANGS, FOREIGN_IMPORT}:
                raise
            broken = {error.version: error.message.removeprefix("E  ").strip()}  # pytest marks an error's lines by it
            if error.version == "old" and not self._is_empty[1]:  # the other one has been ended meanwhile
                broken |= self._broken("new", versions[1])
            self._refuse(broken, error.kind)
            raise  # not reached: one is broken
        self._refuse({version: reason for version, found in zip(SIDES, both, strict=True) if (reason := _broken(found))})
        for found in both:
            if found["refused"]:
                raise UsageError(found["refused"][0])
            if recorded:
                ran = [name for name in found["benchmarks"] if name not in found["failed"]]
                windows = found["recording"]["benchmarks"]
                found["recording"]["benchmarks"] = {name: windows[name] for name in ran}
        if recorded and any(found["failed"] for found in both):  # perhaps only because each benchmark ran more than once
            plain = self.collected(recorded=False, only=only)
            return [{**found, "recording": each["recording"]} for found, each in zip(plain, both, strict=True)]
        return list(both)

    def _broken(self, name: str, version: VersionCommand) -> dict[str, str]:
        """Return by name why pytest cannot run a version at all; empty if it can."""
        try:
            reason = _broken(run_to_end(version, self._progress, self._is_over))
        except VersionError as error:
            reason = error.message.removeprefix("E  ").strip()
        return {name: reason} if reason else {}

    @staticmethod
    def _refuse(broken: Mapping[str, str], kind: str = "") -> None:
        """Raise if pytest cannot run a version, such as by an error in a conftest.py or in its options; `broken` has the reasons.

        In both versions that is a usage error; in one only it says something about that version.
        """
        if len(broken) == len(SIDES):
            raise UsageError(f"pytest of both versions: {broken['old']}; run it without --against to see more")
        for version, reason in broken.items():
            raise VersionError(version, f"pytest cannot run: {reason}", kind)

    def impact(self, old: Mapping[str, Any], new: Mapping[str, Any], names: Sequence[str]) -> Impact:
        """Return what the change touches of the benchmarks `names`, which run in both versions, given their recordings.

        The work of those that are to be timed is counted again in fresh processes.
        """

        def record(only: Sequence[str]) -> Recordings:
            before, after = self.collected(recorded=True, only=only)
            return parsed(before["recording"]), parsed(after["recording"])

        found = impact((parsed(old["recording"]), parsed(new["recording"])), record, self._trees, names)
        if found.recordings and found.touched:
            with suppress(BudgetSpentError):  # they are then all that is known
                again = record(found.touched)
                both = (one.counted_again(other) for one, other in zip(found.recordings, again, strict=True))
                return replace(found, recordings=(next(both), next(both)))
        return found


def _broken(found: Mapping[str, Any]) -> str:
    """Return why pytest could not run a version, in its own words; empty if it could."""
    return (last_error_line(found["output"])[:300] or "it stopped early") if found["status"] in BROKEN else ""


def _arguments(trees: Checkout, tree: Path, arguments: Sequence[str]) -> list[str] | None:
    """Return pytest's arguments for one tree: its own paths, and without files of tests that it lacks; None if it has none of them.

    A file or folder that neither tree has is kept, for pytest to say so.
    """
    found, lacks, has = [], False, False
    for argument in arguments:
        path = Path(argument.partition("::")[0])
        if path.is_absolute() and path.is_relative_to(trees.root):
            argument = str(tree / Path(argument).relative_to(trees.root))  # noqa: PLW2901 - the same in this tree
            path = path.relative_to(trees.root / trees.inside) if path.is_relative_to(trees.root / trees.inside) else path
        there = [(each / trees.inside / path).exists() for each in (tree, trees.old, trees.new)]
        if not argument.startswith("-") and any(there) and not there[0]:
            lacks = True
            continue
        has = has or (not argument.startswith("-") and there[0])
        found.append(argument)
    return None if lacks and not has else found


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
    both = [name for name in before if name in after]
    if both:
        more = f", and {len(both) - 1} more" if len(both) > 1 else ""
        fails = f"{both[0]} fails in both versions{more}: {after[both[0]]}"
        raise UsageError(f"{fails}; fix it, or leave it out: --deselect '{both[0]}'")
    rows = [_failed(name, error) for name, error in after.items()]
    incomparable = [
        RunWarning(name, f"it fails in the old version: {error}", "fix it there first") for name, error in before.items()
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


def _first(old: Mapping[str, Any], new: Mapping[str, Any], failures: Sequence[object]) -> int:
    """Return the number of the new version's benchmarks if they are the project's first and run, 0 otherwise.

    UsageError: neither version has any, and pytest says why.
    """
    if not (old["benchmarks"] or new["benchmarks"] or failures) and (skipped := new["skipped"]):
        raise UsageError(f"there is no benchmark to compare; pytest skips {skipped[0]}")
    return 0 if old["benchmarks"] or failures else len(new["benchmarks"])


def _not_timed(name: str, reason: str) -> GateRow:
    file, _, test = name.partition("::")
    return not_timed(reason, file, ENGINE, group=test)


def _failed(name: str, error: str) -> GateRow:
    file, _, test = name.partition("::")  # the file stands for a scenario, and the test's name in it for a group
    return status_row(file, ENGINE, 0.0, GateVerdict.REGRESSED, f"it failed: {error}", group=test)
