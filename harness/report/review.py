"""What a run answers to the review as a whole: its scorecard and its ranking, each beside measured figures."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.report import ablation
from harness.report.numbers import DASH, interval
from harness.report.promises import HEADINGS, OPTIMISED, SIGNS, PromiseRow, figure, rows
from harness.report.tables import Cell, Table
from harness.results.run import Priority, Review, Run, SwitchGain, Verdict
from harness.verdicts.promise import format_value

TIMES = "×"
PRIORITY = ("area", "priority", "impact", "effort", "gain, it says")
"""What the review says of one of its areas."""


def answers(run: Run) -> list[Table]:
    """Return the scorecard and the rankings of a run at one place; none for a review without either, or if nothing was tried."""
    if run.review is None:
        return []
    promises = rows(run)
    found = (scorecard(run.review, promises), ranking(run.review, promises)) if promises else ()
    ablated = (ablated_ranking(run.review, part) for part in ablation.parts(run))
    return [table for table in (*found, *ablated) if table is not None]


def scorecard(review: Review, promises: Sequence[PromiseRow]) -> Table | None:
    """Return the review's ratings beside what was measured of the promises that answer them; None if it rates nothing."""
    if not review.scorecard:
        return None
    lines = []
    for score in review.scorecard:
        of_score = [row for row in promises if row.promise in score.promises]
        missing = [promise for promise in score.promises if promise not in {row.promise for row in of_score}]
        cells = [Cell("; ".join([*_said(of_score, arm), *(f"{m} not in this run" for m in missing)]) or DASH) for arm in HEADINGS]
        lines.append((Cell(score.aspect), Cell(score.today), Cell(score.goal), *cells))
    head = ("the review's scorecard", "today, it says", "possible, it says", *(name.lower() for name in HEADINGS.values()))
    return Table("The review's scorecard, and what was measured", head, tuple(lines), names=len(head))


def ranking(review: Review, promises: Sequence[PromiseRow]) -> Table | None:
    """Return the review's order of priorities beside the order by measured gain, done right; None if it ranks nothing.

    A gain is the geometric mean of the times faster of the promises that answer a priority. What was not measured as times faster
    has no rank.
    """
    if not review.priorities:
        return None
    gains = {p.area: {arm: _gain(p, promises, arm) for arm in HEADINGS} for p in review.priorities}
    measured = [(gain, area) for area, of in gains.items() if (gain := of[OPTIMISED]) is not None]
    ranks = {area: place for place, (_, area) in enumerate(sorted(measured, reverse=True), start=1)}
    lines = [
        (*_said_of(p, review), *(_times(gains[p.area][arm], p.answers) for arm in HEADINGS), Cell(str(ranks.get(p.area, DASH))))
        for p in review.priorities
    ]
    head = (*PRIORITY, *(name.lower() for name in HEADINGS.values()), "rank, measured")
    return Table("The review's priorities, and the gain that was measured", head, tuple(lines), names=len(PRIORITY))


def ablated_ranking(review: Review, part: ablation.AblationPart) -> Table | None:
    """Return the review's order of priorities beside the order by what each switch brings last; None if the review names none."""
    found = {switch.switch: switch for switch in part.found.switches}
    if not any(p.switch in found for p in review.priorities):
        return None
    lines = [(*_said_of(p, review), *_switched(found.get(p.switch or ""))) for p in review.priorities]
    head = (*PRIORITY, "gain alone", "gain last", "95 %", "place, measured")
    return Table(f"The review's priorities, and the places by ablation ({part.heading})", head, tuple(lines), names=len(PRIORITY))


def _said_of(priority: Priority, review: Review) -> tuple[Cell, ...]:
    words = (review.areas.get(priority.area, priority.area), priority.priority, priority.impact, priority.effort, priority.gain)
    return tuple(map(Cell, words))


def _switched(switch: SwitchGain | None) -> tuple[Cell, ...]:
    if switch is None:
        return (Cell(DASH, "no switch of what was ablated"),) * 4
    last = switch.last
    place = ablation.place(switch.rank_best, switch.rank_worst)
    return (Cell(ablation.gained(switch.alone)), Cell(ablation.gained(last)), Cell(interval(last.low, last.high)), Cell(place))


def _said(promises: Sequence[PromiseRow], arm: str) -> list[str]:
    said = []
    for row in promises:
        verdict = row.of(arm)
        if verdict is not None and figure(verdict):
            said.append(f"{row.label} {SIGNS.get(verdict.verdict, '')} {figure(verdict)}")
    return said


def _gain(priority: Priority, promises: Sequence[PromiseRow], arm: str) -> float | None:
    wanted = set(priority.answers)
    verdicts = [row.of(arm) for row in promises if _name(row) in wanted]
    found = [v.value for v in verdicts if v is not None and _is_times(v) and v.value]
    return math.exp(math.fsum(map(math.log, found)) / len(found)) if found else None


def _name(row: PromiseRow) -> str:
    return f"{row.promise} · {row.part}" if row.part else row.promise


def _is_times(verdict: Verdict) -> bool:
    return verdict.unit == TIMES and verdict.value is not None and verdict.value > 0


def _times(gain: float | None, answers: Sequence[str]) -> Cell:
    if gain is None:
        return Cell(DASH, f"no times faster measured of {', '.join(answers) or 'it'}")
    return Cell(format_value(gain, TIMES), f"from {', '.join(answers)}")
