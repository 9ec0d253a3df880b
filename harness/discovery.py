"""Scenario files: find them in a folder, load them, and refuse an invalid one by its name."""

import ast
import importlib.machinery
import importlib.util
import inspect
import os
import re
import sys
import tokenize
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.declarations import Declarations
from harness.errors import LONGEST, ScenarioFailedError, UsageError, describe, extra_of, failed_import, text_of
from harness.helper_files import is_helper
from harness.results.run import BASELINE
from harness.runnable import RunnableScenario, runnable
from harness.runtime import channel
from harness.runtime.channel import end_fork, refuse_exits
from harness.runtime.clock import ClockCheck, MonotonicClock
from harness.runtime.process_state import kept
from harness.runtime.source_code import file_digest
from harness.scenario import DeclaredFinding, Scenario
from harness.suggestions import choose_from
from harness.text import message_line
from harness.user_code import is_request

TARGET_SUFFIX = ".target.json"
"""The end of the name of a file that stands for servers which run already; see `harness.targets.plan`."""
FIRST = "`harness init` writes a first one"
"""The next step where there are no scenarios."""


STRIPPED = 2
"""The level of optimisation (`python -OO`) from which the interpreter removes docstrings."""


class NoScenarioError(UsageError):
    """A file that neither has nor imports a scenario: beside scenarios, it is a helper."""


@dataclass(frozen=True)
class LoadedScenario:
    """A scenario found in a file."""

    name: str
    """The file's name without its suffix."""
    file: Path
    """The file."""
    scenario: RunnableScenario
    """An object of its class."""
    title: str
    """The first line of its docstring."""
    doc: str
    """Its docstring."""
    digest: str = ""
    """A digest of the file as it was imported; empty if it is not known."""

    @property
    def findings(self) -> list[DeclaredFinding]:
        """The findings the scenario demonstrates, inherited ones first, in the order they are written, each with its arm."""
        kinds = reversed(type(self.scenario.written).__mro__)
        methods = {name: method for kind in kinds for name, method in vars(kind).items()}
        members = (getattr(method, "finding", None) for method in methods.values())
        as_written = next((name for name, arm in self.scenario.arms.items() if arm.as_written), BASELINE)
        return [replace(found, arm=found.arm or as_written) for found in members if isinstance(found, DeclaredFinding)]


def scenario_files(folder: Path) -> list[Path]:
    """Return the scenario files of a folder, sorted: every `*.py` that may have a scenario, see `harness.helper_files`.

    Raises UsageError if there is no such folder, or no scenario file in it.
    """
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise UsageError(
            f"no folder {str(folder)!r} of scenario files; {FIRST}, or name your folder: `harness run DIR`, `--scenarios DIR`"
        )
    files = scenario_candidates(folder)
    if not files:
        raise UsageError(f"no scenario file in {folder}; {FIRST}: a .py file with a subclass of harness.Scenario")
    return files


def scenario_candidates(folder: Path) -> list[Path]:
    """Return the files of a folder that may be scenarios, sorted."""
    found = (file for file in sorted(folder.glob("*.py")) if file.is_file() or not file.exists())  # no folder, no pipe
    return [file for file in found if not is_helper(file)]


def find(names: Sequence[str], folder: Path) -> list[Path]:
    """Return the files of the scenarios in `names`: "all", a name in `folder`, a file, or a folder of scenario files.

    Raises UsageError for any other name, and for two files of one name.
    """
    found: dict[Path, Path] = {}
    for name in names:
        if name == "all":
            candidates = scenario_files(folder)
        elif re.fullmatch(r"\w+", name) and (folder / f"{name}.py").is_file():
            candidates = [folder / f"{name}.py"]
        elif Path(name).exists():
            candidates = scenario_files(Path(name))
        else:
            known = [f.stem for f in scenario_candidates(folder)]
            others = choose_from(name, known, more=", or") if known else f"there are none in {str(folder)!r}; {FIRST}, or"
            raise UsageError(f"unknown scenario {name!r}; {others} name a scenario file or a folder of them")
        for file in candidates:
            found.setdefault(file.resolve(), file)
    refuse_namesakes(found.values())
    return list(found.values())


