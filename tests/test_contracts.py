"""Import contracts, and what must not be imported where timing happens."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_import_contracts_hold() -> None:
    """Every import contract in pyproject.toml is kept."""
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


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
