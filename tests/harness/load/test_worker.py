"""The load worker: arms alternate, with the same arrivals and the same cases, after their answers were compared."""

from __future__ import annotations

import asyncio
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.discovery import LoadedScenario, load
from harness.errors import ScenarioFailedError, UsageError
from harness.load.block import LoadBlock
from harness.load.pacing import Pacer
from harness.load.protocol import LoadJob, Order
from harness.load.worker import LANES, THREADS, LoadedInstances, LoadWorker
from harness.results.load import LoadModel
from harness.runnable import runnable
from harness.runtime.clock import MonotonicClock
from harness.scenario import Case, Group, Scenario, Setting

if TYPE_CHECKING:
    from tests.harness.load.conftest import Stage

TOY = Path(__file__).parents[2] / "toys" / "adding.py"
MS = 1_000_000
ALL_ARMS = ["baseline", "optimised", "other"]

DEADLINE_S = 60.0
"""The timeout of waits that expire only if a test fails."""


def test_every_second_cycle_reverses_the_order_of_arms(stage: Stage) -> None:
    """A B C, C B A: linear drift affects all arms alike."""
    found = stage.blocks(arms=ALL_ARMS, cycles=4)
    orders = [[b.arm for b in found if b.cycle == cycle] for cycle in range(4)]
    assert sorted(orders[0]) == ALL_ARMS
    assert orders == [orders[0], orders[0][::-1]] * 2
    assert [b.position for b in found] == [0, 1, 2] * 4


def test_the_first_order_depends_on_the_seed(stage: Stage) -> None:
    """Different seeds start with different arms."""
    firsts = set()
    for seed in range(12):
        setting = Setting(stage.folder, stage.folder, seed=seed)
        stage.scenario.under_load = False
        firsts.add(stage.blocks(arms=ALL_ARMS, settings=[setting])[0].arm)
    assert firsts == set(ALL_ARMS)


def test_instances_are_settled_between_blocks(stage: Stage) -> None:
    """`settle` runs after the comparison and after each arm's block, with no operation in flight."""
    stage.scenario.takes_ns = lambda arm, case: 25 * MS
    found = stage.blocks(cycles=2)
    settled = stage.scenario.settled
    compared = [done for _, _, done in settled].count(0)
    assert {instance for instance, _, _ in settled[:compared]} == {"baseline", "optimised"}
    assert [instance for instance, _, _ in settled[compared:]] == [b.arm for b in found]
    assert {in_flight for _, in_flight, _ in settled} == {0}
    assert settled[-1][2] == len(stage.scenario.ran)


@pytest.mark.parametrize("plan", ["100", "poisson:100", "ramp:50..150", "steps:50,150"])
def test_each_arm_of_a_cycle_has_the_same_arrivals_and_cases(stage: Stage, plan: str) -> None:
    """The next cycle continues with the cases that follow."""
    found = stage.blocks(arms=["baseline", "optimised"], cycles=2, arrivals=plan)
    assert found[0].groups.keys() == {"read", "write"}
    names = {arm: stage.scenario.names(arm) for arm in ("baseline", "optimised")}
    assert names["baseline"] == names["optimised"]
    first = sum(g.planned for g in found[0].groups.values())
    assert set(names["baseline"][:first]).isdisjoint(names["baseline"][first : first + 3])
    starts = [[at for a, _, at in stage.scenario.ran if a == arm][:first] for arm in names]
    assert [at - starts[0][0] for at in starts[0]] == pytest.approx([at - starts[1][0] for at in starts[1]], abs=2)


def test_arrivals_alternate_between_streams_of_cases(stage: Stage) -> None:
    """The same case is not in flight twice, and groups are mixed; slow groups take no load."""
    stage.blocks(arms=["baseline"])
    names = stage.scenario.names("baseline")
    assert names[:4] == ["stream 1 read 0", "stream 2 write 0", "stream 3 read 1", "stream 4 write 1"]
    assert names[LANES] == "stream 1 write 0"
    assert not any("heavy" in name for name in names)


def test_users_have_the_same_cases_in_every_arm_of_a_cycle(stage: Stage) -> None:
    """Each user has a separate stream, with alternating groups."""
    stage.scenario.takes_ns = lambda arm, case: 10 * MS
    stage.blocks(users=2, model=LoadModel.CLOSED)
    names = stage.scenario.names("baseline")
    assert names == stage.scenario.names("optimised")
    assert names[:4] == ["stream 1 read 0", "stream 2 read 0", "stream 1 write 0", "stream 2 write 0"]


