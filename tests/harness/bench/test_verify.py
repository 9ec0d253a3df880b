"""Tests of verification: arms that disagree are named with the case, and only an arm as written may fail to run."""

import asyncio
import itertools
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, ClassVar

import pytest

from harness.bench import verify
from harness.bench.verify import Verification
from harness.discovery import load
from harness.errors import ScenarioFailedError
from harness.runnable import runnable
from harness.scenario import Arm, Case, Group, Scenario, Setting
from harness.user_code import shown

CASES = [Case("g", "first", 1), Case("g", "second", 2), Case("h", "third", 3)]


class Answering(Scenario[dict[int, Any]]):
    """An arm's instance maps a case's number to its answer, or to the exception it raises."""

    arms: ClassVar[Mapping[str, str | Arm]] = {
        "baseline": "",
        "proposed": Arm("", as_written=True),
        **dict.fromkeys(("optimised", "mine"), ""),
    }

    async def run(self, instance: dict[int, Any], case: Case) -> Any:
        """Answer or raise."""
        answer = instance.get(case.args, case.args)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def state(self, instance: dict[int, Any], case: Case) -> Any:
        """Return the state that the arm left behind."""
        return instance.get(-case.args)

    def normalise(self, case: Case, answer: Any) -> Any:
        """Compare texts without regard to case."""
        return answer.lower() if isinstance(answer, str) else answer


def check(**instances: dict[int, Any]) -> Verification:
    """Verify these arms."""
    return asyncio.run(verify.verify(runnable(Answering()), {"baseline": {}, **instances}, CASES))


def test_arms_that_agree_after_normalisation_pass() -> None:
    """All cases are counted."""
    seen = asyncio.run(verify.verify(runnable(Answering()), {"baseline": {1: "YES"}, "optimised": {1: "yes"}}, CASES))
    assert (seen.cases, seen.cannot_run) == (3, {})


def test_a_wrong_answer_names_arm_and_case() -> None:
    """Nothing is timed until they agree."""
    with pytest.raises(ScenarioFailedError, match=r"optimised gives another answer than baseline to case 'second': 9 instead of 2"):
        check(optimised={2: 9})


def test_an_arm_as_written_that_raises_is_a_finding() -> None:
    """It is excluded from that group, with its error, and the other arms are verified."""
    seen = check(proposed={1: AttributeError("no on_conflict\nmore")}, optimised={})
    assert seen.cannot_run == {("proposed", "g"): "AttributeError: no on_conflict"}
    assert seen.cases == 3


@pytest.mark.parametrize("instances", [{"optimised": {3: ValueError("x")}}, {"mine": {3: ValueError("x")}}])
def test_any_other_arm_must_not_raise(instances: dict[str, dict[int, Any]]) -> None:
    """An error of it fails the scenario; the message names the case."""
    with pytest.raises(ScenarioFailedError, match=r"raised in case 'third' at .*test_verify.py, line \d+: ValueError: x"):
        check(**instances)


def test_a_baseline_that_raises_fails_the_scenario() -> None:
    """Without its answer there is nothing to compare with."""
    with pytest.raises(ScenarioFailedError, match="baseline raised in case 'first'"):
        asyncio.run(verify.verify(runnable(Answering()), {"baseline": {1: ValueError()}, "proposed": {}}, CASES))


def test_the_state_after_an_operation_must_be_equal() -> None:
    """An arm that gives the right answer and writes something else is named."""
    with pytest.raises(ScenarioFailedError, match=r"optimised leaves another state behind than baseline to case 'second': 'x'"):
        check(optimised={-2: "x"})


def test_a_skipped_arm_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is excluded from the group with the scenario's reason."""
    monkeypatch.setattr(Answering, "groups", [Group("g", "a word", skip={"optimised": "it loses rows"})])
    assert check(optimised={1: 13, 2: 13}).cannot_run == {("optimised", "g"): "it loses rows"}


CASES_FOLDER = Path(__file__).parents[2] / "cases" / "scenarios"


def verified(file: str) -> Verification:
    """Verify the arms of a scenario file."""
    scenario = load(CASES_FOLDER / file).scenario
    setting = Setting(Path(), Path())

    async def run() -> Verification:
        async with AsyncExitStack() as stack:
            instances = {arm: await stack.enter_async_context(scenario.open(arm, setting)) for arm in scenario.arms}
            return await verify.verify(scenario, instances, scenario.cases(setting))

    return asyncio.run(run())


