"""What a run under load keeps beside its record: the histograms of every block, from which any of its figures can be made again."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from harness.load.totals import Blocks
from harness.results.store import write_bytes
from harness.stats.histogram import bounds_ns

HISTOGRAM_COLUMNS = ("process", "cycle", "position", "arm", "group", "kind", "lower_ns", "count")
KINDS = ("response", "service", "queue")


def write_histograms(blocks: Blocks, scenario: str, path: Path) -> None:
    """Write one scenario's histograms as CSV, a row a bucket that is not empty: its lowest time and how many operations took it.

    Raises:
        UsageError: the folder cannot be written, or the disk is full.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(HISTOGRAM_COLUMNS)
    for process, found in sorted(blocks.items()):
        for block in (b for b in found if b.scenario == scenario):
            for group, times in block.groups.items():
                place = (process, block.cycle, block.position, block.arm, group)
                for kind, wire in zip(KINDS, (times.response, times.service, times.queue), strict=True):
                    buckets = zip(wire.buckets, wire.counts, strict=True)
                    writer.writerows((*place, kind, bounds_ns(bucket)[0], count) for bucket, count in buckets)
    write_bytes(path, text.getvalue().encode())
