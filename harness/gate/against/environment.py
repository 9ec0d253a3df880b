"""Which Python runs the old version: this one, where both versions depend on the same; else one in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.gate.against.worktree import Checkout

LOCKS = ("requirements.lock", "requirements.txt")
"""What pip can install from, the first there is."""

FILES = (*LOCKS, "requirements-dev.txt", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "setup.py", "setup.cfg")
SECTIONS = (
    ("build-system",),
    ("project", "requires-python"),
    ("project", "dependencies"),
    ("project", "optional-dependencies"),
    ("dependency-groups",),
    ("tool", "poetry", "dependencies"),
    ("tool", "poetry", "group"),
)
"""Where pyproject.toml names what a project depends on."""


def differences(old: Path, new: Path) -> list[str]:
    """Return which files and sections that name dependencies differ between two trees.

    Raises:
        UsageError: a pyproject.toml cannot be read.
    """
    files = [name for name in FILES if _bytes(old / name) != _bytes(new / name)]
    before, after = (_sections(tree / "pyproject.toml") for tree in (old, new))
    return files + [f"pyproject.toml [{'.'.join(path)}]" for path in SECTIONS if before[path] != after[path]]


def interpreter(trees: Checkout, into: Path) -> tuple[str, list[str]]:
    """Return the old version's Python, and what made it need one of its own; nothing if it is this one.

    The environment is made below `into`, from the old version's lock, else from its pyproject.toml.

    Raises:
        UsageError: it cannot be made.
    """
    other = differences(trees.old, trees.new)
    if not other:
        return sys.executable, []
    place = into / "environment"
    why = f"{trees.ref} depends on other packages ({', '.join(other[:3])})"
    _run([sys.executable, "-m", "venv", str(place)], why)
    python = str(place / "bin" / "python")
    lock = next((trees.old / name for name in LOCKS if (trees.old / name).is_file()), None)
    wanted = ["--requirement", str(lock)] if lock else [str(trees.old)]
    _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted], why)
    return python, other


def import_path(tree: Path, trees: Checkout) -> str:
    """Return PYTHONPATH for a side: its tree, where the person stands in it, and this process's own, moved into that tree."""
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
        read: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    return dict(_looked_up(read))


def _looked_up(read: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for path in SECTIONS:
        value: Any = read
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        yield path, value


def _run(command: list[str], why: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        errors = [line for line in lines if line.lower().startswith("error")]
        raise UsageError(f"{why}, and an environment for it cannot be made: {(errors or lines)[-1]}")
