"""A single process, a master and its workers."""

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


def test_headless_tries_every_arm_and_writes_a_run(folder: Path, locust: Run, tmp_path: Path) -> None:
    """Two scenarios take turns in the closed model; tables, a run that the report reads, Locust's CSV and HTML, and exit code 0."""
    (folder / "more_adding.py").write_text((folder / "adding.py").read_text().replace("class Adding", "class More"))
    done = locust("-u", "4", "-r", "4", "-t", "3s", "--csv", "figures", "--html", "page.html")
    assert done.returncode == 0, done.stderr
    record = read_run(tmp_path / "run")
    assert (record.kind, record.environment["users"], record.interrupted) == ("load", "4", False)
    assert {s.name for s in record.scenarios} == {"adding", "more_adding"}
    for scenario in record.scenarios:
        assert {x.arm for x in scenario.latencies} == {"baseline", "proposed", "optimised"}
        assert scenario.samples_file is not None
        assert (tmp_path / "run" / scenario.samples_file).is_file()
        fastest = next(x for x in scenario.latencies if x.arm == "optimised")
        assert 2_000_000 < fastest.mean_ns < 50_000_000
    for file in ("run/report.html", "page.html", "figures_stats.csv"):
        assert (tmp_path / file).is_file(), file
    assert "optimised" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_rate_is_offered_whatever_is_answered(locust: Run, tmp_path: Path) -> None:
    """With --rate the model is open, an arm alone may take the load, and what Locust's CSV counts is what the run counts."""
    done = locust("-u", "50", "-t", "3s", "--rate", "40", "--arm", "optimised", "--csv", "figures")
    assert done.returncode == 0, done.stderr
    record = read_run(tmp_path / "run")
    (scenario,) = record.scenarios
    assert scenario.load is not None
    assert scenario.load.models == ["open"]
    assert record.environment["most in flight"] == "50"
    (whole,) = [a for a in scenario.load.arms if a.group == ALL]
    assert whole.arm == "optimised"
    assert whole.offered_per_s == pytest.approx(40, rel=0.1)
    rows = [line.split(",") for line in (tmp_path / "figures_stats.csv").read_text().splitlines()]
    (aggregated,) = [dict(zip(rows[0], row, strict=True)) for row in rows if row[1] == "Aggregated"]
    assert int(aggregated["Request Count"]) == whole.operations
    assert float(aggregated["Requests/s"]) == pytest.approx(whole.achieved_per_s, rel=0.1)
    assert not float(aggregated["50%"]).is_integer()


def test_tags_are_arms(locust: Run, tmp_path: Path) -> None:
    """-E leaves an arm out."""
    done = locust("-u", "2", "-t", "2s", "-E", "proposed")
    assert done.returncode == 0, done.stderr
    (scenario,) = read_run(tmp_path / "run").scenarios
    assert {x.arm for x in scenario.latencies} == {"baseline", "optimised"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--rate", "fast"), "'fast' is no rate"),
        (("--rtt", "far"), "'far' is no number"),
        (("--seed", "-1"), "'-1' is no seed"),
        (("--arm", "another"), "invalid choice: 'another'"),
        (
            ("-T", "another"),
            "adding: --arm and tags leave none of its arms, which are also its tags: baseline, proposed, optimised",
        ),
    ],
)
def test_wrong_use_is_one_line(locust: Run, tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    """Exit code 2, what is wrong, no traceback, and no run."""
    done = locust("-u", "1", "-t", "30s", *arguments)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_arms_that_disagree_end_the_run_in_one_line(folder: Path, locust: Run, tmp_path: Path) -> None:
    """Exit code 1, by scenario, arm and case."""
    file = folder / "adding.py"
    file.write_text(file.read_text().replace("return sum(list(range(case.args)))", "return 13"))
    done = locust("-u", "1", "-t", "30s")
    assert done.returncode == 1
    assert "harness: adding: proposed gives another answer than baseline to case 'sum 20000': 13" in done.stderr
    assert not (tmp_path / "run").exists()


def test_nothing_asked_is_no_success(locust: Run, tmp_path: Path) -> None:
    """A run without an operation exits with 1."""
    done = locust("-u", "1", "-t", "1s", "--rate", "poisson:0.000001")
    assert done.returncode == 1, done.stderr
    assert read_run(tmp_path / "run").scenarios[0].status == "failed"


def test_ctrl_c_drains_and_reports(command: Callable[..., list[str]], tmp_path: Path) -> None:
    """A run that was to last longer ends with 3, its report is written and says so."""
    child = subprocess.Popen(
        command("--headless", "-u", "2", "-t", "60s"), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert child.stdout is not None
    for line in child.stdout:
        if b"optimised" in line:  # Locust's table: a block of every arm was heard
            break
    time.sleep(0.5)  # Locust's own printing of tables would swallow the signal
    child.send_signal(signal.SIGINT)
    said = child.communicate(timeout=60)[0].decode()
    assert child.returncode == 3, said
    assert read_run(tmp_path / "run").interrupted
    assert (tmp_path / "run" / "report.html").is_file()
    assert "Traceback" not in said


def test_the_engine_ends_with_its_supervisor(command: Callable[..., list[str]], tmp_path: Path) -> None:
    """A Locust that is killed outright leaves no engine behind."""
    child = subprocess.Popen(
        command("--headless", "-u", "1", "-t", "60s"), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 40
    engines: list[psutil.Process] = []
    while not engines and time.monotonic() < deadline:
        time.sleep(0.2)
        engines = [p for p in psutil.Process(child.pid).children() if "harness.load.worker" in " ".join(p.cmdline())]
    assert engines
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    _, alive = psutil.wait_procs(engines, timeout=10)
    assert alive == []


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
