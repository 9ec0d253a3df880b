"""A made-up run under load: log-normal times, interleaved blocks, and a search that doubles and then halves."""

import math
from dataclasses import replace
from statistics import NormalDist

from harness.results.load import (
    ALL,
    Capacity,
    CapacityKind,
    CapacityStep,
    LatencySummary,
    LoadedArm,
    LoadModel,
    LoadRatio,
    LoadResult,
    Phase,
    Tick,
)
from harness.stats.intervals import QUANTILES, is_supported


def quantile_ns(middle_ms: float, quantile: float) -> float:
    """Return a quantile of a log-normal response time."""
    return middle_ms * 1e6 * math.exp(0.5 * NormalDist().inv_cdf(quantile))


def spread(middle_ms: float, operations: int) -> LatencySummary:
    """Return a log-normal distribution with intervals of five percent at the median and more at the tail."""
    found = {label: quantile_ns(middle_ms, q) if is_supported(operations, q) else None for label, q in QUANTILES.items()}
    wide = {
        label: None if ns is None else (ns * (1 - 0.03 / (1.05 - q)), ns * (1 + 0.03 / (1.05 - q)))
        for (label, ns), q in zip(found.items(), QUANTILES.values(), strict=True)
    }
    return LatencySummary(operations, middle_ms * 1.13e6, int(middle_ms * 2e5), int(middle_ms * 9e6), found, wide)


def loaded(arm: str, group: str, middle_ms: float, operations: int) -> LoadedArm:
    """Return an arm that sustains 200 operations per second and waits for a third of the time."""
    times = (spread(middle_ms, operations), spread(middle_ms * 0.66, operations), spread(middle_ms * 0.2, operations))
    return LoadedArm(arm, group, operations / 30, operations / 30, operations, 0, 0, 0, *times)


def ticks(middles_ms: dict[str, float]) -> list[Tick]:
    """Return ticks of two processes with two blocks per arm, each with warm-up, measured time and drain."""
    order = [*middles_ms, *reversed(middles_ms)]
    found = []
    for process in range(2):
        for i in range(len(order) * 10):
            arm, within = order[i // 10], i % 10
            slow = middles_ms[arm] * (1.8 if within == 0 else 1 + 0.06 * math.sin(2.3 * i))
            cpu = {"service": min(99.0, 18 + middles_ms[arm]), "database": 30 + 5 * math.sin(i), "generator": 12 + math.sin(i)}
            rss = {"service": 180_000_000 + 150_000 * i, "database": 95_000_000, "generator": 60_000_000}
            phase = Phase.WARM_UP if within < 2 else Phase.DRAIN if within == 9 else Phase.MEASURED
            counts = {"statements": 1 + middles_ms[arm] / 2, "cache_hits": 0.2 if arm == "baseline" else 0.93}
            done = 0 if within == 9 else round(100 + 6 * math.sin(3 * i))
            numbers = (done, int(i % 37 == 5), 9, slow * 1e6, quantile_ns(slow, 0.99))
            found.append(Tick(process, 0.5 * (i + 1), arm, phase, *numbers, cpu, rss, counts))
    return found


def searched(arm: str, kind: CapacityKind, most: float, base_ms: float) -> Capacity:
    """Return a search that doubles until an arm with a maximum of `most` per second fails "p95 < 150 ms", then bisects."""
    steps: list[CapacityStep] = []
    level, holds, fails = most / 14 if kind == CapacityKind.RATE else 1.0, 0.0, math.inf
    while fails / max(holds, 1e-9) > 1.1 and fails - holds > (kind == CapacityKind.USERS):
        response_ms = base_ms / max(1 - level / most, 0.01) if kind == CapacityKind.RATE else base_ms + 1e3 * level / most
        achieved = min(level, most) if kind == CapacityKind.RATE else level / response_ms * 1e3
        holding = response_ms * 3 < 150
        known: dict[str, float | None] = {"50": response_ms * 0.8e6, "95": response_ms * 3e6, "mean": response_ms * 1e6}
        reason = f"p95 is {response_ms * 3:.0f} ms"
        steps.append(CapacityStep(level, achieved, 900, 0, known, holding, reason))
        holds, fails = (level, fails) if holding else (holds, level)
        level = holds * 2 if math.isinf(fails) else math.sqrt(max(holds, fails / 4) * fails)
        level = level if kind == CapacityKind.RATE else round(level)
    return Capacity(
        arm, kind, "p95 < 150 ms, errors < 0.1 %", holds, fails, steps, f"it ended within 10 % after {len(steps)} steps"
    )


def under_load() -> LoadResult:
    """Return three arms at 200 per second: the baseline, one that cannot sustain the rate, and one that is faster."""
    reason = "it completed 61 % of the offered operations, and 1,204 were dropped"
    failing = {"achieved_per_s": 122.0, "operations": 3_660, "dropped": 1_204, "unfinished": 86, "errors": 17}
    messages = {"sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached": 15, "no answer in 30 s": 2}
    arms = []
    for group, baseline, optimised, operations in (
        (ALL, 42.0, 3.1, 6_000),
        ("list", 55.0, 2.4, 4_500),
        ("update", 21.0, 8.0, 1_500),
    ):
        arms.append(loaded("baseline", group, baseline, operations))
        failed = loaded("proposed", group, 1_900.0, operations)
        arms.append(replace(failed, **failing, overloaded=reason, error_messages=messages))  # type: ignore[arg-type]
        arms.append(loaded("optimised", group, optimised, operations))
    ratios = [
        LoadRatio("optimised", x.group, label, before / after, 0.9 * before / after, 1.1 * before / after, 12)
        for base, x in zip(arms[::3], arms[2::3], strict=True)
        for label, before in base.response.percentiles_ns.items()
        if before is not None and (after := x.response.percentiles_ns[label]) is not None
    ]
    most = {"baseline": (330.0, 15.0), "proposed": (150.0, 18.0), "optimised": (900.0, 2.5)}
    found = [searched(arm, kind, *how) for kind in (CapacityKind.RATE, CapacityKind.USERS) for arm, how in most.items()]
    seen = ticks({"baseline": 42.0, "proposed": 80.0, "optimised": 3.1})
    return LoadResult([LoadModel.OPEN], "200 per second, evenly", 5.0, 1.0, arms, ratios, seen, found)
