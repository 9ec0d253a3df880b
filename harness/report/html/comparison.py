"""Files of other tools as a page: one file's times, or two side by side with their verdicts. Same look as the report of a run."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from harness.report import comparison, numbers
from harness.report.figures import before_after
from harness.report.html import templates
from harness.report.svg import inline, look
from harness.results.run import Run
from harness.results.store import write_bytes

REPORT_FILE = "report.html"


def write(run: Run, out: Path) -> Path:
    """Write `report.html` into `out` and return its path.

    Raises:
        UsageError: the folder cannot be written.
    """
    return write_bytes(out / REPORT_FILE, render(run).encode())


def render(run: Run) -> str:
    """Return the page of a run of a kind in `harness.report.comparison.KINDS`."""
    return (
        templates.environment()
        .get_template("comparison.html.j2")
        .render(
            run=run,
            style=templates.style(),
            numbers=numbers,
            comparison=comparison,
            warnings_found=[*run.warnings, *(warning for result in run.scenarios for warning in result.warnings)],
            found=comparison.table(run),
            tails=comparison.tails(run),
            svg=_figure(run),
            drawing=before_after,
        )
    )


def _figure(run: Run) -> Markup:
    with look():
        made = before_after.draw_run(run)
        label = f"{before_after.TITLE}. The table below has the same figures."
        return Markup() if made is None else Markup(inline(made, "before-after", label))  # noqa: S704 - Matplotlib escapes texts
