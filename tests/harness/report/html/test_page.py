"""The HTML report: self-contained, well-formed, complete, and safe whatever the run holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.report.html import render, write
from harness.report.html.page import plan_words
from harness.results.run import AA_CONTROL, PromiseVerdict, Run, ScenarioResult, Verdict

VOID = {"meta", "br", "img", "hr", "input", "link"}


class Outline(HTMLParser):
    """Collects what the tests ask of a page, and whether every element is closed in its turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag, its id and where it points."""
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [value for name, value in attrs if name in {"href", "src", "xlink:href", "action"} and value]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that closes itself."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that the last opened element is the one that closes."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep the text."""
        self.text.append(data)


@pytest.fixture(scope="module")
def run(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult], failed_result: ScenarioResult) -> Run:
    """A run with a whole scenario at two distances and a failed one."""
    return make_run(make_result(), make_result(rtt_ms=5.0), failed_result)


@pytest.fixture(scope="module")
def page(run: Run, sample_folder: Path) -> str:
    """The page of that run with all its figures."""
    return render(run, sample_folder)


def test_the_page_needs_nothing_else(page: str) -> None:
    """Nothing on the page points outside it: no address, no import, no file."""
    assert all(link.startswith("#") for link in Outline(page).links)
    assert not re.search(r"https?://|@import|url\((?!#)", page)


def test_every_id_is_unique_and_every_link_arrives(page: str) -> None:
    """Figures drawn alike keep their ids apart, and each link and clip path finds its target."""
    outline = Outline(page)
    assert len(outline.ids) == len(set(outline.ids))
    targets = {link[1:] for link in outline.links} | set(re.findall(r"url\(#([^)]+)\)", page))
    assert targets <= set(outline.ids)


def test_every_figure_says_how_it_is_read(page: str) -> None:
    """There are as many how-to-read lines as figures, and a strip, a curve and a memory figure are among them."""
    assert page.count("How to read this: ") == page.count("<figure>") > 8
    assert page.count('role="img"') == page.count("<figure>")
    assert "Memory over time" in page


def test_every_verdict_appears(run: Run, page: str) -> None:
    """Each promise shows with its word and its sentence."""
    text = " ".join(Outline(page).text)
    verdicts = [v for result in run.scenarios for v in result.verdicts]
    assert len(verdicts) == 36
    assert all(v.verdict in text and v.sentence in text and v.text in text for v in verdicts)


def test_without_samples_the_figures_say_why(run: Run, tmp_path: Path) -> None:
    """Without a folder, or with samples missing from it, the page renders and says which figures were left out and why."""
    one = replace(run, scenarios=run.scenarios[:1])
    assert "Left out: the raw samples were not at hand" in render(one)
    assert "cannot read the samples" in render(one, tmp_path)


def test_the_same_run_gives_the_same_bytes(run: Run, page: str, sample_folder: Path) -> None:
    """Rendering twice gives the same file, written beside the samples."""
    assert write(run, sample_folder).read_bytes() == page.encode()


def test_hostile_texts_are_shown_and_never_obeyed(make_run: Callable[..., Run], hostile_result: ScenarioResult) -> None:
    """Markup in names, SQL, errors and settings appears as text; the page's only script is its own."""
    page = render(make_run(hostile_result, name="<img src=x>", command="a < b && c", environment={"<i>": "<u>"}))
    outline = Outline(page)
    assert outline.tags.count("script") == 1
    assert not {"img", "i", "u"} & set(outline.tags)
    assert "日本語の名前" in "".join(outline.text)


def test_a_failed_scenario_shows_its_error(page: str) -> None:
    """The error stands at the top of the page and, whole, on the scenario's card."""
    assert page.count("arms disagree on case") == 2
    assert "This scenario failed" in page


def test_an_arm_that_cannot_run_is_named_at_the_top(make_run: Callable[..., Run], hostile_result: ScenarioResult) -> None:
    """The finding that the proposal does not run as written comes before all verdicts."""
    page = render(make_run(hostile_result))
    assert page.index("cannot run as written") < page.index("Verdicts</h2>")


def test_an_empty_run_renders(make_run: Callable[..., Run]) -> None:
    """A run in which nothing finished says so and still gives the command to repeat it."""
    page = render(make_run(interrupted=True, finished_at=None, environment={}))
    assert "No scenario finished" in page
    assert "This run was interrupted" in page
    assert "harness run all" in page
    Outline(page)


def test_a_load_run_names_its_users_and_blocks(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """A run of many users renders without memory, exact work or plans, and speaks of blocks instead of pairs."""
    result = make_result(memory=[], work_counts=[], statements=[], growth=[], samples_file=None)
    page = render(make_run(result, kind="load", environment={"users": "1,000"}))
    assert "many users" in page
    assert "1,000" in page
    assert "90 blocks" in page
    assert "Memory over time" not in page


def test_a_run_without_promises_renders(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """Another tool's results have no promises: the page shows measurements and says that there are no verdicts."""
    page = render(make_run(make_result(verdicts=[])))
    assert "No promise was on trial" in page
    assert "Every promise, kept or not" not in page


def test_a_missing_percentile_says_how_many_samples_it_needs(page: str) -> None:
    """A dash stands for an unsupported percentile, with the reason at hand."""
    assert "10,000 are needed, there are 90" in page


def test_a_dirty_control_is_called_noise(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """An A/A control whose interval leaves 1 out is said to, in words."""
    result = make_result()
    for low, says in ((1.1, "leaves 1 out"), (0.9, "holds 1")):
        ratios = [replace(r, low=low, high=1.2) if r.arm == AA_CONTROL else r for r in result.ratios]
        assert f"The interval {says}" in render(make_run(replace(result, ratios=ratios)))


def test_an_arm_beyond_the_two_keeps_its_verdict(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """A verdict of a third arm shows in the table under the arm's name."""
    verdict = Verdict(
        "X1", "more", "hand-written", PromiseVerdict.CONFIRMED, "promised 2×, measured 3×", "×", value=3.0, promised_low=2.0
    )
    assert "arm hand-written" in render(make_run(make_result(verdicts=[verdict])))


def test_a_closed_folder_is_refused(make_run: Callable[..., Run], tmp_path: Path) -> None:
    """Writing to a place that is no folder is a one-line refusal."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        write(make_run(), tmp_path / "file")


def test_scans_are_marked_by_word() -> None:
    """Whole-table reads are told apart in plans of SQLite and PostgreSQL; index scans are none."""
    assert plan_words("SCAN prompts") == [("SCAN", True), (" prompts", False)]
    assert plan_words("->  Seq Scan on prompts")[1] == ("Seq Scan", True)
    assert plan_words("Index Scan using ix") == [("Index Scan using ix", False)]