def refuse_namesakes(files: Iterable[Path]) -> None:
    """Raise UsageError for two files of one name: it is the scenario's name, by which data, cases and results are kept apart.

    The name is that of the file itself, not of a link to it. Names that differ in upper and lower case alone are one, as they are
    on some file systems.
    """
    named: dict[str, Path] = {}
    for file in files:
        name = file.resolve().stem
        other = named.setdefault(name.casefold(), file)
        if other.resolve() != file.resolve():
            raise UsageError(f"two scenarios are named {name!r}: {other} and {file}; rename one, or name one of them")


def refuse_same_names(loaded: Sequence[LoadedScenario]) -> None:
    """Raise UsageError for two scenarios of one name, such as of a scenario file and of a file that stands for a server."""
    named: dict[str, LoadedScenario] = {}
    for each in loaded:
        other = named.setdefault(each.name.casefold(), each)
        if other is not each:
            raise UsageError(
                f"two scenarios are named {each.name!r}: {other.file} and {each.file}; rename one, or name one of them"
            )


def refuse_changed(loaded: LoadedScenario, digest: str) -> None:
    """Raise ScenarioFailedError if a scenario's file is not the one with this digest, which the run began with; "" is any."""
    if digest and loaded.digest != digest:
        raise ScenarioFailedError(f"{loaded.file} was changed during the run, which would mix two versions; run again")


def load_unless_helper(file: Path, named: Iterable[str | Path]) -> LoadedScenario | None:
    """Load a scenario file as `load` does; return None for one without a scenario, unless it is among those `named` as such."""
    try:
        return load(file)
    except NoScenarioError:
        if any(Path(name).resolve() == file.resolve() or str(name) == file.stem for name in named):
            raise
        return None


def load(file: Path) -> LoadedScenario:
    """Import a scenario file and check the scenario in it.

    Raises UsageError if the file cannot be imported, has several scenarios, or shadows an importable module; or if the scenario is
    invalid, for instance without a baseline. NoScenarioError if it has none, and imports none either.
    """
    file = file.resolve()
    if file.name.endswith(TARGET_SUFFIX):
        from harness.targets import loading  # noqa: PLC0415 - it imports the load generator, which scenario files do not need

        return loading.load(file)
    with _guarded(file):
        return _loaded(file)


def _loaded(file: Path) -> LoadedScenario:
    digest = file_digest(file)
    refuse_other_helpers(file)
    module = _import(file)
    refuse_other_helpers(file)
    own = [c for c in vars(module).values() if inspect.isclass(c) and issubclass(c, Scenario) and c.__module__ == module.__name__]
    if len(own) != 1:
        imports_one = any(inspect.isclass(value) and issubclass(value, Scenario) for value in vars(module).values())
        names = ", ".join(c.__name__ for c in own) or "none"
        step = "put each scenario in a separate file" if own else f"rename a helper, for example to _{file.name}"
        problem = f"{file} must have exactly one subclass of Scenario, found {names}; {step}"
        raise UsageError(problem) if imports_one else NoScenarioError(problem)
    _refuse_shadowing(file)
    (kind,) = own
    doc = inspect.cleandoc(kind.__doc__ or "") if sys.flags.optimize < STRIPPED else _written_doc(file, kind.__name__)
    if not doc or (kind.__doc__ and kind.__doc__ == Scenario.__doc__):
        raise UsageError(f"{file}: {kind.__name__} has no docstring; add one, its first line is the scenario's title in the report")
    _refuse_old_contract(file, kind)
    declared = Declarations(file, kind)
    declared.check()
    title = doc.splitlines()[0].rstrip(".")
    loaded = LoadedScenario(name=file.stem, file=file, scenario=_made(file, kind), title=title, doc=doc, digest=digest)
    declared.check_promises(loaded.findings)
    return loaded


@contextmanager
def _guarded(file: Path) -> Iterator[None]:
    """Let a scenario file run in this process, which it cannot end unnoticed, nor freeze its clock.

    Raises UsageError, with the line, for what a part of the file raises that no check expects, such as a mapping of its own.
    """
    clock = ClockCheck(MonotonicClock())
    try:
        with _exits_raise():
            yield
    except UsageError:
        raise
    except BaseException as error:
        line = _line_in(file, error)
        if line and not is_request(error):
            raise UsageError(f"{file}{line} raised {describe(error)}; fix the file") from error
        raise
    if problem := clock.problem():
        raise UsageError(f"{file} cannot be imported: {problem}")


