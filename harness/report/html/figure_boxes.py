"""The figures of a page, each in a box with its title and how to read it, or with the reason why it was left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from harness.errors import UsageError
from harness.report.figures import Drawing, Samples, drawings
from harness.results.run import Run, ScenarioResult
from harness.results.store import SAMPLE_COLUMNS, read_columns, read_histograms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE = 700
"""A figure above this width, in view-box units, takes a row of the page."""


@dataclass(frozen=True)
class FigureBox:
    """A figure on the page."""

    title: str
    how_to_read: str
    svg: Markup
    """Empty if the figure was left out."""
    missing: str = ""
    """The reason why it was left out."""
    wide: bool = False


def of_run(run: Run, place: str) -> Iterator[FigureBox]:
    """Yield the figures of a whole run; `place` makes their ids unique on the page."""
    for drawing in drawings():
        label = f"{drawing.title}. The table below has the same figures."
        if drawing.draw_run and (box := boxed(drawing, partial(drawing.draw_run, run), f"run-{place}-{drawing.name}", label)):
            yield box


def of_scenario(result: ScenarioResult, anchor: str, folder: Path | None) -> Iterator[FigureBox]:
    """Yield the figures of one scenario; those that need raw samples are drawn from `folder`, or left out with the reason."""
    samples, missing = _samples(result, folder)
    for drawing in drawings():
        draw = drawing.draw
        if draw is None or (drawing.needs_samples and result.load is not None):
            continue  # under load the times of single operations are not kept, and there are other figures
        if drawing.needs_samples and missing:
            if result.latencies:
                yield FigureBox(drawing.title, drawing.how_to_read, Markup(), missing)
            continue
        label = f"{drawing.title}, {result.title}. The tables of this scenario have the figures."
        if box := boxed(drawing, partial(draw, result, samples), f"{anchor}-{drawing.name}", label):
            yield box


def boxed(drawing: Drawing, make: Callable[[], Figure | None], identity: str, label: str) -> FigureBox | None:
    """Return the figure that `make` draws, in its box; None if it has nothing to draw."""
    from harness.report.svg import INCH, inline, look  # noqa: PLC0415 - needs Matplotlib, whose absence `drawings` reports

    with look():
        made = make()
        if made is None:
            return None
        svg = Markup(inline(made, identity, label))  # noqa: S704 - Matplotlib escapes texts
    return FigureBox(drawing.title, drawing.how_to_read, svg, wide=made.get_figwidth() * INCH > WIDE)


def _samples(result: ScenarioResult, folder: Path | None) -> tuple[Samples | None, str]:
    """Return a scenario's raw samples, or under load its histograms; or why there are none."""
    if result.samples_file is None:
        return None, "this run has no raw samples of the scenario"
    if folder is None:
        return None, "the raw samples were not available; render the report from the run's folder"
    try:
        if result.load is not None:
            return read_histograms(folder / result.samples_file), ""
        samples = read_columns(folder / result.samples_file, SAMPLE_COLUMNS, "samples")
    except UsageError as error:
        return None, str(error)
    return samples, "" if len(samples["arm"]) else "the sample file is empty"
