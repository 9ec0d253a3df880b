"""A cache of data that is slow to make, on disk and outside of the run's folder: filled databases, and computed values.

An entry is a folder named after its key, with the payload (a file, or a folder of files) and a record of it. Entries appear and
disappear in one step, and under a lock of their key that ends with its process, so that several runs at once share one cache: the
second one waits for the first one's entry. A payload is checked against its digest, unless its files are the very ones that were
checked before. A damaged entry is deleted and made again. No problem with the cache makes a run fail: it goes on without.

A run reads a payload in place, through a link in its own folder: an entry is in use as long as that link exists.
"""

import argparse
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.errors import UsageError
from harness.options import byte_size
from harness.runtime.clock import utc_now
from harness.text import encode_json
from harness.version import DISTRIBUTION

FOLDER_VARIABLE = "HARNESS_CACHE"
"""Environment variable with the cache's folder, or `off`."""
SIZE_VARIABLE = "HARNESS_CACHE_SIZE"
"""Environment variable with the limit of the cache's size, such as 20GB."""
OFF = "off"
DEFAULT_SIZE = "10GB"
FORMAT = 1
"""Version of the entries' form; others are not read."""
WAIT_S = 300.0
"""Longest wait for another process that makes the same entry, in seconds."""

_POLL_S = 0.05
_TICK_S = 0.02
"""More than the step of the clock by which the kernel stamps files: a later change has another stamp."""
_PAYLOAD, _RECORD, _USED, _PINS, _LOCKS = "payload", "entry.json", "used", "pins", "locks"
_KEY = re.compile("[0-9a-f]{32}")
_CHUNK_BYTES = 1 << 20


class CachedFile(msgspec.Struct, frozen=True):
    """A file of a payload when it was last checked."""

    size: int
    inode: int
    modified_ns: int
    changed_ns: int
    """Time of the last change of content or properties, which programs cannot set."""
    digest: str
    """SHA-256 of the content."""

    def is_unchanged(self, now: os.stat_result) -> bool:
        """Return whether a file is the one that was checked, unchanged since then."""
        return (self.size, self.inode, self.modified_ns, self.changed_ns) == _stamp(now)


class CacheRecord(msgspec.Struct, frozen=True):
    """The description of an entry."""

    format: int
    """The version of this form."""
    parts: dict[str, str]
    """Everything that the key was made of, by name."""
    note: str
    """Text of the maker's, returned with the payload."""
    made_at: float
    """Seconds since 1970."""
    files: dict[str, CachedFile]
    """The payload's files by relative path; "" for a payload that is one file."""


class _Sealed(msgspec.Struct):
    digest: str
    entry: msgspec.Raw


class CacheEntry(NamedTuple):
    """An entry as a listing shows it."""

    key: str
    parts: Mapping[str, str]
    """Empty if the entry's record cannot be read."""
    size: int
    """Bytes of its payload."""
    used_at: float
    """Seconds since 1970."""


