"""The run file: what is written is read back, and what is no run is refused in one line."""

import errno
import gzip
import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.results.run import (
    Ablation,
    Gain,
    GainSum,
    Interaction,
    Run,
    RunKind,
    RunSettings,
    ScenarioResult,
    ScenarioStatus,
    Slot,
    SwitchGain,
)
from harness.results.store import (
    COMPRESSED_RUN_FILE,
    HISTOGRAM_COLUMNS,
    REVIEW_FILE,
    SAMPLE_COLUMNS,
    read_histograms,
    read_review,
    read_run,
    read_samples,
    run_file,
    schema_of,
    write_bytes,
    write_histograms,
    write_run,
    write_samples,
)
from harness.version import version


def a_run(name: str = "demo") -> Run:
    """Return a run without scenarios."""
    settings = RunSettings(["sqlite"], "tiny", 0, [0.0], quick=True, processes=3, budget_s=1.0)
    return Run(
        schema_version=2,
        kind=RunKind.PAIRS,
        name=name,
        started_at="2026-01-01T00:00:00+00:00",
        finished_at=None,
        command="harness run all",
        commit="abc",
        dirty=False,
        interrupted=False,
        settings=settings,
        environment={"python": "x"},
    )


def test_a_run_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """A folder and its run.json mean the same run."""
    file = write_run(a_run(), tmp_path / "deep" / "run")
    assert read_run(file) == read_run(file.parent) == a_run()


def test_a_compressed_run_is_read_like_the_run_itself(tmp_path: Path) -> None:
    """A published folder has its run compressed; where both files are there, the plain one counts."""
    plain = write_run(a_run(), tmp_path / "plain")
    folder = tmp_path / "published"
    folder.mkdir()
    file = folder / COMPRESSED_RUN_FILE
    file.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_run(folder) == read_run(file) == a_run()
    assert run_file(folder) == file
    write_run(a_run("newer"), folder)
    assert read_run(folder) == a_run("newer")


def test_a_truncated_compressed_run_is_refused(tmp_path: Path) -> None:
    """The file is named, and there is no traceback."""
    file = tmp_path / COMPRESSED_RUN_FILE
    file.write_bytes(gzip.compress(write_run(a_run(), tmp_path / "plain").read_bytes())[:-20])
    with pytest.raises(UsageError, match=r"run\.json\.gz is truncated"):
        read_run(tmp_path)
    assert schema_of(tmp_path) is None


def test_a_run_from_before_there_were_ablations_is_read(tmp_path: Path) -> None:
    """What an older version did not write stands there as nothing found."""
    result = ScenarioResult("toy", "Toy", "Toy.", "toy.py", "sqlite", 0.0, ScenarioStatus.OK)
    file = write_run(replace(a_run(), scenarios=[result]), tmp_path)
    old = json.loads(file.read_bytes())
    del old["scenarios"][0]["ablation"]
    file.write_text(json.dumps(old))
    assert read_run(file).scenarios == [result]


def test_an_ablation_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """Gains with and without intervals survive, and so do places that are shared or unknown."""
    gain, bare = Gain(2.0, 1.9, 2.1, [1.9, 2.1], 0.01), Gain(1.0, None, None, [1.0])
    switches = [
        SwitchGain("a", "x", gain, gain, gain, Interaction.ADDS_UP, 1, 2),
        SwitchGain("b", "y", bare, bare, bare, Interaction.INCONCLUSIVE),
    ]
    found = Ablation("g", 9, switches, gain, gain, bare, GainSum.INCONCLUSIVE)
    result = ScenarioResult("toy", "Toy", "Toy.", "toy.py", "sqlite", 0.0, ScenarioStatus.OK, ablation=[found])
    run = replace(a_run(), scenarios=[result])
    assert read_run(write_run(run, tmp_path)) == run


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "is not valid JSON, or was cut off"),
        (b"not json", "is not valid JSON, or was cut off"),
        (b"\xff\xfe\x00", "is not valid JSON, or was cut off"),
        (b"[" * 100_000, "is not"),
        (b"[]", "is not a run of this harness"),
        (b'{"benchmarks": []}', "is not a run of this harness"),
        (b'{"schema_version": "one"}', "is not a run of this harness"),
        (
            b'{"schema_version": 99}',
            f"(schema 99); this is {version()}, which reads schema 2; upgrade: pip install",
        ),
        (
            b'{"schema_version": 1}',
            f"by advice-on-trial before its first release (schema 1); this is {version()}, which reads schema 2; run it again",
        ),
        (b'{"schema_version": 3, "harness_version": "0.3.1"}', "was written by advice-on-trial 0.3.1 (schema 3)"),
        (b'{"schema_version": 2}', "is not a whole run"),
    ],
)
def test_what_is_no_run_is_refused_in_one_line(tmp_path: Path, body: bytes, complaint: str) -> None:
    """The line names the file, what is wrong with it, and what to do."""
    file = tmp_path / "run.json"
    file.write_bytes(body)
    with pytest.raises(UsageError) as refused:
        read_run(file)
    assert str(file) in str(refused.value)
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


