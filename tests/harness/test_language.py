"""The language of reports: translation, plurals, placeholders, and the context that carries it."""

import re
from concurrent.futures import ProcessPoolExecutor
from contextvars import copy_context
from multiprocessing import get_context

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import language
from harness.language import current, gettext, languages, listed, mark, ngettext, use, using, word


def test_english_and_every_catalogue_are_there() -> None:
    """English needs no catalogue."""
    assert languages() == ["en", "ja"]


def test_english_is_the_default_and_needs_no_translation() -> None:
    """A text is its own message id."""
    assert current() == "en"
    assert gettext("works") == "works"
    assert word("confirmed") == "confirmed"


def test_a_context_has_its_language_and_the_one_around_it_is_kept() -> None:
    """Also if the context ends with an error."""

    def fail() -> None:
        with using("ja"):
            assert (current(), gettext("works"), word("confirmed")) == ("ja", "動作する", "達成")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (current(), gettext("works")) == ("en", "works")


def test_a_process_that_renders_starts_with_the_language() -> None:
    """A spawned process has none of its parent's context."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=use, initargs=("ja",)) as processes:
        assert processes.submit(current).result() == "ja"
    copy_context().run(use, "ja")
    assert current() == "en"


@pytest.mark.parametrize("chosen", languages())
def test_a_text_that_has_no_translation_stays_english(chosen: str) -> None:
    """So do the empty text, whose entry is the catalogue's header, and a word from elsewhere."""
    with using(chosen):
        assert (gettext("brand new"), gettext(""), word("a verdict of tomorrow"), mark("kept")) == (
            "brand new",
            "",
            "a verdict of tomorrow",
            "kept",
        )


def test_the_number_chooses_the_form_and_is_written_with_separators() -> None:
    """Zero is a plural in English, and Japanese has one form."""
    forms = "{count} is not decided", "{count} are not decided"
    found = [ngettext(*forms, number) for number in (0, 1, 2, 12_345)]
    assert found == ["0 are not decided", "1 is not decided", "2 are not decided", "12,345 are not decided"]
    with using("ja"):
        assert [ngettext(*forms, number) for number in (0, 1)] == ["判断保留 0 件", "判断保留 1 件"]


@given(st.text())
def test_a_value_is_never_read_as_a_text_with_placeholders(value: str) -> None:
    """Names are hostile: braces and percent signs in them stay as they are."""
    for chosen in languages():
        with using(chosen):
            assert value in gettext("failed: {reason}", reason=value)


@pytest.mark.parametrize(
    ("texts", "english", "japanese"),
    [([], "", ""), (["a"], "a", "a"), (["a", "b"], "a and b", "a、b"), (["a", "b", "c"], "a, b and c", "a、b、c")],
)
def test_an_enumeration_connects_none_one_and_several(texts: list[str], english: str, japanese: str) -> None:
    """The last of several is connected by a word in English."""
    assert listed(texts) == english
    with using("ja"):
        assert listed(texts) == japanese


def test_an_unknown_language_is_an_error_and_not_english() -> None:
    """The command line refuses it before; a program gets the reason."""
    with using("xx"), pytest.raises(FileNotFoundError, match=re.escape("xx") + r"|No translation file"):
        gettext("works")
    assert language.current() == "en"
