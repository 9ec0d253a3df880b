"""From blocks to a run: pure functions, the same whether Locust or a command supervised the engine."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from harness.discovery import Loaded
from harness.judge import statistics
from harness.load.protocol import Block
from harness.measure.assemble import in_order, latencies
from harness.record import Arm, Doubt, Ratio, Sample, ScenarioResult
from harness.scenario import BASELINE


def samples(blocks: Mapping[int, Sequence[Block]], scenario: str) -> list[Sample]:
    """Return one scenario's operations; `blocks` maps an engine process's number to its blocks. A pair is a cycle."""
    return [
        Sample(process, b.cycle, b.position, b.arm, group, f"cycle {b.cycle}", ns)
        for process, found in blocks.items()
        for b in found
        if b.scenario == scenario
        for group, times in b.latencies_ns.items()
        for ns in times
    ]


def errors(blocks: Mapping[int, Sequence[Block]], scenario: str) -> dict[str, dict[str, int]]:
    """Return arm → message → how many operations failed with it."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for b in (b for process in blocks.values() for b in process if b.scenario == scenario):
        for message, number in b.errors.items():
            found[b.arm][message] += number
    return {arm: dict(messages) for arm, messages in found.items()}


def ratios(taken: Sequence[Sample]) -> list[Ratio]:
    """Return how many times faster each arm's median is than the baseline's of the same cycle.

    Several engine processes give Student's interval over their medians; a single one gives the sign test's over its cycles, which
    knows nothing of other processes.
    """
    medians: dict[tuple[str, int, int], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for s in taken:
        medians[s.group, s.process, s.pair][s.arm].append(s.latency_ns)
    logs: dict[tuple[str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (group, process, _), arms in medians.items():
        if BASELINE in arms:
            base = float(np.median(arms[BASELINE]))
            for arm, times in arms.items():
                if arm != BASELINE:
                    logs[group, arm][process].append(math.log(base / float(np.median(times))))
    rows = []
    for (group, arm), processes in logs.items():
        centres = [statistics.median(v) for _, v in sorted(processes.items())]
        if len(centres) > 1:
            centre = statistics.mean_interval(centres)
        else:
            centre = statistics.median_interval(next(iter(processes.values())))
        low, high = (None if b is None else math.exp(b) for b in (centre.low, centre.high))
        number = sum(len(v) for v in processes.values())
        rows.append(Ratio(arm, group, math.exp(centre.value), low, high, [math.exp(c) for c in centres], number))
    return rows


def result(
    loaded: Loaded,
    engine: str,
    rtt_ms: float,
    dataset: dict[str, str | int],
    blocks: Mapping[int, Sequence[Block]],
    samples_file: str,
) -> ScenarioResult:
    """Return one scenario's result under load. A scenario without a single operation has failed."""
    taken = samples(blocks, loaded.name)
    failures = errors(blocks, loaded.name)
    doubts = [
        Doubt(
            "failed operations",
            f"{arm}: {number} × {message}",
            "failed operations are not among the times; mend them, or use fewer users",
        )
        for arm, messages in failures.items()
        for message, number in messages.items()
    ]
    if len(blocks) == 1 and taken:
        doubts.append(Doubt("one process", "intervals are over cycles inside a single engine process", "add --processes 2 or more"))
    return ScenarioResult(
        name=loaded.name,
        title=loaded.title,
        doc=loaded.doc,
        file=loaded.file.name,
        engine=engine,
        rtt_ms=rtt_ms,
        status="ok" if taken else "failed",
        error=None if taken else "no operation was finished; run longer, or with fewer scenarios",
        exit_code=0 if taken else 1,
        arms=[Arm(name, describes) for name, describes in loaded.scenario.arms.items()],
        groups={group: says for group, says in loaded.scenario.groups.items() if group in {s.group for s in taken}},
        pairs=len({(s.process, s.pair) for s in taken}),
        processes=len({s.process for s in taken}),
        dataset=dataset,
        latencies=in_order(latencies(taken), loaded.scenario),
        ratios=in_order(ratios(taken), loaded.scenario),
        doubts=doubts,
        samples_file=samples_file if taken else None,
    )
