"""Percentiles above the median at which an arm is slower than the baseline, whatever it gained at another one.

The p-value of a ratio follows from its interval on the logarithmic scale, as of a normal distribution, with Holm's correction over
the percentiles of a group.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import NormalDist

from harness.results.load import LoadRatio
from harness.results.run import BASELINE, CLEAR, PercentileRatio
from harness.stats.intervals import MEDIAN, holm
from harness.verdicts.slo import format_ns

LOSS = 0.05
"""The smallest slowdown of a percentile, as a share, that is reported."""
REMEDY = "a gain at another percentile does not make up for it"


def slower(
    ratios: Iterable[LoadRatio | PercentileRatio], percentiles_ns: Mapping[tuple[str, str], Mapping[str, float | None]]
) -> dict[tuple[str, str], str]:
    """Return (arm, group) → the worst percentile above the median that is significantly slower, with that median.

    `percentiles_ns` are those of each arm and group, the baseline's included.

    Example:
        slower(result.percentile_ratios, {(x.arm, x.group): x.percentiles_ns for x in result.latencies})
        # {("optimised", "read"): "p99: 35.0 ms → 2.40 s (p50 1.4×)"}
    """
    by_group: dict[tuple[str, str], dict[str, tuple[float, float, float]]] = defaultdict(dict)
    for ratio in ratios:
        if ratio.ratio and ratio.low and ratio.high:
            by_group[ratio.arm, ratio.group][ratio.percentile] = (ratio.ratio, ratio.low, ratio.high)
    found = {}
    for (arm, group), known in by_group.items():
        corrected = holm([_p_of_equal(*bounds) for bounds in known.values()])
        lost = {label: bounds[0] for (label, bounds), p in zip(known.items(), corrected, strict=True) if p < CLEAR}
        lost = {label: ratio for label, ratio in lost.items() if ratio < 1 / (1 + LOSS) and label != MEDIAN}
        if not lost:
            continue
        worst = min(lost, key=lost.__getitem__)
        before, after = (percentiles_ns.get((name, group), {}).get(worst) for name in (BASELINE, arm))
        values = f"{format_ns(before)} → {format_ns(after)}" if before and after else f"{lost[worst]:.3g}×"
        beside = f" (p50 {known[MEDIAN][0]:.3g}×)" if MEDIAN in known else ""
        found[arm, group] = f"p{worst}: {values}{beside}"
    return found


def _p_of_equal(ratio: float, low: float, high: float) -> float:
    """Return the two-sided p-value of no difference, from the bound of a 95 % interval towards 1."""
    bound = high if ratio < 1 else low
    error = abs(math.log(bound / ratio)) / NormalDist().inv_cdf(0.975)
    distance = abs(math.log(ratio))
    return 2 * (1 - NormalDist().cdf(distance / error)) if error else float(distance == 0)
