"""The guard of the `benchmark` fixture: what makes a coroutine is refused, since calling it does none of its work.

Given such a function, the fixtures of pytest-benchmark and pytest-codspeed time how long it takes to make a coroutine, and pass.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

REFUSAL = (
    "benchmark was given {}: a call of it does none of its work, and a time of the call says nothing; "
    "give it a function that runs the work to its end, such as one around runner.run(…) of one asyncio.Runner, or write a scenario"
)


def guard(fixture: Any) -> None:
    """Make a `benchmark` fixture refuse coroutine functions, and functions that return something to be awaited.

    The object stays itself, since its plugin knows it by identity and class; it becomes one of a subclass that looks first. What a
    function returns is looked at after the timing, so that the timing has nothing added.
    """
    kind: Any = type(fixture)
    if not (callable(fixture) and hasattr(kind, "pedantic")) or hasattr(kind, "is_guarded"):
        return

    class Guarded(kind):  # type: ignore[misc] # the class is whichever plugin's
        __slots__ = ()
        is_guarded = True

        def __call__(self, function_to_benchmark: Any, /, *args: Any, **kwargs: Any) -> Any:
            _refuse_function(self, function_to_benchmark)
            return _looked_at(self, function_to_benchmark, super().__call__(function_to_benchmark, *args, **kwargs))

        def pedantic(self, target: Any, *args: Any, **kwargs: Any) -> Any:
            _refuse_function(self, target)
            return _looked_at(self, target, super().pedantic(target, *args, **kwargs))

    Guarded.__name__, Guarded.__qualname__ = kind.__name__, kind.__qualname__
    # pytest-codspeed's fixture has a `__class__` of its own, to pass for pytest-benchmark's: hence object's.
    object.__dict__["__class__"].__set__(fixture, Guarded)


def _refuse_function(fixture: Any, function: Any) -> None:
    called = inspect.getattr_static(type(function), "__call__", None)  # of an object that is no function itself
    if any(makes(f) for f in (function, called) for makes in _MAKES):
        _refuse(fixture, f"the coroutine function {_name(function)}")


_MAKES: tuple[Callable[[Any], bool], ...] = (inspect.iscoroutinefunction, inspect.isasyncgenfunction)


def _looked_at(fixture: Any, function: Any, answer: Any) -> Any:
    if inspect.iscoroutine(answer):
        answer.close()  # or the warning that it was never awaited comes on top
    if inspect.isawaitable(answer) or inspect.isasyncgen(answer):
        _refuse(fixture, f"{_name(function)}, which returns a {type(answer).__name__} to be awaited")
    return answer


def _refuse(fixture: Any, what: str) -> NoReturn:
    fixture.has_error = True  # keeps it out of pytest-benchmark's files
    recorded = getattr(getattr(fixture, "stats", None), "stats", None)
    if recorded is not None:
        recorded.data.clear()  # and this out of its tables
    pytest.fail(REFUSAL.format(what), pytrace=False)


def _name(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return repr(getattr(function, "__qualname__", None) or type(function).__qualname__)