PLACE = f"{shown(CASES_FOLDER / 'insert_twice.py')}, line 27"
REFUSED = {
    "used_up.py": "baseline answers differently the second time to case 'tenant 0': 0 instead of 50000; "
    "does reset() undo what run() wrote?",
    "insert_twice.py": f"baseline raised in case 'n 0', repetition 2, at {PLACE}: IntegrityError: UNIQUE constraint failed: t.id; "
    "reset() has to remove what run() inserted",
}


@pytest.mark.parametrize("file", REFUSED)
def test_what_a_second_run_shows_is_refused(file: str) -> None:
    """An operation that leaves something behind is another operation the second time."""
    with pytest.raises(ScenarioFailedError) as refused:
        verified(file)
    assert str(refused.value) == REFUSED[file]


def test_answers_with_nan_are_equal() -> None:
    """An average of no rows is the same on both arms."""
    assert verified("nan_answer.py").cases == 5


class Counting(Scenario[dict[str, Any]]):
    """An arm's instance has the functions that answer, leave a state behind and reset; it counts operations."""

    arms: ClassVar[Mapping[str, str | Arm]] = {"baseline": "", "written": Arm("", as_written=True), "optimised": ""}
    groups = (Group("g", "answer"),)

    def run(self, instance: dict[str, Any], case: Case) -> Any:
        """Answer with the number of the operation at hand."""
        instance["n"] = instance.get("n", 0) + 1
        return instance.get("answer", lambda n: 1)(instance["n"])

    def state(self, instance: dict[str, Any], case: Case) -> Any:
        """Return the state after the operation."""
        return instance.get("state", lambda n: 0)(instance["n"])

    def reset(self, instance: dict[str, Any], case: Case, answer: Any) -> None:
        """Reset."""
        instance.get("reset", lambda n: None)(instance["n"])

    def normalise(self, case: Case, answer: Any) -> Any:
        """Compare answers without the time that they contain."""
        return {key: value for key, value in answer.items() if key != "at"} if isinstance(answer, dict) else answer


def counted(cases: int = 1, *, repeats_dear: bool = True, **instances: dict[str, Any]) -> tuple[Verification, list[int]]:
    """Verify arms; return the outcome and the operations of each arm."""
    made = {"baseline": {}, **instances}
    given = [Case("g", f"n {n}", n) for n in range(cases)]
    found = asyncio.run(verify.verify(runnable(Counting()), made, given, repeats_dear=repeats_dear))
    return found, [instance["n"] for instance in made.values()]


def test_the_first_case_and_those_that_leave_a_state_run_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """On each arm; of operations that take long, the first case of the group alone, and in a preview none."""
    assert counted(3, optimised={})[1] == [6, 6]
    reading = {"state": lambda n: None}
    assert counted(3, baseline={**reading}, optimised={**reading})[1] == [4, 4]
    slowly = itertools.count(step=round(verify.DEAR_S * 1e9))
    monkeypatch.setattr(verify.CLOCK, "now_ns", lambda: next(slowly))
    assert counted(3, optimised={})[1] == [4, 4]
    assert counted(3, repeats_dear=False, optimised={})[1] == [3, 3]


@pytest.mark.parametrize(
    ("instance", "message"),
    [
        ({"answer": lambda n: n}, "optimised answers differently the second time to case 'n 0': 2 instead of 1; does reset() undo"),
        ({"state": lambda n: n - 1}, "optimised leaves another state behind the second time to case 'n 0': 1 instead of 0; does"),
        ({"answer": lambda n: int("x" * (n - 1) or 1)}, "optimised raised in case 'n 0', repetition 2, at "),
        ({"reset": lambda n: int("x")}, "optimised raised in reset() of case 'n 0' at "),
    ],
)
def test_an_arm_that_changes_is_named(instance: dict[str, Any], message: str) -> None:
    """The answer, the state and the reset of the second operation count as the first one's do."""
    with pytest.raises(ScenarioFailedError) as refused:
        counted(optimised=instance)
    assert str(refused.value).startswith(message)


def test_an_answer_that_the_next_operation_changes_is_compared_as_it_was() -> None:
    """A list that grows with each operation is not equal to itself."""
    grown: list[int] = []

    def grow(number: int) -> list[int]:
        grown.append(number)
        return grown

    with pytest.raises(
        ScenarioFailedError, match=r"baseline answers differently the second time to case 'n 0': 2 elements instead of"
    ):
        asyncio.run(verify.verify(runnable(Counting()), {"baseline": {"answer": grow}}, [Case("g", "n 0", 0)]))


