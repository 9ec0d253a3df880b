"""A scenario as the harness calls it: every method of an instance asynchronous, whatever its author wrote."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from itertools import islice
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from harness.errors import ScenarioFailedError, UsageError
from harness.results.run import RunSettings, Statement
from harness.runtime.channel import end_if_forked
from harness.scenario import ANY_ENGINE, Arm, Case, Group, Prepared, Scenario, Setting
from harness.suggestions import choose_from
from harness.user_code import line_of, scenario_file, shown, user_code

DECLARED = (
    "groups",
    "promises",
    "engines",
    "busy",
    "waits_to_open",
    "adds_latency",
    "tolerances",
    "higher_is_better",
    "load_test",
    "switches",
)
"""What a scenario declares in its class."""
AS_WRITTEN = ("servers", "normalise", "self_reported_ns", "targets", "probes", "memory_limits_bytes", "rows")
"""Methods that are synchronous by contract."""
MAX_CASES = 1_000_000
"""Limit of the number of cases of a scenario."""
AWAITED = ("run", "ping", "counts", "state", "reset", "settle", "statements", "facts")
"""Methods that may be written either way."""


class RunnableScenario(Scenario[Any]):
    """A scenario with asynchronous methods alone. `written` is the author's own object, which its methods see as `self`."""

    written: Scenario[Any]
    arms: Mapping[str, Arm]  # type: ignore[misc]  # an object of its own for every scenario: not one of the class
    is_synchronous: bool
    """Whether `run` is synchronous: it blocks the event loop, so that concurrent operations need threads."""

    if TYPE_CHECKING:

        def open(self, arm: str, setting: Setting) -> AbstractAsyncContextManager[Any]: ...  # noqa: D102 - the scenario's own
        def open_switched(self, on: frozenset[str], setting: Setting) -> AbstractAsyncContextManager[Any]: ...  # noqa: D102
        def prepare(self, setting: Setting) -> Prepared: ...  # noqa: D102
        async def run(self, instance: Any, case: Case) -> Any: ...  # noqa: D102
        async def ping(self, instance: Any) -> object: ...  # noqa: D102
        async def counts(self, instance: Any) -> Mapping[str, float]: ...  # noqa: D102
        async def state(self, instance: Any, case: Case) -> Any: ...  # noqa: D102
        async def reset(self, instance: Any, case: Case, answer: Any) -> None: ...  # noqa: D102
        async def settle(self, instance: Any) -> None: ...  # noqa: D102
        async def statements(self, instance: Any, case: Case) -> Sequence[Statement]: ...  # noqa: D102
        async def facts(self, instance: Any) -> Mapping[str, float]: ...  # noqa: D102

    @property
    def group(self) -> Mapping[str, Group]:
        """The groups by name, in their order."""
        return {group.name: group for group in self.groups}

    @property
    def skipped(self) -> Mapping[tuple[str, str], str]:
        """(arm, group) → the reason why the arm is not tried there."""
        return {(arm, group.name): reason for group in self.groups for arm, reason in group.skip.items()}

    @property
    def previewed(self) -> Sequence[Group]:
        """The groups of a preview: those that are not slow, if there are any."""
        return [group for group in self.groups if not group.slow] or self.groups

    def groups_with(self, flag: str) -> list[str]:
        """Return the names of the groups with a flag of `Group`, such as "slow", in their order."""
        return [group.name for group in self.groups if getattr(group, flag)]

    def engines_of(self, settings: RunSettings) -> list[str]:
        """Return the engines to run on: those of a request, or else the first one of the scenario.

        A scenario without a database runs once, on "".
        """
        if ANY_ENGINE in self.engines:
            return [""]
        return list(settings.engines or self.engines[:1])

    def in_threads(self, pool: Executor) -> RunnableScenario:
        """Return the same scenario with its synchronous methods run in a pool, so that they do not block the event loop."""
        return runnable(self.written, pool)


