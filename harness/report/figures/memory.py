"""One operation's memory over time, a line per arm: a plateau, or growth with the rows."""

from collections.abc import Sequence

from harness.language import gettext, mark
from harness.report.blocks import Table, cells
from harness.report.numbers import significant
from harness.report.plot import BOTTOM, EDGE, LEFT, TOP, WIDTH, Chart, ChartPanel, arm_classes, dots, line, scale_from_0
from harness.report.samples import Samples
from harness.report.tables import arms_in_order, groups_of, in_order
from harness.results.run import Memory, ScenarioResult

ORDER = 40
TITLE = mark("Memory over time")
HOW_TO_READ = mark(
    "Lower and flatter is better: megabytes above idle while an operation runs; the dot is the peak, a cross a failure."
)
DRAWN_BYTES = 2**20
"""Memory added by one operation from which its curve is drawn."""
POINTS = 60
"""The most points of a curve: the highest of each stretch."""


def draw(result: ScenarioResult, _: Samples | None) -> Chart | None:
    """Draw one panel per group of cases, from the runs on all rows and without a limit if there are any; None without curves.

    Groups in which no arm adds more than `DRAWN_BYTES` have no panel.
    """
    curves = [m for m in in_order(result, result.memory) if m.curve]
    large = {m.group for m in curves if m.added_bytes > DRAWN_BYTES}
    groups = [group for group in groups_of(result, curves) if group in large]
    if not groups:
        return None
    by_group = {group: _whole([m for m in curves if m.group == group]) for group in groups}
    shown = [m for runs in by_group.values() for m in runs]
    arms = arms_in_order(result, (m.arm for m in shown))
    classes = arm_classes(result.arms, arms)
    panels = [_panel(group, runs, classes) for group, runs in by_group.items()]
    return Chart(panels, _table(shown), len(groups_of(result, curves)), key=[(classes[arm], arm) for arm in arms])


def _whole(runs: Sequence[Memory]) -> list[Memory]:
    """Return the runs on the most rows, those without a limit if there are any."""
    scale = max(m.scale for m in runs)
    whole = [m for m in runs if m.scale == scale]
    return [m for m in whole if m.limit_bytes is None] or whole


def _panel(group: str, runs: Sequence[Memory], classes: dict[str, str]) -> ChartPanel:
    limits = {m.limit_bytes / 1e6 for m in runs if m.limit_bytes}
    across = scale_from_0((moment for m in runs for moment, _ in m.curve), LEFT, WIDTH - EDGE)
    down = scale_from_0([*limits, *(m.added_bytes / 1e6 for m in runs)], BOTTOM, TOP)
    panel = ChartPanel(f"{group}, MB", BOTTOM + 16)
    panel.up(down, LEFT, WIDTH - EDGE)
    panel.across(across, TOP, BOTTOM, "s")
    panel.path("o", "".join(f"M{LEFT} {down.at(limit)}H{WIDTH - EDGE}" for limit in sorted(limits)))
    for run in runs:
        points = _highest([(moment, max(0.0, (held - run.idle_bytes) / 1e6)) for moment, held in run.curve])
        panel.arm(classes[run.arm])
        panel.path("l", line([(across.at(moment), down.at(megabytes)) for moment, megabytes in points]))
        x, y = across.at(max(points, key=lambda point: point[1])[0]), down.at(run.added_bytes / 1e6)
        panel.path("l" if run.error else "c", f"M{x - 4} {y - 4}l8 8m-8 0l8-8" if run.error else dots([(x, y)]))
        panel.end()
    return panel


def _highest(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the first and the last point, and the highest of each stretch between them."""
    size = -(-len(points) // POINTS)
    inner = (max(points[start : start + size], key=lambda point: point[1]) for start in range(0, len(points), size))
    return sorted({points[0], *inner, points[-1]})


def _table(runs: Sequence[Memory]) -> Table:
    rows = (
        cells(
            m.group, m.arm, significant(m.added_bytes / 1e6), significant(m.seconds), "" if m.error is None else gettext("failed")
        )
        for m in runs
    )
    head = ("cases", "arm", mark("peak above idle, MB"), mark("seconds"), mark("outcome"))
    return Table("", head, tuple(rows), names=2, grouped=True, texts=(mark("outcome"),))
