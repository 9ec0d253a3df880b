"""The dependencies that the projects of two trees name, and what pip has to install so that they are the old tree's."""

import configparser
import importlib.metadata
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from pathlib import Path
from typing import Any

from harness.errors import UsageError

PYPROJECT, SETUP_CFG = "pyproject.toml", "setup.cfg"
GROUPS = "dependency-groups"

PINNED = ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml")
"""Lock files with a table per package: its name and its version."""

FILES = (*PINNED, "Pipfile.lock", "setup.py")
"""The files that name dependencies, besides the files of requirements; others lead to the sections below."""

MAIN = ("requirements.lock", "requirements.txt")
"""The names of files that hold what the project itself requires."""

REQUIREMENTS = ("requirements*.lock", "*requirements*.txt", "requirements/*.txt", "requirements/*.lock")
"""The patterns of files that pip can install from."""

SECTIONS = (
    "build-system",
    "project.requires-python",
    "project.dependencies",
    "project.optional-dependencies",
    GROUPS,
    "tool.poetry.dependencies",
    "tool.poetry.group",
)
"""The sections of pyproject.toml that name a project's dependencies."""

OF_POETRY = ("tool.poetry.dependencies", "tool.poetry.group")
"""Sections that pip cannot read, unless it builds the project."""

OPTIONS = ("install_requires", "extras_require", "python_requires")
"""The settings of the sections `options` of setup.cfg that do the same."""


@dataclass(frozen=True)
class Requirements:
    """The packages to install so that an environment has the dependencies of the old tree instead of the new one's."""

    files: Sequence[Path] = ()
    """Files of requirements, each to be installed by itself."""
    pins: Sequence[str] = ()
    """Exact versions from a lock file, whose own dependencies are in it as well."""
    others: Sequence[str] = ()
    """Requirements as the projects state them."""
    projects: Sequence[Path] = ()
    """Folders of projects that only their own build knows the requirements of."""

    def __bool__(self) -> bool:
        """Return whether there is anything to install."""
        return bool(self.files or self.pins or self.others or self.projects)


def differences(old: Path, new: Path, folders: Sequence[Path] = (Path(),)) -> list[str]:
    """Return the files and sections naming dependencies that differ, of the projects in some folders of both trees.

    UsageError: a pyproject.toml or setup.cfg cannot be read.
    """
    return [name for folder in folders for name in _differing(old / folder, new / folder, folder)]


def _differing(old: Path, new: Path, folder: Path) -> Iterator[str]:
    names = dict.fromkeys(
        [*FILES, *(file.relative_to(tree).as_posix() for tree in (new, old) for file in _requirement_files(tree))]
    )
    yield from (str(folder / name) for name in names if _content(old / name) != _content(new / name))
    before, after = _pyproject(old), _pyproject(new)
    for name in SECTIONS:
        if _at(before, name) != _at(after, name):
            yield f"{folder / PYPROJECT} [{name}]"
    was, now = _options(old), _options(new)
    for name in OPTIONS:
        if was.get(name) != now.get(name):
            yield f"{folder / SETUP_CFG} [options.{name}]"


def requirements(old: Path, new: Path, folders: Sequence[Path] = (Path(),)) -> Requirements:
    """Return what the old tree requires where it differs from the new one.

    Extras, groups and other files of requirements count if everything that the new ones name is installed in this environment.
    """
    files: list[Path] = []
    pins: list[str] = []
    others: list[str] = []
    projects: list[Path] = []
    for folder in folders:
        was, now = old / folder, new / folder
        for file in _requirement_files(was):
            after_file = now / file.relative_to(was)
            if _differ(file, after_file) and (file.name in MAIN or _is_here(_lines(after_file if after_file.is_file() else file))):
                files.append(file)
        for name in PINNED:
            locked = [_locked(tree / name) for tree in (was, now)]
            pins += [
                f"{key}=={version}"
                for key, version in locked[0].items()
                if locked[1].get(key, version) != version and is_installed(key)
            ]
        before, after = _pyproject(was), _pyproject(now)
        if _options(was) != _options(now):
            others += _stated(_options(was))
        if _at(before, "project.dependencies") != _at(after, "project.dependencies"):
            others += _at(before, "project.dependencies") or []
        for section in ("project.optional-dependencies", GROUPS):
            others += _of_groups(_at(before, section) or {}, _at(after, section) or {}, before)
        is_built = _at(before, "project.dependencies") is None and any(_at(before, each) != _at(after, each) for each in OF_POETRY)
        if (was / "setup.py").is_file() and _differ(was / "setup.py", now / "setup.py"):
            is_built = True
        if is_built:
            projects.append(was)
    return Requirements(files, list(dict.fromkeys(pins)), list(dict.fromkeys(others)), projects)


