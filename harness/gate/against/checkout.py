"""Two versions of the code: a git worktree of another commit, removed whatever happens, and the commands that run in each."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.gate.against import protocol
from harness.gate.against.compare import VersionCommand

_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
"""The variables of a git hook's environment that would make every command below use the hook's own index."""

LOCKS = ("requirements.lock", "requirements.txt")
"""The files that pip can install from, in order of preference."""

FILES = (*LOCKS, "requirements-dev.txt", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "setup.py", "setup.cfg")
SECTIONS = (
    "build-system",
    "project.requires-python",
    "project.dependencies",
    "project.optional-dependencies",
    "dependency-groups",
    "tool.poetry.dependencies",
    "tool.poetry.group",
)
"""The files, and the sections of pyproject.toml, that name a project's dependencies."""


@dataclass(frozen=True)
class Checkout:
    """Two trees of one repository."""

    ref: str
    """The commit, branch or tag as the user gave it."""
    commit: str
    """The old version's commit, short."""
    old: Path
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

    Raises:
        UsageError: `folder`, by default the current one, is not in a git checkout with a commit, or there is no such ref.
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
    with _handling(signal.SIGTERM, signal.default_int_handler):  # a CI job is cancelled by it; an exception runs the clean-up
        try:
            _git(root, "-c", f"core.hooksPath={os.devnull}", "worktree", "add", "--detach", "--quiet", str(tree), commit)
            short = _git(here, "rev-parse", "--short", commit)
            yield Checkout(ref, short, tree, root, here.relative_to(root), head, dirty)
        finally:
            with _handling(signal.SIGINT, signal.SIG_IGN):  # half a removal would leave it registered in the user's repository
                _run_git(root, "worktree", "remove", "--force", str(tree))
                shutil.rmtree(tree, ignore_errors=True)
                _run_git(root, "worktree", "prune")


@contextmanager
def _handling(number: signal.Signals, handler: Callable[..., object] | signal.Handlers) -> Iterator[None]:
    """Handle a signal meanwhile; without effect in another thread than the main one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def _run_git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in _REPOSITORY}
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _git(folder: Path, *arguments: str, otherwise: str = "") -> str:
    """Return git's output; `otherwise` is the message when it fails, by default git's own last line."""
    try:
        done = _run_git(folder, *arguments)
    except OSError as error:
        raise UsageError(f"git cannot be run ({error.strerror or error}); --against needs it") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["git failed"]
        raise UsageError(otherwise or f"git {' '.join(arguments[:2])}: {lines[-1]}")
    return done.stdout.strip()


def differences(old: Path, new: Path) -> list[str]:
    """Return the files and sections naming dependencies that differ; raise UsageError if a pyproject.toml cannot be read."""
    files = [{name: (tree / name).read_bytes() for name in FILES if (tree / name).is_file()} for tree in (old, new)]
    before, after = (_sections(tree / "pyproject.toml") for tree in (old, new))
    found = [name for name in FILES if files[0].get(name) != files[1].get(name)]
    return found + [f"pyproject.toml [{name}]" for name in SECTIONS if before[name] != after[name]]


def _sections(file: Path) -> dict[str, Any]:
    try:
        content: Any = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    return {name: reduce(_member, name.split("."), content) for name in SECTIONS}


def _member(table: Any, key: str) -> Any:
    return table.get(key) if isinstance(table, dict) else None


def interpreter(trees: Checkout, into: Path) -> str:
    """Return the Python for the old version: the current one if its dependencies are the same.

    Otherwise an environment is made below `into`, from the old version's lock or pyproject.toml; UsageError if it fails.
    """
    other = differences(trees.old, trees.new)
    if not other:
        return sys.executable
    python = str(into / "environment" / "bin" / "python")
    lock = next((trees.old / name for name in LOCKS if (trees.old / name).is_file()), None)
    packages = ["--requirement", str(lock)] if lock else [str(trees.old)]
    for command in (
        [sys.executable, "-m", "venv", str(into / "environment")],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
            errors = [line for line in lines if line.lower().startswith("error")]
            why = f"{trees.ref} has different dependencies ({', '.join(other[:3])})"
            raise UsageError(f"{why}, and its environment cannot be created: {(errors or lines)[-1]}")
    return python


def import_path(tree: Path, trees: Checkout) -> str:
    """Return PYTHONPATH for one version: its tree, the current folder in it, and this process's PYTHONPATH moved into that tree."""
    entries = [Path(entry).resolve() for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    moved = [tree / path.relative_to(trees.new) if path.is_relative_to(trees.new) else path for path in entries]
    places = [tree / trees.inside, tree, tree / "src", *moved]
    return os.pathsep.join(dict.fromkeys(str(place) for place in places if place.is_dir()))


def version_command(trees: Checkout, name: str, python: str, arguments: Sequence[str], *folders: Path) -> VersionCommand:
    """Return the command that runs Python in one version's tree.

    `name` is "old" or "new", `python` the old version's interpreter; `folders` are imported from as well.
    """
    tree, other, program = (trees.old, trees.new, python) if name == "old" else (trees.new, trees.old, sys.executable)
    path = [import_path(tree, trees), *map(str, folders)]
    environment = {"PYTHONPATH": os.pathsep.join(path), protocol.FOREIGN: str(other)}
    return VersionCommand([program, *arguments], name, tree / trees.inside, environment)
