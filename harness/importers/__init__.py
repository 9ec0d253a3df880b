"""Read result files of other tools as runs: one module per format, recognised by the file's content, not by its name.

An importer is a module of this folder with `FORMAT` (its name, as in "is hyperfine's JSON"), `LIMITATIONS` (warnings about what
such a file does not contain), `recognises(content)` and `parse(content)`, which take a `harness.importers.reading.Content` and
raise its `InvalidFileError`. Every unreadable file is refused in one line, and `harness.importers.foreign` names the tools that
are not read.
"""

import importlib
import pkgutil
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
from harness.results.store import read_run

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
    return read_run(path) if found is None else own_run.of_file(_parsed(found))


def reading(path: Path) -> Reading:
    """Return the times in what `read` reads, to compare them with another's; raise UsageError if a run has no times."""
    found = content.read(path)
    return own_run.reading(read_run(path), path) if found is None else _parsed(found)


def _parsed(file: Content) -> Reading:
    importer = next((importer for importer in importers() if importer.recognises(file)), None)
    if importer is None:
        known = ", ".join(importer.FORMAT for importer in importers())
        reason = foreign.named(file) or content.explained(file)
        raise UsageError(f"{file.path} {reason or f'has an unknown format; known are: a run of this harness, {known}'}")
    try:
        found: Reading = importer.parse(file)
    except (InvalidFileError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error)
        if isinstance(error, msgspec.ValidationError):
            reason = f"incomplete or malformed ({error})"
        elif not isinstance(error, InvalidFileError):
            reason = f"part of it cannot be read ({shortened(reason, MAX_REASON)})"
        why = f"{file.path} is {importer.FORMAT}, but {one_line(reason)}"
        raise UsageError(f"{why}; measure again, or name another file") from error
    return replace(found, file=str(file.path), digest=file.digest, warnings=(*importer.LIMITATIONS, *found.warnings))
