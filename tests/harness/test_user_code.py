"""Tests of errors of a scenario's code: the arm, the case, the repetition, the line of the file, and the next step."""

import asyncio
import json
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.discovery import load
from harness.errors import NotMeasurableError, ScenarioFailedError
from harness.runnable import runnable
from harness.scenario import Case, Group, Scenario, Setting
from harness.user_code import failure, next_step, user_code

SETTING = Setting(Path(), Path())
GOOD = (Path(__file__).parents[1] / "cases" / "scenarios" / "member.py").read_text()


class Failing(Scenario[Any]):
    """A scenario whose operations raise what their case holds."""

    groups = (Group("g", "raise"),)

    def run(self, instance: Any, case: Case) -> Any:
        """Raise in a library, or here."""
        if case.args == "json":
            return json.loads("{")
        raise case.args

    def reset(self, instance: Any, case: Case, answer: Any) -> None:
        """Raise."""
        raise KeyError("row")


def line(text: str) -> int:
    """Return the number of the line of this file that is the text."""
    return Path(__file__).read_text().splitlines().index(f"        {text}") + 1


def raised(method: str, args: Any, **where: Any) -> str:
    """Return the message of an error of a method."""
    scenario = Failing()
    arguments: tuple[Any, ...] = ({}, Case("g", "n 0", args)) + ((None,) if method == "reset" else ())
    with pytest.raises(ScenarioFailedError) as found, user_code(scenario, **where):
        getattr(scenario, method)(*arguments)
    assert found.value.__cause__ is not None
    return str(found.value)


def test_an_error_has_arm_case_repetition_and_line() -> None:
    """The first repetition is not mentioned; methods other than `run` are."""
    here = f"tests/harness/test_user_code.py, line {line('raise case.args')}"
    assert raised("run", ValueError("bad\nmore"), arm="optimised", case="n 0") == (
        f"optimised raised in case 'n 0' at {here}: ValueError: bad"
    )
    assert raised("run", ValueError("bad"), arm="optimised", case="n 0", repetition=2) == (
        f"optimised raised in case 'n 0', repetition 2, at {here}: ValueError: bad; does reset() undo what run() wrote?"
    )
    there = f"tests/harness/test_user_code.py, line {line('raise KeyError(' + chr(34) + 'row' + chr(34) + ')')}"
    assert raised("reset", None, arm="baseline", case="n 0", repetition=2) == (
        f"baseline raised in reset() of case 'n 0', repetition 2, at {there}: KeyError: 'row'"
    )


def test_an_error_of_a_library_has_both_lines() -> None:
    """The scenario's own line first, then where it was raised."""
    message = raised("run", "json", arm="baseline", case="n 0")
    assert f"line {line('    return json.loads(' + chr(34) + '{' + chr(34) + ')')} (from json/decoder.py, line " in message
    assert message.endswith("JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)")


def test_errors_of_the_harness_pass_unchanged() -> None:
    """They have their message already."""
    with pytest.raises(NotMeasurableError, match=r"^no server$"), user_code(Failing(), "baseline"):
        raise NotMeasurableError("no server")


def test_the_first_error_of_a_group_is_named() -> None:
    """A task group hides the error of its task."""

    async def fail() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.sleep(0))
            tasks.create_task(asyncio.to_thread(Failing().run, {}, Case("g", "n 0", ValueError("within"))))

    with pytest.raises(ExceptionGroup) as found:
        asyncio.run(fail())
    message = failure(found.value, Failing(), "optimised", "n 0")
    assert message.endswith(f"test_user_code.py, line {line('raise case.args')}: ValueError: within")


@pytest.mark.parametrize(
    ("error", "repetition", "step"),
    [
        (sqlite3.IntegrityError("UNIQUE constraint failed: t.id"), 2, "reset() has to remove what run() inserted"),
        (sqlite3.IntegrityError("UNIQUE constraint failed: t.id"), 1, "give every case keys of its own"),
        (RuntimeError('duplicate key value violates unique constraint "t_pkey"'), 2, "reset() has to remove"),
        (FileExistsError("[Errno 17] File exists"), 2, "does reset() undo what run() wrote?"),
        (sqlite3.OperationalError("database is locked"), 1, "end every transaction before run() returns"),
        (RuntimeError("got Future attached to a different loop"), 1, "create engines, clients and locks in open()"),
        (RuntimeError("Event loop is closed"), 1, "create engines, clients and locks in open()"),
        (RuntimeError("<Lock> is bound to a different event loop"), 1, "create engines, clients and locks in open()"),
        (RuntimeError("asyncio.run() cannot be called from a running event loop"), 1, "write `async def`"),
        (ModuleNotFoundError("No module named 'redis'", name="redis"), 1, "pip install 'advice-on-trial[redis]'"),
        (ModuleNotFoundError("No module named 'shop'", name="shop"), 1, "install shop into the environment of the harness"),
        (ValueError("anything"), 1, ""),
        (ValueError("anything"), 2, "does reset() undo what run() wrote?"),
    ],
)
def test_the_next_step_is_named_where_it_is_known(error: Exception, repetition: int, step: str) -> None:
    """Also for the error that another one was raised from."""
    outer = RuntimeError("failed")
    outer.__cause__ = error
    for each in (error, outer):
        found = next_step(each, "run", repetition)
        assert step in found
        assert bool(step) == bool(found)


