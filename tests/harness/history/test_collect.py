"""Reading runs of many commits: folders, files with several commits, what cannot be read, and their order."""

import gzip
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.history import collect as collecting
from harness.history.collect import collect
from harness.results.run import RunKind
from harness.results.store import write_json, write_run
from tests.harness import gates


def stored(folder: Path, commit: str | None = "abcdef0", day: int = 1, **changes: object) -> Path:
    """Write a run and return its folder."""
    started_at = f"2026-01-{day:02}T10:00:00+00:00"
    write_run(gates.run(commit=commit, started_at=started_at, **changes), folder)
    return folder


def saved(path: Path, commit: str, day: int = 1, median_s: float = 0.1, rounds: int = 20) -> Path:
    """Write a file of pytest-benchmark's storage, without the rounds' times."""
    stats = {
        "min": median_s,
        "max": median_s,
        "mean": median_s,
        "median": median_s,
        "stddev": median_s / 100,
        "rounds": rounds,
        "iterations": 1,
    }
    benchmark = {"name": "test_a", "fullname": "t.py::test_a", "stats": stats}
    about = {"machine_info": {"cpu": {"brand": "EPYC"}}, "commit_info": {"id": commit, "dirty": False}, "version": "5"}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"benchmarks": [benchmark], "datetime": f"2026-02-{day:02}T00:00:00", **about}))
    return path


def published(path: Path, values: list[float], suites: tuple[str, ...] = ("Python",)) -> Path:
    """Write a data.js with a commit per value."""
    entries = [
        {
            "commit": {"id": f"{n:040x}"},
            "date": (1_767_225_600 + n * 86_400) * 1000,
            "tool": "pytest",
            "benches": [{"name": "a", "unit": "ms", "value": v}],
        }
        for n, v in enumerate(values, start=1)
    ]
    path.write_text(f"window.BENCHMARK_DATA = {json.dumps({'entries': dict.fromkeys(suites, entries)})};")
    return path


def test_runs_baselines_and_files_are_read_together(tmp_path: Path) -> None:
    """Each with its commit, in the order of their times."""
    write_json(gates.run(commit="b" * 40, started_at="2026-01-02T00:00:00+00:00"), tmp_path / "main.json")
    paths = [
        saved(tmp_path / "0001.json", "c" * 40),
        published(tmp_path / "data.js", [1.0, 2.0]),
        stored(tmp_path / "run", "a" * 7, 4),
        tmp_path / "main.json",
    ]
    found = collect(paths)
    commits = [each.run.commit for each in found.runs]
    assert commits == [f"{1:040x}", "b" * 40, f"{2:040x}", "a" * 7, "c" * 40]
    assert {each.run.kind for each in found.runs} == {RunKind.PAIRS, RunKind.FILE}
    assert [warning.name for warning in found.warnings] == ["order of the runs"]


def test_a_published_folder_is_a_run(tmp_path: Path) -> None:
    """Its run is compressed, and the other files belong to it."""
    plain = stored(tmp_path / "plain") / "run.json"
    folder = tmp_path / "published" / "v1"
    folder.mkdir(parents=True)
    (folder / "run.json.gz").write_bytes(gzip.compress(plain.read_bytes()))
    (folder / "other.json").write_text("[]")
    for path in (folder, folder.parent):
        assert [str(one.file) for one in collect([path]).runs] == [str(folder)]


