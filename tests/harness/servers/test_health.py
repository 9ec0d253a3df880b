"""Why a server does not serve: how it ended, that it is stopped, or what is wrong at its address."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from harness.network.addresses import free_port
from harness.scenario import Server
from harness.servers import health
from harness.servers.guard import Command, guarded, serving_at
from harness.servers.health import ServerWatch

PROGRAM = """
import pathlib, socket, sys, time
server = socket.create_server(("127.0.0.1", {port}))
pathlib.Path("{ready}").touch()
while True:
    client, _ = server.accept()
    word = client.recv(100)
    if word == b"die":
        sys.exit("FATAL: the disk is full")
    if word == b"complain":
        print("2026-11-30 21:48:31.286 UTC [30079] LOG: server process (PID 7) was terminated by signal 9: Killed", flush=True)
    client.close()
"""


@contextmanager
def toy(folder: Path) -> Iterator[tuple[int, dict[str, Server]]]:
    """Run a server, and yield its process id and the servers of a setting with it."""
    port, ready = free_port(), folder / "ready"
    command = Command("Toy", ["python3", "-c", PROGRAM.format(port=port, ready=ready)], folder / "log", remove=folder / "home")
    with guarded(command, ready.exists, port=port) as pid:
        url = f"toy://127.0.0.1:{port}"
        yield pid, {"toy": Server(url, url)}
        assert serving_at(port) is not None
    assert serving_at(port) is None


def say(servers: dict[str, Server], word: bytes) -> None:
    """Send a word to the toy, and wait until it has closed the connection."""
    with socket.create_connection(("127.0.0.1", int(servers["toy"].url.rpartition(":")[2])), timeout=20) as client:
        client.sendall(word)
        client.recv(1)


def test_a_server_that_serves_has_no_fault(tmp_path: Path) -> None:
    """Neither while it runs, nor where there is none."""
    with toy(tmp_path) as (_, servers):
        watch = ServerWatch(servers)
        assert (watch.fault(), watch.ended(), watch.stopped()) == (None, None, None)
    assert ServerWatch({}).fault() is None


def test_a_killed_server_is_named_with_its_signal(tmp_path: Path) -> None:
    """As often as it is asked for, by whatever has begun to watch it meanwhile."""
    with toy(tmp_path) as (pid, servers):
        watch = ServerWatch(servers)
        server = psutil.Process(pid)
        server.kill()
        psutil.wait_procs([server], timeout=20)
        assert watch.fault() == "Toy ended: SIGKILL"
        assert watch.ended() == ServerWatch(servers).fault() == "Toy ended: SIGKILL"


def test_a_server_that_exits_is_named_with_what_it_logged(tmp_path: Path) -> None:
    """An exit code alone says nothing."""
    with toy(tmp_path) as (_, servers):
        say(servers, b"die")
        assert ServerWatch(servers).fault() == "Toy ended: exit code 1 (FATAL: the disk is full)"


def stop(pid: int) -> None:
    """Stop a process, and wait until it is."""
    os.kill(pid, signal.SIGSTOP)
    until(pid, psutil.STATUS_STOPPED, is_so=True)


def until(pid: int, status: str, *, is_so: bool) -> None:
    """Wait until a process has, or has not, a status."""
    ends = time.monotonic() + 20
    while (psutil.Process(pid).status() == status) != is_so and time.monotonic() < ends:
        time.sleep(0.01)


def test_a_stopped_server_is_named_and_still_ends_with_its_starter(tmp_path: Path) -> None:
    """It accepts connections, since the system does that for it, and is continued to obey the signal that stops it."""
    with toy(tmp_path) as (pid, servers):
        stop(pid)
        assert ServerWatch(servers).fault() == "Toy is stopped (SIGSTOP)"
        os.kill(pid, signal.SIGCONT)
        until(pid, psutil.STATUS_STOPPED, is_so=False)
        assert ServerWatch(servers).fault() is None
        stop(pid)
    assert not psutil.pid_exists(pid)


def test_a_killed_guard_is_named(tmp_path: Path) -> None:
    """The kernel then stops the server, which had no fault."""
    with toy(tmp_path) as (pid, servers):
        server = psutil.Process(pid)
        os.kill(server.ppid(), signal.SIGKILL)
        psutil.wait_procs([server], timeout=20)
        assert ServerWatch(servers).fault() == "Toy ended: its guard was ended (SIGKILL)"


def test_what_a_server_survives_and_its_clients_do_not_is_in_its_log(tmp_path: Path) -> None:
    """What it has logged before something began to use it is not the cause of a failure."""
    with toy(tmp_path) as (_, servers):
        before = ServerWatch(servers)
        say(servers, b"complain")
        expected = "Toy reported: LOG: server process (PID 7) was terminated by signal 9: Killed"
        assert before.fault() == expected
        assert ServerWatch(servers).fault() is None


@contextmanager
def other(answer: bytes | None) -> Iterator[int]:
    """Run a server that the harness has not started; it answers, closes connections for b"", and for None never does anything."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        kept: list[socket.socket] = []

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    kept.append(client)
                    if answer is not None:
                        client.recv(100)
                        client.sendall(answer)
                        client.close()

        threading.Thread(target=serve, daemon=True).start()
        yield int(listening.getsockname()[1])
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        for client in kept:
            client.close()


@pytest.mark.parametrize("scheme", ["redis", "postgresql+asyncpg"])
@pytest.mark.parametrize(
    ("answer", "problem"),
    [(b"N", None), (b"", "closes connections"), (None, "accepts connections and does not answer within 0.3 s")],
    ids=["answers", "closes", "hangs"],
)
def test_a_users_server_has_to_answer_a_greeting(
    monkeypatch: pytest.MonkeyPatch, scheme: str, answer: bytes | None, problem: str | None
) -> None:
    """That connections are accepted does not show that a server works."""
    if answer is None:
        monkeypatch.setattr(health, "ANSWER_S", 0.3)
    with other(answer) as port:
        url = f"{scheme}://:secret@127.0.0.1:{port}/0"
        found = ServerWatch({"db": Server(url, url)}).fault()
    assert found == (None if problem is None else f"the db server at 127.0.0.1:{port} {problem}")
