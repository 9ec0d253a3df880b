"""The snapshot cache: shared by several runs, checked, bounded, and never a reason for a run to fail."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.runtime import snapshot_cache
from harness.runtime.snapshot_cache import CachedFile, CacheSlot, SnapshotCache, cache_key, cache_slot, shown_bytes

PARTS = {"name": "shop", "seed": "0"}
CONTENT = bytes(range(256)) * 40
ROOT = Path(__file__).parents[3]
texts = st.dictionaries(st.text(max_size=6), st.text(max_size=6), min_size=1, max_size=5)


@pytest.fixture
def cache(tmp_path: Path) -> SnapshotCache:
    """Return an empty cache."""
    return SnapshotCache(tmp_path / "cache", 100_000)


def fill(cache: SnapshotCache, folder: Path, parts: Mapping[str, str] = PARTS, content: bytes = CONTENT) -> list[str]:
    """Make an entry from a file in a run's folder, and end that run; return the problems."""
    folder.mkdir(exist_ok=True)
    (folder / "made.db").write_bytes(content)
    with cache.slot(parts) as slot:
        if slot.store(folder / "made.db", folder / "link", "a note"):
            (folder / "link").unlink()
        return slot.problems


def restored(cache: SnapshotCache, target: Path, parts: Mapping[str, str] = PARTS) -> tuple[str | None, list[str]]:
    """Return the note of an entry that is restored to `target`, and the problems."""
    with cache.slot(parts) as slot:
        return slot.restore(target), slot.problems


def payload(cache: SnapshotCache, parts: Mapping[str, str] = PARTS) -> Path:
    """Return the file of an entry."""
    return cache.folder / cache_key(parts) / "payload"


def test_an_entry_is_restored_as_a_link(cache: SnapshotCache, tmp_path: Path) -> None:
    """Its content and note are those that were stored, and the file that was stored is in the cache alone."""
    assert restored(cache, tmp_path / "link") == (None, [])
    assert fill(cache, tmp_path / "run") == []
    assert not list((tmp_path / "run").iterdir())
    assert restored(cache, tmp_path / "link") == ("a note", [])
    assert (tmp_path / "link").read_bytes() == CONTENT
    assert payload(cache).stat().st_mode & 0o222 == 0


@given(texts, texts)
def test_parts_that_differ_have_different_keys(one: dict[str, str], other: dict[str, str]) -> None:
    """Equal parts in another order have the same key; any name or value that differs, is missing or is new gives another one."""
    assert (cache_key(one) == cache_key(other)) == (one == other)
    assert cache_key(dict(reversed(one.items()))) == cache_key(one)


@given(texts, st.data())
def test_each_part_belongs_to_the_key(parts: dict[str, str], data: st.DataObject) -> None:
    """A change of a single part, however small, leads to another key."""
    name = data.draw(st.sampled_from(sorted(parts)))
    assert cache_key({**parts, name: parts[name] + "x"}) != cache_key(parts)
    assert cache_key({key: value for key, value in parts.items() if key != name}) != cache_key(parts)


def edit_byte(cache: SnapshotCache) -> None:
    """Change a byte, and pretend that the file was not written since."""
    file = payload(cache)
    before = file.stat()
    file.chmod(0o644)
    with file.open("r+b") as opened:
        opened.seek(100)
        opened.write(b"x")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def cut_short(cache: SnapshotCache) -> None:
    """Truncate the payload."""
    payload(cache).chmod(0o644)
    os.truncate(payload(cache), 1000)


def remove_payload(cache: SnapshotCache) -> None:
    """Delete the payload."""
    payload(cache).unlink()


def edit_note(cache: SnapshotCache) -> None:
    """Change the note in the record, which remains valid JSON."""
    record = payload(cache).with_name("entry.json")
    record.write_text(record.read_text().replace("a note", "a lie!"))


def cut_record(cache: SnapshotCache) -> None:
    """Truncate the record."""
    record = payload(cache).with_name("entry.json")
    record.write_bytes(record.read_bytes()[:100])


def remove_record(cache: SnapshotCache) -> None:
    """Delete the record."""
    payload(cache).with_name("entry.json").unlink()


