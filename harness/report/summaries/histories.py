"""The summary of a history: how many steps there are and at which commits, the newest and largest first."""

from dataclasses import replace

from harness.language import gettext, mark
from harness.report import history
from harness.report.blocks import Block, Cell, Paragraph, Table, TableKind, of
from harness.report.numbers import counted
from harness.report.summaries.frame import MESSAGE, REMARKS, fitted, left_out, pointer, remark
from harness.results.history import History
from harness.results.names import shortened
from harness.results.run import RunWarning

COMMIT, NAME = 8, 26
"""The most characters of a commit's title and of a scenario or a figure."""


def summary(found: History, more: str, width: int) -> list[Block]:
    """Return the heading of a history, a row per arm and group with a step, and the number of warnings."""
    table = _steps(found)
    figures = sum(len(scenario.figures) for scenario in found.scenarios)
    known = (counted(len(found.scenarios), "scenario"), counted(figures, "figure"))
    remarks = [remark(warning) for warning in found.warnings]
    remarks += [remark(RunWarning(run.label, "; ".join(run.remarks), ""), "") for run in found.runs if run.remarks]

    def blocks(most: int) -> list[Block]:
        return of(
            Paragraph("", gettext("{sentence}.", sentence=history.short(history.heading(found), MESSAGE))),
            Paragraph(gettext("{sentence}.", sentence=gettext(", ").join(known)), quiet=True),
            replace(table, rows=table.rows[:most]) if table.rows and most else None,
            left_out(len(table.rows), most),
            *remarks[:REMARKS],
            pointer({"more remark": max(0, len(remarks) - REMARKS)}, more),
        )

    return fitted(blocks, width, len(table.rows))


def _steps(found: History) -> Table:
    """Return a row per arm and group with steps at a commit."""
    rows = []
    for group in history.step_groups(found):
        commit = shortened(group.label, COMMIT)
        for row in history.short_step_table(group.subjects).rows:
            scenario, subject, direction, changed = row
            figure = shortened(f"{scenario.text} · {subject.text}", NAME)
            rows.append((Cell(commit), direction, Cell(figure), changed))
    head = (mark("commit"), mark("direction"), mark("figures of"), mark("changed"))
    return Table("", head, tuple(rows), names=4, wide=head[-1:], kind=TableKind.VERDICTS, is_one_line=True)
