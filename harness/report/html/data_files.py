"""Where the data of a run is, seen from its page, and the command that repeats the run."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from harness.results.names import shortened, visible
from harness.results.run import Run
from harness.results.store import RUN_FILE, run_file

COMMIT = re.compile("[0-9a-f]{7,64}")
"""A commit that can be checked out, and nothing that a shell would read in another way."""


@dataclass(frozen=True)
class DataLinks:
    """The files of a run as its page links to them."""

    there: tuple[tuple[str, str], ...]
    """Name and relative address of each file that was there when the page was written."""
    missing: tuple[str, ...]
    """Names of the others."""


@dataclass(frozen=True)
class RepeatCommand:
    """The lines that repeat a run in a shell."""

    text: str
    commit: str
    """The commit that they check out; empty if none is known."""
    dirty: bool
    """Whether the run had changes on top of it."""


def links(run: Run, folder: Path | None, out: Path | None) -> DataLinks:
    """Return the files in a run's folder, with addresses that lead there from the folder `out`; nothing outside the folder."""
    there, missing = [], []
    for name in _names(run, source(folder, out)):
        found = address(name, folder, out)
        if found:
            there.append((shortened(visible(name)), found))
        else:
            missing.append(shortened(visible(name)))
    return DataLinks(tuple(there), tuple(missing))


def address(name: str, folder: Path | None, out: Path | None) -> str:
    """Return the address of a file of a run's folder, seen from the folder `out`; empty if it is not there."""
    origin = source(folder, out)
    file = _inside(origin, name) if origin else None
    if file is None or origin is None:
        return ""
    return "./" + quote(Path(os.path.relpath(file, (out or origin).resolve())).as_posix())


def source(folder: Path | None, out: Path | None) -> Path | None:
    """Return the folder whose files a page links to: its own if the record is there too, since both then move together."""
    return out if out and run_file(out).is_file() else folder


def repeat(run: Run) -> RepeatCommand | None:
    """Return the command of a run, at its commit; None if it is not recorded."""
    if not run.command:
        return None
    commit = run.commit if run.commit and COMMIT.fullmatch(run.commit) else ""
    lines = [f"git checkout {commit}"] if commit else []
    return RepeatCommand("\n".join([*lines, *map(visible, run.command.splitlines())]), commit, run.dirty)


def _names(run: Run, origin: Path | None) -> Iterator[str]:
    yield run_file(origin).name if origin else RUN_FILE
    yield from dict.fromkeys(result.samples_file for result in run.scenarios if result.samples_file)


def _inside(folder: Path, name: str) -> Path | None:
    """Return a file of a folder by its relative name; None if it is not there, or elsewhere."""
    try:
        file = (folder / name).resolve()
        return file if file.is_relative_to(folder.resolve()) and file.is_file() else None
    except (OSError, ValueError):  # a name that no file can have
        return None
