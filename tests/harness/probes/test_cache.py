"""The counters of a cache count only while the probe is entered."""

import asyncio
from collections import Counter

from harness.probes.cache import Counters


def test_only_changes_within_the_probe_count() -> None:
    """Changes before it is entered or after it is exited do not count; the probe can be entered again."""
    counters: Counter[str] = Counter(lookups=5, hits=2)
    probe = Counters(lambda: counters)

    async def counted(lookups: int, **others: int) -> dict[str, float]:
        async with probe:
            counters.update(lookups=lookups, **others)
        counters["lookups"] += 100
        return dict(probe.counts())

    assert asyncio.run(counted(3)) == {"lookups": 3, "hits": 0}
    assert asyncio.run(counted(4, hits=1, loads=3)) == {"lookups": 4, "hits": 1, "loads": 3}
