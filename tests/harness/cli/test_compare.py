"""`harness compare`, and `harness report` of result files of other tools: output, files, errors and exit codes."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness import importers as readers
from harness.cli import main
from harness.importers import own_run
from harness.results.run import Latency, RunKind, ScenarioResult, ScenarioStatus
from harness.results.store import read_run, write_run

Refused = Callable[[Sequence[str], str], None]


def saved(path: Path, **medians_s: float) -> str:
    """Write pytest-benchmark's JSON with thirty rounds around each median, in seconds, and return its path."""
    benchmarks = []
    for name, median in medians_s.items():
        data = [median * (1 + i / 1e4) for i in range(30)]
        stats = {"min": data[0], "max": data[-1], "mean": median, "median": data[15], "rounds": 30, "iterations": 1, "data": data}
        benchmarks.append({"name": name, "fullname": f"t.py::{name}", "stats": stats})
    path.write_text(
        json.dumps({"machine_info": {}, "benchmarks": benchmarks, "datetime": "2026-01-01T00:00:00+00:00", "version": "5"})
    )
    return str(path)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Return two files: one benchmark twice as fast, one twice as slow, one hardly changed."""
    monkeypatch.chdir(tmp_path)
    return saved(tmp_path / "old.json", a=0.2, b=0.1, c=0.1), saved(tmp_path / "new.json", a=0.1, b=0.2, c=0.11)


def test_a_comparison_is_printed_and_sets_the_exit_code(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No file is written without --out."""
    assert main(["compare", *files]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "regressed" in said
    assert "1 regressed, ▲ 1 improved, ? 1 inconclusive" in said
    assert "runs of the same code differ by up to 25 %" in said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new.json", "old.json"]
    assert main(["compare", *files, "--only", "*::a"]) == 0
    assert main(["compare", *files, "--only", "*::c"]) == 3
    assert main(["compare", *files, "--only", "*::c", "--drift", "5%"]) == 1


def test_a_comparison_is_written_to_a_folder(files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its page can be written again, and a folder with a run is not overwritten."""
    out = tmp_path / "out"
    assert main(["compare", *files, "--out", str(out), "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["kind"] == read_run(out).kind == "comparison"
    assert "old.json → new.json" in (out / "report.html").read_text()
    assert main(["report", str(out), "--format", "markdown"]) == 0
    assert "Before and after" in capsys.readouterr().out
    assert main(["compare", *files, "--out", str(out)]) == 2
    assert "already contains a run" in capsys.readouterr().err


def test_a_report_of_two_files_passes_in_any_case(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 0, because the report was written."""
    assert main(["report", *files]) == 0
    page = tmp_path / capsys.readouterr().out.strip()
    assert page.name == "report.html"
    assert "regressed" in page.read_text()


def test_a_report_of_one_file_shows_its_times(files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It has every format, and is never written next to the file."""
    assert main(["report", files[0], "--out", str(tmp_path / "one")]) == 0
    assert "t.py::a" in (tmp_path / "one" / "report.html").read_text()
    for form in ("markdown", "terminal", "json"):
        capsys.readouterr()
        assert main(["report", files[0], "--format", form]) == 0
        assert "200" in capsys.readouterr().out
    assert not (tmp_path / "report.html").exists()


def test_common_benchmarks_are_judged_and_the_others_listed(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A renamed benchmark does not hide the verdicts on the others; with none in common, nothing is comparable."""
    other = saved(tmp_path / "other.json", a=0.1, b=0.1, renamed=0.1)
    assert main(["compare", files[0], other]) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "removed: 't.py::c', only in" in said
    assert "added: 't.py::renamed', only in" in said
    assert "▲ 1 improved, ? 1 inconclusive" in said
    for command in ("compare", "report"):
        assert main([command, files[0], saved(tmp_path / "none.json", x=0.1)]) == 4
        said = capsys.readouterr().err
        assert "no benchmark is in both files; removed: 't.py::a', 't.py::b', 't.py::c'" in said
        assert said.count("\n") == 1


def test_an_exact_name_comes_before_patterns(tmp_path: Path) -> None:
    """Brackets of a parameter select the benchmark itself; several patterns and exceptions may be given."""
    old, new = (saved(tmp_path / name, **{"test_x[a]": 0.1, "test_x[b]": b}) for name, b in (("old.json", 0.1), ("new.json", 0.3)))
    assert main(["compare", old, new, "--only", "t.py::test_x[a]"]) == 3
    assert main(["compare", old, new, "--only", "t.py::test_x[b]"]) == 1
    assert main(["compare", old, new, "--except", "t.py::test_x[b]"]) == 3
    assert main(["compare", old, new, "--only", "t.py::test_x[a]", "--only", "*b?"]) == 1


def test_identical_files_are_called_identical(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """The same bytes are the same results."""
    assert main(["compare", files[0], files[0]]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "identical files" in said
    assert "= 3 equal" in said


def test_two_runs_of_this_harness_are_compared(files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are matched by scenario, engine, arm and group; these two have the same results."""
    latency = Latency("baseline", "g", 90, 1e6, 1, 9, {}, [1e6, 2e6, 3e6])
    result = ScenarioResult("toy", "Toy", "", "toy.py", "sqlite", 0.0, ScenarioStatus.OK, latencies=[latency])
    for name in ("old", "new"):
        write_run(
            replace(own_run.of_file(readers.reading(Path(files[0]))), kind=RunKind.PAIRS, scenarios=[result]), tmp_path / name
        )
    assert main(["compare", str(tmp_path / "old"), str(tmp_path / "new" / "run.json")]) == 0
    assert "toy · sqlite" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--drift", "much"], "--drift: 'much' is not a percentage from 0 and up to 1000 %; try 25%"),
        (["--drift", "-1"], "--drift: "),
        (["--drift", "nan"], "is not a percentage from 0 and up to 1000 %"),
        (["--drift", "25"], "'25' is ambiguous as a percentage; write 25% or a share below 1"),
        (["--format", "pdf"], "unknown format 'pdf'; choose from html, markdown, terminal, json"),
        (["--only", "nothing"], "no benchmark matches 'nothing'"),
    ],
)
def test_usage_errors_are_one_line(files: tuple[str, str], options: list[str], complaint: str, refused: Refused) -> None:
    """The line shows a valid value."""
    refused(["compare", *files, *options], complaint)


def test_one_file_is_not_enough(files: tuple[str, str], refused: Refused) -> None:
    """The missing argument is named."""
    refused(["compare", files[0]], "the following arguments are required: AFTER")


def test_a_file_of_no_known_kind_is_one_line(files: tuple[str, str], tmp_path: Path, refused: Refused) -> None:
    """The line lists the known kinds, whichever file it is."""
    (tmp_path / "notes.txt").write_text("remember the milk\n")
    for order in ([files[0], "notes.txt"], ["notes.txt", files[0]]):
        refused(["compare", *order], "has an unknown format; known are: a run of this harness, hyperfine's JSON, k6's summary")
