"""What a person reads: why a saved run is refused, and at the end paired ratios and what became of them since."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from harness.pytest_plugin import options, saved
from harness.pytest_plugin.items import ArmItem
from harness.pytest_plugin.saved import SavedRun

if TYPE_CHECKING:
    from harness.pytest_plugin.compared import ComparedItem
    from harness.pytest_plugin.trials import Trials

NOT_SAVED = pytest.StashKey[bool]()
"""Whether this run was to be saved, and was not."""

ADVICE = (
    "--benchmark-compare-fail judges absolute times of two moments, in which the machine alone makes such a difference; "
    f"for scenarios use the paired verdict: {options.FAIL}=25%"
)
DRIFT = "ratios of two moments drift on identical code: before you believe a difference, time both: harness gate --against REF"


def refusals(config: pytest.Config, items: Sequence[pytest.Item], runs: Sequence[SavedRun], whole_files: set[str]) -> Iterator[str]:
    """Yield why the saved runs say nothing about this one, or would mislead, the most pressing first."""
    for run in runs:
        if run.failed:
            yield f"{run.path} is of a run that failed ({run.failed}), which is no baseline; compare with another"
    if says := saved.renamed(runs, [item.nodeid for item in items], whole_files, config.rootpath):
        yield says
    if says := saved.other_parameters(runs, items):
        yield says
    if config.getoption("benchmark_compare_fail", default=None):
        for run in runs:
            if run.another_machine:
                yield (
                    f"{run.path}: {run.another_machine}; --benchmark-compare-fail would judge times that say nothing about each "
                    "other: save a run on this machine, or leave it out"
                )
    if options.fail_beyond(config) is not None:
        mine = [item.nodeid for item in items if isinstance(item, ArmItem)]
        if not any(name in run.benchmarks for run in runs for name in mine):
            yield (
                f"{options.FAIL} has nothing to compare: no saved run has any of the {len(mine)} scenario items collected here; "
                "save one first, with --benchmark-autosave"
            )


def show(reporter: pytest.TerminalReporter, trials: Trials, failed: str) -> None:
    """Write the end of the terminal's report."""
    if trials.folder is not None and trials.measuring and trials.record is not None:
        command = [sys.executable, "-m", "harness", "report", str(trials.folder), "--format", "terminal"]
        shown = subprocess.run(command, capture_output=True, text=True, check=False)
        reporter.section("times faster than the baseline: paired ratios, 95 % interval over fresh processes")
        reporter.write(shown.stdout or shown.stderr)
        for run, found, unread in trials.compared:
            reporter.section(f"paired ratios and exact work since {run.path}")
            for line in _lines(found, unread, options.fail_beyond(reporter.config)):
                reporter.write_line(line)
    for run in trials.saved:
        if run.another_machine:
            reporter.write_line(f"times of {run.path} say nothing here: {run.another_machine}", yellow=True)
    if reporter.config.getoption("benchmark_compare_fail", default=None) and trials.items:
        reporter.write_line(ADVICE, yellow=True)
    if reporter.config.stash.get(NOT_SAVED, False):
        reporter.write_line(f"not saved, so that nothing is compared with a run that failed: {failed}", red=True)


def _lines(found: Sequence[ComparedItem], unread: dict[str, str], limit: float | None) -> Iterator[str]:
    width = max((len(each.now.arm) for each in found), default=0)
    group = ""
    apart = False
    for each in found:
        title = f"{each.now.scenario}: {each.now.group}"
        if title != group:
            group = title
            yield title
        apart = apart or "intervals are apart" in each.ratio_says
        noisy = each.noisy(limit) if limit is not None and each.ratios else ""
        ratio = f"{each.ratio_says}, not judged: {noisy}" if noisy else each.ratio_says
        says = [f"not comparable: {each.refused}"] if each.refused else [ratio, each.exact_says]
        yield f"  {each.now.arm:{width}}  {'; '.join(s for s in says if s)}"
    for name, why in unread.items():
        yield f"{name}  {why}"
    if apart:
        yield DRIFT
