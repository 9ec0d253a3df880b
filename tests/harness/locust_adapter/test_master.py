"""A master and its workers: one load, shared out, and told as one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from harness.results.load import ALL, LoadedArm
from harness.results.store import read_run

Run = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = pytest.mark.slow


def whole(run: Path) -> LoadedArm:
    """Return the figures of a run with one arm."""
    (scenario,) = read_run(run).scenarios
    assert scenario.load is not None
    (arm,) = [a for a in scenario.load.arms if a.group == ALL]
    return arm


def test_two_processes_offer_the_plan_of_one(locust: Run, two: list[str], tmp_path: Path) -> None:
    """--processes 2 offers the rate once, not twice; both workers took part, and nobody's share is lost."""
    done = locust("-u", "20", "-r", "20", "-t", "3s", *two, "--rate", "40", "--arm", "optimised")
    assert done.returncode == 0, done.stderr
    record = read_run(tmp_path / "run")
    (scenario,) = record.scenarios
    assert (scenario.processes, record.environment["workers"], record.environment["most in flight"]) == (2, "2", "20")
    arm = whole(tmp_path / "run")
    assert arm.offered_per_s == pytest.approx(40, rel=0.1)
    assert arm.operations > 40
    assert scenario.load is not None
    assert scenario.load.lost_workers == []
    assert "Traceback" not in done.stdout + done.stderr


def test_users_of_all_workers_add_up(locust: Run, two: list[str], tmp_path: Path) -> None:
    """In the closed model the run has the users of both workers, and every arm."""
    done = locust("-u", "4", "-r", "4", "-t", "2s", *two)
    assert done.returncode == 0, done.stderr
    record = read_run(tmp_path / "run")
    (scenario,) = record.scenarios
    assert record.environment["users"] == "4"
    assert {x.arm for x in scenario.latencies} == {"baseline", "proposed", "optimised"}
    assert "one process" not in {warning.name for warning in scenario.warnings}


def test_a_worker_that_dies_is_named(command: Callable[..., list[str]], two: list[str], tmp_path: Path) -> None:
    """The others' figures are kept, its share is named as lost, and the exit code is 1."""
    words = command("--headless", "-u", "4", "-r", "4", "-t", "9s", *two, "--rate", "40", "--arm", "optimised")
    child = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if "adding: sum" in line:  # Locust's table: workers have reported
            break
    workers = [p for p in psutil.Process(child.pid).children() if "locust" in " ".join(p.cmdline())]
    assert len(workers) == 2
    workers[0].kill()
    said = child.communicate(timeout=90)[0]
    assert child.returncode == 1, said
    (scenario,) = read_run(tmp_path / "run").scenarios
    assert scenario.load is not None
    (lost,) = scenario.load.lost_workers
    assert lost.startswith("worker ")
    assert "of 2, after" in lost
    assert whole(tmp_path / "run").operations > 0


def test_separate_workers_do_as_the_master_says(command: Callable[..., list[str]], folder: Path, port: str, tmp_path: Path) -> None:
    """A worker that was started with no options of its own loads the class, the arm and the rate that the master names."""
    wanted = ["--headless", "-u", "9", "-t", "3s", "--rate", "30", "--arm", "proposed", "Adding"]
    master = subprocess.Popen(
        command("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", "1", *wanted),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    words = [sys.executable, "-m", "locust", "-f", str(folder), "--worker", "--master-host", "127.0.0.1", "--master-port", port]
    worker = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = master.communicate(timeout=90)[0]
        assert master.returncode == 0, said
        assert whole(tmp_path / "run").arm == "proposed"
        assert whole(tmp_path / "run").offered_per_s == pytest.approx(30, rel=0.1)
        told = worker.communicate(timeout=30)[0]
        assert worker.returncode == 0, told
    finally:
        for process in (master, worker):
            if process.poll() is None:
                process.kill()


def test_ctrl_c_reaches_all_of_them(command: Callable[..., list[str]], two: list[str], tmp_path: Path) -> None:
    """As from a terminal, every process is interrupted: the run is kept, marked, and ends with 3; no process is left."""
    words = command("--headless", "-u", "4", "-t", "60s", *two)
    child = subprocess.Popen(
        words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    assert child.stdout is not None
    for line in child.stdout:
        if "optimised" in line:
            break
    everyone = psutil.Process(child.pid).children(recursive=True)
    time.sleep(0.2)
    os.killpg(child.pid, signal.SIGINT)
    said = child.communicate(timeout=90)[0]
    assert child.returncode == 3, said
    record = read_run(tmp_path / "run")
    assert record.interrupted
    assert record.scenarios[0].latencies
    assert psutil.wait_procs(everyone, timeout=10)[1] == []


def test_a_worker_that_cannot_prepare_ends_the_run(folder: Path, locust: Run, two: list[str], tmp_path: Path) -> None:
    """The master says why in one line, exits with 1, and writes no run."""
    file = folder / "adding.py"
    file.write_text(file.read_text().replace("return sum(list(range(case.args)))", "return 13"))
    done = locust("-u", "2", "-t", "30s", *two)
    assert done.returncode == 1, done.stderr
    assert "harness: adding: proposed gives another answer than baseline" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
