"""The load test of a run, on a fake load worker: its blocks, its search, its time limit and its failures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bench import under_load as module
from harness.bench.result import ScenarioRun
from harness.bench.under_load import BETWEEN_S, SHORTEST_BLOCK_S, WARM_UP_S, TrialLoad, block_seconds
from harness.discovery import LoadedScenario, load
from harness.errors import ScenarioFailedError
from harness.load.block import LatencyHistograms, LoadBlock
from harness.load.protocol import LoadJob
from harness.results.load import ALL, CapacityKind
from harness.results.run import PromiseVerdict, ScenarioStatus
from harness.runtime.clock import FakeClock
from harness.scenario import LoadTest, Setting
from harness.stats.histogram import MIN_CYCLES, Histogram
from harness.verdicts.capacity import times_the_capacity
from harness.verdicts.promise import Promise, at_most, times
from harness.verdicts.under_load import response_time, speedup_under_load

TOY = Path(__file__).parents[2] / "toys" / "adding.py"
RATE_PER_S = 100.0
TIMES_MS = {"baseline": 20.0, "proposed": 10.0, "optimised": 2.0}
"""The response time of an arm; its 95th percentile is beyond 100 ms from 100 ms ÷ time users on."""
PROMISES = (
    Promise("S1", "median", times(8), speedup_under_load("50")),
    Promise("S2", "95th percentile", at_most(150, "ms"), response_time("95")),
    Promise("S4", "users", times(5), times_the_capacity(CapacityKind.USERS)),
)


@dataclass
class FakeArmsUnderLoad:
    """Replaces the load worker: blocks take their time on the clock, and operations an arm's time for each user."""

    clock: FakeClock = field(default_factory=FakeClock)
    start_s: float = 5.0
    drains_s: float = 0.0
    cannot_run: list[tuple[str, str, str, str]] = field(default_factory=list)
    fail: Callable[[str], None] = lambda _arm: None
    errors: dict[str, int] = field(default_factory=dict)
    jobs: list[LoadJob] = field(default_factory=list)
    ordered: list[tuple[str, int, float, int | None]] = field(default_factory=list)
    failed: str | None = None
    stopped: int = 0
    closed: int = 0

    def __call__(self, job: LoadJob) -> FakeArmsUnderLoad:
        """Return itself as a new process."""
        self.jobs.append(job)
        return self

    def start(self) -> None:
        """Take the time of opening all instances."""
        self.clock.advance(int(self.start_s * 1e9))

    def run_block(
        self, arm: str, users: int = 0, rate_factor: float = 1.0, block_s: float | None = None, cycle: int | None = None
    ) -> LoadBlock:
        """Return a block whose operations take the arm's time, as many times as there are users."""
        assert block_s is not None
        self.fail(arm)
        self.ordered.append((arm, users, rate_factor, cycle))
        self.clock.advance(int((WARM_UP_S + block_s + self.drains_s) * 1e9))
        busy = users or max(1.0, rate_factor * TIMES_MS[arm] / 1e3)
        operations = round((1e3 / TIMES_MS[arm] if users else rate_factor) * block_s)
        histogram = Histogram()
        histogram.record_many(np.full(operations, round(TIMES_MS[arm] * busy * 1e6), dtype=np.int64))
        wire, errors = histogram.to_wire(), {"OSError: refused": self.errors[arm]} if arm in self.errors else {}
        planned = operations + sum(errors.values())
        group = LatencyHistograms(wire, wire, wire, operations, errors, 0, 0, planned, operations)
        return LoadBlock(
            "adding", arm, cycle or 0, 0, users, round(block_s * 1e9), {"sum": group}, Histogram().to_wire(), 10.0, targets=True
        )

    def received(self) -> tuple[list[object], list[object]]:
        """Return neither blocks nor ticks."""
        return [], []

    def stop(self) -> None:
        """Count the call."""
        self.stopped += 1

    def close(self) -> None:
        """Count the call."""
        self.closed += 1


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> FakeArmsUnderLoad:
    """Replace the load worker by a fake."""
    made = FakeArmsUnderLoad()
    monkeypatch.setattr(module, "Supervisor", made)
    return made


def promising(declared: LoadTest) -> LoadedScenario:
    """Return the toy scenario with a load test and promises about it."""
    loaded = load(TOY)
    loaded.scenario.load_test, loaded.scenario.promises = declared, PROMISES  # type: ignore[misc]  # an object of its own
    return loaded


def trial_load(worker: FakeArmsUnderLoad, folder: Path, seconds: float = 120.0, **declared: Any) -> TrialLoad:
    """Return the load test of the toy scenario."""
    test = LoadTest(RATE_PER_S, **{"slo": "p95 <= 100ms", "seconds": 8.0, **declared})
    return TrialLoad(promising(test), Setting(folder, folder), seconds, clock=worker.clock)


