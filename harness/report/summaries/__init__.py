"""The end of a command: a conclusion, the rows that matter, totals, and where the rest is, in at most 24 lines of 80 columns.

The path that a command prints below it is the 25th. One module per kind of result.
"""

from harness.report import conclusion
from harness.report.blocks import Block
from harness.report.summaries import files, pairs, under_load
from harness.results.run import Run, RunKind


def summary(run: Run, more: str, width: int = 80, verdict: str = "") -> list[Block]:
    """Return the summary of a run, with the command that prints `more`, laid out for `width` columns.

    The `verdict` is that on two compared files, in a sentence.
    """
    if run.kind in {RunKind.FILE, RunKind.COMPARISON}:
        return files.summary(run, more, width, verdict)
    if run.kind == RunKind.LOAD:
        return under_load.summary(run, more, width)
    return pairs.concluded(run, more, width) if conclusion.is_there(run) else pairs.ablated(run, more, width)
