"""`harness report`: output and errors."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.cli import main
from harness.results.run import Run, RunKind, RunSettings
from harness.results.store import write_run

TOYS = Path(__file__).parents[2] / "toys"
Refused = Callable[[Sequence[str], str], None]


def an_empty_run() -> Run:
    """Return a run without a finished scenario."""
    settings = RunSettings(["sqlite"], "tiny", 0, [0.0], quick=True, processes=3, budget_s=1.0)
    return Run(
        schema_version=2,
        kind=RunKind.PAIRS,
        name="demo",
        started_at="2026-01-01T00:00:00+00:00",
        finished_at=None,
        command="harness run all",
        commit=None,
        dirty=False,
        interrupted=True,
        settings=settings,
        environment={},
    )


@pytest.mark.parametrize("name", ["", "run.json"])
def test_a_report_is_written_to_the_folder_of_its_run(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder and its run.json are equivalent, and the report's path is printed."""
    write_run(an_empty_run(), tmp_path)
    assert main(["report", str(tmp_path / name)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "report.html")
    assert "<html" in (tmp_path / "report.html").read_text()


def test_a_report_can_be_written_to_another_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --out, the run's folder is not changed."""
    write_run(an_empty_run(), tmp_path / "run")
    assert main(["report", str(tmp_path / "run"), "--out", str(tmp_path / "there")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "there" / "report.html")
    assert [f.name for f in (tmp_path / "run").iterdir()] == ["run.json"]


@pytest.mark.parametrize("form", [["markdown"], ["markdown", "--all"], ["terminal"], ["terminal", "--all"], ["json"]])
def test_other_formats_are_printed(tmp_path: Path, form: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """No file is written."""
    write_run(an_empty_run(), tmp_path)
    assert main(["report", str(tmp_path), "--format", *form]) == 0
    assert capsys.readouterr().out
    assert [f.name for f in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize("form", ["html", "json"])
def test_all_of_another_format_is_refused(tmp_path: Path, form: str, refused: Refused) -> None:
    """It would be ignored."""
    write_run(an_empty_run(), tmp_path)
    refused(["report", str(tmp_path), "--all", "--format", form], "--all is for the formats terminal and markdown")


@pytest.mark.parametrize("everything", [[], ["--all"]])
def test_printed_markdown_ends_with_one_line_break(
    tmp_path: Path, everything: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A blank line at the end would be one more than the file that other commands write has."""
    write_run(an_empty_run(), tmp_path)
    assert main(["report", str(tmp_path), "--format", "markdown", *everything]) == 0
    assert re.search(r"[^\n]\n\Z", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [("{", "is not valid JSON, or was cut off"), ('{"schema_version": 7}', "(schema 7)"), ("{}", "is not a run of this harness")],
)
def test_an_unreadable_run_is_one_line_and_exit_code_2(
    tmp_path: Path, body: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is cut short, has another schema, or is not a run."""
    (tmp_path / "run.json").write_text(body)
    assert main(["report", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1


def test_an_unknown_format_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message lists the formats."""
    write_run(an_empty_run(), tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["report", str(tmp_path), "--format", "pdf"])
    assert ended.value.code == 2
    assert "unknown format 'pdf'; choose from html, markdown, terminal, json" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["html", "terminal", "markdown"])
def test_a_report_can_be_in_another_language(tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same run gives the same text again; the next command is in English again."""
    write_run(an_empty_run(), tmp_path)
    shown = []
    for language in ("ja", "ja", "en"):
        assert main(["report", str(tmp_path), "--format", form, "--lang", language]) == 0
        printed = capsys.readouterr().out
        shown.append((tmp_path / "report.html").read_text(encoding="utf-8") if form == "html" else printed)
    assert shown[0] == shown[1] != shown[2]
    assert "完了したシナリオがないため、判定できません。" in shown[0]
    assert not re.search("[ぁ-んァ-ヶ]", shown[2])
    if form == "html":
        assert "<html lang=ja>" in shown[0]
        assert "<html lang=en>" in shown[2]


@pytest.mark.parametrize("command", [["report", "x"], ["compare", "x", "y"], ["history", "x"], ["run"], ["load", "x"], ["ablate"]])
def test_an_unknown_language_is_a_usage_error(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The languages there are stand in the message, in every command that writes a report."""
    with pytest.raises(SystemExit) as ended:
        main([*command, "--lang", "tlh"])
    assert ended.value.code == 2
    assert "--lang: unknown language 'tlh'; choose from en, ja" in capsys.readouterr().err
