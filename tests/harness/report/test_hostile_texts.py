"""No text of a record controls a terminal, the log of a CI service or a page, in whatever field it is and whoever writes it.

The records are made from their types, so that a field that is added is tried as well.
"""

import dataclasses
import enum
import itertools
import json
import re
import types
import typing
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from harness.cli import _console
from harness.cli._console import Progress, StatusLine
from harness.report import gate, github, html, junit, markdown, overview, summaries
from harness.report.blocks import Block
from harness.report.history import brief
from harness.report.html import gated
from harness.report.html import history as history_page
from harness.report.summaries import files
from harness.report.summaries import histories as short_histories
from harness.results.gate import GateResult, GateVerdict
from harness.results.history import History
from harness.results.run import BASELINE, Run, RunKind
from harness.results.store import SCHEMA_VERSION, read_run, without_secrets, write_run

SECRET = "s3cret-value"
HOSTILE = (
    "\x1b[31m\x1b]0;title\x07\x9b31m\x85\r\n::error::boo\n  ::add-mask::x\n##[error]x ##vso[task.x]y ##teamcity[z]"
    f" \u202eabc\u2066\u2028 <script>alert(1)</script> |`a`| <img src=x onerror=alert(1)> https://u:{SECRET}@h/?token={SECRET}"
    f" Authorization: Bearer {SECRET} password={SECRET} \x00\x7f"
)
Printed = Callable[[Sequence[Block], int], str]
PAGE_WHITE_SPACE = "\t\r\n"
CLOSED = {"engine": "sqlite", "started_at": "2026-01-05T10:22:11+00:00", "finished_at": "2026-01-05T10:29:47+00:00"}
"""Fields of text that have few values, which decide how a record is shown; each is hostile in every second record."""


def filled(kind: Any, name: str, numbers: Iterator[int]) -> Any:
    """Return a value of a type in which every text is hostile; of a union, of each of its types in order."""
    inside = typing.get_args(kind)
    if kind is str:
        return text_of(name, next(numbers))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return list(kind)[next(numbers) % len(kind)]
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        fields = {f.name: filled(hints[f.name], f.name, numbers) for f in dataclasses.fields(kind) if f.init}
        return kind(**fields)  # type: ignore[operator]
    if inside:
        return several(typing.get_origin(kind), inside, name, numbers)
    return {int: 1, float: 1.5, bool: bool(next(numbers) % 2)}[kind]


def text_of(name: str, number: int) -> str:
    """Return a hostile text; for some fields, in turns with one that decides how the record is shown."""
    if name in CLOSED and number % 2:
        return CLOSED[name]
    return BASELINE if name in {"arm", "name"} and number % 3 == 0 else HOSTILE


def several(origin: Any, inside: tuple[Any, ...], name: str, numbers: Iterator[int]) -> Any:
    """Return a value of a union, a mapping, a tuple or a list."""
    if origin in {typing.Union, types.UnionType}:
        known = [each for each in inside if each is not type(None)]
        return filled(known[next(numbers) % len(known)], name, numbers)
    if issubclass(origin, Mapping):
        return {filled(inside[0], "", numbers): filled(inside[1], name, numbers) for _ in range(2)}
    if origin is tuple and inside[-1] is not Ellipsis:
        return tuple(filled(each, name, numbers) for each in inside)
    return (tuple if origin is tuple else list)(filled(inside[0], name, numbers) for _ in range(3))


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Printed:
    """Return a function that prints blocks as commands do, in a terminal of a width, and returns what was printed."""

    def show(blocks: Sequence[Block], width: int) -> str:
        monkeypatch.setenv("COLUMNS", str(width))
        _console.print_blocks(blocks)
        return capsys.readouterr().out

    return show


def record(kind: Any, place: int) -> Any:
    """Return the record of a type whose values of unions and enumerations begin at a place."""
    return filled(kind, "", itertools.count(place))


