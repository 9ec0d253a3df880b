"""A run as one self-contained HTML page, light and dark, on screen and on paper."""

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from harness.errors import missing_extra
from harness.report import ablation, comparison, load, numbers, overview, promises, review, tables
from harness.report.blocks import Block, Cell, CellStatus, Paragraph, Table, of, status, warning_notices
from harness.results.run import AA_CONTROL, BASELINE, Finding, Run, RunKind, ScenarioResult, ScenarioStatus, Statement
from harness.results.store import write_bytes

try:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
    from markupsafe import Markup
except ModuleNotFoundError as error:
    raise missing_extra(error.name or "jinja2", "report", "the HTML report") from error

from harness.report.html import figure_boxes
from harness.report.html.figure_boxes import FigureBox

REPORT_FILE = "report.html"
FOLDER = Path(__file__).parent
ARM_CLASSES = 6
"""The number of colours for arms in the style sheet."""

MANY = 12
"""From this number of cards on, drawing them on all cores saves more than starting processes costs."""


@dataclass(frozen=True)
class Plans:
    """The statements of one group of cases, by arm: plans before and after."""

    group: str
    by_arm: tuple[tuple[str, tuple[Statement, ...]], ...]


@dataclass(frozen=True)
class LoadBox:
    """One scenario under load, for the top of the page."""

    heading: str
    anchor: str
    planned: str
    top: tuple[Block, ...]


@dataclass(frozen=True)
class PlaceBox:
    """One engine at one RTT: its figures, promises, answers to the review, and gains of switches."""

    label: str
    blocks: tuple[Block | FigureBox, ...]
    ablated: bool
    classes: dict[str, str]
    """The CSS class of each arm that has a verdict here, as the figure of the promises colours them."""


@dataclass(frozen=True)
class Card:
    """Everything that the page shows of one scenario."""

    anchor: str
    where: str
    result: ScenarioResult
    classes: dict[str, str]
    """The CSS class of each arm."""
    paragraphs: tuple[str, ...]
    promises: Table | None
    findings: tuple[tuple[CellStatus, Finding], ...]
    measurements: tuple[Block, ...]
    plans: tuple[Plans, ...]
    figures: tuple[FigureBox, ...]
    load: LoadBox | None = None


def write(run: Run, folder: Path, out: Path | None = None) -> Path:
    """Write `report.html` into `out`, by default the run's folder, drawing from the raw samples in `folder`; return its path.

    Raises:
        UsageError: the folder cannot be written, or a package of the `report` extra is missing.
    """
    return write_bytes((out or folder) / REPORT_FILE, render(run, folder).encode())


def render(run: Run, folder: Path | None = None) -> str:
    """Return the page of a run. Figures that need raw samples are drawn from `folder`, or left out with the reason."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["plan_words"] = plan_words
    style = Markup((FOLDER / "style.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file
    name, values = (
        ("comparison.html.j2", _compared(run)) if run.kind in comparison.KINDS else ("report.html.j2", _measured(run, folder))
    )
    return environment.get_template(name).render(run=run, style=style, numbers=numbers, **values)


def _measured(run: Run, folder: Path | None) -> dict[str, object]:
    judged = promises.rows(run)
    return {
        "facts": list(_facts(run)),
        "notices_found": overview.notices(run),
        "judged": bool(judged),
        "tally": [(status(word), counts) for word, counts in promises.tally(run).items()],
        "arms": promises.arms_of(judged),
        "places": [_place_box(run, place) for place in promises.places(run)],
        "matrix": promises.matrix_table(run),
        "legend": promises.legend(),
        "warnings": warning_notices("Warnings", run.warnings),
        "no_promise": overview.NO_PROMISE,
        "read_ablation": ablation.READ,
        "read_load": load.READ,
        "environment": Table("Environment", ("name", "value"), _rows(run.environment), names=2),
        "cards": cards(run, folder),
    }


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    settings = run.settings
    yield "measured", numbers.clock_time(run.started_at)
    yield "duration", numbers.elapsed(run.started_at, run.finished_at)
    yield "commit", _commit(run) or "unknown"
    yield "engines", ", ".join(settings.engines) or numbers.DASH
    yield "size", f"{settings.size or numbers.DASH}, seed {settings.seed}"
    yield "RTT", f"{', '.join(f'{rtt:g}' for rtt in settings.rtts_ms) or '0'} ms"
    if run.kind == RunKind.LOAD and ("users" in run.environment or not load.parts(run)):
        yield "users", run.environment.get("users", "not recorded")
    if settings.quick:
        yield "mode", "quick: a first look, few pairs"


def _commit(run: Run) -> str:
    return f"{run.commit[:12]}{' with uncommitted changes' if run.dirty else ''}" if run.commit else ""


def _rows(facts: dict[str, str]) -> tuple[tuple[Cell, ...], ...]:
    return tuple((Cell(name), Cell(value)) for name, value in facts.items())


def _compared(run: Run) -> dict[str, object]:
    compared = run.kind == RunKind.COMPARISON
    facts = [
        ("measured by", ", ".join(run.settings.engines)),
        ("after was measured" if compared else "measured", numbers.clock_time(run.started_at) if run.started_at else ""),
        ("commit, after" if compared else "commit", _commit(run)),
        ("drift allowed for", run.environment.get("drift", "not recorded") if compared else ""),
    ]
    return {
        "facts": [(name, value) for name, value in facts if value],
        "tally": [(status(word), number) for word, number in comparison.tally(run).items()],
        "drawing": next(figure_boxes.of_run(run, "compared"), None) if compared else None,
        "found": comparison.table(run),
        "tails": comparison.tails(run),
        "warnings": warning_notices("Warnings", comparison.warnings(run)),
        "read": comparison.READ if compared else (),
        "files": comparison.files(run),
    }


def _place_box(run: Run, place: promises.EnginePlace) -> PlaceBox:
    there = promises.at(run, place)
    slug = re.sub(r"[^a-z0-9]+", "-", place.label.lower())
    judged = promises.rows(there)
    ablated = ablation.parts(there)
    switches = [] if judged else [block for part in ablated for block in _ablated(part)]
    found: list[Block | FigureBox] = list(figure_boxes.of_run(there, slug)) if judged or ablated else []
    table = [promises.promise_table(judged, promises.heading(run), linked=True)] if judged else []
    blocks = (*found, *table, *switches, *review.answers(there))
    return PlaceBox(place.label, blocks, bool(ablated), _numbered(promises.arms_of(judged)))


def _ablated(part: ablation.AblationPart) -> list[Block]:
    return [ablation.table(part), Paragraph(ablation.total(part.found), quiet=True)]


def cards(run: Run, folder: Path | None) -> list[Card]:
    """Return a card for each scenario result, in the run's order; scenarios that were not run have none."""
    each = zip(run.scenarios, promises.anchors(run), promises.locations(run), strict=True)
    wanted = [(result, anchor, where) for result, anchor, where in each if result.status != ScenarioStatus.NOT_RUN]
    make = partial(_card, folder=folder, head=promises.heading(run))
    if len(wanted) < MANY:
        return [make(*card) for card in wanted]
    with ProcessPoolExecutor(
        mp_context=get_context("spawn")
    ) as processes:  # drawing is Python code: threads would not run in parallel
        return list(processes.map(make, *zip(*wanted, strict=True)))


