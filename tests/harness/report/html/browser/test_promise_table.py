"""The table of all promises in a browser: filters, search, sorting, links to rows, a state in the address, downloads, copying."""

import csv
import io
import json
import re
from urllib.parse import quote, unquote

import pytest

from tests.harness.report.html.browser.conftest import Visiting
from tests.harness.report.html.browser.pages import PART
from tests.harness.report.html.browser.promise_table import PromiseTable
from tests.harness.report.html.browser.visit import Visit

VERDICTS = {
    "kept": {"exceeded", "confirmed"},
    "missed": {"fell short", "missed", "refuted"},
    "not judged": {"inconclusive", "withheld", "not measured", "measured"},
}
"""Choice → the verdicts that it shows."""

TONES = ["great", "good", "short", "bad", "open", "flat"]
"""The classes of verdicts, the best first."""

HOSTILE_FRAGMENTS = (
    "<img src=x onerror=alert(1)>",
    quote("<img src=x onerror=alert(1)>"),
    '"]<script>alert(1)</script>',
    "javascript:alert(1)",
    "%",
    "%E0%A4%A",
    "=&=&==",
    "show=__proto__&engine=constructor&rtt=%00&sort=constructor&place=toString",
    "show=%22%3E%3Cimg%20src%3Dx%3E&sort=x&engine=<b>&place=[a]",
    "a\\'b",
    "sort=99",
    "sort=NaN",
    "sort=-999999999999",
    "sort=1e308&sort=0.5",
    "show=<svg onload=alert(1)>&engine=[]&csv=1&json=1",
    "x" * 100_000,
    ",".join("0" * 5_000),
)


@pytest.mark.parametrize(("choice", "verdicts"), VERDICTS.items())
def test_a_filter_shows_the_rows_with_its_verdicts(choice: str, verdicts: set[str], visit: Visiting) -> None:
    """There are some, they have no other verdict, and their number is shown."""
    table = PromiseTable(visit(PART))
    everything = table.ids()
    table.show(choice)
    shown = table.texts()
    assert 0 < len(shown) < len(everything)
    others = {v for name, found in VERDICTS.items() if name != choice for v in found}
    words = {v: re.compile(rf"\b{v}\b") for v in verdicts | others}
    firsts = [min((found.start(), v) for v, word in words.items() if (found := word.search(text))) for text in shown]
    assert {v for _, v in firsts} <= verdicts
    assert str(len(shown)) in table.count.inner_text()


def test_all_rows_are_those_of_scenarios_without_a_database_and_of_those_not_run_as_well(visit: Visiting) -> None:
    """They are hidden only by a filter: one of an engine, which they are not on, or one of verdicts that they do not have."""
    table = PromiseTable(visit("no database"))
    everything, texts = table.ids(), " ".join(table.texts())
    assert len(everything) == table.page.locator("#promise-table tbody tr[id]").count()
    assert table.count.inner_text() == f"{len(everything)} of {len(everything)} rows"
    assert {head for head in table.heads() if "RTT" in head} == {"sqlite, RTT 0 ms", "turso, RTT 0 ms", "RTT 0 ms"}
    assert "C1\t3×\toptimised" in texts
    table.choose("Engine", "turso")
    assert 0 < len(table.ids()) < len(everything)
    table.choose("Engine", "all")
    assert table.ids() == everything


def test_each_row_is_kept_or_missed_or_not_judged(visit: Visiting) -> None:
    """The three choices have no row in common and leave none out."""
    table = PromiseTable(visit(PART))
    everything, found = table.ids(), []
    for choice in VERDICTS:
        table.show(choice)
        found += table.ids()
    assert sorted(found) == sorted(everything)
    table.show("all")
    assert table.ids() == everything


def test_an_engine_or_an_rtt_can_be_chosen(visit: Visiting) -> None:
    """Only its columns are shown, until all are again."""
    table = PromiseTable(visit("several places"))
    everything = table.heads()
    table.choose("Engine", "postgres")
    assert [head for head in table.heads() if re.search("SQLite|Turso", head, re.IGNORECASE)] == []
    table.choose("RTT", "5 ms")
    assert len([head for head in table.heads() if re.search("postgres", head, re.IGNORECASE)]) == 1
    assert table.ids()
    table.everything.click()
    assert table.heads() == everything


def test_a_search_shows_rows_with_all_of_its_words(visit: Visiting) -> None:
    """Without regard to case; a search without a result says so, and everything can be shown again."""
    table = PromiseTable(visit(PART))
    everything = table.ids()
    table.search.fill("SCANS full")
    shown = table.texts()
    assert 0 < len(shown) < len(everything)
    assert all("full scans" in text for text in shown)
    table.search.fill("<nothing of this kind>")
    assert table.ids() == []
    assert "0" in table.count.inner_text()
    table.everything.click()
    assert (table.ids(), table.search.input_value()) == (everything, "")


