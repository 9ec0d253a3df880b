"""Latency against throughput, a line per arm: where more load only adds waiting, and what each arm sustains below the limit."""

import math
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.capacity import FAILED, SUSTAINED, in_order, level, limit, outcome, time_ns
from harness.report.load import arms_of
from harness.report.numbers import duration, unit_of
from harness.report.plot import is_crowded
from harness.report.samples import Samples
from harness.report.svg import INK, KEEPS, MUTED, PAPER, legend, log_axis, panels, styles_of
from harness.results.load import Capacity, CapacityStep
from harness.results.run import ScenarioResult
from harness.verdicts.capacity import knee
from harness.verdicts.slo import Bound

ORDER = 13
TITLE = "Capacity: latency against throughput"
HOW_TO_READ = (
    "each mark is a step of the search; further right is more throughput, lower is faster; a line that turns up or back is "
    "saturated. Filled marks meet the objective, hollow ones fail it, small ones are undecided. The dashed line is the limit, the "
    "shaded side meets it. Ring: the knee, where throughput ÷ response time is highest. Drop line: the highest sustained load."
)

ROOM_FOR_LEVELS = 0.3
"""The share of a panel's height that stays free below all marks."""


def draw(result: ScenarioResult, _: Samples | None) -> Figure | None:
    """Draw one panel per kind of capacity; None if none was searched."""
    capacities = [c for c in in_order(result) if _points(c, limit(c.objective))]
    arms = arms_of(result)
    if not capacities or is_crowded(arms):
        return None
    styles = styles_of(result, arms)
    kinds = list(dict.fromkeys(c.kind for c in capacities))
    drawing, panel = panels(kinds, height=290 if len(kinds) > 1 else 250)
    for axes, kind in zip(panel, kinds, strict=True):
        _panel(axes, [(c, arms.index(c.arm), styles[c.arm]) for c in capacities if c.kind == kind])
    legend(drawing, {arm: styles[arm] for arm in arms if arm in {c.arm for c in capacities}})
    return drawing


def _points(capacity: Capacity, limited: Bound) -> list[tuple[CapacityStep, float]]:
    """Return the steps that have a throughput and a response time, by level, with that time."""
    steps = sorted((s for s in capacity.steps if s.achieved_per_s > 0), key=lambda s: s.level)
    return [(s, ns) for s in steps if (ns := time_ns(s, limited))]


def _panel(axes: Axes, found: list[tuple[Capacity, int, dict[str, Any]]]) -> None:
    """Draw capacities of one kind, each with its arm's position and style."""
    limited = limit(found[0][0].objective)
    points = [_points(capacity, limited) for capacity, _, _ in found]
    for (capacity, _, style), of_arm in zip(found, points, strict=True):
        _line(axes, capacity, of_arm, limited, style)
    unit = unit_of(ns for of_arm in points for _, ns in of_arm)
    axes.set(xlabel="throughput per second (log)", ylabel=f"{limited.name} ({unit.name})", yscale="log")
    axes.margins(x=0.12, y=0.14)
    log_axis(axes, "x")
    low, high = axes.get_ylim()
    limit_ns = limited.limit if math.isfinite(limited.limit) else 0.0
    high = max(high, limit_ns * 1.6)
    low /= (high / low) ** ROOM_FOR_LEVELS
    axes.set_ylim(low, high)
    log_axis(axes, "y", unit)
    if limit_ns:
        axes.axhspan(low, limit_ns, color=KEEPS, linewidth=0, zorder=0)
        axes.axhline(limit_ns, color=INK, linewidth=1.0, linestyle=(0, (5, 3)))
        _write(axes, f"{limited.name} < {duration(limit_ns)}", axes.get_xlim()[0], limit_ns, 8, MUTED)
    for (capacity, position, style), of_arm in zip(found, points, strict=True):
        sustained = [(s.achieved_per_s, ns) for s, ns in of_arm if s.level == capacity.sustained]
        if capacity.sustained is not None and sustained:
            x, ns = sustained[-1]
            axes.plot([x, x], [low, ns], color=style["color"], linewidth=0.9, linestyle=(0, (1, 1.5)))
            place = low * (high / low) ** (0.04 + ROOM_FOR_LEVELS / 4 * (position % 4))
            _write(axes, level(capacity.sustained, capacity.kind), x, place, 0, style["color"])


def _line(axes: Axes, capacity: Capacity, points: list[tuple[CapacityStep, float]], limited: Bound, style: dict[str, Any]) -> None:
    """Draw a mark per step, a line through the geometric mean of each level, and a ring around the knee."""
    colour = style["color"]
    for step, ns in points:
        how = outcome(step)
        mark = {"markersize": 6.0 if how in {SUSTAINED, FAILED} else 3.0, "markerfacecolor": colour if how == SUSTAINED else "none"}
        axes.plot([step.achieved_per_s], [ns], **style | {"linestyle": "", "markeredgewidth": 1.4} | mark)
    by_level = groupby(points, key=lambda point: point[0].level)
    centres = [np.exp(np.log([(step.achieved_per_s, ns) for step, ns in same]).mean(axis=0)) for _, same in by_level]
    axes.plot(*np.transpose(centres), color=colour, linestyle=style["linestyle"], linewidth=1.5)
    bend = knee(capacity.steps)
    if bend and (ns_at_knee := time_ns(bend, limited)):
        ring: dict[str, Any] = {"marker": "o", "markersize": 13, "markerfacecolor": "none", "markeredgewidth": 1.2}
        axes.plot([bend.achieved_per_s], [ns_at_knee], linestyle="", color=colour, alpha=0.8, **ring)


def _write(axes: Axes, text: str, x: float, y: float, up: float, colour: str) -> None:
    """Write to the right of a point, or to its left at the panel's edge."""
    left, right = axes.get_xlim()
    at_edge = x > left * (right / left) ** 0.7
    box = {"facecolor": PAPER, "alpha": 0.75, "linewidth": 0, "pad": 0.8}
    offset, side = ((-4, up), "right") if at_edge else ((4, up), "left")
    axes.annotate(text, (x, y), offset, textcoords="offset points", ha=side, va="center", fontsize=9.5, color=colour, bbox=box)
