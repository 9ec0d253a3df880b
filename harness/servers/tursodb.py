"""Turso's sync server for a run, which embedded replicas pull from and push to: the program `tursodb`, where there is one.

What is peculiar to it, as met with tursodb 0.6: it serves what its log holds and not what was folded into the file, so that a
database is filled through it; it answers one request at a time; and it answers a pull at once, however long that could wait.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import NotMeasurableError, UsageError
from harness.servers.guard import Command, guarded

PROGRAM = "tursodb"
VARIABLE = "HARNESS_TURSODB"
"""The environment variable that names the program, where it is not on PATH."""

_HOST = "127.0.0.1"


def program() -> str:
    """Return the program.

    Raises:
        UsageError: the one that the environment names is none.
        NotMeasurableError: there is none.
    """
    given = os.environ.get(VARIABLE)
    found = shutil.which(given or PROGRAM)
    if found is None and given:
        raise UsageError(f"{VARIABLE} names {given}, which is no program; name {PROGRAM} itself, or unset it")
    if found is None:
        raise NotMeasurableError(
            f"Turso's embedded replicas need {PROGRAM}: none on PATH; install the npm package turso, or set {VARIABLE}"
        )
    return found


@contextmanager
def server(folder: Path, port: int) -> Iterator[str]:
    """Start a server with an empty database in a folder, yield its URL, and stop it at the end.

    Raises:
        NotMeasurableError: there is no program to start.
        UsageError: it does not start.
    """
    words = [program(), str(folder / "synced.db"), "--sync-server", f"{_HOST}:{port}"]
    with guarded(Command("Turso's sync server", words, folder / "tursodb.log", stop_s=2.0), lambda: _listens(port)):
        yield f"http://{_HOST}:{port}"


def facts() -> dict[str, str]:
    """Return the program's version, for the record."""
    said = subprocess.run([program(), "--version"], capture_output=True, text=True, check=False).stdout
    return {"tursodb": said.strip() or "unknown"}


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex((_HOST, port)) == 0
