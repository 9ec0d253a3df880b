"""Addresses of servers on this machine: free ports, hosts that are this machine, and the host and port of a URL."""

import ipaddress
import socket
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

LOOPBACK = "127.0.0.1"
LOOPBACK_HOSTS = frozenset({LOOPBACK, "::1", "localhost"})


def free_port() -> int:
    """Return a port of 127.0.0.1 that was free a moment ago; another process may take it before it is used."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def local_address(url: str) -> tuple[str, int] | None:
    """Return the host and port of a URL if it names this machine's loopback and a port, else None."""
    parts = urlsplit(url)
    return (parts.hostname, parts.port) if parts.hostname in LOOPBACK_HOSTS and parts.port else None


def is_loopback(host: str) -> bool:
    """Return whether every address of a host is this machine; false for a name without an address."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in found)


def with_address(url: str, host: str, port: int) -> str:
    """Return a URL with another host and port; user, password, path and query stay as they are."""
    parts: SplitResult = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}{at}{host}:{port}").geturl()
