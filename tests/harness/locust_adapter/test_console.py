"""Locust's output: totals of scenarios, rows of other users, and at the end the summary of the run."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.locust_adapter.conftest import Run

OTHERS = """
from locust import User, task

class Another(User):
    @task
    def act(self):
        self.environment.events.request.fire(
            request_type="GET", name="elsewhere", response_time=3, response_length=0, exception=None, context={}
        )
        import gevent
        gevent.sleep(0.1)
"""
TABLES = """
import types
import locust.stats
from harness.load.block import LoadBlock
from harness.locust_adapter.console import configure
from harness.locust_adapter.statistics import install

install()
stats = locust.stats.RequestStats()
mine, other = stats.get("adding: sum", "optimised"), stats.get("elsewhere", "GET")
mine.measured, other.num_requests = {"here": [1.0, 0.0, 1.0]}, 1
stats.log_error("optimised", "adding: sum", "mine failed")
stats.log_error("GET", "elsewhere", "other failed")
mine.measured = {"here": [1.0, 0.0, 1.0]}
lines = []
locust.stats.console_logger.info = lines.append
configure(types.SimpleNamespace(print_stats=False), alone=False)
for _ in range(3):
    locust.stats.print_stats(stats)
locust.stats.print_percentile_stats(stats)
locust.stats.print_error_report(stats)
print("\\n".join(lines))
"""


def test_only_totals_and_other_users_are_printed() -> None:
    """Rows and errors of scenarios are left out, those of other users kept; while a run lasts the head is printed once."""
    done = subprocess.run([sys.executable, "-c", TABLES], capture_output=True, text=True, timeout=60, check=True)
    assert "adding: sum" not in done.stdout
    assert "mine failed" not in done.stdout
    assert "other failed" in done.stdout
    assert done.stdout.count("# fails") == 1
    assert done.stdout.count("elsewhere") >= 4
    assert len(re.findall(r"^ +Aggregated", done.stdout, re.MULTILINE)) >= 3


def test_a_headless_run_ends_with_its_summary(locust: Run, tmp_path: Path) -> None:
    """Standard output has at most 25 lines of 80 columns: conclusion, a row per arm, and the paths; Locust prints the totals."""
    done = locust("-u", "2", "-r", "2", "-t", "2s")
    lines = done.stdout.splitlines()
    assert 5 <= len(lines) <= 25, done.stdout
    assert lines[0].startswith("sqlite · tiny data · RTT 0 ms · ")
    assert any(line.startswith("optimised ") for line in lines)
    assert lines[-2] == f"harness report {tmp_path / 'run'} --format terminal --all"
    assert lines[-1] == str(tmp_path / "run" / "report.html")
    assert "Aggregated" in done.stderr
    assert "adding: sum" not in done.stderr
    assert len(done.stderr.splitlines()) <= 40, done.stderr


@pytest.mark.slow
def test_every_row_is_printed_if_asked(locust: Run) -> None:
    """With Locust's own --print-stats."""
    done = locust("-u", "2", "-r", "2", "-t", "2s", "--print-stats")
    assert "adding: sum" in done.stderr


@pytest.mark.slow
def test_other_users_keep_their_rows(folder: Path, command: Callable[..., list[str]], tmp_path: Path) -> None:
    """A second locustfile's users run beside the scenarios, and are in Locust's tables."""
    others = tmp_path / "others.py"
    others.write_text(OTHERS)
    arguments = [
        f"{folder},{others}" if argument == str(folder) else argument
        for argument in command("--headless", "-u", "4", "-r", "4", "-t", "2s")
    ]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert "elsewhere" in done.stderr
    assert "adding: sum" not in done.stderr
