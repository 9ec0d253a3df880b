"""The engine: arms in turn, each meeting the same arrivals and the same cases, after their answers were found equal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.discovery import load
from harness.errors import ScenarioFailedError, UsageError
from harness.load.engine import LANES, LoadedInstances, LoadLevel, LoadWorker
from harness.results.load import LoadModel
from harness.scenario import Case, Group, Setting

if TYPE_CHECKING:
    from tests.harness.load.conftest import Stage

TOY = Path(__file__).parents[2] / "toys" / "adding.py"
MS = 1_000_000
ALL_ARMS = ["baseline", "optimised", "other"]


def test_every_second_cycle_takes_the_arms_backwards(stage: Stage) -> None:
    """A B C, C B A: what drifts evenly hits all arms alike."""
    found = stage.blocks(arms=ALL_ARMS, cycles=4)
    orders = [[b.arm for b in found if b.cycle == cycle] for cycle in range(4)]
    assert sorted(orders[0]) == ALL_ARMS
    assert orders == [orders[0], orders[0][::-1]] * 2
    assert [b.position for b in found] == [0, 1, 2] * 4


def test_the_first_order_is_drawn_by_the_seed(stage: Stage) -> None:
    """Other seeds begin with other arms."""
    firsts = set()
    for seed in range(12):
        setting = Setting(stage.folder, stage.folder, seed=seed)
        stage.scenario.under_load = False
        firsts.add(stage.blocks(arms=ALL_ARMS, settings=[setting])[0].arm)
    assert firsts == set(ALL_ARMS)


def test_what_was_put_off_is_settled_between_blocks(stage: Stage) -> None:
    """Once after the arms were compared, then after each arm's block, with nothing under way."""
    stage.scenario.takes_ns = lambda arm, case: 25 * MS
    found = stage.blocks(cycles=2)
    settled = stage.scenario.settled
    assert [done for _, _, done in settled[:2]] == [0, 0]
    assert [instance for instance, _, _ in settled[2:]] == [b.arm for b in found]
    assert {under_way for _, under_way, _ in settled} == {0}
    assert settled[-1][2] == len(stage.scenario.ran)


@pytest.mark.parametrize("plan", ["100", "poisson:100", "ramp:50..150", "steps:50,150"])
def test_each_arm_of_a_cycle_meets_the_same_arrivals_and_cases(stage: Stage, plan: str) -> None:
    """And the next cycle goes on with other cases, where it stopped."""
    found = stage.blocks(arms=["baseline", "optimised"], cycles=2, arrivals=plan)
    assert found[0].groups.keys() == {"read", "write"}
    names = {arm: stage.scenario.names(arm) for arm in ("baseline", "optimised")}
    assert names["baseline"] == names["optimised"]
    first = sum(g.planned for g in found[0].groups.values())
    assert set(names["baseline"][:first]).isdisjoint(names["baseline"][first : first + 3])
    starts = [[at for a, _, at in stage.scenario.ran if a == arm][:first] for arm in names]
    assert [at - starts[0][0] for at in starts[0]] == pytest.approx([at - starts[1][0] for at in starts[1]], abs=2)


def test_arrivals_take_streams_of_cases_in_turn(stage: Stage) -> None:
    """So that the same case is not under way twice, and groups are mixed; heavy groups are no load."""
    stage.blocks(arms=["baseline"])
    names = stage.scenario.names("baseline")
    assert names[:4] == ["stream 1 read 0", "stream 2 write 0", "stream 3 read 1", "stream 4 write 1"]
    assert names[LANES] == "stream 1 write 0"
    assert not any("heavy" in name for name in names)


def test_users_meet_the_same_cases_in_every_arm_of_a_cycle(stage: Stage) -> None:
    """And each user has a stream of its own, with groups taking turns."""
    stage.scenario.takes_ns = lambda arm, case: 10 * MS
    stage.blocks(users=2, model=LoadModel.CLOSED)
    names = stage.scenario.names("baseline")
    assert names == stage.scenario.names("optimised")
    assert names[:4] == ["stream 1 read 0", "stream 2 read 0", "stream 1 write 0", "stream 2 write 0"]


