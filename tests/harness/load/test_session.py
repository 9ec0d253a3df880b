"""Load tests and capacity searches: the order of steps on a fake load worker, results after failures, and verdicts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from harness.bench.steps import Silent
from harness.discovery import load
from harness.errors import ScenarioFailedError, UsageError
from harness.load import searching
from harness.load import session as sessions
from harness.load.block import LatencyHistograms, LoadBlock
from harness.load.capacity import FIRST_LEVEL, MAX_LEVEL, SearchPlan
from harness.load.environment import LoadEnvironment
from harness.load.protocol import LoadJob
from harness.load.results import CollectedResults, ScenarioEnvironment
from harness.load.searching import observation
from harness.load.session import CapacityPlan, CapacitySession, LoadPlan, LoadSession, load_facts, verdicts
from harness.load.stored import StoredLoadLine
from harness.results.load import CapacityKind, LoadModel
from harness.results.run import RunSettings
from harness.results.store import read_run
from harness.results.unfinished import UnfinishedRun, request_of
from harness.runtime.clock import FakeClock
from harness.runtime.cores import Cores
from harness.stats.histogram import Histogram
from harness.verdicts.capacity import times_the_capacity
from harness.verdicts.measures import speedup
from harness.verdicts.promise import Promise, times
from harness.verdicts.slo import parse

TOY = Path(__file__).parents[2] / "toys" / "adding.py"
COMPLETED_PER_S = 400.0
SUSTAINS = {"baseline": 20, "proposed": 40, "optimised": 200}
"""The users and, divided by ten, the operations per second that an arm sustains within 100 ms."""


def block(arm: str, users: int, rate: float, seconds: float, **changed: Any) -> LoadBlock:
    """Return a block whose operations all took the arm's time at that load: 100 ms at the highest sustained level."""
    load_share = (users or rate / 10) / SUSTAINS[arm]
    operations = round((rate or COMPLETED_PER_S) * seconds)
    histogram = Histogram()
    histogram.record_many(np.full(operations, round(100e6 * load_share), dtype=np.int64))
    wire = histogram.to_wire()
    group = LatencyHistograms(wire, wire, wire, operations, {}, 0, 0, operations, operations)
    whole = LoadBlock("adding", arm, 0, 0, users, round(seconds * 1e9), {"sum": group}, Histogram().to_wire(), 10.0, targets=True)
    return msgspec.structs.replace(whole, **changed)


