"""Copies of a database: one that is thrown away, and one that is lent, again and again, to those who leave it as it was."""

from __future__ import annotations

import fcntl
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.databases.databases import Databases

_AS_IT_WAS = "as it was"


@contextmanager
def fresh(found: Databases, source: str, name: str) -> Iterator[str]:
    """Yield the name of a copy of a database, and remove it at the end.

    Raises:
        UsageError: there is no such source, or the disk is full.
    """
    found.copy(source, name)
    try:
        yield name
    finally:
        found.remove(name)


@contextmanager
def lent(found: Databases, source: str, folder: Path) -> Iterator[str]:
    """Yield the name of a copy that nobody else has meanwhile, and keep it for the next; the files in `folder` say who has which.

    For those who take back whatever they write. Who leaves with an exception, or is killed, may not have: that copy is made anew
    before it is lent again.

    Raises:
        UsageError: there is no such source, or the disk is full.
    """
    for number in itertools.count():
        name = f"lent-{number}-{source}"
        with (folder / f"{name}.lock").open("a+") as state:
            try:
                fcntl.flock(state, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            state.seek(0)
            if state.read() != _AS_IT_WAS:
                found.copy(source, name)
            state.truncate(0)
            yield name
            found.rest(name)
            state.write(_AS_IT_WAS)
            return
