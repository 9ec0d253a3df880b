"""The language of the page."""

from collections.abc import Callable
from dataclasses import replace

from harness.language import using
from harness.report.html import render
from harness.results.run import Run, ScenarioResult


def test_cards_have_the_language_of_the_page(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """No fixed text of them is left in English, and the next page is in English again."""
    run = make_run(*(replace(make_result(), name=f"s{number}", latencies=[], memory=[]) for number in range(2)))
    with using("ja"):
        made = render(run)
    assert "確認" in made
    assert "not observed" not in made
    assert "not observed" in render(run)
