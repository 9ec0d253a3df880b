"""The wanted scenarios, run once for a whole pytest session; every item is answered from that."""

from __future__ import annotations

import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from harness.pytest_plugin.options import fail_beyond, is_measuring
from harness.pytest_plugin.saved import SavedRun
from harness.results.run import ScenarioStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.discovery import LoadedScenario
    from harness.pytest_plugin.compared import ComparedItem, ComparisonLimits
    from harness.pytest_plugin.items import ArmItem, ReplayedSamples
    from harness.results.run import Latency, Run, ScenarioResult

CHANGES_ALWAYS = "load average at start"
"""What of the environment differs between any two runs, and says nothing about the machine."""


class Trials:
    """Runs the wanted scenarios when the first of their items runs, and compares them with what was saved."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.folder: Path | None = None
        self.wanted: list[LoadedScenario] = []
        self.items: list[ArmItem] = []
        self.saved: list[SavedRun] = []
        self.record: Run | None = None
        self._alone: dict[str, ScenarioResult] = {}

    @property
    def measuring(self) -> bool:
        """Whether pytest was asked for times."""
        return is_measuring(self._config)

    def want(self, items: list[ArmItem], saved: list[SavedRun]) -> None:
        """Take the items of this session, and the runs that they are compared with."""
        self.items, self.saved = items, saved
        self.wanted = list({item.loaded.file: item.loaded for item in items}.values())

    def try_arm(self, item: ArmItem, benchmark: Any, replay: ReplayedSamples) -> None:
        """Fail if the scenario failed, skip if it or its arm cannot run here, and hand over the samples when measuring."""

        result = self._result(item.loaded)
        if result.status == ScenarioStatus.NOT_RUN:
            self._leave_out(item, benchmark, f"{item.loaded.name} on {result.engine}: {result.error}")
        if result.error is not None:
            pytest.fail(f"{item.loaded.name}: {result.error}", pytrace=False)
        broken = next((a.cannot_run for a in result.arms if a.name == item.arm), None)
        if broken and f"{item.group}: " in broken:
            self._leave_out(item, benchmark, f"cannot run as written: {broken}")
        if not hasattr(benchmark, "disabled"):
            return  # another plugin's fixture, such as pytest-codspeed's: there is no function that it could time
        if not self.measuring:
            benchmark.disabled = True
            benchmark.pedantic(_nothing)
            return
        kept = next((k for k in self._kept if k.item == item.key), None)
        if kept is None:
            self._leave_out(item, benchmark, "the arms agree, and there was no time to time this group; give more --harness-budget")
        samples_s = self._samples_s(result, item)
        replay.load(samples_s)
        benchmark.extra_info["harness"] = _builtins(kept)
        benchmark.pedantic(_nothing, rounds=len(samples_s), iterations=1)
        self._gate(kept)

    @cached_property
    def compared(self) -> list[tuple[SavedRun, list[ComparedItem], dict[str, str]]]:
        """Every saved run with the items that it has as well, and node id → why another is not compared, each once measured."""
        from harness.pytest_plugin import compared  # noqa: PLC0415 - only when runs are compared

        timed = {kept.item: kept for kept in self._kept}
        mine = {item.nodeid: timed[item.key] for item in self.items if item.key in timed}
        found = []
        for run in self.saved:
            read = {name: compared.read(bench) for name, bench in run.benchmarks.items() if name in mine}
            unread = {name: says for name, says in read.items() if isinstance(says, str)}
            unread |= {name: "new: it was not saved" for name in mine if name not in read}
            found.append((run, compared.compare([k for k in read.values() if not isinstance(k, str)], list(mine.values())), unread))
        return found

    def close(self) -> None:
        """Remove the working folder."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _leave_out(self, item: ArmItem, benchmark: Any, why: str) -> NoReturn:
        """Skip an item, or fail it where a gate would take its absence for a pass."""
        benchmark.skipped = True  # or pytest-benchmark warns that the fixture went unused
        if fail_beyond(self._config) is not None and any(item.nodeid in run.benchmarks for run in self.saved):
            pytest.fail(f"it was saved, and cannot be compared now: {why}", pytrace=False)
        pytest.skip(why)

    def _gate(self, kept: ComparisonLimits) -> None:
        limit = fail_beyond(self._config)
        if limit is None:
            return
        says = []
        for run, found, unread in self.compared:
            says += [f"against {run.path}: {why}" for each in found if each.now.item == kept.item for why in each.failures(limit)]
            says += [
                f"against {run.path}: not comparable: {why}"
                for item in self.items
                if item.key == kept.item and item.nodeid in run.benchmarks and (why := unread.get(item.nodeid))
            ]
        if says:
            pytest.fail("\n".join(f"{kept.scenario}: {kept.group}[{kept.arm}] {why}" for why in says), pytrace=False)

    def _result(self, loaded: LoadedScenario) -> ScenarioResult:
        if not hasattr(self._config, "workerinput"):
            return next(s for s in self._run.scenarios if s.name == loaded.name)
        # A worker of pytest-xdist collects every file and is sent the items of some: it tries those alone.
        if loaded.name not in self._alone:
            self._alone[loaded.name] = self._measure([loaded]).scenarios[0]
        return self._alone[loaded.name]

    @property
    def _run(self) -> Run:
        if self.record is None:
            self.record = self._measure(self.wanted)
        return self.record

    def _measure(self, wanted: Sequence[LoadedScenario]) -> Run:
        from harness.bench.session import RunPlan, RunSession  # noqa: PLC0415 - only when scenarios run
        from harness.bench.steps import Silent  # noqa: PLC0415 - only when scenarios run
        from harness.results.run import RunSettings  # noqa: PLC0415 - only when scenarios run

        option = self._config.getoption
        self.folder = self.folder or Path(tempfile.mkdtemp(prefix="harness-pytest-"))
        settings = RunSettings(
            engines=[option("harness_engine")],
            size=option("harness_size"),
            seed=option("harness_seed"),
            rtts_ms=[option("harness_rtt")],
            quick=True,
            processes=option("harness_processes") if self.measuring else 0,
            budget_s=option("harness_budget"),
        )
        record = RunSession(RunPlan(wanted, settings, self.folder, "pytest", memory=False, counting=self.measuring), Silent()).run()
        if record.interrupted:
            raise KeyboardInterrupt
        return record

    @cached_property
    def _kept(self) -> list[ComparisonLimits]:
        """What each arm keeps of each group that it was timed in, of the scenarios that did not fail."""
        scenarios = {loaded.name: loaded.scenario for loaded in self.wanted}
        return [
            _keep(self._run, result, latency)
            for result in self._run.scenarios
            for latency in result.latencies
            if result.error is None and latency.arm in scenarios[result.name].arms
        ]

    def _samples_s(self, result: ScenarioResult, item: ArmItem) -> list[float]:
        from harness.results.store import read_samples  # noqa: PLC0415 - only when measuring

        assert self.folder is not None
        assert result.samples_file is not None
        samples = read_samples(self.folder / result.samples_file)
        return [s.latency_ns / 1e9 for s in samples if (s.arm, s.group) == (item.arm, item.group)]


