"""The wheel: one top-level package, whose modules import outside the repository, and whose import is light."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from harness.errors import EXTRAS

ROOT = Path(__file__).parents[1]
HEAVY = (
    "aiosqlite",
    "asyncio",
    "jinja2",
    "locust",
    "msgspec",
    "numpy",
    "pandas",
    "psutil",
    "pytest",
    "rich",
    "sqlalchemy",
)

IMPORT_ALL = """
import importlib, pkgutil, sys
import harness
for module in pkgutil.walk_packages(harness.__path__, "harness."):
    if module.name not in {"harness.__main__", *sys.argv[1:]}:
        importlib.import_module(module.name)
        print(module.name)
assert harness.__file__.startswith(sys.path[0]), (harness.__file__, sys.path)
"""

PATCHES_THE_PROCESS = "harness.locust_adapter"
"""Locust replaces sockets and threads when it is imported, so this package is imported in its own process."""

WITHOUT_EXTRAS = """
import sys


class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Blocked())
"""
"""A `sitecustomize` for every process, in which the packages of all extras cannot be imported."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(wheel_file: Path) -> zipfile.Path:
    """Return the root of the wheel's contents."""
    return zipfile.Path(wheel_file)


@pytest.fixture(scope="module")
def unpacked(wheel: zipfile.Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wheel's contents."""
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(str(wheel.root.filename)) as archive:
        archive.extractall(folder)
    return folder


def python(unpacked: Path, program: str, *arguments: str) -> str:
    """Run a program outside the repository, with the wheel before everything else on the path, and return what it prints."""
    code = f"import sys; sys.path.insert(0, {str(unpacked)!r})\n{program}"
    command = [sys.executable, "-I", "-W", "ignore", "-c", code, *arguments]
    done = subprocess.run(command, cwd=unpacked.parent, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_has_one_top_level_name(wheel: zipfile.Path) -> None:
    """Other top-level names could overwrite packages of other projects."""
    top = {path.name for path in wheel.iterdir()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"harness"}


def test_the_wheel_has_the_files_that_are_not_python(wheel: zipfile.Path) -> None:
    """The type marker and every template of the report."""
    assert (wheel / "harness" / "py.typed").is_file()
    for file in (ROOT / "harness").rglob("*"):
        if file.suffix in {".j2", ".css", ".js", ".mo", ".sql", ".json", ".toml"}:
            assert wheel.joinpath(*file.relative_to(ROOT).parts).is_file(), file


def test_every_module_of_the_wheel_imports(unpacked: Path) -> None:
    """With all extras, and without the repository on the path; the Locust adapter in a process that Locust may patch."""
    files = [f.relative_to(unpacked).with_suffix("") for f in (unpacked / "harness").rglob("*.py")]
    names = {".".join(f.parts).removesuffix(".__init__") for f in files}
    adapter = {name for name in names if name.startswith(PATCHES_THE_PROCESS)}
    imported = set(python(unpacked, IMPORT_ALL, *adapter).split())
    program = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    python(unpacked, program, *sorted(adapter))
    assert imported | adapter | {"harness", "harness.__main__"} == names


def test_importing_harness_is_light(unpacked: Path) -> None:
    """A name of the public interface is loaded when it is used, so the import alone loads no library."""
    program = f"import harness; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    assert python(unpacked, program).strip() == "[]"


def test_a_run_needs_no_extra(unpacked: Path, tmp_path: Path) -> None:
    """Without the packages of any extra, a scenario without SQL is measured and printed; a line says how to get the HTML report."""
    packages = {package for extra in EXTRAS.values() for package in extra}
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_EXTRAS.format(packages=packages))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "adding.py").write_bytes((ROOT / "tests" / "toys" / "adding.py").read_bytes())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(unpacked)])}
    command = [
        sys.executable,
        "-m",
        "harness",
        "run",
        "mine",
        "--quick",
        "--processes",
        "1",
        "--budget",
        "100",
        "--out",
        "run",
        "--all",
    ]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "install it with: pip install 'advice-on-trial[report]', then run: harness report run\n" in done.stderr
    assert "X1" in done.stdout
    assert {"run.json", "report.html"} & {file.name for file in (tmp_path / "run").iterdir()} == {"run.json"}
