"""The figures of the report. Two folders are registries, in which a new file is a new figure.

`figures.cards` has those of one scenario timed in pairs, written directly as SVG: there are a hundred on a page. This folder has
those of a run and of a load test, drawn with Matplotlib: `draw_run(run)` or `draw(result, samples)` return a Matplotlib figure, or
None if there is nothing to draw. Each has `ORDER`, its position; `TITLE`; and `HOW_TO_READ`, one sentence.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from urllib.parse import quote

from harness.errors import UsageError, missing_extra
from harness.report.blocks import Table
from harness.report.figures import cards
from harness.report.plot import Chart, arm_classes
from harness.report.samples import Samples
from harness.results.run import Run, RunKind, ScenarioResult
from harness.results.store import read_histograms, read_samples

WIDE = 700
"""A figure above this width, in view-box units, takes a row of the page."""

LABEL = "{title}, {scenario}"
"""A panel for screen readers; its group follows."""
SOME_GROUPS = "{drawn} of {groups} groups drawn: the others have nothing to show here."
SOME_DOTS = "{drawn} of {dots} pairs drawn, all of them in"
ALL_SAMPLES = "All operations are in"


@dataclass(frozen=True)
class FigureBox:
    """A figure on the page."""

    title: str
    how_to_read: str
    svg: str = ""
    """Drawn with Matplotlib; empty if the figure was left out, or has panels."""
    missing: str = ""
    """The reason why it was left out."""
    wide: bool = False
    panels: Sequence[tuple[str, str]] = ()
    """Title and SVG of each."""
    key: Sequence[tuple[str, str]] = ()
    """The class of the line and the name of each arm in the key."""
    notes: Sequence[str] = ()
    """Sentences about what is not drawn."""
    table: Table | None = None
    """The same content."""
    samples_note: str = ""
    """The words before the link to the raw samples."""
    samples_link: str = ""
    """The file of the raw samples, relative to the run's folder."""


@cache
def drawings() -> tuple[ModuleType, ...]:
    """Load every figure that Matplotlib draws, in their order.

    Raises:
        UsageError: Matplotlib is not installed.
    """
    try:
        return _loaded(__name__, __path__)
    except ModuleNotFoundError as error:
        raise missing_extra((error.name or "matplotlib").partition(".")[0], "report", "drawing figures") from error


@cache
def card_drawings() -> tuple[ModuleType, ...]:
    """Load every figure of a scenario timed in pairs, in their order."""
    return _loaded(cards.__name__, cards.__path__)


def _loaded(package: str, path: Sequence[str]) -> tuple[ModuleType, ...]:
    found = (module for module in pkgutil.iter_modules(path) if not module.ispkg)
    modules = [importlib.import_module(f"{package}.{module.name}") for module in found]
    return tuple(sorted(modules, key=lambda module: (module.ORDER, module.__name__)))


def of_run(run: Run, place: str) -> Iterator[FigureBox]:
    """Yield the figures of a whole run; `place` makes their ids unique on the page.

    Only comparisons and ablations have some: the promises of other runs are a table.
    """
    if run.kind != RunKind.COMPARISON and not any(result.ablation for result in run.scenarios):
        return
    for drawing in drawings():
        if hasattr(drawing, "draw_run"):
            label = f"{drawing.TITLE}. The table below has the same figures."
            yield from _boxed(drawing, (run,), f"run-{place}", label)


def of_scenario(result: ScenarioResult, anchor: str, folder: Path | None) -> Iterator[FigureBox]:
    """Yield the figures of one scenario; those that need raw samples are drawn from `folder`, or left out with the reason."""
    samples, missing = _samples(result, folder)
    for drawing in drawings() if result.load is not None else ():
        if hasattr(drawing, "draw"):
            label = f"{drawing.TITLE}, {result.title}. The tables of this scenario have the figures."
            yield from _boxed(drawing, (result, samples), anchor, label)
    for drawing in card_drawings():
        needs_samples = getattr(drawing, "NEEDS_SAMPLES", False)
        if needs_samples and result.is_timed_under_load:
            continue  # the times of single operations are not kept
        if not needs_samples or not missing:
            chart = drawing.draw(result, None if missing else samples)
            if chart is not None:
                yield _charted(drawing, chart, result)
        elif result.latencies:
            yield FigureBox(drawing.TITLE, drawing.HOW_TO_READ, missing=missing)


def _charted(drawing: ModuleType, chart: Chart, result: ScenarioResult) -> FigureBox:
    """Return a chart in its box."""
    described = LABEL.format(title=drawing.TITLE, scenario=result.title)
    classes = arm_classes((arm.name for arm in result.arms), chart.key)
    drawn, dots = chart.dots
    note = SOME_DOTS.format(drawn=f"{drawn:,}", dots=f"{dots:,}") if drawn < dots else ""
    if getattr(drawing, "NEEDS_SAMPLES", False):
        note = ALL_SAMPLES
    return FigureBox(
        drawing.TITLE,
        drawing.HOW_TO_READ,
        wide=len(chart.panels) > 1,
        panels=[(panel.title, panel.svg(described)) for panel in chart.panels],
        key=[(classes[arm], arm) for arm in chart.key],
        notes=[SOME_GROUPS.format(drawn=len(chart.panels), groups=chart.groups)] if len(chart.panels) < chart.groups else [],
        table=chart.table,
        samples_note=note,
        samples_link=f"./{quote(result.samples_file)}" if note and result.samples_file else "",
    )


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
