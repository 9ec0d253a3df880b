"""A base class for scenarios of functions: one per arm, called with the arguments of each case."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from harness.scenario import Case, Group, Scenario, Setting

CALL = "call"
"""The group of the calls."""


class FunctionScenario(Scenario[Callable[..., Any]]):
    """A scenario of functions, one per arm, which return the same for the same arguments. The docstring of a subclass is its card.

    The functions may be asynchronous. They must not change their arguments, which are those of the next call as well.

    Example:
        from words import by_counter, by_loop, text

        from harness import FunctionScenario, Promise, speedup, times

        class FrequentWords(FunctionScenario):
            '''Count words with Counter.'''

            functions = {"baseline": by_loop, "optimised": by_counter}
            promises = [Promise("F1", "twice as fast", times(2), speedup("call"))]

            def arguments(self, setting):
                return [(text(words), 10) for words in (1_000, 10_000)]
    """

    functions: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    """Arm → its function."""
    groups: ClassVar[Sequence[Group]] = (Group(CALL, "a call of the function"),)

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Name the arms after the functions where the class declares no descriptions."""
        super().__init_subclass__(**keywords)
        if "functions" in vars(cls):
            if "arms" not in vars(cls):
                cls.arms = {arm: getattr(function, "__name__", repr(function)) for arm, function in cls.functions.items()}
            elif cls.arms.keys() != cls.functions.keys():
                raise TypeError(f"{cls.__name__}: `arms` and `functions` have different names; give each arm one function")

    def arguments(self, setting: Setting) -> Sequence[Sequence[Any]]:
        """Return the positional arguments of each call: a pure function of the setting's seed and stream."""
        raise TypeError(f"{type(self).__name__} must define arguments(setting): a tuple of arguments per call")

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return a case per call."""
        return [Case(CALL, f"call {number}", arguments) for number, arguments in enumerate(self.arguments(setting), start=1)]

    def open(self, arm: str, setting: Setting) -> Any:
        """Return the arm's function, by a generator: a function that is a context manager must not be entered."""
        yield self.functions[arm]

    def run(self, instance: Callable[..., Any], case: Case) -> Any:
        """Call the function."""
        return instance(*case.args)