def runnable(scenario: Scenario[Any], pool: Executor | None = None) -> RunnableScenario:
    """Return a scenario with every method of an instance asynchronous; asynchronous ones are the author's, without a layer more."""
    made = RunnableScenario()
    made.written = scenario
    made.arms = {name: arm if isinstance(arm, Arm) else Arm(arm) for name, arm in scenario.arms.items()}
    made.is_synchronous = not inspect.iscoroutinefunction(scenario.run)
    for name in (*DECLARED, *AS_WRITTEN):
        setattr(made, name, getattr(scenario, name))
    for name in AWAITED:
        method = getattr(scenario, name)
        if not inspect.iscoroutinefunction(method):
            method = _awaitable(method) if pool is None else _threaded(method, pool)
        setattr(made, name, method)
    for name in ("open", "open_switched"):
        setattr(made, name, _entered(scenario, getattr(scenario, name)))
    setattr(made, "cases", _checked(scenario, scenario.cases))  # noqa: B010 - as below
    if type(scenario).load_cases is not Scenario.load_cases:  # else they are made of `cases` that were checked
        setattr(made, "load_cases", _checked(scenario, scenario.load_cases))  # noqa: B010
    setattr(made, "prepare", _prepared(scenario))  # noqa: B010 - it is declared for the type checker alone, as all of these
    return made


async def resolved(value: Any) -> Any:
    """Return a value, or what it gives when it is a coroutine or another awaitable."""
    return await value if inspect.isawaitable(value) else value


def _awaitable(method: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    async def call(*args: Any) -> Any:
        answer = method(*args)
        return await answer if type(answer) is CoroutineType else answer

    return call


def _threaded(method: Callable[..., Any], pool: Executor) -> Callable[..., Awaitable[Any]]:
    def operation(*args: Any) -> Any:
        answer = method(*args)
        end_if_forked()
        return answer

    async def call(*args: Any) -> Any:
        answer = await asyncio.get_running_loop().run_in_executor(pool, operation, *args)
        return await answer if type(answer) is CoroutineType else answer

    return call


def _checked(scenario: Scenario[Any], method: Callable[[Setting], Sequence[Case]]) -> Callable[[Setting], list[Case]]:
    def cases(setting: Setting) -> list[Case]:
        with user_code(scenario):
            made = list(islice(method(setting), MAX_CASES + 1))  # a generator that never ends would fill the memory
        if len(made) > MAX_CASES:
            raise ScenarioFailedError(f"{shown(scenario_file(scenario))} returns more than {MAX_CASES:,} cases; return fewer")
        file, groups = f"{shown(scenario_file(scenario))}{line_of(scenario, method.__name__)}", [g.name for g in scenario.groups]
        may_add_groups = method.__name__ == "load_cases"
        for case in made:
            if not isinstance(case, Case):
                raise UsageError(f"{file}: {method.__name__}() returns {case!r:.60}; return a list of Case(group, name, args)")
            for what, text in (("group", case.group), ("name", case.name)):
                if not isinstance(text, str):
                    raise UsageError(f"{file}: {method.__name__}() returns a case whose {what} is {text!r:.60}; give it a text")
            if case.group not in groups and not may_add_groups:
                known = choose_from(case.group, groups, "{!r}")
                raise UsageError(f"{file}: case {case.name!r} is of an undeclared group {case.group!r}; {known}")
        return made

    return cases


def _prepared(scenario: Scenario[Any]) -> Callable[[Setting], Prepared]:
    def prepare(setting: Setting) -> Prepared:
        with user_code(scenario):
            made = scenario.prepare(setting)
            return (asyncio.run(resolved(made)) if inspect.isawaitable(made) else made) or Prepared()

    return prepare


def _entered(scenario: Scenario[Any], method: Callable[..., Any]) -> Callable[..., AbstractAsyncContextManager[Any]]:
    @asynccontextmanager
    async def opened(arm: Any, setting: Setting) -> AsyncIterator[Any]:
        name = arm if isinstance(arm, str) else " + ".join(sorted(arm))
        async with AsyncExitStack() as stack:
            with user_code(scenario, name):
                instance = await entered(stack, await resolved(method(arm, setting)))
            yield instance
            with user_code(scenario, name):
                await stack.aclose()

    return opened


async def entered(stack: AsyncExitStack, made: Any) -> Any:
    """Enter a context manager that a method of the user returned, or that its generator makes; return what it enters as."""
    if isinstance(made, AsyncGenerator):
        made = asynccontextmanager(lambda: made)()
    elif isinstance(made, Generator):
        made = contextmanager(lambda: made)()
    if isinstance(made, AbstractAsyncContextManager):
        return await stack.enter_async_context(made)
    return stack.enter_context(made) if isinstance(made, AbstractContextManager) else made
