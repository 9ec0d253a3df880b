"""The guard: however its starter ends, nothing of the server remains."""

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

from harness.errors import NotMeasurableError, UsageError
from harness.servers import guard as module
from harness.servers.guard import Command, guarded, last_log_line

UNPRIVILEGED = (65534, 65534)
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
TIMEOUT_S = 20.0
"""Timeout of conditions that should be true at once; it only bounds a failure."""


def toy(folder: Path, program: str = "sleep 600 & echo $! > helper; echo $$ > ready; wait") -> Command:
    """Return a command for a shell as a server in a separate folder, with a child process."""
    home = folder / "home"
    script = f"cd {home}; {program}"
    return Command("toy", ["/bin/sh", "-c", script], folder / "log", remove=home)


def is_ready(folder: Path) -> Callable[[], bool]:
    """Return a check for the file that the toy server writes last."""
    return (folder / "home" / "ready").exists


def alive(pid: int) -> bool:
    """Return whether a process is running; a zombie is not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def comes_true(condition: Callable[[], bool]) -> bool:
    """Wait for a condition; return False after the timeout."""
    ends = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > ends:
            return False
        time.sleep(0.01)
    return True


def helper_of(folder: Path) -> int:
    """Return the process id of the toy server's child."""
    return int((folder / "home" / "helper").read_text())


def nothing_remains(folder: Path, *pids: int) -> bool:
    """Wait until the processes and the folder are gone; return False after the timeout."""
    return comes_true(lambda: not any(map(alive, pids)) and not (folder / "home").exists())


def test_after_success_nothing_remains(tmp_path: Path) -> None:
    """The server and its child run within the context, and are gone with their folder at its end."""
    with guarded(toy(tmp_path), is_ready(tmp_path)) as server:
        helper = helper_of(tmp_path)
        assert alive(server)
        assert alive(helper)
    assert not alive(server)
    assert not alive(helper)
    assert [file.name for file in tmp_path.iterdir()] == ["log"]


def test_after_a_failure_nothing_remains(tmp_path: Path) -> None:
    """An exception passes through unchanged, and the server is stopped."""
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
from msgspec.structs import replace
from pathlib import Path
sys.path[:0] = [{root!r}, {tests!r}]
from harness.servers.guard import guarded
from test_guard import toy, is_ready
folder = Path({folder!r})
with guarded({command}, is_ready(folder)) as server:
    print(server, flush=True)
    time.sleep(600)
"""


def starting(folder: Path, command: str) -> subprocess.Popen[bytes]:
    """Start a program that runs a server, given as an expression, until it is ended; it prints the server's process id."""
    program = STARTER.format(
        root=str(Path(__file__).parents[3]), tests=str(Path(__file__).parent), folder=str(folder), command=command
    )
    arguments = [sys.executable, "-c", program]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_however_the_starter_ends_nothing_remains(tmp_path: Path, ending: signal.Signals) -> None:
    """SIGINT, SIGHUP, SIGTERM and SIGKILL of the starter all stop the server and remove its folder."""
    with starting(tmp_path, "toy(folder)") as starter:
        assert starter.stdout is not None
        server = int(starter.stdout.readline())
        helper, guard = helper_of(tmp_path), psutil.Process(server).ppid()
        os.killpg(starter.pid, ending)  # to the whole process group, as a terminal does
    assert nothing_remains(tmp_path, server, helper, guard)


@pytest.mark.slow
def test_a_second_interrupt_leaves_the_guard_its_time(tmp_path: Path) -> None:
    """A starter that is interrupted again while its server stops exits at once, and the guard still stops the server in order."""
    stops = f"echo > {tmp_path}/stopping; until [ -e {tmp_path}/go ]; do sleep 0.01; done; echo in order > {tmp_path}/output; exit"
    program = f"trap '{stops}' TERM; sleep 600 & echo $! > helper; echo $$ > ready; wait"
    with starting(tmp_path, f"replace(toy(folder, {program!r}), stop_s={TIMEOUT_S})") as starter:
        assert starter.stdout is not None
        server = int(starter.stdout.readline())
        helper, guard = helper_of(tmp_path), psutil.Process(server).ppid()
        starter.send_signal(signal.SIGINT)
        assert comes_true((tmp_path / "stopping").exists)
        starter.send_signal(signal.SIGINT)
        starter.wait(TIMEOUT_S)
        (tmp_path / "go").touch()
    assert nothing_remains(tmp_path, server, helper, guard)
    assert (tmp_path / "output").read_text() == "in order\n"


