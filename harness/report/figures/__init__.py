"""The figures of the report, one per file, written as SVG by `harness.report.plot`. The folder is the registry.

A figure of one scenario has `draw(result, samples)`, a figure of the whole run has `draw_run(run)`. Both return a chart, or None if
there is nothing to draw. Each has `ORDER`, its position on the page; `TITLE`; and `HOW_TO_READ`, one short sentence.
`NEEDS_SAMPLES` marks those that cannot be drawn from the record alone, `IS_DETAIL` further ones that a page of many engines and
RTTs leaves out.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType

from harness.errors import UsageError
from harness.language import gettext, mark
from harness.report.blocks import Table
from harness.report.plot import Chart
from harness.report.samples import Samples
from harness.results.names import shortened, visible
from harness.results.run import Run, ScenarioResult
from harness.results.store import read_histograms, read_samples

MANY_PLACES = 2
"""The number of engines and RTTs above which a page draws in brief: six times the figures would be half of its bytes."""
IN_BRIEF = mark("Pairs and distributions are drawn in reports of one or two engines and RTTs.")
SOME_GROUPS = mark("{drawn} of {groups} groups drawn: the others have nothing to show here.")
SOME_DOTS = mark("{drawn} of {dots} pairs drawn, all of them in")
ALL_SAMPLES = mark("All operations are in")


@dataclass(frozen=True)
class FigureBox:
    """A figure on the page."""

    title: str
    how_to_read: str
    missing: str = ""
    """The reason why it was left out."""
    panels: Sequence[tuple[str, str]] = ()
    """Title and SVG of each; empty if it was left out."""
    key: Sequence[tuple[str, str]] = ()
    """The class of the line and the name of each arm in the key."""
    notes: Sequence[str] = ()
    """Sentences about what is not drawn."""
    table: Table | None = None
    """The same content."""
    twin: str = ""
    """The table of the page that has the same content, if it has none of its own."""
    samples_note: str = ""
    """The words before the file of the raw samples."""
    samples_file: str = ""
    samples_link: str = ""
    """The file's address, seen from the page; empty if it is not there."""

    @property
    def wide(self) -> bool:
        """Whether it takes a row of the page."""
        return len(self.panels) > 1


@cache
def drawings() -> tuple[ModuleType, ...]:
    """Load every figure of this folder, in their order."""
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    return tuple(sorted(modules, key=lambda module: (module.ORDER, module.__name__)))


def of_run(run: Run) -> Iterator[FigureBox]:
    """Yield the figures of a whole run."""
    for drawing in drawings():
        chart = drawing.draw_run(run) if hasattr(drawing, "draw_run") else None
        if chart is not None:
            yield _boxed(drawing, chart)


def of_scenario(
    result: ScenarioResult, folder: Path | None, *, samples_link: str = "", in_brief: bool = False
) -> Iterator[FigureBox]:
    """Yield the figures of one scenario; those that need raw samples are drawn from `folder`, or left out with the reason.

    `samples_link` is the address of the samples, seen from the page. In brief are only figures from the record, without tables of
    their own: those of the card have the same ratios.
    """
    samples, missing = (None, "") if in_brief else _samples(result, folder)
    for drawing in drawings():
        needs_samples = getattr(drawing, "NEEDS_SAMPLES", False)
        if not hasattr(drawing, "draw") or (needs_samples and result.is_timed_under_load):
            continue  # under load the times of single operations are not kept, and there are other figures
        if in_brief and (needs_samples or getattr(drawing, "IS_DETAIL", False)):
            continue
        if not needs_samples or not missing:
            chart = drawing.draw(result, None if missing else samples)
            if chart is not None:
                box = _boxed(drawing, chart, result.samples_file or "", samples_link, has_all_samples=needs_samples)
                if in_brief:
                    box = replace(box, table=None, notes=[*box.notes, gettext(IN_BRIEF)] if chart.dots is not None else box.notes)
                yield box
        elif result.latencies:
            yield FigureBox(gettext(drawing.TITLE), gettext(drawing.HOW_TO_READ), missing=missing)


def _boxed(
    drawing: ModuleType, chart: Chart, samples_file: str = "", link: str = "", *, has_all_samples: bool = False
) -> FigureBox:
    """Return a chart in its box; its dots are a part of the samples in a file."""
    drawn, dots = chart.dots or (0, 0)
    some = gettext(SOME_DOTS, drawn=f"{drawn:,}", dots=f"{dots:,}") if drawn < dots else ""
    note = gettext(ALL_SAMPLES) if has_all_samples else some
    return FigureBox(
        gettext(drawing.TITLE),
        gettext(drawing.HOW_TO_READ),
        panels=[(shortened(visible(panel.title)), panel.svg(gettext(drawing.TITLE))) for panel in chart.panels],
        key=[(line, shortened(visible(name))) for line, name in chart.key],
        notes=[gettext(SOME_GROUPS, drawn=len(chart.panels), groups=chart.groups)] if len(chart.panels) < chart.groups else [],
        table=chart.table,
        twin=gettext(getattr(drawing, "TWIN", "")),
        samples_note=note if samples_file else "",
        samples_file=shortened(visible(samples_file)) if note else "",
        samples_link=link if note and samples_file else "",
    )


def _samples(result: ScenarioResult, folder: Path | None) -> tuple[Samples | None, str]:
    """Return a scenario's raw samples, or under load its histograms; or why there are none."""
    if result.samples_file is None:
        return None, gettext("this run has no raw samples of the scenario")
    if folder is None:
        return None, gettext("the raw samples were not available; render the report from the run's folder")
    try:
        if result.is_timed_under_load:
            return read_histograms(folder / result.samples_file), ""
        samples = read_samples(folder / result.samples_file)
    except UsageError as error:
        return None, str(error)
    return samples, "" if len(samples["arm"]) else gettext("the sample file is empty")
