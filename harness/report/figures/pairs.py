"""Every pair's ratio in the order of measuring: shows drift, and steps between processes."""

from collections import defaultdict
from statistics import fmean
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.figures import Samples
from harness.report.svg import INK, MUTED, is_crowded, legend, log_axis, panels, styles_of
from harness.report.tables import arms_in_order, groups_of
from harness.results.run import AA_CONTROL, BASELINE, ScenarioResult

ORDER = 30
TITLE = "Pair by pair"
HOW_TO_READ = (
    "each dot is a pair, by its recorded operations, in the order of measuring; lines separate processes, short bars are medians. "
    "A level cloud means that the machine's drift cancelled out; steps between processes are what the interval has to cover."
)
NEEDS_SAMPLES = True
DOTS = 120


def draw(result: ScenarioResult, samples: Samples | None) -> Figure | None:
    """Draw one panel per group of cases; None without samples of pairs, or with too many arms."""
    ratios = {} if samples is None else paired(samples)
    arms = arms_in_order(result, (arm for _, arm in ratios))
    groups = [group for group in groups_of(result, result.ratios) if any((group, arm) in ratios for arm in arms)]
    if not groups or is_crowded(arms):
        return None
    styles = styles_of(result, arms)
    drawing, panel = panels(groups)
    for axes, group in zip(panel, groups, strict=True):
        for arm in arms:
            _cloud(axes, ratios.get((group, arm), []), styles[arm] | {"linestyle": ""})
        axes.axhline(1, color=INK, linewidth=0.9)
        axes.set(ylabel="times faster", xlabel="pairs in the order of measuring", xticks=[])
        axes.grid(visible=False, axis="x")
        log_axis(axes, "y")
    legend(drawing, {arm: styles[arm] | {"linestyle": ""} for arm in arms})
    return drawing


def paired(samples: Samples) -> dict[tuple[str, str], list[tuple[int, float]]]:
    """Return group and arm → process and ratio (the baseline's time ÷ the arm's) of each pair, in the order of measuring."""
    times: dict[tuple[int, int, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    columns = (samples[name].tolist() for name in ("process", "pair", "group", "arm", "latency_ns"))
    for process, pair, group, arm, ns in zip(*columns, strict=True):
        times[process, pair, group][arm].append(ns)
    found = defaultdict(list)
    for (process, _, group), by_arm in sorted(times.items()):
        for arm, values in by_arm.items():
            if BASELINE in by_arm and arm not in {BASELINE, AA_CONTROL}:
                found[group, arm].append((process, fmean(by_arm[BASELINE]) / fmean(values)))
    return found


def _cloud(axes: Axes, ratios: list[tuple[int, float]], style: dict[str, Any]) -> None:
    processes, values = np.array([process for process, _ in ratios]), np.array([ratio for _, ratio in ratios])
    chosen = np.unique(np.linspace(0, len(values) - 1, min(DOTS, len(values))).astype(int))
    axes.plot(chosen, values[chosen], **style | {"markersize": 2.6, "markeredgewidth": 0, "alpha": 0.4})
    for process in np.unique(processes):
        at = np.flatnonzero(processes == process)
        if at[0] > 0:
            axes.axvline(at[0] - 0.5, color=MUTED, linewidth=0.4, alpha=0.5)
        middle = float(np.median(values[at]))
        axes.plot([at[0], at[-1]], [middle, middle], color=style["color"], linewidth=2, solid_capstyle="butt")
