"""The HTML report: self-contained, well-formed, complete, and safe whatever the run holds."""

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.gate.result_files import side_by_side
from harness.importers import own_run
from harness.importers.reading import Reading, raw_timing
from harness.report.conclusion import conclude
from harness.report.headings import NOTHING_LOADED
from harness.report.html import render, write
from harness.report.html.compact import compact
from harness.report.html.page import plan_words
from harness.report.overview import NO_PROMISE
from harness.report.tables import CONTROL_READ
from harness.results.run import AA_CONTROL, PromiseVerdict, Run, RunWarning, ScenarioResult, Verdict

HOSTILE = "<script>alert('x')</script> & \"quoted\" $x$ 日本語"
VOID = {"meta", "br", "img", "hr", "input", "link"}


class Outline(HTMLParser):
    """The tags, ids, links and texts of a page; fails if an element is not closed in order."""

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
        """Collect a tag, its id and its links."""
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [value for name, value in attrs if name in {"href", "src", "xlink:href", "action"} and value]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect a tag that closes itself."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that the last opened element is the one that closes."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Collect the text."""
        self.text.append(data)


@pytest.fixture(scope="module")
def run(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult], failed_result: ScenarioResult) -> Run:
    """Return a run with one scenario at two RTTs and a failed one."""
    return make_run(make_result(), make_result(rtt_ms=5.0), failed_result)


@pytest.fixture(scope="module")
def page(run: Run, sample_folder: Path) -> str:
    """Return the page of that run with all its figures."""
    return render(run, sample_folder)


def test_the_page_is_self_contained(page: str) -> None:
    """The page has no address or import outside itself; only the data of its run is linked, beside it."""
    assert {link for link in Outline(page).links if not link.startswith("#")} == {"./samples/indexes.csv"}
    assert not re.search(r"https?://|@import|url\((?!#)", page)


def test_every_id_is_unique_and_every_link_has_a_target(page: str) -> None:
    """Figures do not share ids, and each link and clip path has a target."""
    outline = Outline(page)
    assert len(outline.ids) == len(set(outline.ids))
    targets = {link[1:] for link in outline.links if link.startswith("#")} | set(re.findall(r"url\(#([^)]+)\)", page))
    assert targets <= set(outline.ids)


def test_every_figure_has_how_to_read_it(page: str) -> None:
    """Each figure has one sentence, an image with a description, and its content as a table."""
    found = re.findall(r"<figure.*?</figure>", page, flags=re.DOTALL)
    assert len(found) == 10
    assert all(figure.count('role="img" aria-label="') == figure.count("<svg") > 0 for figure in found)
    assert all(
        '<span class="how">' in figure and ("as a table</summary>" in figure or "above has the same figures" in figure)
        for figure in found
    )
    assert "Memory over time" in page


def test_every_verdict_appears(run: Run, page: str) -> None:
    """Each promise has its verdict."""
    text = " ".join(Outline(page).text)
    verdicts = [v for result in run.scenarios for v in result.verdicts]
    assert len(verdicts) == 36
    assert all(v.verdict in text and v.text in text for v in verdicts)


def test_figures_without_samples_have_a_reason(run: Run, tmp_path: Path) -> None:
    """Without a folder, or without samples in it, the page names the figures that were left out and why."""
    one = replace(run, scenarios=run.scenarios[:1])
    assert "Left out: the raw samples were not available" in render(one)
    assert "cannot read the samples" in render(one, tmp_path)


def test_the_same_run_gives_the_same_bytes(run: Run, page: str, sample_folder: Path) -> None:
    """Rendering twice gives the same file, written next to the samples."""
    assert write(run, sample_folder).read_bytes() == compact(page).encode()


def test_a_page_elsewhere_names_the_samples(run: Run, sample_folder: Path, tmp_path: Path) -> None:
    """Beside them it links to them; a link from another folder would lead nowhere."""
    page = write(run, sample_folder, tmp_path).read_text()
    assert "<code>samples/indexes.csv</code>" in page
    assert 'href="samples' not in page


def test_hostile_texts_are_text(make_run: Callable[..., Run], hostile_result: ScenarioResult) -> None:
    """Markup in names, SQL, errors and settings is text; the page has one script."""
    page = render(make_run(hostile_result, name="<img src=x>", command="a < b && c", environment={"<em>": "<u>"}))
    outline = Outline(page)
    assert outline.tags.count("script") == 1
    assert not {"img", "em", "u"} & set(outline.tags)
    assert "日本語の名前" in "".join(outline.text)


def test_a_failed_scenario_has_its_error(page: str) -> None:
    """The error is in the scenario's row, at the top of the page, and in full on the scenario's card."""
    assert page.count("arms disagree on case") == 3
    assert "This scenario failed" in page


def test_an_arm_that_cannot_run_is_named_at_the_top(make_run: Callable[..., Run], hostile_result: ScenarioResult) -> None:
    """An arm that does not run as written has this as its catch, before all verdicts."""
    page = render(make_run(hostile_result))
    assert page.index("cannot run") < page.index('id="promises"')


def test_an_empty_run_renders(make_run: Callable[..., Run]) -> None:
    """A run without finished scenarios has a sentence and the command to repeat it."""
    assert "This run did not finish" in render(make_run(finished_at=None))
    page = render(make_run(interrupted=True, finished_at=None, environment={}))
    assert "No scenario finished" in page
    assert "This run was interrupted" in page
    assert "harness run all" in page
    Outline(page)


def test_a_load_run_without_load_is_a_sentence(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """A run under load that measured nothing has that as its heading, its environment and what it was about."""
    result = make_result(memory=[], work_counts=[], statements=[], growth=[], samples_file=None)
    page = render(make_run(result, kind="load", environment={"users": "1,000"}))
    assert f"<h1>{NOTHING_LOADED}</h1>" in page
    assert "1,000" in page
    assert result.title in page
    assert "Memory over time" not in page
    Outline(page)


def test_a_run_without_promises_renders(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """A run without promises has measurements and a sentence that there are no verdicts."""
    page = render(make_run(make_result(verdicts=[])))
    assert NO_PROMISE in page
    assert "Every promise, kept or not" not in page


def test_the_reasons_for_dashes_are_below_the_table(
    make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]
) -> None:
    """A percentile that one arm supports and another does not is a plain dash, with the reason once per table."""
    base, *others = make_result().latencies
    supported = replace(base, percentiles_ns=base.percentiles_ns | {"99": 4.4e6})
    page = render(make_run(make_result(latencies=[supported, *others])))
    assert "<td>–</td>" in page
    assert '<p class="how footnote">–: too few samples. </p>' in page
    assert "<abbr" not in page


def test_an_aa_control_that_excludes_1_is_marked(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """An interval around 1 is shown as it is; one that excludes 1 has a sign, which is explained below the table."""
    result = make_result()
    for low, is_marked in ((0.9, False), (1.1, True)):
        ratios = [replace(r, low=low, high=1.2) if r.arm == AA_CONTROL else r for r in result.ratios]
        page = render(make_run(replace(result, ratios=ratios)))
        assert bool(re.search(r">! [\d.]+×", page)) == is_marked
        assert (CONTROL_READ in page) == is_marked


def test_any_arm_has_its_column(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """The verdict on an arm of any name is in a row of that name."""
    verdict = Verdict(
        "X1", "more", "hand-written", PromiseVerdict.CONFIRMED, "promised 2×, measured 3×", "×", value=3.0, promised_low=2.0
    )
    page = render(make_run(make_result(verdicts=[verdict])))
    assert ">hand-written</a></td><td class=good><b>✓ confirmed</b> 3×" in page


def test_an_arm_has_one_colour_on_a_card(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """The table of a card marks each arm in the same way wherever it names it, also if one has no verdict."""
    result = make_result()
    page = render(make_run(replace(result, verdicts=[v for v in result.verdicts if v.arm == "optimised"])))
    top, card = page.split('<section class="card" id="card-indexes-sqlite"')
    assert set(re.findall(r'class="arm ([\w-]+)">(?:<span class="visually-hidden">)?optimised<', card)) == {"arm-2"}
    assert set(re.findall(r'class="arm ([\w-]+)">(?:<span class="visually-hidden">)?proposed<', card)) == {"arm-1"}
    assert set(re.findall(r'class="arm ([\w-]+)" href=#[\w-]+>optimised<', top)) == {"arm-2"}


def test_every_place_has_its_target_in_one_card(page: str) -> None:
    """A scenario at two RTTs has one card, with a part to unfold per RTT that links lead to."""
    outline = Outline(page)
    assert {"card-indexes-sqlite", "card-indexes-sqlite-rtt-5"} <= set(outline.ids)
    assert page.count('<section class="card" id="card-indexes') == 1
    assert page.count('<details class="at-place"') == 2
    assert page.count('<details class="at-place" open>') == 1
    assert '<summary id="card-indexes-sqlite-rtt-5">sqlite, RTT 5 ms' in page


def test_a_statement_is_printed_once(page: str) -> None:
    """Arms and places that send the same statement share it; of their plans the differing lines are marked."""
    card = page[page.index('<section class="card" id="card-indexes') :]
    assert card.count("SELECT id FROM prompts WHERE user_id = ? AND title &lt; &#39;&lt;b&gt;&#39;") == 1
    assert re.search(r"<strong>− <mark>SCAN</mark> prompts</strong>", card)  # noqa: RUF001 - the mark of the page
    assert "<strong>+ SEARCH prompts USING INDEX ix (user_id=?)</strong>" in card


def test_verdicts_are_in_no_card(page: str) -> None:
    """A card has the number of its promises and a link to the table that has their verdicts."""
    card = page[page.index('<section class="card" id="card-indexes') :]
    assert 'class="verdicts"' not in card
    assert '<a href="#promises">see them</a>' in card
    assert 'id="promises"' in page


def test_a_name_of_ten_thousand_characters_is_cut_on_a_card(
    make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]
) -> None:
    """Names, descriptions, errors, findings and warnings are; of statements and plans the first four thousand are kept."""
    long = "y" * 10_000
    result = make_result()
    every = replace(
        result,
        title=long,
        arms=[replace(arm, description=long, errors={long: long}) for arm in result.arms],
        groups={long: long},
        latencies=[replace(x, group=long, arm=long if x.arm == "optimised" else x.arm) for x in result.latencies],
        ratios=[replace(x, group=long, arm=long if x.arm == "optimised" else x.arm) for x in result.ratios],
        findings=[replace(f, message=long, evidence=long) for f in result.findings],
        warnings=[RunWarning(long, long, long)],
        statements=[replace(s, group=long, sql=long, plan=[long]) for s in result.statements],
        verdicts=[],
    )
    page = render(make_run(every))
    card = re.sub("<svg.*?</svg>", "", page[page.index('<section class="card" id="card-indexes') :], flags=re.DOTALL)
    card = card[: card.index("Scenario, data and engine settings")]
    assert max(map(len, re.findall("y+", card[: card.index("Statements and plans")]))) <= 400
    assert max(map(len, re.findall("y+", card))) == 4_000
    assert "6,000 more characters" in card


def test_an_unwritable_folder_is_refused(make_run: Callable[..., Run], tmp_path: Path) -> None:
    """Writing to a path that is not a folder is refused in one line."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        write(make_run(), tmp_path / "file")


