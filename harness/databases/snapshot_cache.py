"""What is the same in every process of a run and takes long to make: made once a run, kept beside the scenario's data."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from harness.results.store import write_bytes
from harness.scenario import Setting

Value = TypeVar("Value")


def kept(setting: Setting, name: str, make: Callable[[], Value]) -> Value:
    """Return what `make` returned to the first process of the run that asked for this name.

    It has to be a pure function of the setting and the name, and a value that can be pickled and that nobody changes.

    Raises:
        UsageError: the working folder cannot be written, or the disk is full.
    """
    file = setting.folder / f"kept-{name}-{setting.scale:g}.pickle"
    if not file.exists():
        write_bytes(file, pickle.dumps(make()))
    value: Value = _read(file)
    return value


@lru_cache(maxsize=8)
def _read(file: Path) -> Any:
    return pickle.loads(file.read_bytes())  # noqa: S301 - written by this run, in its own folder
