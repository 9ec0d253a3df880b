"""The table of all promises of a run: a row per promise and arm, a column per place, and why figures are missing."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from harness.language import ENGLISH, gettext, mark, using
from harness.report import promises
from harness.report.arm_places import arm_places
from harness.report.blocks import PRELIMINARY, CellStatus, status
from harness.report.promises import PromiseRow
from harness.results.names import shortened, visible
from harness.results.run import Run, ScenarioStatus, Verdict
from harness.verdicts.promise import EXPONENT, format_value, sentence

TEXT, NAME, SHORT, REMARK = 200, 80, 40, 160
"""The most characters of a promise's text, of a name, of an arm's or a place's name, and of a remark."""
SLUG = 60
"""The most characters of a row's id, before its number."""
AXIS = 10.0
"""The ends of the axis of measured ÷ promised, as a factor in both directions."""
NAMED = 12
"""The most promises that are named of those that share the reason why a figure is missing."""


@dataclass(frozen=True)
class PromisePlace:
    """A column of the table: an engine at an RTT."""

    label: str
    engine: str
    rtt: str


@dataclass(frozen=True)
class PromiseFigure:
    """The verdict and the figure of a promise at one place."""

    status: CellStatus
    text: str
    bounds: str
    remark: str
    """The rest of the verdict's sentence, such as the reason why there is no figure; at several places only what is slower."""
    kept: float | None
    """The position of measured ÷ promised on a logarithmic axis whose middle is the promise, in percent; of one place only."""


@dataclass(frozen=True)
class PromiseLine:
    """A row of the table: a promise and an arm."""

    anchor: str
    code: str
    """The promise's id and its part."""
    text: str
    promised: str
    arm: str
    arm_class: str
    figures: tuple[PromiseFigure | None, ...]
    """At each place, None where it was not tried."""
    rows: int
    """The number of rows that its head is for, from the first of a promise on; 0 in the others."""


@dataclass(frozen=True)
class PromiseGroup:
    """The promises of one scenario."""

    title: str
    name: str
    """The scenario's name, as a command has it."""
    card: str
    """The id of the scenario's card; empty without one."""
    lines: tuple[PromiseLine, ...]


@dataclass(frozen=True)
class MissingFigures:
    """A reason why figures are missing, with the promises that share it."""

    reason: str
    names: str


@dataclass(frozen=True)
class PromiseTable:
    """All promises of a run."""

    head: str
    places: tuple[PromisePlace, ...]
    groups: tuple[PromiseGroup, ...]
    missing: tuple[MissingFigures, ...]
    preliminary: bool

    @property
    def engines(self) -> list[str]:
        """The engines, in the order of the columns; none of scenarios without a database."""
        return list(dict.fromkeys(place.engine for place in self.places if place.engine))

    @property
    def rtts(self) -> list[str]:
        """The RTTs in milliseconds, rising."""
        return sorted({place.rtt for place in self.places}, key=float)


def promise_table(run: Run, arm_classes: int) -> PromiseTable:
    """Return the table of a run; arms have one of `arm_classes` colours, as on the scenarios' cards."""
    by_promise = promises.matrix(run)
    results = {result.place: result for result in run.scenarios}
    places = tuple(
        PromisePlace(_short(label, SHORT), _short(results[label].engine, SHORT), f"{results[label].rtt_ms:g}")
        for label in promises.places(run)
    )
    taken, groups = Counter[str](), []
    for _, same in groupby(by_promise, key=lambda found: _first(found).result.name):
        found = list(same)
        ran = next((x for row in found for x in row if x and x.result.status != ScenarioStatus.NOT_RUN), None)
        result = (ran or _first(found[0])).result
        lines = tuple(line for row in found for line in _lines(row, taken, arm_classes, alone=len(places) == 1))
        groups.append(
            PromiseGroup(_short(result.title or result.name, NAME), _short(result.name, NAME), ran.anchor if ran else "", lines)
        )
    missing = tuple(_missing(by_promise)) if len(places) > 1 else ()
    return PromiseTable(gettext(promises.heading(run)), places, tuple(groups), missing, run.settings.quick)


def remark(verdict: Verdict) -> str:
    """Return what a verdict's sentence adds to the promise, the figure and its interval: a reason, a count, a slower percentile."""
    text = " ".join(verdict.sentence.split())
    if verdict.value is None:
        return " ".join(sentence(verdict).split())
    with using(ENGLISH):
        rest = _rest(text, verdict)
    return _in_language(rest, verdict)


