"""Tests of ablated scenarios: the same operations and cases, with sets of switches as arms."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.bench.job import PairTimes, SlotTimes, Task
from harness.bench.result import ScenarioRun
from harness.bench.switches import ablated
from harness.discovery import LoadedScenario, load
from harness.errors import UsageError
from harness.runnable import runnable
from harness.scenario import Group, Scenario, Setting

TOYS = Path(__file__).parents[2] / "toys"


@pytest.fixture
def toy() -> LoadedScenario:
    """The toy with switches."""
    return load(TOYS / "switching.py")


@pytest.fixture
def changed(toy: LoadedScenario) -> Callable[..., LoadedScenario]:
    """Return the toy with other class attributes."""

    def change(**declared: object) -> LoadedScenario:
        return replace(toy, scenario=runnable(type("Changed", (type(toy.scenario.written),), declared)()))

    return change


def test_arms_are_described_sets_of_switches(toy: LoadedScenario) -> None:
    """Each description names the switches that are on; in the baseline all are off."""
    found = ablated(toy).scenario.arms
    assert list(found) == [
        "baseline",
        *("only halve", "only skip", "only idle"),
        "all",
        *("all but halve", "all but skip", "all but idle"),
    ]
    assert found["baseline"].description == "all switches off"
    assert found["only halve"].description == "half the rounds, and nothing else"
    assert found["all but idle"].description == "everything but: a setting without effect"


def test_each_arm_opens_its_set_of_switches(toy: LoadedScenario, tmp_path: Path) -> None:
    """The instances are those of `open_switched`, and the operation runs in them."""
    scenario = ablated(toy).scenario

    async def rounds(arm: str) -> int:
        async with scenario.open(arm, Setting(tmp_path, tmp_path)) as instance:
            return int(instance)

    found = {arm: asyncio.run(rounds(arm)) for arm in scenario.arms}
    assert found["baseline"] == found["only skip"] == found["only idle"] == found["all but halve"] == 6000
    assert found["only halve"] == found["all but skip"] == 3000
    assert found["all"] == found["all but idle"] == 600


def test_only_groups_under_load_are_ablated(toy: LoadedScenario, changed: Callable[..., LoadedScenario], tmp_path: Path) -> None:
    """Secondary groups and groups that are not for load have no cases."""
    setting = Setting(tmp_path, tmp_path)
    assert {c.group for c in ablated(toy).scenario.cases(setting)} == {"count"}
    assert {
        c.group
        for c in ablated(changed(groups=[replace(group, load=True) for group in toy.scenario.groups])).scenario.cases(setting)
    } == {"count", "single"}


def test_declarations_about_the_original_arms_are_left_out(changed: Callable[..., LoadedScenario]) -> None:
    """No promise is judged and no work counted: these are about the scenario's original arms."""
    scenario = ablated(changed(promises=("p",), groups=[Group("count", "count up", slow=True, growth=(0.5,))])).scenario
    assert scenario.promises == ()
    assert scenario.groups == [Group("count", "count up", slow=True, uncounted=True)]


@pytest.mark.parametrize(
    ("declared", "complaint"),
    [
        ({"switches": {}}, "switching has no switches"),
        ({"switches": {"one": "x"}}, "switching has only one switch"),
        ({"groups": [Group("aside", "count up", secondary=True)]}, "switching has only secondary groups under load"),
        ({"open_switched": Scenario.open_switched}, "must define open_switched"),
    ],
)
def test_a_scenario_that_cannot_be_ablated_is_refused(
    changed: Callable[..., LoadedScenario], declared: dict[str, object], complaint: str
) -> None:
    """One line names the scenario and the missing declaration."""
    with pytest.raises(UsageError, match=complaint) as refused:
        ablated(changed(**declared))
    assert "\n" not in str(refused.value)


def test_jobs_of_an_ablated_scenario_are_marked(toy: LoadedScenario, tmp_path: Path) -> None:
    """Workers load the scenario by its file, so the job states that it is ablated."""
    jobs = [ScenarioRun(one, Setting(tmp_path, tmp_path)).job(Task.EXAMINE) for one in (toy, ablated(toy))]
    assert [job.ablate for job in jobs] == [False, True]


def test_pairs_become_an_ablation(toy: LoadedScenario, tmp_path: Path) -> None:
    """The result has the gains of its switches; one without pairs has none, nor has a scenario that is not ablated."""
    one = ablated(toy)
    evidence, plain = (ScenarioRun(each, Setting(tmp_path, tmp_path)) for each in (one, toy))
    assert evidence.result().ablation == []
    slots = [SlotTimes(arm, [100, 300]) for arm in one.scenario.arms]
    for process in (1, 2):
        evidence.add(PairTimes("count", "count 1", slots), process)
        plain.add(PairTimes("count", "count 1", slots), process)
    (found,) = evidence.result().ablation
    assert (found.group, found.pairs, found.total.ratio, len(found.switches)) == ("count", 2, 1.0, 3)
    assert plain.result().ablation == []
