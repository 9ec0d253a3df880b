"""How scenario files are found in a folder, loaded, and refused by their name when they are wrong."""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import UsageError
from harness.results.run import BASELINE
from harness.runnable import RunnableScenario, runnable
from harness.scenario import Arm, DeclaredFinding, Group, Scenario


@dataclass(frozen=True)
class LoadedScenario:
    """A scenario found in a file."""

    name: str
    file: Path
    scenario: RunnableScenario
    title: str
    doc: str

    @property
    def findings(self) -> list[DeclaredFinding]:
        """The findings the scenario demonstrates, in the order they are written, each with its arm."""
        kinds = reversed(type(self.scenario.written).__mro__)
        members = (getattr(member, "finding", None) for kind in kinds for member in vars(kind).values())
        as_written = next((name for name, arm in self.scenario.arms.items() if arm.as_written), BASELINE)
        return [replace(found, arm=found.arm or as_written) for found in members if isinstance(found, DeclaredFinding)]


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
        raise UsageError(f"no scenario file in {folder}; a scenario is one .py file with a subclass of harness.Scenario")
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
    _refuse_old_contract(file, kind)
    if next(iter(kind.arms), None) != BASELINE:
        raise UsageError(f"{file}: {kind.__name__} has no baseline; the first of its arms must be {BASELINE!r}")
    if len(kind.arms) < 2:  # noqa: PLR2004 - a comparison has two sides
        raise UsageError(f"{file}: {kind.__name__} has only a baseline; name at least one arm to compare with it")
    for method in ("cases", "open", "run"):
        if getattr(kind, method) is getattr(Scenario, method):
            raise UsageError(f"{file}: {kind.__name__} must define {method}(); see harness.Scenario")
    if inspect.isgeneratorfunction(kind.run) or inspect.isasyncgenfunction(kind.run):
        raise UsageError(
            f"{file}: {kind.__name__}.run is a generator: it would be timed before it has done its work; return a list instead"
        )
    _check_groups(file, kind)
    return LoadedScenario(name=file.stem, file=file, scenario=runnable(kind()), title=doc.splitlines()[0].rstrip("."), doc=doc)


OLD_ATTRIBUTES = {
    "heavy_groups": "set `slow=True` on each of these groups",
    "side_groups": "set `secondary=True` on each of these groups",
    "inexact_groups": "set `uncounted=True` on each of these groups",
    "memory_groups": "set `memory=True` on each of these groups",
    "memory_warm_up": "set `memory_warm_up=True` on each of these groups",
    "growth_scales": "set `growth=(…)` on the groups that grow",
    "growth_groups": "set `growth=(…)` on each of these groups",
    "load_groups": "set `load=False` on the other groups",
    "sits_out": "set `skip={arm: reason}` on the group",
    "own_ns": "call it `self_reported_ns`",
}
"""What scenarios declared before groups were objects → what takes its place."""


def _refuse_old_contract(file: Path, kind: type[Scenario[Any]]) -> None:
    """Refuse a scenario of the contract before `Group`, with the line to change."""
    members = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.stmt)]

    def line_of(name: str) -> str:
        for node in members:
            names = [*getattr(node, "targets", ()), getattr(node, "target", None)]
            if getattr(node, "name", None) == name or any(isinstance(n, ast.Name) and n.id == name for n in names):
                return f", line {node.lineno}"
        return ""

    for name, remedy in OLD_ATTRIBUTES.items():
        if hasattr(kind, name):
            raise UsageError(f"{file}{line_of(name)}: `{name}` is not part of a scenario any more; {remedy}")
    if isinstance(kind.groups, Mapping):
        name, description = next(iter(kind.groups.items()), ("page", "a page of a list"))
        raise UsageError(f"{file}{line_of('groups')}: `groups` is a list of objects now: [Group({name!r}, {description!r}), …]")


def _check_groups(file: Path, kind: type[Scenario[Any]]) -> None:
    where = f"{file}: {kind.__name__}"
    if not kind.groups or not all(isinstance(group, Group) for group in kind.groups):
        raise UsageError(f"{where} must name its groups of cases: groups = [Group(name, description), …]")
    names = [group.name for group in kind.groups]
    for group in kind.groups:
        if names.count(group.name) > 1:
            raise UsageError(f"{where} has two groups named {group.name!r}; every group needs a name of its own")
        if not all(0 < share <= 1 for share in group.growth):
            raise UsageError(f"{where}: growth of group {group.name!r} must be shares of the data between 0 and 1")
        for arm in group.skip:
            if arm not in kind.arms or arm == BASELINE:
                raise UsageError(f"{where}: group {group.name!r} skips {arm!r}; choose from {', '.join(list(kind.arms)[1:])}")
    if isinstance(baseline := kind.arms[BASELINE], Arm) and baseline.as_written:
        raise UsageError(f"{where}: the baseline cannot be as_written, since every other arm is compared with it")


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
    except UsageError as error:
        del sys.modules[spec.name]
        raise UsageError(f"{file} cannot be imported: {error}") from error
    except Exception as error:
        del sys.modules[spec.name]
        where = _line_in(file, error)
        raise UsageError(f"{file}{where} cannot be imported: {_import_error(error)}") from error
    return module


OLD_MODULES = ("harness.judge", "harness.record", "fixtures.probes", "fixtures.engines", "fixtures.databases", "fixtures.servers")
"""Where names of the contract were before `harness` was one package."""


def _import_error(error: BaseException) -> str:
    if isinstance(error, ImportError) and f"{error.name}.".startswith(tuple(f"{module}." for module in OLD_MODULES)):
        return f"{error.name!r} is from an earlier version; write `from harness import …` instead"
    if isinstance(error, ImportError) and error.name == "harness.scenario" and "shows" in str(error):
        return "`shows` is called `demonstrates` now; write `from harness import demonstrates`"
    return f"{type(error).__name__}: {error}; fix the file"


def _line_in(file: Path, error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.lineno:
        return f", line {error.lineno},"
    lines = (
        [f.lineno for f in inspect.getinnerframes(error.__traceback__) if f.filename == str(file)] if error.__traceback__ else []
    )
    return f", line {lines[-1]}," if lines else ""
