"""The language of the page: also where other processes draw its cards."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.language import using
from harness.report.html import page, render
from harness.results.run import Run, ScenarioResult


def test_cards_of_other_processes_have_the_language_of_the_page(
    make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same text whether the cards are made here or in spawned processes."""
    run = make_run(*(replace(make_result(), name=f"s{number}", latencies=[], memory=[]) for number in range(2)))
    with using("ja"):
        here = render(run)
        monkeypatch.setattr(page, "MANY", 1)
        assert render(run) == here
    assert "確認されず" in here or "確認" in here
    assert "not observed" not in here
