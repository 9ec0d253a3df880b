"""Read result files of other tools as runs: one module per format, recognised by the file's content, not by its name.

An importer is a module of this folder with `FORMAT` (its name, as in "is hyperfine's JSON"), `LIMITATIONS` (warnings about what
such a file does not contain), `recognises(content)` and `parse(content)`, which take a `harness.importers.reading.Content` and
raise its `InvalidFileError`; one whose files can have several commits has `parse_all(content)` as well. Every unreadable file is
refused in one line, and `harness.importers.foreign` names the tools that are not read.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

import msgspec

from harness.errors import UsageError
from harness.importers import content, foreign, own_run
from harness.importers.reading import Content, InvalidFileError, Reading, one_line
from harness.results.names import shortened
from harness.results.run import Run
from harness.results.store import read_run, without_secrets

MAX_REASON = 400
"""The number of characters of a decoder's message, which may quote the file."""


@cache
def importers() -> tuple[ModuleType, ...]:
    """Load every importer of this folder."""
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    return tuple(module for module in modules if hasattr(module, "recognises"))


def read(path: Path) -> Run:
    """Return a run folder, a `run.json` or another tool's file, which becomes a run of kind `RunKind.FILE`.

    UsageError: there is no such file, it is too large, is still being written, or has an unknown format.
    """
    found = content.read(path)
    return without_secrets(read_run(path) if found is None else own_run.of_file(_parsed(found)))


def reading(path: Path) -> Reading:
    """Return the times in what `read` reads, to compare them with another's; raise UsageError if a run has no times."""
    found = content.read(path)
    return own_run.reading(read_run(path), path) if found is None else _parsed(found)


def read_all(path: Path) -> Run | list[Reading]:
    """Return a run of this harness, or the times of every commit in another tool's file; raise UsageError as `read` does."""
    found = content.read(path)
    return read_run(path) if found is None else _parsed_all(found)


def _parsed(file: Content) -> Reading:
    """Return the times in a file, of the last commit if it has several."""
    return _by(file, lambda importer: [importer.parse(file)])[0]


def _parsed_all(file: Content) -> list[Reading]:
    """Return the times of every commit in a file."""
    return _by(file, lambda importer: importer.parse_all(file) if hasattr(importer, "parse_all") else [importer.parse(file)])


def _by(file: Content, parse: Callable[[ModuleType], list[Reading]]) -> list[Reading]:
    """Return the times that `parse` finds with the importer of a file's format, with the file's facts."""
    importer = next((importer for importer in importers() if importer.recognises(file)), None)
    if importer is None:
        known = ", ".join(importer.FORMAT for importer in importers())
        reason = foreign.named(file) or content.explained(file)
        raise UsageError(f"{file.path} {reason or f'has an unknown format; known are: a run of this harness, {known}'}")
    try:
        found = parse(importer)
    except (InvalidFileError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error)
        if isinstance(error, msgspec.ValidationError):
            reason = f"incomplete or malformed ({error})"
        elif not isinstance(error, InvalidFileError):
            reason = f"part of it cannot be read ({shortened(reason, MAX_REASON)})"
        why = f"{file.path} is {importer.FORMAT}, but {one_line(reason)}"
        raise UsageError(f"{why}; measure again, or name another file") from error
    name, limitations = str(file.path), importer.LIMITATIONS
    return [replace(each, file=name, digest=file.digest, warnings=(*limitations, *each.warnings)) for each in found]
