"""Progress: a bar or lines on standard error, results on standard output."""

import json
from dataclasses import replace
from functools import partial

import pytest
from rich.console import Console

from harness.cli import _console
from harness.cli._console import Progress, StatusLine, show
from harness.report.overview import NOTHING
from harness.results.run import Run, RunKind, RunSettings, RunWarning
from harness.runtime.clock import FakeClock


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


def test_a_long_step_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal, a step that moves is shown again every thirty seconds, with less time left."""
    clock = FakeClock()
    with Progress(clock) as progress:
        progress.step("bulk · sqlite · preparing", 1, 2, 100.0)
        for _ in range(70):
            clock.advance(1_000_000_000)
            progress.tick()
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"[1/2] bulk · sqlite · preparing · about {left} s left" for left in (100, 70, 40)]


def test_what_does_not_move_is_named_after_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal there is a line after ten seconds and then every thirty; short runs have none."""
    clock = FakeClock()
    with Progress(clock) as progress:
        progress.step("bulk · sqlite · comparing answers", 1, 2, 100.0)
        for second in range(1, 45):
            clock.advance(1_000_000_000)
            progress.waiting("bulk · sqlite", f"comparing answers · {second} s without an answer", float(second))
    lines = [line.partition(" · about")[0] for line in capsys.readouterr().err.splitlines()]
    assert lines[1:] == [f"bulk · sqlite · comparing answers · {second} s without an answer" for second in (10, 40)]


def test_a_terminal_shows_what_is_waited_for_until_it_moves(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The activity stands in place of the step, and the step again once something has moved."""
    monkeypatch.setattr(_console, "Console", partial(Console, force_terminal=True, width=200))
    shown = []
    with Progress(FakeClock()) as progress:
        progress.step("bulk · sqlite · comparing answers", 1, 2, 100.0)
        for seconds in (9.0, 14.0, 0.0):
            progress.waiting("bulk · sqlite", f"optimised · {seconds:g} s without an answer", seconds)
            shown.append(progress.tasks[0].description)
    step, activity = "[1/2] bulk · sqlite · comparing answers", "bulk · sqlite · optimised · 14 s without an answer"
    assert shown == [step, activity, step]


def test_a_status_line_is_printed_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Each step is a line on standard error."""
    with StatusLine() as report:
        report("comparing [both] versions")
    assert capsys.readouterr() == ("", "comparing [both] versions\n")


def test_as_json_the_run_is_all_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The output is valid JSON."""
    show(a_run(), "json")
    assert json.loads(capsys.readouterr().out)["name"] == "demo"


@pytest.mark.parametrize("kind", ["pairs", "load"])
def test_an_empty_run_says_so(kind: RunKind, capsys: pytest.CaptureFixture[str]) -> None:
    """It has a sentence instead of an empty table."""
    show(a_run(kind), everything=True)
    assert capsys.readouterr().out.strip() == NOTHING


def test_an_empty_run_has_its_notices_and_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    """That it was interrupted, and what else is known of it, is printed also if no scenario finished."""
    warning = RunWarning("busy machine", "other processes were running", "stop them")
    show(replace(a_run(), interrupted=True, warnings=[warning]), everything=True)
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