def cache_key(parts: Mapping[str, str]) -> str:
    """Return the key of an entry that depends on these parts: any that differs leads to another key."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


@dataclass
class CacheSlot:
    """The place of one entry, for the process that has the lock of its key. Without a cache it is always empty."""

    cache: "SnapshotCache | None" = None
    parts: Mapping[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    """One line each, with the next step, about what went wrong and cost time only."""

    def restore(self, target: Path) -> str | None:
        """Create `target` as a link to the payload, which must not be written; return the entry's note, None if there is none."""
        if self.cache is None:
            return None
        with self._without_failing("read"):
            record = self.cache.checked(self.parts, self.problems)
            if record is not None:
                self.cache.lend(self.parts, target)
                return record.note
        return None

    def store(self, source: Path, target: Path, note: str) -> bool:
        """Move a file into the cache and create `target` as a link to it; return whether that was done, else it is where it was."""
        if self.cache is not None:
            with self._without_failing("write"):
                return self.cache.add(self.parts, note, source, target, self.problems)
        return False

    def take(self) -> tuple[Path, Mapping[str, CachedFile]] | None:
        """Take the entry out of the cache; return its payload, a folder to be moved before the lock ends, and its files."""
        if self.cache is not None:
            with self._without_failing("read"):
                record = self.cache.checked(self.parts, self.problems)
                if record is not None:
                    return self.cache.detach(self.parts), record.files
        return None

    @contextmanager
    def give(self, known: Mapping[str, CachedFile]) -> Iterator[Path | None]:
        """Yield the path to which a folder can be moved, which becomes the entry's payload at the end; None without a cache.

        Its files that are as in `known` are not read again. Of two runs at once the entry with more bytes is kept.
        """
        with contextlib.ExitStack() as stack:
            folder = None
            if self.cache is not None:
                with self._without_failing("write"):
                    folder = stack.enter_context(self.cache.partial(self.parts))
            yield folder and folder / _PAYLOAD
            if self.cache is None or folder is None:
                return
            if not (folder / _PAYLOAD).exists():
                self.problems.append(self.cache.problem("write", OSError(errno.ENOSPC, "the data were not moved there completely")))
                return
            with self._without_failing("write"):
                if _payload_bytes(folder) >= _payload_bytes(self.cache.folder / cache_key(self.parts)):
                    self.cache.publish(self.parts, "", folder, known)
                self.cache.prune(self.cache.limit)

    @contextmanager
    def _without_failing(self, action: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            assert self.cache is not None
            self.problems.append(self.cache.problem(action, error))


@dataclass(frozen=True)
class SnapshotCache:
    """The cache in one folder."""

    folder: Path
    limit: int
    """Bytes that its entries may have."""

    @contextmanager
    def slot(self, parts: Mapping[str, str]) -> Iterator[CacheSlot]:
        """Yield the place of an entry once no other process reads or makes it; one without a cache if that is not possible."""
        with contextlib.ExitStack() as stack:
            try:
                self._create()
                held = stack.enter_context(self._locked(cache_key(parts), WAIT_S))
            except OSError as error:
                yield CacheSlot(problems=[self.problem("use", error)])
                return
            if not held:
                waited = f"another process has been making the same data for {WAIT_S:g} s"
                yield CacheSlot(problems=[f"{self.folder} not used: {waited}; end it if it hangs"])
                return
            yield CacheSlot(self, parts)

    def checked(self, parts: Mapping[str, str], problems: list[str]) -> CacheRecord | None:
        """Return the record of an entry whose payload is undamaged; a damaged one is deleted. For the holder of its lock."""
        folder = self.folder / cache_key(parts)
        if not folder.exists():
            return None
        try:
            record = _read_record(folder)
            files = _checked_files(folder / _PAYLOAD, record.files)
        except _DamagedError as damage:
            self._delete(folder)
            what = parts.get("name", folder.name)
            problems.append(f"{folder} ({what}) is damaged: {damage}; it was deleted and is made again")
            return None
        if files != record.files:
            _write_record(folder, msgspec.structs.replace(record, files=files))
        (folder / _USED).touch()
        return record

    def lend(self, parts: Mapping[str, str], target: Path) -> None:
        """Create a link to an entry's payload, which keeps the entry from being removed. For the holder of its lock."""
        folder = self.folder / cache_key(parts)
        target.unlink(missing_ok=True)
        pins = folder / _PINS
        pins.mkdir(exist_ok=True)
        (pins / secrets.token_hex(8)).symlink_to(target.absolute())
        target.symlink_to(folder / _PAYLOAD)

    def add(self, parts: Mapping[str, str], note: str, source: Path, target: Path, problems: list[str]) -> bool:
        """Move a file into a new entry, after removing others if there is no space, and lend it; return whether that was possible.

        For the holder of the entry's lock.
        """
        size = source.stat().st_size
        if size > self.limit:
            remedy = f"set {SIZE_VARIABLE} to more than its limit of {shown_bytes(self.limit)}"
            problems.append(f"{self.folder} cannot hold {shown_bytes(size)}; {remedy}")
            return False
        self.prune(self.limit - size)
        with self.partial(parts) as folder:
            payload = folder / _PAYLOAD
            _move(source, payload)
            try:
                payload.chmod(0o444)
                self.publish(parts, note, folder)
            except OSError:
                _move(payload, source)
                raise
        self.lend(parts, target)
        return True

    def detach(self, parts: Mapping[str, str]) -> Path:
        """Remove an entry without deleting its payload; return where that is until the lock ends. For the holder of its lock."""
        folder = self.folder / cache_key(parts)
        leaving = folder.with_name(f"{folder.name}.removed")
        shutil.rmtree(leaving, ignore_errors=True)
        return folder.rename(leaving) / _PAYLOAD

    @contextmanager
    def partial(self, parts: Mapping[str, str]) -> Iterator[Path]:
        """Yield a new folder for an entry, removed at the end unless it was published. For the holder of its lock."""
        folder = self.folder / f"{cache_key(parts)}.partial"
        shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed: its lock has ended
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, parts: Mapping[str, str], note: str, folder: Path, known: Mapping[str, CachedFile] | None = None) -> None:
        """Turn a folder with a payload into the entry of its key. Files that are as in `known` are not read again."""
        payload = folder / _PAYLOAD
        if payload.is_file():  # a record on disk must not describe content that is not; a server has synchronised its own files
            with payload.open("rb") as file:
                os.fsync(file.fileno())
        files = _described(payload, known or {})
        time.sleep(_TICK_S)
        _write_record(folder, CacheRecord(FORMAT, dict(parts), note, utc_now().timestamp(), files))
        (folder / _USED).touch()
        place = self.folder / cache_key(parts)
        self._delete(place)
        folder.rename(place)

    def entries(self) -> list[CacheEntry]:
        """Return all entries, the most recently used one first."""
        return sorted(map(_listed, self._folders()), key=lambda entry: -entry.used_at)

    def size(self) -> int:
        """Return the bytes of all entries."""
        return sum(entry.size for entry in self.entries())

    def prune(self, limit: int) -> list[CacheEntry]:
        """Remove the entries that were not used for longest until the others have at most `limit` bytes; return those removed.

        An entry that a run uses, or a process makes just now, is left.
        """
        entries, removed = self.entries(), []
        total = sum(entry.size for entry in entries)
        for entry in reversed(entries):
            if total <= limit:
                break
            with self._locked(entry.key, 0.0) as held:
                if held and not self.users(entry.key):
                    self._delete(self.folder / entry.key)
                    total -= entry.size
                    removed.append(entry)
        self._remove_leftovers()
        return removed

    def users(self, key: str) -> list[Path]:
        """Return the links of runs to an entry's payload; records of links that were removed are deleted."""
        found = []
        for pin in (self.folder / key).glob(f"{_PINS}/*"):
            link = pin.readlink()
            if os.path.lexists(link):
                found.append(link)
            else:
                pin.unlink(missing_ok=True)
        return found

    def problem(self, action: str, error: OSError) -> str:
        """Return one line about an error of the cache, with the next step."""
        is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        remedy = "free disk space or run `harness data prune`" if is_full else "make it readable and writable"
        why = f"cannot {action} it: {error.strerror or error}"
        return f"{self.folder} not used: {why}; {remedy}, or set {FOLDER_VARIABLE} to another folder or {OFF}"

    def _create(self) -> None:
        (self.folder / _LOCKS).mkdir(mode=0o700, parents=True, exist_ok=True)
        about = self.folder.stat()
        # A value of the cache is unpickled, which executes code: it must be this user's own.
        if about.st_uid != os.geteuid() or about.st_mode & stat.S_IWOTH:
            raise PermissionError(errno.EPERM, "it belongs to another user, or other users can write to it")
        tag = self.folder / "CACHEDIR.TAG"
        if not tag.exists():
            tag.write_text("Signature: 8a477f597d28d172789f06886806bc55\n# Tools for backups leave this folder out.\n")

    @contextmanager
    def _locked(self, key: str, wait_s: float) -> Iterator[bool]:
        """Yield whether the lock of a key was free within some seconds, and hold it. Some keys share one, since locks remain."""
        ends = time.monotonic() + wait_s
        with (self.folder / _LOCKS / key[:2]).open("a") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= ends:
                        yield False
                        return
                time.sleep(_POLL_S)
            yield True

    def _folders(self) -> list[Path]:
        try:
            return [found for found in self.folder.iterdir() if _KEY.fullmatch(found.name)]
        except FileNotFoundError:
            return []

    def _delete(self, folder: Path) -> None:
        """Delete an entry, which is missing from its first step on."""
        if folder.exists():
            leaving = folder.with_name(f"{folder.name}.removed")
            shutil.rmtree(leaving, ignore_errors=True)
            folder.rename(leaving)
            shutil.rmtree(leaving)

    def _remove_leftovers(self) -> None:
        """Remove folders that a process left when it was killed."""
        for left in self.folder.glob("*.*"):
            if _KEY.fullmatch(left.stem) and left.suffix in {".partial", ".removed"}:
                with self._locked(left.stem, 0.0) as held:
                    if held:
                        shutil.rmtree(left, ignore_errors=True)


