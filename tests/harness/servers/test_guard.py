"""The guard: whatever ends the starter, nothing of the server is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from harness.errors import UsageError
from harness.servers import guard as module
from harness.servers.guard import Command, guarded, last_words

NOBODY = (65534, 65534)
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
PATIENCE_S = 20.0
"""How long a test waits for something that should come at once; it only bounds a failure."""


def toy(folder: Path, program: str = "sleep 600 & echo $! > helper; echo $$ > ready; wait") -> Command:
    """Return a server that is a shell in a folder of its own, with a helper process."""
    home = folder / "home"
    script = f"cd {home}; {program}"
    return Command("toy", ["/bin/sh", "-c", script], folder / "log", remove=home)


def is_ready(folder: Path) -> Callable[[], bool]:
    """Return a check for the file that the toy writes last."""
    return (folder / "home" / "ready").exists


def alive(pid: int) -> bool:
    """Say whether a process runs; one that has ended and waits for its parent to notice does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def comes_true(condition: Callable[[], bool]) -> bool:
    """Wait until something holds; False when it does not within the patience of a test."""
    ends = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > ends:
            return False
        time.sleep(0.01)
    return True


def helper_of(folder: Path) -> int:
    """Return the process id of the toy's helper."""
    return int((folder / "home" / "helper").read_text())


def nothing_left(folder: Path, *pids: int) -> bool:
    """Say whether, after a moment, the processes are gone and so is the folder."""
    return comes_true(lambda: not any(map(alive, pids)) and not (folder / "home").exists())


def test_after_success_nothing_is_left(tmp_path: Path) -> None:
    """The server and its helper run inside, and are gone with their folder as soon as it ends."""
    with guarded(toy(tmp_path), is_ready(tmp_path)) as server:
        helper = helper_of(tmp_path)
        assert alive(server)
        assert alive(helper)
    assert not alive(server)
    assert not alive(helper)
    assert [file.name for file in tmp_path.iterdir()] == ["log"]