def test_table_scans_are_marked() -> None:
    """Scans of whole tables are marked in plans of SQLite and PostgreSQL; index scans are not."""
    assert plan_words("SCAN prompts") == [("SCAN", True), (" prompts", False)]
    assert plan_words("->  Seq Scan on prompts")[1] == ("Seq Scan", True)
    assert plan_words("Index Scan using ix") == [("Index Scan using ix", False)]


def a_file(name: str, factor: float) -> Reading:
    """Return a file of two benchmarks, one of which has a name that means something to HTML."""
    values = [factor * 1e6 * (1 + i / 1e4) for i in range(30)]
    warnings = (RunWarning(HOSTILE, HOSTILE, HOSTILE),)
    return Reading(
        name, "tool", "a file", (raw_timing(HOSTILE, values), raw_timing("plain", values)), digest=name, warnings=warnings
    )


COMPARED = side_by_side(a_file("old.json", 2), a_file(f"{HOSTILE}.json", 1)).run
ALONE = own_run.of_file(a_file("one.json", 1))


@pytest.mark.parametrize("run", [COMPARED, ALONE], ids=["two files", "one file"])
def test_the_page_of_files_is_self_contained(run: Run) -> None:
    """It has no script and no address, and every name is text."""
    page = render(run)
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert "日本語" in page
    assert "plain" in page


