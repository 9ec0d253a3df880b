"""Warnings of a load test: what response times contain besides the arms' own work, and percentiles at which an arm is slower."""

import math
from collections import defaultdict
from itertools import chain
from statistics import NormalDist

from harness.load.checks import MAX_CPU_PERCENT, blocks_by_arm, core_usage, cpu_bound, late_starts
from harness.load.totals import Blocks
from harness.results.load import ALL, LoadRatio, LoadResult
from harness.results.run import BASELINE, CLEAR, RunWarning
from harness.stats.intervals import holm
from harness.verdicts.slo import format_ns

MEDIAN = "50"  # the percentile label of the ratios that other runs have as well


def shared_process_warning(remedy: str) -> RunWarning:
    """Return the warning that the load generator and the data layer run in one process."""
    message = "the load generator and the data layer share a process, so that each takes CPU time from the other"
    return RunWarning("one process for both", message, remedy)


def _cpu_bound_warning(load: LoadResult, blocks: Blocks) -> list[RunWarning]:
    """Return the warning that the operations of some arms fill the core of the process in which they run."""
    found = cpu_bound(chain(*blocks.values()))
    if load.invalid or not found:
        return []
    users = max((block.users for block in chain(*blocks.values())), default=0)
    queueing = f"with {users} users response time contains" if users > 1 else "response time contains"
    bound = f"operations are CPU-bound in the load generator's process: {queueing} their queueing for that core"
    message = f"{bound}; {'; '.join(found.values())}"
    remedy = "compare arms by throughput and latency; a gain is rather understated; a server in another process may sustain more"
    return [RunWarning("CPU-bound operations", message, remedy)]


def _late_warnings(blocks: Blocks) -> list[RunWarning]:
    """Return a warning per arm whose response times in the closed model contain delays of the generator's event loop."""
    warnings = []
    for arm, of_arm in blocks_by_arm(chain(*blocks.values())).items():
        is_remote_users = all(b.users and b.targets for b in of_arm)
        if is_remote_users and core_usage(of_arm)[0] <= MAX_CPU_PERCENT and (late := late_starts(of_arm)):
            message = f"with {arm} the load generator's event loop started {late}"
            remedy = "give the generator a core to itself; operations with much CPU time in its process delay it too"
            warnings.append(RunWarning("late event loop", message, remedy))
    return warnings


def _slower_warnings(load: LoadResult) -> list[RunWarning]:
    """Return a warning per arm and group with a percentile that is significantly slower than the baseline's: the worst one.

    The p-value of a ratio follows from its interval on the logarithmic scale, as of a normal distribution, with Holm's correction
    over the percentiles of the group.
    """
    known = {(a.arm, a.group): a.response.percentiles_ns for a in load.arms}
    by_group: dict[tuple[str, str], list[LoadRatio]] = defaultdict(list)
    for ratio in load.ratios:
        if ratio.low and ratio.high and ratio.group != ALL:
            by_group[ratio.arm, ratio.group].append(ratio)
    warnings = []
    for (arm, group), ratios in by_group.items():
        corrected = holm([_p_of_equal(ratio) for ratio in ratios])
        slower = [ratio for ratio, p in zip(ratios, corrected, strict=True) if p < CLEAR and ratio.ratio < 1]
        if not slower:
            continue
        worst = min(slower, key=lambda ratio: ratio.ratio)
        before, after = (format_ns(known[name, group][worst.percentile] or 0.0) for name in (BASELINE, arm))
        median = next((ratio.ratio for ratio in ratios if ratio.percentile == MEDIAN), None)
        beside = f" (p50 {median:.3g}× as fast)" if median is not None and worst.percentile != MEDIAN else ""
        message = f"{arm}, {group}: p{worst.percentile}: {before} → {after}{beside}"
        warnings.append(RunWarning("slower under load", message, "a gain at another percentile does not make up for it"))
    return warnings


def _p_of_equal(ratio: LoadRatio) -> float:
    """Return the two-sided p-value of no difference, from the bound of a 95 % interval towards 1."""
    bound = ratio.high if ratio.ratio < 1 else ratio.low
    assert bound is not None
    error = abs(math.log(bound / ratio.ratio)) / NormalDist().inv_cdf(0.975)
    distance = abs(math.log(ratio.ratio))
    return 2 * (1 - NormalDist().cdf(distance / error)) if error else float(distance == 0)


def load_warnings(load: LoadResult, blocks: Blocks, sharing: int) -> list[RunWarning]:
    """Return the warnings of one scenario; `sharing` is the number of load workers that shared each block."""
    warnings = [
        RunWarning("failed operations", f"{a.arm}: {count} × {message}{where}", "they are within the tolerance; see --errors")
        for a in load.arms
        if a.group == ALL and not a.failing
        for messages, where in ((a.error_messages, ""), (a.warm_up_errors, " in the warm-up"))
        for message, count in messages.items()
    ]
    warnings += [*_cpu_bound_warning(load, blocks), *_late_warnings(blocks), *_slower_warnings(load)]
    if blocks and not any(block.targets for block in chain(*blocks.values())):
        warnings.append(shared_process_warning("read ratios; a rate is not the data layer's own"))
    if len(blocks) == sharing == 1:
        message = "intervals are over the cycles of a single load worker"
        warnings.append(RunWarning("one process", message, "add --processes 2 or more"))
    return warnings
