"""The table of all promises: complete, short, and safe whatever the names."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.report.html.page import ARM_CLASSES, render
from harness.report.html.promise_table import NAMED, SLUG, PromiseFigure, PromiseLine, PromiseTable, promise_table, remark
from harness.results.run import ArmResult, PromiseVerdict, Run, ScenarioResult, ScenarioStatus, Verdict

MakeResult = Callable[..., ScenarioResult]
MakeRun = Callable[..., Run]
NO_NETWORK = "it does not use a network"


def table(run: Run) -> PromiseTable:
    """Return a run's table."""
    return promise_table(run, ARM_CLASSES)


def lines(found: PromiseTable) -> list[PromiseLine]:
    """Return the rows of all scenarios."""
    return [line for group in found.groups for line in group.lines]


def figures(found: PromiseTable) -> list[PromiseFigure]:
    """Return the figures of all rows."""
    return [figure for line in lines(found) for figure in line.figures if figure]


def a_verdict(**changes: object) -> Verdict:
    """Return a verdict; keywords replace its fields."""
    made = Verdict("P1", "twice as fast", "optimised", PromiseVerdict.CONFIRMED, "promised 2×, measured 3×", "×", value=3.0)
    return replace(made, **({"promised_low": 2.0} | changes))  # type: ignore[arg-type]


def test_every_verdict_has_a_figure(make_run: MakeRun, make_result: MakeResult) -> None:
    """A row per promise and arm, and a column per place."""
    run = make_run(make_result(), make_result(rtt_ms=5.0, engine="postgres"))
    found = table(run)
    assert [(place.engine, place.rtt) for place in found.places] == [("sqlite", "0"), ("postgres", "5")]
    assert (found.engines, found.rtts) == (["sqlite", "postgres"], ["0", "5"])
    assert len(figures(found)) == sum(len(result.verdicts) for result in run.scenarios) == 36
    assert len(lines(found)) == 18
    first, second = lines(found)[:2]
    assert (first.text, first.code, first.promised, first.arm, first.rows) == ("queries 5–10× faster", "I1", "5–10×", "proposed", 2)
    assert (second.arm, second.rows) == ("optimised", 0)
    assert [figure.text for figure in second.figures if figure] == ["8.0305×", "8.0305×"]


def test_every_row_has_its_own_id(make_run: MakeRun, make_result: MakeResult) -> None:
    """Also where names are alike in an address, or as long as can be, or have no letters."""
    names = ["", "a b", "a-b", "A B", "日本語", "x" * 10_000, "x" * 10_000 + "y"]
    result = make_result(verdicts=[a_verdict(part=name) for name in [*names, *names]])
    anchors = [line.anchor for line in lines(table(make_run(result)))]
    assert len(anchors) == len(set(anchors)) == 14
    assert all(re.fullmatch("[a-z0-9-]+", anchor) and len(anchor) < SLUG + 10 for anchor in anchors)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(names=st.lists(st.tuples(st.text(), st.text(), st.text()), min_size=1, max_size=8))
def test_any_names_give_distinct_rows(names: list[tuple[str, str, str]], make_run: MakeRun, make_result: MakeResult) -> None:
    """Whatever the promises, parts and arms are called, no verdict is lost, and texts have no control characters."""
    result = make_result(verdicts=[a_verdict(promise=promise, part=part, arm=f"a{arm}") for promise, part, arm in names])
    found = table(make_run(result))
    assert len({line.anchor for line in lines(found)}) == len(lines(found)) == len(figures(found)) == len(names)
    assert all((line.code + line.arm).isprintable() for line in lines(found))


def test_texts_are_cut_so_that_the_page_stays_small(make_run: MakeRun, make_result: MakeResult) -> None:
    """Ten thousand characters of a name, a claim, an error or a verdict take a line or two."""
    long = "<b>\u202e" + "z" * 10_000
    verdict = a_verdict(promise=long, part=long, text=long, arm=long, verdict=PromiseVerdict(long), value=None, sentence=long)
    (line,) = lines(table(make_run(make_result(verdicts=[verdict], title=long))))
    (figure,) = line.figures
    assert figure is not None
    assert all(len(text) <= 200 for text in (line.text, line.code, line.arm, line.promised, figure.status.name, figure.remark))
    assert "\u202e" not in line.text + line.code + line.arm + figure.remark
    page = render(make_run(make_result(verdicts=[verdict], title="short")))
    assert "z" * 1_000 not in page[page.index('id="promises"') : page.index('id="after-promises"')]


@pytest.mark.parametrize(
    ("sentence", "changes", "expected"),
    [
        ("promised 5–10×, measured 3×", {}, ""),
        (
            "promised 5–10×, measured 3× [2, 4]; slower at p95: 1 ms → 2 ms",
            {"low": 2.0, "high": 4.0},
            "slower at p95: 1 ms → 2 ms",
        ),
        ("measured 3 statements (exact; baseline 50)", {"unit": "statements"}, "(exact; baseline 50)"),
        ("works (56 answers equal)", {"unit": "works", "value": 1.0}, "(56 answers equal)"),
        ("measured 79 %: not enough data (between 74 % and 83 %; 9 of 12)", {"unit": "share", "value": 0.79}, "(9 of 12)"),
        ("measured 79 %: not enough data (between 74 % and 83 %)", {"unit": "share", "value": 0.79}, ""),
        (
            "measured 10× the rows → 1.02× the cost (exponent 0.01; exact)",
            {"unit": "exponent", "value": 0.01},
            "(exponent 0.01; exact)",
        ),
        ("'list' was not timed here", {"value": None}, "'list' was not timed here"),
        ("a sentence of a newer version", {}, "a sentence of a newer version"),
    ],
)
def test_a_remark_is_what_the_columns_do_not_have(sentence: str, changes: dict[str, object], expected: str) -> None:
    """The promise, the figure and its interval are in the table already."""
    assert remark(a_verdict(sentence=sentence, **changes)) == expected


