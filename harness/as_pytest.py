"""Scenarios as pytest items: one for each arm of each group of cases. Only this file imports pytest.

Plain `pytest` tries each arm once: the arms must agree. With any of pytest-benchmark's measuring options (`--benchmark-compare`,
`--benchmark-only`, `--benchmark-autosave`, …) the arms are timed in interleaved pairs by the harness, in its own fresh processes,
and each item hands its arm's paired samples to pytest-benchmark, so that its tables, files and comparisons work on them.

Scenario files are collected from the folder that the ini option `harness_scenarios` names; without it this plugin does nothing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.discovery import Loaded
    from harness.record import Latency, Ratio, ScenarioResult

SIZE, BUDGET_S, PROCESSES = "tiny", 20.0, 3
MEASURING = ("only", "compare", "autosave", "save", "save_data", "json", "histogram")
"""pytest-benchmark's options by which a person asks for times."""

_TRIALS = pytest.StashKey["Trials"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("harness", "scenarios on trial")
    group.addoption("--harness-size", default=SIZE, metavar="SIZE", help=f"size of the data (default: {SIZE})")
    group.addoption("--harness-engine", default="sqlite", metavar="ENGINE", help="database engine (default: sqlite)")
    group.addoption("--harness-rtt", default=0.0, type=float, metavar="MS", help="round-trip time to servers, in ms (default: 0)")
    group.addoption("--harness-seed", default=0, type=int, metavar="N", help="seed of data, cases and order (default: 0)")
    group.addoption(
        "--harness-budget", default=BUDGET_S, type=float, metavar="S", help=f"seconds for timing pairs (default: {BUDGET_S:g})"
    )
    group.addoption(
        "--harness-processes",
        default=PROCESSES,
        type=int,
        metavar="N",
        help=f"fresh processes an arm is timed in (default: {PROCESSES})",
    )
    parser.addini("harness_scenarios", "folder of scenario files, relative to the root", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Check the options and get ready to try scenarios."""
    if config.getoption("harness_size") not in ("tiny", "small", "medium", "large"):
        raise pytest.UsageError(f"no size named {config.getoption('harness_size')!r}; known: tiny, small, medium, large")
    config.stash[_TRIALS] = Trials(config)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the scenario files of the folder that the ini file names."""
    folder = parent.config.getini("harness_scenarios")
    if not folder or file_path.parent != parent.config.rootpath / folder or file_path.suffix != ".py":
        return None
    if file_path.name.startswith("_") or file_path.stem == "locustfile":
        return None
    return ScenarioFile.from_parent(parent, path=file_path)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Note which scenarios are wanted: they are measured together, in rounds, when the first of their items runs."""
    chosen = {item.loaded.file: item.loaded for item in session.items if isinstance(item, ArmItem)}
    session.config.stash[_TRIALS].wanted = list(chosen.values())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show how many times faster each arm is, from pairs, after pytest-benchmark's tables of absolute times."""
    trials = config.stash[_TRIALS]
    if trials.folder is None or not trials.measuring:
        return
    command = [sys.executable, "-m", "harness", "report", str(trials.folder), "--format", "terminal"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    terminalreporter.section("times faster than the baseline: paired ratios, 95 % interval over fresh processes")
    terminalreporter.write(shown.stdout or shown.stderr)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the working folder."""
    trials = config.stash.get(_TRIALS, None)
    if trials is not None:
        trials.close()


class ScenarioFile(pytest.File):
    """A scenario file; its items are named group[arm]."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield one item for each arm of each group."""
        from harness.discovery import load  # noqa: PLC0415 - only where scenarios are collected

        try:
            loaded = load(self.path)
        except UsageError as error:
            raise self.CollectError(str(error)) from None
        for group in loaded.scenario.groups:
            for arm in loaded.scenario.arms:
                yield ArmItem.make(self, loaded, group, arm)


class ArmItem(pytest.Function):
    """One arm in one group of cases."""

    loaded: Loaded
    group: str
    arm: str

    @classmethod
    def make(cls, parent: ScenarioFile, loaded: Loaded, group: str, arm: str) -> ArmItem:
        """Return the item; `benchmark` reaches its function as a fixture, like in any benchmark."""
        replay = Replay()

        def try_arm(benchmark: Any) -> None:
            item.config.stash[_TRIALS].try_arm(item, benchmark, replay)

        item: ArmItem = cls.from_parent(parent, name=f"{group}[{arm}]", callobj=try_arm)
        item.loaded, item.group, item.arm = loaded, group, arm
        item.add_marker(pytest.mark.benchmark(group=f"{loaded.name}: {group}", timer=replay))
        return item

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where a failure is to be looked for: the scenario file, not this adapter."""
        return self.path, None, self.name


class Replay:
    """A timer that repeats recorded durations: pytest-benchmark reads it before and after each round."""

    __name__ = "paired_samples"

    def __init__(self) -> None:
        self._durations_s: list[float] = []
        self._now_s = 0.0
        self._reads = 0

    def load(self, durations_s: list[float]) -> None:
        """Take the durations to repeat, in seconds."""
        self._durations_s, self._now_s, self._reads = durations_s, 0.0, 0

    def __call__(self) -> float:
        """Return the time of the next reading, in seconds."""
        if self._reads % 2 and self._reads // 2 < len(self._durations_s):
            self._now_s += self._durations_s[self._reads // 2]
        self._reads += 1
        return self._now_s


class Trials:
    """Runs the wanted scenarios once for a whole pytest session, and answers every item from that."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.folder: Path | None = None
        self.wanted: list[Loaded] = []
        self._results: dict[str, ScenarioResult] = {}

    @property
    def measuring(self) -> bool:
        """Whether pytest was asked for times."""
        if self._config.getoption("benchmark_disable", default=False):
            return False
        return any(self._config.getoption(f"benchmark_{name}", default=None) for name in MEASURING)

    def try_arm(self, item: ArmItem, benchmark: Any, replay: Replay) -> None:
        """Fail if the scenario failed, skip if it or its arm cannot run here, and hand over the samples when measuring."""
        from harness.record import NOT_RUN  # noqa: PLC0415 - only when scenarios run

        result = self._result(item.loaded)
        if result.status == NOT_RUN:
            benchmark.skipped = True  # or pytest-benchmark warns that the fixture went unused
            pytest.skip(f"{item.loaded.name} on {result.engine}: {result.error}")
        if result.error is not None:
            pytest.fail(f"{item.loaded.name}: {result.error}", pytrace=False)
        broken = next((a.cannot_run for a in result.arms if a.name == item.arm), None)
        if broken and f"{item.group}: " in broken:
            benchmark.skipped = True  # or pytest-benchmark warns that the fixture went unused
            pytest.skip(f"cannot run as written: {broken}")
        if not self.measuring:
            benchmark.disabled = True
            benchmark.pedantic(lambda: None)
            return
        samples_s = self._samples_s(result, item)
        replay.load(samples_s)
        benchmark.extra_info["harness"] = _extra_info(result, item)
        benchmark.pedantic(lambda: None, rounds=len(samples_s), iterations=1)

    def close(self) -> None:
        """Remove the working folder."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _result(self, loaded: Loaded) -> ScenarioResult:
        if loaded.name not in self._results:
            # A worker of pytest-xdist collects every file and is sent the items of some: it tries those alone.
            wanted = [loaded] if hasattr(self._config, "workerinput") else self.wanted
            self._results |= {result.name: result for result in self._measure(wanted)}
        return self._results[loaded.name]

    def _measure(self, wanted: Sequence[Loaded]) -> list[ScenarioResult]:
        from harness.measure.progress import Silent  # noqa: PLC0415 - only when scenarios run
        from harness.measure.session import Plan, Session  # noqa: PLC0415 - only when scenarios run
        from harness.record import Settings  # noqa: PLC0415 - only when scenarios run

        option = self._config.getoption
        self.folder = self.folder or Path(tempfile.mkdtemp(prefix="harness-pytest-"))
        settings = Settings(
            engines=[option("harness_engine")],
            size=option("harness_size"),
            seed=option("harness_seed"),
            rtts_ms=[option("harness_rtt")],
            quick=True,
            processes=option("harness_processes") if self.measuring else 0,
            budget_s=option("harness_budget"),
        )
        record = Session(Plan(wanted, settings, self.folder, "pytest", memory=False), Silent()).run()
        if record.interrupted:
            raise KeyboardInterrupt
        return record.scenarios

    def _samples_s(self, result: ScenarioResult, item: ArmItem) -> list[float]:
        from harness.run_file import read_samples  # noqa: PLC0415 - only when measuring

        assert self.folder is not None
        assert result.samples_file is not None
        samples = read_samples(self.folder / result.samples_file)
        return [s.latency_ns / 1e9 for s in samples if (s.arm, s.group) == (item.arm, item.group)]


def _extra_info(result: ScenarioResult, item: ArmItem) -> dict[str, object]:
    """What pytest-benchmark's JSON carries for us: percentiles, the paired ratio and its interval."""
    latency: Latency | None = next((x for x in result.latencies if (x.arm, x.group) == (item.arm, item.group)), None)
    ratio: Ratio | None = next((r for r in result.ratios if (r.arm, r.group) == (item.arm, item.group)), None)
    info: dict[str, object] = {
        "schema_version": 1,
        "scenario": result.name,
        "group": item.group,
        "arm": item.arm,
        "engine": result.engine,
        "dataset": result.dataset,
        "verified_cases": result.verified_cases,
    }
    if latency is not None:
        info["percentiles_ns"] = latency.percentiles_ns
    if ratio is not None:
        info["times_faster"] = ratio.ratio
        info["interval_95"] = [ratio.low, ratio.high]
        info["process_ratios"] = ratio.processes
        info["pairs"] = ratio.pairs
    return info
