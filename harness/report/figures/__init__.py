"""The figures of the report, one per file. The folder is the registry: a new file is a new figure.

A figure of one scenario has `draw(result, samples)`, a figure of the whole run has `draw_run(run)`. Both return a Matplotlib
figure, or None if the run has nothing to draw. Each has `ORDER`, its position on the page, `TITLE`, and `HOW_TO_READ`, one line.
`NEEDS_SAMPLES` marks those that cannot be drawn from the record alone.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy.typing as npt

from harness.errors import UsageError, missing_extra
from harness.results.run import Run, ScenarioResult
from harness.results.store import read_histograms, read_samples

Samples = Mapping[str, npt.NDArray[Any]]
"""Raw samples of one scenario as columns of equal length, one entry per recorded operation: `harness.results.store.SAMPLE_COLUMNS`.
Under load one per bucket of its histograms: `harness.results.store.HISTOGRAM_COLUMNS`."""

WIDE = 700
"""A figure above this width, in view-box units, takes a row of the page."""


@dataclass(frozen=True)
class FigureBox:
    """A figure on the page."""

    title: str
    how_to_read: str
    svg: str = ""
    """Empty if the figure was left out."""
    missing: str = ""
    """The reason why it was left out."""
    wide: bool = False


@cache
def drawings() -> tuple[ModuleType, ...]:
    """Load every figure of this folder, in their order.

    Raises:
        UsageError: Matplotlib is not installed.
    """
    try:
        modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    except ModuleNotFoundError as error:
        raise missing_extra((error.name or "matplotlib").partition(".")[0], "report", "drawing figures") from error
    return tuple(sorted(modules, key=lambda module: (module.ORDER, module.__name__)))


def of_run(run: Run, place: str) -> Iterator[FigureBox]:
    """Yield the figures of a whole run; `place` makes their ids unique on the page."""
    for drawing in drawings():
        if hasattr(drawing, "draw_run"):
            label = f"{drawing.TITLE}. The table below has the same figures."
            yield from _boxed(drawing, (run,), f"run-{place}", label)


def of_scenario(result: ScenarioResult, anchor: str, folder: Path | None) -> Iterator[FigureBox]:
    """Yield the figures of one scenario; those that need raw samples are drawn from `folder`, or left out with the reason."""
    samples, missing = _samples(result, folder)
    for drawing in drawings():
        needs_samples = getattr(drawing, "NEEDS_SAMPLES", False)
        if not hasattr(drawing, "draw") or (needs_samples and result.is_timed_under_load):
            continue  # under load the times of single operations are not kept, and there are other figures
        if not needs_samples or not missing:
            label = f"{drawing.TITLE}, {result.title}. The tables of this scenario have the figures."
            yield from _boxed(drawing, (result, samples), anchor, label)
        elif result.latencies:
            yield FigureBox(drawing.TITLE, drawing.HOW_TO_READ, missing=missing)


def _boxed(drawing: ModuleType, data: tuple[object, ...], prefix: str, label: str) -> list[FigureBox]:
    """Return the figure that a module draws of the data, in its box; nothing if it has nothing to draw."""
    from harness.report.svg import INCH, inline, look  # noqa: PLC0415 - needs Matplotlib, whose absence `drawings` reports

    with look():
        made = (drawing.draw if hasattr(drawing, "draw") else drawing.draw_run)(*data)
        if made is None:
            return []
        svg = inline(made, f"{prefix}-{drawing.__name__.rpartition('.')[2]}", label)
    return [FigureBox(drawing.TITLE, drawing.HOW_TO_READ, svg, wide=made.get_figwidth() * INCH > WIDE)]


def _samples(result: ScenarioResult, folder: Path | None) -> tuple[Samples | None, str]:
    """Return a scenario's raw samples, or under load its histograms; or why there are none."""
    if result.samples_file is None:
        return None, "this run has no raw samples of the scenario"
    if folder is None:
        return None, "the raw samples were not available; render the report from the run's folder"
    try:
        if result.is_timed_under_load:
            return read_histograms(folder / result.samples_file), ""
        samples = read_samples(folder / result.samples_file)
    except UsageError as error:
        return None, str(error)
    return samples, "" if len(samples["arm"]) else "the sample file is empty"
