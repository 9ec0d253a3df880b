"""Whose machine may be loaded: this one, unless a person says otherwise."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import parse_qs, urlsplit

from harness.errors import UsageError


def refuse_remote(url: str, *, allow: bool) -> None:
    """Refuse a server that is not on this machine.

    Raises:
        UsageError: a host in the URL is, or may be, another machine and `allow` is false.
    """
    for host in hosts(url):
        if not allow and not is_loopback(host):
            raise UsageError(f"{host} is not this machine; load another only if you may, with --allow-remote")


def hosts(url: str) -> list[str]:
    """Return the hosts that a URL names, also several with commas between them; a socket file or a path is none."""
    place = urlsplit(url)
    named = place.netloc.rpartition("@")[2].split(",")
    found = [part.partition("]")[0].lstrip("[") if part.startswith("[") else part.partition(":")[0] for part in named]
    query = parse_qs(place.query)
    asked = [host for key in ("host", "hostaddr") for value in query.get(key, []) for host in value.split(",")]
    return [host for host in (*found, *asked) if host and not host.startswith("/")]


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by every address it has; a name without an address is not."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in found)