def snapshot_cache() -> SnapshotCache | None:
    """Return the cache that the environment names, by default one in the user's cache folder; None if it is switched off.

    Raises UsageError if a variable has no usable value.
    """
    named = os.environ.get(FOLDER_VARIABLE, "")
    if named.lower() == OFF:
        return None
    text = os.environ.get(SIZE_VARIABLE) or DEFAULT_SIZE
    try:
        limit = byte_size(text)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"{SIZE_VARIABLE}: {error}") from error
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # there is no such user
        return None
    return SnapshotCache(Path(named).absolute() if named else home / DISTRIBUTION, limit)


@contextmanager
def cache_slot(parts: Mapping[str, str] | None) -> Iterator[CacheSlot]:
    """Yield the place of an entry; one without a cache for None, or if the cache is switched off."""
    cache = snapshot_cache() if parts is not None else None
    if cache is None or parts is None:
        yield CacheSlot()
    else:
        with cache.slot({"format": str(FORMAT), **parts}) as slot:
            yield slot


def shown_bytes(count: int) -> str:
    """Return a number of bytes with its unit, such as `1.5 GB`."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} bytes"


class _DamagedError(Exception):
    """An entry's payload or record is not what it was."""


def _read_record(folder: Path) -> CacheRecord:
    try:
        sealed = msgspec.json.decode((folder / _RECORD).read_bytes(), type=_Sealed)
        if hashlib.sha256(sealed.entry).hexdigest() != sealed.digest:
            raise _DamagedError(f"{_RECORD} was changed")
        record = msgspec.json.decode(sealed.entry, type=CacheRecord)
    except FileNotFoundError:
        raise _DamagedError(f"{_RECORD} is missing") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _DamagedError(f"{_RECORD} is cut short or was changed") from None
    if record.format != FORMAT:
        raise _DamagedError(f"{_RECORD} has another format")
    return record


