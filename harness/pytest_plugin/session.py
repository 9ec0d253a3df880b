"""The plugin of a session whose project requests it: scenarios as items, and guarded comparisons.

Plain `pytest` runs each arm once: the arms must agree. With any of pytest-benchmark's measuring options (`--benchmark-compare`,
`--benchmark-only`, `--benchmark-autosave`, …) the harness times the arms in interleaved pairs, in fresh processes, and each item
hands its arm's times to pytest-benchmark, for its tables, files and comparisons. Against a saved run each item's paired ratio
and work counts are compared as well; with `--harness-compare-fail` they decide.

Scenario files are those of the folder `scenarios` in `[tool.harness]`. With scenarios all benchmarks of a session are
guarded: a failed run is not saved as the next one to compare with; a saved benchmark that is missing, has other parameters, or
would be compared with times of another machine, is an error. A test fails if its `benchmark` was given a function that
returns before its work is done. SIGTERM and SIGHUP stop such a session as Ctrl-C does, and each ends it with
the exit code 3, the harness's own for an interruption. Tests may use the fixtures `filled_database` and `count_work`.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import traceback
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import INTERRUPTED
from harness.helper_files import is_helper
from harness.pytest_plugin import saved, settings
from harness.pytest_plugin.fixtures import _harness_setting, count_work, filled_database
from harness.pytest_plugin.items import TRIALS, ArmItem, ScenarioFile, Trials, report_bug
from harness.pytest_plugin.lazy_answers import guard
from harness.runtime.signals import Requests, as_interrupts, end_when_asked, forget_interrupt, ignore_at_exit
from harness.text import message_line

PROGRAMS = ("pytest", "py.test")
"""The names of pytest's own programs."""
REQUESTS: pytest.StashKey[Requests] = pytest.StashKey()
"""The requests to stop this session, if it has scenarios."""

__all__ = ["_harness_setting", "count_work", "filled_database"]


def pytest_configure(config: pytest.Config) -> None:
    """Check the options and prepare to run scenarios."""
    settings.configure(config)
    settings.check(config)
    config.stash[TRIALS] = Trials(config)
    config.add_cleanup(config.stash[TRIALS].close)
    if settings.has_scenarios(config) and not hasattr(config, "workerinput"):  # a worker of pytest-xdist is ended by its controller
        stack = contextlib.ExitStack()
        config.add_cleanup(stack.close)
        stack.callback(forget_interrupt)
        _end_in_order()
        config.stash[REQUESTS] = stack.enter_context(as_interrupts())


def _end_in_order() -> None:
    """Let signals around a session of pytest's own process end it in order too; other programs have their own handlers."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    is_program = (spec is not None and spec.name == "pytest.__main__") or Path(sys.argv[0]).name in PROGRAMS
    if is_program and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        end_when_asked()
        ignore_at_exit()


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Leave out the current clock rate, which differs from run to run on the same machine."""
    if settings.has_scenarios(config):
        cpu = machine_info.get("cpu") or {}  # "advertised" is a current reading as well, where the CPU's name does not contain it
        for key in [key for key in cpu if key.startswith("hz_")]:
            del cpu[key]


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_compare_machine_info(
    config: pytest.Config, machine_info: dict[str, Any], compared_benchmark: dict[str, Any]
) -> None:
    """Record a saved run while pytest-benchmark loads it."""
    config.stash[TRIALS].loaded.append((compared_benchmark, machine_info))


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Mark the file of a run that failed."""
    if settings.has_scenarios(config):
        output_json[saved.MARK] = {"failed": config.stash[TRIALS].failed}


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the scenario files of the folder that the settings name."""
    if file_path.suffix != ".py" or file_path.parent.resolve() != parent.config.stash[settings.FOLDER] or is_helper(file_path):
        return None
    return ScenarioFile.from_parent(parent, path=file_path)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Record which files were collected whole."""
    report = yield
    if report.passed and isinstance(collector, pytest.File):
        collector.config.stash[TRIALS].whole_files.add(collector.nodeid)
    return report


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Record that the files of these items are not whole."""
    for item in items:
        item.config.stash[TRIALS].whole_files.discard(item.nodeid.partition("::")[0])


