"""A run as one self-contained HTML page, light and dark, on screen and on paper."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness import language
from harness.errors import missing_extra
from harness.language import gettext, mark
from harness.report import (
    ablation,
    cards,
    comparison,
    conclusion,
    figures,
    headings,
    load,
    numbers,
    overview,
    profile,
    promises,
    review,
    tables,
)
from harness.report.arm_places import arm_places
from harness.report.blocks import Block, Paragraph, warning_notices
from harness.report.html import compared, data_files, loaded, promise_table
from harness.report.html.arm_columns import arm_columns
from harness.report.html.compact import compact
from harness.results.names import shortened, visible
from harness.results.run import BASELINE, Run, RunKind, ScenarioStatus
from harness.results.store import write_bytes
from harness.text import encode, for_page

try:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
except ModuleNotFoundError as error:
    raise missing_extra(error.name or "jinja2", "report", "the HTML report") from error

REPORT_FILE = "report.html"
FOLDER = Path(__file__).parent
ARM_CLASSES = 6
"""The number of colours for arms in the style sheet."""

COMMON_STYLE, LOAD_STYLE, HISTORY_STYLE = "style.css", "load.css", "history.css"
STYLES = {
    "comparison.html.j2": (LOAD_STYLE,),
    "load.html.j2": ("figure.css", "promises.css", LOAD_STYLE),
    "report.html.j2": ("card.css", "figure.css", "promises.css", LOAD_STYLE),
}
"""Template → its style sheets besides the common one."""

SHOWN_LINKS, LINK = 12, 24
"""The most scenarios that have links of their own in the navigation, and the most characters of a link."""
UNFOLDED = {"", ScenarioStatus.FAILED, ScenarioStatus.INTERRUPTED}
"""The labels of notices that unfold the notes."""


def write(run: Run, folder: Path, out: Path | None = None) -> Path:
    """Write `report.html` into `out`, by default the run's folder, drawing from the raw samples in `folder`; return its path.

    Raises:
        UsageError: the folder cannot be written, or a package of the `report` extra is missing.
    """
    return write_bytes((out or folder) / REPORT_FILE, encode(compact(render(run, folder, out))))


def _inserted(value: object) -> object:
    """Return what a template inserts: texts without characters that a page must not have, markup as it is."""
    return for_page(value) if type(value) is str else value  # markup is of a subclass


def templates() -> Environment:
    """Return the environment of the templates in this folder, which escapes what they insert."""
    options: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True, "finalize": _inserted}
    made = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, extensions=["jinja2.ext.i18n"], **options
    )
    made.policies["ext.i18n.trimmed"] = True
    made.install_gettext_callables(language.gettext, language.ngettext)  # type: ignore[attr-defined] # the extension adds it
    made.filters["arm_columns"] = arm_columns
    made.globals |= {"word": language.word, "language": language.current()}
    return made


def style(*names: str) -> str:
    """Return style sheets of this folder as one, small: the common one, then `names`."""
    text = "".join((FOLDER / name).read_text(encoding="utf-8") for name in (COMMON_STYLE, *names))
    pieces = re.split(r"""("[^"]*"|'[^']*')""", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))
    pieces[::2] = (
        re.sub(r"\s*([{};,>]|(?<=:)\s)\s*", lambda found: found[1].strip(), re.sub(r"\s+", " ", piece)) for piece in pieces[::2]
    )
    pieces[::2] = (re.sub(r"(?<![\w.#])0(?=\.\d)", "", piece) for piece in pieces[::2])
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
    environment.filters |= {"plan_words": plan_words, "heads": loaded.heads}
    modules = {"ablation": ablation, "load": load, "numbers": numbers, "overview": overview, "promises": promises, "tables": tables}
    environment.globals |= modules
    if run.kind in comparison.KINDS:
        template, content = "comparison.html.j2", compared.content(run)
    elif run.kind == RunKind.LOAD:
        template, content = "load.html.j2", loaded.content(run, folder, out or folder)
        content |= {"data": data_files.links(run, folder, out or folder), "repeat": data_files.repeat(run)}
    else:
        template, content = "report.html.j2", _measured(run, folder, out or folder)
    page = environment.get_template(template).render(run=run, style=style(*STYLES[template]), script=script(), **content)
    return re.sub(r"\n{2,}(?=<)", "\n", page)


