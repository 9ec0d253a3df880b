"""URLs of targets: the parts that a request needs, and the named reasons why one cannot be put under load."""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlencode, urlsplit

from harness.errors import UsageError
from harness.redaction import redacted

HTTP_PORT = 80
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_HOST_AND_PORT = re.compile(r"[\w.-]+:\d{1,5}(?:/|$)|localhost(?:/|$)|\[[0-9a-fA-F:]+\]")
_SAFE = "/%:@!$&'()*+,;=?~[]{}-._"
_MAX_SHOWN = 200
_UNSPECIFIED = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - servers print it as their address


@dataclass(frozen=True)
class TargetUrl:
    """A URL, split."""

    host: str
    port: int
    path: str
    """Path and query; empty where the URL has neither."""
    headers: dict[str, str]
    """Authorization of the user and password in the URL, if it has one."""
    shown: str
    """The URL to show, redacted."""

    @property
    def origin(self) -> tuple[str, int]:
        """The server."""
        return self.host, self.port

    @property
    def authority(self) -> str:
        """The value of the header `host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == HTTP_PORT else f"{host}:{self.port}"


def is_url(text: str) -> bool:
    """Return whether a text has the form of a URL with a scheme."""
    return _SCHEME.match(text) is not None


def lacks_scheme(text: str) -> bool:
    """Return whether a text looks like a host, rather than a name or a file."""
    return _HOST_AND_PORT.match(text) is not None


def parse(text: str) -> TargetUrl:
    """Split a URL; raise UsageError if the load generator cannot send requests to it."""
    shown = redacted(text)[:_MAX_SHOWN]
    parts = _split(text, shown)
    scheme = parts.scheme.lower()
    if scheme == "https":
        raise UsageError(
            f"{shown}: https is not supported; name the server's http port, or a proxy on this machine that speaks TLS"
        )
    if scheme != "http":
        raise UsageError(f"{shown}: scheme {scheme!r} is not supported; name an http:// URL")
    try:
        port, host = parts.port, parts.hostname
    except ValueError:
        raise UsageError(f"{shown}: the port is not a number from 1 to 65535; write http://127.0.0.1:8000/…") from None
    if not host or port == 0:
        raise UsageError(f"{shown} has no {'host' if not host else 'port'}; write http://127.0.0.1:8000/…")
    try:
        host = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise UsageError(f"{shown}: the host is not a name; write http://127.0.0.1:8000/…") from None
    host = _UNSPECIFIED.get(host, host)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    if path.startswith("?"):
        path = f"/{path}"
    headers = {}
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
    return TargetUrl(host, port or HTTP_PORT, encoded_path(path), headers, shown)


def _split(text: str, shown: str) -> SplitResult:
    if any(c.isspace() or not c.isprintable() for c in text):
        raise UsageError(f"{shown!r} has a space or a control character; percent-encode it")
    try:
        return urlsplit(text)
    except ValueError as error:
        raise UsageError(f"{shown} is not a URL ({error}); write http://127.0.0.1:8000/…") from None


def encoded_path(path: str) -> str:
    """Return a path with its query as it is sent: characters that must not be in it are percent-encoded, placeholders are kept."""
    return quote(path, safe=_SAFE)


def joined(base: str, path: str) -> str:
    """Return the path of a request below the path of a base URL; the base's query is left out."""
    return base.partition("?")[0].rstrip("/") + path


def form(pairs: Iterable[Any]) -> bytes:
    """Return pairs with a `name` and a `value` as the body of a form."""
    return urlencode([(pair.name, pair.value) for pair in pairs]).encode()
