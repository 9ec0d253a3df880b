"""Any file: recognised by its content and read, or refused in one line."""

import gzip
import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import importers
from harness.errors import HarnessError, UsageError
from harness.gate.result_files import side_by_side
from harness.importers import content
from harness.importers.reading import Reading
from harness.results.compressed import MAX_BYTES
from harness.results.run import Run
from harness.results.store import read_run, write_run
from harness.version import version

FIXTURES = Path(__file__).parent / "fixtures"
SHAPES = sorted(path.name for path in FIXTURES.iterdir() if "history" not in path.name)
"""Files that have times."""
Shape = Callable[[str], Path]
Written = Callable[[str | bytes], Path]


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_is_recognised_whatever_its_name(name: str, written: Written) -> None:
    """A file copied under a neutral name gives the same times, and warnings about its format."""
    copy = written((FIXTURES / name).read_bytes())
    found, original = importers.reading(copy), importers.reading(FIXTURES / name)
    assert [t.name for t in found.timings] == [t.name for t in original.timings]
    assert found.format == original.format
    assert found.warnings
    assert all(t.median_ns >= 0 and t.min_ns <= t.median_ns <= t.max_ns for t in found.timings)


@pytest.mark.parametrize("name", SHAPES)
def test_a_file_is_a_run_that_is_read_back_as_it_was_written(name: str, tmp_path: Path) -> None:
    """It has one arm, and one latency per benchmark."""
    run = importers.read(FIXTURES / name)
    assert run.kind == "file"
    assert len(run.scenarios[0].latencies) == len(importers.reading(FIXTURES / name).timings)
    write_run(run, tmp_path)
    assert read_run(tmp_path) == importers.read(tmp_path) == importers.read(tmp_path / "run.json") == run


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("", "is empty"),
        (" \n\t\n", "is empty"),
        ("{", "is truncated at byte 1"),
        ('{"benchmarks": [{"stats": {"min": 1.0', "is truncated at byte 37"),
        ('{"benchmarks": [{"stats": {"min": 1.0}},]}', "is not valid JSON (JSON is malformed: trailing comma in array (byte 40))"),
        ("[" * 100_000, "is not valid JSON"),
        ('{"a":' * 5_000, "is not valid JSON"),
        ("{'benchmarks': []}", "is a Python object that was printed"),
        ('{"a": 1}\n{"b": 2}\n', "has several JSON documents, the next one from byte 9 on"),
        ('{"a": 1} done', "has text after the JSON, from byte 9 on: 'done'"),
        ('start\n{"a": 1}\n', "has text before the JSON (line 1): 'start'"),
        ('[INFO] one\n[INFO] two\n{"a": [1]}', "has text before the JSON (lines 1 to 2): '[INFO] one'"),
        ('data = {"a": 1}', "has text before the JSON (line 1): 'data ='"),
        ('start\n{"a": 1}\nend', "has text before the JSON (line 1): 'start'"),
        ('"{\\"a\\": 1}"', "is a JSON string that holds JSON"),
        ("'{\"a\": 1}'", "is a JSON string that holds JSON"),
        ("[]", "has an unknown format"),
        ("{}", "has an unknown format"),
        ("hello, instance\n1,2\n", "has an unknown format"),
        ("\x00\x01", "has null characters"),
        ('{"benchmarks": [{"name": "a", "stats": {"median": NaN}}]}', "'a' has the median NaN, which is not a number"),
        ('{"benchmarks": [{"name": "a", "stats": {"data": [1.0, -Infinity]}}]}', "'a' has the round -Infinity"),
        ('{"benchmarks": [{"name": "a", "stats": {"min": 1e999}}]}', "Number out of range"),
        ('{"benchmarks": []}'.encode("utf-16"), "has an unknown format"),
        ('{"benchmarks": []}'.encode("utf-16")[:-1], "is UTF-16 text that is cut short or damaged"),
        ('{"benchmarks": []}'.encode("utf-16-le"), "has an unknown format"),
        ('{"benchmarks": []}'.encode("utf-32"), "has an unknown format"),
        (b'{"benchmarks": "\xff\xfe"}', "is not UTF-8 text (invalid start byte at byte 16)"),
        (b"a,b\n\0\0", "has null characters and is not text"),
        (gzip.compress(b"[]", mtime=0) + b"more", "has 4 bytes after its compressed content"),
        ('{"schema_version": 99}', f"(schema 99); this is {version()}, which reads schema 2"),
        ('{"schema_version": 2}', "is not a whole run"),
        ('{"context": {}, "benchmarks": [{"name": "BM_x", "real_time": 1.0}]}', "is Google Benchmark's JSON"),
        (b"\x1f\x8b\x08rubbish", "cannot be decompressed"),
        (gzip.compress(b'{"benchmarks": []}' * 100, mtime=0)[:-9], "is truncated"),
    ],
)
def test_an_unreadable_file_is_refused_in_one_line(body: str | bytes, complaint: str, written: Written) -> None:
    """The line names the file and the problem."""
    path = written(body)
    with pytest.raises(UsageError) as refused:
        importers.reading(path)
    message = str(refused.value)
    assert complaint in message
    assert str(path) in message
    assert "\n" not in message


