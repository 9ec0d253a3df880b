"""The page of a history: self-contained, escaped, with every figure, and small with hundreds of runs."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from harness.report.html import history as html
from harness.results.history import FigureHistory, FigureKind, HistoryLine
from tests.harness.report import histories
from tests.harness.report.conftest import HOSTILE


class PageParts(HTMLParser):
    """The elements, ids and links of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count an element."""
        self.tags.append(tag)
        given = dict(attrs)
        self.ids += [value for value in [given.get("id")] if value]
        self.targets += [value for name in ("href", "src") if (value := given.get(name))]


def figures(number: int = 3) -> tuple[FigureHistory, ...]:
    """Return figures with a step, without one, and constant ones."""
    varying = [histories.figure(1, 2, 1, 2, group=f"group {n}") for n in range(number)]
    stepped = histories.figure(4e6, 4e6, 12e6, 12e6, steps=(histories.STEP,))
    return (stepped, *varying, histories.figure(3, 3, 3, 3, kind=FigureKind.WORK))


def test_the_page_is_written_into_a_folder(tmp_path: Path) -> None:
    """As one file that needs no network."""
    page = html.write(histories.history(*figures()), tmp_path / "new")
    assert page == tmp_path / "new" / "history.html"
    parts = PageParts(page.read_text(encoding="utf-8"))
    assert all(target.startswith("#") for target in parts.targets)
    assert {target[1:] for target in parts.targets} <= set(parts.ids)
    assert len(parts.ids) == len(set(parts.ids))
    assert "script" not in parts.tags


def test_steps_come_first_and_every_figure_is_there() -> None:
    """Varying figures as trends, constant ones as values, with the explanation of a step."""
    page = html.render(histories.history(*figures()))
    assert "<h1>1 step at abcdef2, in 4 runs</h1>" in page
    assert page.index("At abcdef2") < page.index("Composite indexes · sqlite</h2>")
    assert page.count('<svg class="trend"') == 4
    assert "Percentiles without a step: 3" in page
    assert "The same in every run: 1 figure" in page
    assert "git log --oneline abcdef1..abcdef2" in page
    assert "2 + 2 runs, apart by more than 25 %" in page
    assert "A vertical line is a step" in page


def test_many_trends_are_folded() -> None:
    """Few are open."""
    assert re.search(r"<details open>\n<summary>Percentiles", html.render(histories.history(*figures(3))))
    assert re.search(r"<details>\n<summary>Percentiles", html.render(histories.history(*figures(30))))


def test_lines_of_other_machines_are_marked() -> None:
    """Each end has the colour of its line."""
    figure = histories.figure(4e6, 5e6)
    figure = replace(figure, lines=(*figure.lines, HistoryLine(1, figure.lines[0].points)))
    found = histories.history(figure)
    scenario = replace(found.scenarios[0], time_lines=("", "another machine"))
    page = html.render(replace(found, scenarios=(scenario,)))
    assert '<span class="line-2 mark" aria-hidden="true">●</span>' in page
    assert "Ratios and times have 2 lines that are not comparable." in page


def test_hostile_texts_are_escaped() -> None:
    """In names, labels of trends, remarks and warnings."""
    figure = histories.figure(4e6, 4e6, 12e6, 12e6, steps=(histories.STEP,), arm=HOSTILE, group=HOSTILE, metric=HOSTILE)
    found = histories.history(figure)
    scenario = replace(found.scenarios[0], title=HOSTILE, name=HOSTILE, engine=HOSTILE, time_lines=("", HOSTILE))
    runs = tuple(histories.run(n, label=HOSTILE, name=HOSTILE, commit=HOSTILE, remarks=(HOSTILE,)) for n in range(4))
    page = html.render(replace(found, scenarios=(scenario,), runs=runs))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "日本語の名前" in page


def test_an_empty_history_is_a_page() -> None:
    """One run in which nothing was measured."""
    page = html.render(replace(histories.history(runs=1), scenarios=()))
    assert "1 run without a figure" in page


def test_hundreds_of_runs_are_a_small_page() -> None:
    """300 runs of 400 figures: a few kilobytes and elements per figure."""
    values = [float(n % 7 + 1) for n in range(300)]
    shown = [histories.figure(*values, group=f"group {n}", kind=FigureKind.METRIC) for n in range(400)]
    runs = tuple(replace(histories.run(0), label=f"{n:07x}", code=n) for n in range(300))
    page = html.render(replace(histories.history(*shown), runs=runs))
    assert len(page) < 400 * 7_000
    assert len(PageParts(page).tags) < 400 * 15 + 300 * 10
