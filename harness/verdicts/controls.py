"""What the controls of a run say: whether the machine drifted, whether a planted slow-down was found, whose verdicts are withheld.

**When a verdict is withheld.** The A/A control times the baseline against itself through the same path, so it should read 1. That
a 95 % interval leaves 1 out is no reason yet: of a hundred clean controls five do, and a run has dozens. A control is dirty if
its processes agree that it is off by more than `MARGIN`: Student's t over the logarithms of the processes' medians, against the
margin and not against 1, after Holm's correction over every control of the run. So a run of clean controls withholds anything at
all with probability `ALPHA` at most, however many there are; and noise alone, which makes intervals wide, withholds nothing: it
makes verdicts inconclusive by itself. What is left are two identical instances that steadily differ, by a tenth or a third: then
something in the path favours an arm, and no time from there can be believed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.results.run import AA_CONTROL, Drift, InjectedSlowdown, PromiseVerdict, Ratio, ScenarioResult, Verdict
from harness.stats.intervals import Interval, holm, mean_interval, median, paired_ratio, t_tail
from harness.stats.noise import MEDIAN_COST, robust_sd
from harness.verdicts.promise import Promise, judge

MARGIN = 1.05
"""How far from 1 a control may be without harm: promises are about more than a twentieth."""

ALPHA = 0.05
"""How often a run whose controls are all clean withholds something."""

LEAST_READINGS = 6
"""A process with fewer readings of a control says nothing of its drift."""

SURE = 2.0
"""Standard errors that a drift has to be away from none."""


def drifts(readings: Sequence[tuple[int, str, int]]) -> list[Drift]:
    """Return how each control changed, from (process, control, nanoseconds) in the order they were taken."""
    found: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for process, name, time_ns in readings:
        found[name][process].append(max(1, time_ns))
    rows = []
    for name, processes in found.items():
        long = [np.log(times) for times in processes.values() if len(times) >= LEAST_READINGS]
        if not long:
            continue
        changes = [float(np.median(logs[len(logs) // 2 :]) - np.median(logs[: len(logs) // 2])) for logs in long]
        errors = [MEDIAN_COST * robust_sd(logs) * 2 / math.sqrt(len(logs)) for logs in long]
        every = [time_ns for times in processes.values() for time_ns in times]
        rows.append(
            Drift(
                name=name,
                samples=len(every),
                median_ns=median(every),
                ratio=math.exp(median(changes)),
                explained=math.expm1(SURE * median(errors)),
                processes=[math.exp(change) for change in changes],
            )
        )
    return rows


def planted(share: float, pairs: Mapping[str, Mapping[int, Sequence[tuple[float, float]]]]) -> list[InjectedSlowdown]:
    """Return what became of a planted slow-down, from group → process → pairs of (baseline's, slowed) nanoseconds."""
    rows = []
    for group, processes in pairs.items():
        ratio, _ = paired_ratio(processes)
        low, high = (None if bound is None else 1 / bound - 1 for bound in (ratio.high, ratio.low))
        rows.append(InjectedSlowdown(group, share, 1 / ratio.value - 1, low, high, sum(map(len, processes.values()))))
    return rows


def together(found: Sequence[InjectedSlowdown]) -> Interval:
    """Return the share that a slow-down planted in at least one group was measured at, with the 95 % interval over groups.

    It was the same in all of them, so that together they tell more than each by itself.
    """
    centre = mean_interval([math.log1p(p.slower) for p in found])
    low, high = (None if bound is None else math.expm1(bound) for bound in (centre.low, centre.high))
    return Interval(math.expm1(centre.value), low, high)


def dirty(results: Sequence[ScenarioResult]) -> list[dict[str, Ratio]]:
    """Return, for each of a run's results, group → its control, where that is dirty; see the module."""
    controls = [(place, r) for place, result in enumerate(results) for r in result.ratios if r.arm == AA_CONTROL]
    judged = [(place, r, p) for place, r in controls if (p := p_within_margin(r)) is not None]
    found: list[dict[str, Ratio]] = [{} for _ in results]
    for (place, r, _), adjusted in zip(judged, holm([p for *_, p in judged]), strict=True):
        if adjusted < ALPHA:
            found[place][r.group] = r
    return found


def p_within_margin(control: Ratio) -> float | None:
    """Return how often chance alone puts a control so far out that lies within `MARGIN`; None for fewer than two processes."""
    logs = np.log(np.asarray(control.processes, dtype=np.float64))
    if len(logs) < 2:  # noqa: PLR2004 - one value has no spread
        return None
    beyond = abs(float(logs.mean())) - math.log(MARGIN)
    error = float(logs.std(ddof=1)) / math.sqrt(len(logs))
    if beyond <= 0 or error == 0:
        return 1.0 if beyond <= 0 else 0.0
    return t_tail(beyond / error, len(logs) - 1)


def withhold(result: ScenarioResult, promises: Sequence[Promise], unclean: Mapping[str, Ratio]) -> ScenarioResult:
    """Return a result whose verdicts are withheld where they rest on times of a group whose control is dirty.

    Which those are, the promises' measures show by what they say without those times. Counts, plans and memory are judged as ever.
    """
    if not unclean:
        return result
    without = replace(
        result,
        ratios=[r for r in result.ratios if r.group not in unclean],
        latencies=[x for x in result.latencies if x.group not in unclean],
    )
    verdicts = []
    for promise in promises:
        for there, here in zip(judge(promise, without), judge(promise, result), strict=True):
            rests_on_it = (there.verdict, there.value, there.low, there.high) != (here.verdict, here.value, here.low, here.high)
            verdicts.append(_withheld(here, unclean) if rests_on_it else here)
    return replace(result, verdicts=verdicts)


def _withheld(verdict: Verdict, unclean: Mapping[str, Ratio]) -> Verdict:
    said = "; ".join(f"{r.ratio:.2f}× in {group}" for group, r in unclean.items())
    otherwise = f"{verdict.verdict} otherwise: {verdict.sentence}"
    sentence = f"the baseline against itself reads {said}, so no time from there is judged ({otherwise})"
    return replace(verdict, verdict=PromiseVerdict.WITHHELD, sentence=sentence, value=None, low=None, high=None)