def test_a_killed_guard_stops_the_server(tmp_path: Path) -> None:
    """The kernel stops the server when its guard is killed, and the starter then removes the folder."""
    command = toy(tmp_path, "echo $$ > ready; exec sleep 600")
    with guarded(command, is_ready(tmp_path)) as server:
        os.kill(psutil.Process(server).ppid(), signal.SIGKILL)
        assert comes_true(lambda: not alive(server))
    assert not (tmp_path / "home").exists()


def test_a_terminated_guard_stops_the_server(tmp_path: Path) -> None:
    """SIGTERM to the guard stops the server."""
    with guarded(toy(tmp_path), is_ready(tmp_path)) as server:
        helper, guard = helper_of(tmp_path), psutil.Process(server).ppid()
        os.kill(guard, signal.SIGTERM)
        assert nothing_remains(tmp_path, server, helper)


def test_a_server_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    """One that ignores the signal is killed after its timeout."""
    command = replace(toy(tmp_path, "trap '' TERM; echo $$ > ready; while :; do sleep 1; done"), stop_s=0.1)
    with guarded(command, is_ready(tmp_path)) as server:
        pass
    assert not alive(server)


def test_a_child_in_another_session_is_ended(tmp_path: Path) -> None:
    """A process in another session, as PostgreSQL starts them, is ended as well."""
    with guarded(toy(tmp_path, "setsid sleep 600 & echo $! > helper; echo $$ > ready; wait"), is_ready(tmp_path)):
        helper = helper_of(tmp_path)
        assert alive(helper)
    assert not alive(helper)


@pytest.mark.parametrize("inherited", [signal.SIG_DFL, signal.SIG_IGN])
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGQUIT])
def test_the_server_gets_its_signal_first(tmp_path: Path, stop: signal.Signals, inherited: signal.Handlers) -> None:
    """It can shut down in order by any signal, even if the harness, as a shell's background job, ignores that signal."""
    name = stop.name.removeprefix("SIG")
    program = f"trap 'echo in order > {tmp_path}/output; exit' {name}; echo $$ > ready; while :; do sleep 0.01; done"
    before = signal.signal(stop, inherited)
    try:
        with guarded(replace(toy(tmp_path, program), stop=stop), is_ready(tmp_path)):
            pass
    finally:
        signal.signal(stop, before)
    assert (tmp_path / "output").read_text() == "in order\n"


@pytest.mark.parametrize(
    ("program", "arguments", "message"),
    [
        ("echo first; echo 'FATAL: disk full'; echo goodbye; exit 3", None, r"^toy exited while starting: FATAL: disk full; "),
        ("exit 3", None, r"^toy exited while starting: its log is empty; "),
        ("sleep 600", None, r"^toy was not ready within 0\.3 s: its log is empty; "),
        ("", ["/no/such/server"], r"^toy cannot be started: No such file or directory: /no/such/server; check /no/such/server$"),
    ],
)
def test_a_server_that_does_not_start_is_one_line(tmp_path: Path, program: str, arguments: list[str] | None, message: str) -> None:
    """The error has its last log line, and nothing of it remains."""
    command = toy(tmp_path, program)
    command = replace(command, arguments=arguments or command.arguments)
    with (
        pytest.raises(UsageError, match=message) as refusal,
        guarded(command, is_ready(tmp_path), start_s=0.3 if program == "sleep 600" else TIMEOUT_S),
    ):
        pass
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "home").exists()


def test_the_environment_is_private(tmp_path: Path) -> None:
    """The server gets its environment, which is on no command line."""
    command = replace(
        toy(tmp_path, "echo $SECRET > received; echo $$ > ready; exec sleep 600"), environment={"SECRET": "swordfish"}
    )
    with guarded(command, is_ready(tmp_path)) as server:
        assert (tmp_path / "home" / "received").read_text() == "swordfish\n"
        lines = [psutil.Process(pid).cmdline() for pid in (server, psutil.Process(server).ppid())]
    assert "swordfish" not in str(lines)


