"""Addresses of local servers are recognised in URLs and replaced there."""

import socket
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.network import addresses
from harness.network.addresses import (
    LOOPBACK,
    REMOTE_VARIABLE,
    free_port,
    hosts,
    is_loopback,
    is_remote_allowed,
    local_address,
    refuse_remote,
    with_address,
)


def test_a_free_port_can_be_bound() -> None:
    """The port is free on loopback."""
    port = free_port()
    with socket.create_server((LOOPBACK, port)) as listener:
        assert listener.getsockname() == (LOOPBACK, port)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://me:secret@127.0.0.1:6379/0", ("127.0.0.1", 6379)),
        ("http://localhost:80/x", ("localhost", 80)),
        ("toy://[::1]:7", ("::1", 7)),
        ("toy://127.0.0.1/without-port", None),
        ("toy://db.example:5432/x", None),
        ("unix:/run/redis.sock", None),
    ],
)
def test_local_addresses_are_recognised(url: str, address: tuple[str, int] | None) -> None:
    """A loopback host with a port is local; other hosts and Unix sockets are not."""
    assert local_address(url) == address


@pytest.mark.parametrize(
    ("url", "changed"),
    [
        ("postgresql+asyncpg://me:p%40ss@[::1]:5432/db?ssl=prefer", "postgresql+asyncpg://me:p%40ss@127.0.0.1:9/db?ssl=prefer"),
        ("redis://10.0.0.1:6379/0", "redis://127.0.0.1:9/0"),
    ],
)
def test_only_host_and_port_are_replaced(url: str, changed: str) -> None:
    """Scheme, user, password, path and query stay as they are."""
    assert with_address(url, LOOPBACK, 9) == changed


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000",
        "http://[::1]:8000/path",
        "redis://localhost:6379/0",
        "postgresql://me:secret@127.0.0.2/data",
        "postgresql:///data?host=/var/run/postgresql",
        "postgresql://127.0.0.1,localhost/data",
        "/tmp/file.db",
        "",
    ],
)
def test_this_machine_may_be_loaded(url: str) -> None:
    """Loopback addresses, socket files and plain files are accepted: no host in the URL is another machine's."""
    refuse_remote(url)
    assert all(is_loopback(host) for host in hosts(url))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://192.0.2.7:80", "192.0.2.7"),
        ("postgresql://me:pw@[2001:db8::1]:5432/data", "2001:db8::1"),
        ("postgresql://127.0.0.1,192.0.2.7:5433/data", "192.0.2.7"),
        ("postgresql:///data?host=192.0.2.9", "192.0.2.9"),
        ("http://service.invalid/", "service.invalid"),
    ],
)
def test_another_machine_is_refused_before_any_contact(url: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No name is looked up, whatever it is; permission allows all of them."""
    monkeypatch.delenv(REMOTE_VARIABLE, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("a name was looked up"))
    with pytest.raises(UsageError, match="--allow-remote") as refused:
        refuse_remote(url)
    assert host in str(refused.value)
    assert "\n" not in str(refused.value)
    monkeypatch.setenv(REMOTE_VARIABLE, "0")
    assert not is_remote_allowed()
    monkeypatch.setenv(REMOTE_VARIABLE, "1")
    refuse_remote(url)


def test_a_password_is_not_a_host() -> None:
    """Commas and @ in a password do not separate hosts."""
    assert hosts("postgresql://me:p,a@ss@localhost:5432/data") == ["localhost"]
    assert is_loopback("127.8.9.10")


def test_names_are_those_of_the_hosts_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is this machine's if all of its addresses there are; `localhost` is without an entry, too."""
    monkeypatch.setattr(addresses, "HOSTS_FILE", tmp_path / "hosts")
    assert is_loopback("localhost")
    (tmp_path / "hosts").write_text(
        "127.0.0.1 localhost\n127.0.1.1 Here here.example # there\n192.0.2.1 there both\n::1 both\nx y\n192.0.2.2 local\n"
    )
    assert [is_loopback(name) for name in ("HERE", "here.example.", "localhost")] == [True] * 3
    assert [is_loopback(name) for name in ("there", "both", "y", "other", "")] == [False] * 5
    assert is_loopback("::ffff:127.0.0.1")
    assert not is_loopback("::ffff:192.0.2.1")