def test_a_folder_is_searched_for_runs_and_files(tmp_path: Path) -> None:
    """A run's own files are not taken for others', and files of other kinds are listed with the reason."""
    run = stored(tmp_path / "runs" / "deep" / "one")
    (run / "samples.json").write_text("{}")
    saved(tmp_path / "runs" / ".benchmarks" / "Linux" / "0001.json", "c" * 40)
    (tmp_path / "runs" / "package.json").write_text('{"name": "x"}')
    (tmp_path / "runs" / "notes.txt").write_text("no result")
    found = collect([tmp_path / "runs"])
    assert len(found.runs) == 2
    (warning,) = [warning for warning in found.warnings if warning.name == "left out"]
    assert "package.json" in warning.message


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        ("newer.json", b'{"schema_version": 99, "harness_version": "9.1"}', "written by advice-on-trial 9.1"),
        ("cut.json", b'{"benchmarks": [', "truncated"),
        ("empty.json", b"", "is empty"),
        ("binary.json", b"PK\x03\x04", "zip archive"),
    ],
)
def test_what_cannot_be_read_is_left_out_with_the_reason(tmp_path: Path, name: str, body: bytes, reason: str) -> None:
    """The other runs are shown; alone, it is an error."""
    (tmp_path / name).write_bytes(body)
    found = collect([tmp_path / name, stored(tmp_path / "run")])
    assert len(found.runs) == 1
    assert reason in found.warnings[0].message
    with pytest.raises(UsageError, match=reason):
        collect([tmp_path / name])


def test_many_files_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    """The first few are named, so that the page stays readable."""
    for number in range(9):
        (tmp_path / f"{number}.json").write_text("{}")
    stored(tmp_path / "run")
    messages = [warning.message for warning in collect([tmp_path]).warnings]
    assert len(messages) == 6
    assert messages[-1] == "4 more files, as unreadable"


def test_a_comparison_is_left_out(tmp_path: Path) -> None:
    """Its two files are two runs."""
    comparison = stored(tmp_path / "both", kind=RunKind.COMPARISON)
    with pytest.raises(UsageError, match="is a comparison; name the two files"):
        collect([comparison])