def _nothing() -> None:
    """Take the place of the work, which was done and timed before."""


def _builtins(kept: ComparisonLimits) -> Any:
    import msgspec  # noqa: PLC0415 - only when measuring

    return msgspec.to_builtins(kept)


def _keep(run: Run, result: ScenarioResult, latency: Latency) -> ComparisonLimits:
    from harness.pytest_plugin.compared import KEPT_VERSION, ComparisonLimits  # noqa: PLC0415 - only when measuring
    from harness.results.run import AA_CONTROL  # noqa: PLC0415 - only when measuring

    group, arm = latency.group, latency.arm
    ratio = next((r for r in result.ratios if (r.arm, r.group) == (arm, group)), None)
    control = next((r for r in result.ratios if (r.arm, r.group) == (AA_CONTROL, group)), None)
    groups = {group, ""} if group == next(iter(result.groups), group) else {group}
    return ComparisonLimits(
        schema_version=KEPT_VERSION,
        scenario=result.name,
        group=group,
        arm=arm,
        engine=result.engine,
        rtt_ms=result.rtt_ms,
        size=run.settings.size,
        seed=run.settings.seed,
        dataset=result.dataset,
        verified_cases=result.verified_cases,
        engine_settings=result.engine_settings,
        environment={key: value for key, value in run.environment.items() if key != CHANGES_ALWAYS},
        exact=[e for e in result.work_counts if e.arm == arm and e.group in groups],
        tolerances=result.tolerances,
        higher_is_better=result.higher_is_better,
        percentiles_ns=latency.percentiles_ns,
        times_faster=ratio.ratio if ratio else None,
        interval_95=(ratio.low, ratio.high) if ratio else None,
        control_95=(control.low, control.high) if control else None,
        process_ratios=ratio.processes if ratio else [],
        pairs=ratio.pairs if ratio else 0,
    )