def test_a_rate_factor_plans_so_many_times_the_arrivals(stage: Stage) -> None:
    """Three times a hundred a second."""
    (block,) = stage.blocks(arms=["baseline"], rate_factor=3.0)
    assert sum(g.planned for g in block.groups.values()) == 30


def test_workers_share_a_plan_out(stage: Stage) -> None:
    """Each of three offers its part, all of them together the whole, whatever streams their settings number."""
    planned = []
    for worker in range(3):
        stage.scenario.under_load = False
        setting = Setting(stage.folder, stage.folder, stream=1000 * worker)
        found = stage.blocks(arms=["baseline"], arrivals="poisson:1000", share=(worker, 3), settings=[setting])
        planned.append(sum(g.planned for g in found[0].groups.values()))
    stage.scenario.under_load = False
    (whole,) = stage.blocks(arms=["baseline"], arrivals="poisson:1000", share=(0, 1))
    assert max(planned) - min(planned) <= 1
    assert sum(planned) == sum(g.planned for g in whole.groups.values())


def test_an_arm_sits_out_only_the_groups_it_cannot_run(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of them is planned for it; it takes part in the others."""
    groups = [Group("read", ""), Group("write", "", skip={"optimised": "it cannot"})]
    monkeypatch.setattr(type(stage.scenario), "groups", groups)
    found = stage.blocks()
    assert {b.arm: set(b.groups) for b in found} == {"baseline": {"read", "write"}, "optimised": {"read"}}


def test_arms_that_disagree_take_no_load(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine refuses to start, by the scenario's name, also where the baseline itself takes no part."""
    run = type(stage.scenario).run

    async def lie(self: object, instance: str, case: Case) -> int:
        return 13 if instance == "optimised" else await run(stage.scenario, instance, case)

    monkeypatch.setattr(type(stage.scenario), "run", lie)
    with pytest.raises(ScenarioFailedError, match="timed: optimised gives another answer"):
        stage.blocks(arms=["optimised"])


def test_only_named_arms_take_load(stage: Stage) -> None:
    """The others are neither loaded nor in the order."""
    assert {b.arm for b in stage.blocks(arms=["other"], cycles=2)} == {"other"}


def test_on_request_a_block_has_the_arm_the_level_and_the_length_asked_for(stage: Stage) -> None:
    """By rate or by users, one after the other; an arm that there is not is refused."""

    async def go() -> None:
        worker = LoadWorker([stage.loaded], stage.job(on_request=True), stage.clock, stage.pacer)
        await worker.open()
        stage.scenario.under_load = True
        stage.scenario.takes_ns = lambda arm, case: 10 * MS
        rate = await worker.run_block("optimised", 0, LoadLevel(0, 2.0), 0.2, lambda: False)
        users = await worker.run_block("baseline", 1, LoadLevel(3), None, lambda: False)
        assert (rate.arm, rate.users, sum(g.planned for g in rate.groups.values())) == ("optimised", 0, 40)
        assert (users.arm, users.users, sum(g.operations for g in users.groups.values())) == ("baseline", 3, 30)
        with pytest.raises(ScenarioFailedError, match="timed: other cannot take load"):
            await worker.run_block("other", 2, LoadLevel(1), None, lambda: False)
        await worker.close()

    stage.run(go())


def test_a_plan_without_meaning_is_refused(stage: Stage) -> None:
    """Before any instance is opened."""
    with pytest.raises(UsageError):
        stage.blocks(arrivals="quickly")


def test_a_scenario_without_cases_for_load_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its file, with what to check."""
    toy = load(TOY)
    ground = LoadedInstances(toy, Setting(tmp_path, tmp_path), {})
    assert len(ground.stream(0)) == 3
    monkeypatch.setattr(toy.scenario, "load_cases", lambda _setting: [])
    with pytest.raises(ScenarioFailedError, match="no cases for many users"):
        ground.stream(1)


def test_beyond_a_number_of_streams_users_share_them(tmp_path: Path) -> None:
    """Each case goes to whoever asks next, so that two of them never ask for the same one at once."""
    toy = load(TOY)
    ground = LoadedInstances(toy, Setting(tmp_path, tmp_path), {})
    first, second = ground.user("baseline", 0), ground.user("baseline", 64)
    assert [next(first).name, next(second).name, next(first).name] == ["sum 20000", "sum 20001", "sum 20002"]
