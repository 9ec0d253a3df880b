"""Addresses of local servers are recognised in URLs and replaced there."""

import socket

import pytest

from harness.network.addresses import LOOPBACK, free_port, local_address, with_address


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
