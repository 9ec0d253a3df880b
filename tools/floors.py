"""Test the built wheel with the lowest and the newest versions of its dependencies: `python -m tools.floors --help`.

For each Python that is installed, and for the lowest and the newest versions of the direct dependencies that pyproject.toml allows,
the wheel and all extras are installed into a new environment, and a few tests of each extra run outside the repository. Needs `uv`.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.errors import UsageError
from tools import exit_code

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
RESOLUTIONS = {"lowest": "lowest-direct", "newest": "highest"}
TESTS = {
    "core": ("stats/test_percentiles.py", "gate/test_stored_runs.py", "importers/test_k6.py"),
    "sql": ("probes/test_statements.py", "test_sql.py -k 'explained and sqlite'"),
    "postgres": ("probes/test_buffers.py",),
    "redis": ("servers/test_redis.py",),
    "turso": ("test_sql.py -k 'explained and turso'",),
    "load": ("load/test_http_client.py",),
    "locust": ("locust_adapter/test_statistics.py",),
    "pytest": ("pytest_plugin/test_recorded.py", "pytest_plugin/test_plugin.py"),
    "report": ("cli/test_report.py -k written",),
    "pandas": ("results/test_loaded.py -k 'typed or frames_have or empty'",),
}
"""Extra → its tests, below tests/harness, with options of pytest; those of `prometheus` need the service of the trial."""
BESIDE = ("pytest<9", "sqlalchemy<2.0.46", "sqlalchemy>=2.1.0b1", "numpy<2.2", "numpy<2", "pandas<2.3", "redis<8", "rich<14")
"""Requirements of other projects, to be met beside all extras but `turso`, whose driver needs a recent SQLAlchemy."""
CONFIGURATION = """
[pytest]
addopts = --import-mode=importlib -p no:locust -m "not slow"
markers =
    slow: takes seconds
"""
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


def install(folder: Path, python: str, resolution: str, built: Path, extras: Sequence[str], more: Sequence[str] = ()) -> str:
    """Make an environment with the wheel and the versions that a strategy of uv selects, and return its Python."""
    chosen = [part for extra in extras for part in ("--extra", extra)]
    options = ("--resolution", resolution, "--python", python, "--only-binary", ":all:", "--no-header", "--no-annotate", "--quiet")
    pins = folder.with_suffix(".txt")
    uv("pip", "compile", "pyproject.toml", *chosen, *options, "--output-file", pins)
    uv("venv", "--quiet", "--python", python, folder)
    environment = str(folder / "bin" / "python")
    uv("pip", "install", "--quiet", "--python", environment, "--requirements", pins, *more)
    uv("pip", "install", "--quiet", "--python", environment, "--no-deps", built)
    return environment


def suite(folder: Path) -> Path:
    """Copy the tests to a folder outside the repository."""
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "pytest.ini").write_text(CONFIGURATION)
    return folder


def outcome(python: str, folder: Path, extra: str) -> str:
    """Run the tests of an extra, and return how many passed, or what failed."""
    passed = 0
    for line in TESTS[extra]:
        file, *options = shlex.split(line)
        command = [python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"tests/harness/{file}", *options]
        kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
        try:
            done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, check=False, timeout=300)
        except subprocess.TimeoutExpired:
            return f"{file} did not end"
        found = re.search(r"(\d+) passed", done.stdout)
        if done.returncode:
            failed = re.search(r"^(?:FAILED|ERROR) (\S+)(?: - )?(.*)", done.stdout, re.MULTILINE)
            return (
                f"FAILED {failed[1].rpartition('/')[2]} {failed[2]}"[:120]
                if failed
                else f"FAILED {file} (exit code {done.returncode})"
            )
        passed += int(found[1]) if found else 0
    return f"{passed} passed" if passed else "nothing ran"


def matrix(pythons: Iterable[str], resolutions: Iterable[str], folder: Path) -> bool:
    """Print the outcome per Python, resolution and extra; return whether all passed."""
    built, tests = wheel(folder), suite(folder / "outside")
    everything_passed = True
    for version in pythons:
        python = interpreter(version)
        if python is None:
            say(f"Python {version}: not installed")
            continue
        for name in resolutions:
            start = time.monotonic()
            environment = install(folder / f"{version}-{name}", python, RESOLUTIONS[name], built, ["all"], ["hypothesis"])
            say(f"Python {version}, {name} versions")
            for extra in TESTS:
                text = outcome(environment, tests, extra)
                say(f"  {extra:<10}  {text}")
                everything_passed &= text.endswith(" passed")
            say(f"  {time.monotonic() - start:.0f} s")
            shutil.rmtree(folder / f"{version}-{name}")
    return everything_passed


def beside(folder: Path) -> bool:
    """Print whether requirements of other projects can be satisfied beside all extras; return whether all can."""
    satisfied = True
    for requirement in BESIDE:
        file = folder / "project.in"
        file.write_text(requirement + "\n")
        extras = [part for extra in TESTS if extra not in {"core", "turso"} for part in ("--extra", extra)]
        found = uv("pip", "compile", "pyproject.toml", file, *extras, "--quiet", "--python-version", PYTHONS[0], check=False)
        name = re.split("[<>]", requirement)[0]
        version = re.search(rf"^{name}(?:\[\w+\])?==(\S+)", found.stdout, re.MULTILINE)
        say(f"beside {requirement:<20}  {version[1] if version else 'cannot be resolved'}")
        satisfied &= version is not None
    return satisfied


def sizes(folder: Path, extras: Sequence[str]) -> None:
    """Print the number of packages and the size on disk of the core, and of the core with each extra, without compiled bytecode."""
    built = wheel(folder)
    for extra in ("core", *extras):
        place = folder / extra
        target = built if extra == "core" else f"{built}[{extra}]"
        uv("pip", "install", "--quiet", "--python", sys.executable, "--target", place, target)
        files = [file for file in place.rglob("*") if file.is_file()]
        packages = len(list(place.glob("*.dist-info")))
        say(f"{extra:<10}  {packages:>3} packages  {sum(file.stat().st_size for file in files) / MB:>5.0f} MB")
        shutil.rmtree(place)


def main(words: Sequence[str] | None = None) -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="python -m tools.floors", description=__doc__.partition("\n")[0])
    parser.add_argument("--python", action="append", choices=PYTHONS, help="test this Python only (repeatable)")
    parser.add_argument("--versions", choices=RESOLUTIONS, help="test these versions only")
    parser.add_argument("--sizes", action="store_true", help="print packages and size of the core and of each extra instead")
    given = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="floors-") as path:
        folder = Path(path)
        if given.sizes:
            sizes(folder, [extra for extra in TESTS if extra != "core"] + ["all"])
            return 0
        satisfied = beside(folder)
        return int(
            not matrix(given.python or PYTHONS, [given.versions] if given.versions else RESOLUTIONS, folder) or not satisfied
        )


if __name__ == "__main__":
    sys.exit(exit_code(main))
