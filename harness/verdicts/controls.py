"""The controls of a run: drift of the machine, injected slowdowns, and verdicts that a failed A/A control withholds.

**When a verdict is withheld.** The A/A control times the baseline against itself in the same way, so it should measure 1. A 95 %
interval that excludes 1 is not enough: of a hundred clean controls five do, and a run has dozens. A control fails if its processes
agree that it differs from 1 by more than `MARGIN`: Student's t over the logarithms of the processes' medians, against the margin
and not against 1, after Holm's correction over every control of the run. So a run of clean controls withholds anything with
probability `ALPHA` at most. Noise alone makes verdicts inconclusive. What remains are two identical instances that consistently
differ: then the measurement favours an arm, and no time from there can be trusted.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.results.run import AA_CONTROL, Drift, InjectedSlowdown, PromiseVerdict, Ratio, ScenarioResult
from harness.stats.intervals import Interval, holm, mean_interval, median, paired_ratio, t_tail
from harness.stats.noise import MEDIAN_COST, robust_sd
from harness.verdicts.promise import Promise, judge

MARGIN = 1.05
"""The ratio up to which a control may differ from 1: promises are about larger effects."""
ALPHA = 0.05
"""The probability that a run of clean controls withholds a verdict."""
MIN_READINGS = 6
"""The fewest readings of a control in a process from which its drift is estimated."""
STANDARD_ERRORS = 2.0
"""The number of standard errors above which a drift is not explained by noise."""


def drifts(readings: Sequence[tuple[int, str, int]]) -> list[Drift]:
    """Return each control's drift, from (process, control, nanoseconds) in the order of the readings."""
    found: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for process, name, time_ns in readings:
        found[name][process].append(max(1, time_ns))
    rows = []
    for name, processes in found.items():
        long = [np.log(times) for times in processes.values() if len(times) >= MIN_READINGS]
        if long:
            changes = [float(np.median(logs[len(logs) // 2 :]) - np.median(logs[: len(logs) // 2])) for logs in long]
            errors = [MEDIAN_COST * robust_sd(logs) * 2 / math.sqrt(len(logs)) for logs in long]
            every = [time_ns for times in processes.values() for time_ns in times]
            explained = math.expm1(STANDARD_ERRORS * median(errors))
            ratios = [math.exp(change) for change in changes]
            rows.append(Drift(name, len(every), median(every), math.exp(median(changes)), explained, ratios))
    return rows


def injected(share: float, pairs: Mapping[str, Mapping[int, Sequence[tuple[float, float]]]]) -> list[InjectedSlowdown]:
    """Return how an injected slowdown of `share` was measured, from group → process → pairs of (baseline, slowed) nanoseconds."""
    rows = []
    for group, processes in pairs.items():
        slower = paired_ratio(processes)[0].through(lambda ratio: 1 / ratio - 1, falling=True)
        rows.append(InjectedSlowdown(group, share, slower.value, slower.low, slower.high, sum(map(len, processes.values()))))
    return rows


def together(found: Sequence[InjectedSlowdown]) -> Interval:
    """Return the measured share of a slowdown, which is the same in all groups, with the 95 % interval over groups."""
    return mean_interval([math.log1p(p.slower) for p in found]).through(math.expm1)


def failed_controls(results: Sequence[ScenarioResult]) -> list[dict[str, Ratio]]:
    """Return, for each result of a run, the failed A/A controls by group; see the module for when one fails."""
    found: list[dict[str, Ratio]] = [{} for _ in results]
    controls = [
        (place, r, p_within_margin(r)) for place, result in enumerate(results) for r in result.ratios if r.arm == AA_CONTROL
    ]
    judged = [(place, r, p) for place, r, p in controls if p is not None]
    for (place, r, _), adjusted in zip(judged, holm([p for *_, p in judged]), strict=True):
        if adjusted < ALPHA:
            found[place][r.group] = r
    return found


def p_within_margin(control: Ratio) -> float | None:
    """Return the p-value of a control's true ratio being within `MARGIN`; None for fewer than two processes."""
    logs = np.log(np.asarray(control.processes, dtype=np.float64))
    if len(logs) < 2:  # noqa: PLR2004 - one value has no spread
        return None
    beyond, error = abs(float(logs.mean())) - math.log(MARGIN), float(logs.std(ddof=1)) / math.sqrt(len(logs))
    return 1.0 if beyond <= 0 else t_tail(beyond / error, len(logs) - 1) if error else 0.0


def withhold(result: ScenarioResult, promises: Sequence[Promise], failed: Mapping[str, Ratio]) -> ScenarioResult:
    """Return a result whose verdicts are withheld if they depend on times of a group whose A/A control failed.

    A verdict does if its promise's measure gives something else without those times; those on counts, plans and memory are kept.
    """
    if not failed:
        return result
    ratios = [r for r in result.ratios if r.group not in failed]
    without = replace(result, ratios=ratios, latencies=[x for x in result.latencies if x.group not in failed])
    measured = "; ".join(f"{r.ratio:.2f}× in {group}" for group, r in failed.items())
    reason = f"A/A control failed: the baseline against itself measured {measured}, so no time from there is judged"
    verdicts = []
    for promise in promises:
        for bare, full in zip(judge(promise, without), judge(promise, result), strict=True):
            verdict = full
            if (bare.verdict, bare.value, bare.low, bare.high) != (full.verdict, full.value, full.low, full.high):
                sentence = f"{reason} (otherwise {full.verdict}: {full.sentence})"
                verdict = replace(full, verdict=PromiseVerdict.WITHHELD, sentence=sentence, value=None, low=None, high=None)
            verdicts.append(verdict)
    return replace(result, verdicts=verdicts)
