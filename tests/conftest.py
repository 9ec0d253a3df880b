"""What all tests share: property tests without a deadline, because a loaded machine is no failure, and signals that arrive."""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import settings

from harness.cli import main
from harness.databases.engines import postgres
from harness.errors import NotMeasurableError
from harness.runtime.snapshot_cache import FOLDER_VARIABLE

ROOT = Path(__file__).parents[1]

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

# numpy's threads take as long to start as all the rest of a small process, and tests start many hundreds.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Not the user's own cache, but one for the session, which the processes of pytest-xdist and all that tests start have in common.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ[FOLDER_VARIABLE] = tempfile.mkdtemp(prefix="harness-test-cache-")
    atexit.register(shutil.rmtree, os.environ[FOLDER_VARIABLE], ignore_errors=True)

# `nohup`, and a shell's `&` in a script, start a process with these ignored, and what it starts inherits that: a command that a
# test interrupts would run on. pytest itself goes on ignoring them; a handler, unlike being ignored, is not inherited.
for _ignored in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_ignored) is signal.SIG_IGN:
        signal.signal(_ignored, lambda *_: None)


@pytest.fixture(scope="session")
def wheel_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    for top in ("harness", "fixtures", "datasets", "service", "scenarios", "tools", "commands"):
        for file in (ROOT / top).rglob("*"):
            if file.is_file() and file.suffix != ".pyc":
                target = source / file.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(source)], check=True, timeout=300)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a PostgreSQL server, for the whole session."""
    try:
        with postgres.server(tmp_path_factory.mktemp("postgres")) as url:
            yield url
    except NotMeasurableError as error:
        pytest.skip(str(error))


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[[Sequence[str], str], None]:
    """Return a check that a command line is refused: exit code 2, and one line on standard error that contains the message."""

    def check(words: Sequence[str], message: str) -> None:
        try:
            code = main([*words])
        except SystemExit as ended:  # argparse ends the process by itself
            code = int(ended.code or 0)
        printed = capsys.readouterr()
        assert code == 2
        assert message in printed.err
        assert printed.err.count("\n") == 1
        assert printed.out == ""

    return check
