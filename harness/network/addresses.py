"""Addresses of servers: free ports, hosts that are this machine, and permission to contact another one.

Whether a host is this machine is decided without asking another one: no name server is contacted.
"""

import ipaddress
import os
import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit

from harness.errors import UsageError

LOOPBACK = "127.0.0.1"
LOOPBACK_HOSTS = frozenset({LOOPBACK, "::1", "localhost"})
REMOTE_VARIABLE = "HARNESS_ALLOW_REMOTE"
"""The environment variable that permits other machines, as --allow-remote does; 0 or empty does not. Child processes inherit it."""
HOSTS_FILE = Path("/etc/hosts")


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
    """Return whether a host is this machine: an address of loopback, `localhost`, or a name with these in the hosts file."""
    with suppress(ValueError):
        address = ipaddress.ip_address(host.partition("%")[0])
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback
    found = _listed(host.lower().rstrip("."))
    return all(map(is_loopback, found)) if found else host.lower() == "localhost"


def _listed(name: str) -> list[str]:
    """Return the addresses that the hosts file gives a name."""
    found = []
    with suppress(OSError):
        for line in HOSTS_FILE.read_text(errors="replace").splitlines():
            address, *names = line.partition("#")[0].split() or [""]
            with suppress(ValueError):
                found += [str(ipaddress.ip_address(address))] if name in map(str.lower, names) else []
    return found


def hosts(url: str) -> list[str]:
    """Return the hosts in a URL, which may be several separated by commas; socket files and paths are not hosts."""
    parts = urlsplit(url)
    named = parts.netloc.rpartition("@")[2].split(",")
    found = [part.partition("]")[0].lstrip("[") if part.startswith("[") else part.partition(":")[0] for part in named]
    query = parse_qs(parts.query)
    in_query = [host for key in ("host", "hostaddr") for value in query.get(key, []) for host in value.split(",")]
    return [host for host in (*found, *in_query) if host and not host.startswith("/")]


def allow_remote() -> None:
    """Permit other machines in this process and those that it starts."""
    os.environ[REMOTE_VARIABLE] = "1"


def is_remote_allowed() -> bool:
    """Return whether other machines are permitted."""
    return os.environ.get(REMOTE_VARIABLE, "0") not in {"", "0"}


def refuse_remote(url: str) -> None:
    """Raise `UsageError` if a host in the URL is, or may be, another machine, unless that is permitted; contact nothing."""
    for host in hosts(url):
        if not is_remote_allowed() and not is_loopback(host):
            raise UsageError(
                f"{host} is not this machine; to use another machine with its owner's consent, add --allow-remote, "
                f"or set {REMOTE_VARIABLE}=1"
            )


def with_address(url: str, host: str, port: int) -> str:
    """Return a URL with another host and port; user, password, path and query stay as they are."""
    parts: SplitResult = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}{at}{host}:{port}").geturl()
