"""Latency by percentile, a line per arm: where the tail begins, and whether a change reaches it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from harness.report.figures import Samples
from harness.report.numbers import unit_of
from harness.report.svg import is_crowded, legend, log_axis, panels, shorten, styles_of
from harness.report.tables import groups_of
from harness.results.run import AA_CONTROL, ScenarioResult
from harness.stats.intervals import SAMPLES_BEYOND

ORDER = 20
TITLE = "Latency by percentile"
HOW_TO_READ = (
    "lower is faster; each step to the right is one more nine (p90, p99, p99.9), so that the tail is as wide as the middle. "
    "The line is faint where fewer than ten samples lie beyond."
)
NEEDS_SAMPLES = True
NINES = {50: 2.0, 90: 10.0, 95: 20.0, 99: 100.0, 99.9: 1000.0, 99.99: 10000.0}
CROWDED = 95
"""The percentile whose label does not fit next to p90 in a small panel; the table has it."""
POINTS = 160


def draw(result: ScenarioResult, samples: Samples | None) -> Figure | None:
    """Draw one panel per group of cases; None without samples, or with too many arms."""
    if samples is None or not len(samples["arm"]):
        return None
    groups = groups_of(result, result.latencies) or list(dict.fromkeys(samples["group"].tolist()))
    timed = set(samples["arm"].tolist()) - {AA_CONTROL}
    arms = [name for name in dict.fromkeys([a.name for a in result.arms] + sorted(timed)) if name in timed]
    if is_crowded(arms):
        return None
    styles = styles_of(result, arms)
    drawing, panel = panels(len(groups))
    for axes, group in zip(panel, groups, strict=True):
        of_group = samples["group"] == group
        for arm in arms:
            latencies = np.sort(samples["latency_ns"][of_group & (samples["arm"] == arm)].astype(np.float64))
            if len(latencies) > 1:
                _line(axes, latencies, styles[arm] | {"marker": ""})
        unit = unit_of(np.median(samples["latency_ns"][of_group], keepdims=True).tolist() if of_group.any() else [])
        axes.set_title(shorten(group, 200))
        axes.set_ylabel(f"latency ({unit.name})")
        log_axis(axes, "y", unit)
        axes.set_xscale("log")
        shown = {label: x for label, x in NINES.items() if x <= axes.get_xlim()[1] and not (label == CROWDED and len(groups) > 1)}
        axes.xaxis.set_major_locator(FixedLocator(list(shown.values())))
        axes.xaxis.set_major_formatter(FixedFormatter([f"p{label:g}" for label in shown]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.margins(x=0.02)
    legend(drawing, [(arm, styles[arm] | {"marker": ""}) for arm in arms])
    return drawing


def _line(axes: Axes, latencies: npt.NDArray[np.float64], style: dict[str, Any]) -> None:
    number = len(latencies)
    nines = np.geomspace(1.0, number, POINTS)
    values = np.quantile(latencies, 1 - 1 / nines)
    supported = nines <= number / SAMPLES_BEYOND
    axes.plot(nines[supported], values[supported], linewidth=1.8, **style)
    beyond = ~supported
    beyond[max(0, int(supported.sum()) - 1)] = True
    axes.plot(nines[beyond], values[beyond], linewidth=1.2, alpha=0.35, **style)
