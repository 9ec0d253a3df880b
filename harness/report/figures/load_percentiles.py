"""Response and service time by percentile under load, a line per arm: the tail, and how much of it is waiting."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from harness.report.figures import Samples
from harness.report.load import arms_of, groups, overloaded, row_of
from harness.report.numbers import unit_of
from harness.report.svg import is_crowded, legend, log_axis, panels, shorten, styles_of
from harness.results.load import ALL, LatencySummary, LoadedArm, LoadResult
from harness.results.run import ScenarioResult
from harness.stats.intervals import QUANTILES, SAMPLES_BEYOND

ORDER = 12
TITLE = "Response time by percentile, under load"
HOW_TO_READ = (
    "lower is faster; each step to the right is one more nine (p90, p99, p99.9). Thick line: response time, from the intended "
    "start, with 95 % confidence intervals as bars. Thin line: service time; the difference is waiting. Lines are faint where "
    "fewer than ten operations lie beyond. Arms that cannot sustain the rate have no line."
)
CROWDED = "95"
"""The percentile whose label does not fit next to p90 in a small panel; the table has it."""
POINTS = 120
FIRST = 1.25
"""The start of a curve (p20): faster operations would only flatten the rest."""

Curve = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]
"""Nines (1 ÷ (1 - p)), nanoseconds, and whether enough operations lie beyond: arrays of equal length."""


def draw(result: ScenarioResult, samples: Samples | None) -> Figure | None:
    """Draw one panel per group of operations; None without load, in an invalid run, or if no arm sustains the rate."""
    load = result.load
    arms = arms_of(result)
    if load is None or load.invalid or is_crowded(arms):
        return None
    shown = {group: _sustained(load, arms, group) for group in groups(result)}
    shown = {group: rows for group, rows in shown.items() if rows}
    if not shown:
        return None
    styles = styles_of(result, arms)
    drawing, panel = panels(len(shown))
    for axes, (group, rows) in zip(panel, shown.items(), strict=True):
        for row in rows:
            style = styles[row.arm] | {"marker": ""}
            _line(axes, _curve(row.service, samples, row, "service"), style | {"linewidth": 0.9}, faint=0.3)
            _line(axes, _curve(row.response, samples, row, "response"), style | {"linewidth": 2.0}, faint=0.35)
            _intervals(axes, row.response, style)
        _label(axes, [row.response.percentiles_ns.get("50") for row in rows], few=len(shown) > 1)
        axes.set_title(shorten(group.capitalize() if group == ALL else group, 200))
    sustained = {row.arm for rows in shown.values() for row in rows}
    missing = {"alpha": 0.35}
    legend(
        drawing,
        [
            (arm, styles[arm] | {"marker": ""})
            if arm in sustained
            else (f"{arm}: rate not sustained", styles[arm] | {"marker": ""} | missing)
            for arm in arms
        ],
    )
    return drawing


def _sustained(load: LoadResult, arms: list[str], group: str) -> list[LoadedArm]:
    rows = [row_of(load, arm, group) for arm in arms if not overloaded(load, arm, group)]
    return [row for row in rows if row is not None and any(row.response.percentiles_ns.values())]


def _curve(times: LatencySummary, samples: Samples | None, row: LoadedArm, kind: str) -> Curve:
    """Return a whole curve from the histograms of a run's folder, or else the percentiles of the record."""
    if samples is not None:
        # The record has a row over all groups; the histograms may lack it, but sum up to it.
        of_group = samples["group"] == row.group
        of_group = of_group if of_group.any() else samples["group"] != ALL
        chosen = (samples["arm"] == row.arm) & of_group & (samples["kind"] == kind)
        lower_ns, bucket = np.unique(samples["lower_ns"][chosen], return_inverse=True)
        counts = np.bincount(bucket, weights=samples["count"][chosen], minlength=len(lower_ns)).astype(np.int64)
        if counts.sum() > SAMPLES_BEYOND:
            return _from_histogram(lower_ns.astype(np.float64), counts)
    known = [(1 / (1 - q), ns) for label, q in QUANTILES.items() if (ns := times.percentiles_ns.get(label)) is not None]
    nines, values = (np.array(column) for column in zip(*known, strict=True)) if known else (np.array([]), np.array([]))
    return nines, values, np.ones(len(nines), dtype=bool)


def _from_histogram(lower_ns: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> Curve:
    below = np.cumsum(counts)
    nines = np.geomspace(FIRST, float(below[-1]), POINTS)
    at = np.searchsorted(below, (1 - 1 / nines) * below[-1], side="left")
    return nines, lower_ns[np.minimum(at, len(lower_ns) - 1)], nines <= below[-1] / SAMPLES_BEYOND


def _line(axes: Axes, curve: Curve, style: dict[str, object], *, faint: float) -> None:
    nines, values, supported = curve
    axes.plot(nines[supported], values[supported], **style)  # type: ignore[arg-type] # a style is what Matplotlib takes
    beyond = ~supported
    if beyond.any():
        beyond[max(0, int(supported.sum()) - 1)] = True
        axes.plot(nines[beyond], values[beyond], **style | {"alpha": faint})  # type: ignore[arg-type] # as above


def _intervals(axes: Axes, times: LatencySummary, style: dict[str, object]) -> None:
    for label, quantile in QUANTILES.items():
        within = times.intervals_ns.get(label)
        if within is not None and times.percentiles_ns.get(label) is not None:
            nines = 1 / (1 - quantile)
            axes.plot([nines, nines], within, color=str(style["color"]), linewidth=4, alpha=0.4, solid_capstyle="butt")


def _label(axes: Axes, medians_ns: list[float | None], *, few: bool) -> None:
    unit = unit_of(medians_ns)
    axes.set_ylabel(f"time ({unit.name})")
    log_axis(axes, "y", unit)
    axes.set_xscale("log")
    nines = {label: 1 / (1 - q) for label, q in QUANTILES.items() if not (few and label == CROWDED)}
    shown = {label: x for label, x in nines.items() if x <= axes.get_xlim()[1] * 1.01}
    axes.xaxis.set_major_locator(FixedLocator(list(shown.values())))
    axes.xaxis.set_major_formatter(FixedFormatter([f"p{label}" for label in shown]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.02)
