"""A run as one self-contained HTML page, light and dark, on screen and on paper."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from harness import language
from harness.errors import missing_extra
from harness.report import (
    ablation,
    cards,
    comparison,
    conclusion,
    figures,
    load,
    numbers,
    overview,
    profile,
    promises,
    review,
    tables,
)
from harness.report.blocks import Block, Paragraph, of, status, warning_notices
from harness.results.run import BASELINE, Run, RunKind, ScenarioStatus
from harness.results.store import write_bytes
from harness.text import encode

try:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
except ModuleNotFoundError as error:
    raise missing_extra(error.name or "jinja2", "report", "the HTML report") from error

REPORT_FILE = "report.html"
FOLDER = Path(__file__).parent
ARM_CLASSES = 6
"""The number of colours for arms in the style sheet."""


def write(run: Run, folder: Path, out: Path | None = None) -> Path:
    """Write `report.html` into `out`, by default the run's folder, drawing from the raw samples in `folder`; return its path.

    Raises:
        UsageError: the folder cannot be written, or a package of the `report` extra is missing.
    """
    is_beside = out is None or out.absolute() == folder.absolute()
    return write_bytes((out or folder) / REPORT_FILE, encode(render(run, folder, is_beside=is_beside)))


def templates() -> Environment:
    """Return the environment of the templates in this folder, which escapes what they insert."""
    options: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True}
    made = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, extensions=["jinja2.ext.i18n"], **options
    )
    made.policies["ext.i18n.trimmed"] = True
    made.install_gettext_callables(language.gettext, language.ngettext)  # type: ignore[attr-defined] # the extension adds it
    made.globals |= {"word": language.word, "language": language.current()}
    return made


def render(run: Run, folder: Path | None = None, *, is_beside: bool = True) -> str:
    """Return the page of a run. Figures that need raw samples are drawn from `folder`, or left out with the reason.

    The page links to the samples if it `is_beside` them.
    """
    environment = templates()
    environment.filters["plan_words"] = plan_words
    environment.globals |= {"ablation": ablation, "load": load, "overview": overview, "promises": promises, "tables": tables}
    style = "".join(sheet.read_text(encoding="utf-8") for sheet in sorted(FOLDER.glob("*.css")))
    compared = run.kind in comparison.KINDS
    template = environment.get_template("comparison.html.j2" if compared else "report.html.j2")
    return template.render(run=run, style=style, is_beside=is_beside, **(_compared(run) if compared else _measured(run, folder)))


def _measured(run: Run, folder: Path | None) -> dict[str, object]:
    judged = promises.rows(run)
    return {
        "concluded": conclusion.conclude(run) if conclusion.is_there(run) else None,
        "commit": overview.commit(run),
        "facts": list(_facts(run)),
        "notices_found": overview.notices(run),
        "judged": bool(judged),
        "places": [_place_box(run, place) for place in promises.places(run)],
        "matrix": promises.matrix_table(run),
        "warnings": warning_notices("Warnings", run.warnings),
        "profile": profile.table(run),
        "profile_read": profile.READ,
        "environment": tables.facts("Environment", "name", run.environment),
        "engine_settings": [
            tables.facts(f"Settings of {engine}", "name", settings) for engine, settings in cards.engine_settings(run).items()
        ],
        "cards": _cards(run, folder),
        "loads": _loads(run),
    }


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    settings = run.settings
    yield "measured", numbers.clock_time(run.started_at)
    yield "duration", numbers.elapsed(run.started_at, run.finished_at)
    yield "commit", overview.commit(run) or "unknown"
    yield "engines", ", ".join(settings.engines) or numbers.DASH
    yield "size", f"{settings.size or numbers.DASH}, seed {settings.seed}"
    yield "RTT", f"{', '.join(f'{rtt:g}' for rtt in settings.rtts_ms) or '0'} ms"
    if run.kind == RunKind.LOAD and ("users" in run.environment or not load.parts(run)):
        yield "users", run.environment.get("users", "not recorded")
    if settings.quick:
        yield "mode", "quick: every verdict is preliminary"


def _compared(run: Run) -> dict[str, object]:
    compared = run.kind == RunKind.COMPARISON
    facts = [
        ("measured by", ", ".join(run.settings.engines)),
        ("after was measured" if compared else "measured", numbers.clock_time(run.started_at) if run.started_at else ""),
        ("commit, after" if compared else "commit", overview.commit(run)),
        ("drift allowed for", run.environment.get("drift", "not recorded") if compared else ""),
    ]
    return {
        "facts": [(name, value) for name, value in facts if value],
        "tally": [(status(verdict), number) for verdict, number in comparison.tally(run).items()],
        "found": comparison.table(run),
        "extremes": [table for table in (comparison.extremes(run), comparison.metrics(run)) if table],
        "tails": comparison.tails(run),
        "warnings": comparison.warnings(run),
        "read": comparison.READ if compared else (),
        "files": comparison.files(run),
    }


def _place_box(run: Run, place: str) -> dict[str, object]:
    """Return one engine at one RTT: its figures, promises, answers to the review, and gains of switches."""
    there = promises.at(run, place)
    judged, ablated = promises.rows(there), ablation.parts(there)
    found: list[Block | figures.FigureBox] = []
    if judged or ablated:
        found += figures.of_run(there)
    if judged:
        found.append(promises.promise_table(judged, promises.heading(run), linked=True))
    for heading, switches in () if judged else ablated:
        found += [ablation.table(heading, switches), Paragraph(ablation.total(switches), quiet=True)]
    # The classes colour arms as the figure of the promises does.
    classes = _numbered(promises.arms_of(judged))
    return {"label": place, "blocks": [*found, *review.answers(there)], "ablated": bool(ablated), "classes": classes}


def _cards(run: Run, folder: Path | None) -> list[dict[str, object]]:
    """Return what the page shows of each card: its model, the colours of its arms, and the figures of each place."""
    made = cards.cards(run)
    in_brief = len(promises.places(run)) > figures.MANY_PLACES
    drawn = {
        place.located.anchor: list(figures.of_scenario(place.located.result, folder, in_brief=in_brief))
        for card in made
        for place in card.places
    }
    return [{"card": card, "classes": _classes(card), "figures": drawn} for card in made]


def _classes(card: cards.Card) -> dict[str, str]:
    """Return the CSS class of every arm on a card, by its name as tables have it."""
    others = _numbered(name for name in card.arm_names if name != BASELINE)
    return {tables.named(name): others.get(name, "baseline") for name in [*card.arm_names, BASELINE]}


def _loads(run: Run) -> list[dict[str, object]]:
    """Return the summary of every load test."""
    return [
        {"located": found, "result": found.result, "under_load": of(*load.notices(found.result), load.summary(found.result))}
        for found in promises.located(run)
        if found.result.load and found.result.status != ScenarioStatus.NOT_RUN
    ]


def _numbered(arms: Iterable[str]) -> dict[str, str]:
    return {name: f"arm-{place % ARM_CLASSES + 1}" for place, name in enumerate(dict.fromkeys(arms))}


def plan_words(line: str) -> Sequence[tuple[str, bool]]:
    """Split a line of a query plan into pieces, each with whether it names a scan of a whole table."""
    pieces = re.split(r"\b((?:Parallel )?Seq Scan|SCAN)\b", line)
    return [(piece, place % 2 == 1) for place, piece in enumerate(pieces) if piece]