@dataclass
class FakeWorker:
    """Replaces load workers: every step is recorded, takes its time on the clock, and may be made to fail."""

    clock: FakeClock = field(default_factory=FakeClock)
    steps: list[tuple[str, float, str]] = field(default_factory=list)
    started: int = 0
    closed: int = 0
    fail: Callable[[str, float], None] = lambda _arm, _level: None
    failed: str | None = None
    left: list[str] = field(default_factory=list)
    jobs: list[LoadJob] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=lambda: {"event loop": "made up"})
    cannot_run: list[tuple[str, str, str, str]] = field(default_factory=list)

    def __call__(self, job: LoadJob) -> FakeWorker:
        """Return itself as a new process."""
        self.jobs.append(job)
        return self

    def start(self) -> None:
        """Count the call."""
        self.started += 1

    def run_block(self, arm: str, users: int = 0, rate_factor: float = 1.0, block_s: float | None = None) -> LoadBlock:
        """Return a step's block."""
        assert block_s is not None
        level = users or rate_factor
        self.fail(arm, level)
        self.steps.append((arm, level, CapacityKind.USERS if users else CapacityKind.RATE))
        self.clock.advance(int((block_s + 1) * 1e9))
        return block(arm, users, 0.0 if users else rate_factor, block_s)

    def received(self) -> tuple[list[object], list[object]]:
        """Return neither blocks nor ticks."""
        return [], []

    def stop(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Count the call."""
        self.closed += 1


def environment(*_: object, **__: object) -> nullcontext[LoadEnvironment]:
    """Replace servers and data."""
    return nullcontext(LoadEnvironment({"adding": ScenarioEnvironment("sqlite", 0.0, {"digest": "numbers"})}))


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> FakeWorker:
    """Replace the load worker and its environment by fakes."""
    made = FakeWorker()
    monkeypatch.setattr(sessions, "Supervisor", made)
    monkeypatch.setattr(sessions, "load_environment", environment)
    return made


def session(
    worker: FakeWorker,
    out: Path,
    kinds: tuple[CapacityKind, ...] = (CapacityKind.USERS,),
    arms: tuple[str, ...] = ("baseline", "optimised"),
    **others: Any,
) -> CapacitySession:
    """Return a session that searches for the capacity of the toy scenario within 100 ms."""
    plans = [SearchPlan(kind, parse("p95 <= 100ms"), FIRST_LEVEL[kind], MAX_LEVEL[kind], **others) for kind in kinds]
    settings = RunSettings(["sqlite"], "tiny", 0, [0.0], quick=False, processes=1, budget_s=120.0)
    searches = CapacityPlan(load(TOY), settings, plans, arms, out, "harness capacity adding")
    return CapacitySession(searches, Silent(), Cores(None, None), worker.clock)


def test_every_arm_is_searched_and_the_run_is_written(worker: FakeWorker, tmp_path: Path) -> None:
    """The search of each kind finds what the arm sustains, and the written record equals the returned one."""
    out = tmp_path / "run"
    record = session(worker, out, (CapacityKind.RATE, CapacityKind.USERS)).run()
    (result,) = record.scenarios
    assert result.load is not None
    for found in result.load.capacities:
        held = SUSTAINS[found.arm] * (10 if found.kind == CapacityKind.RATE else 1)
        assert found.sustained == pytest.approx(held, rel=0.1)
        assert found.failed_at is not None
    assert [(c.kind, c.arm) for c in result.load.capacities] == [
        (k, a) for k in (CapacityKind.RATE, CapacityKind.USERS) for a in ("baseline", "optimised")
    ]
    assert (record.kind, result.status, result.dataset) == ("load", "ok", {"digest": "numbers"})
    assert record.environment["event loop"] == "made up"
    assert read_run(out) == record
    assert worker.started == worker.closed == 1


def test_arms_alternate_and_the_order_is_reversed_every_second_time(worker: FakeWorker, tmp_path: Path) -> None:
    """Drift of the machine does not favour the first arm."""
    session(worker, tmp_path / "run", arms=("baseline", "proposed", "optimised")).run()
    assert [arm for arm, _, _ in worker.steps[:6]] == ["baseline", "proposed", "optimised", "optimised", "proposed", "baseline"]


def test_a_crashed_worker_ends_only_one_search(worker: FakeWorker, tmp_path: Path) -> None:
    """The arm under load keeps its steps and has the reason; the others continue in a new worker."""

    def crash(arm: str, level: float) -> None:
        if arm == "baseline" and level > 10:
            raise ScenarioFailedError("the load worker exited unexpectedly (SIGKILL)")

    worker.fail = crash
    (result,) = session(worker, tmp_path / "run").run().scenarios
    assert result.load is not None
    crashed, kept = result.load.capacities
    assert (crashed.arm, crashed.sustained, crashed.failed_at) == ("baseline", 8, None)
    assert crashed.reason == "ended at 16: the load worker exited unexpectedly (SIGKILL)"
    assert kept.sustained == pytest.approx(200, rel=0.1)
    assert result.load.lost_workers == ["baseline at 16 concurrent users: the load worker exited unexpectedly (SIGKILL)"]
    assert worker.started == worker.closed == 2


def test_a_search_ends_with_the_server_that_it_needs(worker: FakeWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed operations are then no limit of an arm: every search has the cause, and no further worker starts in vain."""

    class Watch:
        def __init__(self, _: object) -> None:
            pass

        def fault(self) -> str | None:
            return "Toy ended: SIGKILL" if len(worker.steps) > 4 else None

    monkeypatch.setattr(sessions, "ServerWatch", Watch)
    monkeypatch.setattr(searching, "have_trouble", lambda _: True)
    (result,) = session(worker, tmp_path / "run").run().scenarios
    assert (result.status, result.exit_code) == ("failed", 1)
    assert (result.error or "").startswith("baseline at 32 concurrent users: Toy ended: SIGKILL")
    assert "run longer" not in (result.error or "")


def test_results_are_kept_if_no_worker_starts_in_place_of_a_crashed_one(
    worker: FakeWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every search ends with the reason, the run has failed, and the record is written, also if the first start fails."""

    def start() -> None:
        worker.started += 1
        if worker.started > 1:
            raise ScenarioFailedError("the port is taken")

    def crash(arm: str, level: float) -> None:
        if arm == "baseline" and level > 10:
            raise ScenarioFailedError("the load worker exited unexpectedly (SIGKILL)")

    worker.fail = crash
    monkeypatch.setattr(worker, "start", start)
    (result,) = session(worker, tmp_path / "run").run().scenarios
    assert (result.status, result.exit_code) == ("failed", 1)
    assert result.load is not None
    crashed, ended = result.load.capacities
    assert (crashed.sustained, ended.sustained) == (8, 16)
    assert ended.reason == result.load.lost_workers[1] == "no load worker started in place of the crashed one: the port is taken"
    assert read_run(tmp_path / "run").scenarios == [result]
    (result,) = session(worker, tmp_path / "other").run().scenarios
    assert (result.status, result.exit_code, result.error) == ("failed", 1, "the port is taken")


def test_ctrl_c_keeps_the_results_so_far(worker: FakeWorker, tmp_path: Path) -> None:
    """The levels so far are in the record, which is marked as interrupted."""

    def interrupt(_arm: str, level: float) -> None:
        if level > 100:
            raise KeyboardInterrupt

    worker.fail = interrupt
    searching = session(worker, tmp_path / "run")
    record = searching.run()
    assert record.interrupted
    assert searching.unfinished
    (result,) = record.scenarios
    assert result.status == "interrupted"
    assert result.load is not None
    assert {c.arm: c.sustained for c in result.load.capacities}["optimised"] == 64
    assert worker.closed == 1


def test_an_exhausted_budget_leaves_the_search_unfinished_with_a_warning(worker: FakeWorker, tmp_path: Path) -> None:
    """A search with a failed level has a result, if a rough one; a search without one is unfinished."""
    searching = session(worker, tmp_path / "short", budget_s=10.0)
    (result,) = searching.run().scenarios
    assert searching.unfinished
    assert "search cut short" in {d.name for d in result.warnings}
    rough = session(worker, tmp_path / "rough", arms=("baseline",), budget_s=18.0)
    (result,) = rough.run().scenarios
    assert result.load is not None
    assert result.load.capacities[0].failed_at is not None
    assert not rough.unfinished


def test_a_data_layer_in_the_generators_process_is_a_warning(
    worker: FakeWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a target in another process the two take CPU time from each other."""
    assert not session(worker, tmp_path / "elsewhere").run().scenarios[0].warnings

    def inside(*a: Any, **k: Any) -> LoadBlock:
        return msgspec.structs.replace(FakeWorker.run_block(worker, *a, **k), targets=False)

    monkeypatch.setattr(worker, "run_block", inside)
    warnings = session(worker, tmp_path / "inside").run().scenarios[0].warnings
    assert [d.name for d in warnings] == ["one process for both"]


def test_only_promises_about_capacity_are_judged(worker: FakeWorker, tmp_path: Path) -> None:
    """A promise of nine times the users is confirmed by a tenfold capacity; a promise of speed has no verdict here."""
    (result,) = session(worker, tmp_path / "run").run().scenarios
    loaded = load(TOY)
    promises = (
        Promise("X1", "twice as fast", times(2), speedup("sum"), arms=("optimised",)),
        Promise("S4", "nine times the users", times(8), times_the_capacity(CapacityKind.USERS), arms=("optimised",)),
    )
    monkey = replace(loaded, scenario=type("Promising", (type(loaded.scenario),), {"promises": promises})())
    (verdict,) = verdicts(monkey, result)
    assert (verdict.promise, verdict.verdict) == ("S4", "confirmed")
    assert result.verdicts == []


def test_a_steps_observation_covers_all_groups_and_all_due_operations() -> None:
    """Errors, dropped and unfinished operations count as sent and not as completed; the offered rate is the planned one."""
    found = block("baseline", 0, 100.0, 2.0)
    group = msgspec.structs.replace(
        found.groups["sum"], planned=230, errors={"OSError": 10}, dropped=15, unfinished=5, completed=190
    )
    step = observation(100.0, msgspec.structs.replace(found, groups={"a": group, "b": found.groups["sum"]}))
    assert (step.sent, step.completed) == (430, 400)
    assert step.failed_share == pytest.approx(30 / 430)
    assert (step.offered_per_s, step.achieved_per_s) == (215, 195)
    assert step.response.operations == 400
    assert step.invalid is None


def test_a_rough_step_judges_a_percentile_from_fewer_operations() -> None:
    """With 100 operations p95 is known where five beyond it are enough, and not where ten are needed."""
    found = block("baseline", 0, 100.0, 1.0)
    assert observation(100.0, found).response.percentiles_ns["95"] is None
    rough = observation(100.0, found, beyond=5).response.percentiles_ns
    assert rough["95"] == pytest.approx(50e6, rel=0.01)
    assert rough["99"] is None


def test_an_arm_that_cannot_run_every_operation_is_not_searched(worker: FakeWorker, tmp_path: Path) -> None:
    """Its load is another one, so that its level cannot be compared; the reason is in the record."""
    worker.cannot_run = [("adding", "proposed", "write", "OSError: refused")]
    (result,) = session(worker, tmp_path / "run", arms=("baseline", "proposed")).run().scenarios
    assert {arm for arm, _, _ in worker.steps} == {"baseline"}
    assert result.load is not None
    left_out = next(c for c in result.load.capacities if c.arm == "proposed")
    assert (left_out.sustained, left_out.steps, left_out.reason) == (None, [], "cannot run as written: write: OSError: refused")
    assert next(arm for arm in result.arms if arm.name == "proposed").cannot_run == "write: OSError: refused"


def test_a_busy_generator_makes_a_step_invalid() -> None:
    """The reason is the same as that of a load test."""
    step = observation(100.0, block("baseline", 0, 100.0, 2.0, cpu_percent=97.0))
    assert step.invalid is not None
    assert "97 % of its core" in step.invalid


@pytest.mark.parametrize(("cycles", "processes", "shares"), [(6, 2, [3, 3]), (7, 2, [4, 3]), (1, 2, [1]), (5, 4, [2, 1, 1, 1])])
def test_cycles_are_distributed_over_load_workers(tmp_path: Path, cycles: int, processes: int, shares: list[int]) -> None:
    """The distribution is as even as possible, and every worker has at least one."""
    settings = RunSettings(["sqlite"], "tiny", 0, [0.0], quick=False, processes=processes, budget_s=1.0)
    assert LoadPlan(load(TOY), settings, LoadJob([], [], 1.0), cycles, tmp_path, "harness load").cycles_per_worker() == shares


def test_the_record_describes_the_load() -> None:
    """The facts have the schedule of the open model, and the users of the closed model."""
    assert load_facts(CollectedResults(), LoadJob([], [], 1.0, arrivals="200"), 0)["arrivals"] == "200 per second, evenly spaced"
    assert load_facts(CollectedResults(), LoadJob([], [], 1.0, model=LoadModel.CLOSED), 8)["users"] == "8"


@dataclass
class FakeLoadWorker:
    """Replaces the load workers of a load test: each gives two blocks per arm and cycle, and may hang at an arm."""

    hangs: str = "optimised"
    interrupts: int = 0
    """The number of blocks after which waiting for more raises `ends`; 0 for never."""
    ends: BaseException = field(default_factory=KeyboardInterrupt)
    is_cut: bool = False
    jobs: list[LoadJob] = field(default_factory=list)
    failed: str | None = None
    hung_arm: str = ""
    left: list[str] = field(default_factory=list)
    crashed: bool = False
    facts: dict[str, str] = field(default_factory=dict)
    cannot_run: list[tuple[str, str, str, str]] = field(default_factory=list)
    running: bool = False

    def __call__(self, job: LoadJob) -> FakeLoadWorker:
        """Return itself as a new process."""
        self.jobs.append(job)
        self.failed, self.hung_arm, self.running, self.is_cut = None, "", bool(self.interrupts), False
        return self

    def start(self) -> None:
        """Do nothing."""

    @property
    def arms(self) -> list[str]:
        """The arms of its job."""
        return self.jobs[-1].arms or ["baseline", "proposed", "optimised"]

    def load(self, users: int = 0) -> None:
        """Do nothing."""

    def wait(self) -> None:
        """Be interrupted, if all blocks before that were received."""
        if self.is_cut:
            self.interrupts = 0
            raise self.ends

    def stop(self) -> None:
        """Do nothing."""

    def received(self) -> tuple[list[LoadBlock], list[object]]:
        """Return the blocks of every arm up to the one that hangs, once."""
        job, blocks = self.jobs[-1], list[LoadBlock]()
        if self.failed or not job.block_s or self.is_cut:
            return [], []
        for cycle in range(job.first_cycle, job.cycles or 0):
            for arm in self.arms:
                if arm == self.hangs:
                    self.failed, self.hung_arm = f"{arm} hangs", arm
                    return blocks, []
                if self.interrupts and len(blocks) == self.interrupts:
                    self.is_cut = True
                    return blocks, []
                blocks.append(msgspec.structs.replace(block(arm, 0, 100.0, 1.0), cycle=cycle, arrivals=100))
        self.jobs[-1] = msgspec.structs.replace(job, block_s=0.0)  # all received
        return blocks, []

    def close(self) -> None:
        """Do nothing."""


def test_an_arm_that_hangs_is_left_out_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A new worker takes the rest of the cycles without it; the run has failed and names it."""
    made = FakeLoadWorker()
    monkeypatch.setattr(sessions, "Supervisor", made)
    monkeypatch.setattr(sessions, "load_environment", environment)
    settings = RunSettings(["sqlite"], "tiny", 0, [0.0], quick=False, processes=2, budget_s=1.0)
    plan = LoadPlan(load(TOY), settings, LoadJob([], [], 1.0, arrivals="100"), 6, tmp_path / "run", "harness load adding")
    (result,) = LoadSession(plan, Silent(), Cores(None, None)).run().scenarios
    assert [(job.cycles, job.arms) for job in made.jobs] == [
        (3, None),
        (2, ["baseline", "proposed"]),
        (3, ["baseline", "proposed"]),
    ]
    assert (result.status, result.exit_code) == ("failed", 1)
    assert result.error == "load worker 1 of 2, after 2 of its blocks: optimised hangs"
    assert result.load is not None
    assert {a.arm: a.operations for a in result.load.arms if a.group == "sum"} == {"baseline": 600, "proposed": 600}
    assert {r.arm for r in result.load.ratios} == {"proposed"}


def load_session(made: FakeLoadWorker, out: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> LoadSession:
    """Return a session of six cycles on two workers that none hangs."""
    monkeypatch.setattr(sessions, "Supervisor", made)
    monkeypatch.setattr(sessions, "load_environment", environment)
    settings = RunSettings(["sqlite"], "tiny", 0, [0.0], quick=False, processes=2, budget_s=1.0)
    plan = LoadPlan(load(TOY), settings, LoadJob([], [], 1.0, arrivals="100"), 6, out, "harness load adding", **more)
    return LoadSession(plan, Silent(), Cores(None, None))


def resumed(out: Path) -> UnfinishedRun[StoredLoadLine]:
    """Return what is stored of a run, to go on with it."""
    return UnfinishedRun(out, request_of(out), StoredLoadLine, is_resumed=True)


@pytest.mark.parametrize(("blocks", "first_cycle"), [(1, 0), (4, 1), (5, 1), (8, 2)])
def test_a_load_test_that_was_killed_goes_on_after_its_whole_cycles(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, blocks: int, first_cycle: int
) -> None:
    """It has as many blocks as one that was not, and its workers the same shares, arrivals and order."""
    killed = RuntimeError("as SIGKILL, which runs nothing that would clear up")
    whole, cut = FakeLoadWorker(hangs=""), FakeLoadWorker(hangs="", interrupts=blocks, ends=killed)
    expected = load_session(whole, tmp_path / "whole", monkeypatch).run()
    out = tmp_path / "cut"
    with pytest.raises(RuntimeError):
        load_session(cut, out, monkeypatch).run()
    unfinished = read_run(out)
    assert (unfinished.incomplete, unfinished.finished_at) == ("did not finish", None)
    if blocks > 3:
        assert [(r.status, r.error) for r in unfinished.scenarios] == [("interrupted", f"{blocks} of 18 blocks were measured")]
    record = load_session(cut, out, monkeypatch, unfinished=resumed(out), started_at="2026-01-01T00:00:00+00:00").run()
    again = cut.jobs[1:]
    assert [(job.first_cycle, job.arrived, job.cycles) for job in again] == [(first_cycle, 100 * first_cycle, 3), (0, 0, 3)]
    assert [job.settings for job in again] == [job.settings for job in whole.jobs]
    (result,), (other,) = record.scenarios, expected.scenarios
    assert (result.status, result.pairs, result.load) == ("ok", other.pairs, other.load)
    assert (record.resumed, record.started_at, record.incomplete) == (1, "2026-01-01T00:00:00+00:00", "")
    assert read_run(out) == record
    assert not (out / "unfinished").exists()


def test_a_load_test_that_was_interrupted_says_how_far_it_came(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It can be resumed twice."""
    made, out = FakeLoadWorker(hangs="", interrupts=4), tmp_path / "run"
    record = load_session(made, out, monkeypatch).run()
    assert (record.incomplete, record.scenarios[0].status) == ("was interrupted", "interrupted")
    assert record.scenarios[0].error == "4 of 18 blocks were measured"
    made.interrupts = 3
    assert load_session(made, out, monkeypatch, unfinished=resumed(out)).run().interrupted
    record = load_session(made, out, monkeypatch, unfinished=resumed(out)).run()
    assert [job.first_cycle for job in made.jobs] == [0, 1, 2, 0]
    assert (record.resumed, record.incomplete, record.scenarios[0].pairs) == (2, "", 6)


def test_a_hung_arm_stays_left_out_when_a_load_test_is_resumed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The worker that it ended is not run again, and its message is kept."""
    made, out = FakeLoadWorker(), tmp_path / "run"
    session_ = load_session(made, out, monkeypatch)

    def start() -> None:
        if len(made.jobs) == 2:
            raise RuntimeError("as SIGKILL")

    monkeypatch.setattr(made, "start", start)
    with pytest.raises(RuntimeError):
        session_.run()
    monkeypatch.setattr(made, "start", lambda: None)
    record = load_session(made, out, monkeypatch, unfinished=resumed(out)).run()
    assert [(job.cycles, job.arms) for job in made.jobs[2:]] == [(2, ["baseline", "proposed"]), (3, ["baseline", "proposed"])]
    assert record.scenarios[0].error == "load worker 1 of 2, after 2 of its blocks: optimised hangs"


def test_an_arm_that_crashes_is_left_out_the_second_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Something else may have killed the first worker, so that the next one takes its cycles with all arms."""
    made = FakeLoadWorker(crashed=True)
    (result,) = load_session(made, tmp_path / "run", monkeypatch).run().scenarios
    assert [(job.cycles, job.arms) for job in made.jobs] == [
        (3, None),
        (2, None),
        (1, ["baseline", "proposed"]),
        (3, ["baseline", "proposed"]),
    ]
    assert (result.status, result.exit_code) == ("failed", 1)
    assert result.load is not None
    assert len(result.load.lost_workers) == 2


def test_other_data_refuse_to_resume(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is stored stays as it is."""
    made, out = FakeLoadWorker(hangs="", interrupts=4), tmp_path / "run"
    before = load_session(made, out, monkeypatch).run()
    other = LoadEnvironment({"adding": ScenarioEnvironment("sqlite", 0.0, {"digest": "others"})})
    again = load_session(made, out, monkeypatch, unfinished=resumed(out))
    monkeypatch.setattr(sessions, "load_environment", lambda *_, **__: nullcontext(other))
    with pytest.raises(UsageError, match=r"another run \(the data: digest numbers before, digest others now\)"):
        again.run()
    assert read_run(out) == before
    monkeypatch.setattr(sessions, "load_environment", environment)
    assert not load_session(made, out, monkeypatch, unfinished=resumed(out)).run().incomplete


@pytest.mark.parametrize("steps", [0, 1, 2, 7, 12])
def test_a_search_that_was_killed_goes_on_with_the_same_steps(worker: FakeWorker, tmp_path: Path, steps: int) -> None:
    """Stored steps are not run again; the result is that of a search that was not killed."""
    expected = session(worker, tmp_path / "whole").run()
    whole, worker.steps = worker.steps, []

    def kill(_arm: str, _level: float) -> None:
        if len(worker.steps) == steps:
            raise RuntimeError("as SIGKILL")

    worker.fail, worker.clock.time_ns = kill, 0
    out = tmp_path / "cut"
    with pytest.raises(RuntimeError):
        session(worker, out).run()
    assert read_run(out).incomplete == "did not finish"
    worker.fail = lambda _arm, _level: None
    again = session(worker, out)
    again.plan = replace(again.plan, unfinished=resumed(out))
    record = again.run()
    assert worker.steps == whole
    assert worker.jobs[-1].first_cycle == steps
    (result,), (other,) = record.scenarios, expected.scenarios
    assert (result.status, result.load) == (other.status, other.load)
    assert (record.resumed, read_run(out)) == (1, record)


def test_a_crash_in_a_search_is_kept_when_it_is_resumed(worker: FakeWorker, tmp_path: Path) -> None:
    """The arm that crashed is not searched again."""

    def crash(arm: str, level: float) -> None:
        if arm == "baseline" and level > 10:
            raise ScenarioFailedError("the load worker exited unexpectedly (SIGKILL)")
        if level > 100:
            raise RuntimeError("as SIGKILL")

    worker.fail, out = crash, tmp_path / "run"
    with pytest.raises(RuntimeError):
        session(worker, out).run()
    worker.fail, before = lambda _arm, _level: None, len(worker.steps)
    again = session(worker, out)
    again.plan = replace(again.plan, unfinished=resumed(out))
    (result,) = again.run().scenarios
    assert {arm for arm, *_ in worker.steps[before:]} == {"optimised"}
    assert result.load is not None
    assert result.load.lost_workers == ["baseline at 16 concurrent users: the load worker exited unexpectedly (SIGKILL)"]


def test_a_scenario_that_cannot_be_prepared_fails_with_a_record(
    worker: FakeWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its error is in the record that a report is made of."""

    def failing(*_: object, **__: object) -> nullcontext[LoadEnvironment]:
        raise ScenarioFailedError("adding: prepare() raised: ValueError: no rows")

    monkeypatch.setattr(sessions, "load_environment", failing)
    settings = RunSettings(["sqlite"], "tiny", 0, [0.0], quick=False, processes=1, budget_s=1.0)
    plan = LoadPlan(load(TOY), settings, LoadJob([], [], 1.0, arrivals="100"), 6, tmp_path / "load", "harness load adding")
    for made in (LoadSession(plan, Silent(), Cores(None, None)), session(worker, tmp_path / "capacity")):
        (result,) = made.run().scenarios
        assert (result.status, result.exit_code, result.error) == ("failed", 1, "prepare() raised: ValueError: no rows")


def test_a_search_of_an_arm_that_fails_has_its_error(worker: FakeWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scenario fails with share, message and count, each arm once; the other arm's capacity is kept."""
    run_block = worker.run_block

    def refusing(arm: str, *a: Any, **k: Any) -> LoadBlock:
        found = run_block(arm, *a, **k)
        if arm == "optimised":
            return found
        sums = found.groups["sum"]
        none = Histogram().to_wire()
        failed = msgspec.structs.replace(sums, response=none, operations=0, completed=0, errors={"OSError: refused": sums.planned})
        return msgspec.structs.replace(found, groups={"sum": failed}, cpu_percent=99.0)

    monkeypatch.setattr(worker, "run_block", refusing)
    searching = session(worker, tmp_path / "run", (CapacityKind.RATE, CapacityKind.USERS), budget_s=40.0)
    record = searching.run()
    (result,) = record.scenarios
    assert (result.status, result.exit_code) == ("failed", 1)
    assert str(result.error).startswith("baseline: 100 % of operations failed: OSError: refused (")
    assert str(result.error).count("baseline") == 1
    assert result.load is not None
    reasons = {c.arm: c.reason for c in result.load.capacities if c.kind == CapacityKind.USERS}
    assert reasons["baseline"].startswith("100 % of operations failed: OSError: refused")
    assert next(c for c in result.load.capacities if c.arm == "optimised").sustained
