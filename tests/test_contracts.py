"""Who may import whom, held by import-linter on every test run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_rooms_keep_their_doors_shut() -> None:
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
    """No file is called utils, and none is longer than about three hundred lines."""
    rooms = ("harness", "fixtures", "datasets", "service", "scenarios", "reports")
    files = [f for room in rooms for f in (ROOT / room).rglob("*.py")]
    assert [f for f in files if f.stem in {"utils", "util", "helpers", "misc", "common"}] == []
    assert [f for f in files if len(f.read_text().splitlines()) > 310] == []
