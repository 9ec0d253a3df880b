"""Text as bytes, whatever its characters and whatever the encoding of the output.

Names, paths and messages may contain half surrogate pairs: Python represents bytes of a path that are not valid text by them. They
are written as escapes, and so are characters that a terminal's encoding lacks, unless there is a usual substitute in ASCII.
"""

import codecs
import os
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.redaction import redacted

ERRORS = "harness"
"""The name of the error handler, for `str.encode` and for streams."""

SIZE_DIGITS = 4
"""The most digits of a terminal's number of columns or lines."""

_ONE = "×÷–—−·•“”‘’µμ²³✓✗▲▼▽⊘○●◆─━│┃\u00a0\u2002\u2003\u2009\u202f", "x/---|*\"\"''uu23+x^vv0o*#--||     "  # noqa: RUF001
_SEVERAL = {
    "→": "->",
    "←": "<-",
    "±": "+/-",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "≈": "~",
    "…": "...",
    "½": "1/2",
    "␣": "_",
    "√": "sqrt",
    "∞": "inf",
    "Σ": "sum",
}
SUBSTITUTES = dict(zip(*_ONE, strict=True)) | _SEVERAL
"""Characters of our own output, and their like in ASCII."""

_UNDECODED = re.compile("[\udc80-\udcff]")
"""Bytes of a path as `os.fsdecode` returns those that are not valid text."""
_SURROGATES = re.compile("[\ud800-\udfff]")
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_NOT_PLAIN = re.compile(r"[^\n -~]")
_NOT_ASCII = re.compile("[^\x00-\x7f]")
_OBEYED = {"Cc", "Cf", "Zl", "Zp"}
"""Unicode's categories of characters that a terminal obeys: they move the cursor, colour, reorder or hide text."""
_COMMAND = re.compile(r"^(\s*):(?=:)|##(?=\w*\[)")
"""The beginnings of commands in a log of GitHub Actions, in both of its forms, of Azure Pipelines and of TeamCity."""


def _substitute(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_in_ascii, error.object[error.start : error.end])), error.end


def _in_ascii(character: str) -> str:
    if _UNDECODED.match(character):
        return f"\\x{ord(character) - 0xDC00:02x}"
    return SUBSTITUTES.get(character) or character.encode("ascii", "backslashreplace").decode()


codecs.register_error(ERRORS, _substitute)


def printable(text: str) -> str:
    """Return a text that every writer may show: without secrets, and without characters that a terminal obeys but line breaks.

    These characters are escaped.
    """
    text = redacted(text)
    return text if text.isprintable() else "".join(map(_as_printable, text))


def _as_printable(character: str) -> str:
    if character == "\n" or unicodedata.category(character) not in _OBEYED:
        return character
    return " " if character == "\t" else character.encode("unicode_escape").decode()


def without_command(line: str) -> str:
    """Return a line that the log of a CI service shows instead of obeying it: a space parts the beginning of a command."""
    return _COMMAND.sub(lambda found: f"{found[0]} ", line)


def message_line(text: str) -> str:
    """Return a message as one printable line for a terminal or a log, without secrets."""
    return without_command(printable(" ".join(text.split("\n"))))


def for_page(text: str) -> str:
    """Return a text without secrets, with each character that HTML forbids, or that hides or reverses text, as U+FFFD.

    White space is kept.
    """
    return _UNPRINTABLE.sub("\ufffd", redacted(text))


def encode(text: str) -> bytes:
    """Return a text in UTF-8."""
    return text.encode(errors=ERRORS)


def encode_json(record: object, enc_hook: Callable[[Any], Any] | None = None) -> bytes:
    """Return a record as JSON in UTF-8; `enc_hook` is that of msgspec."""
    import msgspec  # noqa: PLC0415 - the command line needs the error handler only

    try:
        return msgspec.json.encode(record, enc_hook=enc_hook)
    except UnicodeEncodeError:
        return msgspec.json.encode(_without_surrogates(msgspec.to_builtins(record, enc_hook=enc_hook)))


def json_for_terminal(body: bytes) -> bytes:
    """Return JSON with the same strings, in which what a terminal or the log of a CI service obeys is written as escapes."""
    shown = _NOT_PLAIN.sub(lambda found: _units(found[0]) if unicodedata.category(found[0]) in _OBEYED else found[0], body.decode())
    return _COMMAND.sub(r"#\\u0023", shown).encode()


def ascii_json(body: bytes) -> bytes:
    """Return JSON that every encoding of a terminal can show: characters beyond ASCII, which only strings contain, as escapes."""
    return _NOT_ASCII.sub(lambda found: _units(found[0]), body.decode()).encode()


def is_utf8(encoding: str | None) -> bool:
    """Return whether an encoding is UTF-8."""
    try:
        return codecs.lookup(encoding or "utf-8").name == "utf-8"
    except LookupError:
        return False


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATES.sub(lambda found: _in_ascii(found[0]), value)
    if isinstance(value, Mapping):
        return {_without_surrogates(key): _without_surrogates(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_without_surrogates(each) for each in value]
    return value


def _units(character: str) -> str:
    """Return a character as JSON escapes, one per UTF-16 code unit."""
    body = character.encode("utf-16-be")
    return "".join(f"\\u{body[i]:02x}{body[i + 1]:02x}" for i in range(0, len(body), 2))


def terminal_environment() -> dict[str, str]:
    """Return this process's environment without a COLUMNS or a LINES with which rich would end: not a size."""
    sizes = {name: os.environ.get(name, "") for name in ("COLUMNS", "LINES")}
    wrong = {name for name, text in sizes.items() if not (text.isascii() and text.isdigit() and len(text) <= SIZE_DIGITS)}
    return {name: value for name, value in os.environ.items() if name not in wrong}