def _rest(text: str, verdict: Verdict) -> str:
    known = promises.measured(verdict)
    text = text.partition("measured ")[2] or text
    if found := re.match(r"[^(;]*: not enough data \(between [^;)]*(?:; )?", text):
        rest = text[found.end() :]
        return f"({rest}" if rest.strip(")") else ""
    if verdict.unit == EXPONENT:
        return text[text.find("(exponent") :] if "(exponent" in text else text
    for figure in (*known, *([] if verdict.value is None else [format_value(verdict.value, verdict.unit)]), known[1]):
        text = text.removeprefix(figure).lstrip(" ;,")
    return text


def _in_language(text: str, verdict: Verdict) -> str:
    """Return the rest of a recorded sentence with its fixed words in the current language."""
    text = re.sub(r"(?<=[(; ])exact(?=[;)])", gettext("exact"), text)
    for group, tail in verdict.slower.items():
        for form in (mark("slower at {tail} in {group}"), mark("slower at {tail}")):
            text = text.replace(form.format(tail=tail, group=group), gettext(form, tail=tail, group=group))
    return text


def _first(row: list[PromiseRow | None]) -> PromiseRow:
    return next(found for found in row if found)


def _short(text: str, limit: int) -> str:
    return shortened(visible(" ".join(text.split())), limit)


def _lines(row: list[PromiseRow | None], taken: Counter[str], arm_classes: int, *, alone: bool) -> Iterator[PromiseLine]:
    """Yield a line per arm that has a verdict at any place, in the scenario's order."""
    first = _first(row)
    known = [found for found in row if found]
    arms = promises.arms_of(known)
    colours = arm_places(first.result.arms, arms)
    claims = [verdict for found in known for verdict in found.verdicts if verdict.promised_low is not None]
    for number, arm in enumerate(arms):
        tried = [found.of(arm) if found else None for found in row]
        slug = re.sub(r"[^a-z0-9]+", "-", f"{first.promise} {first.part} {arm}".lower()).strip("-")[:SLUG].strip("-")
        slug = f"p-{slug}".strip("-")
        taken[slug] += 1
        own = [v for v in claims if v.arm == arm] or claims or [*known[0].verdicts]
        yield PromiseLine(
            slug if taken[slug] == 1 else f"{slug}--{taken[slug]}",
            _short(first.name, NAME),
            _short(first.text, TEXT),
            _short(promises.promised(own[0]), NAME),
            _short(arm, SHORT),
            f"arm-{colours.get(arm, len(colours)) % arm_classes + 1}",
            tuple(_figure(found, v, alone=alone) if found and v else None for found, v in zip(row, tried, strict=True)),
            0 if number else len(arms),
        )


def _figure(row: PromiseRow, verdict: Verdict, *, alone: bool) -> PromiseFigure | None:
    if row.result.status == ScenarioStatus.NOT_RUN and not alone:
        return None
    text, bounds = promises.measured(verdict)
    known = status(verdict.verdict)
    sign = f"{known.sign}{PRELIMINARY}" if row.preliminary and verdict.value is not None else known.sign
    shown = CellStatus(_short(known.name, NAME), sign, known.tone)
    rest = remark(verdict) if alone else gettext("; ").join(_slower(verdict))
    return PromiseFigure(shown, text, bounds, _short(rest, REMARK), _position(verdict) if alone else None)


def _slower(verdict: Verdict) -> Iterator[str]:
    """Yield the percentiles that are slower, whatever the figure of the verdict is."""
    for group, tail in verdict.slower.items():
        yield gettext("slower at {tail} in {group}", tail=tail, group=group)


def _position(verdict: Verdict) -> float | None:
    share = promises.kept(verdict)
    if share is None or share.value is None:
        return None
    inside = min(max(share.value, 1 / AXIS), AXIS)
    return round(50 + 50 * math.log(inside) / math.log(AXIS))


def _missing(by_promise: Iterable[list[PromiseRow | None]]) -> Iterator[MissingFigures]:
    """Yield each reason why a figure is missing, with the promises and the places."""
    found: defaultdict[str, tuple[dict[str, None], dict[str, None]]] = defaultdict(lambda: ({}, {}))
    for row in (cell for cells in by_promise for cell in cells if cell):
        for verdict in row.verdicts:
            if verdict.value is None:
                names, places = found[_short(sentence(verdict), REMARK)]
                names[_short(row.name, NAME)] = None
                places[row.result.place] = None
    for reason, (names, places) in found.items():
        some = ", ".join([*names][:NAMED]) + (f", … ({len(names)})" if len(names) > NAMED else "")
        yield MissingFigures(reason, f"{some} ({'; '.join(places)})")