def _card(result: ScenarioResult, anchor: str, where: str, *, folder: Path | None, head: str) -> Card:
    judged = list(promises.rows_of(result, anchor))
    found = [(status("observed" if f.holds else "not observed"), f) for f in result.findings]
    return Card(
        anchor=anchor,
        where=where,
        result=result,
        classes=_classes(result),
        paragraphs=_paragraphs(result),
        promises=promises.promise_table(judged, head) if judged else None,
        findings=tuple(found),
        measurements=tuple(overview.measurements(result)),
        plans=tuple(_plans(result)),
        figures=tuple(figure_boxes.of_scenario(result, anchor, folder)),
        load=_load_box(result, anchor, where),
    )


def _classes(result: ScenarioResult) -> dict[str, str]:
    met = [*(arm.name for arm in result.arms), *(s.arm for s in result.statements), *(v.arm for v in result.verdicts)]
    others = _numbered(name for name in met if name not in {BASELINE, AA_CONTROL})
    return {name: others.get(name, "baseline") for name in met}


def _numbered(arms: Iterable[str]) -> dict[str, str]:
    return {name: f"arm-{place % ARM_CLASSES + 1}" for place, name in enumerate(dict.fromkeys(arms))}


def _load_box(result: ScenarioResult, anchor: str, where: str) -> LoadBox | None:
    if result.load is None:
        return None
    top = of(*load.notices(result), load.summary(result))
    return LoadBox(promises.named(result.title, where), anchor, load.planned(result.load), tuple(top))


def _plans(result: ScenarioResult) -> Iterator[Plans]:
    arms = [arm.name for arm in result.arms] + [s.arm for s in result.statements]
    for group in tables.groups_of(result, result.statements):
        of_group = [s for s in result.statements if s.group == group]
        by_arm = ((arm, tuple(s for s in of_group if s.arm == arm)) for arm in dict.fromkeys(arms))
        yield Plans(group, tuple((arm, found) for arm, found in by_arm if found))


def _paragraphs(result: ScenarioResult) -> tuple[str, ...]:
    """Return the scenario's documentation, without a first paragraph that only repeats the title."""
    found = [p.strip() for p in re.split(r"\n\s*\n", result.doc) if p.strip()]
    return tuple(found[1:] if found and found[0].rstrip(".") == result.title.rstrip(".") else found)


def plan_words(line: str) -> Sequence[tuple[str, bool]]:
    """Split a line of a query plan into pieces, each with whether it names a scan of a whole table."""
    pieces = re.split(r"\b((?:Parallel )?Seq Scan|SCAN)\b", line)
    return [(piece, place % 2 == 1) for place, piece in enumerate(pieces) if piece]
