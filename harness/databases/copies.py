"""Copies of a database: temporary ones, and reusable ones that are borrowed by callers who undo their writes."""

import fcntl
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.databases.interface import Databases

_CLEAN = "clean"


@contextmanager
def temporary_copy(found: Databases, source: str, name: str) -> Iterator[str]:
    """Yield the name of a copy of a database, and remove the copy at the end."""
    found.copy(source, name)
    try:
        yield name
    finally:
        found.remove(name)


@contextmanager
def borrowed_copy(found: Databases, source: str, folder: Path) -> Iterator[str]:
    """Yield the name of a copy that nothing else uses meanwhile, and leave it for the next borrower; lock files are in `folder`.

    The borrower has to undo whatever it writes. One that raises an exception or is killed may not have: its copy is made again
    before it is borrowed next.
    """
    for number in itertools.count():
        name = f"borrowed-{number}-{source}"
        with (folder / f"{name}.lock").open("a+") as state:
            try:
                fcntl.flock(state, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            state.seek(0)
            if state.read() != _CLEAN:
                found.copy(source, name)
            state.truncate(0)
            yield name
            found.checkpoint(name)
            state.write(_CLEAN)
            return
