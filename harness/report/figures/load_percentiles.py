"""Response and service time by percentile under load, a line per arm: the tail, and how much of it is waiting."""

from collections.abc import Mapping, Sequence

import numpy as np

from harness.language import gettext, mark
from harness.report.blocks import Table, cells
from harness.report.figures.percentiles import FROM, NINES, percentile_axis, value_cell
from harness.report.load import arms_of, groups, overloaded, row_of
from harness.report.numbers import unit_of
from harness.report.plot import BOTTOM, EDGE, LEFT, TOP, WIDTH, Chart, ChartPanel, Scale, arm_classes, is_crowded, line, log_scale
from harness.report.samples import Samples
from harness.results.load import ALL, LatencySummary, LoadedArm
from harness.results.run import ScenarioResult
from harness.stats.intervals import MEDIAN, QUANTILES, highest_supported, is_supported

ORDER = 2
TITLE = mark("Response time by percentile, under load")
HOW_TO_READ = mark("Lower is faster, further right is rarer: bars are 95 % confidence intervals, thin lines are without waiting.")
POINTS = 28
FIRST = 1.25
"""The start of a curve (p20): faster operations would only flatten the rest."""
KINDS = {"response": "l", "service": "n"}
"""The two times of an operation, and the class of their lines."""

Points = list[tuple[float, float]]
"""A curve: nines (1 ÷ (1 - p)), and nanoseconds."""


def draw(result: ScenarioResult, samples: Samples | None) -> Chart | None:
    """Draw one panel per group in which an arm that sustains the rate has a p90; None without one, or in an invalid run."""
    load = result.load
    arms = arms_of(result)
    if load is None or load.invalid or is_crowded(arms):
        return None
    shown: dict[str, list[LoadedArm]] = {}
    for group in groups(result):
        rows = [row_of(load, arm, group) for arm in arms if not overloaded(load, arm, group)]
        found = [row for row in rows if row is not None and any(row.response.percentiles_ns.values())]
        if any(row.response.percentiles_ns.get(FROM) is not None for row in found):
            shown[group] = found
    if not shown:
        return None
    classes = arm_classes(result.arms, arms)
    panels = [_panel(group, rows, samples, classes) for group, rows in shown.items()]
    sustained = {row.arm for rows in shown.values() for row in rows}
    key = [(classes[arm], arm if arm in sustained else gettext("{arm}: saturated", arm=arm)) for arm in arms]
    return Chart(panels, _table(shown), len(groups(result)), key)


def _panel(group: str, rows: Sequence[LoadedArm], samples: Samples | None, classes: Mapping[str, str]) -> ChartPanel:
    curves = {
        (row.arm, kind): _points(times, samples, row, kind)
        for row in rows
        for kind, times in ((mark("service"), row.service), (mark("response"), row.response))
    }
    bars = {
        row.arm: [(NINES[label], within) for label, within in row.response.intervals_ns.items() if within and label in NINES]
        for row in rows
    }
    bounds = [bound for of_arm in bars.values() for _, within in of_arm for bound in within]
    down = log_scale([*bounds, *(ns for points in curves.values() for _, ns in points)], BOTTOM, TOP)
    across = Scale(FIRST, max([10.0, *(nines for points in curves.values() for nines, _ in points)]) * 1.05, LEFT, WIDTH - EDGE)
    unit = unit_of(row.response.percentiles_ns.get(MEDIAN) for row in rows)
    panel = ChartPanel(f"{gettext(ALL).capitalize() if group == ALL else group}, {unit.name}", BOTTOM + 16)
    panel.up(down, LEFT, WIDTH - EDGE, unit.ns)
    percentile_axis(panel, across)
    for number, row in enumerate(rows):
        panel.arm(classes[row.arm])
        aside = round((number - (len(rows) - 1) / 2) * 5)
        within = [(across.at(nines) + aside, bounds) for nines, bounds in bars[row.arm] if nines <= across.high]
        panel.path("i", "".join(f"M{at} {down.at(low)}V{down.at(high)}" for at, (low, high) in within))
        for kind, drawn in KINDS.items():
            panel.path(drawn, line([(across.at(nines), down.at(ns)) for nines, ns in curves[row.arm, kind]]))
        panel.end()
    return panel


def _points(times: LatencySummary, samples: Samples | None, row: LoadedArm, kind: str) -> Points:
    """Return a curve up to its support from the histograms of a load test's folder, or else the percentiles of the record."""
    if samples is not None and "kind" in samples:
        # The record has a row over all groups; the histograms may lack it, but sum up to it.
        of_group = samples["group"] == row.group
        of_group = of_group if of_group.any() else samples["group"] != ALL
        chosen = (samples["arm"] == row.arm) & of_group & (samples["kind"] == kind)
        lower_ns, bucket = np.unique(samples["lower_ns"][chosen], return_inverse=True)
        below = np.cumsum(np.bincount(bucket, weights=samples["count"][chosen], minlength=len(lower_ns)))
        if len(below) and is_supported(below[-1], QUANTILES[MEDIAN]):
            nines = np.geomspace(FIRST, 1 / (1 - highest_supported(below[-1])), POINTS)
            at = np.searchsorted(below, (1 - 1 / nines) * below[-1], side="left")
            return list(zip(nines.tolist(), lower_ns[np.minimum(at, len(lower_ns) - 1)].tolist(), strict=True))
    return [(nines, ns) for label, nines in NINES.items() if (ns := times.percentiles_ns.get(label)) is not None]


def _table(shown: Mapping[str, Sequence[LoadedArm]]) -> Table:
    every = [times for rows in shown.values() for row in rows for times in (row.response, row.service)]
    labels = [label for label in NINES if any(times.percentiles_ns.get(label) is not None for times in every)]
    rows = [
        cells(
            gettext(ALL) if group == ALL else group,
            row.arm,
            gettext(kind),
            *(value_cell(times.percentiles_ns.get(label), times.intervals_ns.get(label)) for label in labels),
        )
        for group, of_group in shown.items()
        for row in of_group
        for kind, times in (("response", row.response), ("service", row.service))
    ]
    return Table("", ("cases", "arm", mark("time"), *(f"p{label}" for label in labels)), tuple(rows), names=3, grouped=True)
