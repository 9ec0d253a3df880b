"""Fuzzing: mutations differ, crashes are counted by kind, and the readers refuse what crashed them."""

import contextlib
import json
import random
import time
from pathlib import Path

import pytest

from harness.errors import UsageError
from tools.chaos import fuzzed_readers as fuzzed
from tools.chaos.fuzzed_readers import READERS, FuzzedReader, ReaderOutcome, fuzz, mutated, section


def reader(read: object) -> FuzzedReader:
    """Return a reader of one seed."""
    return FuzzedReader("toy", read, "x.json", lambda: [b'{"a": [1, 2], "b": "text"}'])  # type: ignore[arg-type]


def test_every_way_changes_json_and_other_text() -> None:
    """Some mutations are still JSON, so that readers come further than its syntax; none fails on an empty file."""
    chance, seed = random.Random(1), b'{"a": [1, {"b": "text"}], "c": 2.5}'
    made = [mutated(seed, [seed, b"x,y\n1,2\n"], chance) for _ in range(300)]
    assert len(set(made)) > 200

    def is_json(body: bytes) -> bool:
        try:
            json.loads(body)
        except (ValueError, RecursionError):
            return False
        return True

    assert 30 < sum(map(is_json, made)) < 280
    assert all(isinstance(mutated(b"", [b""], chance), bytes) for _ in range(100))


def test_crashes_are_counted_by_kind_and_refusals_are_none(tmp_path: Path) -> None:
    """Refusals of one line are right, other exceptions and errors of several lines are not."""

    def refuse(path: Path) -> None:
        raise UsageError(f"{path} is wrong; write it again")

    found = fuzz(reader(refuse), tmp_path, 0.0)
    assert (found.files, found.refused, found.crashes) == (2, 2, [])

    def crash(path: Path) -> None:
        raise KeyError(path.read_bytes()[:3])

    assert len(fuzz(reader(crash), tmp_path, 0.0).crashes) == 1

    def chatter(_: Path) -> None:
        raise UsageError("one\ntwo")

    assert "several lines" in fuzz(reader(chatter), tmp_path, 0.0).crashes[0]


def test_a_file_that_takes_too_long_is_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the reader catches every exception."""
    monkeypatch.setattr(fuzzed, "LIMIT_S", 0.05)

    def wait(_: Path) -> None:
        with contextlib.suppress(Exception):  # as a reader may
            time.sleep(60)

    assert "longer than" in fuzz(reader(wait), tmp_path, 0.0).crashes[0]


def test_a_crash_misses_the_requirement() -> None:
    """It is a note with the reader's name; without any file nothing is shown."""
    good, bad = ReaderOutcome("good", 5, 3, 2), ReaderOutcome("bad", 5, crashes=["KeyError: 'x' in harness/x.py:3"])
    assert section([good]).is_met
    assert not section([good, bad]).is_met
    assert section([good, bad]).notes == ["bad: KeyError: 'x' in harness/x.py:3"]
    assert not section([]).is_met


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("raw samples", b"\r\n1,2\r\n"),
        ("raw samples", b"process,pair,position,arm,group,case,latency_ns\r\n1,2\r\n"),
        ("histograms", b"process,cycle,position,arm,group,kind,lower_ns,count\r\n1\r\n"),
        ("plans of targets", b'{"type": "\xff"}'),
        ("plans of targets", b"[" * 100_000),
        ("folders of gates", b'{"against": "\xff"}'),
        ("folders of gates", b'{"x": ' + b"[" * 100_000),
        ("[tool.harness]", b"[tool.harness]\nbudget = " + b"9" * 5_000),
    ],
)
def test_what_crashed_a_reader_is_refused(name: str, body: bytes, tmp_path: Path) -> None:
    """Rows that are shorter than their head, bytes that are no text, nesting, and numbers of too many digits."""
    found = next(each for each in READERS if each.name == name)
    (tmp_path / found.file).write_bytes(body)
    with pytest.raises(UsageError):
        found.read(tmp_path / found.file)


@pytest.mark.parametrize("found", READERS, ids=[each.name for each in READERS])
def test_every_reader_reads_a_seed(found: FuzzedReader, tmp_path: Path) -> None:
    """Else all that is mutated would be refused at once."""
    read = 0
    for seed in found.seeds():
        (tmp_path / found.file).write_bytes(seed)
        try:
            found.read(tmp_path / found.file)
        except UsageError:
            continue
        read += 1
    assert read
