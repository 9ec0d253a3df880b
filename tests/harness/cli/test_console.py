"""Progress: a bar or lines on standard error, results on standard output."""

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import replace
from functools import partial

import pytest
from rich.console import Console

from harness.cli import _console
from harness.cli._console import Progress, StatusLine, show
from harness.report.blocks import Cell, Paragraph, Table, Tone
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


@pytest.mark.parametrize(("columns", "expected"), [("0", 20), ("1", 20), ("81", 81), ("9999", 1_000), ("9" * 5_000, 80), ("²", 80)])
def test_the_width_is_one_that_text_can_be_laid_out_for(columns: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever COLUMNS says."""
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("LINES", columns)
    assert _console.width() == expected


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


def test_a_step_that_only_counts_is_a_line_per_minute(capsys: pytest.CaptureFixture[str]) -> None:
    """A message in which only numbers differ is not printed again before a minute has passed; another step is."""
    clock = FakeClock()
    report = StatusLine(clock=clock)
    for number in range(1, 21):
        report(f"timing: process pair {number}, about {200 - 10 * number} s left")
        clock.advance(10_000_000_000)
    report("another step")
    assert capsys.readouterr().err.splitlines() == [
        "timing: process pair 1, about 190 s left",
        "timing: process pair 7, about 130 s left",
        "timing: process pair 13, about 70 s left",
        "timing: process pair 19, about 10 s left",
        "another step",
    ]


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


def test_a_whole_run_has_about_twenty_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Of ten minutes with many steps, and of twenty seconds; at least one per minute of a long run, whatever its steps."""
    for seconds, steps in ((600, 90), (20, 40), (3_600, 3)):
        clock = FakeClock()
        with Progress(clock) as progress:
            moments = []
            for second in range(seconds):
                before = capsys.readouterr().err
                assert not before
                if second * steps // seconds != (second - 1) * steps // seconds:
                    progress.step(f"step {second}", 1 + second * steps // seconds, steps, float(seconds - second))
                else:
                    progress.tick()
                moments += [second] * len(capsys.readouterr().err.splitlines())
                clock.advance(1_000_000_000)
        gaps = [after - before for before, after in zip(moments, [*moments[1:], seconds], strict=True)]
        assert max(gaps) <= 61
        assert min(gaps[:-1], default=5) >= 5
        assert len(moments) <= max(25, seconds // 60 + 1)


def test_a_step_that_came_too_early_is_printed_once_it_is_due(capsys: pytest.CaptureFixture[str]) -> None:
    """The latest one, without the ones between."""
    clock = FakeClock()
    with Progress(clock) as progress:
        for number in range(1, 4):
            progress.step(f"s{number}", number, 3, 40.0)
            clock.advance(1_000_000_000)
        clock.advance(5_000_000_000)
        progress.tick()
    assert [line.split(" · ")[0] for line in capsys.readouterr().err.splitlines()] == ["[1/3] s1", "[3/3] s3"]


def test_a_long_step_is_cut_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    """In its middle, so that its number and the time left stay."""
    with Progress(FakeClock()) as progress:
        progress.step("opening " + ", ".join(f"only {number}" for number in range(90)), 1, 2, 3.0)
    line = capsys.readouterr().err
    assert len(line) < 150
    assert line.startswith("[1/2] opening only 0")
    assert line.endswith("only 89 · about 3 s left\n")


def test_hostile_names_reach_no_terminal_and_no_log(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither as colours nor as workflow commands, in progress, status, tables, lines and messages."""
    hostile = "::error::\x1b[31m\u202e"
    with Progress(FakeClock()) as progress:
        progress.step(hostile, 1, 1, 1.0)
    with StatusLine(hostile) as report:
        report(hostile)
    _console.print_lines(hostile)
    _console.print_table((hostile, "b"), [(hostile, hostile)])
    _console.print_message(hostile)
    _console.print_document(hostile)
    _console.print_blocks([Paragraph(hostile)])
    written = capsys.readouterr()
    for text in (written.out, written.err):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert not any(line.lstrip().startswith("::") for line in text.splitlines())


def test_json_stays_the_same_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    """What a log of GitHub Actions would obey is escaped inside its string."""
    show(replace(a_run(), name="##[error]x"), "json")
    printed = capsys.readouterr().out
    assert "##[" not in printed
    assert json.loads(printed)["name"] == "##[error]x"


def test_nothing_ends_in_blanks_without_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor has colours, at any width; NO_COLOR is respected by a terminal."""
    for columns in ("80", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        _console.print_blocks([Paragraph("a " * 60, "lead"), Table("t", ("a", "b"), ((Cell("x"), Cell("y")),))])
        printed = capsys.readouterr().out
        assert "\x1b" not in printed
        assert printed == "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(_console, "Console", partial(Console, force_terminal=True))
    _console.print_blocks([Paragraph("a", "lead", tone=Tone.BAD)])
    assert "\x1b[3" not in capsys.readouterr().out


PROGRAM = """
import sys, time
from harness.cli._console import Progress, print_message
with Progress() as progress:
    for number in range(1, 4):
        progress.step("a scenario with a long name · postgres · RTT 25 ms · timing pairs, process 1 of 5", number, 3, 60.0)
        time.sleep(0.15)
        print_message(f"a warning about {number}")
print("the result")
"""


def test_a_terminal_shows_progress_in_one_line() -> None:
    """On 80 × 24 nothing is wider, messages stand above the live line, and it is gone at the end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "CI", "NO_COLOR"}}
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=theirs, stdout=theirs, stderr=theirs, env=environment | {"TERM": "xterm"}
    )
    os.close(theirs)
    written = b""
    with contextlib.suppress(OSError):  # the end of a pseudo terminal
        while found := os.read(ours, 65_536):
            written += found
    os.close(ours)
    assert child.wait(timeout=60) == 0
    lines = [""]
    for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\r\n|\r|\n)", written.decode()):
        if part in {"\r\n", "\n"}:
            lines.append("")
        elif part in {"\r", "\x1b[2K"}:
            lines[-1] = ""
        elif part == "\x1b[1A":
            lines.pop()
        elif not part.startswith("\x1b"):
            lines[-1] += part
        assert len(lines[-1]) <= 80
        assert sum("left [" in line for line in lines) <= 1
    assert b"left" in written
    assert lines == [*(f"harness: a warning about {number}" for number in (1, 2, 3)), "the result", ""]