def _write_record(folder: Path, record: CacheRecord) -> None:
    body = encode_json(record)
    partial = folder / f"{_RECORD}.partial"
    with partial.open("wb") as file:
        file.write(encode_json(_Sealed(hashlib.sha256(body).hexdigest(), msgspec.Raw(body))))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / _RECORD)


def _checked_files(payload: Path, known: Mapping[str, CachedFile]) -> dict[str, CachedFile]:
    """Return the files of a payload as they are; raise _DamagedError if one of them is missing, new or different."""
    found = _described(payload, known)
    for name in known.keys() ^ found.keys():
        raise _DamagedError(f"{name or _PAYLOAD} is {'missing' if name in known else 'new'}")
    for name, file in found.items():
        if file.size != known[name].size:
            raise _DamagedError(f"{name or _PAYLOAD} has {file.size:,} instead of {known[name].size:,} bytes")
        if file.digest != known[name].digest:
            raise _DamagedError(f"the digest of {name or _PAYLOAD} differs")
    return found


def _described(payload: Path, known: Mapping[str, CachedFile]) -> dict[str, CachedFile]:
    """Return the files of a payload with their digests; those that are as in `known` are not read."""
    paths = [payload] if payload.is_file() else [path for path in payload.rglob("*") if path.is_file()]
    found = {}
    for path in paths:
        name = "" if path == payload else str(path.relative_to(payload))
        before = known.get(name)
        found[name] = before if before is not None and before.is_unchanged(path.stat()) else _read_file(path)
    return found


def _read_file(path: Path) -> CachedFile:
    sha = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            sha.update(chunk)
        return CachedFile(*_stamp(os.fstat(file.fileno())), sha.hexdigest())


def _stamp(about: os.stat_result) -> tuple[int, int, int, int]:
    return about.st_size, about.st_ino, about.st_mtime_ns, about.st_ctime_ns


def _move(source: Path, target: Path) -> None:
    """Move a file, also to another file system; if that fails, it is where it was."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        try:
            shutil.copyfile(source, target)
        except OSError:
            target.unlink(missing_ok=True)
            raise
        source.unlink()


def _payload_bytes(folder: Path) -> int:
    """Return the bytes of an entry's files, 0 if there is no such entry."""
    payload = folder / _PAYLOAD
    return sum(path.stat().st_size for path in (payload, *payload.rglob("*")) if path.is_file())


def _listed(folder: Path) -> CacheEntry:
    parts: Mapping[str, str] = {}
    with contextlib.suppress(_DamagedError, OSError):
        parts = _read_record(folder).parts
    size, used_at = 0, 0.0
    with contextlib.suppress(OSError):
        size = _payload_bytes(folder)
        used_at = (folder / _USED).stat().st_mtime
    return CacheEntry(folder.name, parts, size, used_at)