def test_a_rate_factor_multiplies_the_arrivals(stage: Stage) -> None:
    """A factor of three on 100 per second gives 30 arrivals in 0.1 s."""
    (block,) = stage.blocks(arms=["baseline"], rate_factor=3.0)
    assert sum(g.planned for g in block.groups.values()) == 30


@pytest.mark.parametrize("plan", ["1000", "poisson:1000", "ramp:500..1500", "steps:500,1500"])
def test_workers_share_a_schedule(stage: Stage, plan: str) -> None:
    """Arrival i belongs to worker i mod 3: the parts of three workers add up to the schedule."""

    def starts(worker: int, workers: int) -> list[int]:
        stage.scenario.under_load, stage.scenario.ran = False, []
        setting = Setting(stage.folder, stage.folder, stream=1000 * worker)
        stage.blocks(arms=["baseline"], arrivals=plan, share=(worker, workers), settings=[setting])
        return [at_ns for _, _, at_ns in stage.scenario.ran]

    whole = starts(0, 1)
    for worker in range(3):
        part = starts(worker, 3)
        assert [at_ns - part[0] for at_ns in part] == [at_ns - whole[worker] for at_ns in whole[worker::3]]


def test_an_arm_skips_only_the_groups_it_cannot_run(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """No operation of them is planned for it; it takes part in the others."""
    groups = [Group("read", ""), Group("write", "", skip={"optimised": "it cannot"}), Group("heavy", "", load=False)]
    monkeypatch.setattr(type(stage.scenario), "groups", groups)
    found = stage.blocks()
    assert {b.arm: set(b.groups) for b in found} == {"baseline": {"read", "write"}, "optimised": {"read"}}


def test_arms_with_different_answers_take_no_load(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker does not open, even if the baseline is not under load; the error names the scenario."""
    run = type(stage.scenario).run

    async def wrong(self: object, instance: str, case: Case) -> int:
        return 13 if instance == "optimised" else await run(stage.scenario, instance, case)

    monkeypatch.setattr(type(stage.scenario), "run", wrong)
    with pytest.raises(ScenarioFailedError, match="timed: optimised gives another answer"):
        stage.blocks(arms=["optimised"])
    stage.scenario.under_load = False
    assert {b.arm for b in stage.blocks(verified_cases=0)} == {"baseline", "optimised"}  # they were compared beforehand


def test_only_selected_arms_take_load(stage: Stage) -> None:
    """Other arms are neither under load nor in the order."""
    assert {b.arm for b in stage.blocks(arms=["other"], cycles=2)} == {"other"}


def test_a_requested_block_has_its_arm_level_and_duration(stage: Stage) -> None:
    """By rate or by users, one after the other; an arm that is not selected is refused."""

    async def go() -> None:
        worker = LoadWorker([stage.loaded], stage.job(on_request=True), stage.clock, stage.pacer)
        await worker.open()
        stage.scenario.under_load = True
        stage.scenario.takes_ns = lambda arm, case: 10 * MS
        rate = await worker.run_block(Order(0, 2.0, "optimised", 0.2), 0, lambda: False)
        users = await worker.run_block(Order(3, arm="baseline"), 1, lambda: False)
        assert (rate.arm, rate.users, sum(g.planned for g in rate.groups.values())) == ("optimised", 0, 40)
        assert (users.arm, users.users, sum(g.operations for g in users.groups.values())) == ("baseline", 3, 30)
        with pytest.raises(ScenarioFailedError, match="timed: arm other cannot take load"):
            await worker.run_block(Order(1, arm="other"), 2, lambda: False)
        await worker.close()

    stage.run(go())


def test_requested_blocks_of_a_cycle_have_the_same_arrivals_and_cases(stage: Stage) -> None:
    """Arms of one cycle are compared; the next cycle goes on with other arrivals and the cases that follow."""

    async def go() -> None:
        worker = LoadWorker([stage.loaded], stage.job(on_request=True, arrivals="poisson:100"), stage.clock, stage.pacer)
        await worker.open()
        stage.scenario.under_load = True
        for cycle in range(2):
            for arm in ("baseline", "optimised"):
                block = await worker.run_block(Order(arm=arm, cycle=cycle), 7, lambda: False)
                assert (block.arm, block.cycle) == (arm, cycle)
        await worker.close()

    stage.run(go())
    names, others = stage.scenario.names("baseline"), stage.scenario.names("optimised")
    assert names == others
    starts = {arm: [at for a, _, at in stage.scenario.ran if a == arm] for arm in ("baseline", "optimised")}
    gaps = [[b - a for a, b in pairwise(at[:5])] for at in starts.values()]
    assert gaps[0] == gaps[1]
    half = len(names) // 2
    assert names[:half] != names[half:]


def test_an_invalid_schedule_is_refused(stage: Stage) -> None:
    """The error is raised before any instance is opened."""
    with pytest.raises(UsageError):
        stage.blocks(arrivals="quickly")


def test_a_scenario_without_cases_for_load_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names its file and the methods to check."""
    toy = load(TOY)
    scenario = LoadedInstances(toy, Setting(tmp_path, tmp_path), {})
    assert len(scenario.stream(0)) == 3
    monkeypatch.setattr(toy.scenario, "load_cases", lambda _setting: [])
    with pytest.raises(ScenarioFailedError, match="no cases for a load test"):
        scenario.stream(1)


def test_users_share_a_limited_number_of_streams(tmp_path: Path) -> None:
    """Each case goes to the next user, so that two users never run the same one at the same time."""
    toy = load(TOY)
    scenario = LoadedInstances(toy, Setting(tmp_path, tmp_path), {})
    first, second = scenario.user("baseline", 0), scenario.user("baseline", 64)
    assert [next(first).name, next(second).name, next(first).name] == ["sum 20000", "sum 20001", "sum 20002"]


class Blocking(Scenario[list[str]]):
    """A synchronous arm: `open` returns a plain object, and `run` blocks until enough operations are in flight."""

    arms = {"baseline": ""}  # noqa: RUF012 - a table
    groups = (Group("sleep", ""), Group("meet", ""))

    def __init__(self, together: int) -> None:
        """Let operations of the group "meet" end once `together` of them are in flight."""
        self.together = threading.Barrier(together)
        self.have_met = False
        self.threads: set[str] = set()
        self.order: list[str] = []
        self.under_load = False

    def cases(self, setting: Setting) -> list[Case]:
        """Return one case per group."""
        return [Case("sleep", "sleep", None), Case("meet", "meet", None)]

    def load_cases(self, setting: Setting) -> list[Case]:
        """Return the sleeping case for the first stream, and the meeting one for others."""
        return [self.cases(setting)[min(1, setting.stream - 1)]]

    def open(self, arm: str, setting: Setting) -> list[str]:
        """Return a plain object."""
        return [arm]

    def run(self, instance: list[str], case: Case) -> str:
        """Sleep while the other operations meet, or wait for them; a single thread would never end."""
        if not self.under_load:
            return case.name
        self.threads.add(threading.current_thread().name)
        if case.name == "meet" and not self.have_met:
            self.together.wait(DEADLINE_S)
            self.have_met = True
        while case.name == "sleep" and not self.have_met:
            time.sleep(0.001)
        self.order.append(case.name)
        return case.name


def test_synchronous_operations_run_concurrently_in_threads(tmp_path: Path) -> None:
    """Four operations that wait for each other complete while a fifth one sleeps in `run`."""
    scenario = Blocking(4)
    loaded = LoadedScenario("blocking", Path("blocking.py"), runnable(scenario), "Blocking.", "Blocking.")
    clock = MonotonicClock()
    job = LoadJob(
        ["blocking.py"], [Setting(tmp_path, tmp_path)], block_s=0.05, model=LoadModel.CLOSED, drain_s=DEADLINE_S, cycles=1
    )

    async def blocks() -> list[LoadBlock]:
        async with Pacer(clock) as pacer:
            worker = LoadWorker([loaded], job, clock, pacer)
            await worker.open()
            assert worker.facts == {"execution": f"synchronous, in a pool of {THREADS} threads"}
            scenario.under_load = True
            try:
                return [block async for block in worker.cycles(lambda: Order(users=5), lambda: False)]
            finally:
                await worker.close()

    (block,) = asyncio.run(blocks())
    assert scenario.have_met
    assert "sleep" in scenario.order
    assert len(scenario.threads) >= 5
    assert not any("MainThread" in name for name in scenario.threads)
    assert {name: (not g.errors, g.unfinished) for name, g in block.groups.items()} == {"sleep": (True, 0), "meet": (True, 0)}


def test_asynchronous_operations_run_in_the_loop(stage: Stage) -> None:
    """The record says how operations run."""

    async def facts() -> dict[str, str]:
        worker = LoadWorker([stage.loaded], stage.job(), stage.clock, stage.pacer)
        await worker.open()
        await worker.close()
        return worker.facts

    assert stage.run(facts()) == {"execution": "asynchronous, in one event loop"}