def is_installed(name: str) -> bool:
    """Return whether a distribution is installed in this environment."""
    return normalised(name) in _installed()


@cache
def _installed() -> frozenset[str]:
    names = (distribution.metadata["Name"] for distribution in importlib.metadata.distributions())
    return frozenset(normalised(name) for name in names if name)


def project_name(folder: Path) -> str:
    """Return the normalised name of the project in a folder, empty if it does not state one."""
    found = _at(_pyproject(folder), "project.name") or _at(_pyproject(folder), "tool.poetry.name")
    return normalised(found) if isinstance(found, str) else ""


def tables(pyproject: Path, names: Iterable[str]) -> dict[str, Any]:
    """Return some tables of a pyproject.toml, None for those that it does not have."""
    content = _toml(pyproject)
    return {name: _at(content, name) for name in names}


def has_build_tools(project: Path) -> bool:
    """Return whether everything that building a project requires is installed in this environment."""
    stated = _at(_pyproject(project), "build-system.requires")
    return _is_here(["setuptools"] if stated is None else stated)


def normalised(name: str) -> str:
    """Return a distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirement_files(tree: Path) -> list[Path]:
    return sorted({file for pattern in REQUIREMENTS for file in tree.glob(pattern) if file.is_file()})


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def _differ(old: Path, new: Path) -> bool:
    return _content(old) != _content(new)


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines()


def _is_here(stated: Iterable[str]) -> bool:
    """Return whether every requirement without a condition names an installed distribution, and there is one."""
    names = [found[0] for line in stated if ";" not in line and (found := re.match(r"\s*[A-Za-z0-9][\w.-]*", line))]
    return bool(names) and all(is_installed(name.strip()) for name in names)


def _of_groups(old: dict[str, Any], new: dict[str, Any], project: dict[str, Any]) -> list[str]:
    """Return the requirements of the extras or groups that differ and are installed here."""
    found: list[str] = []
    for name in old:
        before, after = (_expanded(groups, name, project) for groups in (old, new))
        if before != after and _is_here(after or before):
            found += before
    return found


def _expanded(groups: dict[str, Any], name: str, project: dict[str, Any], within: tuple[str, ...] = ()) -> list[str]:
    """Return the requirements of an extra or group, with those that it includes."""
    known = {normalised(key): value for key, value in groups.items()}
    key, own = normalised(name), normalised(str(_at(project, "project.name") or ""))
    found: list[str] = []
    for stated in known.get(key, ()) if key not in within else ():
        if isinstance(stated, dict):
            found += _expanded(groups, str(stated.get("include-group", "")), project, (*within, key))
            continue
        included = re.match(r"\s*([\w.-]+)\s*\[([^\]]*)\]", stated)
        if included and normalised(included[1]) == own:
            for extra in included[2].split(","):
                found += _expanded(groups, extra.strip(), project, (*within, key))
        else:
            found.append(stated)
    return found


def _locked(file: Path) -> dict[str, str]:
    """Return the packages of a lock file that have one version in it, with that."""
    packages = _toml(file).get("package", _toml(file).get("packages", []))
    versions: dict[str, set[str]] = {}
    for package in packages:
        if isinstance(package, dict) and "version" in package:
            versions.setdefault(normalised(package["name"]), set()).add(package["version"])
    return {name: next(iter(found)) for name, found in versions.items() if len(found) == 1}


def _options(tree: Path) -> dict[str, str]:
    """Return the settings of setup.cfg that name dependencies."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(tree / SETUP_CFG, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{tree / SETUP_CFG} cannot be read: {str(error).splitlines()[0]}") from error
    found = {name: parser.get("options", name) for name in OPTIONS if parser.has_option("options", name)}
    if parser.has_section("options.extras_require"):
        found["extras_require"] = repr(sorted(parser.items("options.extras_require")))
    return found


def _stated(options: dict[str, str]) -> list[str]:
    return [line.strip() for line in options.get("install_requires", "").splitlines() if line.strip()]


def _pyproject(tree: Path) -> dict[str, Any]:
    return _toml(tree / PYPROJECT)


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error


def _at(content: Any, name: str) -> Any:
    return reduce(lambda table, key: table.get(key) if isinstance(table, dict) else None, name.split("."), content)
