"""Another version of the code in a folder of its own for as long as it is needed: a git worktree, removed whatever happens."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from harness.errors import UsageError

_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
"""What a git hook has in its environment: it would make every command below work on the hook's own index."""


@dataclass(frozen=True)
class Checkout:
    """Two trees: `old` is the worktree of `commit` (short), `new` the person's own, as it is, `dirty` if not as committed.

    `inside` is the current folder, relative to either tree.
    """

    ref: str
    commit: str
    old: Path
    new: Path
    inside: Path
    here: str
    dirty: bool

    @property
    def names(self) -> tuple[str, str]:
        """How the two versions are called, for a person."""
        old = self.ref if self.ref.startswith(self.commit) else f"{self.ref} ({self.commit})"
        return old, f"{self.here} with uncommitted changes" if self.dirty else self.here


@contextmanager
def checkout(ref: str, into: Path, folder: Path | None = None) -> Iterator[Checkout]:
    """Check a ref out below `into`, and remove it at the end, also after Ctrl-C and when asked to terminate.

    `folder` is where the person stands; by default the current one.

    Raises:
        UsageError: this is no git checkout with a commit, or there is no such ref.
    """
    here = (folder or Path.cwd()).resolve()
    root = Path(_git(here, "rev-parse", "--show-toplevel", otherwise=f"{here} is in no git checkout; --against needs one"))
    head = _git(here, "rev-parse", "--short", "HEAD", otherwise=f"{root} has no commit yet; --against needs one")
    missing = f"--against {ref!r} is no commit, branch or tag here; try --against HEAD, or fetch it"
    if ref.startswith("-"):
        raise UsageError(missing)
    commit = _git(here, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", otherwise=missing)
    dirty = bool(_git(here, "status", "--porcelain", otherwise=f"git cannot tell the state of {root}"))
    tree = into / "old"
    with _ends_by_exception():
        try:
            _git(
                root,
                "-c",
                f"core.hooksPath={os.devnull}",
                "worktree",
                "add",
                "--detach",
                "--quiet",
                str(tree),
                commit,
                otherwise=None,
            )
            short = _git(here, "rev-parse", "--short", commit, otherwise=None)
            yield Checkout(ref, short, tree, root, here.relative_to(root), head, dirty)
        finally:
            _remove(root, tree)


def _remove(root: Path, tree: Path) -> None:
    """Remove a worktree, deaf to a second Ctrl-C: half a removal would leave it in the person's repository."""
    ours = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if ours else None
    try:
        command = ["git", "-C", str(root), "worktree"]
        subprocess.run([*command, "remove", "--force", str(tree)], env=_environment(), capture_output=True, check=False)
        shutil.rmtree(tree, ignore_errors=True)
        subprocess.run([*command, "prune"], env=_environment(), capture_output=True, check=False)
    finally:
        if ours:
            signal.signal(signal.SIGINT, before)


@contextmanager
def _ends_by_exception() -> Iterator[None]:
    """Turn SIGTERM, by which a CI job is cancelled, into an exception, so that what is to be removed is removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _REPOSITORY}


def _git(folder: Path, *arguments: str, otherwise: str | None) -> str:
    """Return what git says; `otherwise` is what to tell a person when it fails, None for git's own last line."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - whichever git the person uses
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise UsageError(f"git cannot be run ({error.strerror or error}); --against needs it") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["git failed"]
        raise UsageError(otherwise or f"git {' '.join(arguments[:2])}: {lines[-1]}")
    return done.stdout.strip()