@given(cut=st.integers(min_value=1, max_value=200))
def test_a_run_cut_short_anywhere_is_refused(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """No truncated file passes for a run."""
    file = write_run(a_run(), tmp_path_factory.mktemp("run"))
    body = file.read_bytes()
    file.write_bytes(body[: -min(cut, len(body))])
    with pytest.raises(UsageError):
        read_run(file)


def test_a_missing_run_is_refused(tmp_path: Path) -> None:
    """A folder that holds no run says so."""
    with pytest.raises(UsageError, match="cannot read"):
        read_run(tmp_path)


def test_a_full_disk_leaves_the_last_good_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk is full, the old file stays, no part-written file is left, and one line says so."""
    file = write_run(a_run("first"), tmp_path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UsageError, match="No space left on device; choose another folder with --out"):
        write_run(a_run("second"), tmp_path)
    assert read_run(file).name == "first"
    assert [f.name for f in tmp_path.iterdir()] == ["run.json"]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """A path below a file is no folder."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        write_run(a_run(), tmp_path / "file" / "run")


@given(
    cases=st.lists(
        st.tuples(
            st.integers(0, 9),
            st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])),
            st.lists(st.integers(0, 2**62), max_size=3),
        ),
        max_size=20,
    )
)
def test_samples_are_read_back_whatever_the_case_is_called(
    tmp_path_factory: pytest.TempPathFactory, cases: list[tuple[int, str, list[int]]]
) -> None:
    """Quotes, commas and Japanese in a case's name survive, and there is a row per operation of a slot."""
    slots = [Slot(process, 1, 0, "baseline", "group", case, times_ns) for process, case, times_ns in cases]
    file = tmp_path_factory.mktemp("samples") / "s.csv"
    write_samples(slots, file)
    rows = zip(*(column.tolist() for column in read_samples(file).values()), strict=True)
    assert list(rows) == [(process, 1, 0, "baseline", "group", case, ns) for process, case, times_ns in cases for ns in times_ns]


@pytest.mark.parametrize("text", ["a,b\n1,2\n", f"{','.join(SAMPLE_COLUMNS)}\n1,1,0,baseline,g,{'x' * 200_000},5\n"])
def test_a_file_that_holds_no_samples_is_refused(tmp_path: Path, text: str) -> None:
    """Missing columns, and a field that is longer than the csv module reads, are an error that names the file."""
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(UsageError, match="cannot read the samples"):
        read_samples(tmp_path / "s.csv")


HISTOGRAMS = [
    (1, 0, 0, "baseline", "read", "response", 1024, 3),
    (1, 0, 1, "optimised", "NA", "service", 2**62, 1),
    (2, 1, 0, "baseline", 'a "quoted", group', "queue", 0, 2),
]


def test_written_rows_are_read_back(tmp_path: Path) -> None:
    """Rows come back with the same values and types; a group called NA stays a group."""
    path = tmp_path / "samples" / "indexes.csv"
    write_histograms(HISTOGRAMS, path)
    found = read_histograms(path)
    assert tuple(found) == HISTOGRAM_COLUMNS
    assert list(zip(*(column.tolist() for column in found.values()), strict=True)) == HISTOGRAMS


