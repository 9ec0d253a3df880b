"""Decide which benchmarks a change cannot have touched: everything that two recordings of them hold is the same.

Whatever cannot be shown to be the same is a difference, and a benchmark with a difference is timed.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from filecmp import cmp
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

from harness.gate.impact.namespaces import ANY, MODULE
from harness.gate.impact.places import DERIVED, GENERATED
from harness.gate.impact.top_level import InertChange, inert_change, read_top_level
from harness.results.run import unrepeated

Code = tuple[str, str, str]
"""File relative to the tree, qualified name, and digest."""

SHARED = ""
"""The window of what happens outside of every other one."""


@dataclass(frozen=True)
class RecordedWindow:
    """The contents of a window of a recording."""

    codes: frozenset[Code]
    files: frozenset[str]
    """Paths relative to the tree that were opened, or of which the state was asked."""
    folders: frozenset[str] = frozenset()
    hazards: frozenset[str] = frozenset()
    """What could not be followed."""
    sought: frozenset[str] = frozenset()
    """Modules that were looked for but not loaded: paths relative to the tree, without a suffix."""
    reads: frozenset[tuple[str, str]] = field(default=frozenset(), kw_only=True)
    """Names that are read of modules otherwise than by their own code: the module's path relative to the tree, and the name."""
    docstrings: bool = field(default=False, kw_only=True)
    """Whether docstrings are read."""

    def __or__(self, other: "RecordedWindow") -> "RecordedWindow":
        """Return what either holds."""
        return RecordedWindow(
            self.codes | other.codes,
            self.files | other.files,
            self.folders | other.folders,
            self.hazards | other.hazards,
            self.sought | other.sought,
            reads=self.reads | other.reads,
            docstrings=self.docstrings or other.docstrings,
        )


NOTHING = RecordedWindow(frozenset(), frozenset())


@dataclass(frozen=True)
class VersionRecording:
    """Everything that one version executed and read while each of its benchmarks ran once."""

    ALL: ClassVar = "all"
    """The name of the only benchmark of `as_one`."""

    windows: Mapping[str, RecordedWindow]
    benchmarks: Mapping[str, Sequence[str]]
    """Benchmark → the windows that it depends on: its own, and those that it shares."""
    facts: Mapping[str, str]
    """What else decides how code runs, by name."""
    blind: str = ""
    """The reason why files that compiled code opens were not seen; empty if they were."""
    docstrings: Mapping[str, str] = field(default_factory=dict)
    """File of the tree → digest of its docstrings."""
    counts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Benchmark → its counted work by metric, such as calls and bytes at the peak."""
    unsteady: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Benchmark → the metrics that another fresh process of the version has counted differently."""

    def window(self, benchmark: str) -> RecordedWindow:
        """Return everything that a benchmark depends on."""
        found = NOTHING
        for name in self.benchmarks[benchmark]:
            found |= self.windows.get(name, NOTHING)
        return found

    @cached_property
    def known(self) -> frozenset[Code]:
        """All code that ran in any window."""
        return frozenset().union(*(window.codes for window in self.windows.values()))

    def counted_again(self, again: "VersionRecording") -> "VersionRecording":
        """Return this recording with the metrics that do not repeat in that of another process."""
        return replace(
            self, unsteady={name: unrepeated(counts, again.counts.get(name, {})) for name, counts in self.counts.items()}
        )

    def as_one(self) -> "VersionRecording":
        """Return the recording of one benchmark that depends on everything that happened."""
        return replace(self, benchmarks={self.ALL: list(self.windows)})


NOT_RECORDED = VersionRecording({}, {}, {})


