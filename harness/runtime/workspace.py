"""A run's temporary folder, and the git commit it measures."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import UsageError
from harness.runtime.signals import deferred


@contextmanager
def workspace() -> Iterator[Path]:
    """Yield a folder for databases on the temporary disk, removed at the end; raise UsageError if it cannot be created."""
    folder: Path | None = None
    try:
        with deferred():
            try:
                folder = Path(tempfile.mkdtemp(prefix="harness-"))
            except OSError as error:
                message = f"cannot create a folder for databases: {error.strerror or error}; set TMPDIR to a disk with free space"
                raise UsageError(message) from error
        yield folder
    finally:
        with deferred():
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


def git_commit() -> tuple[str | None, bool]:
    """Return the short commit of the current folder and whether it has uncommitted changes; (None, False) outside a checkout."""
    try:
        commit, status = (
            subprocess.run(["git", *arguments], capture_output=True, check=True).stdout.decode(errors="replace").strip()  # noqa: S607
            for arguments in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.CalledProcessError):
        return None, False
    return commit, bool(status)
