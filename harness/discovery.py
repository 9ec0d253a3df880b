"""How scenario files are found in a folder, loaded, and refused by their name when they are wrong."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import inspect
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import UsageError
from harness.results.run import BASELINE
from harness.scenario import DeclaredFinding, Scenario


@dataclass(frozen=True)
class LoadedScenario:
    """A scenario found in a file."""

    name: str
    file: Path
    scenario: Scenario[Any]
    title: str
    doc: str

    @property
    def faults(self) -> list[DeclaredFinding]:
        """The findings the scenario demonstrates, in the order they are written."""
        members = (getattr(member, "fault", None) for member in vars(type(self.scenario)).values())
        return [fault for fault in members if isinstance(fault, DeclaredFinding)]


def scenario_files(folder: Path) -> list[Path]:
    """Return the scenario files of a folder, sorted: every `*.py` but those that start with `_` and the locustfile.

    Raises:
        UsageError: no such folder, or none in it.
    """
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise UsageError(f"no scenario or folder named {str(folder)!r}; `harness list` shows what there is")
    files = _candidates(folder)
    if not files:
        raise UsageError(f"no scenario file in {folder}; a scenario is one .py file with a subclass of harness.scenario.Scenario")
    return files


def _candidates(folder: Path) -> list[Path]:
    return [f for f in sorted(folder.glob("*.py")) if not f.name.startswith("_") and f.stem != "locustfile"]


def find(names: Sequence[str], folder: Path) -> list[Path]:
    """Return the files of the scenarios meant by `names`: "all", a name in `folder`, a file, or a folder of scenario files.

    Raises:
        UsageError: a name means none of these.
    """
    found: dict[Path, None] = {}
    for name in names:
        if name == "all":
            candidates = scenario_files(folder)
        elif re.fullmatch(r"\w+", name) and (folder / f"{name}.py").is_file():
            candidates = [folder / f"{name}.py"]
        elif Path(name).exists():
            candidates = scenario_files(Path(name))
        else:
            known = ", ".join(f.stem for f in _candidates(folder)) or "none here"
            raise UsageError(f"no scenario named {name!r}; known: {known}; or name a folder of your own scenario files")
        found.update(dict.fromkeys(candidates))
    return list(found)


def load(file: Path) -> LoadedScenario:
    """Import one scenario file and check the scenario in it.

    Raises:
        UsageError: it cannot be imported, holds no scenario or several, lacks a baseline, or shadows an importable module.
    """
    file = file.resolve()
    _refuse_shadowing(file)
    module = _import(file)
    classes = [
        member
        for member in vars(module).values()
        if inspect.isclass(member) and issubclass(member, Scenario) and member.__module__ == module.__name__
    ]
    if len(classes) != 1:
        names = ", ".join(c.__name__ for c in classes) or "none"
        raise UsageError(
            f"{file} must hold exactly one subclass of Scenario, found {names}; put each scenario in a file of its own"
        )
    (kind,) = classes
    doc = inspect.cleandoc(kind.__doc__ or "")
    if not doc or kind.__doc__ == Scenario.__doc__:
        raise UsageError(f"{file}: {kind.__name__} has no docstring; its first line is the scenario's title in the report")
    if next(iter(kind.arms), None) != BASELINE:
        raise UsageError(f"{file}: {kind.__name__} has no baseline; the first of its arms must be {BASELINE!r}")
    if len(kind.arms) < 2:  # noqa: PLR2004 - a comparison has two sides
        raise UsageError(f"{file}: {kind.__name__} has only a baseline; name at least one arm to compare with it")
    for method in ("cases", "open", "run"):
        if getattr(kind, method) is getattr(Scenario, method):
            raise UsageError(f"{file}: {kind.__name__} must define {method}(); see harness.scenario.Scenario")
    if not inspect.iscoroutinefunction(kind.run):
        raise UsageError(f"{file}: {kind.__name__}.run must be `async def`, or its coroutine would be timed instead of its work")
    return LoadedScenario(name=file.stem, file=file, scenario=kind(), title=doc.splitlines()[0].rstrip("."), doc=doc)


def _refuse_shadowing(file: Path) -> None:
    """Refuse a file whose name is an importable module: Locust would put it in that module's place."""
    if not file.stem.isidentifier():
        better = re.sub(r"\W", "_", file.stem)
        raise UsageError(f"{file}: a scenario's file name must be a Python name, such as {better}.py")
    own = {str(file.parent), str(Path.cwd()) if Path.cwd() == file.parent else ""}
    path = [entry for entry in sys.path if str(Path(entry or ".").resolve()) not in own]
    if file.stem in sys.builtin_module_names or importlib.machinery.PathFinder.find_spec(file.stem, path) is not None:
        raise UsageError(f"{file} shadows the importable module {file.stem!r}; rename the file")


def _import(file: Path) -> ModuleType:
    root = str(file.parent.parent)
    if root not in sys.path:
        sys.path.insert(0, root)
    spec = importlib.util.spec_from_file_location(f"scenario_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{file} cannot be imported: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[spec.name]
        where = _line_in(file, error)
        raise UsageError(f"{file}{where} cannot be imported: {type(error).__name__}: {error}; mend the file") from error
    return module


def _line_in(file: Path, error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.lineno:
        return f", line {error.lineno},"
    lines = (
        [f.lineno for f in inspect.getinnerframes(error.__traceback__) if f.filename == str(file)] if error.__traceback__ else []
    )
    return f", line {lines[-1]}," if lines else ""
