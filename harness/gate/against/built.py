"""The files of a version that are not in git: compiled extensions, and modules that its build writes."""

import importlib.metadata
import json
import shutil
import subprocess
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path, PurePosixPath

from harness.gate.against import dependencies
from harness.gate.against.checkout import Checkout, run_git
from harness.runtime.leftovers import owned_folder

SOURCES = frozenset(
    f".{name}"
    for name in (
        *("c", "cc", "cpp", "cu", "cxx", "h", "hh", "hpp", "hxx", "inc", "m", "mm", "s", "S"),
        *("f", "f03", "f90", "f95", "for", "go", "nim", "pxd", "pxi", "pyx", "rs", "swift", "zig"),
    )
)
"""The endings of files that are compiled."""
BUILD_FILES = frozenset(
    (
        *("CMakeLists.txt", "Cargo.lock", "Cargo.toml", "Makefile", "build.rs", "build.zig", "go.mod"),
        *("meson.build", "meson.options", "setup.cfg", "setup.py"),
    )
)
"""The names of files that state how."""
BUILD_TABLES = (
    "build-system",
    *(f"tool.{name}" for name in ("cython", "maturin", "meson-python", "mypyc", "scikit-build", "setuptools")),
)
"""The tables of pyproject.toml that do."""


def extensions(tree: Path) -> list[str]:
    """Return the compiled extensions in a tree that are not in git, relative to it."""
    return [name for name in _others(tree) if name.endswith(tuple(EXTENSION_SUFFIXES))]


def written_modules(trees: Checkout) -> list[str]:
    """Return the modules that git ignores beside the code of the new tree and that the old one lacks, such as `_version.py`."""
    ignored = _others(trees.new, "--ignored", "--exclude-standard")
    names = [name for name in ignored if name.endswith(".py") and not (trees.old / name).exists()]
    return [name for name in names if (trees.new / name).parent != trees.new and (trees.old / name).parent.is_dir()]


def installed_extensions(trees: Checkout, folders: Sequence[Path]) -> dict[str, Path]:
    """Return the extensions of this environment's packages that belong into the trees: place there → file."""
    found = {}
    for folder in folders:
        name = dependencies.project_name(trees.new / folder)
        try:
            files = importlib.metadata.distribution(name).files if name else None
        except importlib.metadata.PackageNotFoundError:
            continue
        for file in files or ():
            place = _place(PurePosixPath(file), trees.new, folder) if file.name.endswith(tuple(EXTENSION_SUFFIXES)) else None
            if place:
                found[place] = Path(str(file.locate()))
    return found


def place_files(files: Mapping[str, Path], tree: Path) -> None:
    """Copy files to their places in a tree, unless they are there already."""
    for name, source in files.items():
        target = tree / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def build_digest(tree: Path, compiled: Iterable[str]) -> str:
    """Return a digest of everything in a tree that decides what its extensions are; `compiled` are their names.

    A Python file beside an extension of the same name is one of the sources.
    """
    beside = {str(PurePosixPath(name).with_name(PurePosixPath(name).name.split(".")[0] + ".py")) for name in compiled}
    found = blake2b(digest_size=16)
    for name in sorted(run_git(tree, "ls-files", "-z").stdout.split("\0")):
        path = PurePosixPath(name)
        if path.suffix in SOURCES or path.name in BUILD_FILES or name in beside:
            content = (tree / name).read_bytes() if (tree / name).is_file() else b""
            found.update(f"{name}\0{len(content)}\0".encode(errors="surrogateescape") + content)
        elif path.name == dependencies.PYPROJECT and (tree / name).is_file():
            tables = dependencies.tables(tree / name, BUILD_TABLES)
            found.update(f"{name}\0{json.dumps(tables, sort_keys=True, default=str)}\0".encode())
    return found.hexdigest()


def built(pip: Sequence[str], environment: Mapping[str, str], project: Path, tree: Path) -> dict[str, bytes]:
    """Build a project of a tree; return its extensions and the modules that the tree lacks, by their places in it.

    subprocess.CalledProcessError: it cannot be built.
    """
    with owned_folder("build") as folder:
        own = ["--no-build-isolation"] if dependencies.has_build_tools(project) else []
        command = [*pip, "wheel", "--quiet", "--no-deps", *own, "--wheel-dir", str(folder), str(project)]
        subprocess.run(command, env=dict(environment), capture_output=True, encoding="utf-8", errors="replace", check=True)
        found = {}
        for wheel in folder.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                for name in archive.namelist():
                    is_module = name.endswith((".py", *EXTENSION_SUFFIXES))
                    place = _place(PurePosixPath(name), tree, project.relative_to(tree)) if is_module else None
                    if place and not (tree / place).exists():
                        found[place] = archive.read(name)
        return found


def _place(file: PurePosixPath, tree: Path, project: Path) -> str | None:
    """Return where in a tree an installed file of a project belongs: into the folder of its package; None if there is none."""
    roots = [project / "src", project, project / "lib"]
    inside = file.parent if len(file.parts) > 1 else ""  # a module without a package
    return next(((root / file).as_posix() for root in roots if (tree / root / inside).is_dir()), None)


def _others(tree: Path, *options: str) -> list[str]:
    """Return the files that are not in git, without those in folders that are not in git as a whole."""
    names = run_git(tree, "ls-files", "-z", "--others", "--directory", *options).stdout.split("\0")
    return [name for name in names if name and not name.endswith("/")]
