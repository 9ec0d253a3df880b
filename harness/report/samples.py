"""Raw samples of one scenario as figures need them: by group and arm, and as the ratios of pairs."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.results.run import BASELINE

Samples = Mapping[str, npt.NDArray[Any]]
"""Raw samples of one scenario as columns of equal length, one entry per recorded operation: `harness.results.store.SAMPLE_COLUMNS`.
Under load one per bucket of its histograms: `harness.results.store.HISTOGRAM_COLUMNS`."""

PairRatios = dict[tuple[str, str], list[tuple[int, float]]]
"""Group and arm → process and ratio (the baseline's time ÷ the arm's) of each pair, in the order of measuring."""


def latencies_ns(samples: Samples) -> dict[tuple[str, str], npt.NDArray[np.float64]]:
    """Return group and arm → the nanoseconds of its operations, sorted."""
    if not len(samples["arm"]):
        return {}
    keys, of_group = np.unique(samples["group"], return_inverse=True)
    arms, of_arm = np.unique(samples["arm"], return_inverse=True)
    place = of_group * len(arms) + of_arm
    order = np.lexsort((samples["latency_ns"], place))
    chosen, starts = np.unique(place[order], return_index=True)
    found = np.split(samples["latency_ns"][order].astype(np.float64), starts[1:])
    return {
        (str(keys[code // len(arms)]), str(arms[code % len(arms)])): values
        for code, values in zip(chosen.tolist(), found, strict=True)
    }


def pair_ratios(samples: Samples) -> PairRatios:
    """Return the ratio of each pair that has a baseline."""
    totals: dict[tuple[int, int, str], dict[str, tuple[int, int]]] = defaultdict(dict)
    columns = (samples[name].tolist() for name in ("process", "pair", "group", "arm", "latency_ns"))
    for process, pair, group, arm, ns in zip(*columns, strict=True):
        of_pair = totals[process, pair, group]
        count, total_ns = of_pair.get(arm, (0, 0))
        of_pair[arm] = (count + 1, total_ns + ns)
    found: PairRatios = defaultdict(list)
    for (process, _, group), by_arm in sorted(totals.items()):
        count, total_ns = by_arm.get(BASELINE, (0, 0))
        for arm, (own_count, own_ns) in by_arm.items():
            if total_ns and own_ns and arm != BASELINE:
                found[group, arm].append((process, total_ns / count / (own_ns / own_count)))
    return found
