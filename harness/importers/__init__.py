"""Read result files of other tools as runs: one module per format, recognised by the file's content, not by its name.

An importer is a module of this folder with `FORMAT` (its name, as in "is hyperfine's JSON"), `LIMITATIONS` (warnings about what
such a file does not contain), `recognises(content)` and `parse(content)`, which take a `harness.importers.reading.Content` and
raise its `InvalidFileError`. Every unreadable file is refused in one line.
"""

import hashlib
import importlib
import pkgutil
import re
import zlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

import msgspec

from harness.errors import UsageError
from harness.importers import own_run
from harness.importers.reading import Content, InvalidFileError, Reading, check_timings, one_line
from harness.results.run import Run
from harness.results.store import RUN_FILE, read_run

MAX_BYTES = 512 * 2**20
"""The largest size of a file, compressed or not; a larger one is unlikely to be a result."""


@cache
def importers() -> tuple[ModuleType, ...]:
    """Load every importer of this folder."""
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    return tuple(module for module in modules if hasattr(module, "recognises"))


def read(path: Path) -> Run:
    """Return a run folder, a `run.json` or another tool's file, which becomes a run of kind `RunKind.FILE`.

    UsageError: there is no such file, it is too large, is still being written, or has an unknown format.
    """
    content = _content(path)
    return read_run(path) if content is None else own_run.of_file(_parsed(content))


def reading(path: Path) -> Reading:
    """Return the times in what `read` reads, to compare them with another's; raise UsageError if a run has no times."""
    content = _content(path)
    return own_run.reading(read_run(path), path) if content is None else _parsed(content)


def _content(path: Path) -> Content | None:
    """Return a file's content, or None for a run of this harness."""
    if path.is_dir():
        if not (path / RUN_FILE).is_file():
            raise UsageError(f"{path} is a folder without a {RUN_FILE}; name a run folder, or a file of another tool")
        return None
    body = _bytes(path)
    if body.startswith(b"\x1f\x8b"):
        body = _unpacked(path, body)
    if not body.strip():
        raise UsageError(f"{path} is empty; is it still being written?")
    if body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in {b"{", b"["}:
        return Content(path, body, None)
    body = body.removeprefix(b"\xef\xbb\xbf")
    content = Content(path, body, _outline(path, body))
    return None if content.member("schema_version") else content  # which `run.json` has and no other tool's file


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


def _unpacked(path: Path, body: bytes) -> bytes:
    """Return a gzip file's content, as pyperf writes it."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = unpacker.decompress(body, MAX_BYTES + 1)
    except zlib.error as error:
        raise UsageError(f"{path} cannot be decompressed ({error}); is it still being written?") from error
    if len(plain) > MAX_BYTES:
        raise UsageError(f"{path} decompresses to more than the limit of {MAX_BYTES // 2**20} MB")
    if not unpacker.eof:
        raise UsageError(f"{path} is truncated; is it still being written?")
    return plain


def _outline(path: Path, body: bytes) -> dict[str, msgspec.Raw] | list[msgspec.Raw]:
    try:
        return msgspec.json.decode(body, type=dict[str, msgspec.Raw] | list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = f"is not valid JSON, or is truncated ({one_line(str(error))}); wait until it is written"
        if re.search(rb"[\[:,\s]-?(?:NaN|Infinity)\s*[,\]}]", body):
            reason = "contains NaN or Infinity, which are not times; measure again"
        raise UsageError(f"{path} {reason}, or name another file") from error


def _parsed(content: Content) -> Reading:
    importer = next((importer for importer in importers() if importer.recognises(content)), None)
    if importer is None:
        known = ", ".join(importer.FORMAT for importer in importers())
        raise UsageError(f"{content.path} has an unknown format; known are: a run of this harness, {known}")
    try:
        found: Reading = importer.parse(content)
        check_timings(found.timings)
    except (InvalidFileError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error)
        if isinstance(error, msgspec.ValidationError):
            reason = f"incomplete or malformed ({error})"
        elif not isinstance(error, InvalidFileError):
            reason = f"part of it cannot be read ({error})"
        why = f"{content.path} is {importer.FORMAT}, but {one_line(reason)}"
        raise UsageError(f"{why}; measure again, or name another file") from error
    digest = hashlib.sha256(content.body).hexdigest()
    return replace(found, file=str(content.path), digest=digest, warnings=(*importer.LIMITATIONS, *found.warnings))
