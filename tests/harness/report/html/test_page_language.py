"""The language of the page."""

import html
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.language import using
from harness.report.html import render
from harness.results.run import Run, ScenarioResult
from tools.words import PLACEHOLDER, catalogues, read

SENTENCE = re.compile(r"[A-Za-z]\S*( \S+){3,}")
"""A text of several words, which a name or a recorded text does not have by chance."""


def texts_of(page: str) -> str:
    """Return what a page says to a reader, without its style and its script."""
    return html.unescape(re.sub(r"<(style|script)\b.*?</\1>", "", page, flags=re.DOTALL))


@pytest.fixture
def run(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> Run:
    """Return a run of two scenarios without tables of their own."""
    return make_run(*(replace(make_result(), name=f"s{number}", latencies=[], memory=[]) for number in range(2)))


@pytest.mark.parametrize("file", catalogues(), ids=lambda file: file.parents[1].name)
def test_no_fixed_text_of_a_page_is_left_in_english(
    run: Run, make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult], file: object
) -> None:
    """Every text of the catalogue that is a sentence is only in the English page, and the next page is in English again."""
    (catalogue,) = (read(known) for known in catalogues() if known == file)
    for shown in (run, make_run(make_result())):
        with using(str(catalogue.locale)):
            translated = texts_of(render(shown))
        english = texts_of(render(shown))
        ids = [text for message in catalogue for text in ([message.id] if isinstance(message.id, str) else message.id)]
        fixed = [text for text in ids if SENTENCE.fullmatch(text) and not PLACEHOLDER.search(text)]
        assert [text for text in fixed if text in translated] == []
        assert len([text for text in fixed if text in english]) > 20
