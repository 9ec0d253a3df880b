"""Every pair's ratio in the order of measuring: shows drift, and steps between processes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.figures import Samples
from harness.report.svg import INK, MUTED, is_crowded, legend, log_axis, panels, shorten, styles_of
from harness.report.tables import groups_of
from harness.results.run import AA_CONTROL, BASELINE, ScenarioResult

ORDER = 30
TITLE = "Pair by pair"
HOW_TO_READ = (
    "each dot is one pair, in the order of measuring; thin lines separate processes, the short bars are their medians. "
    "A level cloud means that the machine's drift cancelled out; steps between processes are what the interval has to cover."
)
NEEDS_SAMPLES = True
DOTS = 120


@dataclass(frozen=True)
class PairRatio:
    """One pair's ratio: the baseline's time ÷ the arm's."""

    process: int
    group: str
    arm: str
    ratio: float


def draw(result: ScenarioResult, samples: Samples | None) -> Figure | None:
    """Draw one panel per group of cases; None without samples of pairs, or with too many arms."""
    if samples is None or BASELINE not in set(samples["arm"].tolist()):
        return None
    ratios = paired(samples)
    arms = [a.name for a in result.arms if any(r.arm == a.name for r in ratios)]
    groups = [g for g in groups_of(result, result.ratios) if any(r.group == g for r in ratios)]
    if not groups or not arms or is_crowded(arms):
        return None
    styles = styles_of(result, arms)
    drawing, panel = panels(len(groups))
    for axes, group in zip(panel, groups, strict=True):
        for arm in arms:
            _cloud(axes, [r for r in ratios if (r.group, r.arm) == (group, arm)], styles[arm])
        axes.axhline(1, color=INK, linewidth=0.9)
        axes.set_title(shorten(group, 200))
        axes.set_ylabel("times faster")
        axes.set_xlabel("pairs in the order of measuring")
        axes.grid(visible=False, axis="x")
        axes.set_xticks([])
        log_axis(axes, "y")
    legend(drawing, [(arm, styles[arm] | {"linestyle": ""}) for arm in arms])
    return drawing


def paired(samples: Samples) -> list[PairRatio]:
    """Return the ratio of each pair and arm, the baseline's time ÷ the arm's, in the order of measuring."""
    times: dict[tuple[int, int, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    columns = (samples[name].tolist() for name in ("process", "pair", "group", "arm", "latency_ns"))
    for process, pair, group, arm, ns in zip(*columns, strict=True):
        times[process, pair, group][arm].append(ns)
    return [
        PairRatio(process, group, arm, fmean(by_arm[BASELINE]) / fmean(values))
        for (process, _, group), by_arm in sorted(times.items())
        for arm, values in by_arm.items()
        if BASELINE in by_arm and arm not in {BASELINE, AA_CONTROL}
    ]


def _cloud(axes: Axes, ratios: list[PairRatio], style: dict[str, object]) -> None:
    values = np.array([r.ratio for r in ratios], dtype=np.float64)
    processes = np.array([r.process for r in ratios])
    chosen = np.unique(np.linspace(0, len(values) - 1, min(DOTS, len(values))).astype(int))
    dots = style | {"linestyle": "", "markersize": 2.6, "markeredgewidth": 0, "alpha": 0.4}
    axes.plot(chosen, values[chosen], **dots)  # type: ignore[arg-type]
    for process in np.unique(processes):
        at = np.flatnonzero(processes == process)
        if at[0] > 0:
            axes.axvline(at[0] - 0.5, color=MUTED, linewidth=0.4, alpha=0.5)
        middle = float(np.median(values[at]))
        axes.plot([at[0], at[-1]], [middle, middle], color=str(style["color"]), linewidth=2, solid_capstyle="butt")
