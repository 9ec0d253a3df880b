"""Make the `benchmark` fixture refuse functions whose work is not done when they return.

A generator function, a coroutine function or a function that returns a lazy query does nothing when it is called: the fixtures of
pytest-benchmark and pytest-codspeed time the creation of an object, and pass. Tests that do so on purpose have the marker
`lazy_answer`.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from harness.answers import LazyPart

MARKER = "lazy_answer"
MARKER_HELP = (
    f"{MARKER}: let `benchmark` time a function that returns a generator, an awaitable or a lazy query, without the work behind it"
)
REFUSAL = "{}, so the time would be meaningless; {}"
RUN_IT = (
    "pass a function that runs it to completion, such as one that calls runner.run(…) of an asyncio.Runner, or write a scenario "
    f"(on purpose: @pytest.mark.{MARKER})"
)


def guard(fixture: Any, test: Any) -> None:
    """Make the `benchmark` fixture of a test refuse lazy answers, unless the test has the marker.

    The fixture is kept, since its plugin knows it by identity and class; its class becomes a subclass that checks. The answer is
    checked after the timing, so that nothing is added to the timing; a coroutine function is refused before.
    """
    kind: Any = type(fixture)
    if not (callable(fixture) and hasattr(kind, "pedantic")) or hasattr(kind, "is_guarded") or test.get_closest_marker(MARKER):
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
        _refuse(fixture, f"benchmark was given the coroutine function {_name(function)!r}: calling it does not run it", RUN_IT)


def _checked(fixture: Any, function: Any, returned: Any) -> Any:
    from harness.answers import find_lazy  # noqa: PLC0415 - only when something is benchmarked

    lazy = find_lazy(returned)
    if lazy is not None:
        if inspect.iscoroutine(returned):
            returned.close()  # or Python warns in addition that it was never awaited
        missing = "its work is not done" if lazy.path else "nothing was computed"
        subject = f"the benchmarked function {_name(function)!r} returned {lazy}: {missing}"
        _refuse(fixture, subject, RUN_IT if inspect.isawaitable(returned) else _remedy(lazy, function))
    return returned


def _remedy(lazy: LazyPart, function: Any) -> str:
    remedy = lazy.remedy.replace("run()", "the benchmarked function")
    if not lazy.path and "list(…)" in remedy:
        name = _name(function).rpartition(".")[2]
        remedy = f"consume it: benchmark(lambda: list({f'{name}(…)' if name.isidentifier() else '…'}))"
    return f"{remedy} (on purpose: @pytest.mark.{MARKER})"


def _refuse(fixture: Any, subject: str, remedy: str) -> NoReturn:
    fixture.has_error = True  # keeps it out of pytest-benchmark's files
    recorded = getattr(getattr(fixture, "stats", None), "stats", None)
    if recorded is not None:
        recorded.data.clear()  # keeps it out of its tables
    pytest.fail(REFUSAL.format(subject, remedy), pytrace=False)


def _name(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__qualname__", None) or type(function).__qualname__)
