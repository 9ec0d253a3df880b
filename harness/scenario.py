"""What a scenario is, and how the ones in a folder are found, loaded and refused.

A scenario file holds one subclass of `Scenario`; the file's name is the scenario's name. It imports neither pytest nor Locust.
"""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from harness.errors import UsageError
from harness.judge.verdict import Promise
from harness.record import Statement

BASELINE = "baseline"
SIZES = ("tiny", "small", "medium", "large")

World = TypeVar("World")


@dataclass(frozen=True)
class Setting:
    """Where and on what a scenario runs.

    `scale` is the share of the size's rows (growth passes use less than 1); `folder` is this scenario's own working folder, kept
    for the whole run; `shared` is one for all scenarios of the run, for what several of them can use. `stream` numbers an
    independent stream of cases: the first process is 0, each virtual user has its own.
    """

    folder: Path
    shared: Path
    engine: str = "sqlite"
    size: str = "small"
    scale: float = 1.0
    seed: int = 0
    rtt_ms: float = 0.0
    quick: bool = False
    stream: int = 0


@dataclass(frozen=True)
class Case:
    """One input.

    `group` collects cases of one kind, which are timed and judged together; `name` is unique and is shown when arms disagree;
    `args` is whatever `run` needs.
    """

    group: str
    name: str
    args: Any


@dataclass(frozen=True)
class Prepared:
    """What `prepare` built: the data's digest and counts, and the engine's settings and version, for the record."""

    dataset: Mapping[str, str | int] = field(default_factory=dict)
    engine_settings: Mapping[str, str] = field(default_factory=dict)


class Probe(Protocol):
    """Counts something while an operation runs, in a pass of its own, never while it is timed. An async context manager."""

    async def __aenter__(self) -> Self:
        """Start counting from zero."""
        ...

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop counting."""
        ...

    def counts(self) -> Mapping[str, float]:
        """Return what was counted, by metric name."""
        ...


Demonstration = Callable[[Any, Any, Sequence[Case]], Awaitable[str]]


@dataclass(frozen=True)
class Fault:
    """A finding about the proposal as written, with the code that shows it. Made by `shows`."""

    arm: str
    says: str
    demonstrate: Demonstration


def shows(says: str, *, arm: str = "proposed") -> Callable[[Demonstration], Demonstration]:
    """Mark a scenario's method `async (world, cases) -> evidence` as a finding on `arm` as written.

    It runs once, on a world of its own, and returns the evidence as a sentence. If the fault does not show it raises
    AssertionError with what happened instead; the finding is then reported as not observed.
    """

    def mark(method: Demonstration) -> Demonstration:
        method.fault = Fault(arm, says, method)  # type: ignore[attr-defined]
        return method

    return mark


class Scenario(Generic[World]):
    """One optimisation on trial. The class docstring is the card in the report: its first line is the title.

    Class attributes:
        arms: name → what the arm does, in the order they are shown. `baseline` first.
        groups: group of cases → what it asks. Groups in the order they are shown.
        promises: what the review promises, each with how it is measured.
        engines: where it makes sense.
        memory_groups: groups whose memory is measured, each arm in a child of its own.
        memory_limit_bytes: group → a limit on the memory an operation may add; None sets none.
        growth_scales: shares of the data on which exact work and memory are measured again, for growth exponents.
        growth_groups: groups whose exact work is counted at those shares.
        load_groups: groups that many users run at once; None means all of them.
    """

    arms: ClassVar[Mapping[str, str]] = {}
    groups: ClassVar[Mapping[str, str]] = {}
    promises: ClassVar[Sequence[Promise]] = ()
    engines: ClassVar[Sequence[str]] = ("sqlite",)
    memory_groups: ClassVar[Sequence[str]] = ()
    memory_limit_bytes: ClassVar[Mapping[str, int]] = {}
    growth_scales: ClassVar[Sequence[float]] = ()
    growth_groups: ClassVar[Sequence[str]] = ()
    load_groups: ClassVar[Sequence[str] | None] = None

    def prepare(self, setting: Setting) -> Prepared:
        """Build what all worlds start from, once per setting, in a child process; never timed. Must be safe to call again."""
        del setting
        return Prepared()

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return the inputs: the same for every arm, a pure function of the setting's seed and stream."""
        del setting
        raise TypeError(f"{type(self).__name__} must define cases(setting)")

    def open(self, arm: str, setting: Setting) -> AbstractAsyncContextManager[World]:
        """Build one arm's world from its own restored snapshot; never timed."""
        del arm, setting
        raise TypeError(f"{type(self).__name__} must define open(arm, setting)")

    async def run(self, world: World, case: Case) -> Any:
        """Do the operation and return its answer. The only timed line."""
        del world, case
        raise TypeError(f"{type(self).__name__} must define async run(world, case)")

    def normalise(self, case: Case, answer: Any) -> Any:
        """Return the answer in a form that is equal between arms that agree; not timed."""
        del case
        return answer

    async def reset(self, world: World, case: Case, answer: Any) -> None:
        """Undo what `run` wrote or made, between pairs; not timed."""

    def probes(self, world: World) -> Sequence[Probe]:
        """Return what is counted in the exact-work pass."""
        del world
        return ()

    async def statements(self, world: World, case: Case) -> Sequence[Statement]:
        """Return the statements one operation sends, each with its plan; outside timing."""
        del world, case
        return ()

    async def facts(self, world: World) -> Mapping[str, float]:
        """Return figures of the arm itself that are no operation's: bytes of index, number of connections."""
        del world
        return {}

    def rows(self, case: Case, answer: Any) -> int | None:
        """Return how many rows the answer stands for, where that is worth a line beside the memory curve."""
        del case, answer
        return None


@dataclass(frozen=True)
class Loaded:
    """A scenario found in a file."""

    name: str
    file: Path
    scenario: Scenario[Any]
    title: str
    doc: str

    @property
    def faults(self) -> list[Fault]:
        """The findings the scenario demonstrates, in the order they are written."""
        members = (getattr(member, "fault", None) for member in vars(type(self.scenario)).values())
        return [fault for fault in members if isinstance(fault, Fault)]


def scenario_files(folder: Path) -> list[Path]:
    """Return the scenario files of a folder, sorted: every `*.py` but those that start with `_` and the locustfile.

    Raises:
        UsageError: no such folder, or none in it.
    """
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise UsageError(f"no scenario or folder named {str(folder)!r}; `harness list` shows what there is")
    files = [f for f in sorted(folder.glob("*.py")) if not f.name.startswith("_") and f.stem != "locustfile"]
    if not files:
        raise UsageError(f"no scenario file in {folder}; a scenario is one .py file with a subclass of harness.scenario.Scenario")
    return files


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
            known = ", ".join(f.stem for f in scenario_files(folder)) if folder.is_dir() else "none here"
            raise UsageError(f"no scenario named {name!r}; known: {known}; or name a folder of your own scenario files")
        found.update(dict.fromkeys(candidates))
    return list(found)


def load(file: Path) -> Loaded:
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
    return Loaded(name=file.stem, file=file, scenario=kind(), title=doc.splitlines()[0], doc=doc)


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
