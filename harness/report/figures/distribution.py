"""The distribution of the latencies of all arms on one axis: where most operations are, and whether there are several kinds."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.language import mark
from harness.report.blocks import Cell, Table, cells
from harness.report.numbers import duration, unit_of, whole
from harness.report.plot import EDGE, TEXT, WIDTH, Chart, ChartPanel, Point, Scale, arm_classes, bar, dots, line, log_scale
from harness.report.samples import Samples, latencies_ns
from harness.report.tables import arms_in_order, listed
from harness.results.run import AA_CONTROL, ScenarioResult

ORDER = 20
TITLE = mark("Latency distribution")
HOW_TO_READ = mark("Left is faster, higher is more frequent: the line is the median, the bar half of all operations.")
NEEDS_SAMPLES = True
STRIP = 24
"""The height of an arm's marks."""
FEW = 20
"""The number of operations below which each is a dot."""
QUARTILES = (25.0, 50.0, 75.0)
INSIDE = (0.5, 99.0)
"""The percentiles between which operations are drawn: a single slow one would flatten the rest."""
BINS = 60
"""The number of steps of a density, five units each."""

Times = npt.NDArray[np.float64]
Row = tuple[str, Times]
"""An arm, and the nanoseconds of its operations, sorted."""


def draw(result: ScenarioResult, samples: Samples | None) -> Chart | None:
    """Draw a panel per group with a row per arm; None without samples."""
    found = latencies_ns(samples) if samples is not None else {}
    arms = arms_in_order(result, (arm for _, arm in found if arm != AA_CONTROL))
    groups = listed(result.groups, (group for group, _ in found))
    by_group = {group: [(arm, found[group, arm]) for arm in arms if (group, arm) in found] for group in groups}
    if not arms:
        return None
    classes = arm_classes(result.arms, arms)
    return Chart([_panel(group, rows, classes) for group, rows in by_group.items()], _table(by_group), len(groups))


def _panel(group: str, rows: Sequence[Row], classes: dict[str, str]) -> ChartPanel:
    medians = [float(np.median(times)) for _, times in rows]
    unit = unit_of(medians)
    scale = log_scale((end for _, times in rows for end in np.percentile(times, INSIDE).tolist()), EDGE, WIDTH - EDGE)
    panel = ChartPanel(group)
    bottom = (TEXT + STRIP) * len(rows) + 3
    panel.across(scale, 3, bottom, unit.name, unit.ns)
    for number, ((arm, times), median) in enumerate(zip(rows, medians, strict=True)):
        top = (TEXT + STRIP) * number
        panel.arm(classes[arm])
        base = top + TEXT + STRIP
        if len(times) < FEW:
            panel.path("m", dots((scale.at(ns), base - 9) for ns in times.tolist()))
        else:
            panel.path("v", _density(np.log(times), scale, base - 2))
            low, middle, high = np.percentile(times, QUARTILES).tolist()
            panel.path("b", bar(scale.at(low), scale.at(high), base - 1))
            panel.path("t", f"M{scale.at(middle)} {base}v-{STRIP - 5}")
        panel.end()
        panel.text(0, top + 12, arm, room=WIDTH - 80)
        panel.text(WIDTH, top + 12, duration(median), "e")
    return panel


def _density(logs: Times, scale: Scale, base: int) -> str:
    """Return the outline of a density of logarithms, its highest point at the top of the row."""
    low, high = np.log(scale.low), np.log(scale.high)
    counts, _ = np.histogram(logs, bins=BINS, range=(low, high))
    first, third = np.percentile(logs, (25, 75))
    spread = min(float(logs.std()), float(third - first) / 1.34) or float(logs.std())  # Silverman's rule
    width = max(0.9 * spread * len(logs) ** -0.2, (high - low) / BINS)
    distance = np.arange(-BINS, BINS + 1) * (high - low) / BINS
    smooth = np.convolve(counts, np.exp(-0.5 * (distance / width) ** 2))[BINS : 2 * BINS]
    heights = np.round(smooth / (smooth.max() or 1.0) * (STRIP - 6)).astype(int).tolist()
    across = np.round(scale.start + (np.arange(BINS) + 0.5) / BINS * (scale.end - scale.start)).astype(int).tolist()
    return line(_corners([(x, base - height) for x, height in zip(across, heights, strict=True)], base))


def _corners(points: Sequence[Point], base: int) -> list[Point]:
    """Return the points that an outline needs, from its foot to its foot: not those in the middle of a level piece."""
    above = [place for place, (_, y) in enumerate(points) if y != base]
    if not above:
        return []
    kept = points[max(0, above[0] - 1) : above[-1] + 2]
    inner = (
        point
        for place, point in enumerate(kept)
        if place in {0, len(kept) - 1} or not kept[place - 1][1] == point[1] == kept[place + 1][1]
    )
    return [(kept[0][0], base), *inner, (kept[-1][0], base)]


def _table(by_group: dict[str, list[Row]]) -> Table:
    rows = []
    for group, of_group in by_group.items():
        for arm, times in of_group:
            low, middle, high = np.percentile(times, QUARTILES).tolist()
            unit = unit_of([middle])
            median = Cell(f"{unit.write(middle)} {unit.name}", detail=f"[{unit.write(low)}, {unit.write(high)}]")
            rows.append(cells(group, arm, median, whole(len(times))))
    return Table("", ("cases", "arm", mark("median [25 %, 75 %]"), mark("operations")), tuple(rows), names=2, grouped=True)
