"""Secrets in URLs, headers and command lines, which are neither printed nor stored."""

import re
import shlex
from collections.abc import Sequence

HIDDEN = "***"
"""The text in place of a secret."""
_PARTS = "auth|token|secret|passw|pwd|api-?_?key|access-?_?key|signature|session|cookie|credential|jwt|otp"
_SECRET_NAME = re.compile(rf"{_PARTS}|^(?:code|key|pass|sid|sig)$", re.IGNORECASE)
_USER = re.compile(r"(?<=://)[^/?#\s@]*(?:@[^/?#\s@]*)*@")
_PAIR = re.compile(r"(?<=[?&;])([^=&;#\s]+)=([^&;#\s]*)")


def is_secret(name: str) -> bool:
    """Return whether a header or a parameter of this name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def redacted(text: str) -> str:
    """Return a text without the user and password of its URLs, and without the values of their secret parameters."""
    return _PAIR.sub(lambda pair: f"{pair[1]}={HIDDEN}" if is_secret(pair[1]) else pair[0], _USER.sub(f"{HIDDEN}@", text))


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
