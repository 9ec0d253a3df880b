"""Test the built wheel with the lowest and the newest versions of its dependencies: `python -m tools.floors --help`.

For each Python that is installed, and for the lowest and the newest versions of the direct dependencies that pyproject.toml allows,
the wheel is installed into new environments, without extras and with all of them. Outside the repository, each runs a project's
commands, from `harness init` on, and those with extras a few tests of each. With the newest versions a deprecation is an error.
Needs `uv`.
"""

import argparse
import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness.errors import UsageError
from harness.version import DISTRIBUTION
from tools import exit_code

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
RESOLUTIONS = {"lowest": "lowest-direct", "newest": "highest"}
NO_DEPRECATIONS = ("-W", "error::DeprecationWarning", "-W", "error::PendingDeprecationWarning", "-W", "error::FutureWarning")
MODELS = """
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

class Base(DeclarativeBase):
    pass

class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    posts: Mapped[list["Post"]] = relationship(back_populates="author")

class Post(Base):
    __tablename__ = "post"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="posts")
"""
"""The module `models` of the project in which the commands run."""
PASSED, INCONCLUSIVE, MISSING = 0, 3, 2
"""Exit codes: a few seconds may be too short for a verdict; without its extra, the report names it."""
MEASURE = "harness run --size tiny --processes 3"
COMMANDS: Mapping[str, tuple[int, ...]] = {
    "harness init --template {template} --yes": (PASSED,),
    f"{MEASURE} --budget 45s --out first": (PASSED, INCONCLUSIVE),
    "harness gate first first": (PASSED, INCONCLUSIVE),
    "harness compare first first": (PASSED, INCONCLUSIVE),
    "harness report first --format terminal": (PASSED,),
    "harness load bench --duration 2s --processes 1 --out load": (PASSED, INCONCLUSIVE),
}
"""A user's commands in every environment, in order → the exit codes that they may have."""
COMMANDS_OF: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "core": {"harness report first": (MISSING,)},
    "report": {"harness report first": (PASSED,)},
    "postgres": {f"{MEASURE} --budget 10s --out second --engine postgres": (PASSED, INCONCLUSIVE)},
    "turso": {f"{MEASURE} --budget 10s --out third --engine turso": (PASSED, INCONCLUSIVE)},
    "pytest": {
        "pytest bench": (PASSED,),
        "pytest bench --benchmark-compare --benchmark-autosave --harness-budget 2s --harness-processes 1": (PASSED,),
    },
    "locust": {"locust -f bench/locustfile.py --headless --users 2 --run-time 3s": (PASSED,)},
}
"""Extra, or "core" without any → the commands that follow where it is installed."""
TESTS = {
    "core": ("stats/test_percentiles.py", "gate/test_stored_runs.py", "importers/test_k6.py"),
    "sql": ("probes/test_statements.py", "test_sql.py -k 'explained and sqlite'"),
    "postgres": ("probes/test_buffers.py",),
    "redis": ("servers/test_redis.py",),
    "turso": ("test_sql.py -k 'explained and turso'",),
    "load": ("load/test_http_client.py",),
    "locust": ("locust_adapter/test_statistics.py",),
    "prometheus": ("servers/test_prometheus.py",),
    "pytest": ("pytest_plugin/test_recorded.py", "pytest_plugin/test_plugin.py"),
    "report": ("cli/test_report.py -k written",),
    "rows": ("databases/test_drawn_rows.py -k 'not postgres'",),
    "http": ("test_served_application.py",),
    "completion": ("cli/test_completion.py",),
    "pandas": ("results/test_loaded.py -k 'typed or frames_have or empty'",),
}
"""Extra → its tests, below tests/harness, with options of pytest."""
ENVIRONMENTS: Mapping[str, tuple[str, ...]] = {
    "core": (),
    "older": tuple(extra for extra in TESTS if extra not in {"core", "locust", "turso"}),
    "all": tuple(extra for extra in TESTS if extra != "core"),
}
"""Name of an environment → its extras. Locust and Turso's driver need later versions of pytest and SQLAlchemy than other extras:
the oldest ones are in an environment without both."""
BESIDE: Mapping[str, tuple[str, ...]] = {
    "core": ("sqlalchemy<2", "pytest<7", "jinja2<3"),
    "older": ("sqlalchemy<2.0.46", "pytest<8"),
    "all": ("sqlalchemy>=2.1.0b1", "pytest<9", "numpy<2.2", "numpy<2", "pandas<2.3", "redis<8", "rich<14"),
}
"""Name of an environment → requirements of other projects, to be met beside its extras."""
CONFIGURATION = """
[pytest]
addopts = -p no:locust -m "not slow"
markers =
    slow: takes seconds
"""
TEST_TOOLS = ("hypothesis",)
"""What the tests need in addition to the extra `pytest`."""
MB = 1_000_000


