"""A run as one self-contained HTML page, light and dark, on screen and on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from harness.report import ablation, capacity, controls, load, matrix, numbers, promises, review, tables, tails
from harness.report.html import figure_boxes, templates
from harness.report.html.figure_boxes import FigureBox
from harness.report.order import groups_of
from harness.results.run import PromiseVerdict, Run, ScenarioResult, ScenarioStatus, Statement
from harness.results.store import write_bytes

REPORT_FILE = "report.html"
MANY = 12
"""From so many cards on, drawing them on all cores saves more than starting processes costs."""


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
class LoadBox:
    """What one scenario met under load: `shown` are tables side by side, `errors` needs the whole width, `folded` is long."""

    heading: str
    anchor: str
    planned: str
    troubles: list[load.Trouble]
    summary: tables.Table | None
    shown: list[tables.Table]
    reasons: list[tuple[str, str]]
    errors: tables.Table | None
    folded: tables.Table | None


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
    load: LoadBox | None = None


def write(run: Run, folder: Path, out: Path | None = None) -> Path:
    """Write `report.html` into `out`, by default the run's own folder, drawing from the raw samples in `folder`.

    Raises:
        UsageError: the folder cannot be written.
    """
    return write_bytes((out or folder) / REPORT_FILE, render(run, folder).encode())


def render(run: Run, folder: Path | None = None) -> str:
    """Return the page of a run. Figures that need raw samples are drawn from `folder`, or left out with a line saying why."""
    environment = templates.environment()
    environment.filters |= {"plan_words": plan_words, "megabytes": numbers.megabytes}
    page = environment.get_template("report.html.j2")
    return page.render(
        run=run,
        style=templates.style(),
        numbers=numbers,
        promises=promises,
        controls=tables.controls,
        reported=PromiseVerdict.MEASURED,
        read_ablation=ablation.READ,
        read_load=load.READ,
        tally=promises.tally(run),
        boxes=[_place_box(run, place) for place in matrix.places(run)],
        matrix=matrix.matrix(run),
        not_run=list(matrix.not_run(run)),
        broken=promises.broken_arms(run.scenarios),
        cards=cards(run, folder),
    )


def _place_box(run: Run, place: matrix.EnginePlace) -> PlaceBox:
    there = matrix.at(run, place)
    slug = re.sub(r"[^a-z0-9]+", "-", place.label.lower())
    switched = [AblationBox(ablation.table(part), ablation.total(part.found)) for part in ablation.parts(there)]
    return PlaceBox(place.label, promises.rows(there), list(figure_boxes.of_run(there, slug)), review.answers(there), switched)


def cards(run: Run, folder: Path | None) -> list[Card]:
    """Return a card for each scenario result, in the run's order; what was not run has none."""
    each = zip(run.scenarios, promises.anchors(run), promises.places(run), strict=True)
    wanted = [(result, anchor, where) for result, anchor, where in each if result.status != ScenarioStatus.NOT_RUN]
    make = partial(_card, folder=folder, blocks=run.kind == "load")
    if len(wanted) < MANY:
        return [make(*card) for card in wanted]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as processes:  # drawing is work for Python itself: threads take turns
        return list(processes.map(make, *zip(*wanted, strict=True)))


def _card(result: ScenarioResult, anchor: str, where: str, *, folder: Path | None, blocks: bool) -> Card:
    more = (tails.ratios(result), tables.exact(result), tables.memory(result), tables.growth(result), *controls.tables(result))
    under_load = _load_box(result, anchor, where)
    return Card(
        anchor=anchor,
        where=where,
        result=result,
        paragraphs=_paragraphs(result),
        promises=tuple(promises.rows_of(result, anchor)),
        ratios=None if under_load else tables.ratios(result, blocks=blocks),
        percentiles=() if under_load else tuple(tables.percentiles(result)),
        more=tuple(table for table in more if table is not None),
        plans=tuple(_plans(result)),
        figures=tuple(figure_boxes.of_scenario(result, anchor, folder)),
        load=under_load,
    )


def _load_box(result: ScenarioResult, anchor: str, where: str) -> LoadBox | None:
    """Return what a scenario met under load. Its tables stand in place of the ordinary ones, which know nothing of overload."""
    if result.load is None:
        return None
    shown = [load.ratios(result), *load.arms(result), *capacity.tables(result)]
    return LoadBox(
        heading=", ".join(text for text in (result.title, where) if text),
        anchor=anchor,
        planned=load.planned(result.load),
        troubles=load.troubles(result),
        summary=load.summary(result),
        shown=[table for table in shown if table is not None],
        reasons=capacity.reasons(result),
        errors=load.errors(result),
        folded=capacity.steps(result),
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


def plan_words(line: str) -> Sequence[tuple[str, bool]]:
    """Split a line of a query plan into pieces, each with whether it is the word for reading a whole table."""
    pieces = re.split(r"\b((?:Parallel )?Seq Scan|SCAN)\b", line)
    return [(piece, place % 2 == 1) for place, piece in enumerate(pieces) if piece]
