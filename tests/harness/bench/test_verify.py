"""Tests of verification: arms that disagree are named with the case, and only an arm as written may fail to run."""

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from harness.bench.verify import Verification, verify
from harness.errors import ScenarioFailedError
from harness.runnable import runnable
from harness.scenario import Arm, Case, Group, Scenario

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
    return asyncio.run(verify(runnable(Answering()), {"baseline": {}, **instances}, CASES))


def test_arms_that_agree_after_normalisation_pass() -> None:
    """All cases are counted."""
    seen = asyncio.run(verify(runnable(Answering()), {"baseline": {1: "YES"}, "optimised": {1: "yes"}}, CASES))
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
        asyncio.run(verify(runnable(Answering()), {"baseline": {1: ValueError()}, "proposed": {}}, CASES))


def test_the_state_after_an_operation_must_be_equal() -> None:
    """An arm that gives the right answer and writes something else is named."""
    with pytest.raises(ScenarioFailedError, match=r"optimised leaves another state behind than baseline to case 'second': 'x'"):
        check(optimised={-2: "x"})


def test_a_skipped_arm_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is excluded from the group with the scenario's reason."""
    monkeypatch.setattr(Answering, "groups", [Group("g", "a word", skip={"optimised": "it loses rows"})])
    assert check(optimised={1: 13, 2: 13}).cannot_run == {("optimised", "g"): "it loses rows"}
