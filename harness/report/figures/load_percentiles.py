"""Response and service time by percentile under load, a line per arm: the tail, and how much of it is waiting."""

import numpy as np
from matplotlib.figure import Figure

from harness.report.figures import Samples
from harness.report.figures.percentile_curve import NINES, Points, curve, intervals, nines_axis
from harness.report.load import arms_of, groups, overloaded, row_of
from harness.report.numbers import unit_of
from harness.report.svg import is_crowded, legend, log_axis, panels, styles_of
from harness.results.load import ALL, LatencySummary, LoadedArm
from harness.results.run import ScenarioResult
from harness.stats.intervals import MEDIAN, QUANTILES, highest_supported, is_supported

ORDER = 12
TITLE = "Response time by percentile, under load"
HOW_TO_READ = (
    "lower is faster; each step to the right is one more nine (p90, p99, p99.9). Thick line: response time, from the intended "
    "start, with 95 % confidence intervals as bars. Thin line: service time; the difference is waiting. Lines are faint where "
    "there are too few operations for an interval. Saturated arms have no line."
)
POINTS = 28
FIRST = 1.25
"""The start of a curve (p20): faster operations would only flatten the rest."""


def draw(result: ScenarioResult, samples: Samples | None) -> Figure | None:
    """Draw one panel per group of operations; None without load, in an invalid run, or if no arm sustains the rate."""
    load = result.load
    arms = arms_of(result)
    if load is None or load.invalid or is_crowded(arms):
        return None
    shown: dict[str, list[LoadedArm]] = {}
    for group in groups(result):
        rows = [row_of(load, arm, group) for arm in arms if not overloaded(load, arm, group)]
        if found := [row for row in rows if row is not None and any(row.response.percentiles_ns.values())]:
            shown[group] = found
    if not shown:
        return None
    styles = {arm: style | {"marker": ""} for arm, style in styles_of(result, arms).items()}
    drawing, panel = panels([group.capitalize() if group == ALL else group for group in shown])
    for axes, found in zip(panel, shown.values(), strict=True):
        for number, row in enumerate(found):
            style = styles[row.arm]
            curve(axes, _points(row.service, samples, row, "service"), style | {"linewidth": 0.9}, {"alpha": 0.3})
            curve(axes, _points(row.response, samples, row, "response"), style | {"linewidth": 2.0}, {"alpha": 0.35})
            intervals(axes, row.response.intervals_ns, style["color"], number - (len(found) - 1) / 2)
        unit = unit_of(row.response.percentiles_ns.get("50") for row in found)
        axes.set_ylabel(f"time ({unit.name})")
        log_axis(axes, "y", unit)
        nines_axis(axes, NINES, is_small=len(shown) > 1)
    sustained = {row.arm for rows in shown.values() for row in rows}
    missing = {arm: styles.pop(arm) | {"alpha": 0.35} for arm in arms if arm not in sustained}
    legend(drawing, {arm if arm in styles else f"{arm}: saturated": (styles | missing)[arm] for arm in arms})
    return drawing


def _points(times: LatencySummary, samples: Samples | None, row: LoadedArm, kind: str) -> Points:
    """Return a whole curve from the histograms of a load test's folder, or else the percentiles of the record."""
    if samples is not None and "kind" in samples:
        # The record has a row over all groups; the histograms may lack it, but sum up to it.
        of_group = samples["group"] == row.group
        of_group = of_group if of_group.any() else samples["group"] != ALL
        chosen = (samples["arm"] == row.arm) & of_group & (samples["kind"] == kind)
        lower_ns, bucket = np.unique(samples["lower_ns"][chosen], return_inverse=True)
        below = np.cumsum(np.bincount(bucket, weights=samples["count"][chosen], minlength=len(lower_ns)))
        if len(below) and is_supported(below[-1], QUANTILES[MEDIAN]):
            nines = np.geomspace(FIRST, float(below[-1]), POINTS)
            at = np.searchsorted(below, (1 - 1 / nines) * below[-1], side="left")
            return (
                nines,
                lower_ns[np.minimum(at, len(lower_ns) - 1)].astype(np.float64),
                1 - 1 / nines <= highest_supported(below[-1]),
            )
    known = [(nines, ns) for label, nines in NINES.items() if (ns := times.percentiles_ns.get(label)) is not None]
    points = np.array(known, dtype=np.float64).reshape(-1, 2)
    return points[:, 0], points[:, 1], np.ones(len(points), dtype=bool)
