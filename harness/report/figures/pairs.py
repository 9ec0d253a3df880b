"""Every pair's ratio in the order it was measured: what drifted, what jumped, and which process did."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.figures import Samples
from harness.report.order import groups_of
from harness.report.svg import INK, MUTED, arm_style, is_crowded, legend, log_axis, panels, shorten
from harness.results.run import AA_CONTROL, BASELINE, ScenarioResult

ORDER = 30
TITLE = "Pair by pair"
HOW_TO_READ = (
    "each dot is one pair, left to right as measured, right of each thin line a new process; the short bar is a process's median. "
    "A level cloud means that the machine's drift cancelled; steps between processes are what the interval has to cover."
)
NEEDS_SAMPLES = True
DOTS = 120


def draw(result: ScenarioResult, samples: Samples | None) -> Figure | None:
    """Draw one panel a group of cases; None without samples of pairs, or with too many arms."""
    if samples is None or samples.empty or BASELINE not in set(samples["arm"]):
        return None
    ratios = paired(samples)
    arms = [a.name for a in result.arms if a.name in set(ratios["arm"])]
    groups = [g for g in groups_of(result, result.ratios) if g in set(ratios["group"])]
    if not groups or not arms or is_crowded(arms):
        return None
    drawing, panel = panels(len(groups))
    for axes, group in zip(panel, groups, strict=True):
        chosen = ratios[ratios["group"] == group]
        for arm in arms:
            _cloud(axes, chosen[chosen["arm"] == arm], arm_style(arms, arm))
        axes.axhline(1, color=INK, linewidth=0.9)
        axes.set_title(shorten(group, 200))
        axes.set_ylabel("times faster")
        axes.set_xlabel("pairs in the order of measuring")
        axes.grid(visible=False, axis="x")
        axes.set_xticks([])
        log_axis(axes, "y")
    legend(drawing, [(arm, arm_style(arms, arm) | {"linestyle": ""}) for arm in arms])
    return drawing


def paired(samples: Samples) -> pd.DataFrame:
    """Return one row a pair and arm: process, pair, group, arm and `ratio`, the baseline's time over the arm's."""
    keys = ["process", "pair", "group"]
    spent = samples.groupby([*keys, "arm"], as_index=False)["latency_ns"].mean()
    base = spent[spent["arm"] == BASELINE].rename(columns={"latency_ns": "baseline_ns"})[[*keys, "baseline_ns"]]
    others = spent[~spent["arm"].isin([BASELINE, AA_CONTROL])]
    both: pd.DataFrame = others.merge(base, on=keys)
    both["ratio"] = both["baseline_ns"] / both["latency_ns"]
    return both.sort_values(keys, ignore_index=True)


def _cloud(axes: Axes, rows: pd.DataFrame, style: dict[str, object]) -> None:
    values = rows["ratio"].to_numpy(dtype=np.float64)
    processes = rows["process"].to_numpy()
    chosen = np.unique(np.linspace(0, len(values) - 1, min(DOTS, len(values))).astype(int))
    dots = style | {"linestyle": "", "markersize": 2.6, "markeredgewidth": 0, "alpha": 0.4}
    axes.plot(chosen, values[chosen], **dots)  # type: ignore[arg-type]
    for process in np.unique(processes):
        at = np.flatnonzero(processes == process)
        if at[0] > 0:
            axes.axvline(at[0] - 0.5, color=MUTED, linewidth=0.4, alpha=0.5)
        middle = float(np.median(values[at]))
        axes.plot([at[0], at[-1]], [middle, middle], color=str(style["color"]), linewidth=2, solid_capstyle="butt")
