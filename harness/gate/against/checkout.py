"""Two versions of the code: a git worktree of another commit, removed whatever happens, and the Python that it needs."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from harness.errors import UsageError

_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
"""The variables of a git hook's environment that would make every command below use the hook's own index."""

LOCKS = ("requirements.lock", "requirements.txt")
"""The files that pip can install from, in order of preference."""

FILES = (*LOCKS, "requirements-dev.txt", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "setup.py", "setup.cfg")
"""The files that name a project's dependencies."""

SECTIONS = (
    ("build-system",),
    ("project", "requires-python"),
    ("project", "dependencies"),
    ("project", "optional-dependencies"),
    ("dependency-groups",),
    ("tool", "poetry", "dependencies"),
    ("tool", "poetry", "group"),
)
"""The sections of pyproject.toml that name a project's dependencies."""


@dataclass(frozen=True)
class Checkout:
    """Two trees of one repository."""

    ref: str
    """The commit, branch or tag as the user gave it."""
    commit: str
    """The old version's commit, short."""
    old: Path
    """The worktree of that commit."""
    new: Path
    """The user's own tree, as it is."""
    inside: Path
    """The current folder, relative to either tree."""
    here: str
    """The commit of the user's own tree, short."""
    dirty: bool
    """Whether the user's own tree has uncommitted changes."""

    @property
    def names(self) -> tuple[str, str]:
        """The names of the old and the new version."""
        old = self.ref if self.ref.startswith(self.commit) else f"{self.ref} ({self.commit})"
        return old, f"{self.here} with uncommitted changes" if self.dirty else self.here


@contextmanager
def checkout(ref: str, into: Path, folder: Path | None = None) -> Iterator[Checkout]:
    """Check out a ref below `into`, and remove it at the end, also after Ctrl-C and SIGTERM.

    `folder` is a folder of the repository, by default the current one.

    Raises:
        UsageError: the folder is not in a git checkout with a commit, or there is no such ref.
    """
    here = (folder or Path.cwd()).resolve()
    root = Path(_git(here, "rev-parse", "--show-toplevel", otherwise=f"{here} is not in a git checkout; --against needs one"))
    head = _git(here, "rev-parse", "--short", "HEAD", otherwise=f"{root} has no commit yet; --against needs one")
    unknown = f"--against {ref!r} is not a commit, branch or tag here; try --against HEAD, or fetch it"
    if ref.startswith("-"):
        raise UsageError(unknown)
    commit = _git(here, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", otherwise=unknown)
    dirty = bool(_git(here, "status", "--porcelain", otherwise=f"git status fails in {root}; run it there to see why"))
    tree = into / "old"
    hooks = f"core.hooksPath={os.devnull}"
    with _terminated_by_exception():
        try:
            _git(root, "-c", hooks, "worktree", "add", "--detach", "--quiet", str(tree), commit, otherwise=None)
            short = _git(here, "rev-parse", "--short", commit, otherwise=None)
            yield Checkout(ref, short, tree, root, here.relative_to(root), head, dirty)
        finally:
            _remove(root, tree)


def _remove(root: Path, tree: Path) -> None:
    """Remove a worktree, ignoring a second Ctrl-C: half a removal would leave it registered in the user's repository."""
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if is_main else None
    try:
        command = ["git", "-C", str(root), "worktree"]
        subprocess.run([*command, "remove", "--force", str(tree)], env=_environment(), capture_output=True, check=False)
        shutil.rmtree(tree, ignore_errors=True)
        subprocess.run([*command, "prune"], env=_environment(), capture_output=True, check=False)
    finally:
        if is_main:
            signal.signal(signal.SIGINT, before)


@contextmanager
def _terminated_by_exception() -> Iterator[None]:
    """Turn SIGTERM, by which a CI job is cancelled, into an exception, so that clean-up runs."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_: int, __: FrameType | None) -> None:
        """Interrupt the main thread."""
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _REPOSITORY}


def _git(folder: Path, *arguments: str, otherwise: str | None) -> str:
    """Return git's output; `otherwise` is the message when it fails, None for git's own last line."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - the git on the user's PATH
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


def differences(old: Path, new: Path) -> list[str]:
    """Return the files and sections naming dependencies that differ between two trees.

    Raises:
        UsageError: a pyproject.toml cannot be read.
    """
    files = [name for name in FILES if _bytes(old / name) != _bytes(new / name)]
    before, after = (_sections(tree / "pyproject.toml") for tree in (old, new))
    return files + [f"pyproject.toml [{'.'.join(path)}]" for path in SECTIONS if before[path] != after[path]]


def interpreter(trees: Checkout, into: Path) -> tuple[str, list[str]]:
    """Return the Python for the old version, and the differences that require a separate one; none if it is the current one.

    A separate environment is made below `into`, from the old version's lock, else from its pyproject.toml.

    Raises:
        UsageError: it cannot be made.
    """
    other = differences(trees.old, trees.new)
    if not other:
        return sys.executable, []
    place = into / "environment"
    why = f"{trees.ref} has different dependencies ({', '.join(other[:3])})"
    _install([sys.executable, "-m", "venv", str(place)], why)
    python = str(place / "bin" / "python")
    lock = next((trees.old / name for name in LOCKS if (trees.old / name).is_file()), None)
    packages = ["--requirement", str(lock)] if lock else [str(trees.old)]
    _install([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages], why)
    return python, other


def import_path(tree: Path, trees: Checkout) -> str:
    """Return PYTHONPATH for one version: its tree, the current folder in it, and this process's PYTHONPATH moved into that tree."""
    places = [tree / trees.inside, tree, tree / "src"]
    for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        if entry:
            path = Path(entry).resolve()
            places.append(tree / path.relative_to(trees.new) if path.is_relative_to(trees.new) else path)
    return os.pathsep.join(dict.fromkeys(str(place) for place in places if place.is_dir()))


def _bytes(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def _sections(file: Path) -> dict[tuple[str, ...], Any]:
    try:
        content: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    return dict(_values(content))


def _values(content: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for path in SECTIONS:
        value: Any = content
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        yield path, value


def _install(command: list[str], why: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        errors = [line for line in lines if line.lower().startswith("error")]
        raise UsageError(f"{why}, and its environment cannot be created: {(errors or lines)[-1]}")