def verdicts(test: TrialLoad) -> dict[tuple[str, str], tuple[PromiseVerdict, str]]:
    """Return (promise, arm) → its verdict and sentence, in the result of a run."""
    trial = ScenarioRun(test.loaded, test.setting, under_load=test.outcome())
    return {(v.promise, v.arm): (v.verdict, v.sentence) for v in trial.result().verdicts}


def test_arms_alternate_in_blocks_of_one_rate_with_the_same_arrivals(worker: FakeArmsUnderLoad, tmp_path: Path) -> None:
    """A cycle has every arm once, each next one in reverse order, so that drift affects all alike."""
    test = trial_load(worker, tmp_path, slo="")
    test.run()
    assert {(users, rate) for _, users, rate, _ in worker.ordered} == {(0, RATE_PER_S)}
    cycles = [[arm for arm, _, _, cycle in worker.ordered if cycle == number] for number in range(MIN_CYCLES)]
    assert sorted(cycles[0]) == sorted(TIMES_MS)
    assert cycles == [cycles[0], cycles[0][::-1]] * 2
    found = test.outcome()
    assert found.load is not None
    assert {a.arm: a.response.operations for a in found.load.arms if a.group == ALL} == dict.fromkeys(TIMES_MS, 800)
    assert (found.failed, found.left_out, found.load.capacities) == ("", "", [])
    assert worker.closed == 1


def test_promises_are_judged_under_load_with_their_sample_counts(worker: FakeArmsUnderLoad, tmp_path: Path) -> None:
    """The median's ratio, the percentile with its interval, and the capacity as a range in which the highest level lies."""
    test = trial_load(worker, tmp_path)
    test.run()
    found = verdicts(test)
    assert found["S1", "optimised"][0] == PromiseVerdict.CONFIRMED
    assert "p50 40 ms → 2 ms, of 800 operations at 100 per second" in found["S1", "optimised"][1]
    verdict, sentence = found["S2", "optimised"]
    assert (verdict, "p95 of 800 operations at 100 per second" in sentence) == (PromiseVerdict.CONFIRMED, True)
    assert found["S4", "optimised"][0] == PromiseVerdict.CONFIRMED
    assert "concurrent users, p95 <= 100 ms" in found["S4", "optimised"][1]


def test_a_search_over_rates_goes_on_from_the_load(worker: FakeArmsUnderLoad, tmp_path: Path) -> None:
    """The rate of the load is its first step, so that no time is spent on it again; users begin at what the mean time allows."""
    test = trial_load(worker, tmp_path)
    test.run()
    searched = [(arm, users, rate) for arm, users, rate, cycle in worker.ordered if cycle is None]
    assert RATE_PER_S not in {rate for _, users, rate in searched if not users}
    first = {arm: next(users for name, users, _ in searched if users and name == arm) for arm in TIMES_MS}
    assert first == {"baseline": 1, "proposed": 4, "optimised": 16}
    load_found = test.outcome().load
    assert load_found is not None
    steps = {c.arm: c.steps[0] for c in load_found.capacities if c.kind == CapacityKind.RATE}
    assert {step.level for step in steps.values()} == {RATE_PER_S}
    assert steps["optimised"].operations == 800


def test_an_arm_that_cannot_run_every_operation_has_another_load(worker: FakeArmsUnderLoad, tmp_path: Path) -> None:
    """It is not put under load, and its promises say why."""
    worker.cannot_run = [("adding", "proposed", "write", "OSError: refused")]
    test = trial_load(worker, tmp_path)
    test.run()
    assert {arm for arm, _, _, _ in worker.ordered} == {"baseline", "optimised"}
    reasons = {promise: sentence for (promise, arm), (_, sentence) in verdicts(test).items() if arm == "proposed"}
    assert set(reasons.values()) == {"cannot run as written: write: OSError: refused"}


def test_an_arm_that_fails_above_the_tolerance_fails_the_scenario(worker: FakeArmsUnderLoad, tmp_path: Path) -> None:
    """Its share, error and count are in the scenario's error and in the reason why its promises were not measured."""
    worker.errors = {"optimised": 2}
    test = trial_load(worker, tmp_path)
    test.run()
    result = ScenarioRun(test.loaded, test.setting, under_load=test.outcome()).result()
    failure = "8 of 808 operations failed (0.99 %): OSError: refused (8)"
    assert (result.status, result.exit_code) == (ScenarioStatus.FAILED, 1)
    assert result.error == f"under load: optimised: {failure}"
    assert verdicts(test)["S2", "optimised"] == (PromiseVerdict.NOT_MEASURED, f"optimised fails under load: {failure}")
    assert verdicts(test)["S2", "proposed"][0] == PromiseVerdict.CONFIRMED


