"""Progress: a bar or lines on standard error, results on standard output."""

import json
from dataclasses import replace
from functools import partial

import pytest
from rich.console import Console

from harness.cli import _console
from harness.cli._console import Progress, show
from harness.report.overview import NOTHING
from harness.results.run import Run, RunKind, RunSettings, RunWarning


def a_run(kind: RunKind = RunKind.PAIRS) -> Run:
    """Return a run without scenarios."""
    return Run(
        schema_version=2,
        kind=kind,
        name="demo",
        started_at="2026-01-01T00:00:00+00:00",
        finished_at="2026-01-01T00:01:00+00:00",
        command="harness run all",
        commit=None,
        dirty=False,
        interrupted=False,
        settings=RunSettings(["sqlite"], "tiny", 0, [0.0], quick=True, processes=3, budget_s=1.0),
        environment={},
    )


def test_without_a_terminal_each_step_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A line has the step, its number and the time left; nothing is on standard output."""
    with Progress() as progress:
        progress.step("bulk · sqlite · timing pairs, process 1 of 5", 3, 57, 123.4)
        progress.tick()
    written = capsys.readouterr()
    assert written.err == "[3/57] bulk · sqlite · timing pairs, process 1 of 5 · about 123 s left\n"
    assert written.out == ""


def test_as_json_the_run_is_all_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The output is valid JSON."""
    show(a_run(), "json")
    assert json.loads(capsys.readouterr().out)["name"] == "demo"


@pytest.mark.parametrize("kind", ["pairs", "load"])
def test_an_empty_run_says_so(kind: RunKind, capsys: pytest.CaptureFixture[str]) -> None:
    """It has a sentence instead of an empty table."""
    show(a_run(kind), tables=True)
    assert capsys.readouterr().out.strip() == NOTHING


def test_an_empty_run_has_its_notices_and_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    """That it was interrupted, and what else is known of it, is printed also if no scenario finished."""
    warning = RunWarning("busy machine", "other processes were running", "stop them")
    show(replace(a_run(), interrupted=True, warnings=[warning]), tables=True)
    printed = capsys.readouterr().out
    assert NOTHING in printed
    assert "This run was interrupted" in printed
    assert "warning busy machine  other processes were running; stop them" in printed


def test_brackets_in_a_step_are_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A step with the name of a scenario is shown on a terminal as it is."""
    monkeypatch.setattr(_console, "Console", partial(Console, force_terminal=True, width=200))
    with Progress() as progress:
        progress.step("[bold] [/x] · sqlite", 1, 2, 3.0)
    assert "[bold] [/x] · sqlite" in capsys.readouterr().err
