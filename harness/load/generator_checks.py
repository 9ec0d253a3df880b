"""Whether a run tells about its target: a generator at its limit tells of itself, an arm at its limit of nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from harness.load.protocol import LoadBlock
from harness.load.totals import Total
from harness.stats.histogram import Histogram

ENOUGH = 0.98
"""An arm that answers a smaller share of what was offered does not hold the rate."""

MOST_CPU_PERCENT = 90.0
"""A generator that uses more of its core has no room for what comes together by chance."""

LATE_NS = 1_000_000
LATE_SHARE = 0.1
"""Lateness of more than `LATE_NS`, and more than this share of the response time at the same percentile, was measured with it."""

JUDGED = {0.5: "every second operation", 0.99: "one operation in a hundred"}
"""The percentiles at which lateness stands against response times: what a usual one is late by, what slow ones may owe to it."""

CHANCE = 3.0
"""So many standard deviations are chance: a number of operations under way scatters by its square root (Poisson arrivals)."""

EARLY = 0.1
"""The percentile of response times that stands for how long an operation takes while little waits."""


def generator(blocks: Iterable[LoadBlock]) -> dict[str, str]:
    """Return how the load generators did, in words for the record: nothing without blocks."""
    found = list(blocks)
    late_ns = Histogram.merged(Histogram.from_wire(b.lateness) for b in found).percentile_ns(0.99)
    facts = {"generator's busiest block": f"{max(b.cpu_percent for b in found):.0f} % of a core"} if found else {}
    late = {} if late_ns is None else {"generator's lateness (p99)": f"{late_ns / 1e6:.3f} ms"}
    return facts | late


def generator_limit(blocks: Iterable[LoadBlock]) -> str | None:
    """Return why the generator, not the target, was the limit, in a sentence, or None. Only a target elsewhere can be told from it.

    Judged over all blocks of one arm together, because a single block may have met somebody else's work.
    """
    by_arm: dict[str, list[LoadBlock]] = {}
    for block in blocks:
        if block.targets:
            by_arm.setdefault(block.arm, []).append(block)
    found = (_limit(arm, of_arm) for arm, of_arm in by_arm.items())
    return next((reason for reason in found if reason), None)


def _limit(arm: str, blocks: Sequence[LoadBlock]) -> str | None:
    cpu_percent = sum(b.cpu_percent for b in blocks) / len(blocks)
    if cpu_percent > MOST_CPU_PERCENT:
        return (
            f"the load generator used {cpu_percent:.0f} % of its core with {arm}, so its own limit was measured; "
            "offer less, or share the load out over several generators"
        )
    late = Histogram.merged(Histogram.from_wire(b.lateness) for b in blocks)
    response = Histogram.merged(Histogram.from_wire(g.response) for b in blocks for g in b.groups.values())
    for percentile, says in JUDGED.items():
        late_ns, response_ns = late.percentile_ns(percentile), response.percentile_ns(percentile)
        if late_ns is None or response_ns is None or late_ns <= max(LATE_NS, LATE_SHARE * response_ns):
            continue
        return (
            f"the load generator began {says} {late_ns / 1e6:.1f} ms late or later with {arm}, where response times are "
            f"{response_ns / 1e6:.1f} ms, so its own lateness was measured; offer less, or give it a core of its own"
        )
    return None


def overloaded(total: Total) -> str | None:
    """Return why an arm does not hold the rate it was offered, or None.

    Answers count when they come within measured time: draining may still answer everything that a too slow arm left lying. What is
    under way at the end for as long as an operation takes with little waiting is no backlog.
    """
    if total.censored:
        return f"{_of(total.censored, total)} were not answered before waiting for them ended"
    if not total.open_model:
        return None
    if total.dropped:
        return f"{_of(total.dropped, total)} were dropped, because as many as allowed were under way"
    if total.failed > (1 - ENOUGH) * total.planned:
        return f"{_of(total.failed, total)} failed"
    missing = total.planned - total.answered
    response = Histogram.merged(h for blocks in total.response.values() for h in blocks)
    rate_per_s = total.planned / total.seconds
    under_way = total.blocks * (1 + rate_per_s * (response.percentile_ns(EARLY) or 0.0) / 1e9)
    # What is under way when measuring begins and when it ends cancels on average; their difference has the variance of both.
    chance = CHANCE * math.sqrt(2 * total.blocks * rate_per_s * (response.mean_ns or 0.0) / 1e9)
    if missing <= (1 - ENOUGH) * total.planned or missing <= under_way + chance + total.failed:
        return None
    return f"it answered {total.achieved_per_s:.4g} of {rate_per_s:.4g} operations a second, and fell behind"


def _of(number: int, total: Total) -> str:
    return f"{number} of {total.planned} operations"