def _written_doc(file: Path, name: str) -> str:
    """Return the docstring of a class from its file, for an interpreter that has removed it."""
    classes = (node for node in ast.parse(file.read_bytes()).body if isinstance(node, ast.ClassDef) and node.name == name)
    return next((ast.get_docstring(node) or "" for node in classes), "")


def _made(file: Path, kind: type[Scenario[Any]]) -> RunnableScenario:
    try:
        with kept():
            written = kind()
        return runnable(written)
    except BaseException as error:
        if is_request(error):
            raise
        raise UsageError(f"{file}{_line_in(file, error)}: {kind.__name__}() raised {describe(error)}; fix the file") from error


OLD_ATTRIBUTES = {
    "heavy_groups": "set `slow=True` on each of these groups",
    "side_groups": "set `secondary=True` on each of these groups",
    "inexact_groups": "set `uncounted=True` on each of these groups",
    "memory_groups": "remove it: the memory of every group is measured",
    "memory_warm_up": "remove it: every group is run before its memory is measured",
    "growth_scales": "set `growth=(…)` on the groups that grow",
    "growth_groups": "set `growth=(…)` on each of these groups",
    "load_groups": "set `load=False` on the other groups",
    "sits_out": "set `skip={arm: reason}` on the group",
    "own_ns": "call it `self_reported_ns`",
}
"""Attribute of scenarios before groups were objects → its replacement."""


def _refuse_old_contract(file: Path, kind: type[Scenario[Any]]) -> None:
    """Refuse a scenario that was written before `Group`, with the line to change."""
    try:
        with tokenize.open(file) as text:
            lines = text.read().splitlines()
    except SyntaxError as error:  # bytes of another encoding in a comment, which Python imports
        raise UsageError(import_refusal(file, error)) from error

    def line_of(name: str) -> str:
        declared = re.compile(rf"\s*((async )?def )?{name}\s*[:=(]")
        return next((f", line {number}" for number, line in enumerate(lines, 1) if declared.match(line)), "")

    for name, remedy in OLD_ATTRIBUTES.items():
        if hasattr(kind, name):
            raise UsageError(f"{file}{line_of(name)}: `{name}` was removed; {remedy}")
    if isinstance(kind.groups, Mapping):
        name, description = next(iter(kind.groups.items()), ("page", "a page of a list"))
        raise UsageError(f"{file}{line_of('groups')}: `groups` is a mapping; write a list: [Group({name!r}, {description!r}), …]")


def _refuse_shadowing(file: Path) -> None:
    """Refuse a file whose name is an importable module: Locust would replace that module with it."""
    if not file.stem.isidentifier():
        better = re.sub(r"\W", "_", file.stem)
        raise UsageError(f"{file}: the file name is not a Python identifier; rename it, for example to {better}.py")
    own = {str(file.parent), str(Path.cwd()) if Path.cwd() == file.parent else ""}
    path = [entry for entry in sys.path if str(Path(entry or ".").resolve()) not in own]
    if file.stem in sys.builtin_module_names or importlib.machinery.PathFinder.find_spec(file.stem, path) is not None:
        raise UsageError(f"{file} shadows the importable module {file.stem!r}; rename the file")


def _roots(file: Path) -> tuple[Path, Path]:
    """Return the folders from which a scenario file imports in any case, the first one last."""
    return file.parent.parent / "src", file.parent.parent


_imported_from: dict[Path, Path] = {}
"""Folder → the first scenario file of this process that imports from it."""


def refuse_other_helpers(file: Path) -> None:
    """Raise UsageError if a module that a scenario file imports is another file in this process than in one of its own.

    Two projects may have modules of one name; a process can import only one of them, and a scenario would use the other one's.
    """
    own = _roots(file)
    for name in imported_modules(file):
        loaded = getattr(sys.modules.get(name), "__file__", None)
        base = [root.joinpath(*name.split(".")) for root in reversed(own)]
        wanted = next((f for path in base for f in (path / "__init__.py", path.with_suffix(".py")) if f.is_file()), None)
        if loaded is None or wanted is None or wanted.resolve() == Path(loaded).resolve():
            continue
        for root, other in _imported_from.items():
            if root not in own and Path(loaded).resolve().is_relative_to(root.resolve()):
                raise UsageError(
                    f"{file} imports {name} from {wanted}, and {other} has imported {loaded} under this name; "
                    "run them one at a time, or rename one module"
                )


