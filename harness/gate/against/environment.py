"""The environment of the old version: the present one as long as both versions need the same, else one of its own.

An environment of its own has what the old tree requires and the new one does not, and reads everything else, the runner's tools
included, from the packages of the present environment. So the two versions differ in nothing that the change does not name, nothing
that is installed already is downloaded, and no editable installation of the new tree reaches the old version.
"""

import hashlib
import importlib.util
import os
import shutil
import site
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from harness.errors import NotComparableError
from harness.gate.against import built, dependencies
from harness.gate.against.checkout import Checkout, git, projects, run_git
from harness.gate.impact.facts import installed
from harness.gate.verdict import listed
from harness.results.run import RunWarning
from harness.results.warning_names import WarningName
from harness.runtime.child import last_error_line
from harness.runtime.snapshot_cache import CachedFile, cache_slot

INSTALL_S = 1800.0
"""Timeout of the command that installs, in seconds."""
REMEDY = "give the command that installs them in the old version: --old-install CMD"
RUNNER = "harness_runner.pth"
"""The file of an environment that leads to the present one's packages."""
MOST_OF_A_REASON = 300

PIP_OPTIONS = ("--quiet", "--disable-pip-version-check", "--no-input", "--retries", "1")


@dataclass(frozen=True)
class OldEnvironment:
    """The Python for the old version, and both trees with what their code needs besides the files in git."""

    python: str
    trees: Checkout
    warnings: Sequence[RunWarning] = ()
    is_assumed: bool = False
    """Whether the old version runs with the present packages although its own would be others, so that everything is timed."""


class InstallError(Exception):
    """A command that installs or builds has failed; the text is its own reason."""


@contextmanager
def old_environment(
    trees: Checkout, into: Path, command: str = "", progress: Callable[[str], None] = lambda _: None
) -> Iterator[OldEnvironment]:
    """Yield the environment of the old version; one of its own is made below `into`, and kept in the cache at the end.

    `command` installs the old version's dependencies and builds it, run by a shell; by default pip installs what differs.

    Raises:
        UsageError: files that name dependencies cannot be read.
        NotComparableError: the compiled extensions of the old version cannot be built.
    """
    if trees.same:
        yield OldEnvironment(sys.executable, trees)
        return
    preparation = _Preparation(trees, into, command, progress)
    try:
        yield preparation.environment()
    finally:
        preparation.keep()


