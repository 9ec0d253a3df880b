"""The digest of the code that computes a value: its modules, the project's modules that they import, and the installed packages.

Import statements are followed wherever they are in a file. A module that is imported by a computed name is not found, nor is a data
file: code that depends on one has to name its version.
"""

import ast
import hashlib
import platform
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.machinery import PathFinder
from pathlib import Path

_PACKAGE = __package__.partition(".")[0]
_OWN = ("sql.py", "databases")
"""The parts of this package that decide on the rows of a database."""


def source_digest(modules: Iterable[str]) -> str | None:
    """Return the digest of modules, by their names, with all that they import; None if a source is unknown.

    It contains the Python version, the names and versions of the installed distributions, and the part of this package that loads
    rows, so that a change of any of them leads to another digest. It is computed once per process, which runs the code as it was.
    """
    try:
        return _digest(tuple(sorted(set(modules))))
    except (OSError, SyntaxError, ValueError):  # a file that cannot be read, or is not Python
        return None


@lru_cache(maxsize=64)
def _digest(modules: tuple[str, ...]) -> str | None:
    found: dict[str, Path] = {}
    for name in modules:
        if name in found or name.partition(".")[0] == _PACKAGE:
            continue
        file = _source(name)
        if file is None:
            return None
        found[name] = file
    for name in list(found):
        _follow(name, found)
    sha = hashlib.sha256(f"{platform.python_version()} {platform.machine()} {_own()}".encode())
    for line in _distributions():
        sha.update(f"{line}\n".encode())
    for name in sorted(found):
        sha.update(f"{name} {hashlib.sha256(found[name].read_bytes()).hexdigest()}\n".encode())
    return sha.hexdigest()


def _follow(name: str, found: dict[str, Path]) -> None:
    """Add the project's modules that a module imports, and those that these import."""
    waiting = [name]
    while waiting:
        current = waiting.pop()
        for imported in _imports(current, found[current]):
            if imported in found or imported.partition(".")[0] == _PACKAGE:
                continue
            file = _source(imported)
            if file is not None and not _is_installed(file):
                found[imported] = file
                waiting.append(imported)


def _imports(name: str, file: Path) -> Iterator[str]:
    """Yield the names of modules that a file may import, and those of the packages that contain them."""
    if file.suffix != ".py":
        return
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            of = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*of, *([node.module] if node.module else [])])
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for each in names:
            parts = each.split(".")
            yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def _source(name: str) -> Path | None:
    """Return the file of a module, found without importing it; None if there is none, as for built-in ones."""
    loaded = getattr(sys.modules.get(name), "__file__", None)
    if loaded is not None:
        return Path(loaded) if Path(loaded).is_file() else None
    top, *rest = name.split(".")
    if top in sys.builtin_module_names or top in sys.stdlib_module_names:
        return None
    for folder in _folders(top):
        base = folder.joinpath(*rest)
        for file in (base / "__init__.py", base.with_suffix(".py")):
            if rest and file.is_file():
                return file
    spec = None if rest else PathFinder.find_spec(top)
    return Path(spec.origin) if spec is not None and spec.origin is not None and Path(spec.origin).is_file() else None


@lru_cache(maxsize=256)
def _folders(top: str) -> tuple[Path, ...]:
    """Return the folders of a package's modules."""
    paths = getattr(sys.modules.get(top), "__path__", None)
    if paths is None:
        spec = PathFinder.find_spec(top)
        paths = spec.submodule_search_locations if spec is not None else None
    return tuple(map(Path, paths or ()))


@lru_cache(maxsize=1)
def _installed() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    return tuple({Path(paths[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")})


@lru_cache(maxsize=4096)
def _is_installed(file: Path) -> bool:
    """Return whether a file belongs to Python or to an installed distribution, whose version says enough."""
    resolved = file.resolve()
    return any(resolved.is_relative_to(folder) for folder in _installed())


def _distributions() -> list[str]:
    """Return the installed distributions with their versions, which their folders are named after."""
    return sorted({found.name for folder in _installed() for found in folder.glob("*.dist-info")})


@lru_cache(maxsize=1)
def _own() -> str:
    """Return the digest of this package's part that loads and copies rows."""
    root, sha = Path(__file__).parents[1], hashlib.sha256()
    for part in _OWN:
        for file in [root / part] if part.endswith(".py") else sorted((root / part).rglob("*.py")):
            sha.update(f"{file.relative_to(root)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return sha.hexdigest()
