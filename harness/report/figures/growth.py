"""Growth of a cost with the rows, on two logarithmic axes, where a power of the rows is a straight line."""

from collections.abc import Sequence

from harness.language import mark
from harness.report.blocks import Table, cells
from harness.report.numbers import exponent, whole
from harness.report.plot import BOTTOM, EDGE, TOP, WIDTH, Chart, ChartPanel, Scale, arm_classes, dots, line, log_scale
from harness.report.samples import Samples
from harness.report.tables import arms_in_order, in_order
from harness.results.run import Growth, ScenarioResult

ORDER = 50
TITLE = mark("Growth with the data")
HOW_TO_READ = mark(
    "Right is a larger share of the rows, up a higher cost: the number at a line's end is its exponent, 0 does not grow."
)
DRAWN = 0.05
"""The exponent of an arm above which a cost has a panel."""
LEFT, RIGHT = 58, 40
LINE = 13
"""The least distance of two labels."""


def draw(result: ScenarioResult, _: Samples | None) -> Chart | None:
    """Draw a panel per group and cost that grows for an arm, with all its arms; None if nothing grows."""
    found = in_order(result, result.growth)
    kinds: dict[tuple[str, str], list[Growth]] = {}
    for g in found:
        kinds.setdefault((g.group, g.metric), []).append(g)
    shown = {kind: lines for kind, lines in kinds.items() if any(g.exponent > DRAWN for g in lines)}
    if not shown:
        return None
    arms = arms_in_order(result, (g.arm for lines in shown.values() for g in lines))
    classes = arm_classes(result.arms, arms)
    panels = [_panel(f"{group}, {metric.replace('_', ' ')}", lines, classes) for (group, metric), lines in shown.items()]
    return Chart(
        panels, _table([g for lines in shown.values() for g in lines]), len(kinds), key=[(classes[arm], arm) for arm in arms]
    )


def _panel(title: str, lines: Sequence[Growth], classes: dict[str, str]) -> ChartPanel:
    across = log_scale((scale for g in lines for scale in g.scales), LEFT, WIDTH - RIGHT)
    down = log_scale((value for g in lines for value in g.values), BOTTOM, TOP, margin=0.08)
    panel = ChartPanel(title, BOTTOM + 16)
    panel.up(down, LEFT, WIDTH - RIGHT)
    for share in sorted({scale for g in lines for scale in g.scales}):
        panel.text(across.at(share), BOTTOM + 13, f"{share:g}", "m k")
    labels = _apart([_ends(g, across, down)[-1][1] for g in lines])
    for g, y in zip(lines, labels, strict=True):
        points = _ends(g, across, down)
        panel.arm(classes[g.arm])
        panel.path("l", line(points))
        panel.path("m", dots(points))
        panel.end()
        panel.text(WIDTH - EDGE, y + 4, exponent(g.exponent), "e")
    return panel


def _ends(growth: Growth, across: Scale, down: Scale) -> list[tuple[int, int]]:
    return [(across.at(share), down.at(value)) for share, value in sorted(zip(growth.scales, growth.values, strict=True))]


def _apart(heights: Sequence[int]) -> list[int]:
    """Return the heights of labels, moved down until each is clear of those above it, and all are inside the panel."""
    order = sorted(range(len(heights)), key=lambda place: heights[place])
    found, free = [0] * len(heights), 0
    for place in order:
        found[place] = free = max(free, heights[place])
        free += LINE
    over = max(0, free - LINE - BOTTOM)
    return [height - over for height in found]


def _table(found: Sequence[Growth]) -> Table:
    rows = []
    for g in found:
        points = sorted(zip(g.scales, g.values, strict=True))
        shown = ", ".join(f"{share:g}: {whole(value)}" for share, value in points)
        rows.append(cells(g.group, g.metric.replace("_", " "), g.arm, shown, exponent(g.exponent)))
    return Table(
        "", ("cases", mark("cost"), "arm", mark("share of the rows: cost"), "exponent"), tuple(rows), names=3, grouped=True
    )
