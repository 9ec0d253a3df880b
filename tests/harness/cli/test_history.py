"""`harness history`: its page, its output and its errors."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli import main
from harness.results.store import write_run
from tests.harness import gates

Refused = Callable[[Sequence[str], str], None]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of four runs, in the third of which a scenario sends more statements."""
    monkeypatch.chdir(tmp_path)
    for day, statements in enumerate((3, 3, 22, 22), start=1):
        result = gates.result(statements=statements)
        run = gates.run(result, gates.result("caching"), commit=f"abcdef{day}", started_at=f"2026-01-0{day}T10:00:00+00:00")
        write_run(run, tmp_path / "all" / f"run-{day}")
    return tmp_path / "all"


def test_the_steps_are_printed_and_the_page_is_written(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Into a new folder in runs, or the one that is named; the last line printed is its path."""
    assert main(["history", str(runs)]) == 0
    *printed, last = capsys.readouterr().out.splitlines()
    assert printed[0] == "2 steps at abcdef3, in 4 runs."
    assert any(line.startswith("abcdef3  ✗ worse") and "statements 3 → 22" in line for line in printed)
    assert printed[-1].endswith("--all")
    assert main(["history", str(runs), "--all"]) == 0
    assert "At abcdef3: 2 steps" in capsys.readouterr().out.splitlines()
    page = Path(last)
    assert (page.parts[0], page.name) == ("runs", "history.html")
    assert "2 steps at abcdef3, in 4 runs" in page.read_text(encoding="utf-8")
    assert main(["history", str(runs), "--out", "here"]) == 0
    assert Path("here/history.html").exists()


def test_json_has_every_figure_and_step(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a page, unless a folder is named."""
    assert main(["history", str(runs), "--json", "--only", "indexes"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [run["label"] for run in found["runs"]] == ["abcdef1", "abcdef2", "abcdef3", "abcdef4"]
    (scenario,) = found["scenarios"]
    steps = [step for figure in scenario["figures"] for line in figure["lines"] for step in line["steps"]]
    assert {(step["run"], step["before"], step["after"]) for step in steps} == {(2, 3.0, 22.0)}
    assert not Path("runs").exists()
    assert main(["history", str(runs), "--json", "--out", "here"]) == 0
    assert Path("here/history.html").exists()


def test_an_unreadable_run_is_named_and_the_others_shown(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One of a newer version; interrupted runs are listed as such."""
    newer = replace(gates.run(), schema_version=99, harness_version="9.1")
    write_run(newer, runs / "newer")
    write_run(gates.run(commit="abcdef5", interrupted=True, finished_at=None, started_at="2026-01-09T10:00:00"), runs / "cut")
    assert main(["history", str(runs)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "was written by advice-on-trial 9.1 (schema 99)" in printed
    assert "abcdef5 was interrupted" in printed


def test_one_run_is_a_page_without_steps(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says that there is nothing to compare with."""
    assert main(["history", str(runs / "run-1")]) == 0
    assert "1 run of one commit: there is no earlier one to compare with." in capsys.readouterr().out


def test_what_cannot_be_used_is_refused(runs: Path, refused: Refused) -> None:
    """In one line."""
    Path("cut.json").write_text("{")
    refused(["history", "nothing"], "nothing does not exist")
    refused(["history", "cut.json"], "cut.json is not valid JSON")
    refused(["history", str(runs), "--only", "x"], "no scenario or benchmark matches 'x'")
    refused(["history", str(runs), "--drift", "-1%"], "--drift")
    refused(["history"], "RUN")