def _measured(run: Run, folder: Path | None, out: Path | None) -> dict[str, object]:
    judged = bool(promises.rows(run))
    concluded = conclusion.conclude(run) if conclusion.is_there(run) else None
    found = [n for n in overview.notices(run) if not run.incomplete or n.name != overview.incomplete(run)]
    if concluded:  # it has these as the catch of a row
        found = [notice for notice in found if notice.label != "cannot run as written"]
    shown = cards.cards(run)
    with_parts = {place.located.anchor for card in shown for place in card.places}
    return {
        "links": [(shortened(visible(card.name.replace("_", " ")), LINK), card.anchor) for card in shown],
        "SHOWN_LINKS": SHOWN_LINKS,
        "concluded": concluded,
        "heading": headings.of_ablation(run),
        "commit": overview.commit(run),
        "facts": list(_facts(run)),
        "notices_found": found,
        "noted": list(Counter(notice.label or mark("general") for notice in found).items()),
        "unfolded": any(notice.label in UNFOLDED for notice in found) or not judged,
        "promised": promise_table.promise_table(run, ARM_CLASSES) if judged else None,
        "places": [] if judged else [_place_box(run, place) for place in promises.places(run)],
        "answers": []
        if not judged
        else [(place, made) for place in promises.places(run) if (made := review.answers(promises.at(run, place)))],
        "warnings": warning_notices(mark("Warnings"), run.warnings),
        "profile": profile.table(run),
        "profile_read": profile.READ,
        "data": data_files.links(run, folder, out),
        "addresses": {r.samples_file: data_files.address(r.samples_file, folder, out) for r in run.scenarios if r.samples_file},
        "repeat": data_files.repeat(run),
        "environment": tables.facts(gettext("Environment"), mark("name"), run.environment),
        "engine_settings": [
            tables.facts(gettext("Settings of {engine}", engine=engine), "name", settings)
            for engine, settings in cards.engine_settings(run).items()
        ],
        "cards": _drawn(run, shown, folder, out),
        "loads": [
            {"located": found, "result": found.result, "under_load": loaded.section(found.result)}
            for found in promises.located(run)
            if found.result.load and found.anchor in with_parts
        ],
    }


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    settings = run.settings
    yield mark("measured"), numbers.clock_time(run.started_at)
    yield mark("duration"), numbers.elapsed(run.started_at, run.finished_at)
    yield mark("commit"), overview.commit(run) or gettext("unknown")
    yield mark("engines"), ", ".join(settings.engines) or numbers.DASH
    yield mark("size"), gettext("{size}, seed {seed}", size=settings.size or numbers.DASH, seed=settings.seed)
    yield "RTT", f"{', '.join(f'{rtt:g}' for rtt in settings.rtts_ms) or '0'} ms"
    if settings.quick:
        yield mark("mode"), gettext("quick: every verdict is preliminary")


def _place_box(run: Run, place: str) -> dict[str, object]:
    """Return one engine at one RTT of a run without promises: its figures, gains of switches, and answers to the review."""
    there = promises.at(run, place)
    ablated = ablation.parts(there)
    found: list[Block | figures.FigureBox] = []
    if ablated:
        found += figures.of_run(there)
    for heading, switches in ablated:
        found += [ablation.table(heading, switches), Paragraph(ablation.total(switches), quiet=True)]
    return {"label": place, "blocks": [*found, *review.answers(there)], "ablated": bool(ablated), "classes": {}}


def _drawn(run: Run, shown: Sequence[cards.Card], folder: Path | None, out: Path | None) -> list[dict[str, object]]:
    """Return what the page shows of each card: its model, the colours of its arms, and the figures of each place."""
    in_brief = len(promises.places(run)) > figures.MANY_PLACES
    drawn = {}
    for card in shown:
        for number, place in enumerate(card.places):
            result, boxes = place.located.result, list[figures.FigureBox]()
            if number == 0 or not card.others:
                link = data_files.address(result.samples_file or "", folder, out)
                boxes += figures.of_scenario(result, folder, samples_link=link, in_brief=in_brief)
            drawn[place.located.anchor] = boxes
    return [{"card": card, "classes": _classes(card), "figures": drawn, "opened": _opened(card)} for card in shown]


def _opened(card: cards.Card) -> int:
    """Return the first place with figures, which is unfolded; the first of all if none has any."""
    return next((number for number, place in enumerate(card.places) if place.table or place.blocks), 0)


def _classes(card: cards.Card) -> dict[str, str]:
    """Return the CSS class of every arm on a card, by its name as tables have it."""
    places = arm_places(card.arms, card.arm_names)
    others = {name: f"arm-{place % ARM_CLASSES + 1}" for name, place in places.items()}
    return {tables.named(name): others.get(name, "baseline") for name in [*card.arm_names, BASELINE]}


def plan_words(line: str) -> Sequence[tuple[str, bool]]:
    """Split a line of a query plan into pieces, each with whether it names a scan of a whole table."""
    pieces = re.split(r"\b((?:Parallel )?Seq Scan|SCAN)\b", line)
    return [(piece, place % 2 == 1) for place, piece in enumerate(pieces) if piece]