def test_a_path_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    """It is a typing error, whatever else can be read; so is a folder without anything."""
    run = stored(tmp_path / "run")
    with pytest.raises(UsageError, match="does not exist"):
        collect([run, tmp_path / "nothing"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="a folder without runs and result files"):
        collect([run, tmp_path / "empty"])


def test_a_run_that_is_named_twice_is_shown_once(tmp_path: Path) -> None:
    """Also if a baseline was made of it."""
    run = stored(tmp_path / "run")
    made = gates.run(commit="abcdef0", started_at="2026-01-01T10:00:00+00:00")
    write_json(replace(made, environment=made.environment | {"baseline accepted": "now"}), tmp_path / "main.json")
    found = collect([run, run, tmp_path / "main.json"])
    assert len(found.runs) == 1
    (warning,) = [warning for warning in found.warnings if warning.name == "the same run"]
    assert warning.message.startswith("2 files")


def test_runs_of_one_commit_have_the_same_code(tmp_path: Path) -> None:
    """By its short or its full name; with uncommitted changes, or without a commit, each is a version of its own."""
    paths = [
        stored(tmp_path / "1", "abcdef0", 1),
        stored(tmp_path / "2", "ABCDEF0123", 2),
        stored(tmp_path / "3", "abcdef0", 3, dirty=True),
        stored(tmp_path / "4", "abcdef0", 4, dirty=True),
        stored(tmp_path / "5", None, 5),
        stored(tmp_path / "6", None, 6),
        stored(tmp_path / "7", "-x; rm", 7),
    ]
    codes = [each.code for each in collect(paths).runs]
    assert codes[0] == codes[1]
    assert len(set(codes)) == 6


def test_the_repository_decides_on_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever the commits were measured; runs of one commit by their times, those with changes after it."""

    def git(*arguments: str) -> str:
        about = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(["git", *about, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()

    git("init", "-q")
    commits = []
    for number in range(3):
        git("commit", "-q", "--allow-empty", "-m", str(number))
        commits.append(git("rev-parse", "HEAD"))
    monkeypatch.chdir(tmp_path)
    paths = [
        stored(tmp_path / "last", commits[2][:9], 1),
        stored(tmp_path / "changed", commits[0], 2, dirty=True),
        stored(tmp_path / "again", commits[0], 4),
        stored(tmp_path / "first", commits[0], 3),
        stored(tmp_path / "middle", commits[1], 9),
    ]
    found = collect(paths)
    assert [Path(each.file).name for each in found.runs] == ["first", "again", "changed", "middle", "last"]
    assert found.warnings == []
    unknown = collect([*paths, stored(tmp_path / "foreign", "f" * 12, 5)])
    assert Path(unknown.runs[0].file).name == "last"
    assert "this folder's repository does not have the commit of 1 of 6 runs" in unknown.warnings[0].message


def test_times_without_a_zone_are_utc_and_invalid_ones_come_last(tmp_path: Path) -> None:
    """pytest-benchmark writes times without a zone."""
    paths = [
        stored(tmp_path / "none", "a" * 7),
        saved(tmp_path / "file.json", "b" * 7, 1),
        stored(tmp_path / "zone", "c" * 7, 9),
    ]
    write_run(gates.run(commit="a" * 7, started_at="<b>yesterday"), paths[0])
    assert [each.run.commit for each in collect(paths).runs] == ["c" * 7, "b" * 7, "a" * 7]


def test_medians_of_files_have_intervals(tmp_path: Path) -> None:
    """From the deviation and the number of rounds; of a single value there is none."""
    (run,) = collect([saved(tmp_path / "file.json", "b" * 7)]).runs
    (latency,) = run.run.scenarios[0].latencies
    low, high = latency.intervals_ns["50"]
    assert low < 1e8 < high < 1.02e8
    (single, _) = collect([published(tmp_path / "data.js", [1.0, 2.0])]).runs
    assert single.run.scenarios[0].latencies[0].intervals_ns == {}


def test_raw_rounds_bound_their_median(tmp_path: Path) -> None:
    """By their ranks."""
    path = saved(tmp_path / "file.json", "b" * 7)
    content = json.loads(path.read_text())
    content["benchmarks"][0]["stats"] |= {"data": [n / 1000 for n in range(1, 21)], "rounds": 20}
    path.write_text(json.dumps(content))
    (latency,) = collect([path]).runs[0].run.scenarios[0].latencies
    assert latency.intervals_ns["50"] == (6e6, 15e6)


def test_suites_of_one_page_keep_their_names_apart(tmp_path: Path) -> None:
    """Two suites with benchmarks of the same name."""
    (found,) = collect([published(tmp_path / "data.js", [1.0], ("Rust", "Go"))]).runs
    assert [latency.group for latency in found.run.scenarios[0].latencies] == ["Rust · a", "Go · a"]


def test_a_commit_without_a_readable_figure_is_left_out(tmp_path: Path) -> None:
    """The others of the file are read; a benchmark that cannot be read is a remark of its run."""
    page = published(tmp_path / "data.js", [1.0, 2.0, 3.0])
    body = page.read_text().replace('"value": 1.0', '"value": "x"')
    page.write_text(body.replace('"value": 3.0}', '"value": 3.0}, {"name": "b", "unit": "ms", "value": -1}'))
    second, third = collect([page]).runs
    assert [latency.group for latency in second.run.scenarios[0].latencies] == ["a"]
    assert "'b' has the value -1" in third.run.warnings[0].message
    page.write_text(body.replace("2.0", '"x"').replace("3.0", '"x"'))
    with pytest.raises(UsageError, match="not a number"):
        collect([page])


def test_operations_under_load_are_kept() -> None:
    """An operation that was unfinished at the drain timeout has failed."""
    kept = collecting.slim(gates.under_load(gates.loaded(operations=90, errors=4, unfinished=6)))
    (count,) = kept.scenarios[0].operations
    assert (count.operations, count.errors) == (100, 10)


def test_only_what_a_history_shows_is_kept() -> None:
    """Hundreds of runs fit into memory; a scenario that was not run is left out."""
    kept = collecting.slim(gates.run(gates.result(), gates.result("other", status="not run")))
    (result,) = kept.scenarios
    assert (result.memory, result.statements) == ([], [])
    assert result.work_counts == gates.result().work_counts