def other_json(cache: SnapshotCache) -> None:
    """Replace the record by other JSON."""
    payload(cache).with_name("entry.json").write_text(json.dumps([1, 2]))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (edit_byte, "the digest of payload differs"),
        (cut_short, "payload has 1,000 instead of 10,240 bytes"),
        (remove_payload, "payload is missing"),
        (edit_note, "entry.json was changed"),
        (cut_record, "entry.json is cut short or was changed"),
        (remove_record, "entry.json is missing"),
        (other_json, "entry.json is cut short or was changed"),
    ],
)
def test_a_damaged_entry_is_named_and_made_again(
    cache: SnapshotCache, tmp_path: Path, damage: Callable[[SnapshotCache], None], reason: str
) -> None:
    """One line names the entry and the damage; the entry is deleted, and the next one is intact."""
    fill(cache, tmp_path / "run")
    damage(cache)
    note, (problem,) = restored(cache, tmp_path / "link")
    assert note is None
    assert problem == f"{payload(cache).parent} (shop) is damaged: {reason}; it was deleted and is made again"
    assert cache.entries() == []
    assert fill(cache, tmp_path / "again") == []
    assert restored(cache, tmp_path / "link") == ("a note", [])


def test_an_unchanged_payload_is_not_read_again(cache: SnapshotCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check costs the same at any size, until a property of the file changes: then the digest is compared once more."""
    fill(cache, tmp_path / "run")
    read: list[Path] = []
    original = snapshot_cache._read_file

    def reading(path: Path) -> CachedFile:
        read.append(path)
        return original(path)

    monkeypatch.setattr(snapshot_cache, "_read_file", reading)
    for _ in range(2):
        assert restored(cache, tmp_path / "link") == ("a note", [])
    assert read == []
    payload(cache).touch()
    for _ in range(2):
        assert restored(cache, tmp_path / "link") == ("a note", [])
    assert read == [payload(cache)]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("place", ["_write_record", "_read_file"])
def test_a_cache_that_cannot_be_written_costs_nothing(
    cache: SnapshotCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, place: str
) -> None:
    """The file stays where it was made, one line says why and what to do, and nothing is left in the cache."""

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(snapshot_cache, place, fail)
    (problem,) = fill(cache, tmp_path / "run")
    assert problem.startswith(f"{cache.folder} not used: cannot write it: {os.strerror(code)}; ")
    assert ("free disk space or run `harness data prune`" in problem) == (code in {errno.ENOSPC, errno.EDQUOT})
    assert "or set HARNESS_CACHE to another folder or off" in problem
    assert (tmp_path / "run" / "made.db").read_bytes() == CONTENT
    assert not list(cache.folder.glob("*.*l"))
    assert cache.entries() == []


@pytest.mark.parametrize("kind", ["file", "link", "others"])
def test_a_folder_that_cannot_be_the_cache_costs_nothing(tmp_path: Path, kind: str) -> None:
    """A file or a dangling link in its place, or a folder that other users may write: the run goes on without a cache."""
    place = tmp_path / "cache"
    if kind == "file":
        place.write_text("something else")
    elif kind == "link":
        place.symlink_to(tmp_path / "nowhere" / "cache")
        (tmp_path / "nowhere").write_text("")
    else:
        place.mkdir()
        place.chmod(0o777)
    (problem,) = fill(SnapshotCache(place, 100_000), tmp_path / "run")
    assert problem.startswith(f"{place} not used: cannot use it: ")
    assert (tmp_path / "run" / "made.db").read_bytes() == CONTENT


def test_entries_that_were_not_used_for_longest_are_removed_first(cache: SnapshotCache, tmp_path: Path) -> None:
    """The cache stays within its limit, and an entry larger than the limit is not kept."""
    for number in range(12):
        fill(cache, tmp_path / "run", {"number": str(number)})
        os.utime(payload(cache, {"number": str(number)}).with_name("used"), (number, number))
        if number == 5:
            restored(cache, tmp_path / "link", {"number": "0"})
            (tmp_path / "link").unlink()
    assert cache.size() <= cache.limit
    kept = {entry.parts["number"] for entry in cache.entries()}
    assert "0" in kept
    assert kept == {"0", *(str(number) for number in range(4, 12))}
    (problem,) = fill(cache, tmp_path / "run", content=bytes(200_000))
    assert problem == f"{cache.folder} cannot hold 200 kB; set HARNESS_CACHE_SIZE to more than its limit of 100 kB"


def test_an_entry_in_use_is_not_removed(cache: SnapshotCache, tmp_path: Path) -> None:
    """Neither one that a run has a link to, nor one whose lock a process holds; both are removed afterwards."""
    for number in "12":
        fill(cache, tmp_path / "run", {"number": number})
    restored(cache, tmp_path / "link", {"number": "1"})
    with cache.slot({"number": "2"}):
        assert cache.prune(0) == []
    assert [entry.parts for entry in cache.prune(0)] == [{"number": "2"}]
    assert cache.users(cache_key({"number": "1"})) == [tmp_path / "link"]
    (tmp_path / "link").unlink()
    assert [entry.parts for entry in cache.prune(0)] == [{"number": "1"}]


def test_entries_that_cannot_be_read_are_listed_and_pruned(cache: SnapshotCache, tmp_path: Path) -> None:
    """A listing names them by their key; other files in the folder are left alone."""
    fill(cache, tmp_path / "run")
    cut_record(cache)
    (cache.folder / "mine.txt").write_text("keep")
    (entry,) = cache.entries()
    assert (entry.key, entry.parts, entry.size) == (cache_key(PARTS), {}, len(CONTENT))
    assert cache.prune(0) == [entry]
    assert (cache.folder / "mine.txt").exists()


FILLER = """
import sys, time
from pathlib import Path
from harness.runtime.snapshot_cache import SnapshotCache
cache, folder = SnapshotCache(Path(sys.argv[1]), 10**6), Path(sys.argv[2])
folder.mkdir()
with cache.slot({"name": "shop"}) as slot:
    note = slot.restore(folder / "link")
    if note is None:
        print("fills", flush=True)
        time.sleep(0.3)
        (folder / "made.db").write_bytes(bytes(50_000))
        slot.store(folder / "made.db", folder / "link", "note")
    print(len((folder / "link").read_bytes()), slot.problems)
"""
KILLED = """
import os, signal, sys
from pathlib import Path
from harness.runtime import snapshot_cache
snapshot_cache._write_record = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
cache, folder = snapshot_cache.SnapshotCache(Path(sys.argv[1]), 10**6), Path(sys.argv[2])
folder.mkdir()
(folder / "made.db").write_bytes(bytes(50_000))
with cache.slot({"name": "shop"}) as slot:
    slot.store(folder / "made.db", folder / "link", "note")
"""


def start(program: str, *arguments: Path) -> "subprocess.Popen[str]":
    """Start a process with this program."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_two_runs_at_once_share_one_filling(tmp_path: Path) -> None:
    """One of them makes the entry while the others wait, and all have the whole of it."""
    runs = [start(FILLER, tmp_path / "cache", tmp_path / f"run{number}") for number in range(3)]
    printed = [run.communicate(timeout=60)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert sorted(printed) == ["50000 []\n", "50000 []\n", "fills\n50000 []\n"]


def test_a_process_killed_while_it_writes_leaves_no_entry(tmp_path: Path) -> None:
    """Its lock ends with it, and its half of an entry is neither read nor left."""
    killed = start(KILLED, tmp_path / "cache", tmp_path / "killed")
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    cache = SnapshotCache(tmp_path / "cache", 10**6)
    assert [each.suffix for each in cache.folder.glob("*.partial")] == [".partial"]
    assert cache.entries() == []
    done = start(FILLER, tmp_path / "cache", tmp_path / "next")
    assert done.communicate(timeout=60)[0] == "fills\n50000 []\n"
    assert list(cache.folder.glob("*.partial")) == []


def test_pruning_removes_what_a_killed_process_left(tmp_path: Path) -> None:
    """Half an entry, or one that was half deleted, is removed without being listed."""
    cache = SnapshotCache(tmp_path / "cache", 10**6)
    fill(cache, tmp_path / "run")
    key = cache_key(PARTS)
    for ending in ("partial", "removed"):
        (cache.folder / f"{'0' * 32}.{ending}").mkdir()
    assert [entry.key for entry in cache.prune(10**6)] == []
    assert sorted(each.name for each in cache.folder.glob("*0*")) == ([key] if "0" in key else [])


def test_a_process_that_hangs_with_the_lock_is_not_waited_for_forever(
    cache: SnapshotCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the timeout the run goes on without the cache, and says so."""
    monkeypatch.setattr(snapshot_cache, "WAIT_S", 0.1)
    with cache.slot(PARTS):
        (problem,) = fill(cache, tmp_path / "run")
    assert problem.endswith("another process has been making the same data for 0.1 s; end it if it hangs")
    assert (tmp_path / "run" / "made.db").exists()


def test_another_file_system_gets_a_copy(cache: SnapshotCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be renamed into the cache is copied, and a disk that fills up meanwhile leaves it where it was."""

    @contextmanager
    def apart() -> Iterator[None]:
        original = Path.rename

        def rename(source: Path, target: Path) -> Path:
            if "payload" in (source.name, target.name):
                raise OSError(errno.EXDEV, "Invalid cross-device link")
            return original(source, target)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "rename", rename)
            yield

    with apart():
        assert fill(cache, tmp_path / "run") == []
        assert restored(cache, tmp_path / "link") == ("a note", [])

        def full(_source: object, target: Path) -> None:
            target.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(shutil, "copyfile", full)
        (problem,) = fill(cache, tmp_path / "run", {"name": "other"})
    assert "No space left on device; free disk space or run `harness data prune`" in problem
    assert (tmp_path / "run" / "made.db").read_bytes() == CONTENT
    assert len(cache.entries()) == 1


def give(cache: SnapshotCache, content: bytes, folder: Path, *, moved: bool = True) -> list[str]:
    """Move a folder with two files into the cache; return the problems."""
    (folder / "base").mkdir(parents=True)
    (folder / "base" / "1").write_bytes(content)
    (folder / "base" / "2").write_bytes(CONTENT)
    with cache.slot(PARTS) as slot:
        with slot.give({}) as target:
            assert target is not None
            if moved:
                shutil.move(folder, target)
        return slot.problems


def taken(cache: SnapshotCache, target: Path) -> tuple[bytes | None, list[str]]:
    """Take the folder out of the cache; return the content of its first file, and the problems."""
    with cache.slot(PARTS) as slot:
        found = slot.take()
        if found is None:
            return None, slot.problems
        shutil.move(found[0], target)
        return (target / "base" / "1").read_bytes(), slot.problems


def test_a_folder_is_taken_by_one_process_and_given_back(cache: SnapshotCache, tmp_path: Path) -> None:
    """While it is out there is no entry; of two that are given back the larger one stays."""
    assert taken(cache, tmp_path / "none") == (None, [])
    assert give(cache, b"first", tmp_path / "1") == []
    assert taken(cache, tmp_path / "out") == (b"first", [])
    assert taken(cache, tmp_path / "other") == (None, [])
    assert cache.entries() == []
    assert give(cache, b"large", tmp_path / "2") == []
    assert give(cache, b"less", tmp_path / "3") == []
    assert taken(cache, tmp_path / "again") == (b"large", [])


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("1", b"fir", "base/1 has 3 instead of 5 bytes"),
        ("1", b"forst", "the digest of base/1 differs"),
        ("1", None, "base/1 is missing"),
        ("3", b"", "base/3 is new"),
    ],
)
def test_a_damaged_folder_is_named_and_not_taken(
    cache: SnapshotCache, tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    """The line has the file."""
    give(cache, b"first", tmp_path / "1")
    file = payload(cache) / "base" / name
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    found, (problem,) = taken(cache, tmp_path / "out")
    assert found is None
    assert problem == f"{payload(cache).parent} (shop) is damaged: {reason}; it was deleted and is made again"


def test_a_folder_that_was_not_moved_completely_is_no_entry(cache: SnapshotCache, tmp_path: Path) -> None:
    """As on a full disk: one line, and nothing is left."""
    (problem,) = give(cache, b"first", tmp_path / "1", moved=False)
    assert "the data were not moved there completely; free disk space or run `harness data prune`" in problem
    assert cache.entries() == []
    assert not list(cache.folder.glob("*.partial"))


@pytest.mark.parametrize(
    ("variables", "folder", "limit"),
    [
        ({}, "home/.cache/advice-on-trial", 10**10),
        ({"XDG_CACHE_HOME": "xdg"}, "xdg/advice-on-trial", 10**10),
        ({"HARNESS_CACHE": "mine", "HARNESS_CACHE_SIZE": "1.5GB"}, "mine", 1_500_000_000),
    ],
)
def test_the_environment_names_the_folder_and_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: str, limit: int
) -> None:
    """The default is the user's cache folder."""
    for name in ("XDG_CACHE_HOME", "HARNESS_CACHE", "HARNESS_CACHE_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value if name.endswith("SIZE") else str(tmp_path / value))
    assert snapshot_cache.snapshot_cache() == SnapshotCache(tmp_path / folder, limit)


def test_the_cache_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nothing is found and nothing is kept; so it is for values whose parts are not known."""
    monkeypatch.setenv("HARNESS_CACHE", "off")
    with cache_slot(PARTS) as slot:
        assert slot == CacheSlot()
    monkeypatch.delenv("HARNESS_CACHE")
    with cache_slot(None) as slot:
        assert slot == CacheSlot()


def test_a_limit_that_is_not_a_size_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is named, with an example."""
    monkeypatch.setenv("HARNESS_CACHE_SIZE", "lots")
    with pytest.raises(UsageError, match="HARNESS_CACHE_SIZE: 'lots' is not a number of bytes; try 500MB, 10GB or 0"):
        snapshot_cache.snapshot_cache()


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 bytes"), (999, "999 bytes"), (1_000, "1 kB"), (1_462_243_328, "1.46 GB"), (2_500_000, "2.5 MB")]
)
def test_bytes_are_shown_with_their_unit(count: int, shown: str) -> None:
    """Three digits and a decimal unit."""
    assert shown_bytes(count) == shown
