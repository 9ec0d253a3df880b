"""Secrets in URLs, headers, connection strings and command lines, which are neither printed nor stored."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

HIDDEN = "***"
"""The text in place of a secret."""
_PARTS = "auth|token|secret|passw|pwd|api-?_?key|access-?_?key|signature|session|cookie|credential|jwt|otp"
_SECRET_NAME = re.compile(rf"{_PARTS}|^(?:code|key|pass|sid|sig)$", re.IGNORECASE)
_STOP = r"\s@\"'<>"
_USER = re.compile(
    rf"(?<=://)(?:(?:[^/?#{_STOP}]*@)+"  # a user, and a password in which @ is not escaped
    rf"|[^/?#:{_STOP}]*:(?!\d{{1,5}}[/?#])(?:[^{_STOP}]*@)+)"  # a password in which / ? or # is not escaped; not a port
)
_VALUE = r"""(?!(?:None|null|undefined)\b)[^&;#\s"'<>]+?(?=[,.:)\]}]*(?:[&;#\s"'<>]|$))"""
_PAIR = re.compile(rf"""(?<=[?&;])([^=&;#\s"'<>]+)={_VALUE}""")
_FIELD = re.compile(
    r"(\b(?:proxy-)?authorization|\b(?:set-)?cookie|\bx-(?:api-key|auth-token|csrf-token))"
    r"""(["']?\s*[:=]\s*["']?)[^"'\n\r,}\]]+""",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(
    rf"""(\b\w*(?:passw(?:or)?d|secret|api_?key|access_?key|_token))=(?:'[^']+'|"[^"]+"|{_VALUE})""", re.IGNORECASE
)
_BEARER = re.compile(r"(\bBearer )[\w.~+/=-]{8,}")
_HINT = re.compile(r"://|[?&;=:]|bearer", re.IGNORECASE)


def is_secret(name: str) -> bool:
    """Return whether a header or a parameter of this name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def redacted(text: str) -> str:
    """Return a text without the secrets whose forms are known.

    These are the user and password of a URL, the values of its secret parameters, headers such as `Authorization: …`, and
    assignments such as `password=…`, as in the connection strings of drivers.
    """
    if not _HINT.search(text):
        return text
    text = _USER.sub(f"{HIDDEN}@", text)
    text = _PAIR.sub(lambda pair: f"{pair[1]}={HIDDEN}" if is_secret(pair[1]) else pair[0], text)
    return _BEARER.sub(rf"\1{HIDDEN}", _ASSIGNED.sub(rf"\1={HIDDEN}", _FIELD.sub(rf"\1\2{HIDDEN}", text)))


def redacted_values(value: Any) -> Any:
    """Return built-in values, as decoded from JSON, without the secrets in their texts, keys included."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {redacted_values(key): redacted_values(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [redacted_values(each) for each in value]
    return value


def redacted_command(command: str, headers: Sequence[str], body: str | None, values: Sequence[str]) -> str:
    """Return a command line without the secrets in its URLs, headers, values and body, of which a text is hidden as a whole."""
    named = [*(header.partition(":") for header in headers), *(value.partition("=") for value in values)]
    secrets = [text.strip() for name, _, text in named if is_secret(name) and text.strip()]
    secrets += [body] if body and not body.startswith("@") else []
    words = []
    for word in shlex.split(command):
        shown = redacted(word)
        for secret in sorted(secrets, key=len, reverse=True):
            shown = shown.replace(secret, HIDDEN)
        words.append(shown)
    return shlex.join(words)