class _Preparation:
    """The steps that lead to an old version that runs."""

    def __init__(self, trees: Checkout, into: Path, command: str, progress: Callable[[str], None]) -> None:
        self.trees, self.command, self.progress = trees, command, progress
        self.space = into / "environment"
        self.folder = self.space / "python"
        self.kept = self.space / "tree"
        self.python = str(self.folder / "bin" / "python")
        self.folders = [folder for folder in projects(trees) if (trees.old / folder).is_dir()]
        self._known: Mapping[str, CachedFile] = {}
        self._parts: dict[str, str] = {}
        self._is_complete = False

    @cached_property
    def changed(self) -> list[str]:
        """The files and sections naming dependencies that differ."""
        return dependencies.differences(self.trees.old, self.trees.new, self.folders)

    @cached_property
    def compiled(self) -> dict[str, Path]:
        """The extensions of the new version, by their place in its tree."""
        in_tree = {name: self.trees.new / name for name in built.extensions(self.trees.new)}
        return in_tree or built.installed_extensions(self.trees, self.folders)

    @cached_property
    def is_compiled_anew(self) -> bool:
        """Whether the old version's extensions are others than those of the new one."""
        if not self.compiled:
            return False
        old, new = (built.build_digest(tree, self.compiled) for tree in (self.trees.old, self.trees.new))
        return old != new

    def environment(self) -> OldEnvironment:
        """Install and build what the old version needs."""
        python, warnings, is_assumed = sys.executable, list[RunWarning](), False
        required = dependencies.requirements(self.trees.old, self.trees.new, self.folders) if self.changed else None
        try:
            is_ordered = self.command and (self.changed or self.is_compiled_anew)
            if is_ordered or required or (self.changed and self._leaks()):
                self._made(required)
                python = self.python
        except InstallError as error:
            message = f"its dependencies differ ({listed(self.changed, quote=False)}) and cannot be installed: {error}"
            warnings.append(RunWarning(WarningName.OLD_VERSION, f"{message}; both ran with the packages of this version", REMEDY))
            python, is_assumed = sys.executable, True
        self._compile(python)
        built.place_files({name: self.trees.new / name for name in built.written_modules(self.trees)}, self.trees.old)
        return OldEnvironment(python, self._new_with_extensions(), warnings, is_assumed)

    # The environment

    def _made(self, required: dependencies.Requirements | None) -> None:
        """Take the environment from the cache, or make it."""
        self._parts = {
            "name": f"environment of {self.trees.new.name} at {self.trees.commit}",
            "dependencies": _digest(*self._contents()),
            "command": self.command,
            "interpreter": f"{sys.version} {os.path.realpath(sys.executable)}",
            "packages": _digest(*(f"{name} {about}" for name, about in sorted(installed(str(self.trees.new)).items()))),
        }
        if self.command or (required and required.projects):  # it may depend on any file
            self._parts["tree"] = git(self.trees.old, "rev-parse", "HEAD^{tree}")
        else:
            self._parts["name"] = f"environment of {self.trees.new.name}"
        with cache_slot(self._parts) as slot:
            found = slot.take()
            if found is not None:
                payload, self._known = found
                shutil.move(payload, self.space)
                self.progress("the old version's environment is in the cache")
        if found is None:
            self._make(required or dependencies.Requirements())
        else:
            self._lead_to_present()  # which may be somewhere else by now
        self._is_complete = True
        built.place_files(
            {str(file.relative_to(self.kept)): file for file in self.kept.rglob("*") if file.is_file()}, self.trees.old
        )

    def _contents(self) -> list[str]:
        """Return everything in the old tree that names dependencies and differs."""
        files = [self.trees.old / name.partition(" [")[0] for name in self.changed]
        return [*self.changed, *(hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file())]

    def _make(self, required: dependencies.Requirements) -> None:
        self.progress(f"installing the old version's dependencies: {listed(self.changed, quote=False) or self.command}")
        shutil.rmtree(self.space, ignore_errors=True)
        self.kept.mkdir(parents=True)
        if self.command:
            self._run([sys.executable, "-m", "venv", str(self.folder)])
            before = {*_untracked(self.trees.old)}
            self._run(["/bin/sh", "-c", self.command], folder=self.trees.old / self.trees.inside, environment=self._activated())
            self._lead_to_present()
            added = [name for name in _untracked(self.trees.old) if name not in before and name.endswith((".py", ".so", ".pyd"))]
            built.place_files({name: self.trees.old / name for name in added}, self.kept)
            return
        self._run([sys.executable, "-m", "venv", "--without-pip", str(self.folder)])
        self._lead_to_present()
        pip, environment = _pip(self.python)
        for file in required.files:
            self._run([*pip, "install", *PIP_OPTIONS, "--requirement", str(file)], folder=file.parent, environment=environment)
        if required.pins:
            self._run([*pip, "install", *PIP_OPTIONS, "--no-deps", *required.pins], environment=environment)
        if required.others:
            self._run([*pip, "install", *PIP_OPTIONS, *required.others], environment=environment)
        for project in required.projects:
            own = ["--no-build-isolation"] if dependencies.has_build_tools(project) else []
            self._run([*pip, "install", *PIP_OPTIONS, *own, str(project)], environment=environment)

    def _run(
        self,
        command: Sequence[str],
        *,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Run a command; raise InstallError with its reason if it fails."""
        try:
            done = subprocess.run(
                command,
                cwd=folder if folder and folder.is_dir() else self.trees.old,
                env=None if environment is None else dict(environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=False,
                timeout=INSTALL_S,
            )
        except OSError as error:
            raise InstallError(f"{error.strerror or error}") from error
        except subprocess.TimeoutExpired as error:
            raise InstallError(f"it did not finish within {INSTALL_S:g} s") from error
        if done.returncode:
            raise InstallError(_reason(f"{done.stdout}\n{done.stderr}", done.returncode))

    def _activated(self) -> dict[str, str]:
        """Return the variables for `--old-install`: as in the activated environment, without those that lead to the new tree."""
        kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
        return kept | {
            "PATH": os.pathsep.join([str(self.folder / "bin"), os.environ.get("PATH", os.defpath)]),
            "VIRTUAL_ENV": str(self.folder),
            "UV_PROJECT_ENVIRONMENT": str(self.folder),
            "PDM_IGNORE_SAVED_PYTHON": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def _lead_to_present(self) -> None:
        """Let the environment import what it does not have from the present one, in the same order, except from the new tree."""
        lines = [*_present_packages(self.trees), *_present_hooks(self.trees)]
        done = subprocess.run(
            [self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise InstallError(_reason(done.stderr, done.returncode))
        packages = Path(done.stdout.strip())
        packages.mkdir(parents=True, exist_ok=True)
        (packages / RUNNER).write_text("\n".join(lines) + "\n", encoding=sys.getfilesystemencoding(), errors="surrogateescape")

    def _leaks(self) -> bool:
        """Return whether modules of the new tree are found by more than entries of the import path."""
        return any(_leads_into(line, self.trees.new) for line in _hooks())

    def keep(self) -> None:
        """Return the environment to the cache, if there is one."""
        if not self._is_complete:
            return
        with suppress(OSError), cache_slot(self._parts) as slot, slot.give(self._known) as target:
            if target is not None:
                shutil.move(self.space, target)

    # Compiled extensions

    def _compile(self, python: str) -> None:
        """Give the old tree its extensions: those of the new one if they are built from the same, else its own."""
        if not self.compiled:
            return
        if not self.is_compiled_anew:
            built.place_files(self.compiled, self.trees.old)
            return
        if self._is_complete and self.command:  # which may have installed the project
            installed_here = {name: file for name, file in self._installed_extensions().items() if file.is_file()}
            built.place_files(installed_here, self.trees.old)
        lacking = [name for name in self.compiled if not (self.trees.old / name).exists()]
        for project in [folder for folder in self.folders if _is_project(self.trees.old / folder)]:
            if any(Path(name).is_relative_to(project) for name in lacking):
                self._place_built(python, project)

    def _installed_extensions(self) -> dict[str, Path]:
        """Return where the old version's environment would have the extensions."""
        packages = next(iter((self.folder / "lib").glob("python*/site-packages")), self.folder)
        return {name: packages / Path(*(part for part in Path(name).parts if part not in {"src", "lib"})) for name in self.compiled}

    def _place_built(self, python: str, project: Path) -> None:
        parts = {
            "name": f"extensions of {self.trees.new.name}",
            "sources": built.build_digest(self.trees.old, self.compiled),
            "project": str(project),
            "interpreter": f"{sys.version} {os.path.realpath(sys.executable)}",
        }
        with cache_slot(parts) as slot:
            found, known = slot.take() or (None, {})
            store = self.space.with_name(f"built-{_digest(str(project))}")
            if found is not None:
                shutil.move(found, store)
            else:
                self.progress(f"building the old version's extensions of {project if project.name else self.trees.new.name}")
                pip, environment = _pip(python)
                try:
                    contents = built.built(pip, environment, self.trees.old / project, self.trees.old)
                except (OSError, subprocess.CalledProcessError) as error:
                    printed = f"{error.stdout}\n{error.stderr}" if isinstance(error, subprocess.CalledProcessError) else str(error)
                    message = f"the compiled extensions of {self.trees.ref} cannot be built: {_reason(printed, 1)}"
                    raise NotComparableError(f"{message}; give the command: --old-install CMD") from error
                for name, content in contents.items():
                    (store / name).parent.mkdir(parents=True, exist_ok=True)
                    (store / name).write_bytes(content)
        files = {str(file.relative_to(store)): file for file in store.rglob("*") if file.is_file()}
        built.place_files(files, self.trees.old)
        with suppress(OSError), cache_slot(parts) as slot, slot.give(known) as target:
            if target is not None:
                shutil.move(store, target)

    def _new_with_extensions(self) -> Checkout:
        """Return the trees; if the new one's extensions are installed elsewhere, with a copy of it that has them."""
        if not self.compiled or all((self.trees.new / name).exists() for name in self.compiled):
            return self.trees
        copy = self.space.with_name("new")
        listing = run_git(self.trees.new, "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout.split("\0")
        built.place_files({name: self.trees.new / name for name in listing if name and (self.trees.new / name).is_file()}, copy)
        built.place_files(self.compiled, copy)
        return replace(self.trees, new=copy, copy_of=self.trees.new)


def _is_project(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (dependencies.PYPROJECT, "setup.py", dependencies.SETUP_CFG))


def _present_packages(trees: Checkout) -> list[str]:
    """Return the entries of this process's import path that hold packages, without those of the new tree and the library."""
    library = Path(os.__file__).resolve().parent
    harness = Path(__file__).resolve().parents[3]
    found = []
    for entry in [*dict.fromkeys(filter(None, sys.path)), str(harness)]:
        path = Path(entry).resolve()
        is_package = "site-packages" in path.parts or "dist-packages" in path.parts
        is_library = library in {path, path.parent}
        is_of_trees = path.is_relative_to(trees.new) or path.is_relative_to(trees.old)
        is_own = not is_package and (is_of_trees or path == Path.cwd() != harness)
        if path.is_dir() and not is_own and (is_package or not is_library):
            found.append(str(path))
    return list(dict.fromkeys(found))


def _present_hooks(trees: Checkout) -> list[str]:
    """Return the lines of code by which the present environment finds packages, except those of the new tree."""
    return [line for line in _hooks() if not _leads_into(line, trees.new)]


def _hooks() -> list[str]:
    folders = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    files = [file for folder in folders for file in sorted(Path(folder).glob("*.pth")) if file.name != RUNNER]
    lines = [line for file in files for line in file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()]
    return [line for line in lines if line.startswith(("import ", "import\t"))]


def _leads_into(line: str, tree: Path) -> bool:
    """Return whether a line of a .pth file imports a module that names paths inside a tree."""
    for name in line.replace(";", " ").replace(",", " ").split():
        with suppress(ImportError, ValueError, AttributeError, OSError):
            found = importlib.util.find_spec(name) if name.isidentifier() and name != "import" else None
            if found and found.origin and str(tree) in Path(found.origin).read_text(encoding="utf-8", errors="replace"):
                return True
    return False


def _pip(python: str) -> tuple[list[str], dict[str, str]]:
    """Return the command and the variables of pip for an environment: the present one's, or the one that comes with Python."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    if importlib.util.find_spec("pip") is None:
        import ensurepip  # noqa: PLC0415 - systems leave it out

        wheels = sorted((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
        environment |= {"PYTHONPATH": str(wheels[-1])} if wheels else {}
    return [python, "-m", "pip"], environment


def _untracked(tree: Path) -> list[str]:
    return [name for name in run_git(tree, "ls-files", "-z", "--others").stdout.split("\0") if name]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()[:32]


def _reason(printed: str, code: int) -> str:
    """Return the line of an installer's output that states the error."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "fatal"))]
    return (errors[-1] if errors else last_error_line(printed) or f"exit code {code}")[:MOST_OF_A_REASON]
