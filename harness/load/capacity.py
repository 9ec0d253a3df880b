"""The search for the highest level at which an arm meets an objective: the next level as a pure function of the steps so far.

Levels double until one fails; the search then bisects on the logarithmic scale between the highest sustained level and the lowest
failed one, until they are close. Both ends are tried again, and a third time if two tries differ: the majority counts, and if it
overturns an end the search continues from there, so that a short disturbance does not end a search at the wrong level.

An arm of which no operation completes, although it has sustained a level before, is tried at that level again: it is either far
beyond its capacity, or has stopped answering, which ends the search with that reason.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.results.load import Capacity, CapacityKind, CapacityStep
from harness.verdicts.slo import LoadObservation, Objective, statistic_ns

PRECISION = 1.1  # the usual precision of a search
TRIES = 2  # tries of an end of the bracket before it counts, and of a level at which the generator was the limit
SPARE = 1.2  # factor on the number of operations that a step is planned for, since arrivals are random
FIRST_LEVEL = {CapacityKind.RATE: 50.0, CapacityKind.USERS: 8.0}  # the level that is tried first
MAX_LEVEL = {CapacityKind.RATE: 100_000.0, CapacityKind.USERS: 2_000.0}  # the highest level that is tried


@dataclass(frozen=True)
class SearchPlan:
    """The parameters of a search, the same for each arm."""

    kind: CapacityKind
    objective: Objective
    first_level: float
    max_level: float
    step_s: float = 3.0
    """Measured time of a step; it grows up to `longest_step_s` if a step has too few operations."""
    longest_step_s: float = 30.0
    budget_s: float = 120.0
    """The time limit of one arm's search, with warm-up and draining."""
    precision: float = PRECISION
    """The search ends when the lowest failed level ÷ the highest sustained level is at most this."""
    remedy: str = "raise it with --budget"
    """The next step where the time limit has ended a search."""

    @property
    def min_level(self) -> float:
        """The lowest level that is tried: one user, or the rate that gives enough operations in the longest step."""
        return 1.0 if self.kind == CapacityKind.USERS else self.objective.needs_operations * SPARE / self.longest_step_s


@dataclass(frozen=True)
class NextStep:
    """The step to run next."""

    level: float
    seconds: float
    """Measured time."""


@dataclass(frozen=True)
class SearchEnd:
    """The end of a search."""

    reason: str
    out_of_budget: bool = False
    """Whether the time limit stopped it before it was complete."""


@dataclass(frozen=True)
class TriedStep:
    """A step that was run."""

    planned: NextStep
    step: CapacityStep
    spent_s: float
    """Seconds in total, with warm-up and draining."""


def tried_step(plan: SearchPlan, planned: NextStep, observation: LoadObservation, spent_s: float) -> TriedStep:
    """Return a step with its judgement. Its figures are the percentiles, "mean" and "max" of the response times."""
    judged, completed, response = plan.objective.judge(observation), observation.completed, observation.response
    figures = response.percentiles_ns | {name: statistic_ns(response, name) for name in ("mean", "max")}
    rate_per_s, errors = observation.achieved_per_s, observation.sent - completed
    invalid = None if judged.failing else observation.invalid
    step = CapacityStep(
        planned.level, rate_per_s, completed, errors, figures, judged.is_met, judged.reason, invalid, judged.failing
    )
    return TriedStep(planned, step, spent_s)


def next_step(plan: SearchPlan, history: Sequence[TriedStep]) -> NextStep | SearchEnd:
    """Return the step that follows the steps so far, oldest first, or the end of the search."""
    bracket = _Bracket(plan, history)
    if stopped := _stopped(history):
        return SearchEnd(stopped)
    step = _alive(plan, history) or _again(plan, bracket)
    if step is None:
        level = _next_level(plan, bracket)
        if isinstance(level, SearchEnd):
            return level
        step = NextStep(level, _seconds(plan, history, level))
    if sum(t.spent_s for t in history) + step.seconds > plan.budget_s:
        if bracket.failing:  # more time would not help
            return SearchEnd(bracket.failing)
        if _is_silent(history[-1]):
            last = history[-1]
            return SearchEnd(f"at {last.planned.level:g}: {last.step.failing}; no time was left to see whether it still answers")
        return SearchEnd(f"the budget of {plan.budget_s:.3g} s was exhausted; {plan.remedy}", out_of_budget=True)
    return step


