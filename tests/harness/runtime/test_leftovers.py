"""What a command leaves is found by its marks and ended, and nothing else is touched."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from harness.runtime import leftovers

PATIENCE_S = 60.0
SLEEP = [sys.executable, "-c", "import time; print(flush=True); time.sleep(300)"]
DETACHED = "import os, subprocess, sys; subprocess.Popen(['sleep', '300'], start_new_session=True); print(flush=True)"
FORKED = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(flush=True)
        time.sleep(300)
    os._exit(0)
os.wait()
"""
OWNER = """
import os, subprocess, time
from harness.runtime import leftovers
with leftovers.marked():
    folder = leftovers.new_folder("tried")
    (folder / "file").write_text("x")
    stray = subprocess.Popen(["sleep", "300"], start_new_session=True)
    print(stray.pid, flush=True)
"""

ADOPTER = """
import os, subprocess, sys
from harness.runtime import leftovers
leftovers.adopt()
leftovers.watch()
with leftovers.marked() as mark:
    subprocess.run([sys.executable, "-c", STRAY], env={})
    print(*leftovers.end_left(mark), sep="\\n")
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="the environment of a process cannot be read elsewhere")


@pytest.fixture
def ended() -> Iterator[list[subprocess.Popen[str]]]:
    """Yield a list of processes that are ended after the test."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def dead_token() -> str:
    """Return the token of a process that has ended."""
    mine = leftovers.token()
    return f"{mine[:6]}{int(mine[6:16], 16) - 1:010x}{mine[16:]}"  # this process id, with another start


def gone(pid: int) -> bool:
    """Return whether a process ends soon."""
    ends_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_s:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_a_process_id_that_is_used_again_is_no_owner() -> None:
    """An owner is a process id with its start time; one of another container is unknown."""
    mine = leftovers.token()
    assert leftovers.is_alive(mine) is True
    assert leftovers.is_alive(dead_token()) is False
    assert leftovers.is_alive(f"{mine[:16]}{'0' * 8}") is None


def test_only_folders_of_ended_owners_are_swept(tmp_path: Path) -> None:
    """Those of live owners, of unknown ones, and without a token are left, as is a link to another folder."""
    mine, elsewhere = leftovers.token(), f"{dead_token()[:16]}{'0' * 8}"
    left = [tmp_path / f"harness-run-{mine}-00000000", tmp_path / f"harness-run-{elsewhere}-00000000", tmp_path / "harness-mine"]
    swept = [tmp_path / f"harness-run-{dead_token()}-00000000", tmp_path / f".harness-load-{dead_token()}-00000000"]
    old = tmp_path / f"harness-run-{elsewhere}-00000001"
    for folder in (*left, *swept, old):
        folder.mkdir()
        (folder / "file").touch()
    os.utime(old, (0, 0))
    link = tmp_path / f"harness-run-{dead_token()}-00000001"
    link.symlink_to(left[-1])
    leftovers.sweep([tmp_path, tmp_path / "missing"])
    assert sorted(tmp_path.iterdir()) == sorted([*left, link])
    assert (left[-1] / "file").exists()


def test_a_folder_is_removed_with_what_nobody_may_write_to(tmp_path: Path) -> None:
    """A scenario may leave files and folders that are read-only."""
    with leftovers.owned_folder("tried", tmp_path) as folder:
        (folder / "closed").mkdir()
        (folder / "closed" / "file").touch()
        (folder / "closed").chmod(0o500)
        assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_worktree_in_it_is_forgotten_by_its_repository(tmp_path: Path) -> None:
    """And no other one, also if a file in the folder claims that it is a worktree."""

    def git(*words: str) -> str:
        config = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", *config, *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    git("init", "-q", ".")
    git("commit", "-q", "--allow-empty", "-m", "first")
    folder = tmp_path / f"harness-run-{dead_token()}-00000000"
    folder.mkdir()
    git("worktree", "add", "--detach", str(folder / "old"))
    git("worktree", "add", "--detach", str(tmp_path / "other"))
    (folder / "false").mkdir()
    (folder / "false" / ".git").write_text((tmp_path / "other" / ".git").read_text())
    leftovers.sweep([tmp_path])
    assert not folder.exists()
    assert [line for line in git("worktree", "list").splitlines() if str(tmp_path) in line and "other" in line]
    assert not (tmp_path / ".git/worktrees/old").exists()


@linux
@pytest.mark.parametrize("program", [DETACHED, FORKED], ids=["in a session of its own", "forked twice"])
def test_a_process_that_leaves_its_session_is_found_and_ended(program: str, ended: list[subprocess.Popen[str]]) -> None:
    """Whatever started it has a mark in its environment."""
    mark = leftovers.new_mark()
    environment = {**os.environ, leftovers.OWNERS: leftovers.marks(mark)}
    started = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
    ended.append(started)
    assert started.stdout is not None
    started.stdout.readline()
    started.wait()
    (left,) = leftovers.running(mark)
    assert leftovers.end(mark) == [left.name]
    assert gone(left.pid)
    assert leftovers.running(mark) == []


