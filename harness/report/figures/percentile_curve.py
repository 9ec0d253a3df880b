"""Latency by percentile, a line per arm: where the tail begins, and whether a change reaches it."""

from collections.abc import Mapping, Sequence
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
from harness.stats.intervals import QUANTILES, highest_supported

ORDER = 20
TITLE = "Latency by percentile"
HOW_TO_READ = (
    "lower is faster; each step to the right is one more nine (p90, p99, p99.9), so that the tail is as wide as the middle. "
    "Bars are 95 % confidence intervals; the line is faint where there are too few samples for one."
)
NEEDS_SAMPLES = True
NINES = {label: 1 / (1 - quantile) for label, quantile in QUANTILES.items()}
"""Percentiles by their position on an axis of nines: 1 ÷ (1 - p)."""
CROWDED = "95"
"""The percentile whose label does not fit next to p90 in a small panel; the table has it."""
POINTS = 160
BESIDE = 1.12
"""The factor on the axis between the bars of two arms."""

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
        for number, arm in enumerate(arms):
            latencies = np.sort(samples["latency_ns"][of_group & (samples["arm"] == arm)].astype(np.float64))
            if len(latencies) > 1:
                nines = np.geomspace(1.0, len(latencies), POINTS)
                row = next((x for x in result.latencies if (x.arm, x.group) == (arm, group)), None)
                effective = min(row.effective_samples.values(), default=len(latencies)) if row else len(latencies)
                is_known = 1 - 1 / nines <= highest_supported(effective)
                curve(
                    axes,
                    (nines, np.quantile(latencies, 1 - 1 / nines), is_known),
                    styles[arm] | {"linewidth": 1.8},
                    {"linewidth": 1.2, "alpha": 0.35},
                )
                intervals(axes, row.intervals_ns if row else {}, styles[arm]["color"], number - (len(arms) - 1) / 2)
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


def intervals(axes: Axes, intervals_ns: Mapping[str, Sequence[float] | None], colour: Any, place: float = 0.0) -> None:
    """Draw the confidence intervals of percentiles as bars on their curve, `place` bars to the right of it."""
    for label, within in intervals_ns.items():
        if within is not None:
            axes.plot([NINES[label] * BESIDE**place] * 2, within, color=colour, linewidth=4, alpha=0.4, solid_capstyle="butt")


def nines_axis(axes: Axes, nines: Mapping[str, float], *, is_small: bool) -> None:
    """Make the x axis logarithmic, with the percentiles of `nines` that are in view, in a small panel without `CROWDED`."""
    axes.set_xscale("log")
    end = axes.get_xlim()[1] * 1.01
    shown = {f"p{label}": x for label, x in nines.items() if x <= end and not (is_small and label == CROWDED)}
    axes.set_xticks(list(shown.values()), list(shown))
    axes.minorticks_off()
    axes.margins(x=0.02)
