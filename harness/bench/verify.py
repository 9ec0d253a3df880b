"""Verification: the arms' answers to every case must be complete, equal and repeatable, or nothing of the scenario is timed."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from harness.answers import find_lazy
from harness.bench.operations import first_of_each_group
from harness.bench.work_counts import OperationCounter
from harness.equality import Difference, difference, snapshot
from harness.errors import HarnessError, ScenarioFailedError, reason
from harness.results.run import BASELINE
from harness.runnable import RunnableScenario
from harness.runtime.channel import begin
from harness.runtime.clock import MonotonicClock
from harness.scenario import Case
from harness.user_code import line_of, user_code

CLOCK = MonotonicClock()
DEAR_S = 0.1
"""Seconds of an operation from which the first case of its group alone is repeated."""


@dataclass
class Verification:
    """The outcome of comparing answers."""

    cases: int = 0
    """Number of cases on which the arms agree."""
    cannot_run: dict[tuple[str, str], str] = field(default_factory=dict)
    """(arm, group) → the error of an arm that raised as written, or the reason why it is skipped."""
    took_s: dict[str, dict[str, list[float]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    """Arm → group → seconds of each case, in its quickest run: it is still cold, and so an upper estimate."""


class _Outcome(NamedTuple):
    """The outcome of one operation, as it was before the operation was reset."""

    answer: Any
    """The normalised answer."""
    state: Any
    """The state that the operation left behind."""


async def verify(
    scenario: RunnableScenario,
    instances: Mapping[str, Any],
    cases: Sequence[Case],
    counter: OperationCounter | None = None,
    *,
    repeats_dear: bool = True,
) -> Verification:
    """Run every case on every arm; compare the normalised answers and states with the baseline's, and with those of a second run.

    A second run shows whether `reset` undoes what the first one wrote. The first case of each group has one, and every other case
    that leaves a state behind, unless it is dear; a dear first case has none without `repeats_dear`. The counter's cases are
    counted afterwards, when connections, prepared statements and caches are as they are while pairs are timed.

    Raises ScenarioFailedError, with the arm and the case, if an arm disagrees with the baseline or with itself, answers with work
    that is not done, or raises without being as written.
    """
    verified = Verification(cannot_run=dict(scenario.skipped))
    repeated = {case.name for case in first_of_each_group(cases)}
    runs = Counter[tuple[str, str]]()  # of a group on an arm
    arms = [BASELINE, *(arm for arm in instances if arm != BASELINE)]
    for case in cases:
        expected: _Outcome | None = None
        for arm in arms:
            if arm != BASELINE and (arm, case.group) in verified.cannot_run:
                continue
            operation = _Operation(scenario, arm, instances[arm], case)
            try:
                first = await operation.verified(expected, is_first=case.name in repeated, repeats_dear=repeats_dear)
            except HarnessError as error:
                is_verdict = isinstance(error, ScenarioFailedError) and error.__cause__ is None
                if is_verdict or arm == BASELINE or not scenario.arms[arm].as_written:
                    raise
                verified.cannot_run[arm, case.group] = reason(error.__cause__ or error)
                continue
            verified.took_s[arm][case.group].append(operation.took_s)
            runs[arm, case.group] += operation.runs
            expected = expected or first
        verified.cases += 1
    if counter is not None:
        for case in (case for case in cases if case.name in counter.cases):
            for arm in (arm for arm in arms if (arm, case.group) not in verified.cannot_run):
                await counter.count(arm, instances[arm], case, runs[arm, case.group])
    return verified


@dataclass
class _Operation:
    """A case on an arm."""

    scenario: RunnableScenario
    arm: str
    instance: Any
    case: Case
    took_s: float = math.inf
    """Seconds of its quickest run."""
    runs: int = 0
    """Number of its runs so far."""

    async def verified(self, expected: _Outcome | None, *, is_first: bool, repeats_dear: bool) -> _Outcome:
        """Run it, compare the outcome with what the baseline gave, and that of a second run with the first; return the first."""
        first = await self._outcome(expected)
        repeats = is_first and repeats_dear if self.took_s >= DEAR_S else is_first or first.state is not None
        if repeats:
            await self._outcome(first)
        return first

    async def _outcome(self, expected: _Outcome | None) -> _Outcome:
        scenario, arm, instance, case = self.scenario, self.arm, self.instance, self.case
        self.runs += 1
        repetition = self.runs
        begin("comparing answers", arm, case.name)
        with user_code(scenario.written, arm, case.name, repetition):
            started_ns = CLOCK.now_ns()
            answer = await scenario.run(instance, case)
            self.took_s = min(self.took_s, (CLOCK.now_ns() - started_ns) / 1e9)
            lazy = find_lazy(answer)
            if lazy is not None:
                raise ScenarioFailedError(
                    f"{arm} answers case {case.name!r} with {lazy}: the work is not done yet; "
                    f"{lazy.remedy}{line_of(scenario.written, 'run')}"
                )
            outcome = _Outcome(snapshot(scenario.normalise(case, answer)), snapshot(await scenario.state(instance, case)))
            if expected is not None:
                _compare(arm, case, repetition, outcome, expected)
            await scenario.reset(instance, case, answer)
            await scenario.settle(instance)  # a reset under load may put off what the next run needs
        return outcome


def _compare(arm: str, case: Case, repetition: int, outcome: _Outcome, expected: _Outcome) -> None:
    """Raise ScenarioFailedError if an outcome is not the expected one: the baseline's, or that of the arm's first repetition."""
    for part, found in enumerate(map(difference, outcome, expected)):
        if found is None:
            continue
        if found.failure:
            sides = f"{arm} and {BASELINE}" if repetition == 1 else f"{arm} on its first and second run"
            compared = f"comparing the {'states after' if part else 'answers of'} {sides} to case {case.name!r}"
            raise ScenarioFailedError(f"{compared}{_at(found)} {found.failure}; return plain values from normalise()")
        values = f"{_at(found)}: {found.found} instead of {found.expected}"
        if repetition == 1:
            differs = "leaves another state behind" if part else "gives another answer"
            message = f"{arm} {differs} than {BASELINE} to case {case.name!r}{values}; no arm is timed until they agree"
        else:
            differs = "leaves another state behind" if part else "answers differently"
            message = f"{arm} {differs} the second time to case {case.name!r}{values}; does reset() undo what run() wrote?"
        raise ScenarioFailedError(message)


def _at(found: Difference) -> str:
    return f" at {found.path}" if found.path else ""
