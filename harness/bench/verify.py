"""Verification: the arms' answers to every case must be equal, or nothing of the scenario is timed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.errors import ScenarioFailedError
from harness.results.run import BASELINE
from harness.runnable import RunnableScenario
from harness.runtime.channel import begin
from harness.scenario import Case


@dataclass
class Verification:
    """The outcome of comparing answers."""

    cases: int = 0
    """Number of cases on which the arms agree."""
    cannot_run: dict[tuple[str, str], str] = field(default_factory=dict)
    """(arm, group) → the error of an arm that raised as written, or the reason why it is skipped."""


async def verify(scenario: RunnableScenario, instances: Mapping[str, Any], cases: Sequence[Case]) -> Verification:
    """Run every case on every arm and compare the normalised answers with the baseline's.

    Raises ScenarioFailedError, with the arm and the case, if an arm disagrees or one that has to work raises.
    """
    verified = Verification(cannot_run=dict(scenario.skipped))
    for case in cases:
        expected = await _answer(scenario, instances[BASELINE], BASELINE, case)
        for arm, instance in instances.items():
            if arm == BASELINE or (arm, case.group) in verified.cannot_run:
                continue
            try:
                answer = await _answer(scenario, instance, arm, case)
            except ScenarioFailedError as error:
                if not scenario.arms[arm].as_written:
                    raise
                verified.cannot_run[arm, case.group] = str(error.__cause__ and _describe(error.__cause__))
                continue
            if answer != expected:
                difference, part = ("leaves another state behind", 1) if answer[0] == expected[0] else ("gives another answer", 0)
                raise ScenarioFailedError(
                    f"{arm} {difference} than {BASELINE} to case {case.name!r}: {_short(answer[part])} instead of "
                    f"{_short(expected[part])}; no arm is timed until they agree"
                )
        verified.cases += 1
    return verified


async def _answer(scenario: RunnableScenario, instance: Any, arm: str, case: Case) -> tuple[Any, Any]:
    begin("comparing answers", arm, case.name)
    try:
        answer = await scenario.run(instance, case)
        normal = scenario.normalise(case, answer), await scenario.state(instance, case)
        await scenario.reset(instance, case, answer)
    except Exception as error:
        raise ScenarioFailedError(f"{arm} raised in case {case.name!r}: {_describe(error)}") from error
    return normal


def _describe(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__


def _short(answer: Any, limit: int = 120) -> str:
    text = repr(answer)
    return text if len(text) <= limit else f"{text[:limit]}…"
