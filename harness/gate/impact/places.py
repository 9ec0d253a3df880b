"""Where a path belongs: to the tree that is recorded, to the interpreter's environment, or neither.

Standard library only and loadable by path, because it runs in the process of another tree. Paths are texts: these functions run for
every file that a process opens.
"""

import os
import site
import sys
import sysconfig
from collections.abc import Collection

GENERATED = "<generated>"
"""The file of code that was compiled from a text, not from a file."""
DERIVED = frozenset({"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"})
"""Folders that tools write from other files."""
UNWATCHED = DERIVED | {".git", "node_modules"}
"""The same, and folders that hold too many files to be watched."""
PACKAGES = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))


def _beginnings(*names: str) -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    found = {paths[name] for name in names}
    return tuple(sorted({read.rstrip(os.sep) + os.sep for path in found for read in (path, os.path.realpath(path))}))


LIBRARY = _beginnings("stdlib", "platstdlib")
"""The beginnings of paths in the standard library."""
ENVIRONMENT = (
    *LIBRARY,
    *_beginnings("purelib", "platlib", "scripts"),
    *(path.rstrip(os.sep) + os.sep for path in (*site.getsitepackages(), site.getusersitepackages())),
    *(path.rstrip(os.sep) + os.sep for path in sys.path if path.rstrip(os.sep).endswith(("site-packages", "dist-packages"))),
)
"""The same of the interpreter's whole environment, with its packages and those of an environment that it builds on."""


def is_of_environment(path: str) -> bool:
    """Return whether a path is one of the interpreter, its library or its packages."""
    return path.startswith(ENVIRONMENT)


def package_of(path: str) -> str:
    """Return the first name below the folder of installed packages, such as `numpy`; empty for any other path."""
    inside = next((path.rpartition(folder)[2] for folder in PACKAGES if folder in path), "")
    return inside.partition(os.sep)[0]


def is_folder_of_packages(path: str) -> bool:
    """Return whether installed packages are directly in a folder."""
    return f"{path.rstrip(os.sep)}{os.sep}".endswith(PACKAGES)


def is_skipped(folder: str) -> bool:
    """Return whether a folder of a tree is not watched: git's own, an environment, or one that tools write."""
    return os.path.basename(folder) in UNWATCHED or os.path.exists(os.path.join(folder, "pyvenv.cfg"))


class Places:
    """The paths of one tree."""

    def __init__(self, root: str, own_files: Collection[str]) -> None:
        """Look at the tree below `root`; code in `own_files` is the gate's own."""
        self.root = os.path.realpath(root)
        self.own_files = own_files
        self._of_code: dict[str, str | None] = {}

    def is_inside(self, path: str) -> bool:
        """Return whether an absolute path is the root or below it."""
        return (path + os.sep).startswith(self.root + os.sep)

    def absolute(self, path: str | bytes | os.PathLike[str]) -> str:
        """Return an absolute path, without symbolic links if it would otherwise not be inside of the tree."""
        found = os.path.abspath(os.fsdecode(path))
        return found if self.is_inside(found) or is_of_environment(found) else os.path.realpath(found)

    def is_input(self, path: str) -> bool:
        """Return whether an absolute path is an input of the tree: inside of it, not the environment's and not written by tools."""
        if not self.is_inside(path) or is_of_environment(path) or path.endswith(".pyc"):
            return False
        return DERIVED.isdisjoint(path[len(self.root) :].split(os.sep))

    def relative(self, path: str) -> str:
        """Return a path inside of the tree relative to its root."""
        return os.path.relpath(path, self.root)

    def of_code(self, file: str) -> str | None:
        """Return a code's file relative to the tree, or as it is outside; None for code that does not belong to the versions."""
        if file not in self._of_code:
            self._of_code[file] = self._find(file)
        return self._of_code[file]

    def _find(self, file: str) -> str | None:
        if file.startswith("<frozen") or file in self.own_files:
            return None
        if not os.path.isabs(file):
            return GENERATED
        absolute = self.absolute(file)
        if is_of_environment(absolute) or absolute in self.own_files:
            return None
        if self.is_inside(absolute):
            return self.relative(absolute)
        return None if package_of(absolute) else absolute