@pytest.mark.skipif(len(CORES) < 2, reason="needs a second core")
def test_a_server_leaves_its_starters_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a starter pinned to a core, the server and its children run on the others; otherwise on all of the starter's cores."""
    for cores in (frozenset(CORES[:1]), frozenset[int]()):
        monkeypatch.setattr(module, "elsewhere", lambda cores=cores: cores)
        with guarded(toy(tmp_path), is_ready(tmp_path)) as server:
            found = [os.sched_getaffinity(pid) for pid in (server, helper_of(tmp_path))]
        assert found == [set(cores) or set(CORES)] * 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a server as another user")
def test_a_server_may_run_as_another_user(tmp_path: Path) -> None:
    """It has that user and group only, owns its folder, and reads the folders copied there."""
    closed = tmp_path / "programs"
    closed.mkdir(mode=0o700)
    (closed / "greeting").write_text("hello\n")
    # Not in the test's folder, whose parents are not readable for other users.
    home = Path("/tmp") / f"harness-guard-{os.getpid()}"
    script = f"cd {home}; id -u > id; id -G >> id; cat programs/greeting > received; echo $$ > ready; exec sleep 600"
    command = Command(
        "toy", ["/bin/sh", "-c", script], tmp_path / "log", remove=home, user=UNPRIVILEGED, bring={"programs": closed}
    )
    with guarded(command, (home / "ready").exists) as server:
        assert (home / "id").read_text() == "65534\n65534\n"
        assert (home / "received").read_text() == "hello\n"
        assert home.stat().st_uid == UNPRIVILEGED[0]
        assert psutil.Process(server).uids().effective == UNPRIVILEGED[0]
    assert not home.exists()


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("", "its log is empty"),
        ("\n  \n", "its log is empty"),
        ("one\ntwo\n\n", "two"),
        ("LOG: could not bind\nFATAL: no socket\nLOG: the server is shut down\n", "FATAL: no socket"),
    ],
)
def test_the_last_error_line_of_a_log_is_preferred(tmp_path: Path, text: str, last: str) -> None:
    """The last line that reports an error is returned, else the last one that is not empty."""
    (tmp_path / "log").write_text(text)
    assert last_log_line(tmp_path / "log") == last


def test_root_needs_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root starts a server as its own user, or else as nobody, and not at all without one; others start it as themselves."""
    known = ["toy", "nobody"]

    def of_name(name: str) -> pwd.struct_passwd:
        if name not in known:
            raise KeyError(name)
        return pwd.struct_passwd((name, "x", 7 if name == "toy" else 8, 9, "", "/", "/bin/sh"))

    monkeypatch.setattr(pwd, "getpwnam", of_name)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert module.unprivileged_user("Toy", "toy", "TOY_URL") == (7, 9)
    known.remove("toy")
    assert module.unprivileged_user("Toy", "toy", "TOY_URL") == (8, 9)
    known.clear()
    with pytest.raises(NotMeasurableError, match="Toy is not run as root; create a user named toy or nobody, or set TOY_URL"):
        module.unprivileged_user("Toy", "toy", "TOY_URL")
    monkeypatch.setattr(os, "geteuid", lambda: 1)
    assert module.unprivileged_user("Toy", "toy", "TOY_URL") is None


def test_a_configuration_is_the_servers_alone(tmp_path: Path) -> None:
    """A file that the command brings is in the server's folder, and only its user may read either."""
    command = replace(toy(tmp_path), files={"toy.conf": "secret\n"})
    with guarded(command, is_ready(tmp_path)):
        written = tmp_path / "home" / "toy.conf"
        assert written.read_text() == "secret\n"
        assert [path.stat().st_mode & 0o777 for path in (written, written.parent)] == [0o600, 0o700]


def test_a_missing_log_is_empty(tmp_path: Path) -> None:
    """A server that never wrote a line has an empty log."""
    assert last_log_line(tmp_path / "log") == "its log is empty"
