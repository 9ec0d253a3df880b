"""A run's temporary folder, and the git commit it measures."""

import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import UsageError
from harness.runtime.leftovers import new_folder, remove
from harness.runtime.signals import deferred

GIT_S = 60.0
"""Timeout of git, in seconds."""


@contextmanager
def workspace() -> Iterator[Path]:
    """Yield a folder for databases on the temporary disk, removed at the end; raise UsageError if it cannot be created."""
    folder: Path | None = None
    try:
        with deferred():
            try:
                folder = new_folder("run")
            except OSError as error:
                message = f"cannot create a folder for databases: {error.strerror or error}; set TMPDIR to a disk with free space"
                raise UsageError(message) from error
        yield folder
    finally:
        with deferred():
            if folder is not None:
                remove(folder)


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


def commit_order(commits: Iterable[str]) -> dict[str, int]:
    """Return the place of each commit, a hexadecimal name, in the history of the current folder's repository, older ones first.

    Commits that it does not have are missing; all of them outside a repository.
    """
    named = sorted(set(commits))
    try:
        listed = _git(["cat-file", "--batch-check=%(objectname) %(objecttype)"], "\n".join(f"{name}^{{commit}}" for name in named))
        full = {name: line.split()[0] for name, line in zip(named, listed, strict=True) if line.endswith(" commit")}
        history = _git(["rev-list", "--topo-order", "--reverse", "--stdin"], "\n".join(full.values())) if full else []
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}
    place = {commit: number for number, commit in enumerate(history)}
    return {name: place[commit] for name, commit in full.items()}


def _git(arguments: list[str], given: str) -> list[str]:
    """Return the lines that git prints for lines of input."""
    command = ["git", *arguments]
    done = subprocess.run(command, input=f"{given}\n".encode(), capture_output=True, check=True, timeout=GIT_S)
    return done.stdout.decode(errors="replace").splitlines()
