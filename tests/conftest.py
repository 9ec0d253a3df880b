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
from harness.network.addresses import REMOTE_VARIABLE
from harness.runtime import leftovers
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


@pytest.fixture(autouse=True)
def own_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo after each test what a command changes for its whole process: the folders of its project, and `--allow-remote`."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    os.environ.pop(REMOTE_VARIABLE, None)


@pytest.fixture(scope="session", autouse=True)
def watched() -> None:
    """Start what ends the leftovers of this process before a test looks at its children."""
    leftovers.watch()


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


@pytest.fixture(scope="session")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository whose only commit has the files of this one, with changes that are not committed here."""
    folder = tmp_path_factory.mktemp("committed")
    identity = {f"GIT_{role}_{part}": "a@localhost" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    environment = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z"}

    def git(*words: str, cwd: Path = folder) -> str:
        done = subprocess.run(["git", *words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=True)
        return done.stdout

    for name in git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0"):
        if name and (ROOT / name).is_file() and not (ROOT / name).is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message", "tests: build what is here")
    return folder


@pytest.fixture(scope="session")
def distribution(committed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the wheel and the source distribution of this repository, built and checked by `make dist`."""
    from tools import dist  # noqa: PLC0415 - the tests also run, in part, with an installed wheel and without the repository

    folder = tmp_path_factory.mktemp("dist")
    assert dist.main(["--out", str(folder)], committed) == 0
    return folder


@pytest.fixture(scope="session")
def wheel_file(distribution: Path) -> Path:
    """Return the wheel of this repository."""
    (built,) = distribution.glob("*.whl")
    return built
