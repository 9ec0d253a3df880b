"""Load on the page, in Markdown and in the terminal."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.report import html, load, markdown, overview
from harness.report.blocks import Notice, Table, Tone, status
from harness.report.figures import of_scenario
from harness.report.numbers import DASH
from harness.results.load import ALL, LoadModel, LoadResult
from harness.results.run import Run, ScenarioResult, ScenarioStatus
from tests.harness.report.printing import printed

HOSTILE = "<script>alert('x')</script> | `tick` $x$ 日本語"
REASON = "it completed 61 % of the offered operations"
INVALID = "the generator used 97 % of its core"


def texts(table: Table | None) -> dict[str, list[str]]:
    """Return each row's cells by its first one."""
    assert table is not None
    return {row[0].text: [cell.full for cell in row[1:]] for row in table.rows}


def changed(result: ScenarioResult, **changes: object) -> ScenarioResult:
    """Return the result with other figures under load."""
    assert result.load is not None
    return replace(result, load=replace(result.load, **changes))  # type: ignore[arg-type]


def test_arms_are_side_by_side(load_result: ScenarioResult) -> None:
    """Each group has a table, all operations first: a row per figure, a column per arm, times with their intervals."""
    tables = load.arms(load_result)
    assert [t.caption for t in tables] == ["All operations, times in ms", "list, times in ms", "update, times in ms"]
    assert tables[0].head == ("", "baseline", "proposed", "optimised")
    rows = texts(tables[0])
    assert rows["offered per second"] == ["200", "200", "200"]
    assert rows["throughput per second"] == ["200", "122", "200"]
    assert rows["dropped"] == ["0", "1,204", "0"]
    assert rows["response p50"] == ["42.0 [39.7, 44.3]", DASH, "3.10 [2.93, 3.27]"]
    assert rows["response max"] == ["378", DASH, "27.9"]
    assert {"response p90", "response p95", "response p99", "response p99.9", "service p50", "service p99", "queue p99"} <= set(
        rows
    )


def test_an_overloaded_arm_never_looks_fast(load_result: ScenarioResult) -> None:
    """An arm that cannot sustain the rate has no time and no ratio, however short its times, but the reason."""
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
        outcome = next(row for row in table.rows if row[0].text == "this load")[place + 1].status
        assert outcome == status("saturated")
    found = load.ratios(result)
    assert found is not None
    assert {row[2].text for row in found.rows} == {DASH}
    assert load.notices(result)[0].name == "proposed is saturated: it cannot sustain this load"
    assert REASON in load.notices(result)[0].message


def test_an_arm_overloaded_over_all_is_so_in_every_group(load_result: ScenarioResult) -> None:
    """The reason over all operations applies to each group, even if the group's row has none."""
    under = load_result.load
    assert under is not None
    arms = [x if x.group == ALL else replace(x, overloaded=None) for x in under.arms]
    assert load.overloaded(replace(under, arms=arms), "proposed", "list")


def test_an_overloaded_baseline_has_no_ratios(load_result: ScenarioResult) -> None:
    """Nothing is compared with a baseline that cannot sustain the rate."""
    under = load_result.load
    assert under is not None
    arms = [replace(x, overloaded=REASON) if x.arm == "baseline" else x for x in under.arms]
    assert load.ratios(changed(load_result, arms=arms)) is None


def test_ratios_by_percentile(load_result: ScenarioResult) -> None:
    """Each group and percentile that both sides support has a row, each ratio with its interval."""
    table = load.ratios(load_result)
    assert table is not None
    assert [row[1].text for row in table.rows if row[0].text == ALL] == ["p50", "p90", "p95", "p99", "p99.9"]
    assert table.rows[0][3].full == "13.5× [12.2, 14.9]"


