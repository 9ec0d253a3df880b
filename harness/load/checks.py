"""Checks of the load generator and of each arm: if either is at its limit, response times are those of its queue.

Failed operations are judged apart from times and rates: they are often quicker than those that succeed.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain

from harness.load.block import LoadBlock
from harness.load.totals import Total, merged
from harness.stats.histogram import Histogram
from harness.stats.intervals import binomial_bounds
from harness.verdicts.failures import Failures, percent

MIN_ACHIEVED_SHARE = 0.98  # an arm that completes a smaller share of the offered rate does not sustain it
MAX_CPU_PERCENT = 90.0  # the highest CPU usage of a generator's core: above it, nothing is left for arrivals that coincide
MAX_OWN_SHARE = 0.5  # the highest share of a full core's CPU usage that may be the generator's own: above it, it is the limit
LATE_NS = 1_000_000  # lateness above this, and above `LATE_SHARE` of the response time, distorts the response times
LATE_SHARE = 0.1
LATENESS_PERCENTILES = {0.5: "half of the operations", 0.99: "1 % of the operations"}  # where it is compared with them
CHANCE_SD = 3.0  # standard deviations that are attributed to chance; the number in flight varies by its square root (Poisson)
EARLY_QUANTILE = 0.1  # the quantile of response times that stands for the duration of an operation with little queueing


def generator_facts(blocks: Iterable[LoadBlock]) -> dict[str, str]:
    """Return the load generator's CPU usage and lateness, for the record; empty without blocks."""
    found = list(blocks)
    late_ns = merged(b.lateness for b in found).percentile_ns(0.99)
    facts = {"generator's busiest block": f"{max(b.cpu_percent for b in found):.0f} % of a core"} if found else {}
    return facts if late_ns is None else facts | {"generator's lateness (p99)": f"{late_ns / 1e6:.3f} ms"}


def generator_limit(blocks: Iterable[LoadBlock], *, is_capacity: bool = False) -> str | None:
    """Return the reason why the generator, not the operations or their target, was the limit, or None.

    It was the limit if its core was full and most of that was its own work, while operations waited for it. In the open model, and
    for a capacity, it was also the limit of a target in another process if its core was full in any way, or arrivals started late:
    the wanted load did not reach the target. Users of the closed model may always fill a core, so that there the CPU time of the
    operations in the generator's process is a part of what is compared: see `cpu_bound`.
    """
    for arm, of_arm in blocks_by_arm(blocks).items():
        cpu_percent, own_percent = core_usage(of_arm)
        is_open, has_target = not any(b.users for b in of_arm), any(b.targets for b in of_arm)
        is_full = cpu_percent > MAX_CPU_PERCENT
        if is_full and own_percent > MAX_OWN_SHARE * cpu_percent and (is_open or _mean_in_flight(of_arm) > 1):
            used = f"with {arm} it used {cpu_percent:.0f} % of its core, {own_percent:.0f} % for its own work"
            return f"the load generator was the limit: {used}; lower the load, or distribute it over several generators"
        if not has_target or not (is_open or is_capacity):
            continue
        if is_full:
            return (
                f"the load generator was the limit: it used {cpu_percent:.0f} % of its core with {arm}; "
                "lower the load, or distribute it over several generators"
            )
        if late := late_starts(of_arm):
            remedy = "lower the load, or give the generator a core to itself"
            return f"the load generator was the limit: with {arm} it started {late}; {remedy}"
    return None


def cpu_bound(blocks: Iterable[LoadBlock]) -> dict[str, str]:
    """Return arm → its CPU usage in words, of arms whose operations fill the core of the load generator's process."""
    usages = {arm: core_usage(of_arm) for arm, of_arm in blocks_by_arm(blocks).items()}
    return {
        arm: f"{arm} used {cpu_percent:.0f} % of a core, {own_percent:.0f} % of it for the generator's own work"
        for arm, (cpu_percent, own_percent) in usages.items()
        if cpu_percent > MAX_CPU_PERCENT
    }


def have_trouble(blocks: Iterable[LoadBlock]) -> bool:
    """Return whether operations failed, did not start or did not end, of which what they use may be the cause."""
    groups = [group for block in blocks for group in block.groups.values()]
    return any(group.errors or group.warm_up_errors or group.unfinished or group.dropped for group in groups)


def blocks_by_arm(blocks: Iterable[LoadBlock]) -> dict[str, list[LoadBlock]]:
    """Return the blocks of each arm, which are judged together: other processes may have disturbed a single one."""
    by_arm: dict[str, list[LoadBlock]] = defaultdict(list)
    for block in blocks:
        by_arm[block.arm].append(block)
    return by_arm