@linux
def test_a_guard_ends_by_itself_until_it_is_late(ended: list[subprocess.Popen[str]]) -> None:
    """It is not killed in its time, and left alone where guards are."""
    mark = leftovers.new_mark()
    environment = {**os.environ, leftovers.OWNERS: leftovers.marks(mark), leftovers.GUARD: "1"}
    guard = subprocess.Popen(SLEEP, env=environment, stdout=subprocess.PIPE, text=True)
    ended.append(guard)
    assert guard.stdout is not None
    guard.stdout.readline()
    assert leftovers.end(mark, 0.0, guards=False) == []
    assert guard.poll() is None
    assert len(leftovers.end(mark, 0.1)) == 1
    assert guard.wait() == -signal.SIGKILL


@linux
@pytest.mark.slow
@pytest.mark.parametrize("program", [DETACHED.replace("])", "], env={})"), FORKED], ids=["in a session of its own", "forked twice"])
def test_a_command_ends_what_has_cleared_its_environment_too(program: str) -> None:
    """It adopts what its children leave: without a mark it is known by its parent."""
    owner = f"STRAY = {program!r}\n{ADOPTER}"
    done = subprocess.run([sys.executable, "-c", owner], check=True, stdout=subprocess.PIPE, text=True)
    named = [line for line in done.stdout.splitlines() if line.startswith("process")]
    assert len(named) == 1


@linux
def test_what_is_below_a_process_is_found_but_not_its_servers(ended: list[subprocess.Popen[str]]) -> None:
    """Guards end by themselves, with the servers that they have started."""
    program = f"import os, subprocess, sys, time; subprocess.Popen({SLEEP!r}, env=ENV, start_new_session=True); time.sleep(300)"
    for environment, expected in (("{}", 1), ("{'HARNESS_GUARD': '1'}", 0)):
        started = subprocess.Popen([sys.executable, "-c", program.replace("ENV", environment)], stdout=subprocess.PIPE, text=True)
        ended.append(started)
        assert started.stdout is not None
        started.stdout.readline()
        below = leftovers.below_process(started.pid)
        for child in psutil.Process(started.pid).children():
            child.kill()
        assert len(below) == expected


def empty(folder: Path) -> bool:
    """Return whether a folder becomes empty soon."""
    ends_s = time.monotonic() + PATIENCE_S
    while list(folder.iterdir()) and time.monotonic() < ends_s:
        time.sleep(0.02)
    return not list(folder.iterdir())


@pytest.fixture
def owner(tmp_path: Path, ended: list[subprocess.Popen[str]]) -> Callable[[str], tuple[subprocess.Popen[str], int]]:
    """Return a function that starts an owner of a folder below the test's own and of a process, whose id it returns as well."""

    def start(last: str) -> tuple[subprocess.Popen[str], int]:
        environment = {name: value for name, value in os.environ.items() if name != leftovers.OWNERS} | {"TMPDIR": str(tmp_path)}
        command = [sys.executable, "-c", OWNER + last]
        started = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        ended.append(started)
        assert started.stdout is not None
        return started, int(started.stdout.readline())

    return start


@linux
@pytest.mark.slow
def test_a_killed_owner_takes_everything_along(owner: Callable[[str], tuple[subprocess.Popen[str], int]], tmp_path: Path) -> None:
    """Its processes, whatever their session, and its folders."""
    started, stray = owner("    time.sleep(300)")
    started.kill()
    assert gone(stray)
    assert empty(tmp_path)


@linux
@pytest.mark.slow
def test_the_next_start_ends_what_nothing_has_watched(
    owner: Callable[[str], tuple[subprocess.Popen[str], int]], tmp_path: Path
) -> None:
    """An owner that is killed with its watcher leaves all, until another one starts."""
    _, stray = owner("    leftovers._watcher[1].kill(); os.kill(os.getpid(), 9)")
    assert list(tmp_path.iterdir())
    owner("    leftovers.remove(folder); stray.kill()")
    assert gone(stray)
    assert empty(tmp_path)


def test_a_marked_process_and_its_starters_are_marked_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks are equally long, so that they move no stack, and follow those of the starters; they end with the context."""
    first, second = leftovers.new_mark(), leftovers.new_mark()
    assert first != second
    assert len(first) == len(second) == 31
    monkeypatch.setenv(leftovers.OWNERS, first)
    assert leftovers.marks(second) == f"{first}:{second}"
    with leftovers.marked() as mark:
        assert mark.startswith(leftovers.token())
        assert os.environ[leftovers.OWNERS] == f"{first}:{mark}"
    assert os.environ[leftovers.OWNERS] == first