def test_an_invalid_run_has_no_ratios(load_result: ScenarioResult) -> None:
    """If the generator was the limit, the reason comes first, captions repeat it, and there is no ratio."""
    result = changed(load_result, invalid=INVALID)
    assert load.ratios(result) is None
    assert load.notices(result)[0] == Notice("invalid", load.INVALID, INVALID, Tone.BAD)
    assert all("invalid, no conclusion" in table.caption for table in load.arms(result))
    summary = load.summary(result)
    assert summary is not None
    assert not [name for name in summary.head if "times faster" in name]
    assert {row[1].status for row in summary.rows} == {status("not judged")}


def test_the_closed_model_has_no_plan(load_result: ScenarioResult) -> None:
    """Without planned arrivals nothing is offered, dropped or queued."""
    under = load_result.load
    assert under is not None
    arms = [replace(x, offered_per_s=None, overloaded=None) for x in under.arms]
    rows = texts(load.arms(changed(load_result, models=[LoadModel.CLOSED], arms=arms))[0])
    assert not {"this rate", "offered per second", "dropped", "service p50", "queue p99"} & set(rows)
    assert rows["throughput per second"] == ["200", "122", "200"]


def test_an_arm_that_fails_is_not_compared(load_result: ScenarioResult) -> None:
    """Its throughput and the times of what completed are shown, with the reason in place of ratios."""
    under = load_result.load
    assert under is not None
    failing = "750 of 800 operations failed (93.8 %): OSError (750)"
    result = changed(load_result, arms=[replace(x, failing=failing) if x.arm == "optimised" else x for x in under.arms])
    summary = load.summary(result)
    assert summary is not None
    row = next(row for row in summary.rows if row[0].text == "optimised")
    assert row[1].status == status("fails")
    assert not [name for name in summary.head if "times faster" in name]
    assert "failed operations are not fast answers" in load.ratio_cell(result.load, "optimised", ALL, "50").note  # type: ignore[arg-type]
    assert Notice("note", "optimised fails as written", failing) in load.notices(result)
    in_error = replace(result, error=f"optimised: {failing}")
    assert failing not in [notice.message for notice in load.notices(in_error)]


def test_the_highest_percentile_and_the_maximum_are_always_shown(load_result: ScenarioResult) -> None:
    """The percentile is the highest that the operations support, with its label; the ratio that of both sides."""
    summary = load.summary(load_result)
    assert summary is not None
    assert summary.head[:11] == (
        "arm",
        "this load",
        "failed",
        "dropped",
        "unfinished",
        "per second",
        "tail, ms",
        "p50, ms",
        "max, ms",
        "tail, times faster",
        "p50, times faster",
    )
    by_arm = texts(summary)
    assert by_arm["optimised"][5] == "p99.9 14.5 [5.98, 23.1]"
    assert by_arm["optimised"][7:9] == ["27.9", "p99.9 13.5× [12.2, 14.9]"]
    assert by_arm["proposed"][1:5] == ["17 (0.462 %)", "1,204", "86", "122 of 200"]


def test_failed_operations_come_before_any_figure(make_run: Callable[..., Run], load_result: ScenarioResult) -> None:
    """In the terminal and in Markdown the error is above the tables."""
    error = "optimised: 750 of 800 operations failed (93.8 %): OSError (750)"
    run = make_run(replace(load_result, status=ScenarioStatus.FAILED, error=error, exit_code=1), kind="load")
    text = " ".join(printed(overview.brief(run), 140).split())
    assert text.index(error) < text.index("per second")
    page = markdown.write(overview.full(run))
    assert page.index("750 of 800 operations failed") < page.index("| arm")


def test_a_missing_percentile_says_how_many_it_needs(load_result: ScenarioResult) -> None:
    """A dash stands for an unsupported percentile, with the reason at hand."""
    row = next(row for row in load.arms(load_result)[-1].rows if row[0].text == "response p99.9")
    assert (row[1].text, row[1].note) == (DASH, "too few samples: 3,688 are needed, there are 1,500")


