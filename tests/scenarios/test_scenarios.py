"""The scenarios: each loads, covers its part of the review, and its arms agree on data of the smallest size, on every engine."""

import asyncio
import re
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from harness.bench.serving import served
from harness.discovery import load, scenario_files
from harness.errors import NotMeasurableError
from harness.results.store import read_review
from harness.runnable import RunnableScenario, resolved
from harness.scenario import Case, DeclaredFinding, Setting
from harness.servers.lifecycle import servers

ROOT = Path(__file__).parents[2]
FILES = scenario_files(ROOT / "scenarios")
OTHER_ENGINES = ("postgres", "turso")
SHOWN_ON = {"no_retry": "postgres", "elsewhere": "postgres", "too_many_connections": "postgres"}
"""Findings that only one engine has → the engine."""

SHOWN_WITH_MORE_ROWS = {"statistics_mislead"}
SHOWN_BY_QUICK_READS = {"first_bucket"}
SAME_REQUESTS = {"whole_api": {"reads"}}
"""Scenario → groups that send the same requests as other groups, for another figure."""

SHOWN_BY_THEIR_FIXTURES = {"edge", "whole_api"}
"""Scenarios whose findings need a whole instance, and are tested with their instances."""


def light(loaded: Any, cases: Iterable[Case]) -> list[Case]:
    """Return the first case of every group that is quick and sends other requests than the rest."""
    left_out = {*loaded.scenario.groups_with("slow"), *SAME_REQUESTS.get(loaded.name, ())}
    found: dict[str, Case] = {}
    for case in cases:
        if case.group not in left_out:
            found.setdefault(case.group, case)
    return list(found.values())


@contextmanager
def prepared_on(engine: str, file: Path, own: Path, shared: Path) -> Iterator[tuple[Any, Setting]]:
    """Yield a scenario and its prepared setting, or skip where the engine cannot run."""
    loaded = load(file)
    with ExitStack() as stack:
        try:
            setting = served(loaded.scenario, Setting(own, shared, engine, size="tiny", scale=0.5), stack)
        except NotMeasurableError as reason:
            pytest.skip(str(reason))
        loaded.scenario.prepare(setting)
        yield loaded, setting


@pytest.fixture(scope="module")
def shared_here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which scenarios share their rows, as in a run."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module", params=FILES, ids=lambda f: f.stem)
def prepared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared_here: Path
) -> Iterator[tuple[Any, Setting]]:
    """Yield a scenario and its prepared setting on the engine that needs no server."""
    own = tmp_path_factory.mktemp(request.param.stem)
    with prepared_on("sqlite", request.param, own, shared_here) as found:
        yield found


@pytest.fixture(scope="module")
def shared_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Yield each engine's shared folder, with its server running for the whole module, so that it is started once."""
    folders = {engine: tmp_path_factory.mktemp(engine) for engine in OTHER_ENGINES}
    with ExitStack() as stack:
        for engine, folder in folders.items():
            with suppress(NotMeasurableError):  # each test skips with the reason
                stack.enter_context(servers(Setting(folder, folder, engine)))
        yield folders


@pytest.mark.slow
@pytest.mark.parametrize("engine", OTHER_ENGINES)
@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_arms_agree_on_every_engine(file: Path, engine: str, tmp_path: Path, shared_folders: dict[str, Path]) -> None:
    """The first cases of every group get the same answers from all arms, on every engine of the scenario."""
    from harness.bench.verify import verify  # noqa: PLC0415 - this test alone verifies

    async def agree(loaded: Any, setting: Setting) -> int:
        scenario = loaded.scenario
        async with AsyncExitStack() as stack:
            instances = {arm: await stack.enter_async_context(scenario.open(arm, setting)) for arm in scenario.arms}
            return (await verify(scenario, instances, light(loaded, scenario.cases(setting)))).cases

    with prepared_on(engine, file, tmp_path, shared_folders[engine]) as (loaded, setting):
        assert asyncio.run(agree(loaded, setting)) >= 1
        for finding in loaded.findings:
            if SHOWN_ON.get(finding.demonstrate.__name__) == engine:
                assert asyncio.run(shown(loaded.scenario, finding, setting))


async def shown(scenario: RunnableScenario, finding: DeclaredFinding, setting: Setting) -> str:
    """Return the evidence of a finding."""
    async with scenario.open(finding.arm, setting) as instance:
        return str(await resolved(finding.demonstrate(scenario.written, instance, scenario.cases(setting))))


def test_every_promise_of_the_review_has_a_scenario() -> None:
    """Every promise of the review has exactly one scenario, and no scenario makes another one."""
    review = read_review(ROOT / "scenarios")
    assert review is not None
    tried = [(promise, f.stem) for f in FILES for promise in dict.fromkeys(p.id for p in load(f).scenario.promises)]
    assert sorted(promise for promise, _ in tried) == sorted(review.promises)


