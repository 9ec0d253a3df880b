"""The catalogues of translations: complete, up to date, compiled, and with the placeholders of the code."""

import ast
import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message

from harness.errors import UsageError
from harness.language import ngettext, using
from harness.report.headings import COUNTED as COUNTED_FILES
from harness.report.headings import FAILURES
from harness.report.numbers import COUNTED
from tools.words import (
    PACKAGE,
    PLACEHOLDER,
    catalogues,
    compiled,
    extracted,
    in_code,
    problems,
    read,
    sources,
    unwrapped,
    updated,
    written,
)

NOT_SHOWN = {"github.py", "junit.py"}
"""Modules that write for programs."""
RECORDED = {
    "advice.py",
    "capacity.py",
    "controls.py",
    "failures.py",
    "measures.py",
    "slo.py",
    "tails.py",
    "under_load.py",
    "unmeasured.py",
    "unpaired.py",
    "warnings.py",
}
"""Modules of `harness.verdicts` whose texts are recorded with a run, in English."""
MARKUP = re.compile(
    r"""^<|viewBox|="|^git |\\|^\W*(RTT\W*)?ms$|\(\?|^ (good|bad|box)$|^bold |^out of memory\|"""
    r"""|^measured $|MemoryError|^ more$|^\W+· RTT … ms"""
)
"""Markup, styles, units and patterns."""
CATALOGUES = pytest.mark.parametrize("file", catalogues(), ids=lambda file: file.parents[1].name)
PLURALS = [message.id for message in extracted() if isinstance(message.id, tuple)]


@pytest.fixture(scope="module")
def texts() -> Catalog:
    """Return every text of the code and of the templates."""
    return extracted()


@CATALOGUES
def test_a_catalogue_has_every_text_translated_and_no_other(file: Path, texts: Catalog) -> None:
    """`make words` updates it, and names what is left to translate."""
    assert list(problems(read(file), texts)) == []


@CATALOGUES
def test_the_files_are_those_that_the_tool_writes(file: Path, texts: Catalog) -> None:
    """The compiled file is that of the catalogue; both are the same at every run of `make words`."""
    assert file.read_bytes() == written(updated(read(file), texts))
    assert file.with_suffix(".mo").read_bytes() == compiled(read(file))


@pytest.mark.parametrize("forms", PLURALS, ids=lambda forms: forms[0])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_every_plural_reads_well_with_none_one_and_two(forms: tuple[str, str], number: int) -> None:
    """In every language the number is written where the text has a place for it, and every placeholder is filled."""
    names = {name.strip("{}"): "x" for form in forms for name in PLACEHOLDER.findall(form)} | {"count": f"{number}"}
    for file in catalogues():
        with using("en"):
            english = ngettext(*forms, number, **names)
        with using(file.parents[1].name):
            shown = ngettext(*forms, number, **names)
        for text in (english, shown):
            assert "{" not in text
            assert f"{number}" in text or "{count}" not in forms[0]
        assert not re.search(r"\b1 (are|(?!(?:is|has|was)\b)\w+[^s]s)\b", english), english


@pytest.mark.parametrize("file", [file for file in sources() if file.name not in NOT_SHOWN], ids=lambda file: file.name)
def test_no_text_of_a_report_is_left_to_wrap(file: Path, texts: Catalog) -> None:
    """Every literal of several words is a text of the catalogue, or is not for a reader; recorded texts are in English."""
    if file.is_relative_to(PACKAGE / "verdicts"):
        assert file.name in RECORDED or not _left(file, texts)
    else:
        assert _left(file, texts) == []


def _left(file: Path, texts: Catalog) -> list[str]:
    known = {text for message in texts if message.id for text in ([message.id] if isinstance(message.id, str) else message.id)}
    nouns = {noun.strip() for noun in (*COUNTED, *COUNTED_FILES, FAILURES)}
    return [text for _, text in unwrapped(file) if text.strip() not in known | nouns and not MARKUP.search(text)]


def test_a_text_is_a_literal() -> None:
    """What is put together at run time has no message id."""
    with pytest.raises(UsageError, match="line 1"):
        list(in_code(ast.parse('gettext(f"{count} rows")')))
    assert list(in_code(ast.parse('gettext("a " "b")\nngettext("row", "rows", 2)\ngettext(TITLE)\nother("c")'))) == [
        "a b",
        ("row", "rows"),
    ]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (Message("new {name}"), "not translated: 'new {name}'"),
        (Message("new {name}", "neu {name}", flags=("fuzzy",)), "uncertain: 'new {name}'"),
        (Message("new {name}", "neu {nom}"), "other placeholders: 'new {name}' → 'neu {nom}'"),
        (Message("old", "alt"), "not in the catalogue: \"('new {name}', None)\""),
        (Message("old", "alt"), "not in the code: \"('old', None)\""),
        (Message("new {name}", "neu {name}"), ""),
    ],
)
def test_each_problem_of_a_catalogue_is_named(entry: Message, problem: str) -> None:
    """Missing, unused, not translated, uncertain and with other placeholders."""
    wanted, known = Catalog(), Catalog("ja", fuzzy=False)
    wanted.add("new {name}")
    known[entry.id] = entry
    assert (problem in list(problems(known, wanted))) if problem else list(problems(known, wanted)) == []


def test_an_update_keeps_what_is_translated_and_drops_what_is_not_used(texts: Catalog) -> None:
    """A text that was changed has to be translated again."""
    old, new = Catalog("ja", fuzzy=False), Catalog()
    old.add("kept", "残る")
    old.add("dropped", "消える")
    new.add("kept")
    new.add("kept", context="word")
    made = updated(old, new)
    assert {(m.id, m.context): m.string for m in made if m.id} == {("kept", None): "残る", ("kept", "word"): ""}
    assert b"POT-Creation-Date" not in written(made)
    assert compiled(made) == compiled(made)
    assert len(texts) > 100
