"""The search for the highest level at which an objective holds: which level to try next, as a pure function of what was tried.

Levels double until one fails; between the highest that held and the lowest that failed the search then halves the distance on the
logarithmic scale, until they are close. Both ends are tried again, and a third time where two tries differ: the majority counts,
and where it overturns an end the search goes on from there, so that a moment's noise ends no search in the wrong place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.results.load import Capacity, CapacityKind, CapacityStep
from harness.verdicts.slo import LoadObservation, Objective, statistic_ns

CLOSE = 1.1
"""How close the ends of a bracket have to be: the lowest level that fails ÷ the highest that holds."""

TRIES = 2
"""How often an end of the bracket is tried before it counts, and how often a level at which the generator was the limit."""

SPARE = 1.2
"""How many times the operations a percentile needs a step is planned for, since arrivals are random."""

START = {CapacityKind.RATE: 50.0, CapacityKind.USERS: 8.0}
"""The levels that are tried first."""

MOST = {CapacityKind.RATE: 100_000.0, CapacityKind.USERS: 2_000.0}
"""The highest levels that are tried."""


@dataclass(frozen=True)
class SearchPlan:
    """What is searched, for each arm alike. A step measures `step_s`, or longer up to `longest_step_s` where it saw too little.

    `budget_s` is the time the search of one arm may take, with all that its steps take beside measuring.
    """

    kind: CapacityKind
    objective: Objective
    start: float
    most: float
    step_s: float = 3.0
    longest_step_s: float = 30.0
    budget_s: float = 120.0

    @property
    def least(self) -> float:
        """The lowest level worth a try: one user, or the rate that brings enough operations in the longest step."""
        return 1.0 if self.kind == CapacityKind.USERS else self.objective.needs_operations * SPARE / self.longest_step_s


@dataclass(frozen=True)
class Next:
    """The step to carry out next: the level, and for how many seconds it is measured."""

    level: float
    seconds: float


@dataclass(frozen=True)
class Ended:
    """The search is over, with the reason. `out_of_budget`: it was stopped before it was done."""

    because: str
    out_of_budget: bool = False


@dataclass(frozen=True)
class Tried:
    """A step that was carried out: what was asked, what came of it, and the seconds it took with all that belongs to it."""

    asked: Next
    step: CapacityStep
    spent_s: float


def tried(plan: SearchPlan, asked: Next, seen: LoadObservation, spent_s: float) -> Tried:
    """Return a step with its verdict. Its figures are the percentiles, "mean" and "max" of the response times."""
    verdict = plan.objective.judge(seen)
    figures = {**seen.response.percentiles_ns, **{name: statistic_ns(seen.response, name) for name in ("mean", "max")}}
    step = CapacityStep(
        level=asked.level,
        achieved_per_s=seen.achieved_per_s,
        operations=seen.completed,
        errors=seen.sent - seen.completed,
        percentiles_ns=figures,
        sustained=verdict.is_met,
        reason=verdict.reason,
        invalid=seen.invalid,
    )
    return Tried(asked, step, spent_s)


def following(plan: SearchPlan, history: Sequence[Tried]) -> Next | Ended:
    """Return what to do after what was tried, oldest first."""
    known = _Known(plan, history)
    step = _again(plan, known)
    if step is None:
        level = _onward(plan, known)
        if isinstance(level, Ended):
            return level
        step = Next(level, _seconds(plan, history, level))
    if sum(t.spent_s for t in history) + step.seconds > plan.budget_s:
        return Ended(f"the budget of {plan.budget_s:g} s ended; give more time with --budget", out_of_budget=True)
    return step


def capacity(plan: SearchPlan, arm: str, history: Sequence[Tried], because: str) -> Capacity:
    """Return what the search of an arm found; `because` is why it ended."""
    known = _Known(plan, history)
    objective = plan.objective.description(offered=plan.kind == CapacityKind.RATE)
    return Capacity(arm, plan.kind, objective, known.holds, known.fails, [t.step for t in history], because)


@dataclass
class _Level:
    """The tries of one level: how often it held, failed, and was beyond the generator; whether the longest step saw too little."""

    held: int = 0
    failed: int = 0
    invalid: int = 0
    too_little: bool = False
    because: str = ""

    @property
    def settled(self) -> bool:
        """Whether there is nothing to gain from another try."""
        return self.held + self.failed >= TRIES or self.invalid >= TRIES or self.too_little

    def hear(self, plan: SearchPlan, tried: Tried) -> None:
        """Count one more try."""
        step = tried.step
        self.held += step.sustained is True
        self.failed += step.sustained is False
        self.invalid += step.invalid is not None
        unclear = step.sustained is None and step.invalid is None
        self.too_little |= unclear and tried.asked.seconds >= plan.longest_step_s
        if step.sustained is False or (step.sustained is None and not self.failed):
            self.because = step.reason


@dataclass
class _Known:
    """What a history says: `holds` is the highest level that held below every one that failed, `fails` the lowest that failed."""

    plan: SearchPlan
    history: Sequence[Tried]
    levels: dict[float, _Level] = field(default_factory=dict)
    holds: float | None = None
    fails: float | None = None

    def __post_init__(self) -> None:
        for t in self.history:
            self.levels.setdefault(t.asked.level, _Level()).hear(self.plan, t)
        # Two tries that differ have a third before this counts; where that one has nothing to say, in warning the level did not hold.
        failing = [at for at, level in self.levels.items() if level.failed and level.failed >= level.held]
        self.fails = min(failing, default=None)
        top = math.inf if self.fails is None else self.fails
        self.holds = max((at for at, level in self.levels.items() if level.held > level.failed and at < top), default=None)

    def beyond_the_generator(self) -> float | None:
        """Return the lowest level at which the generator was the limit, again and again, unless a lower one failed."""
        top = math.inf if self.fails is None else self.fails
        return min((at for at, level in self.levels.items() if level.invalid >= TRIES and at <= top), default=None)


def _again(plan: SearchPlan, known: _Known) -> Next | None:
    """Return the last level once more, if its last try said nothing but might, or its tries contradict each other."""
    if not known.history:
        return None
    last = known.history[-1]
    level = known.levels[last.asked.level]
    if last.step.sustained is not None:
        return last.asked if level.held == level.failed else None
    if last.step.invalid is not None:
        return last.asked if level.invalid < TRIES else None
    if last.asked.seconds >= plan.longest_step_s:
        return None
    missing = plan.objective.needs_operations * SPARE / max(1, last.step.operations)
    return Next(last.asked.level, min(plan.longest_step_s, last.asked.seconds * min(10.0, max(1.5, missing))))


def _onward(plan: SearchPlan, known: _Known) -> float | Ended:
    beyond = known.beyond_the_generator()
    if not known.levels:
        return min(max(plan.start, plan.least), plan.most)
    if beyond is not None and known.holds is not None:
        return Ended(f"at least {known.holds:g}: at {beyond:g} the generator was the limit ({known.levels[beyond].because})")
    if known.fails is None and beyond is None:
        return _up(plan, known)
    if known.holds is None:
        return _down(plan, known, min(level for level in (known.fails, beyond) if level is not None))
    assert known.fails is not None, "whatever is beyond the generator has ended the search where a level held"
    return _between(plan, known, known.holds, known.fails)


def _up(plan: SearchPlan, known: _Known) -> float | Ended:
    top = max(known.levels)
    if top < plan.most:
        return min(plan.most, 2 * top)
    if not known.levels[top].settled:
        return top
    if known.holds != top:
        return Ended(f"too little evidence at {top:g}, the highest level there is to try")
    return Ended(f"at least {top:g}, the highest level there is to try")


def _down(plan: SearchPlan, known: _Known, lowest: float) -> float | Ended:
    least = max(plan.least, max((at for at, level in known.levels.items() if level.too_little and at < lowest), default=0.0))
    lower = max(least, _rounded(plan, lowest / 2))
    if lower < lowest and lower not in known.levels:
        return lower
    if not known.levels[lowest].settled:
        return lowest
    return Ended(f"no level held: at {lowest:g}, the lowest that can be judged, {known.levels[lowest].because}")


def _between(plan: SearchPlan, known: _Known, holds: float, fails: float) -> float | Ended:
    if fails / holds <= CLOSE or (plan.kind == CapacityKind.USERS and fails - holds <= 1):
        for end in (fails, holds):
            if not known.levels[end].settled:
                return end
        return Ended(f"at {fails:g}: {known.levels[fails].because}")
    unclear = [at for at, level in known.levels.items() if holds < at < fails and level.too_little]
    if unclear:
        return Ended(f"too little evidence at {unclear[0]:g}, between what held and what failed")
    middle = _rounded(plan, math.sqrt(holds * fails))
    return min(max(middle, holds + 1), fails - 1) if plan.kind == CapacityKind.USERS else middle


def _rounded(plan: SearchPlan, level: float) -> float:
    """Return a level that can be had and read: whole users, rates of three digits."""
    return float(max(1, round(level))) if plan.kind == CapacityKind.USERS else float(f"{level:.3g}")


def _seconds(plan: SearchPlan, history: Sequence[Tried], level: float) -> float:
    """Return how long a step has to be for its percentiles. More users answer no less than fewer, fewer at least in proportion."""
    if plan.kind == CapacityKind.RATE:
        expected_per_s = level
    else:
        expected_per_s = max((t.step.achieved_per_s * min(1.0, level / t.asked.level) for t in history), default=0.0)
    needed_s = plan.objective.needs_operations * SPARE / expected_per_s if expected_per_s else 0.0
    return min(plan.longest_step_s, max(plan.step_s, needed_s))
