"""Scenarios as pytest items, one per arm and group of cases, all served by one run of the scenarios per session."""

from __future__ import annotations

import inspect
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from harness.errors import HarnessError, UsageError, bug_report
from harness.pytest_plugin import saved
from harness.pytest_plugin.options import FAIL, TIMEOUT_S
from harness.pytest_plugin.settings import fail_beyond, is_measuring
from harness.runtime.leftovers import new_folder, remove
from harness.text import message_line

if TYPE_CHECKING:
    from harness.bench.session import RunSession
    from harness.discovery import LoadedScenario
    from harness.pytest_plugin.compared import ComparedItem, SavedItem
    from harness.pytest_plugin.saved import SavedRun
    from harness.results.run import Run, ScenarioResult

ADVICE = (
    "--benchmark-compare-fail compares absolute times of separate runs, which differ this much on the same code; "
    f"for scenarios use the paired verdict: {FAIL}=25%"
)
UNSAVED = "there was no saved run to compare with; save one: --benchmark-autosave"
DRIFT = "figures of separate runs drift on identical code: to confirm a difference, time both: harness gate --against REF"


FILES = pytest.StashKey[list[Path]]()
"""The scenario files collected so far."""


def report_bug(error: BaseException) -> str:
    """Return one line on an exception of this plugin's own code, whose traceback is written to the file that it names."""
    return f"harness: {bug_report(error, shlex.join(['pytest', *sys.argv[1:]]))}"


def renamed(text: str) -> str:
    """Return a text that names this plugin's options instead of those of `harness run`."""
    return re.sub("--(processes|budget|timeout|engine|rtt)", r"--harness-\1", text.replace(" or without --quick", ""))


def in_our_options(record: Run) -> Run:
    """Return the record with errors and warnings that name this plugin's options instead of those of `harness run`."""

    def of(result: ScenarioResult) -> ScenarioResult:
        warnings = [replace(warning, remedy=renamed(warning.remedy)) for warning in result.warnings]
        return replace(result, warnings=warnings, error=result.error and renamed(result.error))

    warnings = [replace(warning, remedy=renamed(warning.remedy)) for warning in record.warnings]
    return replace(record, scenarios=list(map(of, record.scenarios)), warnings=warnings)


class ScenarioFile(pytest.File):
    """A scenario file; its items are named group[arm]."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield one item per arm and group."""
        from harness.discovery import load_unless_helper, refuse_namesakes  # noqa: PLC0415 - only where scenarios are collected
        from harness.runtime.deadline import deadline  # noqa: PLC0415 - only where scenarios are collected

        files = self.config.stash.setdefault(FILES, [])
        files.append(self.path)
        timeout_s = max(TIMEOUT_S, self.config.getoption("harness_timeout"))
        try:
            refuse_namesakes(files)
            with deadline(timeout_s, "its import", file=self.path):
                named = [self.config.invocation_params.dir / argument.split("::")[0] for argument in self.config.args]
                loaded = load_unless_helper(self.path, named)
        except UsageError as error:
            raise self.CollectError(str(error).replace("raise --timeout", "raise --harness-timeout")) from None
        if loaded is None:
            files.remove(self.path)
            return
        for group in loaded.scenario.group:
            for arm in loaded.scenario.arms:
                yield ArmItem.make(self, loaded, group, arm)


class ArmItem(pytest.Function):
    """One arm in one group of cases."""

    loaded: LoadedScenario
    group: str
    arm: str

    @classmethod
    def make(cls, parent: ScenarioFile, loaded: LoadedScenario, group: str, arm: str) -> ArmItem:
        """Return the item; its function receives `benchmark` as a fixture, as any benchmark does."""

        def run_arm(benchmark: Any) -> None:
            """Run the arm, or hand over its times."""
            item.config.stash[TRIALS].run_item(item, benchmark)

        item: ArmItem = cls.from_parent(parent, name=f"{group}[{arm}]", callobj=run_arm)
        item.loaded, item.group, item.arm = loaded, group, arm
        item.add_marker(pytest.mark.benchmark(group=f"{loaded.name}: {group}"))
        return item

    @property
    def key(self) -> tuple[str, str, str]:
        """The scenario, group and arm, by which the item is found in a saved run."""
        return self.loaded.name, self.group, self.arm

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return the location of a failure: the scenario's class, not this plugin."""
        return self.path, inspect.getsourcelines(type(self.loaded.scenario.written))[1] - 1, self.name


