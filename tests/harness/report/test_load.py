"""What many users at once met, as tables and in words, on the page, in Markdown and in the terminal."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from harness.report import html, load, markdown
from harness.report.numbers import DASH
from harness.report.tables import Table
from harness.report.terminal import before_after_table
from harness.results.load import ALL, LoadResult
from harness.results.run import Run, ScenarioResult

HOSTILE = "<script>alert('x')</script> | `tick` $x$ 日本語"
REASON = "it answered 61 % of what was offered"
INVALID = "the generator used 97 % of its core"


def texts(table: Table | None) -> dict[str, list[str]]:
    """Each row's cells by its first one."""
    assert table is not None
    return {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}


def changed(result: ScenarioResult, **changes: object) -> ScenarioResult:
    """The result with other figures under load."""
    assert result.load is not None
    return replace(result, load=replace(result.load, **changes))  # type: ignore[arg-type]


def printed(run: Run, width: int) -> str:
    """Print without colour at a width."""
    sink = io.StringIO()
    Console(file=sink, width=width, no_color=True).print(before_after_table(run))
    return sink.getvalue()


def test_arms_stand_side_by_side(load_result: ScenarioResult) -> None:
    """A table a group, all operations first: a row a figure, a column an arm, times with their intervals."""
    tables = load.arms(load_result)
    assert [t.caption for t in tables] == ["All operations, times in ms", "list, times in ms", "update, times in ms"]
    assert tables[0].head == ("", "baseline", "proposed", "optimised")
    rows = texts(tables[0])
    assert rows["offered a second"] == ["200", "200", "200"]
    assert rows["achieved a second"] == ["200", "122", "200"]
    assert rows["dropped"] == ["0", "1,204", "0"]
    assert rows["response p50"] == ["42.0 [39.7, 44.3]", DASH, "3.10 [2.93, 3.27]"]
    assert rows["response max"] == ["378", DASH, "27.9"]
    assert {"response p90", "response p95", "response p99", "response p99.9", "service p50", "service p99", "queue p99"} <= set(
        rows
    )


def test_an_overloaded_arm_never_looks_fast(load_result: ScenarioResult) -> None:
    """However short the times of an arm that does not hold the rate: no time and no ratio of it is shown, but the reason is."""
    under = load_result.load
    assert under is not None
    quick = next(x.response for x in under.arms if x.arm == "optimised")
    arms = [replace(x, response=quick, service=quick, queue=quick) if x.overloaded else x for x in under.arms]
    ratios = [*under.ratios, *(replace(x, arm="proposed") for x in under.ratios)]
    result = changed(load_result, arms=arms, ratios=ratios)
    place = load.arms_of(result).index("proposed")
    for table in load.arms(result):
        assert all(
            cells[place] == DASH for name, cells in texts(table).items() if name.split()[0] in {"response", "service", "queue"}
        )
        assert texts(table)["this rate"][place] == "not held"
    found = load.ratios(result)
    assert found is not None
    assert {row[2].text for row in found.rows} == {DASH}
    assert load.troubles(result)[0].name == "proposed does not hold this rate"
    assert REASON in load.troubles(result)[0].message


def test_an_arm_overloaded_over_all_is_so_in_every_group(load_result: ScenarioResult) -> None:
    """The reason over all operations goes for each group, even where a group's own row does not say it."""
    under = load_result.load
    assert under is not None
    arms = [x if x.group == ALL else replace(x, overloaded=None) for x in under.arms]
    assert load.overloaded(replace(under, arms=arms), "proposed", "list")


def test_nothing_is_compared_with_a_baseline_that_does_not_hold(load_result: ScenarioResult) -> None:
    """A baseline without times gives no ratio to anybody."""
    under = load_result.load
    assert under is not None
    arms = [replace(x, overloaded=REASON) if x.arm == "baseline" else x for x in under.arms]
    assert load.ratios(changed(load_result, arms=arms)) is None


def test_ratios_by_percentile(load_result: ScenarioResult) -> None:
    """A row a group and percentile that both sides support, each ratio with its interval."""
    table = load.ratios(load_result)
    assert table is not None
    assert [row[1].text for row in table.rows if row[0].text == ALL] == ["p50", "p90", "p95", "p99"]
    assert table.rows[0][3].text == "13.5× [12.2, 14.9]"


def test_an_invalid_run_compares_nothing(load_result: ScenarioResult) -> None:
    """Where the generator was the limit there is a reason before all figures, their captions say so, and no ratio is given."""
    result = changed(load_result, invalid=INVALID)
    assert load.ratios(result) is None
    assert load.troubles(result)[0] == load.Trouble(load.INVALID, INVALID, bad=True)
    assert all(load.INVALID_CAPTION in table.caption for table in load.arms(result))
    summary = load.summary(result)
    assert summary is not None
    assert all(row[7].text == row[8].text == DASH for row in summary.rows)


def test_the_closed_model_has_no_plan(load_result: ScenarioResult) -> None:
    """Without planned arrivals nothing is offered, dropped or queued."""
    under = load_result.load
    assert under is not None
    arms = [replace(x, offered_per_s=None, overloaded=None) for x in under.arms]
    rows = texts(load.arms(changed(load_result, model="closed", arms=arms))[0])
    assert not {"this rate", "offered a second", "dropped", "service p50", "queue p99"} & set(rows)
    assert rows["achieved a second"] == ["200", "122", "200"]