def pytest_collection_finish(session: pytest.Session) -> None:
    """Record the scenarios, which run together when the first of their items runs.

    Raise UsageError if a saved run is incomparable.
    """
    config = session.config
    runs = saved.runs(config, config.stash[TRIALS].loaded) if settings.has_scenarios(config) else []
    config.stash[TRIALS].collect(session.items, runs)
    scenarios = {item.nodeid for item in config.stash[TRIALS].items}
    if session.testsfailed or config.getoption("collectonly"):
        return
    if message := next(saved.refusals(config, session.items, scenarios, runs, _whole_files(config)), ""):
        raise pytest.UsageError(message)


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    """Announce the time that the scenarios take, since nothing is printed until they are measured."""
    number = len({item.loaded.file for item in items if isinstance(item, ArmItem)})
    if not number or not settings.is_measuring(config) or config.getoption("collectonly"):
        return []
    scenarios, budget_s = f"{number} scenario{'s' * (number > 1)}", config.getoption("harness_budget")
    return [f"harness: {scenarios}, timed for {budget_s:g} s in all (--harness-budget), plus start-up"]


def pytest_internalerror(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Name the file of a bug report where this plugin's own code, and not another's that it calls through pytest, has failed."""
    if _is_own(excinfo.value):
        sys.stderr.write(message_line(report_bug(excinfo.value)) + "\n")


def _is_own(error: BaseException) -> bool:
    """Return whether this plugin's own code raised an error: after it, pytest called no other plugin."""
    frames = [Path(frame.filename).parts for frame in traceback.extract_tb(error.__traceback__)]
    own, others = (max((i for i, parts in enumerate(frames) if name in parts), default=-1) for name in ("harness", "pluggy"))
    return own > others


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Generator[None, Any, Any]:
    """Guard the `benchmark` fixture of any plugin."""
    value = yield
    if fixturedef.argname == "benchmark":
        guard(value, request.node)
        if getattr(value, "enabled", False) and not isinstance(request.node, ArmItem) and (active := saved.distortions()):
            value.extra_info[saved.DISTORTIONS] = request.config.stash[TRIALS].distortions = active
    return value


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Record that a test was run; fail a benchmark that JSON cannot hold, if it will be saved."""
    result = yield
    item.config.stash[TRIALS].has_passed = True
    benchmark = getattr(item, "funcargs", {}).get("benchmark")
    if benchmark is not None and settings.has_scenarios(item.config) and saved.is_saving(item.config):
        problems = list(saved.not_json(item, getattr(benchmark, "extra_info", {})))
        if problems:
            benchmark.has_error = True  # keeps it out of the file
            pytest.fail(f"{item.name} cannot be saved: {'; '.join(problems)}", pytrace=False)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Generator[None, Any, Any]:
    """Keep a failed run from being saved: the next run would be compared with it, and pass.

    A session that was to time scenarios, timed none and ran no other test does not pass: it ends as one without tests.
    """
    config = session.config
    if exitstatus == pytest.ExitCode.INTERRUPTED and (asked := config.stash.get(REQUESTS, None)) and asked.number:
        session.exitstatus = INTERRUPTED
    if exitstatus == pytest.ExitCode.OK and config.stash[TRIALS].untimed:
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
    if settings.has_scenarios(config):
        trials, number = config.stash[TRIALS], session.testsfailed
        found = "; ".join(saved.regressions(config))
        trials.failed = f"{number} test{'s' * (number > 1)} failed" if number else "it did not finish" if exitstatus else found
        trials.is_withheld = bool(trials.failed) and saved.withhold(config)
    try:
        return (yield)
    except Exception as error:
        if not _is_own(error):
            raise
        sys.stderr.write(message_line(report_bug(error)) + "\n")  # pytest would show a traceback and exit with 1
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> Generator[None, Any, Any]:
    """Show paired ratios and their comparison with saved runs, after pytest-benchmark's tables of absolute times."""
    try:
        return (yield)  # pytest-benchmark raises here where --benchmark-compare-fail has found something
    finally:
        trials = config.stash[TRIALS]
        trials.report(terminalreporter)
        if trials.untimed:
            terminalreporter.write_line(f"harness: {trials.untimed}", red=True)
        if trials.is_withheld:
            message = f"not saved, since later runs would be compared with it: {trials.failed}"
            terminalreporter.write_line(message_line(message), red=True)


def _whole_files(config: pytest.Config) -> set[str]:
    """Return the files that were collected whole: not by node id, and not only the last failures."""
    if config.getoption("lf", default=False):
        return set()
    parts = [Path(arg.partition("::")[0]) for arg in config.args if "::" in arg]
    named = {(config.invocation_params.dir / part).resolve() for part in parts}
    return {file for file in config.stash[TRIALS].whole_files if (config.rootpath / file).resolve() not in named}
