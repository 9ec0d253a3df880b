"""Make the `benchmark` fixture refuse coroutine functions, since calling one does not run it.

Given such a function, the fixtures of pytest-benchmark and pytest-codspeed time the creation of a coroutine, and pass.
"""

import functools
import inspect
from typing import Any, NoReturn

import pytest

REFUSAL = (
    "benchmark was given {}: calling it does not run it, so the time would be meaningless; "
    "pass a function that runs it to completion, such as one that calls runner.run(…) of an asyncio.Runner, or write a scenario"
)


def guard(fixture: Any) -> None:
    """Make a `benchmark` fixture refuse coroutine functions, and functions that return something to be awaited.

    The object is kept, since its plugin knows it by identity and class; its class becomes a subclass that checks first. The return
    value is checked after the timing, so that nothing is added to the timing.
    """
    kind: Any = type(fixture)
    if not (callable(fixture) and hasattr(kind, "pedantic")) or hasattr(kind, "is_guarded"):
        return

    class Guarded(kind):  # type: ignore[misc] # the class of any plugin's fixture
        """The fixture's class with checks."""

        __slots__ = ()
        is_guarded = True

        def __call__(self, function_to_benchmark: Any, /, *args: Any, **kwargs: Any) -> Any:
            _refuse_function(self, function_to_benchmark)
            return _checked(self, function_to_benchmark, super().__call__(function_to_benchmark, *args, **kwargs))

        def pedantic(self, target: Any, *args: Any, **kwargs: Any) -> Any:
            """Check and time `target`."""
            _refuse_function(self, target)
            return _checked(self, target, super().pedantic(target, *args, **kwargs))

    Guarded.__name__, Guarded.__qualname__ = kind.__name__, kind.__qualname__
    # pytest-codspeed's fixture overrides `__class__`, to pretend to be pytest-benchmark's: hence object's.
    object.__dict__["__class__"].__set__(fixture, Guarded)


def _refuse_function(fixture: Any, function: Any) -> None:
    called = inspect.getattr_static(type(function), "__call__", None)  # of an object that is not a function itself
    if any(inspect.iscoroutinefunction(f) or inspect.isasyncgenfunction(f) for f in (function, called)):
        _refuse(fixture, f"the coroutine function {_name(function)}")


def _checked(fixture: Any, function: Any, returned: Any) -> Any:
    if inspect.iscoroutine(returned):
        returned.close()  # or Python warns in addition that it was never awaited
    if inspect.isawaitable(returned) or inspect.isasyncgen(returned):
        _refuse(fixture, f"{_name(function)}, which returns a {type(returned).__name__} to be awaited")
    return returned


def _refuse(fixture: Any, subject: str) -> NoReturn:
    fixture.has_error = True  # keeps it out of pytest-benchmark's files
    recorded = getattr(getattr(fixture, "stats", None), "stats", None)
    if recorded is not None:
        recorded.data.clear()  # keeps it out of its tables
    pytest.fail(REFUSAL.format(subject), pytrace=False)


def _name(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return repr(getattr(function, "__qualname__", None) or type(function).__qualname__)