def test_after_a_failure_nothing_is_left(tmp_path: Path) -> None:
    """An exception passes through unchanged, and the server is gone."""
    pids: list[int] = []

    def fail() -> None:
        with guarded(toy(tmp_path), is_ready(tmp_path)) as server:
            pids.extend((server, helper_of(tmp_path)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [alive(pid) for pid in pids] == [False, False]
    assert not (tmp_path / "home").exists()


STARTER = """
import sys, time
from pathlib import Path
sys.path[:0] = [{root!r}, {tests!r}]
from harness.servers.guard import guarded
from test_guard import toy, is_ready
folder = Path({folder!r})
with guarded(toy(folder), is_ready(folder)) as server:
    print(server, flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_however_its_starter_is_ended_nothing_is_left(tmp_path: Path, ending: signal.Signals) -> None:
    """Ctrl-C, a closed terminal, a polite end and an outright kill of the starter all take the server and its folder along."""
    root = str(Path(__file__).parents[3])
    program = STARTER.format(root=root, tests=str(Path(__file__).parent), folder=str(tmp_path))
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True) as starter:
        assert starter.stdout is not None
        server = int(starter.stdout.readline())
        helper, guard = helper_of(tmp_path), psutil.Process(server).ppid()
        os.killpg(starter.pid, ending)  # as a terminal does: to the whole group
    assert nothing_left(tmp_path, server, helper, guard)


def test_a_killed_guard_takes_the_server_along(tmp_path: Path) -> None:
    """The kernel stops the server when its guard is killed outright, and the starter then removes the folder."""
    command = toy(tmp_path, "echo $$ > ready; exec sleep 600")
    with guarded(command, is_ready(tmp_path)) as server:
        os.kill(psutil.Process(server).ppid(), signal.SIGKILL)
        assert comes_true(lambda: not alive(server))
    assert not (tmp_path / "home").exists()


def test_a_guard_asked_to_end_stops_the_server(tmp_path: Path) -> None:
    """Whoever ends the guard politely ends the server with it."""
    with guarded(toy(tmp_path), is_ready(tmp_path)) as server:
        helper, guard = helper_of(tmp_path), psutil.Process(server).ppid()
        os.kill(guard, signal.SIGTERM)
        assert nothing_left(tmp_path, server, helper)


def test_a_server_that_will_not_stop_is_killed(tmp_path: Path) -> None:
    """One that ignores being asked is killed after its time."""
    command = replace(toy(tmp_path, "trap '' TERM; echo $$ > ready; while :; do sleep 1; done"), stop_s=0.1)
    with guarded(command, is_ready(tmp_path)) as server:
        pass
    assert not alive(server)


def test_a_helper_that_left_its_group_is_found(tmp_path: Path) -> None:
    """A process that the server has put in a session of its own, as PostgreSQL does, is ended as well."""
    with guarded(toy(tmp_path, "setsid sleep 600 & echo $! > helper; echo $$ > ready; wait"), is_ready(tmp_path)):
        helper = helper_of(tmp_path)
        assert alive(helper)
    assert not alive(helper)


def test_the_server_is_asked_first(tmp_path: Path) -> None:
    """It gets its own signal, one that the guard itself ignores included, and may put its things in order."""
    program = f"trap 'echo in order > {tmp_path}/said; exit' INT; echo $$ > ready; while :; do sleep 0.01; done"
    with guarded(replace(toy(tmp_path, program), stop=signal.SIGINT), is_ready(tmp_path)):
        pass
    assert (tmp_path / "said").read_text() == "in order\n"


@pytest.mark.parametrize(
    ("program", "words", "says"),
    [
        ("echo first; echo 'FATAL: no room'; echo goodbye; exit 3", None, r"^toy exited while starting: FATAL: no room; "),
        ("exit 3", None, r"^toy exited while starting: its log is empty; "),
        ("sleep 600", None, r"^toy was not ready within 0\.3 s: its log is empty; "),
        ("", ["/no/such/server"], r"^toy cannot be started: No such file or directory: /no/such/server; check /no/such/server$"),
    ],
)
def test_a_server_that_does_not_start_is_one_line(tmp_path: Path, program: str, words: list[str] | None, says: str) -> None:
    """What it said last is told in a line, and nothing of it is left."""
    command = toy(tmp_path, program)
    command = replace(command, words=words or command.words)
    with (
        pytest.raises(UsageError, match=says) as refusal,
        guarded(command, is_ready(tmp_path), start_s=0.3 if program == "sleep 600" else PATIENCE_S),
    ):
        pass
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "home").exists()


def test_nobody_else_can_read_the_environment(tmp_path: Path) -> None:
    """What the server is told in its environment reaches it, and stands on no command line."""
    command = replace(toy(tmp_path, "echo $SECRET > heard; echo $$ > ready; exec sleep 600"), environment={"SECRET": "swordfish"})
    with guarded(command, is_ready(tmp_path)) as server:
        assert (tmp_path / "home" / "heard").read_text() == "swordfish\n"
        lines = [psutil.Process(pid).cmdline() for pid in (server, psutil.Process(server).ppid())]
    assert "swordfish" not in str(lines)


@pytest.mark.skipif(len(CORES) < 2, reason="there is no other core")
def test_a_server_leaves_its_starters_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its starter is kept on a core, the server and what it starts run on the others; else they run where it does."""
    for cores in (frozenset(CORES[:1]), frozenset[int]()):
        monkeypatch.setattr(module, "elsewhere", lambda cores=cores: cores)
        with guarded(toy(tmp_path), is_ready(tmp_path)) as server:
            found = [os.sched_getaffinity(pid) for pid in (server, helper_of(tmp_path))]
        assert found == [set(cores) or set(CORES)] * 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a server as somebody else")
def test_a_server_may_run_as_somebody_else(tmp_path: Path) -> None:
    """It runs as that user and its group alone, owns its folder, and reads there what was brought from where it may not read."""
    closed = tmp_path / "programs"
    closed.mkdir(mode=0o700)
    (closed / "greeting").write_text("hello\n")
    # Not in the test's own folder: those above it are closed to others.
    home = Path("/tmp") / f"harness-guard-{os.getpid()}"
    script = f"cd {home}; id -u > id; id -G >> id; cat programs/greeting > heard; echo $$ > ready; exec sleep 600"
    command = Command("toy", ["/bin/sh", "-c", script], tmp_path / "log", remove=home, user=NOBODY, bring={closed: "programs"})
    with guarded(command, (home / "ready").exists) as server:
        assert (home / "id").read_text() == "65534\n65534\n"
        assert (home / "heard").read_text() == "hello\n"
        assert home.stat().st_uid == NOBODY[0]
        assert psutil.Process(server).uids().effective == NOBODY[0]
    assert not home.exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "its log is empty"),
        ("\n  \n", "its log is empty"),
        ("one\ntwo\n\n", "two"),
        ("LOG: could not bind\nFATAL: no socket\nLOG: the server is shut down\n", "FATAL: no socket"),
    ],
)
def test_last_words_are_a_complaint_where_there_is_one(tmp_path: Path, text: str, says: str) -> None:
    """Of a log, the last line that complains is told, else the last that is not empty."""
    (tmp_path / "log").write_text(text)
    assert last_words(tmp_path / "log") == says


def test_a_missing_log_says_nothing(tmp_path: Path) -> None:
    """A server that never came to write has no last words."""
    assert last_words(tmp_path / "log") == "its log is empty"