@pytest.mark.parametrize(
    ("old", "new", "enter", "message"),
    [
        ("        yield list", "        open_it()\n        yield list", "open", "optimised raised in open() at "),
        ("else set(range(1000))", "else set(range(1000))\n        close_it()", "open", "optimised raised in open() at "),
        ("        return [Case", "        make()\n        return [Case", "cases", "cases() raised at "),
        ("    def cases(", "    def prepare(self, setting):\n        build()\n\n    def cases(", "prepare", "prepare() raised at "),
    ],
    ids=["opening", "closing", "cases", "prepare"],
)
def test_errors_outside_of_operations_name_their_method(tmp_path: Path, old: str, new: str, enter: str, message: str) -> None:
    """With the arm where there is one, and the line."""
    assert old in GOOD
    file = tmp_path / "failing.py"
    file.write_text(GOOD.replace(old, new))
    scenario = load(file).scenario

    async def opened() -> None:
        async with scenario.open("optimised", SETTING):
            pass

    calls: dict[str, Callable[[], Any]] = {
        "open": lambda: asyncio.run(opened()),
        "cases": lambda: scenario.cases(SETTING),
        "prepare": lambda: scenario.prepare(SETTING),
    }
    with pytest.raises(ScenarioFailedError) as found:
        calls[enter]()
    assert str(found.value).startswith(f"{message}{file}, line ")
    assert "NameError: name" in str(found.value)


def test_an_error_between_opening_and_closing_is_not_blamed_on_them() -> None:
    """What the harness raises meanwhile passes unchanged."""

    class Opening(Failing):
        def open(self, arm: str, setting: Setting) -> Any:
            yield arm

    async def use() -> None:
        async with runnable(Opening()).open("baseline", SETTING):
            raise ValueError("meanwhile")

    with pytest.raises(ValueError, match=r"^meanwhile$"):
        asyncio.run(use())


class Odd(BaseException):
    """What `except Exception` does not catch."""


@pytest.mark.parametrize("error", [SystemExit(0), Odd("odd"), asyncio.CancelledError()], ids=["exit", "odd", "cancelled"])
def test_what_is_no_exception_is_named_as_one_is(error: BaseException) -> None:
    """A scenario neither ends its process nor passes for a request to stop."""
    message = raised("run", error, arm="optimised", case="n 0")
    assert message.startswith("optimised raised in case 'n 0' at tests/harness/test_user_code.py, line ")
    assert type(error).__name__ in message
    assert message.endswith("remove that: a scenario must not end the process that measures it") == isinstance(error, SystemExit)


def test_requests_to_stop_pass() -> None:
    """Ctrl-C, the cancellation of the running task and closing a coroutine are not the scenario's."""

    async def waits() -> None:
        with user_code(Failing(), "baseline"):
            await asyncio.Event().wait()

    async def cancelled() -> bool:
        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        task.cancel()
        (found,) = await asyncio.gather(task, return_exceptions=True)
        return isinstance(found, asyncio.CancelledError)

    assert asyncio.run(cancelled())
    for request in (KeyboardInterrupt, GeneratorExit):
        with pytest.raises(request), user_code(Failing(), "baseline"):
            raise request


def test_an_interrupt_is_the_scenario_s_own_where_interrupts_are_ignored() -> None:
    """As in a worker, which leaves Ctrl-C to its parent."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert "KeyboardInterrupt" in raised("run", KeyboardInterrupt(), arm="optimised", case="n 0")
    finally:
        signal.signal(signal.SIGINT, before)


def test_errors_within_errors_end() -> None:
    """Thousands of groups within groups, and an error that is its own cause."""
    error: Exception = ValueError("inner")
    for _ in range(3000):
        error = ExceptionGroup("g", [error])
    assert failure(error, Failing(), "optimised", "n 0").endswith("ValueError: inner")
    own = ValueError("own")
    own.__cause__ = own
    assert failure(own, Failing(), "optimised", "n 0").endswith("ValueError: own")
