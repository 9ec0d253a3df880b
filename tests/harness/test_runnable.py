"""A scenario's methods are asynchronous to the harness, however they were written."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from harness.errors import UsageError
from harness.results.run import RunSettings
from harness.runnable import RunnableScenario, runnable
from harness.scenario import Arm, Case, Group, Prepared, Scenario, Setting

SETTING = Setting(Path(), Path())
CASE = Case("g", "first", 2)


class Recorded:
    """An instance that knows whether it was closed."""

    closed = False


def opened(scenario: Scenario[Any]) -> tuple[Any, bool]:
    """Return what a scenario opens, and whether it was closed at the end."""

    async def go() -> tuple[Any, bool]:
        async with runnable(scenario).open("baseline", SETTING) as instance:
            assert not getattr(instance, "closed", False)
        return instance, getattr(instance, "closed", False)

    return asyncio.run(go())


class Synchronous(Scenario[list[int]]):
    """All of it synchronous."""

    arms: ClassVar = {"baseline": "a list", "proposed": Arm("another", as_written=True)}
    groups: ClassVar = [Group("g", "double it", slow=True), Group("h", "nothing", skip={"proposed": "it fails"})]

    def open(self, arm: str, setting: Setting) -> list[int]:
        """Return a plain object."""
        return []

    def run(self, instance: list[int], case: Case) -> int:
        """Double the number."""
        instance.append(threading.get_ident())
        return int(case.args * 2)

    def reset(self, instance: list[int], case: Case, answer: Any) -> None:
        """Call the synchronous run of the same object, as its author would."""
        assert self.run([], case) == answer

    def prepare(self, setting: Setting) -> None:
        """Return nothing."""


class Asynchronous(Synchronous):
    """The same, asynchronous."""

    async def open(self, arm: str, setting: Setting) -> list[int]:  # type: ignore[override]  # either is accepted
        """Return a plain object."""
        return []

    async def run(self, instance: list[int], case: Case) -> int:  # type: ignore[override]  # either is accepted
        """Double the number."""
        return int(case.args * 2)

    async def reset(self, instance: list[int], case: Case, answer: Any) -> None:  # type: ignore[override]  # either is accepted
        """Call the asynchronous run of the same object."""
        assert await self.run([], case) == answer

    async def prepare(self, setting: Setting) -> Prepared:  # type: ignore[override]  # either is accepted
        """Return what was built."""
        return Prepared({"rows": 1})


@pytest.mark.parametrize("kind", [Synchronous, Asynchronous])
def test_both_ways_of_writing_give_the_same(kind: type[Synchronous]) -> None:
    """Run, reset and the hooks with defaults are awaited by the harness, and see the author's own object as self."""
    scenario = runnable(kind())

    async def go() -> tuple[Any, Any]:
        async with scenario.open("baseline", SETTING) as instance:
            answer = await scenario.run(instance, CASE)
            await scenario.reset(instance, CASE, answer)
            await scenario.settle(instance)
            return answer, await scenario.ping(instance)

    assert asyncio.run(go()) == (4, NotImplemented)
    assert scenario.is_synchronous is (kind is Synchronous)


def test_prepare_may_return_nothing_or_be_asynchronous() -> None:
    """The harness always gets what was prepared."""
    assert runnable(Synchronous()).prepare(SETTING) == Prepared()
    assert runnable(Asynchronous()).prepare(SETTING) == Prepared({"rows": 1})


def test_an_asynchronous_method_has_no_layer_around_it() -> None:
    """Its calls are counted: a wrapper would be one call more per operation."""
    scenario = Asynchronous()
    assert runnable(scenario).run == scenario.run


def test_a_coroutine_from_a_plain_function_is_awaited() -> None:
    """`def run` may return what an asynchronous function of the application returns."""

    class Passing(Synchronous):
        """Passes a coroutine on."""

        def run(self, instance: list[int], case: Case) -> Any:
            """Return a coroutine."""
            return Asynchronous().run(instance, case)

    assert asyncio.run(runnable(Passing()).run([], CASE)) == 4


def test_an_instance_may_be_opened_in_any_way() -> None:
    """A plain object, a generator or a context manager, each synchronous or asynchronous, is opened and closed."""

    def generator(_arm: str, _setting: Setting) -> Iterator[Recorded]:
        made = Recorded()
        yield made
        made.closed = True

    async def async_generator(_arm: str, _setting: Setting) -> AsyncIterator[Recorded]:
        made = Recorded()
        yield made
        made.closed = True

    async def coroutine(arm: str, setting: Setting) -> Any:
        return contextmanager(generator)(arm, setting)

    ways = {
        "generator": generator,
        "asynchronous generator": async_generator,
        "context manager": contextmanager(generator),
        "asynchronous context manager": asynccontextmanager(async_generator),
        "coroutine that returns a context manager": coroutine,
    }
    for name, way in ways.items():
        kind = type("Opening", (Synchronous,), {"open": staticmethod(way)})
        instance, closed = opened(kind())
        assert isinstance(instance, Recorded), name
        assert closed, name
    assert opened(Synchronous()) == ([], False)