def test_a_missing_percentile_says_how_many_it_needs(load_result: ScenarioResult) -> None:
    """A dash stands for an unsupported percentile, with the reason at hand."""
    row = next(row for row in load.arms(load_result)[0].rows if row[0].text == "response p99.9")
    assert (row[1].text, row[1].note) == (DASH, "too few samples: 10,000 are needed, there are 6,000")


def test_one_group_is_told_once(load_result: ScenarioResult) -> None:
    """All operations are left out where there is one group only."""
    under = load_result.load
    assert under is not None
    assert load.groups(changed(load_result, arms=[x for x in under.arms if x.group != "update"])) == ["list"]


def test_failures_are_counted_by_message(load_result: ScenarioResult) -> None:
    """The most frequent message is first, and all operations do not count it twice."""
    table = load.errors(load_result)
    assert table is not None
    assert [row[3].text for row in table.rows] == ["15", "15", "2", "2"]
    assert {row[1].text for row in table.rows} == {"list", "update"}


def test_what_was_not_under_load_has_nothing(make_result: Callable[..., ScenarioResult]) -> None:
    """An ordinary result has no table and no trouble."""
    plain = make_result()
    assert (load.arms(plain), load.troubles(plain), load.groups(plain), load.arms_of(plain)) == ([], [], [], [])
    assert (load.summary(plain), load.ratios(plain), load.errors(plain)) == (None, None, None)


def test_the_page_opens_with_it(make_run: Callable[..., Run], load_result: ScenarioResult, histogram_folder: Path) -> None:
    """Troubles and a summary stand before the card; the card has its own tables and three figures, and no box is left empty."""
    page = html.render(
        make_run(changed(load_result, lost_workers=["engine process 2 ended with signal 9"]), kind="load"), histogram_folder
    )
    top = page[: page.index('<section class="card"')]
    for words in (
        "proposed does not hold this rate",
        REASON,
        "engine process 2 ended",
        "baseline ÷ arm, p99",
        "13.5× [12.2, 14.9]",
    ):
        assert words in top
    assert load.READ.split(";")[0] in top
    assert page.count('role="img"') == page.count("<figure") == 3
    for words in ("Left out", "No promise was on trial", "not recorded", "Pair by pair", "Times faster than the baseline"):
        assert words not in page


def test_an_invalid_run_shows_a_banner(make_run: Callable[..., Run], load_result: ScenarioResult) -> None:
    """The reason stands in a banner on the page, in Markdown and in the terminal, and no ratio of response times beside it."""
    run = make_run(changed(load_result, invalid=INVALID), kind="load")
    page = html.render(run)
    assert f'<div class="banner bad" role="note"><strong>{load.INVALID}:</strong> {INVALID}' in page
    for text in (page, markdown.render(run), printed(run, 80)):
        assert INVALID in " ".join(text.split())
        assert "13.5×" not in text


def test_markdown_has_the_summary_before_what_is_folded(make_run: Callable[..., Run], load_result: ScenarioResult) -> None:
    """Troubles, a row an arm and the ratios come first; the rows of every figure are folded away."""
    text = markdown.render(make_run(load_result, kind="load"))
    first, folded = text.split("<details>", 1)
    assert "**proposed does not hold this rate**" in first
    assert "| baseline | held | 200 | 200 | 0 | 42.0 |" in first
    assert r"13.5× \[12.2, 14.9\]" in first
    assert "| service p99 |" in folded


def test_capacities_alone_are_a_result(make_run: Callable[..., Run], load_result: ScenarioResult) -> None:
    """A search without a fixed rate has its table for a summary, and neither times nor percentiles."""
    run = make_run(changed(load_result, arms=[], ratios=[], ticks=[]), kind="load")
    page = html.render(run)
    assert page.count('role="img"') == 1
    for text in (page, markdown.render(run), printed(run, 80)):
        assert "the baseline" in text
        assert "response p50" not in text


def test_hostile_texts_stay_text(make_run: Callable[..., Run], load_result: ScenarioResult, under_load: LoadResult) -> None:
    """Markup in groups, messages, reasons and process names is shown and never obeyed."""
    arms = [
        replace(x, group=HOSTILE, overloaded=x.overloaded and HOSTILE, error_messages={HOSTILE: 1}) for x in under_load.arms[:3]
    ]
    ticks = [replace(t, cpu_percent={HOSTILE: 1.0}, counts={HOSTILE: 1.0}) for t in under_load.ticks]
    capacities = [replace(c, objective=HOSTILE, reason=HOSTILE) for c in under_load.capacities]
    found = changed(load_result, arms=arms, ticks=ticks, capacities=capacities, lost_workers=[HOSTILE], arrivals=HOSTILE)
    run = make_run(found, kind="load")
    page = html.render(run)
    assert page.count("<script>") == 1
    assert "日本語" in page
    assert "<script>" not in markdown.render(run)
    assert "<script>" in printed(run, 200)