@pytest.mark.parametrize("text", ["", "process,pair\n1,2\n", ",".join(HISTOGRAM_COLUMNS) + "\n0,0,0,a,g,response,many,1\n"])
def test_invalid_file_is_rejected(tmp_path: Path, text: str) -> None:
    """A missing or empty file, other columns and text instead of numbers raise an error of one line."""
    path = tmp_path / "histograms.csv"
    with pytest.raises(UsageError, match="cannot read the histograms"):
        read_histograms(path)
    path.write_text(text)
    with pytest.raises(UsageError, match="cannot read the histograms"):
        read_histograms(path)


def test_an_unwritable_folder_is_an_error(tmp_path: Path) -> None:
    """It raises an error of one line."""
    (tmp_path / "samples").write_text("a file")
    with pytest.raises(UsageError, match="cannot write"):
        write_histograms(HISTOGRAMS, tmp_path / "samples" / "indexes.csv")


REVIEW = """
title = "a review"
[areas]
X = "things"
[promises]
X1 = "twice as fast"
X2 = "half the memory"
[[priorities]]
area = "X"
priority = "P0"
impact = "high"
effort = "low"
gain = "2×"
answers = ["X1"]
[[scorecard]]
aspect = "things"
today = "50 %"
goal = "90 %"
promises = ["X1", "X2"]
"""


def test_a_folder_without_a_review_has_no_review(tmp_path: Path) -> None:
    """The file is optional."""
    assert read_review(tmp_path) is None


def test_a_review_is_read_as_written(tmp_path: Path) -> None:
    """Promises, priorities and scores are read unchanged."""
    (tmp_path / REVIEW_FILE).write_text(REVIEW, encoding="utf-8")
    review = read_review(tmp_path)
    assert review is not None
    assert review.promises == {"X1": "twice as fast", "X2": "half the memory"}
    assert (review.priorities[0].gain, review.scorecard[0].promises) == ("2×", ["X1", "X2"])


@pytest.mark.parametrize("text", ["title = ", "title = 3", 'title = "only that"', REVIEW.replace('gain = "2×"', "gain = 2")])
def test_an_invalid_review_is_refused(tmp_path: Path, text: str) -> None:
    """Invalid TOML and invalid contents are refused in one line that names the file."""
    (tmp_path / REVIEW_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=REVIEW_FILE):
        read_review(tmp_path)


def test_files_follow_the_umask(tmp_path: Path) -> None:
    """A run that others may not read stays theirs who wrote it; nothing else than the file is left."""
    for umask, mode in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
        before = os.umask(umask)
        try:
            file = write_bytes(tmp_path / "x.json", b"{}")
        finally:
            os.umask(before)
        assert file.stat().st_mode & 0o777 == mode
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_a_device_or_a_pipe_is_written_to(tmp_path: Path) -> None:
    """It stays what it is, also where this process might replace it; a pipe that nobody reads is refused."""
    pipe, device = tmp_path / "pipe", tmp_path / "device"
    os.mkfifo(pipe)
    device.symlink_to(os.devnull)
    with pytest.raises(UsageError, match="pipe"):
        write_bytes(pipe, b"{}")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_bytes(pipe, b"{}")
        assert os.read(reader, 9) == b"{}"
    finally:
        os.close(reader)
    write_bytes(device, b"{}")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert device.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["device", "pipe"]


@pytest.mark.parametrize("name", ["run.json", "review.toml"])
def test_deep_nesting_is_refused(tmp_path: Path, name: str) -> None:
    """In one line, not as an error of the harness."""
    deep = "[" * 100_000
    (tmp_path / "run.json").write_text(f'{{"schema_version": 2, "scenarios": {deep}')
    (tmp_path / "review.toml").write_text(f"x = {deep}")
    with pytest.raises(UsageError, match=name) as refused:
        read_run(tmp_path) if name == "run.json" else read_review(tmp_path)
    assert "\n" not in str(refused.value)
