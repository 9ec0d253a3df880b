"""A run's answers to a review: its scorecard and its priorities next to the measured figures."""

from collections.abc import Sequence
from statistics import geometric_mean

from harness.language import gettext, mark
from harness.report import ablation
from harness.report.blocks import Cell, Table, cells
from harness.report.numbers import DASH
from harness.report.promises import PromiseRow, columns_of, rows
from harness.report.tables import with_interval
from harness.results.run import Ablation, Priority, Review, Run
from harness.verdicts.promise import TIMES, format_value

PRIORITY = (mark("area"), mark("priority"), mark("impact"), mark("effort"), mark("gain, in the review"))
"""The columns with the review's own statements on an area."""


def answers(run: Run) -> list[Table]:
    """Return the scorecard and the rankings of a run at one place; none for a review without either, or if nothing was tried."""
    if run.review is None:
        return []
    promises = rows(run)
    found = (scorecard(run.review, promises), ranking(run.review, promises)) if promises else ()
    ablated = (ablated_ranking(run.review, *part) for part in ablation.parts(run))
    return [table for table in (*found, *ablated) if table is not None]


def scorecard(review: Review, promises: Sequence[PromiseRow]) -> Table | None:
    """Return the review's ratings next to the figures of the promises that answer them; None if it rates nothing."""
    if not review.scorecard:
        return None
    arms = columns_of(promises)
    known = {row.promise for row in promises}
    lines = []
    for score in review.scorecard:
        of_score = [row for row in promises if row.promise in score.promises]
        missing = [gettext("{promise} not in this run", promise=promise) for promise in score.promises if promise not in known]
        figures = []
        for arm in arms:
            found = [(row.label, row.cell(arm)) for row in of_score]
            measured = [f"{label} {cell.status.sign} {cell.text}" for label, cell in found if cell.status and cell.text]
            figures.append("; ".join([*measured, *missing]) or DASH)
        lines.append(cells(score.aspect, score.today, score.goal, *figures))
    head = (mark("aspect"), mark("today, in the review"), mark("goal, in the review"), *arms)
    return Table(gettext("The review's scorecard, and what was measured"), head, tuple(lines), names=len(head))


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
    measured = [(gain, area) for area, of_arms in gains.items() if (gain := of_arms.get(leading)) is not None]
    ranks = {area: rank for rank, (_, area) in enumerate(sorted(measured, reverse=True), start=1)}
    lines = []
    for p in review.priorities:
        answers = ", ".join(p.answers)
        missing = Cell(DASH, gettext("no speedup was measured for {answers}", answers=answers or gettext("it")))
        by_arm = [
            missing if gain is None else Cell(format_value(gain, TIMES), gettext("from {answers}", answers=answers))
            for gain in gains[p.area].values()
        ]
        lines.append(cells(*_stated(p, review), *by_arm, str(ranks.get(p.area, DASH))))
    head = (*PRIORITY, *arms, mark("measured rank"))
    return Table(gettext("The review's priorities, and the gain that was measured"), head, tuple(lines), names=len(PRIORITY))


def ablated_ranking(review: Review, heading: str, ablated: Ablation) -> Table | None:
    """Return the review's priorities next to the rank by each switch's gain last; None if the review names no such switch."""
    found = {switch.switch: switch for switch in ablated.switches}
    if not any(p.switch in found for p in review.priorities):
        return None
    lines = []
    for p in review.priorities:
        measured = [Cell(DASH, gettext("not a switch of this ablation"))] * 3
        if switch := found.get(p.switch or ""):
            alone, last = (with_interval(ablation.gain_text(gain), gain.low, gain.high) for gain in (switch.alone, switch.last))
            measured = [Cell(alone.text), last, Cell(ablation.rank(switch))]
        lines.append(cells(*_stated(p, review), *measured))
    head = (*PRIORITY, mark("gain alone"), mark("gain last, 95 % CI"), mark("measured rank"))
    return Table(
        gettext("The review's priorities, and the ranks by ablation ({heading})", heading=heading),
        head,
        tuple(lines),
        names=len(PRIORITY),
    )


def _stated(priority: Priority, review: Review) -> tuple[str, ...]:
    return (review.areas.get(priority.area, priority.area), priority.priority, priority.impact, priority.effort, priority.gain)


def _gain(priority: Priority, promises: Sequence[PromiseRow], arm: str) -> float | None:
    verdicts = [row.of(arm) for row in promises if row.name in priority.answers]
    found = [v.value for v in verdicts if v is not None and v.unit == TIMES and v.value is not None and v.value > 0]
    return geometric_mean(found) if found else None
