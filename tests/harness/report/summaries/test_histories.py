"""The summary of a history."""

from harness.report.summaries.histories import summary
from harness.results.history import FigureKind
from tests.harness.report import histories
from tests.harness.report.printing import printed


def test_steps_have_rows() -> None:
    """With their commit, direction and figures, below the heading."""
    lines = printed(summary(histories.history(), "harness history runs --all", 80)).splitlines()
    assert lines[0] == "1 step at abcdef2, in 4 runs."
    assert lines[1] == "1 scenario, 1 figure."
    row = next(line for line in lines if line.startswith("abcdef2 "))
    assert row.split()[1:3] == ["✗", "worse"]
    assert row.rstrip().endswith("p50 4.00 ms → 12.0 ms")
    assert lines[-1] == "harness history runs --all"


def test_no_step_has_no_table() -> None:
    """The heading says so."""
    lines = printed(summary(histories.history(histories.figure(1.0, 1.0, kind=FigureKind.WORK)), "x", 80)).splitlines()
    assert lines[0].startswith("No step in 4 runs")
    assert not any(line.startswith("commit ") for line in lines)


def test_it_fits_a_terminal() -> None:
    """Many steps of figures with long names take at most 24 lines of 80 columns."""
    steps = (histories.STEP,)
    figures = [histories.figure(4e6, 4e6, 12e6, 12e6, steps=steps, group=f"{n} {'x' * 500}") for n in range(60)]
    lines = printed(summary(histories.history(*figures), "x", 80)).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert "… and 50 more." in lines