def test_rows_are_sorted_by_every_column(visit: Visiting) -> None:
    """Both ways, without losing any; the column says so to screen readers, and the keyboard sorts as well."""
    table = PromiseTable(visit(PART))
    everything = table.ids()
    for column in range(len(table.heads())):
        orders = []
        for _ in range(2):
            table.sort(column)
            orders.append((table.ids(), table.sorted()))
        (first, up), (second, down) = orders
        assert sorted(first) == sorted(second) == sorted(everything)
        assert {*up, *down} == {(column, "ascending"), (column, "descending")}
        assert first != second
    table.page.keyboard.press("Enter")  # the last button still has the focus
    assert table.ids() == first


def test_a_column_of_a_place_sorts_its_verdicts(visit: Visiting) -> None:
    """The best come first, then the worst, then with the first column the order of the scenarios again."""
    table = PromiseTable(visit(PART))
    order, column = table.ids(), len(table.heads()) - 2
    table.sort(column)
    best_first = [TONES.index(tone) for tone in table.tones(column)]
    assert best_first == sorted(best_first)
    table.sort(column)
    assert [TONES.index(tone) for tone in table.tones(column)] == sorted(best_first, reverse=True)
    table.sort(0)
    assert table.ids() == order


def test_the_state_can_be_copied_with_the_address(visit: Visiting) -> None:
    """Another window shows the same rows in the same order, with the same choices."""
    table = PromiseTable(visit(PART))
    table.search.fill("queries")
    table.show("kept")
    table.sort(1)
    table.sort(1)
    copied = PromiseTable(visit(PART, table.fragment()))
    assert table.fragment() == copied.fragment() != ""
    assert table.ids()
    assert copied.ids() == table.ids()
    assert copied.sorted() == table.sorted()
    assert copied.search.input_value() == "queries"
    assert copied.section.get_by_role("radio", name="kept").is_checked()


def test_the_place_is_in_the_address(visit: Visiting) -> None:
    """So are all choices of the table; the browser's history stays as it is, and "Show all" leaves only the place."""
    visited = visit("several places")
    table, page = PromiseTable(visited), visited.page
    number = page.evaluate("history.length")
    table.show("kept")
    table.choose("Engine", "postgres")
    table.search.fill("STEPS")
    table.sort(2)
    page.get_by_text("postgres, RTT 5 ms", exact=True).first.click()
    assert table.fragment() == "show=kept&engine=postgres&q=STEPS&sort=3&place=postgres%2C+RTT+5+ms"
    assert page.evaluate("history.length") == number
    copied = visit("several places", table.fragment()).page
    assert copied.get_by_role("radio", name="postgres, RTT 5 ms").is_checked()
    table.everything.click()
    assert table.fragment() == "place=postgres%2C+RTT+5+ms"


def test_a_link_unfolds_what_it_leads_to(visit: Visiting) -> None:
    """Such as the rules of the conclusion, which are folded."""
    page = visit(PART).page
    rules = page.locator("#rules")
    assert not rules.is_visible()
    page.locator("a[href='#rules']").first.click()
    rules.wait_for(state="visible")


