"""A baseline as a commit has it, `REF:FILE`: a pull request cannot edit the file of the branch that it is to be merged into."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.configuration import PROJECT_FILE, configuration, read
from harness.errors import NotComparableError, UsageError
from harness.gate.against.checkout import REPOSITORY, fetch_command, remote_branch


@dataclass(frozen=True)
class CommittedBaseline:
    """A baseline of a commit, with what that commit tolerates."""

    file: Path
    """A copy of it."""
    tolerances: Mapping[str, float] = field(default_factory=dict)
    """The tolerances in the commit's `pyproject.toml`."""


def is_committed(name: str) -> bool:
    """Return whether the name of a baseline is that of a file in a commit, `REF:FILE`: there is no such file here."""
    ref, _, file = name.partition(":")
    return bool(ref and file) and not ref.startswith("-") and not Path(name).exists()


def baseline(name: str, into: Path) -> CommittedBaseline:
    """Copy the file `REF:FILE`, relative to the root of the repository, and the project's settings of that commit into a folder.

    Raises:
        UsageError: git cannot be run, this is not a repository, or there is no such commit.
        NotComparableError: the commit does not have the file.
    """
    ref, _, path = name.partition(":")
    top = _git("rev-parse", "--show-toplevel")
    if top.returncode:
        raise UsageError(
            f"{name} is a file of a commit, and {Path.cwd()} is not in a git repository; name a run or a baseline file"
        )
    if _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").returncode:
        remote, branch = remote_branch(ref, _git("remote").stdout.decode().split() or ["origin"])
        fetch = fetch_command(remote, branch)
        raise UsageError(f"{name}: no file has that name, and {ref!r} is not a commit, branch or tag here; fetch it: {fetch}")
    found = _git("cat-file", "blob", f"{ref}:{path}")
    if found.returncode:
        raise NotComparableError(f"{ref} has no file {path}; accept a baseline on that branch: harness baseline accept RUN")
    file = into / Path(path).name
    file.write_bytes(found.stdout)
    return CommittedBaseline(file, _tolerances(ref, Path(os.fsdecode(top.stdout.removesuffix(b"\n"))), into))


def _tolerances(ref: str, top: Path, into: Path) -> Mapping[str, float]:
    """Return the tolerances of the project that the current folder belongs to, as a commit has them."""
    here = configuration(Path.cwd()).file or top / PROJECT_FILE
    if not here.resolve().is_relative_to(top):
        return {}
    found = _git("cat-file", "blob", f"{ref}:{here.resolve().relative_to(top)}")
    if found.returncode:
        return {}
    settings = into / "settings" / PROJECT_FILE
    settings.parent.mkdir()
    settings.write_bytes(found.stdout)
    return read(settings).tolerances


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if name not in REPOSITORY}
    try:
        return subprocess.run(["git", *arguments], env=environment, capture_output=True, check=False)  # noqa: S607 - the user's git
    except OSError as error:
        raise UsageError(f"a baseline of a commit needs git, which cannot be run: {error.strerror or error}; install it") from error
