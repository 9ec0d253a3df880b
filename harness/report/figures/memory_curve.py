"""One operation's memory over time, a line per arm: a plateau, or growth with the rows."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.figures import Samples
from harness.report.svg import MUTED, legend, panels, shorten, styles_of
from harness.report.tables import groups_of
from harness.results.run import Memory, ScenarioResult

ORDER = 40
TITLE = "Memory over time"
HOW_TO_READ = (
    "megabytes above the process's idle memory while one operation runs; lower and flatter is better. Mark: the kernel's peak, "
    "which sampling can miss. Cross: an operation that failed."
)


def draw(result: ScenarioResult, samples: Samples | None) -> Figure | None:  # noqa: ARG001 - all figures have one signature
    """Draw one panel per group of cases, from the runs on all rows and without a limit if there are any; None without curves."""
    runs = [m for m in result.memory if m.curve]
    groups = groups_of(result, runs)
    if not groups:
        return None
    arms = [arm.name for arm in result.arms if arm.name in {m.arm for m in runs}]
    styles = styles_of(result, (m.arm for m in runs))
    drawing, panel = panels(len(groups))
    for axes, group in zip(panel, groups, strict=True):
        _panel(axes, [m for m in runs if m.group == group], styles)
        axes.set_title(shorten(group, 200))
    legend(drawing, [(arm, styles[arm]) for arm in arms])
    return drawing


def _panel(axes: Axes, runs: list[Memory], styles: dict[str, dict[str, Any]]) -> None:
    largest = max(m.scale for m in runs)
    whole = [m for m in runs if m.scale == largest]
    chosen = [m for m in whole if m.limit_bytes is None] or whole
    for run in chosen:
        style = styles[run.arm]
        seconds = [moment for moment, _ in run.curve]
        added = [max(0.0, (held - run.idle_bytes) / 1e6) for _, held in run.curve]
        axes.plot(seconds, added, linewidth=1.8, **style | {"marker": ""})
        top = seconds[added.index(max(added))]
        mark = "X" if run.error else style["marker"]
        axes.plot([top], [run.added_bytes / 1e6], color=style["color"], marker=mark, markersize=6, linestyle="")
    for limit in {m.limit_bytes for m in chosen if m.limit_bytes}:
        axes.axhline(limit / 1e6, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.set_ylabel("MB above idle")
    axes.set_xlabel("seconds")
    axes.tick_params(length=0)
