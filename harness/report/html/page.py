"""A run as one self-contained HTML page, light and dark, on screen and on paper."""

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from harness.errors import missing_extra
from harness.report import ablation, comparison, conclusion, figures, load, numbers, overview, profile, promises, review, tables
from harness.report.blocks import Block, Paragraph, of, status, warning_notices
from harness.report.promises import LocatedResult
from harness.results.run import AA_CONTROL, BASELINE, Run, RunKind, ScenarioStatus, Statement
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

MANY = 12
"""From this number of cards on, drawing them on all cores saves more than starting processes costs."""


def write(run: Run, folder: Path, out: Path | None = None) -> Path:
    """Write `report.html` into `out`, by default the run's folder, drawing from the raw samples in `folder`; return its path.

    Raises:
        UsageError: the folder cannot be written, or a package of the `report` extra is missing.
    """
    return write_bytes((out or folder) / REPORT_FILE, encode(render(run, folder)))


def templates() -> Environment:
    """Return the environment of the templates in this folder, which escapes what they insert."""
    options: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True}
    return Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, **options)


def style() -> str:
    """Return the style sheets of this folder as one, the common one first, without comments and line breaks."""
    sheets = sorted(FOLDER.glob("*.css"), key=lambda sheet: (sheet.name != "style.css", sheet.name))
    text = re.sub(r"/\*.*?\*/", "", "\n".join(sheet.read_text(encoding="utf-8") for sheet in sheets), flags=re.DOTALL)
    return re.sub(r"\s*\n\s*", "\n", text).strip()


def render(run: Run, folder: Path | None = None) -> str:
    """Return the page of a run. Figures that need raw samples are drawn from `folder`, or left out with the reason."""
    environment = templates()
    environment.filters["plan_words"] = plan_words
    environment.globals |= {"ablation": ablation, "load": load, "numbers": numbers, "overview": overview, "promises": promises}
    compared = run.kind in comparison.KINDS
    template = environment.get_template("comparison.html.j2" if compared else "report.html.j2")
    return template.render(run=run, style=style(), **(_compared(run) if compared else _measured(run, folder)))


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
        "cards": _cards(run, folder),
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
        "drawing": next(figures.of_run(run, "compared"), None) if compared else None,
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
        found += figures.of_run(there, re.sub(r"[^a-z0-9]+", "-", place.lower()))
    if judged:
        found.append(promises.promise_table(judged, promises.heading(run), linked=True))
    for heading, switches in () if judged else ablated:
        found += [ablation.table(heading, switches), Paragraph(ablation.total(switches), quiet=True)]
    # The classes colour arms as the figure of the promises does.
    classes = _numbered(promises.arms_of(judged))
    return {"label": place, "blocks": [*found, *review.answers(there)], "ablated": bool(ablated), "classes": classes}


def _cards(run: Run, folder: Path | None) -> list[dict[str, object]]:
    """Return a card for each scenario result, in the run's order; scenarios that were not run have none."""
    wanted = [found for found in promises.located(run) if found.result.status != ScenarioStatus.NOT_RUN]
    make = partial(_card, folder=folder, head=promises.heading(run))
    if len(wanted) < MANY:
        return [make(found) for found in wanted]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as processes:  # drawing is Python code: threads would not help
        return list(processes.map(make, wanted))


def _card(found: LocatedResult, *, folder: Path | None, head: str) -> dict[str, object]:
    """Return everything that the page shows of one scenario."""
    result = found.result
    judged = list(promises.rows_of(found))
    met = [*(arm.name for arm in result.arms), *(s.arm for s in result.statements), *(v.arm for v in result.verdicts)]
    others = _numbered(name for name in met if name not in {BASELINE, AA_CONTROL})
    paragraphs = [p.strip() for p in re.split(r"\n\s*\n", result.doc) if p.strip()]
    repeats_title = bool(paragraphs) and paragraphs[0].rstrip(".") == result.title.rstrip(".")
    plans: dict[str, dict[str, list[Statement]]] = {}
    for s in tables.in_order(result, result.statements):
        plans.setdefault(s.group, {}).setdefault(s.arm, []).append(s)
    return {
        "located": found,
        "result": result,
        "classes": {name: others.get(name, "baseline") for name in met},
        "paragraphs": paragraphs[1:] if repeats_title else paragraphs,
        "promises": promises.promise_table(judged, head) if judged else None,
        "findings": [(status("observed" if f.holds else "not observed"), f) for f in result.findings],
        "measurements": overview.measurements(result),
        "plans": plans,
        "figures": list(figures.of_scenario(result, found.anchor, folder)),
        "under_load": of(*load.notices(result), load.summary(result)),
    }


def _numbered(arms: Iterable[str]) -> dict[str, str]:
    return {name: f"arm-{place % ARM_CLASSES + 1}" for place, name in enumerate(dict.fromkeys(arms))}


def plan_words(line: str) -> Sequence[tuple[str, bool]]:
    """Split a line of a query plan into pieces, each with whether it names a scan of a whole table."""
    pieces = re.split(r"\b((?:Parallel )?Seq Scan|SCAN)\b", line)
    return [(piece, place % 2 == 1) for place, piece in enumerate(pieces) if piece]
