"""The Python files of a project: a bounded walk that follows no links and leaves out what others have installed or built."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

IGNORED = frozenset(
    {"__pycache__", "node_modules", "site-packages", "build", "dist", "venv", "env", "runs", "migrations", "alembic"}
)
"""Names of folders that are left out, besides those that begin with a dot and virtual environments."""
MAX_FILES, MAX_ENTRIES, MAX_BYTES = 2_000, 50_000, 1_000_000
"""Limits of the Python files of a project, of all directory entries that are looked at, and of the bytes of one file."""


@dataclass(frozen=True)
class SourceTree:
    """The Python files of a project."""

    root: Path
    """The project's folder."""
    files: tuple[Path, ...]
    """Sorted, those in the upper folders first."""
    is_complete: bool = True
    """Whether the walk ended before one of its limits."""


def source_tree(root: Path) -> SourceTree:
    """Return the Python files below a folder, without links and folders that cannot be read."""
    files: list[Path] = []
    seen = 0
    for folder, names in _folders(root):
        for name in names:
            seen += 1
            file = folder / name
            if seen > MAX_ENTRIES or len(files) >= MAX_FILES:
                return SourceTree(root, tuple(files), is_complete=False)
            if name.endswith(".py") and not file.is_symlink() and file.is_file() and file.stat().st_size <= MAX_BYTES:
                files.append(file)
    return SourceTree(root, tuple(files))


def _folders(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield folders with their sorted entries, level by level, so that a limit leaves out the deepest ones."""
    level = [root]
    while level:
        deeper: list[Path] = []
        for folder in level:
            try:
                names = sorted(os.listdir(folder))  # noqa: PTH208 - the names are wanted, and their number may be large
            except OSError:
                continue
            deeper += [folder / name for name in names if _is_own_folder(folder / name)]
            yield folder, names
        level = deeper


def _is_own_folder(path: Path) -> bool:
    if path.name.startswith(".") or path.name in IGNORED or path.name.endswith(".egg-info") or path.is_symlink():
        return False
    return path.is_dir() and not (path / "pyvenv.cfg").exists()