def test_an_error_in_the_block_reaches_the_authors_generator() -> None:
    """Clean-up after an error is the author's `finally`."""
    cleaned = []

    class Cleaning(Synchronous):
        """Cleans up."""

        def open(self, arm: str, setting: Setting) -> Any:
            """Yield once."""
            try:
                yield 1
            finally:
                cleaned.append(arm)

    async def go() -> None:
        async with runnable(Cleaning()).open("baseline", SETTING):
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        asyncio.run(go())
    assert cleaned == ["baseline"]


def test_synchronous_code_runs_in_threads_where_asked_for() -> None:
    """Two operations that wait for each other both complete, which one thread could not do."""

    class Meeting(Synchronous):
        """Waits until two operations are in flight."""

        both = threading.Barrier(2)

        def run(self, instance: list[int], case: Case) -> int:
            """Wait for the other one."""
            self.both.wait(timeout=60)
            return threading.get_ident()

    async def go() -> set[int]:
        with ThreadPoolExecutor(2) as pool:
            scenario = runnable(Meeting()).in_threads(pool)
            return set(await asyncio.gather(scenario.run([], CASE), scenario.run([], CASE)))

    threads = asyncio.run(go())
    assert len(threads) == 2
    assert threading.get_ident() not in threads


def test_arms_and_groups_are_found_by_name() -> None:
    """Texts become arms, flags are asked for by name, and what is skipped is known by arm and group."""
    scenario: RunnableScenario = runnable(Synchronous())
    assert scenario.arms == {"baseline": Arm("a list"), "proposed": Arm("another", as_written=True)}
    assert list(scenario.group) == ["g", "h"]
    assert scenario.groups_with("slow") == ["g"]
    assert scenario.skipped == {("proposed", "h"): "it fails"}


UNDECLARED = "case 'n 0' is of an undeclared group 'other'; choose from 'g'"
NOT_A_CASE = "returns ('g', 'n 0', 0); return a list of Case(group, name, args)"


@pytest.mark.parametrize(
    ("name", "case", "message"),
    [
        ("cases", Case("other", "n 0", 0), UNDECLARED),
        ("load_cases", Case("other", "n 0", 0), UNDECLARED),
        ("cases", ("g", "n 0", 0), NOT_A_CASE),
        ("cases", Case(["g"], "n 0", 0), "returns a case whose group is ['g']; give it a text"),  # type: ignore[arg-type]
        ("load_cases", Case("g", 5, 0), "returns a case whose name is 5; give it a text"),  # type: ignore[arg-type]
    ],
)
def test_a_case_that_cannot_be_used_is_refused(name: str, case: Any, message: str) -> None:
    """Before anything is measured, in a run and under load."""

    class Wrong(Scenario[Any]):
        groups = (Group("g", "ask"),)

        def cases(self, setting: Setting) -> list[Any]:
            return [Case("g", "good", 0), case]

    with pytest.raises(UsageError) as refused:
        getattr(runnable(Wrong()), name)(SETTING)
    assert message in str(refused.value)


def test_a_load_test_may_have_groups_of_its_own() -> None:
    """Requests under load may be other ones than those that are timed in pairs."""

    class Loaded(Scenario[Any]):
        groups = (Group("g", "ask"),)

        def load_cases(self, setting: Setting) -> list[Case]:
            return [Case("one request", "n 0", 0)]

    assert [case.group for case in runnable(Loaded()).load_cases(SETTING)] == ["one request"]


def test_without_an_engine_each_scenario_has_its_first_one() -> None:
    """A request that names engines has these; the record of one that names none has those that were used, each once.

    A scenario that declares no engine runs once and has none, nor has the record of a run in which no other was used.
    """
    request = RunSettings([], "tiny", 0, [0.0], quick=False, processes=1, budget_s=1.0)

    class OnPostgres(Synchronous):
        engines = ("postgres", "sqlite")

    scenario = runnable(OnPostgres())
    assert scenario.engines_of(request) == ["postgres"]
    assert scenario.engines_of(replace(request, engines=["turso", "sqlite"])) == ["turso", "sqlite"]
    assert runnable(Synchronous()).engines_of(request) == [""]
    assert runnable(Synchronous()).engines_of(replace(request, engines=["postgres", "sqlite"])) == [""]
    assert request.on(["postgres", "sqlite", "postgres"]).engines == ["postgres", "sqlite"]
    assert replace(request, engines=["turso"]).on(["sqlite"]).engines == ["turso"]
    assert replace(request, engines=["turso"]).on(["", "turso"]).engines == ["turso"]
    assert replace(request, engines=["turso"]).on([""]).engines == request.on([""]).engines == []
