"""One operation's memory over time, a line per arm: a plateau, or growth with the rows."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.figures import Samples
from harness.report.svg import MUTED, Styles, legend, panels, styles_of
from harness.report.tables import arms_in_order, groups_of
from harness.results.run import Memory, ScenarioResult

ORDER = 40
TITLE = "Memory over time"
DRAWN_BYTES = 2**20
"""Memory added by one operation from which its curve is drawn."""
HOW_TO_READ = (
    "megabytes above the idle memory of the process, its children and servers while one operation runs, or a quick one several "
    "times; lower and flatter is better. Mark: the kernel's peak, which sampling can miss. Cross: an operation that failed."
)


def draw(result: ScenarioResult, _: Samples | None) -> Figure | None:
    """Draw one panel per group of cases, from the runs on all rows and without a limit if there are any; None without curves.

    Groups in which no arm adds more than `DRAWN_BYTES` have no panel.
    """
    runs = [m for m in result.memory if m.curve]
    large = {m.group for m in runs if m.added_bytes > DRAWN_BYTES}
    runs = [m for m in runs if m.group in large]
    groups = groups_of(result, runs)
    if not groups:
        return None
    arms = arms_in_order(result, (m.arm for m in runs))
    styles = styles_of(result, arms)
    drawing, panel = panels(groups)
    for axes, group in zip(panel, groups, strict=True):
        of_group = [m for m in runs if m.group == group]
        whole = [m for m in of_group if m.scale == max(m.scale for m in of_group)]
        _panel(axes, [m for m in whole if m.limit_bytes is None] or whole, styles)
    legend(drawing, {arm: styles[arm] for arm in arms})
    return drawing


def _panel(axes: Axes, runs: list[Memory], styles: Styles) -> None:
    for run in runs:
        style = styles[run.arm]
        seconds = [moment for moment, _ in run.curve]
        added = [max(0.0, (held - run.idle_bytes) / 1e6) for _, held in run.curve]
        axes.plot(seconds, added, linewidth=1.8, **style | {"marker": ""})
        top = seconds[added.index(max(added))]
        mark = "X" if run.error else style["marker"]
        axes.plot([top], [run.added_bytes / 1e6], color=style["color"], marker=mark, markersize=6, linestyle="")
    for limit in {m.limit_bytes for m in runs if m.limit_bytes}:
        axes.axhline(limit / 1e6, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
    axes.set(xlim=(0, None), xlabel="seconds", ylim=(0, None), ylabel="MB above idle")
    axes.tick_params(length=0)
