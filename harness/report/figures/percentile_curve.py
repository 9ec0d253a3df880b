"""Latency by percentile, a line per arm: where the tail begins, and whether a change reaches it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.figures import Samples
from harness.report.numbers import unit_of
from harness.report.svg import is_crowded, legend, log_axis, panels, styles_of
from harness.report.tables import arms_in_order, groups_of
from harness.results.run import AA_CONTROL, ScenarioResult
from harness.stats.intervals import QUANTILES, SAMPLES_BEYOND

ORDER = 20
TITLE = "Latency by percentile"
HOW_TO_READ = (
    "lower is faster; each step to the right is one more nine (p90, p99, p99.9), so that the tail is as wide as the middle. "
    "The line is faint where fewer than ten samples lie beyond."
)
NEEDS_SAMPLES = True
NINES = {label: 1 / (1 - quantile) for label, quantile in QUANTILES.items()}
"""Percentiles by their position on an axis of nines: 1 ÷ (1 - p)."""
CROWDED = "95"
"""The percentile whose label does not fit next to p90 in a small panel; the table has it."""
POINTS = 160

Points = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]
"""A curve: nines (1 ÷ (1 - p)), nanoseconds, and whether enough operations lie beyond; arrays of equal length."""


def draw(result: ScenarioResult, samples: Samples | None) -> Figure | None:
    """Draw one panel per group of cases; None without samples, or with too many arms."""
    if samples is None or not len(samples["arm"]):
        return None
    groups = groups_of(result, result.latencies) or list(dict.fromkeys(samples["group"].tolist()))
    arms = arms_in_order(result, sorted(set(samples["arm"].tolist()) - {AA_CONTROL}))
    if is_crowded(arms):
        return None
    styles = {arm: style | {"marker": ""} for arm, style in styles_of(result, arms).items()}
    drawing, panel = panels(groups)
    for axes, group in zip(panel, groups, strict=True):
        of_group = samples["group"] == group
        for arm in arms:
            latencies = np.sort(samples["latency_ns"][of_group & (samples["arm"] == arm)].astype(np.float64))
            if len(latencies) > 1:
                nines = np.geomspace(1.0, len(latencies), POINTS)
                points = (nines, np.quantile(latencies, 1 - 1 / nines), nines <= len(latencies) / SAMPLES_BEYOND)
                curve(axes, points, styles[arm] | {"linewidth": 1.8}, {"linewidth": 1.2, "alpha": 0.35})
        unit = unit_of(np.median(samples["latency_ns"][of_group], keepdims=True).tolist() if of_group.any() else [])
        axes.set_ylabel(f"latency ({unit.name})")
        log_axis(axes, "y", unit)
        nines_axis(axes, NINES | {"99.99": 10000.0}, is_small=len(groups) > 1)
    legend(drawing, {arm: styles[arm] for arm in arms})
    return drawing


def curve(axes: Axes, points: Points, style: Mapping[str, Any], faint: Mapping[str, Any]) -> None:
    """Draw a curve, in a `faint` style where too few operations lie beyond."""
    nines, values, supported = points
    axes.plot(nines[supported], values[supported], **style)
    beyond = ~supported
    if beyond.any():
        beyond[max(0, int(supported.sum()) - 1)] = True  # so that the line does not break
        axes.plot(nines[beyond], values[beyond], **{**style, **faint})


def nines_axis(axes: Axes, nines: Mapping[str, float], *, is_small: bool) -> None:
    """Make the x axis logarithmic, with the percentiles of `nines` that are in view, in a small panel without `CROWDED`."""
    axes.set_xscale("log")
    end = axes.get_xlim()[1] * 1.01
    shown = {f"p{label}": x for label, x in nines.items() if x <= end and not (is_small and label == CROWDED)}
    axes.set_xticks(list(shown.values()), list(shown))
    axes.minorticks_off()
    axes.margins(x=0.02)