def parsed(*found: Mapping[str, Any]) -> VersionRecording:
    """Return a version's recording from what its processes sent; those of several are one, with their windows joined by name."""
    windows: dict[str, RecordedWindow] = {}
    benchmarks: dict[str, Sequence[str]] = {}
    facts: dict[str, str] = {}
    docstrings: dict[str, str] = {}
    counts: dict[str, Mapping[str, float]] = {}
    for process in found:
        codes: list[Code] = [(file, name, digest) for file, name, digest in process["codes"]]
        for key, window in process["windows"].items():
            names = ("files", "folders", "hazards", "sought")
            ran, *parts = (frozenset(codes[n] for n in window["codes"]), *(frozenset(window[name]) for name in names))
            reads = frozenset((file, name) for file, name in window["reads"])
            recorded = RecordedWindow(ran, *parts, reads=reads, docstrings=window["docstrings"])
            windows[key] = windows.get(key, NOTHING) | recorded
        benchmarks |= process["benchmarks"]
        facts |= process["facts"]
        docstrings |= process["docstrings"]
        counts |= process["counts"]
    blind = next((process["blind"] for process in found if process["blind"]), "")
    return VersionRecording(windows, benchmarks, facts, blind, docstrings, counts)


def differences(
    old: VersionRecording, new: VersionRecording, trees: tuple[Path, Path], wanted: Sequence[str]
) -> dict[str, list[str]]:
    """Return what differs between two versions for each benchmark, in words; nothing for one that the change cannot have touched.

    `trees` are the roots of the old and the new version.
    """
    everywhere = [*_facts(old.facts, new.facts), *_blind(old, new)]
    contents = FileContents(*trees)
    return {name: [*everywhere, *_of_windows(old, new, name, contents)] for name in wanted}


def _blind(old: VersionRecording, new: VersionRecording) -> Iterator[str]:
    reason = old.blind or new.blind
    if reason:
        yield f"files that compiled code opens are not seen here: {reason}"


