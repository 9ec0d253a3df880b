"""A cache on disk of values that are slow to compute and the same in every process of a run, and in later runs."""

import pickle
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar

from harness.results.store import write_bytes
from harness.runtime.snapshot_cache import cache_slot
from harness.runtime.source_digest import source_digest
from harness.scenario import Setting

Value = TypeVar("Value")


def cached_in_run(setting: Setting, name: str, compute: Callable[[], Value]) -> Value:
    """Return the value of `name`, computed by the first process that needs it; later runs of the same code read it too.

    `compute` has to be a pure function of the setting and the name. The value has to be picklable and must not be changed.
    """
    file = setting.folder / f"cached-{name}-{setting.scale:g}.pickle"
    if not file.exists():
        with cache_slot(_parts(setting, name, compute)) as slot:
            if not file.exists() and slot.restore(file) is None:
                made = write_bytes(file.with_suffix(".made"), pickle.dumps(compute()))
                if not slot.store(made, file, ""):
                    made.replace(file)
    value: Value = _read(file)
    return value


def _parts(setting: Setting, name: str, compute: Callable[[], object]) -> dict[str, str] | None:
    """Return all that a value depends on; None if the code of `compute` is not known."""
    code = source_digest([compute.__module__]) if isinstance(compute, FunctionType) else None
    if code is None:
        return None
    return {
        "name": f"{compute.__module__} · {name}",
        "engine": setting.engine,
        "size": setting.size,
        "scale": repr(setting.scale),
        "seed": str(setting.seed),
        "quick": str(setting.quick),
        "code": code,
    }


@lru_cache(maxsize=8)
def _read(file: Path) -> Any:
    return pickle.loads(file.read_bytes())  # noqa: S301 - written by this user: the cache refuses a folder of another one
