"""A history as blocks: its sentences for every number of runs and steps, its steps by commit, and texts of any kind."""

from dataclasses import replace

import pytest

from harness.report import history as content
from harness.report import markdown
from harness.report.blocks import CellStatus, Tone
from harness.results.history import FigureKind, History, HistoryLine, HistoryPoint, HistoryStep
from harness.results.run import RunWarning
from tests.harness.report import histories
from tests.harness.report.conftest import HOSTILE
from tests.harness.report.printing import printed

COUNT = HistoryStep(1, 2, 3.0, 22.0, 22 / 3, None, None, "more, counted exactly", better=False)


def counted(step: HistoryStep = COUNT) -> History:
    """Return a history in which a work count steps."""
    return histories.history(histories.figure(3, 3, 22, 22, kind=FigureKind.WORK, steps=(step,)))


@pytest.mark.parametrize(
    ("history", "sentence"),
    [
        (histories.history(), "1 step at abcdef2, in 4 runs"),
        (histories.history(histories.figure(1.0, 1.0), runs=2), "No step in 2 runs of 2 commits"),
        (histories.history(histories.figure(1.0), runs=1), "1 run of one commit: there is no earlier one to compare with"),
        (replace(histories.history(runs=1), scenarios=()), "1 run without a figure"),
        (
            histories.history(histories.figure(1, 2, 3, 4, steps=(histories.STEP, replace(histories.STEP, run=3)))),
            "2 steps at 2 of 4 commits, in 4 runs",
        ),
    ],
)
def test_the_heading_is_one_sentence(history: History, sentence: str) -> None:
    """For one run and several, no step, one and several."""
    assert content.heading(history) == sentence


def test_two_runs_of_one_commit_are_no_history() -> None:
    """There is nothing to compare with."""
    runs = (histories.run(0), histories.run(0, name="again"))
    found = replace(histories.history(histories.figure(1.0, 2.0), runs=2), runs=runs)
    assert content.heading(found) == "2 runs of one commit: there is no earlier one to compare with"


def test_a_step_has_its_commit_values_and_the_commits_in_question() -> None:
    """In the terminal: one row per arm and group."""
    (group,) = content.step_groups(histories.history())
    assert group.title == "At abcdef2"
    assert group.command == "git log --oneline abcdef1..abcdef2"
    text = printed(content.brief(histories.history()), 100)
    assert "At abcdef2: 1 step" in text
    assert "p50 4.00 ms → 12.0 ms" in text
    assert "✗ worse" in text
    assert text.rstrip().endswith("1 step at abcdef2, in 4 runs.")


def test_the_page_has_every_figure_of_an_arm_and_group_in_one_row() -> None:
    """A column per kind of figure, with changes and intervals."""
    figures = (
        histories.figure(4e6, 4e6, 12e6, 12e6, steps=(histories.STEP,)),
        histories.figure(3, 3, 22, 22, kind=FigureKind.WORK, steps=(COUNT,)),
    )
    (group,) = content.step_groups(histories.history(*figures))
    table = content.step_table(group.subjects)
    assert table.head == ("scenario", "arm · group", "direction", "percentiles", "work counts")
    assert [cell.text for cell in table.rows[0][3:]] == [
        "p50 4.00 ms → 12.0 ms (+200 % [+150 %, +250 %])",
        "vm steps 3 → 22 (+633 %)",
    ]
    assert len(table.rows) == 1


def test_a_change_beside_all_times_is_named_as_such() -> None:
    """It is not the quotient of the two values that are shown."""
    busy = histories.figure(4e6, 4e6, 12e6, 12e6, steps=(replace(histories.STEP, change=2.0, low=None, high=None),))
    (group,) = content.step_groups(histories.history(busy))
    assert content.step_table(group.subjects).rows[0][3].text == "p50 4.00 ms → 12.0 ms (beside all times +100 %)"


def test_directions_that_differ_are_mixed() -> None:
    """Fewer rows that take longer; and a figure without a better direction only changed."""
    better = replace(COUNT, better=True)
    figures = (histories.figure(1, 1, 2, 2, steps=(histories.STEP,)), histories.figure(3, 3, 2, 2, steps=(better,), metric="rows"))
    (group,) = content.step_groups(histories.history(*figures))
    assert content.step_table(group.subjects).rows[0][2].status == CellStatus("mixed", "•", Tone.FLAT)
    assert content.direction(replace(COUNT, better=None)).name == "changed"
    assert content.direction(better).name == "better"


def test_a_count_from_0_has_no_percentage() -> None:
    """Both values are there."""
    (group,) = content.step_groups(counted(replace(COUNT, before=0.0, change=None)))
    assert content.step_table(group.subjects).rows[0][3].text == "vm steps 0 → 22"
    assert content.change(replace(COUNT, change=None)).text == "–"