def test_two_files_have_verdicts_and_a_warning() -> None:
    """The page has a row with a bar per benchmark, and the warning that the files are unpaired."""
    page = render(COMPARED)
    assert page.count('<td class="axis"><i ') == 2
    for text in ("improved", "Comparison: 2 faster.", "How to read this page", "unpaired", "never shown to be equal"):
        assert text in page


def test_one_file_has_times_and_no_verdicts() -> None:
    """A single file cannot be judged."""
    page = render(ALONE)
    assert "1.00 ms" in page
    assert "Comparison" not in page
    assert 'class="status' not in page


def test_the_page_of_files_is_written_into_a_folder(tmp_path: Path) -> None:
    """It has the name of every report."""
    assert write(ALONE, tmp_path / "deep") == tmp_path / "deep" / "report.html"
    assert (tmp_path / "deep" / "report.html").read_text() == compact(render(ALONE))


def test_the_page_begins_with_the_conclusion(run: Run, page: str) -> None:
    """Its heading is the conclusion, and the first table has a row per optimisation with links to its card and to the rules."""
    made = conclude(run)
    assert f"<h1>{made.heading}</h1>" in page
    assert f"<title>{made.heading}</title>" in page
    first = page[page.index('<table class="advice">') :]
    assert page.index('<table class="advice">') < page.index('id="promises"')
    assert f'href="#{made.rows[0].located.anchor}"' in first[: first.index("</table>")]
    assert 'href="#rules"' in page
    assert "docs/advice.md" in page


