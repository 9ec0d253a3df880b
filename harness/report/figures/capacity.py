"""Latency against throughput, a line per arm: where more load only adds waiting, and what each arm sustains below the limit."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.capacity import FAILED, SUSTAINED, Limit, in_order, level, limit, outcome
from harness.report.figures import Samples
from harness.report.load import arms_of
from harness.report.numbers import Unit, duration, unit_of
from harness.report.svg import INK, KEEPS, MUTED, PAPER, is_crowded, legend, log_axis, panels, shorten, styles_of
from harness.results.load import Capacity
from harness.results.run import ScenarioResult
from harness.verdicts.capacity import knee

ORDER = 13
TITLE = "Capacity: latency against throughput"
HOW_TO_READ = (
    "each mark is a step of the search; further right is more throughput, lower is faster; a line that turns up or back is "
    "saturated. Filled marks meet the objective, hollow ones fail it, small ones are undecided. The dashed line is the limit, the "
    "shaded side meets it. Ring: the knee, where throughput ÷ response time is highest. Drop line: the highest sustained load."
)

ROOM_FOR_LEVELS = 0.3
"""The share of a panel's height that stays free below all marks."""


def draw(result: ScenarioResult, samples: Samples | None) -> Figure | None:  # noqa: ARG001 - all figures have one signature
    """Draw one panel per kind of capacity; None if none was searched."""
    capacities = [c for c in in_order(result) if _points(c, limit(c.objective).percentile)]
    arms = arms_of(result)
    if not capacities or is_crowded(arms):
        return None
    styles = styles_of(result, arms)
    kinds = list(dict.fromkeys(c.kind for c in capacities))
    drawing, panel = panels(len(kinds), height=290 if len(kinds) > 1 else 250)
    for axes, kind in zip(panel, kinds, strict=True):
        found = [c for c in capacities if c.kind == kind]
        limited = limit(found[0].objective)
        for capacity in found:
            _line(axes, capacity, styles[capacity.arm], limited)
        unit = unit_of([ns for c in found for _, ns in _points(c, limited.percentile)])
        axes.set_title(shorten(kind, 200))
        axes.set_xlabel("throughput per second (log)")
        axes.set_ylabel(f"{limited.name} ({unit.name})")
        axes.margins(x=0.12, y=0.14)
        log_axis(axes, "x")
        log_axis(axes, "y", unit)
        _limit(axes, limited, unit)
        for capacity in found:
            _sustained(axes, capacity, arms.index(capacity.arm), styles[capacity.arm], limited)
    legend(drawing, [(arm, styles[arm]) for arm in arms if arm in {c.arm for c in capacities}])
    return drawing


def _points(capacity: Capacity, percentile: str) -> list[tuple[float, float]]:
    steps = [s for s in capacity.steps if s.achieved_per_s > 0]
    return [(s.achieved_per_s, ns) for s in steps if (ns := s.percentiles_ns.get(percentile))]


def _line(axes: Axes, capacity: Capacity, style: dict[str, Any], limited: Limit) -> None:
    by_level: dict[float, list[tuple[float, float]]] = defaultdict(list)
    for step in sorted(capacity.steps, key=lambda s: s.level):
        ns = step.percentiles_ns.get(limited.percentile)
        if not ns or step.achieved_per_s <= 0:
            continue
        by_level[step.level].append((math.log(step.achieved_per_s), math.log(ns)))
        how = outcome(step)
        face = style["color"] if how == SUSTAINED else "none"
        size = 6.0 if how in {SUSTAINED, FAILED} else 3.0
        mark = {"color": style["color"], "marker": style["marker"], "markersize": size, "markerfacecolor": face}
        axes.plot([step.achieved_per_s], [ns], linestyle="", markeredgewidth=1.4, **mark)
    centres = [[math.exp(sum(column) / len(column)) for column in zip(*points, strict=True)] for points in by_level.values()]
    axes.plot(*zip(*centres, strict=True), color=style["color"], linestyle=style["linestyle"], linewidth=1.5)
    bend = knee(capacity.steps)
    at = bend and bend.percentiles_ns.get(limited.percentile)
    if bend and at:
        ring: dict[str, Any] = {"marker": "o", "markersize": 13, "markerfacecolor": "none", "markeredgewidth": 1.2}
        axes.plot([bend.achieved_per_s], [at], linestyle="", color=style["color"], alpha=0.8, **ring)


def _limit(axes: Axes, limited: Limit, unit: Unit) -> None:
    """Draw the limit, with room above it, and below all marks for the labels of the levels."""
    low, high = axes.get_ylim()
    high = max(high, (limited.limit_ns or 0) * 1.6)
    low /= (high / low) ** ROOM_FOR_LEVELS
    axes.set_ylim(low, high)
    log_axis(axes, "y", unit)
    if limited.limit_ns is None:
        return
    axes.axhspan(low, limited.limit_ns, color=KEEPS, linewidth=0, zorder=0)
    axes.axhline(limited.limit_ns, color=INK, linewidth=1.0, linestyle=(0, (5, 3)))
    _write(axes, f"{limited.name} < {duration(limited.limit_ns)}", axes.get_xlim()[0], limited.limit_ns, 8, MUTED)


def _sustained(axes: Axes, capacity: Capacity, position: int, style: dict[str, Any], limited: Limit) -> None:
    """Draw a line from the highest sustained level down to the axis, labelled with the level."""
    sustained = [s for s in capacity.steps if s.level == capacity.sustained and s.percentiles_ns.get(limited.percentile)]
    if not sustained or capacity.sustained is None:
        return
    x, y = sustained[-1].achieved_per_s, sustained[-1].percentiles_ns[limited.percentile]
    assert y is not None
    low, high = axes.get_ylim()
    colour = str(style["color"])
    axes.plot([x, x], [low, y], color=colour, linewidth=0.9, linestyle=(0, (1, 1.5)))
    place = low * (high / low) ** (0.04 + ROOM_FOR_LEVELS / 4 * (position % 4))
    _write(axes, level(capacity.sustained, capacity.kind), x, place, 0, colour)


def _write(axes: Axes, text: str, x: float, y: float, up: float, colour: str) -> None:
    """Write to the right of a point, or to its left at the panel's edge."""
    left, right = axes.get_xlim()
    at_edge = x > left * (right / left) ** 0.7
    axes.annotate(
        text,
        (x, y),
        xytext=(-4 if at_edge else 4, up),
        textcoords="offset points",
        ha="right" if at_edge else "left",
        va="center",
        fontsize=9.5,
        color=colour,
        bbox={"facecolor": PAPER, "alpha": 0.75, "linewidth": 0, "pad": 0.8},
    )