def test_priorities_and_scores_refer_to_promises() -> None:
    """The figures for a priority or a score are those of promises that a scenario makes, part by part."""
    review = read_review(ROOT / "scenarios")
    assert review is not None
    promises = [p for f in FILES for p in load(f).scenario.promises]
    named = {f"{p.id} · {p.part}" if p.part else p.id for p in promises}
    assert {answer for priority in review.priorities for answer in priority.answers} <= named
    assert {promise for score in review.scorecard for promise in score.promises} <= {p.id for p in promises}
    assert {promise[0] for promise in review.promises} == set(review.areas)


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_the_card_and_the_names_hold_together(file: Path) -> None:
    """Promises are for arms that exist, and every arm and group is described."""
    loaded = load(file)
    scenario = loaded.scenario
    assert {arm for p in scenario.promises for arm in p.arms} <= set(scenario.arms)
    assert all(arm.description for arm in scenario.arms.values())
    assert all(group.description for group in scenario.groups)
    assert re.fullmatch(r"[A-Z].*[^.]", loaded.title)


def test_cases_are_the_same_at_every_call(prepared: tuple[Any, Setting]) -> None:
    """A pure function of the setting, at least one case for each group, names unique; another stream has other cases."""
    loaded, setting = prepared
    cases = loaded.scenario.cases(setting)
    assert cases == loaded.scenario.cases(setting)
    assert {c.group for c in cases} == set(loaded.scenario.group)
    assert len({c.name for c in cases}) == len(cases)


def test_preparing_again_makes_nothing_twice(prepared: tuple[Any, Setting]) -> None:
    """The second call finds everything there and gives the same digest."""
    loaded, setting = prepared
    before = {f: f.stat().st_mtime_ns for f in setting.shared.iterdir()}
    again = loaded.scenario.prepare(setting)
    assert {f: f.stat().st_mtime_ns for f in setting.shared.iterdir() if f.suffix != ".lock"}.items() <= before.items()
    assert re.fullmatch(r"[0-9a-f]{64}", str(again.dataset["digest"]))
    assert again.engine_settings["PRAGMA journal_mode"] == "wal"


def test_reset_restores_the_instance(prepared: tuple[Any, Setting]) -> None:
    """An operation gives the same answer and leaves the same state the second time, on every arm."""
    loaded, setting = prepared
    scenario = loaded.scenario
    cases = light(loaded, reversed(scenario.cases(setting)))

    async def twice(arm: str) -> None:
        async with scenario.open(arm, setting) as instance:
            for case in cases:
                if (arm, case.group) in scenario.skipped:
                    continue
                seen = []
                for _ in range(2):
                    try:
                        answer = await scenario.run(instance, case)
                    except NotMeasurableError:
                        assert scenario.arms[arm].as_written, f"{arm} has to run {case.name}"
                        break
                    seen.append((scenario.normalise(case, answer), await scenario.state(instance, case)))
                    await scenario.reset(instance, case, answer)
                if len(seen) < 2:
                    continue
                assert seen[0] == seen[1], case.name
                assert seen[0][0] not in (None, [], 0), f"{case.name} finds nothing to do"

    for arm in scenario.arms:
        asyncio.run(twice(arm))


def test_every_finding_shows(prepared: tuple[Any, Setting]) -> None:
    """Every finding about the proposal as written shows, unless the machine is currently too slow for it."""
    loaded, setting = prepared
    if loaded.name in SHOWN_BY_THEIR_FIXTURES:
        pytest.skip("the tests of its instance show them")
    for fault in loaded.findings:
        name = fault.demonstrate.__name__
        if name not in SHOWN_ON and name not in SHOWN_WITH_MORE_ROWS:
            try:
                assert asyncio.run(shown(loaded.scenario, fault, setting)), fault.message
            except NotMeasurableError:
                assert name in SHOWN_BY_QUICK_READS, fault.message


def test_counted_work_repeats_exactly(prepared: tuple[Any, Setting]) -> None:
    """Statements, rows and the virtual machine's steps are the same in both counts, for every arm and group."""
    from harness.bench.work_counts import count  # noqa: PLC0415 - this test alone counts

    loaded, setting = prepared
    scenario = loaded.scenario
    first = {c.group: c for c in reversed(scenario.cases(setting)) if not scenario.group[c.group].uncounted}
    if not first:
        pytest.skip("other processes send its statements")

    async def counted(arm: str) -> list[str]:
        async with scenario.open(arm, setting) as instance:
            found = [
                e
                for g, c in first.items()
                if (arm, g) not in scenario.skipped
                for e in await count(scenario, arm, instance, c, 1.0)
            ]
        assert {"statements", "rows", "vm_steps"} <= {e.metric for e in found}
        return [f"{e.metric} of {e.arm} in {e.group}" for e in found if not e.repeats_exactly]

    for arm in scenario.arms:
        assert asyncio.run(counted(arm)) == []
