"""Latency by percentile, a line per arm: where the tail begins, and whether a change reaches it."""

from collections.abc import Sequence

import numpy as np

from harness.language import mark
from harness.report.blocks import Cell
from harness.report.numbers import DASH, unit_of
from harness.report.plot import BOTTOM, EDGE, LEFT, TOP, WIDTH, Chart, ChartPanel, Scale, arm_classes, is_crowded, line, log_scale
from harness.report.samples import Samples, latencies_ns
from harness.report.tables import arms_in_order, groups_of, in_order
from harness.results.run import AA_CONTROL, Latency, ScenarioResult
from harness.stats.intervals import MEDIAN, QUANTILES, highest_supported

ORDER = 30
TITLE = mark("Latency by percentile")
HOW_TO_READ = mark(
    "Lower is faster, further right is rarer: bars are 95 % confidence intervals, and lines end with the samples' support."
)
TWIN = mark("The table of percentiles above has the same figures.")
NEEDS_SAMPLES = True
FROM = "90"
"""The percentile that a group must have: with the median alone, a line says no more than its distribution."""
NINES = {label: 1 / (1 - quantile) for label, quantile in QUANTILES.items()}
"""Percentiles by their position on an axis of nines: 1 ÷ (1 - p)."""
POINTS = 16
APART = 30
"""The least distance of two labels of percentiles."""


def draw(result: ScenarioResult, samples: Samples | None) -> Chart | None:
    """Draw a panel per group in which an arm has a p90; None if there are none, without samples, or with too many arms."""
    latencies = [x for x in in_order(result, result.latencies) if x.arm != AA_CONTROL]
    shown = [x for x in latencies if x.percentiles_ns.get(FROM) is not None]
    arms = arms_in_order(result, (x.arm for x in shown))
    if samples is None or not shown or is_crowded(arms):
        return None
    found = latencies_ns(samples)
    classes = arm_classes(result.arms, arms)
    panels = [_panel(group, [x for x in shown if x.group == group], found, classes) for group in groups_of(result, shown)]
    return Chart(panels, None, len(groups_of(result, latencies)), key=[(classes[arm], arm) for arm in arms])


def _panel(
    group: str, latencies: Sequence[Latency], found: dict[tuple[str, str], np.ndarray], classes: dict[str, str]
) -> ChartPanel:
    curves = {}
    for x in latencies:
        times = found.get((group, x.arm), np.empty(0))
        if len(times):
            end = 1 / (1 - highest_supported(min(x.effective_samples.values(), default=len(times))))
            nines = np.geomspace(1.0, max(end, NINES[FROM]), POINTS)
            curves[x.arm] = (nines, np.quantile(times, 1 - 1 / nines))
    bounds = [bound for x in latencies for label, within in x.intervals_ns.items() if label in NINES for bound in within]
    values = [*bounds, *(value for _, ns in curves.values() for value in ns.tolist())]
    down = log_scale(values, BOTTOM, TOP)
    reach = max([NINES[FROM], *(nines[-1] for nines, _ in curves.values())])
    across = Scale(1.0, float(reach) * 1.05, LEFT, WIDTH - EDGE)
    unit = unit_of(x.percentiles_ns.get(MEDIAN) for x in latencies)
    panel = ChartPanel(f"{group}, {unit.name}", BOTTOM + 16)
    panel.up(down, LEFT, WIDTH - EDGE, unit.ns)
    percentile_axis(panel, across)
    for number, x in enumerate(latencies):
        panel.arm(classes[x.arm])
        aside = round((number - (len(latencies) - 1) / 2) * 5)
        within = [
            (across.at(NINES[label]) + aside, bounds)
            for label, bounds in x.intervals_ns.items()
            if NINES.get(label, reach + 1) <= reach
        ]
        panel.path("i", "".join(f"M{at} {down.at(low)}V{down.at(high)}" for at, (low, high) in within))
        nines, times = curves.get(x.arm, (np.empty(0), np.empty(0)))
        panel.path("l", line([(across.at(n), down.at(ns)) for n, ns in zip(nines.tolist(), times.tolist(), strict=True)]))
        panel.end()
    return panel


def percentile_axis(panel: ChartPanel, across: Scale) -> None:
    """Draw an axis of nines: label the percentiles in view that have room, the median and p90 first."""
    placed: list[int] = []
    for label in sorted(NINES, key=lambda name: (name not in {MEDIAN, FROM, "99"}, NINES[name])):
        at = across.at(NINES[label])
        if NINES[label] <= across.high and all(abs(at - other) >= APART for other in placed):
            placed.append(at)
            panel.text(min(at, WIDTH - 14), BOTTOM + 13, f"p{label}", "m k")
    panel.path("g", "".join(f"M{at} {TOP}V{BOTTOM}" for at in placed))


def value_cell(value_ns: float | None, within: tuple[float, float] | None) -> Cell:
    """Return a percentile with its unit and interval; a dash if it is not supported."""
    if value_ns is None:
        return Cell(DASH)
    unit = unit_of([value_ns])
    return Cell(
        f"{unit.write(value_ns)} {unit.name}", detail=f"[{unit.write(within[0])}, {unit.write(within[1])}]" if within else ""
    )