def test_an_arm_that_fails_as_written_does_not_fail_the_scenario(worker: FakeArmsUnderLoad, tmp_path: Path) -> None:
    """It is a finding: its promises were not measured, with its failures as the reason."""
    worker.errors = {"proposed": 2}
    test = trial_load(worker, tmp_path)
    test.run()
    assert ScenarioRun(test.loaded, test.setting, under_load=test.outcome()).result().status == ScenarioStatus.OK
    assert "proposed fails under load" in verdicts(test)["S1", "proposed"][1]


def test_a_crashed_worker_keeps_the_blocks_before_it(worker: FakeArmsUnderLoad, tmp_path: Path) -> None:
    """The scenario has failed with the reason, and the operations so far are in its result."""

    def crash(_arm: str) -> None:
        if len(worker.ordered) == 4:
            raise ScenarioFailedError("the load worker exited unexpectedly (SIGKILL)")

    worker.fail = crash
    test = trial_load(worker, tmp_path)
    test.run()
    found = test.outcome()
    assert found.failed == "the load worker exited unexpectedly (SIGKILL)"
    assert found.load is not None
    assert found.load.lost_workers == [found.failed]
    assert sum(a.operations for a in found.load.arms if a.group == ALL) == 4 * 200
    assert worker.closed == 1


def test_ctrl_c_keeps_the_blocks_before_it(worker: FakeArmsUnderLoad, tmp_path: Path) -> None:
    """The worker is stopped, and the interruption goes on to the run."""

    def interrupt(_arm: str) -> None:
        if len(worker.ordered) == 3:
            raise KeyboardInterrupt

    worker.fail = interrupt
    test = trial_load(worker, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        test.run()
    found = test.outcome()
    assert found.load is not None
    assert (worker.stopped, worker.closed, found.failed) == (1, 1, "")


@pytest.mark.parametrize(
    ("seconds", "searched", "reason"),
    [
        (15.0, False, "the load needs at least 30 s, and this run gives it 15 s; try `harness load adding --rate poisson:100`"),
        (45.0, False, 'the run has no time to search the capacity; try `harness capacity adding --slo "p95 <= 100ms"`'),
        (90.0, True, ""),
    ],
)
def test_little_time_leaves_out_the_search_and_then_the_load(
    worker: FakeArmsUnderLoad, tmp_path: Path, seconds: float, reason: str, *, searched: bool
) -> None:
    """What was left out is the reason in the verdicts, and what there is keeps to the time limit but for the last step."""
    test = trial_load(worker, tmp_path, seconds)
    test.run()
    found = test.outcome()
    assert found.left_out == reason
    assert bool(found.load and found.load.capacities) is searched
    assert worker.clock.now_ns() / 1e9 <= seconds + 6
    if reason:
        assert verdicts(test)["S4", "optimised"] == (PromiseVerdict.NOT_MEASURED, reason)


def test_operations_that_take_long_cut_the_load_short(worker: FakeArmsUnderLoad, tmp_path: Path) -> None:
    """Blocks that drain for long do not exceed the time limit by more than a cycle; a warning says that intervals are missing."""
    worker.drains_s = 5.0
    test = trial_load(worker, tmp_path, 45.0)
    test.run()
    assert worker.clock.now_ns() / 1e9 < 45 + 3 * 8
    warning = next(w for w in test.outcome().warnings if w.name == "load cut short")
    assert warning.message == "2 of 4 blocks of an arm were measured in 45 s, too few for confidence intervals"


@given(st.integers(2, 6), st.floats(0, 1000), st.floats(0.5, 60))
def test_blocks_fit_into_the_time(arms: int, seconds: float, measured_s: float) -> None:
    """All blocks of all arms fit, none is longer than declared, and there is none rather than one that is too short."""
    declared = LoadTest(10, seconds=measured_s)
    block_s = block_seconds(declared, arms, seconds)
    assert block_s == 0 or arms * MIN_CYCLES * (block_s + WARM_UP_S + BETWEEN_S) <= seconds * (1 + 1e-9)
    assert block_s <= measured_s / MIN_CYCLES
    assert block_s == 0 or block_s >= min(SHORTEST_BLOCK_S, measured_s / MIN_CYCLES)


def test_the_worker_gets_the_cores_and_the_data_of_the_run(worker: FakeArmsUnderLoad, tmp_path: Path) -> None:
    """It is alone on its cores, opens the scenario of the file with the run's setting, and takes one order per block."""
    test = replace(trial_load(worker, tmp_path), cpus=(1,), timeout_s=7.0)
    test.run()
    (job,) = worker.jobs
    assert (job.cpus, job.alone, job.on_request, job.timeout_s) == ((1,), True, True, 7.0)
    assert job.settings == [test.setting]
    assert msgspec.json.encode(job.files)
