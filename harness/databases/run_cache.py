"""A cache on disk of values that are slow to compute and the same in every process of a run."""

import pickle
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from harness.results.store import write_bytes
from harness.scenario import Setting

Value = TypeVar("Value")


def cached_in_run(setting: Setting, name: str, compute: Callable[[], Value]) -> Value:
    """Return the value of `name`, computed by the first process of the run that needs it.

    `compute` has to be a pure function of the setting and the name. The value has to be picklable and must not be changed.
    """
    file = setting.folder / f"cached-{name}-{setting.scale:g}.pickle"
    if not file.exists():
        write_bytes(file, pickle.dumps(compute()))
    value: Value = _read(file)
    return value


@lru_cache(maxsize=8)
def _read(file: Path) -> Any:
    return pickle.loads(file.read_bytes())  # noqa: S301 - written by this run, in its own folder