def test_a_place_is_chosen_without_a_script(run: Run, page: str) -> None:
    """Each place has a radio button that shows its rows, the first at the beginning, and a matrix has all."""
    places = conclude(run).places
    assert len(places) > 1
    assert page.count(' name="place" id="place-') == len(places)
    assert page.count(' name="place" id="place-1" checked>') == page.count(' checked><label for="place-') == 1
    assert all(f"#place-{number}:checked ~ .at-{number}" in page for number in range(1, len(places) + 1))
    assert "What to do at each of the" in page


def test_hostile_names_are_text_in_the_conclusion(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """Markup, direction marks and control characters, however long."""
    bad = "<em>x</em>\u202e\x1b[31m::error::" + "y" * 10_000
    result = make_result(title=bad)
    arms = [replace(arm, name=bad if arm.name == "optimised" else arm.name) for arm in result.arms]
    verdicts = [replace(v, arm=bad if v.arm == "optimised" else v.arm, text=bad, part=bad) for v in result.verdicts]
    page = render(make_run(replace(result, arms=arms, verdicts=verdicts)))
    top = page[: page.index('id="promises"')]
    assert "em" not in Outline(page).tags
    assert not {"\u202e", "\x1b"} & set(top)
    assert "y" * 1_000 not in top


def test_a_run_of_switches_or_load_keeps_its_facts(
    make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]
) -> None:
    """There is no conclusion about optimisations in it."""
    page = render(make_run(make_result(verdicts=[]), kind="load"))
    assert "sqlite · small data, seed 1 · 2026-01-05 10:22 UTC · commit 3f9a1c2d5b" in page
    assert '<table class="advice">' not in page
