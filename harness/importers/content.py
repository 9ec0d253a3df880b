"""Read a file as text: decompressed, decoded and outlined, or refused with the true reason."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness.errors import UsageError
from harness.importers import foreign
from harness.importers.reading import Content, one_line
from harness.results.compressed import MAX_BYTES, unpacked
from harness.results.names import quoted, shortened
from harness.results.store import RUN_FILE, run_file

MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
"""Byte order marks and the encodings that they announce, the longer ones first."""
SAMPLE = 400
"""The number of bytes by which UTF-16 without a byte order mark is recognised."""
NOT_JSON_NUMBER = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?\b(?:NaN|nan|Infinity|inf)\b', re.DOTALL)
"""A string, or a token that JavaScript's and Python's writers leave for a number that is not finite."""
MAX_PREAMBLE_LINES = 200
"""The number of lines before the JSON that are searched."""

Outline = dict[str, msgspec.Raw] | list[msgspec.Raw]


def read(path: Path) -> Content | None:
    """Return a file's content, or None for a run of this harness.

    UsageError: there is no such file, it is too large, is still being written, or is not text.
    """
    if path.is_dir():
        if not run_file(path).is_file():
            raise UsageError(f"{path} is a folder without a {RUN_FILE}; name a run folder, or a file of another tool")
        return None
    stored = _bytes(path)
    plain = unpacked(path, stored, MAX_BYTES)
    digest, body = hashlib.sha256(stored).hexdigest(), _text(path, plain)
    if not body.strip():
        raise UsageError(f"{path} is empty; is it still being written?")
    if body.lstrip(b" \t\r\n")[:1] not in {b"{", b"["}:
        return Content(path, body, None, digest=digest)
    outline, problem = _outline(body)
    if problem and (finite := NOT_JSON_NUMBER.sub(_as_text, body)) != body:
        outline, problem = _outline(finite)
        body = body if problem else finite
    content = Content(path, body, outline, problem, digest)
    if not content.member("schema_version"):  # which `run.json` has and no other tool's file
        return content
    if body != plain:
        raise UsageError(f"{path} is a run of this harness, but not plain UTF-8; name its folder or its {RUN_FILE}")
    return None


def explained(content: Content) -> str:
    """Return the reason why text is not one JSON document, although it holds one; empty if it holds none."""
    if content.outline is not None:
        return ""
    body = content.body.strip()
    if body[:1] in {b"'", b'"'} and _quoted_json(body):
        return "is a JSON string that holds JSON: it was quoted or encoded twice; write the text itself"
    for line, before in _candidates(body):
        if content.problem and not line:
            break
        place, text = (f"line{'s 1 to' * (line > 1)} {max(line, 1)}", body.split(b"\n", 1)[0] if line else before)
        return f"has text before the JSON ({place}): {quoted(one_line(text.decode()))}; remove it, and send messages elsewhere"
    return content.problem


def _bytes(path: Path) -> bytes:
    """Return a file's bytes, and make sure that it does not change meanwhile."""
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is not a regular file; name a run folder, its {RUN_FILE}, or a file of another tool")
        before = path.stat()
        if before.st_size > MAX_BYTES:
            raise UsageError(f"{path} has {before.st_size / 2**20:,.0f} MB, more than the limit of {MAX_BYTES // 2**20} MB")
        with path.open("rb") as file:
            body = file.read(MAX_BYTES + 1)
        after = path.stat()
    except (OSError, ValueError) as error:  # a path with a null character raises ValueError
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read {one_line(str(path))}: {why}; name a run folder, or a file of another tool") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(body) != after.st_size:
        raise UsageError(f"{path} changed while it was read; wait until it has been written")
    return body


def _text(path: Path, body: bytes) -> bytes:
    """Return text as UTF-8 without a byte order mark; raise UsageError if it is not text or has another encoding."""
    encoding = next((encoding for mark, encoding in MARKS if body.startswith(mark)), _unmarked(body))
    if found := foreign.binary(body):
        raise UsageError(f"{path} {found}")
    body = body.removeprefix(MARKS[0][0]) if encoding == "utf-8" else body
    try:
        if encoding != "utf-8":
            return body.decode(encoding).encode()
        if not body.isascii():
            body.decode()
    except UnicodeError as error:
        if encoding != "utf-8":
            raise UsageError(f"{path} is {encoding.upper()} text that is cut short or damaged; write it again as UTF-8") from error
        place = f"{error.reason} at byte {error.start}" if isinstance(error, UnicodeDecodeError) else str(error)
        remedy = "it has another encoding, such as Latin-1 or Windows-1252: save it as UTF-8"
        raise UsageError(f"{path} is not UTF-8 text ({place}); {remedy}") from error
    if b"\0" in body:
        raise UsageError(f"{path} has null characters and is not text; name the file that the tool wrote as JSON or CSV")
    return body


def _unmarked(body: bytes) -> str:
    """Return the encoding of text without a byte order mark: in UTF-16, every other byte of plain text is 0."""
    even, odd = body[:SAMPLE:2], body[1:SAMPLE:2]
    if len(odd) > 1 and not any(odd) and all(even):
        return "utf-16-le"
    return "utf-16-be" if len(odd) > 1 and not any(even) and all(odd) else "utf-8"


def _as_text(token: re.Match[bytes]) -> bytes:
    """Return a number that is not finite as a string, and a string as it is."""
    return token[0] if token[0].startswith(b'"') else b'"' + token[0] + b'"'


def _outline(body: bytes) -> tuple[Outline | None, str]:
    """Return the members of a JSON document, or the reason why it is none."""
    try:
        return msgspec.json.decode(body, type=Outline), ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text = str(error)
    if "truncated" in text:
        return None, f"is not valid JSON: it is truncated at byte {len(body):,}; wait until it is written, or name another file"
    if "trailing characters" in text and (place := re.search(r"byte (\d+)", text)):
        at = int(place[1]) - 1
        if body[at : at + 1] in {b"{", b"["}:
            return None, f"has several JSON documents, the next one from byte {at:,} on; name a file with one"
        rest = quoted(one_line(body[at : at + 200].decode(errors="replace")))
        return None, f"has text after the JSON, from byte {at:,} on: {rest}; remove it, or name another file"
    if body.lstrip()[1:].lstrip()[:1] == b"'":
        return None, "is not valid JSON: it is a Python object that was printed, with single quotes; write it with `json.dump`"
    return None, f"is not valid JSON ({shortened(one_line(text))}); write it again, or name another file"


def _quoted_json(body: bytes) -> bool:
    """Return whether quoted text holds JSON."""
    inner = body[1:-1]
    if body[:1] == b'"':
        try:
            inner = str(json.loads(body)).encode(errors="replace")
        except (ValueError, RecursionError):
            return False
    return inner.lstrip()[:1] in {b"{", b"["} and _outline(inner)[0] is not None


def _candidates(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the places where JSON begins within text: the number of lines before it, and the text before it on its line."""
    at = 0
    for line in range(MAX_PREAMBLE_LINES):
        end = body.find(b"\n", at)
        text = body[at : end if end >= 0 else None]
        starts = [place for place in (text.find(b"{"), text.find(b"[")) if place >= 0]
        if starts:
            start = min(starts)
            outline, problem = _outline(body[at + start :])
            if outline or (problem.startswith("has ") and body[at + start :].startswith(b'{"')):
                yield line, text[:start]
        if end < 0:
            return
        at = end + 1