def imported_modules(file: Path) -> set[str]:
    """Return the names of the modules that a file may import, with the packages that contain them; none if it is not Python."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    names = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {".".join(parts[:length]) for name in names for parts in [name.split(".")] for length in range(1, len(parts) + 1)}


def _import(file: Path) -> ModuleType:
    for root in _roots(file):
        _imported_from.setdefault(root, file)
        if str(root) not in sys.path and root.is_dir():
            sys.path.insert(0, str(root))
    spec = importlib.util.spec_from_file_location(f"scenario_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{file} cannot be imported: not a Python file; name a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    process = os.getpid()
    try:
        with kept():
            spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[spec.name]
        if is_request(error):
            raise
        if isinstance(error, UsageError):
            raise UsageError(f"{file} cannot be imported: {error}") from error
        raise UsageError(import_refusal(file, error)) from error
    finally:
        if os.getpid() != process:  # the file has forked it
            end_fork()
    return module


def watch_locust(main: Any) -> None:
    """Let Locust, whose module `locust.main` is given, refuse a file that exits while it is imported.

    `locust -f scenarios` imports every file of the folder by itself, and would end with 0 and without a message.
    """
    load_file = main.load_locustfile

    def load_locustfile(path: str) -> Any:
        try:
            with _exits_raise():
                return load_file(path)
        except SystemExit as error:
            if not _line_in(Path(path), error, innermost=True):  # such as the adapter's own, which has its message
                raise
            sys.stderr.write(message_line(f"harness: {import_refusal(Path(path), error)}") + "\n")
            sys.exit(UsageError.code)

    main.load_locustfile = load_locustfile


def require_users(*_: Any, **__: Any) -> None:
    """Exit with the next step if Locust has loaded scenarios, and no file that makes users of them or defines others.

    A listener of Locust's, which calls it when all files are loaded, and would say that it has found no class of users.
    """
    left, is_used = [sys.modules["locust"].User], "harness.locust_adapter" in sys.modules
    while left and not is_used:
        kind = left.pop()
        is_used = not kind.__module__.startswith("locust.")
        left += kind.__subclasses__()
    files = sorted(inspect.getfile(kind) for kind in Scenario.__subclasses__() if not kind.__module__.startswith("harness."))
    if files and not is_used:
        message = f"harness: {Path(files[0]).parent} has scenarios and no locustfile.py; `harness init` writes one"
        sys.stderr.write(message_line(message) + "\n")
        sys.exit(UsageError.code)


@contextmanager
def _exits_raise() -> Iterator[None]:
    """Let `os._exit` raise SystemExit meanwhile: a file must not end the process that imports it, unnoticed."""
    put_back = refuse_exits()
    try:
        yield
    finally:
        put_back()


OLD_MODULES = ("harness.judge", "harness.record", "fixtures.probes", "fixtures.engines", "fixtures.databases", "fixtures.servers")
"""Former modules of names that a scenario imports."""


def import_refusal(file: Path, error: BaseException) -> str:
    """Return the message for a file whose import raised: its line, the error and the next step."""
    return f"{file}{_line_in(file, error)} cannot be imported: {_import_error(error)}"


def _import_error(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ImportError) and f"{error.name}.".startswith(tuple(f"{module}." for module in OLD_MODULES)):
        return f"{error.name!r} was removed; write `from harness import …` instead"
    if isinstance(error, ImportError) and error.name == "harness.scenario" and "shows" in str(error):
        return "`shows` was renamed; write `from harness import demonstrates`"
    if isinstance(error, ImportError) and (extra := extra_of(error)):
        return str(failed_import(error, extra))
    if isinstance(error, SystemExit):
        return f"SystemExit: {error.code}; a scenario file must not end the process that imports it"
    return f"{': '.join(filter(None, (type(error).__name__, text_of(error)[:LONGEST])))}; fix the file"


def _line_in(file: Path, error: BaseException, *, innermost: bool = False) -> str:
    """Return the last line of the file that an error passed, or raised it; empty if there is none."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f", line {error.lineno},"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename not in {__file__, channel.__file__}]
    lines = [frame.lineno for frame in (frames[-1:] if innermost else frames) if frame.filename == str(file)]
    return f", line {lines[-1]}," if lines else ""
