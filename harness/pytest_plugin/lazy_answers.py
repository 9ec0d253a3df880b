"""Make the `benchmark` fixture detect functions whose work is not done when they return.

A generator function, a coroutine function or a function that returns a lazy query does nothing when it is called: the fixtures of
pytest-benchmark and pytest-codspeed time the creation of an object, and pass. Where the plugin is requested, the test fails;
elsewhere it passes with a warning. Tests that do so on purpose have the marker `lazy_answer`.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from harness.pytest_plugin.options import MARKER

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.answers import LazyPart

CONSEQUENCE = "{}, so the time would be meaningless; {}"
RUN_IT = (
    "pass a function that runs it to completion, such as one that calls runner.run(…) of an asyncio.Runner, or write a scenario "
    f"(on purpose: @pytest.mark.{MARKER})"
)


class LazyAnswerWarning(pytest.PytestWarning):
    """A benchmark whose function returns before its work is done."""


def guard(fixture: Any, test: Any) -> None:
    """Make the `benchmark` fixture of a test refuse lazy answers, unless the test has the marker.

    The answer is checked after the timing, so that nothing is added to the timing; a coroutine function is refused before.
    """
    _check(fixture, test, functools.partial(_refuse, fixture))


def watch(fixture: Any, test: Any) -> None:
    """Make the `benchmark` fixture of a test list lazy answers among pytest's warnings, and change nothing else.

    It is listed without being raised, because `-W error` would make it fail.
    """

    def listed(problem: str, _: Any = None) -> None:
        path, line, _name = test.location
        message = warnings.WarningMessage(LazyAnswerWarning(f"{test.nodeid}: {problem}"), LazyAnswerWarning, path, line or 0)
        arguments = {"warning_message": message, "when": "runtest", "nodeid": test.nodeid, "location": None}
        test.config.hook.pytest_warning_recorded.call_historic(kwargs=arguments)

    _check(fixture, test, listed)


def _check(fixture: Any, test: Any, report: Callable[[str, Any], None]) -> None:
    """Make a fixture report lazy answers: a message, and the answer, None before there is one.

    The fixture is kept, since its plugin knows it by identity and class; its class becomes a subclass that checks.
    """
    kind: Any = type(fixture)
    if not (callable(fixture) and hasattr(kind, "pedantic")) or hasattr(kind, "is_guarded") or test.get_closest_marker(MARKER):
        return

    def is_complete(function: Any) -> bool:
        problem = _problem_of_function(function)
        if problem:
            report(problem, None)
        return not problem

    def checked(function: Any, returned: Any) -> Any:
        if problem := _problem_of_answer(function, returned):
            report(problem, returned)
        return returned

    class Guarded(kind):  # type: ignore[misc] # the class of any plugin's fixture
        """The fixture's class with checks."""

        __slots__ = ()
        is_guarded = True

        def __call__(self, function_to_benchmark: Any, /, *args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            known = is_complete(function_to_benchmark)
            returned = super().__call__(function_to_benchmark, *args, **kwargs)
            return checked(function_to_benchmark, returned) if known else returned

        def pedantic(self, target: Any, *args: Any, **kwargs: Any) -> Any:
            """Check and time `target`."""
            __tracebackhide__ = True
            known = is_complete(target)
            returned = super().pedantic(target, *args, **kwargs)
            return checked(target, returned) if known else returned

    Guarded.__name__, Guarded.__qualname__, Guarded.__module__ = kind.__name__, kind.__qualname__, kind.__module__
    # pytest-codspeed's fixture overrides `__class__`, to pretend to be pytest-benchmark's: hence object's.
    object.__dict__["__class__"].__set__(fixture, Guarded)


def _problem_of_function(function: Any) -> str:
    """Return the message about a coroutine function, "" for any other."""
    called = inspect.getattr_static(type(function), "__call__", None)  # of an object that is not a function itself
    if any(inspect.iscoroutinefunction(f) or inspect.isasyncgenfunction(f) for f in (function, called)):
        subject = f"benchmark was given the coroutine function {_name(function)!r}: calling it does not run it"
        return CONSEQUENCE.format(subject, RUN_IT)
    return ""


def _problem_of_answer(function: Any, returned: Any) -> str:
    """Return the message about an answer whose work is not done, "" if it is."""
    from harness.answers import find_lazy  # noqa: PLC0415 - only when something is benchmarked

    lazy = find_lazy(returned)
    if lazy is None:
        return ""
    missing = "its work is not done" if lazy.path else "nothing was computed"
    subject = f"the benchmarked function {_name(function)!r} returned {lazy}: {missing}"
    return CONSEQUENCE.format(subject, RUN_IT if inspect.isawaitable(returned) else _remedy(lazy, function))


def _remedy(lazy: LazyPart, function: Any) -> str:
    remedy = lazy.remedy.replace("run()", "the benchmarked function")
    if not lazy.path and "list(…)" in remedy:
        name = _name(function).rpartition(".")[2]
        remedy = f"consume it: benchmark(lambda: list({f'{name}(…)' if name.isidentifier() else '…'}))"
    return f"{remedy} (on purpose: @pytest.mark.{MARKER})"


def _refuse(fixture: Any, problem: str, returned: Any) -> NoReturn:
    fixture.has_error = True  # keeps it out of pytest-benchmark's files
    recorded = getattr(getattr(fixture, "stats", None), "stats", None)
    if recorded is not None:
        recorded.data.clear()  # keeps it out of its tables
    if inspect.iscoroutine(returned):
        returned.close()  # or Python warns in addition that it was never awaited
    pytest.fail(problem, pytrace=False)


def _name(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__qualname__", None) or type(function).__qualname__)