def refuse_commands(shown: str, also: str = "") -> None:
    """Fail if a text has what a terminal or a log obeys; `also` are characters that may be in it."""
    assert not {c for c in shown if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp"} and c not in "\n" + also}
    assert not [line for line in shown.split("\n") if line.lstrip().startswith("::")]
    assert not re.search(r"##\w*\[", shown)
    assert SECRET[:6] not in shown


class HostilePage(HTMLParser):
    """Collects the elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[tuple[str, str]] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note an element with its attributes."""
        self.found |= {(tag, name) for name, _ in attributes} | {(tag, "")}


def refuse_markup(page: str) -> None:
    """Fail if a page has an element or a handler of a text, a character that it must not have, or a secret."""
    parser = HostilePage()
    parser.feed(page)
    assert not {(tag, name) for tag, name in parser.found if name.startswith("on") or tag in {"img", "iframe", "base"}}
    assert "alert(1)</script>" not in page
    assert not {c for c in page if unicodedata.category(c) == "Cc"} - set(PAGE_WHITE_SPACE)
    assert not {"\u202e", "\u2066", "\u2028"} & set(page)
    assert SECRET not in page


RUNS = [(kind, place) for kind in RunKind for place in range(4)]


def run_of(kind: RunKind, place: int) -> Run:
    """Return a hostile run of a kind."""
    made: Run = record(Run, place)
    return dataclasses.replace(made, kind=kind, schema_version=SCHEMA_VERSION)


@pytest.mark.parametrize(("kind", "place"), RUNS)
def test_a_run_is_only_shown(kind: RunKind, place: int, printed: Printed, capsys: pytest.CaptureFixture[str]) -> None:
    """In short and in full, in a narrow and in a wide terminal, as Markdown, as a page and as JSON."""
    run = without_secrets(run_of(kind, place))
    for width in (60, 80, 200):
        refuse_commands(printed(summaries.summary(run, "more", width), width))
        refuse_commands(printed(overview.brief(run, speeds=True), width))
    refuse_commands(printed(overview.full(run), 120))
    refuse_commands(markdown.write(overview.full(run)))
    refuse_markup(html.render(run))
    _console.print_json(run_of(kind, place))
    body = capsys.readouterr().out
    refuse_commands(body)
    assert json.loads(body)["kind"] == kind


@pytest.mark.parametrize("place", range(6))
def test_a_gate_is_only_shown(place: int, printed: Printed) -> None:
    """Of annotations, only those that the gate makes are obeyed; JUnit is valid XML, whose texts are shown."""
    verdict = list(GateVerdict)[place % 4]
    result = without_secrets(dataclasses.replace(record(GateResult, place), verdict=verdict))
    for width in (60, 200):
        refuse_commands(printed(files.gated(result, "more", width), width))
        refuse_commands(printed(gate.full(result), width))
    refuse_commands(markdown.write(gate.full(result)))
    for line in github.commands(result):
        level, _, rest = line.removeprefix("::").partition(" ")
        assert level in {"error", "warning", "notice"}
        refuse_commands(rest)
    refuse_commands(github.summary(result))
    refuse_markup(gated.render(result))
    tree = ET.fromstring(junit.render(result))
    texts = [text for element in tree.iter() for text in (element.text or "", *element.attrib.values())]
    for text in texts:
        assert not {c for c in text if unicodedata.category(c) == "Cc"} - set(PAGE_WHITE_SPACE)
        assert SECRET not in text


@pytest.mark.parametrize("place", range(3))
def test_a_history_is_only_shown(place: int, printed: Printed) -> None:
    """In the terminal, as Markdown and as a page."""
    found = without_secrets(record(History, place))
    refuse_commands(printed(short_histories.summary(found, "more", 80), 80))
    refuse_commands(printed(brief(found), 120))
    refuse_commands(markdown.write(brief(found)))
    refuse_markup(history_page.render(found))


def test_what_is_printed_while_measuring_is_only_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Steps, waiting subjects, status lines, tables, messages and documents."""
    with Progress() as progress:
        progress.step(HOSTILE, 1, 1, 1.0)
        progress.waiting(HOSTILE, HOSTILE, 1e6)
    with StatusLine(HOSTILE) as status:
        status(HOSTILE)
    _console.print_lines(HOSTILE)
    _console.print_table((HOSTILE, "b"), [(HOSTILE, HOSTILE)])
    _console.print_message(HOSTILE)
    _console.print_document(HOSTILE)
    written = capsys.readouterr()
    refuse_commands(written.out)
    refuse_commands(written.err)


@pytest.mark.parametrize("kind", RunKind)
def test_a_stored_run_has_no_secrets(kind: RunKind, tmp_path: Path) -> None:
    """Neither in the file nor in what is read from it, whose names still agree."""
    run = run_of(kind, 0)
    file = write_run(run, tmp_path)
    assert SECRET not in file.read_text()
    assert read_run(tmp_path) == without_secrets(read_run(tmp_path))
