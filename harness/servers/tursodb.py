"""Turso's sync server for a run: embedded replicas pull from it and push to it. It is the program `tursodb`.

Its peculiarities, as observed with tursodb 0.6: it serves its log and not what a checkpoint wrote into the file, so a database has
to be filled through it; it handles one request at a time; and it replies to a pull at once, without long polling.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import NotMeasurableError, UsageError
from harness.network.addresses import LOOPBACK
from harness.runtime.leftovers import owned_path
from harness.servers.guard import Command, guarded, unprivileged_user

PROGRAM = "tursodb"
PATH_VARIABLE = "HARNESS_TURSODB"
"""Environment variable with the path of the program, if it is not on PATH."""


def program() -> str:
    """Return the path of the program; NotMeasurableError if it is not installed, UsageError if the variable is wrong."""
    configured = os.environ.get(PATH_VARIABLE)
    found = shutil.which(configured or PROGRAM)
    if found:
        return found
    if configured:
        raise UsageError(f"{PATH_VARIABLE} is {configured}, which is not a program; set it to the path of {PROGRAM}, or unset it")
    advice = f"install the npm package turso, or set {PATH_VARIABLE}"
    raise NotMeasurableError(f"Turso's embedded replicas need {PROGRAM}, which is not on PATH; {advice}")


@contextmanager
def sync_server(folder: Path, port: int) -> Iterator[str]:
    """Start a server with an empty database, yield its URL, and stop it at the end; errors as for `program`.

    Its log is in `folder`. It knows no passwords, so that every user of this machine can read and write what is in it.
    """
    user = unprivileged_user("Turso's sync server", "tursodb", PATH_VARIABLE)
    home = owned_path("tursodb")
    arguments = [program(), str(home / "synced.db"), "--sync-server", f"{LOOPBACK}:{port}"]

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((LOOPBACK, port)) == 0

    command = Command("Turso's sync server", arguments, folder / "tursodb.log", stop_s=2.0, remove=home, user=user)
    with guarded(command, listens):
        yield f"http://{LOOPBACK}:{port}"


def facts() -> dict[str, str]:
    """Return the program's version, for the run record."""
    printed = subprocess.run([program(), "--version"], capture_output=True, text=True, check=False).stdout
    return {"tursodb": printed.strip() or "unknown"}
