"""Fixtures for tests of the Locust adapter: real Locust processes on another project's folder of scenarios."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TOY = ROOT / "tests" / "toys" / "adding.py"

PATIENCE = """import os
import locust.runners
locust.runners.HEARTBEAT_LIVENESS = int(os.environ.get("LIVENESS", 60))
"""
"""Lets workers be silent for a minute: on a busy machine Locust's three seconds are too few."""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def port() -> str:
    """Return a free loopback port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@pytest.fixture
def two(port: str) -> list[str]:
    """Return the options for a master and two workers at a free port, so that tests can run in parallel."""
    return ["--processes", "2", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a scenario and the three-line locustfile, for a machine that may be busy."""
    scenarios = tmp_path / "trials"
    scenarios.mkdir()
    (scenarios / "adding.py").write_text(TOY.read_text().replace("asyncio.sleep(0)", "asyncio.sleep(0.002)"))
    (scenarios / "locustfile.py").write_text(PATIENCE + (ROOT / "scenarios" / "locustfile.py").read_text())
    return scenarios


@pytest.fixture
def command(folder: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """Return a function that makes a command line, which writes its run to `tmp_path / "run"`."""

    def make(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "locust", "-f", str(folder), "--out", str(tmp_path / "run"), *arguments]

    return make


@pytest.fixture
def locust(command: Callable[..., list[str]], tmp_path: Path) -> Run:
    """Return a function that runs Locust without a web UI to its end."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command("--headless", *arguments), cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )

    return run