def capacity(plan: SearchPlan, arm: str, history: Sequence[TriedStep], reason: str) -> Capacity:
    """Return the result of an arm's search so far; `reason` is why it ended."""
    bracket = _Bracket(plan, history)
    objective = plan.objective.description(offered=plan.kind == CapacityKind.RATE)
    fails = _stopped(history) or bracket.failing
    return Capacity(
        arm, plan.kind, objective, bracket.sustained, bracket.failed, [t.step for t in history], fails or reason, failing=fails
    )


@dataclass
class _LevelTries:
    """The tries of one level."""

    sustained: int = 0
    failed: int = 0
    invalid: int = 0  # tries in which the generator was the limit
    too_few: bool = False  # whether even the longest step had too few operations
    reason: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether another try would change nothing."""
        return self.sustained + self.failed >= TRIES or self.invalid >= TRIES or self.too_few

    def add(self, plan: SearchPlan, tried: TriedStep) -> None:
        """Count one more try."""
        step = tried.step
        self.sustained += step.sustained is True
        self.failed += step.sustained is False
        self.invalid += step.invalid is not None
        unclear = step.sustained is None and step.invalid is None
        self.too_few |= unclear and tried.planned.seconds >= plan.longest_step_s
        if step.sustained is False or (step.sustained is None and not self.failed):
            self.reason = step.reason


@dataclass
class _Bracket:
    """The levels between which the capacity lies, after the steps so far."""

    plan: SearchPlan
    history: Sequence[TriedStep]
    levels: dict[float, _LevelTries] = field(default_factory=dict)
    sustained: float | None = None  # the highest sustained level below every failed one
    failed: float | None = None  # the lowest failed level
    limit: float | None = None  # the lowest level at which the generator was the limit in every try, unless a lower level failed

    @property
    def failing(self) -> str | None:
        """The failed operations at the lowest level, if they are the reason why no level is sustained, however the search ended."""
        if self.sustained is not None or self.failed is None:
            return None
        return next((t.step.failing for t in reversed(self.history) if t.planned.level == self.failed and t.step.failing), None)

    def __post_init__(self) -> None:
        for t in self.history:
            self.levels.setdefault(t.planned.level, _LevelTries()).add(self.plan, t)
        # Two tries that differ are followed by a third; if that one is inconclusive, the level counts as failed.
        failing = [at for at, tries in self.levels.items() if tries.failed and tries.failed >= tries.sustained]
        self.failed = min(failing, default=None)
        top = math.inf if self.failed is None else self.failed
        self.sustained = max((at for at, tries in self.levels.items() if tries.sustained > tries.failed and at < top), default=None)
        self.limit = min((at for at, tries in self.levels.items() if tries.invalid >= TRIES and at <= top), default=None)


def _is_silent(tried: TriedStep) -> bool:
    """Return whether no operation of a step completed, because they failed."""
    return not tried.step.operations and bool(tried.step.failing)


def _lowest_sustained(history: Sequence[TriedStep]) -> float:
    """Return the lowest level at which a step was sustained; infinity if there is none."""
    return min((t.planned.level for t in history if t.step.sustained), default=math.inf)


def _alive(plan: SearchPlan, history: Sequence[TriedStep]) -> NextStep | None:
    """Return a step that shows whether an arm still answers of which no operation has just completed; None if that is known."""
    lowest = _lowest_sustained(history)
    if not history or not _is_silent(history[-1]) or lowest == math.inf:
        return None
    return NextStep(lowest, _seconds(plan, history, lowest))


def _stopped(history: Sequence[TriedStep]) -> str | None:
    """Return that an arm has stopped answering: two steps without an answer, the last one at a level that it had sustained."""
    lowest = _lowest_sustained(history)
    silent = [*map(_is_silent, history[-2:])]
    if silent != [True, True] or not history[-1].planned.level <= lowest < math.inf:
        return None
    last = history[-1]
    return f"it stopped answering: at {last.planned.level:g}, which it had sustained before, {last.step.failing}"


def _again(plan: SearchPlan, bracket: _Bracket) -> NextStep | None:
    """Return the last level once more, if its last try was inconclusive but may not be, or its tries contradict each other."""
    if not bracket.history:
        return None
    last = bracket.history[-1]
    tries = bracket.levels[last.planned.level]
    if last.step.sustained is not None:
        return last.planned if tries.sustained == tries.failed else None
    if last.step.invalid is not None:
        return last.planned if tries.invalid < TRIES else None
    if last.planned.seconds >= plan.longest_step_s:
        return None
    missing = plan.objective.needs_operations * SPARE / max(1, last.step.operations)
    return NextStep(last.planned.level, min(plan.longest_step_s, last.planned.seconds * min(10.0, max(1.5, missing))))


def _next_level(plan: SearchPlan, bracket: _Bracket) -> float | SearchEnd:
    limit = bracket.limit
    if not bracket.levels:
        return min(max(plan.first_level, plan.min_level), plan.max_level)
    if limit is not None and bracket.sustained is not None:
        reason = bracket.levels[limit].reason
        return SearchEnd(f"at least {bracket.sustained:g}: at {limit:g} the generator was the limit ({reason})")
    if bracket.failed is None and limit is None:
        return _up(plan, bracket)
    if bracket.sustained is None:
        return _down(plan, bracket, min(level for level in (bracket.failed, limit) if level is not None))
    assert bracket.failed is not None, "with a sustained level, the generator's limit has ended the search"
    return _between(plan, bracket, bracket.sustained, bracket.failed)


def _up(plan: SearchPlan, bracket: _Bracket) -> float | SearchEnd:
    top = max(bracket.levels)
    if top < plan.max_level:
        return min(plan.max_level, 2 * top)
    if not bracket.levels[top].is_settled:
        return top
    found = "at least" if bracket.sustained == top else "too few operations at"
    return SearchEnd(f"{found} {top:g}, the highest level tried")


def _down(plan: SearchPlan, bracket: _Bracket, lowest: float) -> float | SearchEnd:
    too_low = max((at for at, tries in bracket.levels.items() if tries.too_few and at < lowest), default=0.0)
    lower = max(plan.min_level, too_low, _rounded(plan, lowest / 2))
    if lower < lowest and lower not in bracket.levels:
        return lower
    if not bracket.levels[lowest].is_settled:
        return lowest
    return SearchEnd(f"no level was sustained: at {lowest:g}, the lowest that can be judged, {bracket.levels[lowest].reason}")


def _between(plan: SearchPlan, bracket: _Bracket, sustained: float, failed: float) -> float | SearchEnd:
    if failed / sustained <= plan.precision or (plan.kind == CapacityKind.USERS and failed - sustained <= 1):
        for end in (failed, sustained):
            if not bracket.levels[end].is_settled:
                return end
        return SearchEnd(f"at {failed:g}: {bracket.levels[failed].reason}")
    unclear = [at for at, tries in bracket.levels.items() if sustained < at < failed and tries.too_few]
    if unclear:
        return SearchEnd(f"too few operations at {unclear[0]:g}, between the sustained and the failed level")
    middle = _rounded(plan, math.sqrt(sustained * failed))
    return min(max(middle, sustained + 1), failed - 1) if plan.kind == CapacityKind.USERS else middle


def _rounded(plan: SearchPlan, level: float) -> float:
    """Return a level as whole users, or as a rate of three digits."""
    return float(max(1, round(level))) if plan.kind == CapacityKind.USERS else float(f"{level:.3g}")


def _seconds(plan: SearchPlan, history: Sequence[TriedStep], level: float) -> float:
    """Return the duration that percentiles need, if more users complete as many operations and fewer their proportion, at least."""
    if plan.kind == CapacityKind.RATE:
        expected_per_s = level
    else:
        expected_per_s = max((t.step.achieved_per_s * min(1.0, level / t.planned.level) for t in history), default=0.0)
    needed_s = plan.objective.needs_operations * SPARE / expected_per_s if expected_per_s else 0.0
    return min(plan.longest_step_s, max(plan.step_s, needed_s))
