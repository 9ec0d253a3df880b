"""The histograms of a load test, next to its `run.json`: one CSV per scenario, from which all figures can be recomputed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.results.store import write_bytes

if TYPE_CHECKING:
    import pandas as pd

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


def read_histograms(path: Path) -> pd.DataFrame:
    """Read one scenario's histograms, columns `HISTOGRAM_COLUMNS`.

    Raises:
        UsageError: the file is missing or holds something else.
    """
    import pandas as pd  # noqa: PLC0415 - writing needs no data frame, and a load worker's start should not wait for it

    kinds = {"arm": "str", "group": "str", "kind": "str", "lower_ns": "int64", "count": "int64"}
    try:
        return pd.read_csv(path, usecols=list(HISTOGRAM_COLUMNS), dtype=kinds, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the histograms in {path} ({error}); run again, or report another run") from error
