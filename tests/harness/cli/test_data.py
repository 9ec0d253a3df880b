"""`harness data`: lists and prunes the snapshot cache, with or without a project that adds actions."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.cli import main
from harness.runtime.snapshot_cache import SnapshotCache

Refused = Callable[[Sequence[str], str], None]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SnapshotCache:
    """Return a cache with two entries, the older one larger, outside of any project."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.chdir(tmp_path)
    made = SnapshotCache(tmp_path / "cache", 10**6)
    for number, size in enumerate((3_000, 2_000), start=1):
        file = tmp_path / f"{number}.db"
        file.write_bytes(bytes(size))
        with made.slot({"name": f"shop-{number}", "engine": "sqlite", "size": "small"}) as slot:
            assert slot.store(file, tmp_path / "link", "")
        (tmp_path / "link").unlink()
    for entry in made.entries():
        used_at = 86_400 * int(entry.parts["name"][-1])
        os.utime(made.folder / entry.key / "used", (used_at, used_at))
    return made


def test_list_shows_the_entries(cache: SnapshotCache, capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its data, engine, size and last use, the latest first; then the folder, and the size with its limit."""
    assert main(["data", "list"]) == 0
    head, *rows, last = capsys.readouterr().out.splitlines()
    assert head.split() == ["entry", "engine", "size", "last", "used", "data"]
    assert [row.split()[1:] for row in rows] == [
        ["sqlite", "2", "kB", "1970-01-03", "00:00", "UTC", "shop-2", "·", "small"],
        ["sqlite", "3", "kB", "1970-01-02", "00:00", "UTC", "shop-1", "·", "small"],
    ]
    assert last == f"2 entries, 5 kB of at most 10 GB, in {cache.folder}"
    assert main(["data", "list", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [entry["parts"]["name"] for entry in printed["entries"]] == ["shop-2", "shop-1"]
    assert (printed["folder"], printed["size"], printed["limit"]) == (str(cache.folder), 5_000, 10**10)


def test_prune_removes_the_oldest_entries(cache: SnapshotCache, capsys: pytest.CaptureFixture[str]) -> None:
    """The removed ones are shown with their bytes, as far as the limit needs it; `--all` removes the rest."""
    assert main(["data", "prune"]) == 0
    assert capsys.readouterr().out == f"removed 0 entries, 0 bytes; 5 kB left in {cache.folder}\n"
    assert main(["data", "prune", "--max-size", "2kB"]) == 0
    printed = capsys.readouterr().out
    assert "shop-1" in printed
    assert "shop-2" not in printed
    assert printed.endswith(f"removed 1 entry, 3 kB; 2 kB left in {cache.folder}\n")
    assert main(["data", "prune", "--all", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert ([entry["parts"]["name"] for entry in printed["entries"]], printed["size"], printed["left"]) == (["shop-2"], 2_000, 0)
    assert cache.entries() == []


def test_prune_names_the_run_that_uses_an_entry(cache: SnapshotCache, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Such an entry is left, with the folder of the run."""
    (tmp_path / "run").mkdir()
    with cache.slot(cache.entries()[0].parts) as slot:
        assert slot.restore(tmp_path / "run" / "link") == ""
    assert main(["data", "prune", "--all"]) == 0
    *_, left, users = capsys.readouterr().out.splitlines()
    assert left == f"removed 1 entry, 3 kB; 2 kB left in {cache.folder}"
    assert users == f"in use by {tmp_path / 'run'}; prune again after these runs, or remove the folders that no run uses"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["prune", "--max-size", "lots"], "'lots' is not a number of bytes; try 500MB, 10GB or 0"),
        (["prune", "--max-size", "-1"], "'-1' is not a number of bytes"),
        (["prune", "--all", "--max-size", "1GB"], "not allowed with argument --all"),
        (["prune", "shop"], "unrecognized arguments: shop"),
        (["clear"], "unknown action 'clear'; choose from list, prune"),
        ([], "the following arguments are required: ACTION"),
    ],
)
def test_wrong_words_are_refused(cache: SnapshotCache, refused: Refused, words: Sequence[str], message: str) -> None:
    """Exit code 2, one line, and nothing is removed."""
    refused(["data", *words], message)
    assert len(cache.entries()) == 2


def test_a_cache_that_is_off_is_refused(monkeypatch: pytest.MonkeyPatch, refused: Refused) -> None:
    """The variable is named; so it is for a limit that is not a size."""
    monkeypatch.setenv("HARNESS_CACHE", "off")
    refused(["data", "list"], "the snapshot cache is switched off (HARNESS_CACHE=off); unset HARNESS_CACHE")
    monkeypatch.setenv("HARNESS_CACHE", "/elsewhere")
    monkeypatch.setenv("HARNESS_CACHE_SIZE", "lots")
    refused(["data", "prune"], "HARNESS_CACHE_SIZE: 'lots' is not a number of bytes")


def test_a_missing_folder_is_an_empty_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is created by looking."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "none"))
    for action in ("list", "prune"):
        assert main(["data", action]) == 0
        assert "0 entries, 0 bytes" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()
