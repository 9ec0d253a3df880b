"""The ratio of every arm with its interval, above the fresh processes and the pairs that it comes from."""

from collections.abc import Sequence

import numpy as np

from harness.language import gettext, mark
from harness.report.numbers import ratio_with_interval
from harness.report.plot import EDGE, TEXT, WIDTH, Chart, ChartPanel, Scale, arm_classes, bar, dots, every, log_scale
from harness.report.samples import PairRatios, Samples, pair_ratios
from harness.report.tables import groups_of, in_order
from harness.results.run import AA_CONTROL, Ratio, ScenarioResult

ORDER = 10
TITLE = mark("Times faster than the baseline, by process")
HOW_TO_READ = mark(
    "Right of 1 is faster: bars are 95 % confidence intervals, large dots processes (one line each), small dots pairs."
)
TWIN = mark("The table of times above has the same figures.")
STRIP = 20
"""The height of an arm's marks."""
DOTS = 60
"""The most pairs that a panel draws."""
BEYOND = (2.0, 98.0)
"""The percentiles of an arm's pairs that fit on the axis; pairs beyond are at its ends."""


def draw(result: ScenarioResult, samples: Samples | None) -> Chart | None:
    """Draw a panel per group with a row per arm and the A/A control; None without ratios, or under load."""
    groups = groups_of(result, result.ratios)
    if not groups or result.is_timed_under_load:
        return None
    pairs = pair_ratios(samples) if samples is not None else {}
    classes = arm_classes(result.arms, (r.arm for r in result.ratios))
    ratios = in_order(result, result.ratios)
    panels, drawn = [], 0
    for group in groups:
        panel, count = _panel(group, [r for r in ratios if r.group == group], pairs, classes)
        panels.append(panel)
        drawn += count
    known = {(r.group, r.arm) for r in ratios}
    return Chart(panels, None, len(groups), dots=(drawn, sum(len(pairs[key]) for key in pairs if key in known)))


def _panel(group: str, ratios: Sequence[Ratio], pairs: PairRatios, classes: dict[str, str]) -> tuple[ChartPanel, int]:
    """Return the panel of a group, and the number of pairs that it draws."""
    limit = max(1, DOTS // len(ratios))
    chosen = {}
    for ratio in ratios:
        of_arm = pairs.get((group, ratio.arm), [])
        chosen[ratio.arm] = [of_arm[place] for place in every(len(of_arm), limit)]
    reach = [1.0]
    for ratio in ratios:
        values = [value for _, value in chosen[ratio.arm]]
        inner = np.percentile(values, BEYOND).tolist() if values else []
        reach += [ratio.ratio, *ratio.processes, *(bound for bound in (ratio.low, ratio.high) if bound), *inner]
    scale = log_scale(reach, EDGE, WIDTH - EDGE)
    panel = ChartPanel(group)
    bottom = (TEXT + STRIP) * len(ratios) + 3
    panel.across(scale, 3, bottom, unit="")
    panel.path("o", f"M{scale.at(1)} 3V{bottom}")
    for number, ratio in enumerate(ratios):
        _row(panel, ratio, chosen[ratio.arm], scale, (TEXT + STRIP) * number, classes[ratio.arm])
    return panel, sum(map(len, chosen.values()))


def _row(panel: ChartPanel, ratio: Ratio, pairs: Sequence[tuple[int, float]], scale: Scale, top: int, colour: str) -> None:
    shown = ratio_with_interval(ratio)
    start = top + TEXT + 2
    processes = sorted({process for process, _ in pairs})
    lines = max(len(processes), len(ratio.processes), 1)
    heights = [start + round((place + 0.5) * (STRIP - 4) / lines) for place in range(lines)]
    panel.arm(colour)
    panel.path("d", dots((scale.at(value), heights[processes.index(process)]) for process, value in pairs))
    panel.path("m", dots((scale.at(value), height) for value, height in zip(ratio.processes, heights, strict=False)))
    middle = start + round((STRIP - 4) / 2)
    if ratio.low is not None and ratio.high is not None:
        panel.path("b", bar(scale.at(ratio.low), scale.at(ratio.high), middle))
    panel.path("c", dots([(scale.at(ratio.ratio), middle)]))
    panel.end()
    panel.text(0, top + 12, gettext(ratio.arm) if ratio.arm == AA_CONTROL else ratio.arm, room=WIDTH - 7 * len(shown) - 10)
    panel.text(WIDTH, top + 12, shown, "e")
