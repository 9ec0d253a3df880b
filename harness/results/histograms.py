"""The histograms of a load test, next to its `run.json`: one CSV per scenario, from which all figures can be recomputed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.results.store import read_columns, write_bytes

if TYPE_CHECKING:
    import numpy.typing as npt

HISTOGRAM_COLUMNS = ("process", "cycle", "position", "arm", "group", "kind", "lower_ns", "count")
"""One row per bucket that is not empty: `kind` is "response", "service" or "queue", `lower_ns` the bucket's lowest time and `count`
the number of operations in it. `process` is the load worker's number."""


def write_histograms(rows: Iterable[tuple[int | str, ...]], path: Path) -> None:
    """Write the rows of one scenario's histograms, columns `HISTOGRAM_COLUMNS`.

    Raises:
        UsageError: the folder cannot be written, or the disk is full.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(HISTOGRAM_COLUMNS)
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())


def read_histograms(path: Path) -> Mapping[str, npt.NDArray[Any]]:
    """Read one scenario's histograms as columns of equal length, by the names in `HISTOGRAM_COLUMNS`.

    Raises:
        UsageError: the file is missing or holds something else.
    """
    return read_columns(path, HISTOGRAM_COLUMNS, "histograms")