class Trials:
    """Runs all collected scenarios once, when the first of their items runs, and compares them with saved runs."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._measuring = is_measuring(config)
        self.folder: Path | None = None
        self.scenarios: list[LoadedScenario] = []
        self.items: list[ArmItem] = []
        self.saved: list[SavedRun] = []
        self.loaded: list[tuple[dict[str, Any], dict[str, Any]]] = []
        """Each saved run that pytest-benchmark loads, with its description of this machine."""
        self.own: list[str] = []
        """The node ids of the other tests, whose benchmarks are timed in this process."""
        self.has_passed = False
        """Whether a test was run to its end, and not skipped."""
        self.distortions: list[str] = []
        """What distorted the times of the tests that were timed in this process."""
        self.whole_files: set[str] = set()
        """The files that were collected whole."""
        self.failed = ""
        """The reason why this run failed; "" if it did not."""
        self.is_withheld = False
        """Whether this run would have been saved, and was not."""
        self.record: Run | None = None
        self._error: Exception | None = None
        self._bug = ""
        self._session: RunSession | None = None
        self._alone: dict[str, ScenarioResult] = {}

    def collect(self, items: Sequence[pytest.Item], runs: list[SavedRun]) -> None:
        """Set the items of this session, and the runs that they are compared with."""
        self.items, self.saved = [item for item in items if isinstance(item, ArmItem)], runs
        self.own = [item.nodeid for item in items if not isinstance(item, ArmItem)]
        self.scenarios = list({item.loaded.file: item.loaded for item in self.items}.values())

    def run_item(self, item: ArmItem, benchmark: Any) -> None:
        """Fail if the scenario failed, skip if it or its arm cannot run here, and hand over the times when measuring."""
        try:
            measured = self._outcome(item, benchmark)
        except HarnessError as error:
            self._fail(benchmark, str(error))
        except Exception as error:  # noqa: BLE001 - every bug is named as one
            self._bug = self._bug or report_bug(error)  # one report of the same bug in every item
            self._fail(benchmark, self._bug)
        if measured is not None:
            self._gate(measured)

    def _outcome(self, item: ArmItem, benchmark: Any) -> SavedItem | None:
        """Hand the item's times to pytest-benchmark and return its figures; None without times."""
        import msgspec  # noqa: PLC0415 - only when scenarios run

        from harness.results.run import ScenarioStatus  # noqa: PLC0415 - only when scenarios run

        result = self._result(item.loaded)
        if result.status == ScenarioStatus.NOT_RUN:
            self._skip(item, benchmark, f"{item.loaded.name} at {result.place}: {result.error}")
        if result.error is not None:
            self._fail(benchmark, f"{item.loaded.name}: {result.error}")
        error = next((a.errors.get(item.group) for a in result.arms if a.name == item.arm), None)
        if error is not None:
            self._skip(item, benchmark, f"cannot run as written: {item.group}: {error}")
        if not hasattr(benchmark, "disabled"):
            return None  # another plugin's fixture, such as pytest-codspeed's: there is no function that it could time
        if not self._measuring:
            _use(benchmark)
            return None
        measured = next((m for m in self._measured if m.key == item.key), None)
        if measured is None:
            reason = "the arms agree, but the time budget was exhausted before this group was timed; raise --harness-budget"
            self._skip(item, benchmark, reason)
        from harness.pytest_plugin.recorded import OperationTimes  # noqa: PLC0415 - only when measuring

        assert self._session is not None
        times = OperationTimes(self._session.slots(*item.key))
        measured = msgspec.structs.replace(measured, recorded=len(times.data))
        benchmark.extra_info["harness"] = msgspec.to_builtins(measured)
        benchmark.pedantic(lambda: None)
        benchmark.stats.stats = times
        return measured

    @property
    def untimed(self) -> str:
        """Why no scenario was timed where times were requested and no other test was run, with the next step; "" otherwise."""
        if not self._measuring or self.record is None or self.has_passed:
            return ""
        from harness.verdicts.unmeasured import unmeasured  # noqa: PLC0415 - only when measuring

        return renamed(unmeasured(self.record))

    @cached_property
    def compared(self) -> list[tuple[SavedRun, list[ComparedItem], dict[str, str]]]:
        """Each saved run, with the items that are in both, and node id → reason for those that cannot be compared."""
        from harness.pytest_plugin import compared  # noqa: PLC0415 - only when runs are compared

        measured = {item.key: item for item in self._measured}
        current = {item.nodeid: measured[item.key] for item in self.items if item.key in measured}
        found = []
        for run in self.saved:
            read = {name: compared.read(bench) for name, bench in run.benchmarks.items() if name in current}
            unread = {name: reason for name, reason in read.items() if isinstance(reason, str)}
            unread |= {name: "new: not in the saved run" for name in current if name not in read}
            before = [item for item in read.values() if not isinstance(item, str)]
            found.append((run, compared.compare(before, list(current.values())), unread))
        return found

    def report(self, reporter: pytest.TerminalReporter) -> None:
        """Write paired ratios, the comparison with saved runs, and warnings about either, to the terminal."""
        if self._measuring and self.record is not None:
            self._report_pairs(reporter)
        if self.distortions:
            active = ", ".join(self.distortions)
            reporter.write_line(
                message_line(f"times of this run are distorted by {active}; run the benchmarks without it"), yellow=True
            )
        for run in self.saved:
            if reason := run.another_machine or saved.distorted_otherwise(run, self.own, self.distortions):
                reporter.write_line(message_line(f"times of {run.path} cannot be compared: {reason}"), yellow=True)
            else:
                _report_large(reporter, saved.large_changes(self._config, run, self.own))
        compare, *saving = (self._config.getoption(f"benchmark_{name}", default=None) for name in ("compare", "autosave", "save"))
        if self._measuring and self.items and compare and not (self.saved or any(saving)):
            reporter.write_line(UNSAVED, yellow=True)
        if self._config.getoption("benchmark_compare_fail", default=None) and self.items:
            reporter.write_line(ADVICE, yellow=True)

    def _report_pairs(self, reporter: pytest.TerminalReporter) -> None:
        from harness.pytest_plugin import compared  # noqa: PLC0415 - only when measuring
        from harness.runtime import machine  # noqa: PLC0415 - only when measuring

        command = [sys.executable, "-m", "harness", "report", str(self.folder), "--format", "terminal", "--all"]
        shown = subprocess.run(command, capture_output=True, text=True, check=False)
        reporter.section("times faster than the baseline: paired ratios, 95 % interval over fresh processes")
        reporter.write(shown.stdout or shown.stderr)
        for run, found, unread in self.compared:
            reporter.section(message_line(f"paired ratios and work counts since {run.path}"))
            for line in compared.lines(found, fail_beyond(self._config), shutil.get_terminal_size().columns):
                reporter.write_line(message_line(line))
            for name, reason in unread.items():
                reporter.write_line(message_line(f"{name}  {reason}"))
            if large := compared.large_changes(found):
                _report_large(reporter, large)
            elif any(item.moved for item in found):
                reporter.write_line(DRIFT)
        if message := machine.removal_warning():
            reporter.write_line(message_line(message), yellow=True)

    def close(self) -> None:
        """Remove the working folder."""
        if self.folder is not None:
            remove(self.folder)

    def _skip(self, item: ArmItem, benchmark: Any, reason: str) -> NoReturn:
        """Skip an item, or fail it where a gate would take its absence for a pass."""
        benchmark.skipped = True  # or pytest-benchmark warns that the fixture went unused
        if fail_beyond(self._config) is not None and any(item.nodeid in run.benchmarks for run in self.saved):
            self._fail(benchmark, f"it is in the saved run, and cannot be compared now: {reason}")
        pytest.skip(reason)

    @staticmethod
    def _fail(benchmark: Any, reason: str) -> NoReturn:
        """Fail an item that has no times."""
        _use(benchmark)
        pytest.fail(reason, pytrace=False)

    def _gate(self, measured: SavedItem) -> None:
        """Fail an item that regressed or cannot be compared, where `--harness-compare-fail` is given."""
        limit = fail_beyond(self._config)
        if limit is None:
            return
        reasons = []
        for run, found, unread in self.compared:
            reasons += [f"against {run.path}: {why}" for one in found if one.now.key == measured.key for why in one.failures(limit)]
            reasons += [
                f"against {run.path}: not comparable: {why}"
                for item in self.items
                if item.key == measured.key and item.nodeid in run.benchmarks and (why := unread.get(item.nodeid))
            ]
        if reasons:
            name = f"{measured.scenario}: {measured.group}[{measured.arm}]"
            pytest.fail("\n".join(f"{name} {why}" for why in reasons), pytrace=False)

    def _result(self, loaded: LoadedScenario) -> ScenarioResult:
        if not hasattr(self._config, "workerinput"):
            return next(s for s in self._run.scenarios if s.name == loaded.name)
        # A worker of pytest-xdist collects every file and is sent the items of some: it runs those alone.
        if loaded.name not in self._alone:
            self._alone[loaded.name] = self._measure([loaded]).scenarios[0]
        return self._alone[loaded.name]

    @property
    def _run(self) -> Run:
        if self._error is not None:
            raise self._error
        if self.record is None:
            try:
                self.record = self._measure(self.scenarios)
            except Exception as error:
                self._error = error
                raise
        return self.record

    def _measure(self, scenarios: Sequence[LoadedScenario]) -> Run:
        from harness.bench.session import RunPlan, RunSession  # noqa: PLC0415 - only when scenarios run
        from harness.bench.steps import Silent  # noqa: PLC0415 - only when scenarios run
        from harness.results.run import RunSettings  # noqa: PLC0415 - only when scenarios run
        from harness.results.store import write_run  # noqa: PLC0415 - only when scenarios run
        from harness.runtime.signals import as_interrupts  # noqa: PLC0415 - only when scenarios run

        option = self._config.getoption
        self.folder = self.folder or new_folder("pytest")
        engines, size, seed, rtts_ms = (
            [engine] if (engine := option("harness_engine")) else [],
            option("harness_size"),
            option("harness_seed"),
            [option("harness_rtt")],
        )
        processes, budget_s = option("harness_processes") if self._measuring else 0, option("harness_budget")
        settings = RunSettings(engines, size, seed, rtts_ms, quick=True, processes=processes, budget_s=budget_s)
        timeout_s, measuring = option("harness_timeout"), self._measuring
        plan = RunPlan(
            scenarios,
            settings,
            self.folder,
            "pytest",
            memory=False,
            counting=measuring,
            load=False,
            saving=False,
            timeout_s=timeout_s,
            timing_only=True,
        )
        self._session = RunSession(plan, Silent())
        with as_interrupts():
            record = self._session.run()
        if record.interrupted:
            raise KeyboardInterrupt
        record = in_our_options(record)
        write_run(record, self.folder)
        return record

    @cached_property
    def _measured(self) -> list[SavedItem]:
        """Each arm in each group that it was timed in, of the scenarios that did not fail."""
        from harness.pytest_plugin import compared  # noqa: PLC0415 - only when measuring

        scenarios = {loaded.name: loaded.scenario for loaded in self.scenarios}
        return [
            compared.saved_item(self._run, result, latency)
            for result in self._run.scenarios
            for latency in result.latencies
            if result.error is None and latency.arm in scenarios[result.name].arms
        ]


def _report_large(reporter: pytest.TerminalReporter, changed: Sequence[str]) -> None:
    """Warn of stored times that changed much, if there are any."""
    if changed:
        from harness.gate.verdict import listed  # noqa: PLC0415 - only when runs are compared

        reporter.write_line(message_line(f"large changes of stored times: {listed(changed, quote=False)}"), yellow=True)
        reporter.write_line(DRIFT)


def _use(benchmark: Any) -> None:
    """Use pytest-benchmark's fixture without timing anything, or it warns that it went unused."""
    if hasattr(benchmark, "disabled"):
        benchmark.disabled = True
        benchmark.pedantic(lambda: None)


TRIALS: pytest.StashKey[Trials] = pytest.StashKey()