def test_no_such_file_and_no_such_run_are_refused(tmp_path: Path) -> None:
    """So are an invalid path, a folder without a run, and a file that is not a regular file."""
    os.mkfifo(tmp_path / "pipe")
    for path, complaint in [
        (tmp_path / "missing.json", "cannot read"),
        (tmp_path, "is a folder without a run.json"),
        (Path("null\0character"), "cannot read"),
        (tmp_path / "pipe", "is not a regular file"),
    ]:
        with pytest.raises(UsageError, match=complaint):
            importers.read(path)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """Its size is enough; this one has no bytes on disk."""
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(UsageError, match="more than the limit of 512 MB"):
        importers.read(path)


def test_a_small_file_that_decompresses_to_a_huge_one_is_refused(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most the limit is decompressed."""
    monkeypatch.setattr(content, "MAX_BYTES", 10_000)
    with pytest.raises(UsageError, match="decompresses to more than"):
        importers.read(written(gzip.compress(b"[" + b" " * 1_000_000)))


def figures(found: Reading) -> list[tuple[str, float, float]]:
    """Return the name, median and maximum of every benchmark."""
    return [(timing.name, timing.median_ns, timing.max_ns) for timing in found.timings]


def test_a_compressed_file_is_decompressed(written: Written) -> None:
    """This holds for the files of every tool, and for files in several parts."""
    for name in SHAPES:
        body = (FIXTURES / name).read_bytes()
        both = gzip.compress(body[:50], mtime=0) + gzip.compress(body[50:], mtime=0)
        assert figures(importers.reading(written(both))) == figures(importers.reading(FIXTURES / name))


def test_a_file_that_grows_while_it_is_read_is_refused(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its content would be inconsistent."""
    path = written((FIXTURES / "hyperfine-1.0.json").read_bytes())
    read = Path.open

    def open_and_write(self: Path, *args: object, **kwargs: object) -> object:
        with read(path, "ab") as writer:
            writer.write(b" ")
        return read(self, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", open_and_write)
    with pytest.raises(UsageError, match="changed while it was read"):
        importers.read(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_with_and_without_a_byte_order_mark_are_read(encoding: str, written: Written) -> None:
    """A spreadsheet and PowerShell write UTF-16, and an editor a mark before UTF-8."""
    for name in SHAPES:
        body = (FIXTURES / name).read_text("utf-8").encode(encoding)
        assert figures(importers.reading(written(body))) == figures(importers.reading(FIXTURES / name))


def read_or_line(path: Path) -> Run | str:
    """Return the run that is read from a file, or the error message; other errors are propagated."""
    try:
        return importers.read(path)
    except HarnessError as error:
        return str(error)


def mutated(body: bytes, seed: int) -> bytes:
    """Return `body` with a few typical corruptions: bytes deleted, repeated, replaced, or truncated."""
    chance = random.Random(seed)
    corrupt = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randrange(len(corrupt) + 1), chance.choice([1, 1, 2, 8, 60])
        kind = chance.randrange(5)
        if kind == 0:
            del corrupt[at : at + length]
        elif kind == 1:
            corrupt[at:at] = corrupt[at : at + length]
        elif kind == 2:
            corrupt[at : at + length] = bytes(chance.randrange(256) for _ in range(length))
        elif kind == 3:
            corrupt[at : at + 1] = chance.choice(
                [b"-", b"0", b"9" * 30, b"e9", b'"', b"null", b"[]", b"{}", b",", b"\n", b"true", b"1.5"]
            )
        else:
            del corrupt[at:]
    return bytes(corrupt)


@given(seed=st.integers(0, 2**32), name=st.sampled_from(SHAPES))
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_corrupt_file_is_a_run_or_one_line(seed: int, name: str, written: Written) -> None:
    """It never raises another error, and never a message of several lines."""
    path = written(mutated((FIXTURES / name).read_bytes(), seed))
    found = read_or_line(path)
    if isinstance(found, Run):
        assert msgspec.json.decode(msgspec.json.encode(found), type=Run) == found
        if found.scenarios[0].latencies:
            assert side_by_side(importers.reading(path), importers.reading(path)).run.scenarios[0].verdicts
        assert all(x.min_ns >= 0 and x.group.isprintable() for x in found.scenarios[0].latencies)
    else:
        assert "\n" not in found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(data=st.data(), name=st.sampled_from([name for name in SHAPES if name.endswith(".json")]))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_member_of_another_type_is_a_run_or_one_line(data: st.DataObject, name: str, written: Written) -> None:
    """Any member of any object may have any JSON type."""
    document = json.loads((FIXTURES / name).read_bytes())
    place = document
    for _ in range(data.draw(st.integers(0, 4))):
        nested = [
            child for child in (place.values() if isinstance(place, dict) else place) if isinstance(child, dict | list) and child
        ]
        if not nested:
            break
        place = data.draw(st.sampled_from(nested))
    key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
    place[key] = data.draw(JSON)
    found = read_or_line(written(json.dumps(document)))
    assert isinstance(found, Run) or "\n" not in found