def test_what_normalise_removes_may_change() -> None:
    """Such as the time at which an answer was made."""
    found, _ = counted(optimised={"answer": lambda n: {"at": n}}, baseline={"answer": lambda n: {"at": -n}})
    assert found.cases == 1


@pytest.mark.parametrize("arm", ["optimised", "written"])
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda n: (part for part in "ab"), "a generator: the work is not done yet; return list(…) from run()"),
        (lambda n: {"rows": map(str, "ab")}, "an iterator (map) at ['rows']: the work is not done yet; return list(…) from run()"),
        (lambda n: Future(), "a future: the work is not done yet; return its .result() from run()"),
    ],
)
def test_work_that_is_not_done_is_refused(arm: str, answer: Any, message: str) -> None:
    """With the arm, the case, the remedy and the line of `run`; also of an arm as written, which would be the fastest of all."""
    with pytest.raises(ScenarioFailedError) as refused:
        asyncio.run(verify.verify(runnable(Counting()), {"baseline": {}, arm: {"answer": answer}}, [Case("g", "n 0", 0)]))
    assert str(refused.value).startswith(f"{arm} answers case 'n 0' with {message} (tests/harness/bench/test_verify.py, line ")


def test_a_lazy_answer_is_refused_though_normalise_reads_it() -> None:
    """Reading it is not timed."""

    class Reading(Counting):
        def normalise(self, case: Case, answer: Any) -> Any:
            return list(answer)

    with pytest.raises(ScenarioFailedError, match="with a generator: the work is not done yet"):
        asyncio.run(
            verify.verify(runnable(Reading()), {"baseline": {"answer": lambda n: (x for x in "ab")}}, [Case("g", "n 0", 0)])
        )


def test_a_coroutine_that_run_returns_is_refused() -> None:
    """It was never awaited."""

    class Forgetful(Counting):
        async def run(self, instance: dict[str, Any], case: Case) -> Any:
            waiting.append(asyncio.sleep(0))
            return waiting[-1]

    waiting: list[Any] = []
    with pytest.raises(ScenarioFailedError, match=r"with a coroutine: the work is not done yet; await it in run\(\)"):
        asyncio.run(verify.verify(runnable(Forgetful()), {"baseline": {}}, [Case("g", "n 0", 0)]))
    waiting[0].close()


def test_the_place_of_a_difference_is_named() -> None:
    """Of a large answer the part that differs is shown."""
    rows = [{"id": n} for n in range(1_000)]
    other = [*rows[:999], {"id": -1}]
    with pytest.raises(
        ScenarioFailedError,
        match=r"optimised gives another answer than baseline to case 'n 0' at \[999\]\['id'\]: -1 instead of 999; no",
    ):
        counted(baseline={"answer": lambda n: rows}, optimised={"answer": lambda n: other})


def test_a_comparison_that_raises_is_named() -> None:
    """With the arms and the case, and what to return instead."""

    class Incomparable:
        def __eq__(self, other: object) -> bool:
            raise TypeError("no order")

        __hash__ = None  # type: ignore[assignment]

    answer = {"answer": lambda n: [Incomparable()]}
    with pytest.raises(ScenarioFailedError) as refused:
        counted(baseline=answer, optimised=answer)
    assert str(refused.value) == (
        "comparing the answers of baseline on its first and second run to case 'n 0' at [0] raised TypeError: no order; "
        "return plain values from normalise()"
    )


def test_an_arm_as_written_may_fail_the_second_time() -> None:
    """That is a finding, as failing the first time is."""
    found, _ = counted(written={"answer": lambda n: int("x" * (n - 1) or 1)})
    assert found.cannot_run == {("written", "g"): "ValueError: invalid literal for int() with base 10: 'x'"}


def test_what_a_reset_puts_off_is_undone_before_the_next_run() -> None:
    """Under load a reset may leave its work to `settle`, which is called after each block."""

    class Deferring(Scenario[list[int]]):
        groups = (Group("g", "append"),)

        def run(self, instance: list[int], case: Case) -> int:
            instance.append(1)
            return len(instance)

        def settle(self, instance: list[int]) -> None:
            instance.clear()

    assert asyncio.run(verify.verify(runnable(Deferring()), {"baseline": []}, [Case("g", "n 0", 0)])).cases == 1
