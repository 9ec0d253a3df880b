"""Import contracts, and what must not be imported where timing happens."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("harness", "fixtures", "datasets", "service", "tools")
LINT = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the import contracts of a folder."""
    return subprocess.run([sys.executable, "-I", "-c", LINT], cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def test_import_contracts_hold() -> None:
    """Every import contract in pyproject.toml is kept."""
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the packages and their contracts."""
    folder = tmp_path_factory.mktemp("copied")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.mark.parametrize(
    ("module", "imported", "broken"),
    [
        ("harness/text.py", "fixtures", "harness is not allowed to import fixtures"),
        ("service/models.py", "harness.text", "service is not allowed to import harness"),
        ("harness/stats/noise.py", "harness.bench.session", "harness.stats is not allowed to import harness.bench"),
        ("harness/results/run.py", "harness.verdicts.promise", "harness.results is not allowed to import harness.verdicts"),
        ("harness/report/tables.py", "harness.load.session", "harness.report is not allowed to import harness.load"),
        ("harness/gate/verdict.py", "harness.report.tables", "Illegal imports of protected package harness.report"),
        ("harness/bench/session.py", "harness.cli", "harness.bench is not allowed to import harness.cli"),
        ("harness/brand_new.py", "json", "not listed as layers"),
    ],
)
def test_an_import_against_the_layers_breaks_a_contract(copied: Path, module: str, imported: str, broken: str) -> None:
    """Importing upwards, rendering while measuring, and a module that has no layer are each found and named."""
    file = copied / module
    before = file.read_text(encoding="utf-8") if file.exists() else None
    try:
        file.write_text(f"{before or ''}\nimport {imported}\n", encoding="utf-8")
        done = lint(copied)
    finally:
        file.unlink()
        if before is not None:
            file.write_text(before, encoding="utf-8")
    assert done.returncode == 1
    assert broken in done.stdout


def test_scenarios_run_unpatched() -> None:
    """Neither measuring nor a scenario's contract imports Locust, which would patch the process, nor pytest."""
    program = (
        "import sys, harness.bench.worker, harness.bench.session, harness.load.worker, harness.scenario;"
        "print(sorted({'gevent', 'locust', 'pytest'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_module_is_a_junk_drawer() -> None:
    """A module holds one concept and is named after it: none is called utils."""
    files = [
        f
        for package in ("harness", "fixtures", "datasets", "service", "scenarios", "tools")
        for f in (ROOT / package).rglob("*.py")
    ]
    assert [f for f in files if f.stem in {"utils", "util", "helpers", "misc", "common"}] == []


def test_the_tool_names_nothing_of_the_trial() -> None:
    """No module of the package mentions an arm called "proposed", or a prompt: the review is data of the project."""
    named = {
        str(file.relative_to(ROOT)): word
        for file in (ROOT / "harness").rglob("*.py")
        for word in ('"proposed"', "'proposed'", "prompt")
        if word in file.read_text(encoding="utf-8")
    }
    assert named == {}
