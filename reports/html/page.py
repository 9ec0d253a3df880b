"""A run as one self-contained HTML page, light and dark, on screen and on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from harness.errors import UsageError
from harness.judge.verdict import REPORTED
from harness.record import NOT_RUN, Run, ScenarioResult, Statement
from harness.run_file import SAMPLE_COLUMNS, read_samples, write_bytes
from reports import ablation, matrix, numbers, promises, review, tables
from reports.figures import Drawing, Samples, drawings
from reports.order import groups_of
from reports.svg import inline, look

HERE = Path(__file__).parent
REPORT_FILE = "report.html"
MANY = 12
"""From so many cards on, drawing them on all cores saves more than starting processes costs."""


@dataclass(frozen=True)
class FigureBox:
    """A figure on the page; `svg` is empty where `missing` says why it was left out."""

    title: str
    how_to_read: str
    svg: Markup
    missing: str = ""


@dataclass(frozen=True)
class Plans:
    """The statements of one group of cases, by arm: plans before and after."""

    group: str
    by_arm: tuple[tuple[str, tuple[Statement, ...]], ...]


@dataclass(frozen=True)
class AblationBox:
    """What the switches of a scenario bring in one group of cases."""

    table: tables.Table
    total: str


@dataclass(frozen=True)
class PlaceBox:
    """What one engine at one distance had to say: its promises, the figures that show them all, and its answers to the review."""

    label: str
    rows: list[promises.PromiseRow]
    strip: list[FigureBox]
    answers: list[tables.Table]
    ablations: list[AblationBox]


@dataclass(frozen=True)
class Card:
    """Everything the page shows of one scenario."""

    anchor: str
    where: str
    result: ScenarioResult
    paragraphs: tuple[str, ...]
    promises: tuple[promises.PromiseRow, ...]
    ratios: tables.Table | None
    percentiles: tuple[tables.Table, ...]
    more: tuple[tables.Table, ...]
    plans: tuple[Plans, ...]
    figures: tuple[FigureBox, ...]


def write(run: Run, folder: Path, out: Path | None = None) -> Path:
    """Write `report.html` into `out`, by default the run's own folder, drawing from the raw samples in `folder`.

    Raises:
        UsageError: the folder cannot be written.
    """
    return write_bytes((out or folder) / REPORT_FILE, render(run, folder).encode())


def render(run: Run, folder: Path | None = None) -> str:
    """Return the page of a run. Figures that need raw samples are drawn from `folder`, or left out with a line saying why."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"plan_words": plan_words, "megabytes": numbers.megabytes}
    page = environment.get_template("report.html.j2")
    return page.render(
        run=run,
        style=Markup((HERE / "style.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        numbers=numbers,
        promises=promises,
        controls=tables.controls,
        reported=REPORTED,
        read_ablation=ablation.READ,
        tally=promises.tally(run),
        boxes=[_place_box(run, place) for place in matrix.places(run)],
        matrix=matrix.matrix(run),
        not_run=list(matrix.not_run(run)),
        broken=promises.broken_arms(run.scenarios),
        cards=cards(run, folder),
    )


def _place_box(run: Run, place: matrix.Place) -> PlaceBox:
    there = matrix.at(run, place)
    slug = re.sub(r"[^a-z0-9]+", "-", place.label.lower())
    switched = [AblationBox(ablation.table(part), ablation.total(part.found)) for part in ablation.parts(there)]
    return PlaceBox(place.label, promises.rows(there), list(_run_figures(there, slug)), review.answers(there), switched)


def cards(run: Run, folder: Path | None) -> list[Card]:
    """Return a card for each scenario result, in the run's order; what was not run has none."""
    each = zip(run.scenarios, promises.anchors(run), promises.places(run), strict=True)
    wanted = [(result, anchor, where) for result, anchor, where in each if result.status != NOT_RUN]
    make = partial(_card, folder=folder, blocks=run.kind == "load")
    if len(wanted) < MANY:
        return [make(*card) for card in wanted]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as processes:  # drawing is work for Python itself: threads take turns
        return list(processes.map(make, *zip(*wanted, strict=True)))


def _card(result: ScenarioResult, anchor: str, where: str, *, folder: Path | None, blocks: bool) -> Card:
    more = (tables.exact(result), tables.memory(result), tables.growth(result))
    return Card(
        anchor=anchor,
        where=where,
        result=result,
        paragraphs=_paragraphs(result),
        promises=tuple(promises.rows_of(result, anchor)),
        ratios=tables.ratios(result, blocks=blocks),
        percentiles=tuple(tables.percentiles(result)),
        more=tuple(table for table in more if table is not None),
        plans=tuple(_plans(result)),
        figures=tuple(_scenario_figures(result, anchor, folder)),
    )


def _plans(result: ScenarioResult) -> Iterator[Plans]:
    arms = [arm.name for arm in result.arms] + [s.arm for s in result.statements]
    for group in groups_of(result, result.statements):
        of_group = [s for s in result.statements if s.group == group]
        by_arm = ((arm, tuple(s for s in of_group if s.arm == arm)) for arm in dict.fromkeys(arms))
        yield Plans(group, tuple((arm, found) for arm, found in by_arm if found))


def _paragraphs(result: ScenarioResult) -> tuple[str, ...]:
    """Return what the scenario says of itself, without the first paragraph where that is just the title over again."""
    found = [p.strip() for p in re.split(r"\n\s*\n", result.doc) if p.strip()]
    return tuple(found[1:] if found and found[0].rstrip(".") == result.title.rstrip(".") else found)


def _run_figures(run: Run, place: str) -> Iterator[FigureBox]:
    for drawing in drawings():
        if drawing.draw_run is None:
            continue
        with look():
            made = drawing.draw_run(run)
            if made is not None:
                svg = inline(made, f"run-{place}-{drawing.name}", f"{drawing.title}. The table below has the same figures.")
                yield FigureBox(drawing.title, drawing.how_to_read, Markup(svg))  # noqa: S704 - Matplotlib escapes texts


def _scenario_figures(result: ScenarioResult, anchor: str, folder: Path | None) -> Iterator[FigureBox]:
    samples, missing = _samples(result, folder)
    for drawing in drawings():
        if drawing.draw is None:
            continue
        if drawing.needs_samples and missing:
            if result.latencies:
                yield FigureBox(drawing.title, drawing.how_to_read, Markup(), missing)
            continue
        svg = _drawn(drawing, result, samples, anchor)
        if svg:
            yield FigureBox(drawing.title, drawing.how_to_read, Markup(svg))  # noqa: S704 - Matplotlib escapes texts


def _drawn(drawing: Drawing, result: ScenarioResult, samples: Samples | None, anchor: str) -> str:
    assert drawing.draw is not None
    with look():
        made = drawing.draw(result, samples)
        label = f"{drawing.title}, {result.title}. The tables of this scenario have the figures."
        return "" if made is None else inline(made, f"{anchor}-{drawing.name}", label)


def _samples(result: ScenarioResult, folder: Path | None) -> tuple[Samples | None, str]:
    """Return a scenario's raw samples, or why there are none."""
    if result.samples_file is None:
        return None, "this run kept no raw samples of the scenario"
    if folder is None:
        return None, "the raw samples were not at hand; render the report from the run's folder"
    try:
        rows = [
            (s.process, s.pair, s.position, s.arm, s.group, s.case, s.latency_ns)
            for s in read_samples(folder / result.samples_file)
        ]
    except UsageError as error:
        return None, str(error)
    return pd.DataFrame(rows, columns=list(SAMPLE_COLUMNS)), "" if rows else "the sample file is empty"


def plan_words(line: str) -> Sequence[tuple[str, bool]]:
    """Split a line of a query plan into pieces, each with whether it is the word for reading a whole table."""
    pieces = re.split(r"\b((?:Parallel )?Seq Scan|SCAN)\b", line)
    return [(piece, place % 2 == 1) for place, piece in enumerate(pieces) if piece]