def _facts(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before != after:
            way = "was added" if before is None else "was removed" if after is None else "differs"
            yield f"{name} {way}"


def _of_windows(old: VersionRecording, new: VersionRecording, name: str, contents: "FileContents") -> Iterator[str]:
    if name not in old.benchmarks or name not in new.benchmarks:
        yield "it was not recorded in both versions"
        return
    before, after = old.window(name), new.window(name)
    # What ran elsewhere in the other version is known to be the same.
    moved = (before.codes ^ after.codes) & old.known & new.known
    moved |= _inert(before, after, contents, _files_of_own_modules(old, name) | _files_of_own_modules(new, name))
    yield from _codes(before.codes - moved, after.codes - moved, contents)
    yield from (f"{file}, which is read, differs" for file in sorted(before.files | after.files) if contents.differ(file))
    for folder in sorted(before.folders | after.folders):
        if contents.folders_differ(folder):
            yield f"the content of folder {folder}, which is listed, differs"
    for module in sorted(before.sought | after.sought):
        if contents.modules_differ(module):
            yield f"the module {module}, which is looked for but not loaded, differs"
    if before.docstrings or after.docstrings:
        files = sorted({*old.docstrings, *new.docstrings})
        yield from (
            f"docstrings of {file}, which are read, differ"
            for file in files
            if old.docstrings.get(file) != new.docstrings.get(file)
        )
    yield from sorted(before.hazards | after.hazards)


def _files_of_own_modules(recording: VersionRecording, name: str) -> frozenset[str]:
    """Return the files of modules that a benchmark imports or runs again by itself, so that it may time that."""
    windows = (recording.windows.get(key, NOTHING) for key in recording.benchmarks[name] if key != SHARED)
    return frozenset(file for window in windows for file, code, _ in window.codes if code == MODULE)


def _inert(old: RecordedWindow, new: RecordedWindow, contents: "FileContents", timed: frozenset[str]) -> frozenset[Code]:
    """Return module-level code that differs only in statements that bind names which are not read, but for files `timed`."""
    reads = old.reads | new.reads
    if (ANY, ANY) in reads:
        return frozenset()
    found: set[Code] = set()
    for file in (
        {file for file, name, _ in old.codes ^ new.codes if name == MODULE} - timed - {file for file, name in reads if name == ANY}
    ):
        change = contents.inert_change(file)
        if change is not None and _is_unread(change, file, old, new):
            ran = {(file, name) for name in (MODULE, *change.classes)}
            found |= {code for code in old.codes | new.codes if code[:2] in ran}
    return frozenset(found)


def _is_unread(change: InertChange, file: str, old: RecordedWindow, new: RecordedWindow) -> bool:
    """Return whether the names that a change binds are not read, and whether its modules are those that ran."""
    if not change.names.isdisjoint(name for place, name in old.reads | new.reads if place in {file, ANY}):
        return False
    for window, version in ((old, change.old), (new, change.new)):
        for place, name, digest in window.codes:
            if place == file and name == MODULE and digest != version.digest:
                return False
            if place == file and name not in {MODULE, *change.classes}:
                names = version.names.get((name, digest))
                if names is None or not change.names.isdisjoint(names):
                    return False
    return True


def _codes(old: frozenset[Code], new: frozenset[Code], contents: "FileContents") -> Iterator[str]:
    """Yield the code that differs. Code of the tree that ran in one version only is the same if its whole file is."""
    changed = {(file, name) for file, name, _ in old ^ new if file == GENERATED or not contents.are_same_file(file)}
    before, after = ({(file, name) for file, name, _ in codes} for codes in (old, new))
    for file, name in sorted(changed):
        what = f"generated code of {name}" if file == GENERATED else f"{name} in {file}"
        if name == MODULE and file != GENERATED:
            what = f"module-level code of {file}"
        only = "new" if (file, name) in after else "old"
        yield f"{what} {'differs' if (file, name) in before & after else f'runs in the {only} version only'}"


class FileContents:
    """Compares the files of two trees by their content."""

    def __init__(self, old: Path, new: Path) -> None:
        self._old, self._new = old, new
        self.differ = lru_cache(maxsize=None)(self._differ)
        self.inert_change = lru_cache(maxsize=None)(self._inert_change)
        self._names = lru_cache(maxsize=None)(_names)

    def _differ(self, relative: str) -> bool:
        """Return whether a file or folder is there in one tree only, or a file has another content; links are followed."""
        old, new = self._old / relative, self._new / relative
        try:
            if old.is_dir() and new.is_dir():
                return False
            if not old.exists() and not new.exists():
                return False
            return not (old.is_file() and new.is_file() and cmp(old, new, shallow=False))
        except OSError:
            return True

    def _inert_change(self, relative: str) -> InertChange | None:
        """Return how the module-level code of a file of both trees differs, None if in more than in names that it binds."""
        if Path(relative).is_absolute() or not relative.endswith(".py"):
            return None
        old, new = (read_top_level(tree / relative, relative) for tree in (self._old, self._new))
        return inert_change(old, new) if old is not None and new is not None else None

    def are_same_file(self, relative: str) -> bool:
        """Return whether both trees have a file of the same content; never of a path outside of them."""
        return not Path(relative).is_absolute() and (self._old / relative).is_file() and not self.differ(relative)

    def modules_differ(self, module: str) -> bool:
        """Return whether a module, given as a path without a suffix, is there in one tree only, or as another kind of file."""
        place = Path(module)
        found = [self._names(tree / place.parent) for tree in (self._old, self._new)]
        old, new = ({name for name in names if name.partition(".")[0] == place.name} for names in found)
        return old != new

    def folders_differ(self, relative: str) -> bool:
        """Return whether a folder has other names, or files of other sizes, in the two trees."""
        try:
            return _listing(self._old / relative) != _listing(self._new / relative)
        except OSError:
            return True


def _names(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()


def _listing(folder: Path) -> dict[str, int | None] | None:
    if not folder.is_dir():
        return None
    found = [path for path in folder.iterdir() if path.name not in DERIVED and path.name != ".git"]
    return {path.name: path.stat().st_size if path.is_file() else None for path in found}
