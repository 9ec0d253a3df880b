"""A run as one self-contained HTML page, light and dark, on screen and on paper."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from harness.errors import missing_extra
from harness.report import ablation, comparison, conclusion, figures, load, numbers, overview, profile, promises, review, tables
from harness.report.blocks import Block, Paragraph, of, status, warning_notices
from harness.report.html import data_files, promise_table
from harness.report.promises import LocatedResult
from harness.results.names import shortened, visible
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

COMMON_STYLE, HISTORY_STYLE = "style.css", "history.css"
SHOWN_LINKS, LINK = 12, 24
"""The most scenarios that have links of their own in the navigation, and the most characters of a link."""
UNFOLDED = {"", ScenarioStatus.FAILED, ScenarioStatus.INTERRUPTED}
"""The labels of notices that unfold the notes."""
MANY = 12
"""From this number of cards on, drawing them on all cores saves more than starting processes costs."""


def write(run: Run, folder: Path, out: Path | None = None) -> Path:
    """Write `report.html` into `out`, by default the run's folder, drawing from the raw samples in `folder`; return its path.

    Raises:
        UsageError: the folder cannot be written, or a package of the `report` extra is missing.
    """
    return write_bytes((out or folder) / REPORT_FILE, encode(render(run, folder, out)))


def templates() -> Environment:
    """Return the environment of the templates in this folder, which escapes what they insert."""
    options: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True}
    return Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, **options)


def style(*names: str) -> str:
    """Return style sheets of this folder as one, small: `names` after the common one, by default all but that of a history."""
    found = {sheet.name: sheet for sheet in sorted(FOLDER.glob("*.css"))}
    wanted = names or [name for name in found if name not in {COMMON_STYLE, HISTORY_STYLE}]
    text = "".join(found[name].read_text(encoding="utf-8") for name in (COMMON_STYLE, *wanted))
    pieces = re.split(r"""("[^"]*"|'[^']*')""", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))
    pieces[::2] = (
        re.sub(r"\s*([{};,>]|(?<=:)\s)\s*", lambda found: found[1].strip(), re.sub(r"\s+", " ", piece)) for piece in pieces[::2]
    )
    return "".join(pieces).replace(";}", "}").strip()


def script() -> str:
    """Return the page's script, without comments and indentation."""
    text = re.sub(r"(?m)(^|  )// .*$", "", (FOLDER / "page.js").read_text(encoding="utf-8"))
    return re.sub(r"\s*\n\s*", "\n", text).strip()


def render(run: Run, folder: Path | None = None, out: Path | None = None) -> str:
    """Return the page of a run.

    Figures that need raw samples are drawn from `folder`, or left out with the reason; the page links to the files of the run as it
    would from the folder `out`, by default the same.
    """
    environment = templates()
    environment.filters["plan_words"] = plan_words
    environment.globals |= {"ablation": ablation, "load": load, "numbers": numbers, "overview": overview, "promises": promises}
    compared = run.kind in comparison.KINDS
    template = environment.get_template("comparison.html.j2" if compared else "report.html.j2")
    page = template.render(run=run, style=style(), **(_compared(run) if compared else _measured(run, folder, out or folder)))
    return re.sub(r"\n{2,}(?=<)", "\n", page)


def _measured(run: Run, folder: Path | None, out: Path | None) -> dict[str, object]:
    judged = bool(promises.rows(run))
    concluded = conclusion.conclude(run) if conclusion.is_there(run) else None
    found = [n for n in overview.notices(run) if n.name != f"This run {run.incomplete}"]
    if concluded:  # it has these as the catch of a row
        found = [notice for notice in found if notice.label != "cannot run as written"]
    return {
        "links": [(shortened(visible(name.replace("_", " ")), LINK), anchor) for name, anchor in _cards_by_name(run).items()],
        "SHOWN_LINKS": SHOWN_LINKS,
        "concluded": concluded,
        "commit": overview.commit(run),
        "facts": list(_facts(run)),
        "notices_found": found,
        "noted": list(Counter(notice.label or "general" for notice in found).items()),
        "unfolded": any(notice.label in UNFOLDED for notice in found) or not judged,
        "promised": promise_table.promise_table(run, ARM_CLASSES) if judged else None,
        "places": [] if judged else [_place_box(run, place) for place in promises.places(run)],
        "answers": []
        if not judged
        else [(place, made) for place in promises.places(run) if (made := review.answers(promises.at(run, place)))],
        "warnings": warning_notices("Warnings", run.warnings),
        "profile": profile.table(run),
        "profile_read": profile.READ,
        "data": data_files.links(run, folder, out),
        "repeat": data_files.repeat(run),
        "script": script(),
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
    """Return one engine at one RTT of a run without promises: its figures, gains of switches, and answers to the review."""
    there = promises.at(run, place)
    ablated = ablation.parts(there)
    found: list[Block | figures.FigureBox] = []
    if ablated:
        found += figures.of_run(there, re.sub(r"[^a-z0-9]+", "-", place.lower()))
    for heading, switches in ablated:
        found += [ablation.table(heading, switches), Paragraph(ablation.total(switches), quiet=True)]
    return {"label": place, "blocks": [*found, *review.answers(there)], "ablated": bool(ablated)}


def _cards_by_name(run: Run) -> dict[str, str]:
    """Return the id of the first card of each scenario that was run, by the scenario's name."""
    found: dict[str, str] = {}
    for x in promises.located(run):
        if x.result.status != ScenarioStatus.NOT_RUN:
            found.setdefault(x.result.name, x.anchor)
    return found


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