def core_usage(blocks: Sequence[LoadBlock]) -> tuple[float, float]:
    """Return the generator's mean CPU usage and the part that is its own work, in percent of a core."""
    return math.fsum(b.cpu_percent for b in blocks) / len(blocks), math.fsum(b.own_percent for b in blocks) / len(blocks)


def _mean_in_flight(blocks: Sequence[LoadBlock]) -> float:
    """Return the mean number of operations in flight (Little 1961); up to 1, none has waited for another one's turn."""
    return sum(g.response.sum_ns for b in blocks for g in b.groups.values()) / max(1, sum(b.measured_ns for b in blocks))


def late_starts(blocks: Sequence[LoadBlock]) -> str | None:
    """Return how late operations started, compared with their response times, if that distorts them; else None."""
    late, response = merged(b.lateness for b in blocks), merged(g.response for b in blocks for g in b.groups.values())
    for percentile, part in LATENESS_PERCENTILES.items():
        late_ns, response_ns = late.percentile_ns(percentile), response.percentile_ns(percentile)
        if late_ns is not None and response_ns is not None and late_ns > max(LATE_NS, LATE_SHARE * response_ns):
            return f"{part} at least {late_ns / 1e6:.1f} ms late, where response times are {response_ns / 1e6:.1f} ms"
    return None


def overloaded(total: Total) -> str | None:
    """Return the reason why an arm does not sustain the offered load, with the next step, or None. Failures are judged apart.

    Only operations that complete within measured time count: an arm that is too slow may still complete its backlog while draining.
    Operations in flight at the end for as long as an operation takes with little queueing are not a backlog, as far as the warm-up
    was shorter: in a longer one as many were in flight at the start, and complete within measured time.
    """
    sums, blocks = total.sums, len([*chain(*total.blocks.values())])
    failed, missing, response = sum(sums.errors.values()), sums.planned - sums.completed, Histogram.from_wire(sums.response)
    if sums.unfinished:
        counted = f"{sums.unfinished} of {sums.planned} operations were unfinished at the drain timeout"
        return f"{counted}; lower the load, or allow a longer drain"
    if not total.is_open:
        return None
    if sums.dropped:
        counted = f"{sums.dropped} of {sums.planned} operations were dropped at the limit of in-flight operations"
        return f"{counted}; lower the load, or raise the limit"
    rate_per_s = sums.planned / total.seconds
    warm_up_ns = min((block.warm_up_ns for block in chain(*total.blocks.values())), default=0)
    longer_ns = max(0.0, (response.percentile_ns(EARLY_QUANTILE) or 0.0) - warm_up_ns)
    in_flight = blocks * (1 + rate_per_s * longer_ns / 1e9)
    # Operations in flight at the start and at the end of measured time cancel on average; their difference has both variances.
    chance = CHANCE_SD * math.sqrt(2 * blocks * rate_per_s * (response.mean_ns or 0.0) / 1e9)
    if missing <= (1 - MIN_ACHIEVED_SHARE) * sums.planned or missing <= in_flight + chance + failed:
        return None
    return f"it completed {total.achieved_per_s:.4g} of {rate_per_s:.4g} operations per second; lower the load"


def failing(total: Total, tolerance: float, *, is_part: bool = False) -> str | None:
    """Return an arm's failures if they are beyond the tolerance, those of the warm-up included, with the most frequent error.

    A total that is only a part of the arm's operations, such as one group, fails if its share is beyond the tolerance with
    significance, by the lower 95 % bound. An arm of which no operation completed fails too: all were unfinished or dropped.
    """
    sums = total.sums
    measured = Failures(sum(sums.errors.values()), sums.operations + sum(sums.errors.values()))
    warm_up = Failures(sum(sums.warm_up_errors.values()), sums.warm_up)
    both = Failures(measured.errors + warm_up.errors, measured.operations + warm_up.operations)
    texts = []
    if any(_is_beyond(found, tolerance, is_part=is_part) for found in (measured, both)):
        for found, errors, where in ((measured, sums.errors, ""), (warm_up, sums.warm_up_errors, " of the warm-up")):
            if found.errors:
                message, count = max(errors.items(), key=lambda item: item[1])
                of = f"{found.errors:,} of {found.operations:,} operations{where} failed ({percent(found)})"
                texts.append(f"{of}: {message} ({count:,})")
    elif not is_part and not sums.operations and (sums.unfinished or sums.dropped):
        left = {"unfinished at the drain timeout": sums.unfinished, "dropped at the limit of in-flight operations": sums.dropped}
        counts = ", ".join(f"{count:,} were {how}" for how, count in left.items() if count)
        texts.append(f"none of {sums.planned:,} operations completed: {counts}")
    return "; ".join(texts) or None


def _is_beyond(found: Failures, tolerance: float, *, is_part: bool) -> bool:
    if not found.errors:
        return False
    return binomial_bounds(found.errors, found.operations)[0] > tolerance if is_part else found.exceed(tolerance)
