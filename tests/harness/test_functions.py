"""Scenarios of functions: one per arm, called with the arguments of each case."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from harness import FunctionScenario, ScenarioFailedError, Setting
from harness.bench.verify import verify
from harness.discovery import load
from harness.runnable import runnable

FILE = """
from harness import FunctionScenario, Promise, speedup, times


def slowly(numbers, start):
    return sum(list(numbers), start)


async def asynchronously(numbers, start):
    return start + sum(numbers)


class Sums(FunctionScenario):
    '''Sum without a list.'''

    functions = {"baseline": slowly, "optimised": asynchronously}
    promises = [Promise("F1", "faster", times(1.1), speedup("call"))]

    def arguments(self, setting):
        return [(range(count), setting.seed) for count in (10, 100)]
"""


def agree(scenario: Any, setting: Setting) -> int:
    """Open every arm and verify all cases; return their number."""

    async def check() -> int:
        async with AsyncExitStack() as stack:
            instances = {arm: await stack.enter_async_context(scenario.open(arm, setting)) for arm in scenario.arms}
            return (await verify(scenario, instances, scenario.cases(setting))).cases

    return asyncio.run(check())


def test_functions_are_arms(tmp_path: Path) -> None:
    """Arms are named and described, synchronous and asynchronous functions agree, and each tuple of arguments is a case."""
    file = tmp_path / "sums.py"
    file.write_text(FILE)
    scenario, setting = load(file).scenario, Setting(tmp_path, tmp_path)
    assert {name: arm.description for name, arm in scenario.arms.items()} == {"baseline": "slowly", "optimised": "asynchronously"}
    assert agree(scenario, setting) == 2
    assert [case.args for case in scenario.cases(setting)] == [(range(10), 0), (range(100), 0)]


def test_a_wrong_answer_is_refused(tmp_path: Path) -> None:
    """Functions that return something else are not compared in time."""
    file = tmp_path / "sums.py"
    file.write_text(FILE.replace("start + sum(numbers)", "start - sum(numbers)"))
    with pytest.raises(ScenarioFailedError, match="optimised gives another answer than baseline"):
        agree(load(file).scenario, Setting(tmp_path, tmp_path))


class Described(FunctionScenario):
    """Arms with descriptions of their own."""

    arms = {"baseline": "as it is", "optimised": "better"}  # noqa: RUF012 - as scenarios declare them
    functions = {"baseline": len, "optimised": lambda items: sum(1 for _ in items)}  # noqa: RUF012


def test_descriptions_of_arms_are_kept() -> None:
    """`arms` may be declared; other names than those of the functions are an error of the class."""
    assert Described.arms["optimised"] == "better"
    with pytest.raises(TypeError, match="`arms` and `functions` have different names; give each arm one function"):
        type("Unlike", (Described,), {"arms": {"baseline": "as it is", "new": "better"}, "functions": Described.functions})


def test_arguments_are_needed(tmp_path: Path) -> None:
    """The message names what to define."""
    with pytest.raises(ScenarioFailedError, match=r"Described must define arguments\(setting\): a tuple of arguments per call"):
        runnable(Described()).cases(Setting(tmp_path, tmp_path))


class Entered:
    """A callable that is a context manager as well."""

    def __init__(self) -> None:
        self.entered = 0

    def __enter__(self) -> None:
        self.entered += 1

    def __exit__(self, *_: object) -> None:
        self.entered += 1

    def __call__(self, number: int) -> int:
        """Return the number."""
        return number


def test_a_function_is_never_entered(tmp_path: Path) -> None:
    """A callable that is a context manager too is called, and nothing else."""
    one, other = Entered(), Entered()

    class Contexts(FunctionScenario):
        """Callables."""

        functions = {"baseline": one, "optimised": other}  # noqa: RUF012

        def arguments(self, setting: Setting) -> Sequence[tuple[Any, ...]]:
            return [(1,)]

    assert agree(runnable(Contexts()), Setting(tmp_path, tmp_path)) == 1
    assert (one.entered, other.entered) == (0, 0)
