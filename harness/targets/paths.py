"""Groups of requests by the form of their path: the parts that identify one object are one placeholder."""

import re

from harness.redaction import redacted

_IDENTIFIER = re.compile(
    r"\d+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=[0-9a-z_-]*\d)[0-9a-f]{16,}|(?=.*\d)[0-9A-Za-z_-]{20,}", re.IGNORECASE
)
_MAX_LENGTH = 80


def group_of(method: str, path: str) -> str:
    """Return the group of a request: its method and path, without its query and with `{id}` for numbers and identifiers."""
    parts = path.partition("?")[0].split("/")
    return shown(method, "/".join("{id}" if _IDENTIFIER.fullmatch(part) else part for part in parts))


def shown(method: str, path: str) -> str:
    """Return a request in words, redacted and not longer than a line."""
    text = f"{method} {redacted(path)}"
    return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 1]}…"