def test_a_remark_and_a_position_are_for_one_place(make_run: MakeRun, make_result: MakeResult) -> None:
    """A table of several places lists reasons below it, each once."""
    missing = a_verdict(value=None, verdict=PromiseVerdict.NOT_MEASURED, sentence=NO_NETWORK, promised_low=None)
    one = make_result(verdicts=[missing, a_verdict(promise="P2", promised_low=0.3)])
    alone = table(make_run(one))
    assert [(figure.remark, figure.kept) for figure in figures(alone)] == [(NO_NETWORK, None), ("", 100)]
    assert alone.missing == ()
    both = table(make_run(one, replace(one, rtt_ms=5.0)))
    assert {(figure.remark, figure.kept) for figure in figures(both)} == {("", None)}
    assert [(found.reason, found.names) for found in both.missing] == [(NO_NETWORK, "P1 (sqlite, RTT 0 ms; sqlite, RTT 5 ms)")]


def test_a_slower_percentile_is_shown_at_every_place(make_run: MakeRun, make_result: MakeResult) -> None:
    """A gain that is paid for at another percentile is not shown without that, however many places there are."""
    sentence = "promised 2×, measured 3× (slower at p99: 35 ms → 2.4 s (p50 3×) in read)"
    paid = a_verdict(sentence=sentence, slower={"read": "p99: 35 ms → 2.4 s (p50 3×)"})
    both = make_run(make_result(verdicts=[paid]), make_result(verdicts=[paid], rtt_ms=5.0))
    assert [figure.remark for figure in figures(table(both))] == ["slower at p99: 35 ms → 2.4 s (p50 3×) in read"] * 2
    assert render(both).count("slower at p99") == 2


def test_a_reason_that_many_share_names_some(make_run: MakeRun, make_result: MakeResult) -> None:
    """With the number of all."""
    verdicts = [a_verdict(promise=f"P{number}", value=None, sentence=NO_NETWORK) for number in range(NAMED + 3)]
    one = make_result(verdicts=verdicts)
    (found,) = table(make_run(one, replace(one, rtt_ms=5.0))).missing
    assert f"P{NAMED - 1}, … ({NAMED + 3})" in found.names


def test_a_scenario_links_to_its_card_if_it_has_one(make_run: MakeRun, make_result: MakeResult) -> None:
    """One that was not run has none, and its promises have no figure at that place."""
    null = make_result(name="bulk", status=ScenarioStatus.NOT_RUN, error=NO_NETWORK)
    found = table(make_run(make_result(), null, replace(make_result(name="bulk"), rtt_ms=5.0)))
    assert [group.card for group in found.groups] == ["card-indexes-sqlite", "card-bulk-sqlite-rtt-5"]
    assert found.groups[1].lines[0].figures[0] is None
    assert [group.card for group in table(make_run(null)).groups] == [""]


def test_verdicts_of_a_preview_are_marked(make_run: MakeRun, make_result: MakeResult) -> None:
    """Each with a figure, and the page explains the mark."""
    run = make_run(make_result())
    quick = replace(run, settings=replace(run.settings, quick=True))
    assert all(figure.status.sign.endswith("~") == bool(figure.text) for figure in figures(table(quick)))
    assert "“~”: preliminary" in render(quick)
    assert "“~”: preliminary" not in render(run)


def test_an_unknown_verdict_is_not_judged(make_run: MakeRun, make_result: MakeResult) -> None:
    """The word of a newer version is shown as it is."""
    page = render(make_run(make_result(verdicts=[a_verdict(verdict=PromiseVerdict("postponed"))])))
    assert "<td class=flat><b>postponed</b> 3×" in page


def test_arms_keep_their_colours(make_run: MakeRun, make_result: MakeResult) -> None:
    """The colour of an arm is that of its card, also if arms before it have no verdict."""
    arms = [ArmResult(name, "") for name in ("baseline", "one", "two")]
    (line,) = lines(table(make_run(make_result(arms=arms, verdicts=[a_verdict(arm="two")]))))
    assert line.arm_class == "arm-2"


def test_the_table_stays_within_its_budget(make_run: MakeRun, make_result: MakeResult) -> None:
    """A row of one place takes at most 400 bytes, a figure of a further one at most 90."""
    sizes = []
    for places in (1, 6):
        page = render(make_run(*(make_result(rtt_ms=float(rtt), latencies=[], samples_file=None) for rtt in range(places))))
        body = page[page.index('id="promise-table"') : page.index('id="after-promises"')]
        sizes.append(len(body.encode()) / body.count("<tr id="))
    assert sizes[0] < 400
    assert (sizes[1] - sizes[0]) / 5 < 90