def test_worse_comes_first_and_the_newest_commit_above() -> None:
    """Within a commit by the size of the change."""
    steps = [replace(COUNT, better=True, change=0.1), replace(COUNT, change=1.1), replace(COUNT, change=5.0)]
    figures = [histories.figure(3, 3, 22, 22, kind=FigureKind.WORK, steps=(s,), group=f"g{n}") for n, s in enumerate(steps)]
    (group,) = content.step_groups(histories.history(*figures))
    assert [rows[0].figure.group for rows in group.subjects] == ["g2", "g1", "g0"]
    both = histories.figure(1, 2, 3, 4, steps=(histories.STEP, replace(histories.STEP, before_run=2, run=3)))
    assert [group.title for group in content.step_groups(histories.history(both))] == ["At abcdef3", "At abcdef2"]


def test_a_run_without_a_commit_is_named_and_has_no_command() -> None:
    """Nor has one whose commit is not a name of git."""
    for commit in (None, "--output=x", "main"):
        runs = (histories.run(0), histories.run(1), histories.run(2, commit=commit, label=commit or "run-2"), histories.run(3))
        (group,) = content.step_groups(replace(histories.history(), runs=runs))
        assert group.command == ""
        assert group.title == ("In the run run-2" if commit is None else f"At {commit}")


def test_lines_that_are_not_comparable_are_explained() -> None:
    """Each by what differs; a single line needs no explanation."""
    (scenario,) = histories.history().scenarios
    assert list(content.line_notes(scenario)) == []
    (note,) = content.line_notes(replace(scenario, time_lines=("", "another machine: cpu EPYC and Xeon")))
    assert note.lead == "Ratios and times have 2 lines that are not comparable."
    assert note.text == "1: as in the first run; 2: another machine: cpu EPYC and Xeon."


def test_the_ends_of_a_figure_are_shown_per_line() -> None:
    """With the last interval; a line of one run has one value."""
    figure = histories.figure(4e6, 12e6)
    lines = (*figure.lines, HistoryLine(1, (HistoryPoint(2, 5e6),)))
    assert content.ends(replace(figure, lines=lines)) == [
        (0, "4.00 ms → 12.0 ms", "[10.9 ms, 13.2 ms]"),
        (1, "5.00 ms", ""),
    ]
    assert content.ends(histories.figure(2.0, kind=FigureKind.RATIO)) == [(0, "2.00×", "[1.82, 2.20]")]


def test_figures_that_never_changed_are_a_row_per_arm_and_group() -> None:
    """None where every figure varies, or is a time, which is shown with its interval."""
    same = [histories.figure(3, 3, kind=FigureKind.WORK), histories.figure(7, 7, kind=FigureKind.WORK, metric="rows")]
    table = content.constants([*same, histories.figure(1, 2)])
    assert table is not None
    assert [[cell.text for cell in row] for row in table.rows] == [["optimised · page", "vm steps 3 · rows 7"]]
    assert content.constants([histories.figure(1, 2, kind=FigureKind.WORK), histories.figure(1, 1)]) is None


def test_warnings_and_runs_with_remarks_are_shown() -> None:
    """Many of them only in number."""
    runs = tuple(histories.run(0, remarks=("was interrupted",), label=f"run {n}") for n in range(13))
    found = replace(histories.history(runs=4), runs=runs, warnings=(RunWarning("left out", "x.json is empty", ""),))
    text = markdown.write(content.brief(found))
    assert "x.json is empty" in text
    assert "was interrupted" in text
    assert "3 more" in text
    assert len(content.run_table(found).rows) == 13


def test_hostile_texts_stay_on_one_short_line() -> None:
    """Control characters are visible, and long names are cut in the middle."""
    text = f"\x1b[31m::error::{HOSTILE}\u202e\n" + "y" * 10_000
    figure = histories.figure(3, 3, 22, 22, kind=FigureKind.WORK, steps=(COUNT,), arm=text, group=text, metric=text)
    found = histories.history(figure)
    scenario = replace(found.scenarios[0], title=text, name=text, engine=text, time_lines=("", text))
    runs = tuple(histories.run(n, label=text, name=text, commit=text, remarks=(text,)) for n in range(4))
    found = replace(found, scenarios=(scenario,), runs=runs)
    shown = printed(content.brief(found), 100)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert max(len(line) for line in shown.splitlines()) <= 100
    assert shown.count("y" * 200) == 0
    assert content.anchor(scenario) != content.anchor(replace(scenario, engine=text + "z"))
