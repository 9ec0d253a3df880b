"""A project's own commands: one module each, in the folder that `[tool.harness] commands` names in the nearest pyproject.toml.

They have the form of a command of `harness`, and are listed by their docstrings alone: a module is imported when its command is
chosen, so a slow or broken one does not affect the others.
"""

import ast
import importlib.util
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from harness.configuration import configuration
from harness.errors import UsageError


@dataclass(frozen=True)
class ProjectCommand:
    """A command of a project, not imported yet."""

    name: str
    """The module's name, as typed after `harness`."""
    file: Path
    folder: Path
    """The project's folder, with its pyproject.toml."""
    doc: str
    """The module's docstring; its first line is the help."""
    problem: str = ""
    """The reason why the command cannot run; empty if none is known before the module is imported."""

    @property
    def summary(self) -> str:
        """The line shown in `harness --help`."""
        return f"cannot be used: {self.problem}" if self.problem else self.doc.splitlines()[0].rstrip(".")

    def load(self) -> ModuleType:
        """Import the command's module, with the project's folder importable, as under pytest; UsageError if it cannot be used."""
        if self.problem:
            raise UsageError(f"{self.file}: {self.problem}")
        if str(self.folder) not in sys.path:
            sys.path.insert(0, str(self.folder))
        name = f"{self.file.parent.name}.{self.name}"
        spec = importlib.util.spec_from_file_location(name, self.file)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            problem = f"cannot be imported: {type(error).__name__}: {' '.join(str(error).split())}; fix the module"
            if isinstance(error, ModuleNotFoundError):
                problem = f"needs {error.name}, which is not installed; install it"
            raise UsageError(f"{self.file} {problem}") from error
        for function in ("arguments", "run"):
            if not callable(getattr(module, function, None)):
                form = "a command has `arguments(parser)` and `run(options)`"
                raise UsageError(f"{self.file} defines no function {function!r}; {form}")
        return module


def find_project_commands(start: Path, reserved: Collection[str]) -> list[ProjectCommand]:
    """Return the commands of the project that `start` belongs to, or raise UsageError; `reserved` names are those of `harness`."""
    configured = configuration(start)
    folder = configured.folder("commands")
    if configured.file is None or folder is None:
        return []
    project = configured.file.parent
    modules = sorted(module for module in folder.absolute().glob("*.py") if not module.name.startswith("_"))
    return [_command(module, project, reserved) for module in modules]


def _command(file: Path, folder: Path, reserved: Collection[str]) -> ProjectCommand:
    doc = problem = ""
    try:
        doc = (ast.get_docstring(ast.parse(file.read_bytes())) or "").strip()
    except SyntaxError as error:
        problem = f"line {error.lineno}: {error.msg}; fix the module"
    except (OSError, ValueError) as error:
        problem = f"{error}; fix the module"
    if not doc:
        problem = problem or "no docstring; add one, its first line becomes the help"
    if file.stem in reserved:
        problem = "harness has a command of this name; rename the file"
    return ProjectCommand(file.stem, file, folder, doc, problem)
