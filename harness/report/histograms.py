"""Reading what a run under load keeps beside its record: the histograms of every block."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from harness.errors import UsageError

HISTOGRAM_COLUMNS = ("process", "cycle", "position", "arm", "group", "kind", "lower_ns", "count")
"""A row a bucket: `kind` is "response", "service" or "queue", `lower_ns` where the bucket begins, `count` how many fell into it."""


def read_histograms(path: Path) -> pd.DataFrame:
    """Return the histograms of one scenario, columns `HISTOGRAM_COLUMNS`.

    Raises:
        UsageError: the file is missing or holds something else.
    """
    kinds = {"arm": "str", "group": "str", "kind": "str", "lower_ns": "int64", "count": "int64"}
    try:
        return pd.read_csv(path, usecols=list(HISTOGRAM_COLUMNS), dtype=kinds, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the histograms in {path} ({error}); run again, or report another run") from error