def test_a_link_leads_to_its_row_and_marks_it(visit: Visiting) -> None:
    """Every row has a link to itself; opened at it, the page shows the row and marks it."""
    plain = PromiseTable(visit("full"))
    ids = plain.ids()
    assert all(plain.row(x).locator(f'a[href="#{x}"]').count() == 1 for x in (ids[0], ids[len(ids) // 2], ids[-1]))
    linked = PromiseTable(visit("full", ids[-1]))
    assert linked.is_in_window(ids[-1])
    assert not plain.is_in_window(ids[-1])
    assert linked.marks(ids[-1]) != plain.marks(ids[-1])


def test_a_link_to_a_row_that_is_filtered_out_shows_it(visit: Visiting) -> None:
    """Following it makes the row visible again."""
    table = PromiseTable(visit(PART))
    last = table.ids()[-1]
    table.search.fill("<nothing of this kind>")
    assert table.ids() == []
    table.page.evaluate("id => { location.hash = id }", last)
    table.row(last).wait_for(state="visible")
    table.page.wait_for_function("id => document.getElementById(id).getBoundingClientRect().top < innerHeight", arg=last)
    assert table.is_in_window(last)


def test_hostile_addresses_do_nothing(visit: Visiting) -> None:
    """Whatever follows "#", the page is as it is without: all rows, no element more, no message, no error."""
    page = visit("nulls")
    plain = _rows_and_elements(page)
    assert plain[0]
    found = {}
    for fragment in HOSTILE_FRAGMENTS:
        page.open(page.file, fragment)
        if (page.events, _rows_and_elements(page)) != ([], plain):
            found[fragment[:60]] = page.events, _rows_and_elements(page)
    assert found == {}


def _rows_and_elements(page: Visit) -> tuple[list[str], int]:
    elements: int = page.page.evaluate("document.querySelectorAll('*').length")
    return PromiseTable(page).ids(), elements


def test_the_csv_has_the_rows_that_are_shown(visit: Visiting) -> None:
    """All at first, those of a filter then; each has the claim and the arm that the page shows."""
    table = PromiseTable(visit(PART))
    for choice in ("all", "missed"):
        table.show(choice)
        rows = list(csv.DictReader(io.StringIO(table.downloaded("CSV").decode("utf-8-sig"))))
        assert len(rows) == len(table.ids())
        for row, text in zip(rows, table.texts(), strict=True):
            assert row["promise"].split()[0] in text or row["arm"] in text
            assert row["verdict"] in text


def test_the_json_has_the_rows_that_are_shown(visit: Visiting) -> None:
    """With the same columns as the CSV, at every place."""
    table = PromiseTable(visit("several places"))
    rows = json.loads(table.downloaded("JSON"))
    read = list(csv.DictReader(io.StringIO(table.downloaded("CSV").decode("utf-8-sig"))))
    assert [row.keys() for row in rows] == [row.keys() for row in read]
    assert {row["engine"] for row in rows} == {"sqlite", "postgres", "turso"}
    assert len(rows) >= len(table.ids())
    wanted = {"scenario": "scenario_3", "promised": "5–10×", "engine": "postgres", "rtt_ms": 0, "verdict": "fell short"}
    found = [{key: row[key] for key in (*wanted, "measured", "interval_95")} for row in rows]
    assert wanted | {"measured": "1.9948×", "interval_95": "[1.9948, 1.9948]"} in found


@pytest.mark.parametrize("name", ["hostile", "hostile and long"])
def test_downloads_of_hostile_names_are_data(name: str, visit: Visiting) -> None:
    """They parse, and no cell of the CSV is a formula to a spreadsheet."""
    table = PromiseTable(visit(name))
    assert json.loads(table.downloaded("JSON"))
    rows = list(csv.reader(io.StringIO(table.downloaded("CSV").decode("utf-8-sig"))))
    assert len({len(row) for row in rows}) == 1
    assert [cell for row in rows for cell in row if re.match(r"[=+@\t\r-]", cell)] == []
    assert [cell for row in rows for cell in row if cell.startswith("'=1+1")]


def test_the_command_is_copied(visit: Visiting) -> None:
    """With the commit that it belongs to, exactly as the page shows it."""
    page = visit(PART).page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name=re.compile("copy", re.IGNORECASE)).first.click()
    page.get_by_role("button", name=re.compile("copied", re.IGNORECASE)).wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines() == ["git checkout 3f9a1c2d5b", "harness run all --engine sqlite"]
    assert copied in page.locator("body").inner_text()
    assert page.evaluate("getSelection().toString()").strip() == copied, "so that it can be copied by hand as well"


@pytest.mark.parametrize("name", [PART, "load"])
def test_the_data_is_linked(name: str, visit: Visiting) -> None:
    """The run and its samples lie where the page's links lead."""
    page = visit(name)
    links = page.page.locator("a:not([href^='#'])").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    files = {(page.file.parent / unquote(link)).resolve() for link in links}
    assert {file.name for file in files} == {"run.json", "indexes.csv"}
    assert all(file.is_file() for file in files)


@pytest.mark.parametrize("scripts", [True, False])
def test_a_place_is_chosen_with_or_without_scripts(visit: Visiting, *, scripts: bool) -> None:
    """One place's rows of the summary are shown at a time."""
    page = visit("several places", scripts=scripts).page
    places = page.get_by_role("radio", name=re.compile("sqlite|postgres|turso", re.IGNORECASE))
    tables = page.locator("table").filter(has_text="what to do")
    seen: list[list[bool]] = []
    for number in range(places.count()):
        page.locator(f"label[for='{places.nth(number).get_attribute('id')}']").click()
        seen.append([table.is_visible() for table in tables.all()[: places.count()]])
    assert [shown.index(True) for shown in seen] == list(range(len(seen)))
    assert {sum(shown) for shown in seen} == {1}
