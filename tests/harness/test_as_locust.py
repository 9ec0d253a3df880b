"""The Locust adapter, through real Locust processes on a stranger's folder of scenarios."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from harness.run_file import read_run, read_samples

ROOT = Path(__file__).parents[2]
TOY = ROOT / "tests" / "toys" / "adding.py"
pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two scenarios and the three-line locustfile."""
    scenarios = tmp_path / "trials"
    scenarios.mkdir()
    text = TOY.read_text().replace("asyncio.sleep(0)", "asyncio.sleep(0.002)")
    (scenarios / "adding.py").write_text(text)
    (scenarios / "more_adding.py").write_text(text.replace("class Adding", "class More"))
    (scenarios / "locustfile.py").write_text((ROOT / "scenarios" / "locustfile.py").read_text())
    return scenarios


def locust(folder: Path, *arguments: str) -> list[str]:
    """Return the command line."""
    return [sys.executable, "-m", "locust", "-f", str(folder), *arguments]


def test_headless_tries_every_arm_and_writes_a_run(folder: Path, tmp_path: Path) -> None:
    """A before/after table from nanoseconds, a run that the report reads, and no process left behind."""
    out = tmp_path / "run"
    command = locust(folder, "--headless", "-u", "4", "-r", "4", "-t", "6s", "--out", str(out))
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    record = read_run(out)
    assert (record.kind, record.environment["users"]) == ("load", "4")
    assert {s.name for s in record.scenarios} == {"adding", "more_adding"}
    for scenario in record.scenarios:
        assert {x.arm for x in scenario.latencies} == {"baseline", "proposed", "optimised"}
        assert scenario.samples_file is not None
        assert len(list(read_samples(out / scenario.samples_file))) == sum(x.samples for x in scenario.latencies)
        fastest = next(x for x in scenario.latencies if x.arm == "optimised")
        assert 2_000_000 < fastest.mean_ns < 50_000_000
    assert (out / "report.html").is_file()
    assert "optimised" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_workers_add_up_at_the_master(folder: Path, tmp_path: Path) -> None:
    """With two processes the run holds both engines' samples."""
    out = tmp_path / "run"
    command = locust(folder, "--headless", "-u", "2", "-r", "2", "-t", "6s", "--processes", "2", "--out", str(out))
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert {s.processes for s in read_run(out).scenarios} == {2}


def test_the_web_ui_offers_a_choice_of_scenarios(folder: Path, tmp_path: Path) -> None:
    """A run is started from the page with one scenario picked, and stopped; its run is written."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    out = tmp_path / "run"
    command = locust(folder, "--class-picker", "--web-host", "127.0.0.1", "--web-port", str(port), "--out", str(out))
    child = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    url = f"http://127.0.0.1:{port}"
    try:
        page = _answer(url)
        assert "MoreAdding" in page
        assert re.search(r"seed", page)
        form = urllib.parse.urlencode({"user_count": 2, "spawn_rate": 2, "user_classes": "MoreAdding", "size": "tiny", "seed": "3"})
        with urllib.request.urlopen(f"{url}/swarm", form.encode(), timeout=60) as started:
            assert b'"success":true' in started.read().replace(b" ", b"")
        deadline = time.monotonic() + 60
        while "more_adding: sum" not in _answer(f"{url}/stats/requests") and time.monotonic() < deadline:
            time.sleep(0.3)
        time.sleep(1)
        with urllib.request.urlopen(f"{url}/stop", b"", timeout=60):
            pass
        (only,) = read_run(out).scenarios
        assert (only.name, read_run(out).settings.seed) == ("more_adding", 3)
    finally:
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=30)


def test_arms_that_disagree_end_the_run_in_one_line(folder: Path, tmp_path: Path) -> None:
    """Exit code 1, by scenario, arm and case."""
    file = folder / "adding.py"
    file.write_text(file.read_text().replace("return sum(list(range(case.args)))", "return 13"))
    command = locust(folder, "--headless", "-u", "1", "-t", "30s", "--out", str(tmp_path / "run"))
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "harness: adding: proposed gives another answer than baseline to case 'sum 20000': 13" in done.stderr
    assert not (tmp_path / "run").exists()


def _answer(url: str) -> str:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def test_the_engine_ends_with_its_supervisor(folder: Path, tmp_path: Path) -> None:
    """A Locust that is killed outright leaves no engine behind."""
    import psutil  # noqa: PLC0415 - this test alone looks at processes

    command = locust(folder, "--headless", "-u", "1", "-t", "60s", "--out", str(tmp_path / "run"))
    child = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 40
    engines: list[psutil.Process] = []
    while not engines and time.monotonic() < deadline:
        time.sleep(0.2)
        engines = [p for p in psutil.Process(child.pid).children() if "harness.load.child" in " ".join(p.cmdline())]
    assert engines
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    _, alive = psutil.wait_procs(engines, timeout=10)
    assert alive == []