def say(line: str) -> None:
    """Print a line at once, since the next one takes a while."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def uv(*arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run uv, and return its output; UsageError if it is not installed or fails."""
    command = shutil.which("uv")
    if command is None:
        raise UsageError("uv is not installed; install it with: pip install uv")
    done = subprocess.run([command, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=ROOT)
    if check and done.returncode:
        raise UsageError(f"uv {arguments[0]} {arguments[1]} failed: {' '.join(done.stderr.split())[-600:]}")
    return done


def interpreter(version: str) -> str | None:
    """Return the path of an installed Python, None without one."""
    done = uv("python", "find", "--no-project", "--no-python-downloads", version, check=False)
    known = [done.stdout.strip()] if not done.returncode else []
    known += sorted(str(path) for path in Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    return next(iter(known), None)


def wheel(folder: Path) -> Path:
    """Build the wheel into a folder."""
    source = folder / "source"
    shutil.copytree(ROOT / "harness", source / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    uv("build", "--wheel", "--quiet", source, "--out-dir", folder)
    (built,) = folder.glob("*.whl")
    return built


def install(
    folder: Path, python: str, resolution: str, built: Path | None, extras: Sequence[str], more: Sequence[str] = ()
) -> None:
    """Make an environment with the dependencies in the versions that a strategy of uv selects, more packages, and the wheel."""
    chosen = [part for extra in extras for part in ("--extra", extra)]
    options = ("--resolution", resolution, "--python", python, "--only-binary", ":all:", "--no-header", "--no-annotate", "--quiet")
    pins = folder.with_name(f"{folder.name}.txt")  # a new file: uv keeps the versions of one that exists
    uv("pip", "compile", "pyproject.toml", *chosen, *options, "--output-file", pins)
    uv("venv", "--quiet", "--python", python, folder)
    environment = str(folder / "bin" / "python")
    uv("pip", "install", "--quiet", "--python", environment, "--requirements", pins, *more)
    if built is not None:
        uv("pip", "install", "--quiet", "--python", environment, "--no-deps", built)


def suite(folder: Path) -> Path:
    """Copy the tests to a folder outside the repository."""
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "pytest.ini").write_text(CONFIGURATION)
    return folder


def used(environment: Path, folder: Path, extras: Sequence[str]) -> str:
    """Run the commands of a user in a new project, and return how many of them ended as they should, or what failed."""
    folder.mkdir()
    (folder / "models.py").write_text(MODELS)
    commands = dict(COMMANDS)
    for extra in extras or ["core"]:
        commands |= COMMANDS_OF.get(extra, {})
    for template, codes in commands.items():
        line = template.format(template="sql" if extras else "function")
        name, *arguments = shlex.split(line)
        done = run([environment / "bin" / name, *arguments], folder)
        if done is None or done.returncode not in codes:
            last = "it did not end" if done is None else " ".join((done.stderr or done.stdout).split())[-300:]
            return f"FAILED {line}: {last}"
    return f"{len(commands)} commands passed"


def run(command: Sequence[object], folder: Path) -> subprocess.CompletedProcess[str] | None:
    """Run a program without this process's settings for Python; None if it does not end."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    words = [str(word) for word in command]
    try:
        return subprocess.run(words, cwd=folder, env=kept, capture_output=True, text=True, check=False, timeout=300)
    except subprocess.TimeoutExpired:
        return None


def tested(environment: Path, folder: Path, extra: str, options: Sequence[str]) -> str:
    """Run the tests of an extra, and return how many passed, or what failed."""
    passed = 0
    for line in TESTS[extra]:
        file, *selection = shlex.split(line)
        command = [
            environment / "bin" / "python",
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            *options,
            f"tests/harness/{file}",
            *selection,
        ]
        done = run(command, folder)
        if done is None:
            return f"FAILED {file}: it did not end"
        if done.returncode:
            failed = re.search(r"^(?:FAILED|ERROR) (\S+)(?: - )?(.*)", done.stdout, re.MULTILINE)
            what = f"{failed[1].rpartition('/')[2]} {failed[2]}" if failed else f"{file} (exit code {done.returncode})"
            return f"FAILED {what}"[:300]
        found = re.search(r"(\d+) passed", done.stdout)
        passed += int(found[1]) if found else 0
    return f"{passed} tests passed" if passed else "FAILED: nothing ran"


def matrix(pythons: Iterable[str], resolutions: Iterable[str], environments: Iterable[str], folder: Path) -> bool:
    """Print the outcome per Python, resolution, environment and extra; return whether all passed."""
    built, tests = wheel(folder), suite(folder / "outside")
    everything_passed = True
    found = {version: interpreter(version) for version in pythons}
    for version in (version for version, python in found.items() if python is None):
        say(f"Python {version}: not installed")
    installed = [(version, python) for version, python in found.items() if python is not None]
    for (version, python), name, environment in itertools.product(installed, resolutions, environments):
        if (name, environment) == ("newest", "older"):
            continue
        extras = ENVIRONMENTS[environment]
        place, start = folder / f"{version}-{name}-{environment}", time.monotonic()
        install(place, python, RESOLUTIONS[name], built, extras, TEST_TOOLS if extras else ())
        say(f"Python {version}, {name} versions, {environment}: {', '.join(direct(place))}")
        outcomes = {"commands": used(place, folder / f"{place.name}-project", extras)}
        say(f"  commands    {outcomes['commands']}")
        for extra in ("core", *extras) if extras else ():
            outcomes[extra] = tested(place, tests, extra, NO_DEPRECATIONS if name == "newest" else ())
            say(f"  {extra:<10}  {outcomes[extra]}")
        everything_passed &= all(text.endswith(" passed") for text in outcomes.values())
        say(f"  {time.monotonic() - start:.0f} s")
        shutil.rmtree(place)
    return everything_passed


def direct(environment: Path) -> list[str]:
    """Return name and version of each direct dependency in an environment."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = itertools.chain(project["dependencies"], *project["optional-dependencies"].values())
    names = {canonicalize_name(Requirement(text).name) for text in texts}
    found = metadata.distributions(path=[str(each) for each in environment.glob("lib/python*/site-packages")])
    versions = {canonicalize_name(each.name): each.version for each in found}
    return [f"{name} {versions[name]}" for name in sorted(names & versions.keys() - {DISTRIBUTION})]


def beside(folder: Path) -> bool:
    """Print whether requirements of other projects can be met beside the extras of each environment; return whether all can."""
    satisfied = True
    for environment, requirements in BESIDE.items():
        extras = [part for extra in ENVIRONMENTS[environment] for part in ("--extra", extra)]
        for requirement in requirements:
            file = folder / "project.in"
            file.write_text(requirement + "\n")
            found = uv("pip", "compile", "pyproject.toml", file, *extras, "--quiet", "--python-version", PYTHONS[0], check=False)
            name = re.split("[<>]", requirement)[0]
            version = re.search(rf"^{name}(?:\[\w+\])?==(\S+)", found.stdout, re.MULTILINE)
            say(f"beside {requirement:<20}  {version[1] if version else 'cannot be resolved'} ({environment})")
            satisfied &= version is not None
    return satisfied


def sizes(folder: Path, extras: Sequence[str]) -> None:
    """Print the number of packages and the size on disk of the core, and of the core with each extra, as pip installs them."""
    built = wheel(folder)
    for extra in ("core", *extras):
        place = folder / extra
        target = built if extra == "core" else f"{built}[{extra}]"
        uv("pip", "install", "--quiet", "--compile-bytecode", "--python", sys.executable, "--target", place, target)
        files = [file for file in place.rglob("*") if file.is_file()]
        packages = len(list(place.glob("*.dist-info")))
        say(f"{extra:<10}  {packages:>3} packages  {sum(file.stat().st_size for file in files) / MB:>5.0f} MB")
        shutil.rmtree(place)


def main(words: Sequence[str] | None = None) -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="python -m tools.floors", description=__doc__.partition("\n")[0])
    parser.add_argument("--python", action="append", choices=PYTHONS, help="test this Python only (repeatable)")
    parser.add_argument("--versions", choices=RESOLUTIONS, help="test these versions only")
    parser.add_argument("--environment", action="append", choices=ENVIRONMENTS, help="test this environment only (repeatable)")
    parser.add_argument("--sizes", action="store_true", help="print packages and size of the core and of each extra instead")
    given = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="floors-") as path:
        folder = Path(path)
        if given.sizes:
            sizes(folder, [extra for extra in TESTS if extra != "core"] + ["all"])
            return 0
        satisfied = beside(folder)
        resolutions = [given.versions] if given.versions else RESOLUTIONS
        everything_passed = matrix(given.python or PYTHONS, resolutions, given.environment or ENVIRONMENTS, folder)
    return int(not (satisfied and everything_passed))


if __name__ == "__main__":
    sys.exit(exit_code(main))
