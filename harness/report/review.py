"""A run's answers to a review: its scorecard and its priorities next to the measured figures."""

import math
from collections.abc import Sequence

from harness.report import ablation
from harness.report.blocks import Cell, Table
from harness.report.numbers import DASH, interval
from harness.report.promises import PromiseRow, columns_of, rows, verdict_cell
from harness.results.run import Priority, Review, Run, SwitchGain, Verdict
from harness.verdicts.promise import TIMES, format_value

PRIORITY = ("area", "priority", "impact", "effort", "gain, in the review")
"""The columns with the review's own statements on an area."""


def answers(run: Run) -> list[Table]:
    """Return the scorecard and the rankings of a run at one place; none for a review without either, or if nothing was tried."""
    if run.review is None:
        return []
    promises = rows(run)
    found = (scorecard(run.review, promises), ranking(run.review, promises)) if promises else ()
    ablated = (ablated_ranking(run.review, part) for part in ablation.parts(run))
    return [table for table in (*found, *ablated) if table is not None]


def scorecard(review: Review, promises: Sequence[PromiseRow]) -> Table | None:
    """Return the review's ratings next to the figures of the promises that answer them; None if it rates nothing."""
    if not review.scorecard:
        return None
    arms = columns_of(promises)
    lines = []
    for score in review.scorecard:
        of_score = [row for row in promises if row.promise in score.promises]
        missing = [f"{p} not in this run" for p in score.promises if p not in {row.promise for row in of_score}]
        cells = [Cell("; ".join([*_figures(of_score, arm), *missing]) or DASH) for arm in arms]
        lines.append((Cell(score.aspect), Cell(score.today), Cell(score.goal), *cells))
    head = ("aspect", "today, in the review", "goal, in the review", *arms)
    return Table("The review's scorecard, and what was measured", head, tuple(lines), names=len(head))


def ranking(review: Review, promises: Sequence[PromiseRow]) -> Table | None:
    """Return the review's priorities next to the rank by measured gain of the leading arm; None if it ranks nothing.

    A gain is the geometric mean of the times faster of the promises that answer a priority. Without any, it has no rank. The
    leading arm is the last one that does not test the advice literally.
    """
    if not review.priorities:
        return None
    arms = columns_of(promises)
    literal = {arm.name for row in promises for arm in row.result.arms if arm.as_written}
    leading = next((arm for arm in reversed(arms) if arm not in literal), arms[-1] if arms else "")
    gains = {p.area: {arm: _gain(p, promises, arm) for arm in arms} for p in review.priorities}
    measured = [(gain, area) for area, by_arm in gains.items() if (gain := by_arm.get(leading)) is not None]
    ranks = {area: rank for rank, (_, area) in enumerate(sorted(measured, reverse=True), start=1)}
    lines = [
        (*_stated(p, review), *(_times(gains[p.area][arm], p.answers) for arm in arms), Cell(str(ranks.get(p.area, DASH))))
        for p in review.priorities
    ]
    head = (*PRIORITY, *arms, "measured rank")
    return Table("The review's priorities, and the gain that was measured", head, tuple(lines), names=len(PRIORITY))


def ablated_ranking(review: Review, part: ablation.AblationPart) -> Table | None:
    """Return the review's priorities next to the rank by each switch's gain last; None if the review names no such switch."""
    found = {switch.switch: switch for switch in part.found.switches}
    if not any(p.switch in found for p in review.priorities):
        return None
    lines = [(*_stated(p, review), *_switched(found.get(p.switch or ""))) for p in review.priorities]
    head = (*PRIORITY, "gain alone", "gain last, 95 % CI", "measured rank")
    return Table(f"The review's priorities, and the ranks by ablation ({part.heading})", head, tuple(lines), names=len(PRIORITY))


def _stated(priority: Priority, review: Review) -> tuple[Cell, ...]:
    words = (review.areas.get(priority.area, priority.area), priority.priority, priority.impact, priority.effort, priority.gain)
    return tuple(map(Cell, words))


def _switched(switch: SwitchGain | None) -> tuple[Cell, ...]:
    if switch is None:
        return (Cell(DASH, "not a switch of this ablation"),) * 3
    last = Cell(ablation.gain_text(switch.last), detail=interval(switch.last.low, switch.last.high))
    return (Cell(ablation.gain_text(switch.alone)), last, Cell(ablation.rank(switch)))


def _figures(promises: Sequence[PromiseRow], arm: str) -> list[str]:
    cells = [(row.label, verdict_cell(row.of(arm))) for row in promises]
    return [f"{label} {cell.status.sign} {cell.text}" for label, cell in cells if cell.status and cell.text]


def _gain(priority: Priority, promises: Sequence[PromiseRow], arm: str) -> float | None:
    verdicts = [row.of(arm) for row in promises if row.name in set(priority.answers)]
    found = [v.value for v in verdicts if v is not None and _is_times(v) and v.value]
    return math.exp(math.fsum(map(math.log, found)) / len(found)) if found else None


def _is_times(verdict: Verdict) -> bool:
    return verdict.unit == TIMES and verdict.value is not None and verdict.value > 0


def _times(gain: float | None, answers: Sequence[str]) -> Cell:
    if gain is None:
        return Cell(DASH, f"no speedup was measured for {', '.join(answers) or 'it'}")
    return Cell(format_value(gain, TIMES), f"from {', '.join(answers)}")
