"""The cases about the environment, with real processes: interpreter settings, encodings, signals and lost output."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCENARIOS = ROOT / "tests" / "cases" / "scenarios"
HARNESS = (sys.executable, "-m", "harness")
HANG_S = 300.0


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment with more variables, for a command that is started elsewhere."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **variables}


def run(folder: Path, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the harness in a folder."""
    command = [*HARNESS, *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=environment(**variables), capture_output=True, text=True, check=False, timeout=HANG_S
    )


def test_debug_modes_do_not_reach_what_is_measured(tmp_path: Path) -> None:
    """A run in the development mode is recorded as such, measured without it, and comparable with a usual run."""
    options = (SCENARIOS / "module_engine.py", "--quick", "--budget", "0.2s", "--processes", "1", "--out")
    assert run(tmp_path, "run", *options, "usual").returncode == 0
    debugged = run(tmp_path, "run", *options, "debugged", PYTHONDEVMODE="1", PYTHONASYNCIODEBUG="1")
    assert debugged.returncode == 0
    message = "harness: workers start without PYTHONDEVMODE, PYTHONASYNCIODEBUG, which would distort times and counts\n"
    assert debugged.stderr.startswith(message)
    recorded = json.loads((tmp_path / "debugged" / "run.json").read_text())["environment"]
    assert recorded["removed from the workers' environment"] == "PYTHONDEVMODE, PYTHONASYNCIODEBUG"
    gated = json.loads(run(tmp_path, "gate", "usual", "debugged", "--json").stdout)
    assert gated["incomparable"] == []
    assert "regressed" not in {row["verdict"] for row in gated["rows"] if row["kind"] == "work"}
