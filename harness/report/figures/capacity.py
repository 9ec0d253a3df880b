"""Latency against throughput, a line per arm: where more load only adds waiting, and what each arm sustains below the limit."""

import itertools
import math
from collections.abc import Iterable, Sequence
from itertools import groupby

from harness.language import gettext, mark, word
from harness.report.capacity import in_order, level, limit, outcome, time_ns
from harness.report.load import arms_of
from harness.report.numbers import duration, unit_of
from harness.report.plot import (
    BOTTOM,
    EDGE,
    LEFT,
    TOP,
    WIDTH,
    Chart,
    ChartPanel,
    Point,
    Scale,
    arm_classes,
    dots,
    is_crowded,
    line,
    log_scale,
)
from harness.report.samples import Samples
from harness.results.load import Capacity, CapacityStep, LoadState
from harness.results.run import ScenarioResult
from harness.verdicts.capacity import knee
from harness.verdicts.slo import Bound

ORDER = 3
TITLE = mark("Capacity: latency against throughput")
HOW_TO_READ = mark("A line that turns up is saturated: filled steps meet the limit (dashed), hollow ones fail, a ring is the knee.")
TALL, ROW = 60, 14
"""The additional height of these panels, and that of the label of a sustained level: each has a row of its own below the points."""
RING = "a9 9 0 1 0 18 0a9 9 0 1 0-18 0"


def draw(result: ScenarioResult, _: Samples | None) -> Chart | None:
    """Draw one panel per kind of capacity; None if none was searched."""
    capacities = [c for c in in_order(result) if _points(c, limit(c.objective))]
    arms = arms_of(result)
    if not capacities or is_crowded(arms):
        return None
    classes = arm_classes(result.arms, arms)
    kinds = list(dict.fromkeys(c.kind for c in capacities))
    panels = [_panel(kind, [(c, classes[c.arm]) for c in capacities if c.kind == kind]) for kind in kinds]
    key = [(classes[arm], arm) for arm in arms if arm in {c.arm for c in capacities}]
    return Chart(panels, None, len(kinds), key)


def _points(found: Capacity, limited: Bound) -> list[tuple[CapacityStep, float]]:
    """Return the steps that have a throughput and a response time, by level, with that time."""
    steps = sorted((s for s in found.steps if s.achieved_per_s > 0), key=lambda s: s.level)
    return [(s, ns) for s in steps if (ns := time_ns(s, limited))]


def _panel(kind: str, found: Sequence[tuple[Capacity, str]]) -> ChartPanel:
    """Draw capacities of one kind, each with its arm's class."""
    limited = limit(found[0][0].objective)
    points = [_points(of_arm, limited) for of_arm, _ in found]
    is_labelled = [any(s.level == of_arm.sustained for s, _ in steps) for (of_arm, _), steps in zip(found, points, strict=True)]
    lowest = BOTTOM + TALL - ROW
    bottom = lowest + ROW * sum(is_labelled)
    limits = [limited.limit] if math.isfinite(limited.limit) else []
    times_ns = [ns for of_arm in points for _, ns in of_arm]
    unit = unit_of(times_ns)
    across = log_scale((s.achieved_per_s for of_arm in points for s, _ in of_arm), LEFT, WIDTH - EDGE, margin=0.1)
    down = log_scale([*limits, *times_ns], lowest, TOP, margin=0.12)
    panel = ChartPanel(f"{word(kind)}: {limited.name}, {unit.name}", bottom + 16)
    for limit_ns in limits:
        panel.path("z", f"M{LEFT} {bottom}V{down.at(limit_ns)}H{WIDTH - EDGE}V{bottom}z")
    panel.up(down, LEFT, WIDTH - EDGE, unit.ns)
    panel.across(across, TOP, bottom, gettext("per s"))
    for limit_ns in limits:
        panel.path("o h", f"M{LEFT} {down.at(limit_ns)}H{WIDTH - EDGE}")
        panel.text(LEFT + 4, down.at(limit_ns) - 4, f"{limited.name} < {duration(limit_ns)}", "k")
    rows = (bottom - 4 - ROW * row for row in itertools.count())
    for (of_arm, colour), steps, labelled in zip(found, points, is_labelled, strict=True):
        panel.arm(colour)
        _line(panel, [(s, (across.at(s.achieved_per_s), down.at(ns))) for s, ns in steps], _at_knee(of_arm, limited, across, down))
        if labelled and of_arm.sustained is not None:
            *_, at = (across.at(s.achieved_per_s) for s, _ in steps if s.level == of_arm.sustained)
            row, is_right = next(rows), at > (LEFT + WIDTH) / 2
            panel.path("h", f"M{at} {bottom}V{row - ROW + 4}")
            panel.end()
            panel.text(at + (-4 if is_right else 4), row, level(of_arm.sustained, of_arm.kind), "e" if is_right else "")
        else:
            panel.end()
    return panel


def _at_knee(found: Capacity, limited: Bound, across: Scale, down: Scale) -> Point | None:
    """Return the position of the step with the highest throughput ÷ response time."""
    bend = knee(found.steps)
    ns = time_ns(bend, limited) if bend else None
    return (across.at(bend.achieved_per_s), down.at(ns)) if bend and ns else None


def _line(panel: ChartPanel, steps: Sequence[tuple[CapacityStep, Point]], bend: Point | None) -> None:
    """Draw a mark per step, a line through the middle of each level, and a ring around the knee."""
    by_level = [[point for _, point in same] for _, same in groupby(steps, key=lambda step: step[0].level)]
    panel.path("l", line([(_mean(x for x, _ in same), _mean(y for _, y in same)) for same in by_level]))
    marks = {kind: [point for step, point in steps if outcome(step) == kind] for kind in (LoadState.SUSTAINED, LoadState.FAILED)}
    panel.path("m", dots(point for step, point in steps if outcome(step) not in marks))
    panel.path("c", dots(marks[LoadState.SUSTAINED]))
    panel.path("c", dots(marks[LoadState.FAILED]))
    panel.path("q", dots(marks[LoadState.FAILED]))
    if bend:
        panel.path("n", f"M{bend[0] - 9} {bend[1]}{RING}")


def _mean(values: Iterable[int]) -> int:
    found = list(values)
    return round(sum(found) / len(found))