def test_one_group_is_shown_once(load_result: ScenarioResult) -> None:
    """All operations are left out if there is only one group."""
    under = load_result.load
    assert under is not None
    assert load.groups(changed(load_result, arms=[x for x in under.arms if x.group != "update"])) == ["list"]


def test_failures_are_counted_by_message(load_result: ScenarioResult) -> None:
    """The most frequent message is first, and all operations do not count it twice."""
    table = load.errors(load_result)
    assert table is not None
    assert [row[3].text for row in table.rows] == ["15", "15", "2", "2"]
    assert {row[1].text for row in table.rows} == {"list", "update"}


def test_a_result_without_load_has_no_load_tables(make_result: Callable[..., ScenarioResult]) -> None:
    """A result of pairs has no table and no notice."""
    plain = make_result()
    assert (load.arms(plain), load.notices(plain), load.groups(plain), load.arms_of(plain)) == ([], [], [], [])
    assert (load.summary(plain), load.ratios(plain), load.errors(plain)) == (None, None, None)


def test_the_page_starts_with_the_load(make_run: Callable[..., Run], load_result: ScenarioResult, histogram_folder: Path) -> None:
    """The conclusion is the heading, notices and tables come before the three figures, and no box is empty."""
    page = html.render(
        make_run(changed(load_result, lost_workers=["engine process 2 ended with signal 9"]), kind="load"), histogram_folder
    )
    top = page[: page.index("<figure")]
    for words in (
        "<h1>Under 200 operations per second, optimised answers 99.9 % of the operations within 14.5 ms instead of 197 ms;",
        "proposed is saturated: it cannot sustain this load",
        REASON,
        "engine process 2 ended",
        "tail, times faster",
        "13.5×</span> <small>[12.2, 14.9]</small>",
    ):
        assert words in top
    assert load.READ.split(";")[0] in page
    assert page.count("<figure") == 3
    assert len(page.encode()) < 170_000, "with both capacities and three figures"
    for words in ("Left out", overview.NO_PROMISE, "not recorded", "Pair by pair"):
        assert words not in page


def test_an_invalid_run_shows_a_banner(make_run: Callable[..., Run], load_result: ScenarioResult) -> None:
    """The reason is on the page, in Markdown and in the terminal, and there is no ratio of response times."""
    run = make_run(changed(load_result, invalid=INVALID), kind="load")
    page = html.render(run)
    assert f'<div class="banner bad" role="note"><strong>{load.INVALID}:</strong> {INVALID}' in page
    for text in (page, markdown.write(overview.full(run)), printed(overview.brief(run))):
        assert INVALID in " ".join(text.split())
        assert "13.5×" not in text


def test_markdown_has_the_summary_before_folded_sections(make_run: Callable[..., Run], load_result: ScenarioResult) -> None:
    """Notices, a row per arm and the ratios come first; the tables of all figures are folded."""
    text = markdown.write(overview.full(make_run(load_result, kind="load")))
    first, folded = text.split("<details>", 1)
    assert "**proposed is saturated: it cannot sustain this load**" in first
    assert "| baseline | ✓ **sustained** | 0 | 0 | 0 | 200 of 200 | p99.9 197" in first
    assert r"13.5× \[12.2, 14.9\]" in first
    assert "| service p99 |" in folded


def test_capacities_alone_are_a_result(make_run: Callable[..., Run], load_result: ScenarioResult) -> None:
    """A search without a fixed rate has a summary, and neither times nor percentiles."""
    run = make_run(changed(load_result, arms=[], ratios=[], ticks=[]), kind="load")
    page = html.render(run)
    assert page.count("<figure") == 1
    for text in (page, markdown.write(overview.full(run)), printed(overview.brief(run))):
        assert "the baseline" in text
        assert "response p50" not in text


