"""Other tools' results as a run: one file a format, found by name, each recognised by what is in it and not by what it is called.

A reader is a module of this folder with `FORM` (the kind of file, as in "is a … file"), `LOSES` (warnings about what it does not
contain), `recognises(content)` and `parse(content)`, which take a `harness.importers.reading.Content`. Every unreadable file is
refused in one line.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import msgspec

from harness.errors import UsageError
from harness.importers import own_run
from harness.importers.reading import Content, Reading, one_line
from harness.results.run import Run, RunWarning
from harness.results.store import RUN_FILE, read_run

MOST_BYTES = 512 * 2**20
"""The largest file that is read, packed or unpacked; beyond it is hardly a result."""

GZIP = b"\x1f\x8b"
OWN = "schema_version"
"""What `run.json` has and no other tool's file."""


@dataclass(frozen=True)
class Importer:
    """One module of this folder that reads a kind of file."""

    form: str
    loses: tuple[RunWarning, ...]
    recognises: Callable[[Content], bool]
    parse: Callable[[Content], Reading]


@cache
def readers() -> tuple[Importer, ...]:
    """Load every reader of this folder."""
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    return tuple(Importer(m.FORM, m.LOSES, m.recognises, m.parse) for m in modules if hasattr(m, "recognises"))


def read(path: Path) -> Run:
    """Return what is in a run folder, a `run.json` or another tool's file as a run; that of a file is of kind "file".

    Raises:
        UsageError: there is no such file, it is too large, is still being written, or is of no kind that is known.
    """
    content = _content(path)
    return read_run(path) if content is None else own_run.of_file(_parsed(content))


def reading(path: Path) -> Reading:
    """Return the times in a run folder, a `run.json` or another tool's file, to be compared with those of another.

    Raises:
        UsageError: as `read`, or a run of this harness has no times.
    """
    content = _content(path)
    return own_run.reading(read_run(path), path) if content is None else _parsed(content)


def _content(path: Path) -> Content | None:
    """Return a file's content, or None for a run of this harness."""
    if path.is_dir():
        if not (path / RUN_FILE).is_file():
            raise UsageError(f"{path} is a folder without a {RUN_FILE}; name a run folder, or a file of another tool")
        return None
    body = _unpacked(path, _bytes(path))
    if not body.strip():
        raise UsageError(f"{path} is empty; is it still being written?")
    if body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in {b"{", b"["}:
        return Content(path, body, None)
    content = Content(path, body.removeprefix(b"\xef\xbb\xbf"), _outline(path, body.removeprefix(b"\xef\xbb\xbf")))
    return None if content.member(OWN) else content


def _bytes(path: Path) -> bytes:
    """Return all of a file that nobody changes meanwhile."""
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is no ordinary file; name a run folder, its {RUN_FILE}, or a file of another tool")
        before = path.stat()
        if before.st_size > MOST_BYTES:
            raise UsageError(f"{path} has {before.st_size / 2**20:,.0f} MB, more than the {MOST_BYTES // 2**20} MB that are read")
        with path.open("rb") as file:
            body = file.read(MOST_BYTES + 1)
        after = path.stat()
    except (OSError, ValueError) as error:  # a name with a null character is a ValueError
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read {one_line(str(path))}: {why}; name a run folder, or a file of another tool") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(body) != after.st_size:
        raise UsageError(f"{path} changed while it was read; wait until whatever writes it has finished")
    return body


def _unpacked(path: Path, body: bytes) -> bytes:
    """Return a gzip file's content (pyperf writes such), anything else as it is."""
    if not body.startswith(GZIP):
        return body
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = unpacker.decompress(body, MOST_BYTES + 1)
    except zlib.error as error:
        raise UsageError(f"{path} cannot be unpacked ({error}); is it still being written?") from error
    if len(plain) > MOST_BYTES:
        raise UsageError(f"{path} unpacks to more than the {MOST_BYTES // 2**20} MB that are read")
    if not unpacker.eof:
        raise UsageError(f"{path} is cut short; is it still being written?")
    return plain


def _outline(path: Path, body: bytes) -> dict[str, msgspec.Raw] | list[msgspec.Raw]:
    try:
        return msgspec.json.decode(body, type=dict[str, msgspec.Raw] | list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if re.search(rb"[\[:,\s]-?(?:NaN|Infinity)\s*[,\]}]", body):
            raise UsageError(f"{path} holds NaN or Infinity, which are no times; measure again, or name another file") from error
        raise UsageError(
            f"{path} is no JSON, or was cut short ({one_line(str(error))}); wait until it is written, or name another"
        ) from error


def _parsed(content: Content) -> Reading:
    reader = next((reader for reader in readers() if reader.recognises(content)), None)
    if reader is None:
        known = ", ".join(reader.form for reader in readers())
        raise UsageError(f"{content.path} is of no kind that is read; known: a run of this harness, {known}")
    try:
        found = reader.parse(content)
    except msgspec.ValidationError as error:
        raise content.refused(reader.form, f"not a whole one ({error})") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise content.refused(reader.form, f"a part of it cannot be read ({error})") from error
    return replace(
        found,
        file=str(content.path),
        form=reader.form,
        digest=hashlib.sha256(content.body).hexdigest(),
        warnings=(*reader.loses, *found.warnings),
    )
