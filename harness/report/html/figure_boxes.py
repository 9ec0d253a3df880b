"""The figures of a page, each in a box with its title and how it is read, or with the reason for which it was left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from harness.errors import UsageError
from harness.report.figures import Drawing, Samples, drawings
from harness.report.svg import INCH, inline, look
from harness.results.histograms import read_histograms
from harness.results.run import Run, ScenarioResult
from harness.results.store import SAMPLE_COLUMNS, read_samples

WIDE = 700
"""A figure above this width, in its own units, takes a row of the page for itself."""


@dataclass(frozen=True)
class FigureBox:
    """A figure on the page; `svg` is empty where `missing` says why it was left out."""

    title: str
    how_to_read: str
    svg: Markup
    missing: str = ""
    wide: bool = False


def of_run(run: Run, place: str) -> Iterator[FigureBox]:
    """Yield the figures of a whole run; `place` keeps their ids apart from those of other places."""
    for drawing in drawings():
        if drawing.draw_run is None:
            continue
        with look():
            made = drawing.draw_run(run)
            if made is not None:
                svg = inline(made, f"run-{place}-{drawing.name}", f"{drawing.title}. The table below has the same figures.")
                yield FigureBox(drawing.title, drawing.how_to_read, Markup(svg))  # noqa: S704 - Matplotlib escapes texts


def of_scenario(result: ScenarioResult, anchor: str, folder: Path | None) -> Iterator[FigureBox]:
    """Yield the figures of one scenario; those that need raw samples are drawn from `folder`, or left out with the reason."""
    samples, missing = _samples(result, folder)
    for drawing in drawings():
        if drawing.draw is None or (drawing.needs_samples and result.load is not None):
            continue  # under load no operation's own time is kept, and there are figures made for it
        if drawing.needs_samples and missing:
            if result.latencies:
                yield FigureBox(drawing.title, drawing.how_to_read, Markup(), missing)
            continue
        box = _drawn(drawing, result, samples, anchor)
        if box is not None:
            yield box


def _drawn(drawing: Drawing, result: ScenarioResult, samples: Samples | None, anchor: str) -> FigureBox | None:
    assert drawing.draw is not None
    with look():
        made = drawing.draw(result, samples)
        if made is None:
            return None
        label = f"{drawing.title}, {result.title}. The tables of this scenario have the figures."
        svg = Markup(inline(made, f"{anchor}-{drawing.name}", label))  # noqa: S704 - Matplotlib escapes texts
        return FigureBox(drawing.title, drawing.how_to_read, svg, wide=made.get_figwidth() * INCH > WIDE)


def _samples(result: ScenarioResult, folder: Path | None) -> tuple[Samples | None, str]:
    """Return a scenario's raw samples, under load its histograms, or why there are none."""
    if result.samples_file is None:
        return None, "this run kept no raw samples of the scenario"
    if folder is None:
        return None, "the raw samples were not at hand; render the report from the run's folder"
    try:
        if result.load is not None:
            return read_histograms(folder / result.samples_file), ""
        rows = [
            (s.process, s.pair, s.position, s.arm, s.group, s.case, s.latency_ns)
            for s in read_samples(folder / result.samples_file)
        ]
    except UsageError as error:
        return None, str(error)
    return pd.DataFrame(rows, columns=list(SAMPLE_COLUMNS)), "" if rows else "the sample file is empty"