def test_hostile_texts_are_text(make_run: Callable[..., Run], load_result: ScenarioResult, under_load: LoadResult) -> None:
    """Markup in groups, messages, reasons and process names is shown and never obeyed."""
    arms = [
        replace(x, group=HOSTILE, overloaded=x.overloaded and HOSTILE, error_messages={HOSTILE: 1}) for x in under_load.arms[:3]
    ]
    ticks = [replace(t, cpu_percent={HOSTILE: 1.0}, counts={HOSTILE: 1.0}) for t in under_load.ticks]
    capacities = [replace(c, objective=HOSTILE, reason=HOSTILE) for c in under_load.capacities]
    found = changed(load_result, arms=arms, ticks=ticks, capacities=capacities, lost_workers=[HOSTILE], arrivals=HOSTILE)
    run = make_run(found, kind="load")
    page = html.render(run)
    assert page.count("<script") == 1, "the script of the page"
    assert "日本語" in page
    assert "<script>" not in markdown.write(overview.full(run))
    assert "<script>" in printed(overview.brief(run), 200)


@pytest.mark.parametrize("width", [80, 140])
def test_load_fits_into_the_terminal(
    make_run: Callable[..., Run], load_result: ScenarioResult, failed_result: ScenarioResult, width: int
) -> None:
    """Nothing is cut off at 80 and 140 columns; overload, ratios, capacities, errors and failures are there."""
    text = printed(overview.brief(make_run(load_result, failed_result, kind="load")), width)
    assert max(map(len, text.splitlines())) <= width
    joined = " ".join(text.split())
    for words in (
        "cannot sustain this load",
        "13.5×",
        "[12.2, 14.9]",
        "of 200",
        "concurrent users",
        "arms disagree on case",
        "QueuePool",
    ):
        assert words in joined


def test_an_overloaded_arm_has_no_times_in_the_terminal(make_run: Callable[..., Run], load_result: ScenarioResult) -> None:
    """Its row has the throughput and that it is saturated."""
    lines = printed(overview.brief(make_run(load_result, kind="load"))).splitlines()
    place = next(place for place, line in enumerate(lines) if line.split()[:2] == ["proposed", "▼"])
    assert lines[place].split() == ["proposed", "▼", "17", "122", "–", "–", "–"]
    assert lines[place + 1].split() == ["saturated", "(0.462", "%)", "of", "200"]


def test_verdicts_come_before_the_load(
    make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult], load_result: ScenarioResult
) -> None:
    """Where promises were on trial too, their table is first, and a run under load does not report missing promises."""
    text = printed(overview.brief(make_run(replace(make_result(), load=load_result.load))), 140)
    assert text.index("claim") < text.index("cannot sustain this load")
    assert overview.NO_PROMISE not in printed(overview.brief(make_run(load_result, kind="load")))


def test_a_run_of_pairs_shows_its_load_beside_them(
    make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult], under_load: LoadResult, tmp_path: Path
) -> None:
    """The page has the speed of pairs and the load, each with its figures and how to read it; the terminal a row per arm."""
    run = make_run(make_result(load=under_load))
    page = html.render(run, tmp_path)
    for words in (
        "times faster",
        "Under load",
        "<strong>Blocks.</strong>",
        "<strong>Pairs.</strong>",
        "Response time by percentile, under",
    ):
        assert words in page
    assert "13.5× [12.2, 14.9]" in " ".join(page.split())
    text = " ".join(printed(overview.brief(run)).split())
    assert f"indexes under load: {load.planned(run.scenarios[0])}" in text
    assert "Throughput and response time" not in text


def test_the_samples_of_pairs_are_not_read_as_histograms(
    make_result: Callable[..., ScenarioResult], under_load: LoadResult, sample_folder: Path
) -> None:
    """Figures of pairs are drawn from them, and those under load from the record."""
    boxes = list(of_scenario(make_result(load=under_load), sample_folder))
    assert not any(box.missing for box in boxes)
    titles = [box.title for box in boxes]
    assert "Latency distribution" in titles
    assert "Response time by percentile, under load" in titles
