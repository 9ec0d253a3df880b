"""The conclusion: its sentences, figures, rows and catches, for every number of optimisations and every gap in a run."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from harness.report import html, overview
from harness.report.conclusion import ConclusionRow, conclude, is_there
from harness.report.summaries import summary
from harness.results.run import (
    AA_CONTROL,
    Ablation,
    ArmResult,
    Gain,
    Latency,
    Memory,
    Priority,
    PromiseVerdict,
    Ratio,
    Review,
    Run,
    RunKind,
    RunWarning,
    ScenarioResult,
    ScenarioStatus,
    Verdict,
)
from harness.stats.ablation import arms
from harness.verdicts.advice import Action, Trust
from harness.verdicts.promise import Estimate, times, weigh
from tests.harness.report.printing import printed

MakeRun = Callable[..., Run]
GAINS = {
    Action.DO: ((2.5, 2.2, 2.8), (3.0, 2.8, 3.2)),
    Action.OPTIMISED: ((0.5, 0.4, 0.6), (3.0, 2.8, 3.2)),
    Action.LEAVE: ((0.5, 0.4, 0.6), (1.0, 0.9, 1.1)),
    Action.UNDECIDED: ((0.5, 0.4, 0.6), (1.5, 0.9, 2.5)),
}
"""What to do → the gains of the literal and of the optimised arm that lead to it."""
LITERAL, BETTER = ArmResult("literal", "", as_written=True), ArmResult("better", "")


def speed(arm: str, gain: tuple[float, float | None, float | None], **changes: object) -> Verdict:
    """Return the verdict on a promise of 2–3 times as fast."""
    word = weigh(times(2, 3), Estimate(*gain))
    made = Verdict("P1", "twice as fast", arm, word, "measured", "×", "", *gain, 2.0, 3.0, 1.0, groups=["read"])
    return replace(made, **changes)  # type: ignore[arg-type]


def result(action: Action, name: str = "cache", **changes: object) -> ScenarioResult:
    """Return a scenario result that leads to an action."""
    gains = dict(zip(("literal", "better"), GAINS[action], strict=True))
    made = ScenarioResult(
        name=name,
        title=f"{name} titled",
        doc="",
        file="",
        engine="sqlite",
        rtt_ms=0.0,
        status=ScenarioStatus.OK,
        arms=[ArmResult("baseline", ""), LITERAL, BETTER],
        groups={"read": "reads"},
        processes=5,
        ratios=[Ratio(arm, "read", *gain, [gain[0]], 50) for arm, gain in {**gains, AA_CONTROL: (1.0, 0.98, 1.02)}.items()],
        latencies=[
            Latency("baseline", "read", 99, 8e6, 7_000_000, 9_000_000, {"50": 8e6, "95": 9e6}),
            Latency("better", "read", 99, 4e6, 3_000_000, 5_000_000, {"50": 4e6, "95": 4.5e6}),
            Latency("literal", "read", 99, 4e6, 3_000_000, 5_000_000, {"50": 3e6, "95": None}),
        ],
        memory=[Memory("baseline", "read", 0, 10_000_000, 1.0, []), Memory("better", "read", 0, 4_000_000, 1.0, [])],
        verdicts=[speed(arm, gain) for arm, gain in gains.items()],
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def several(*actions: Action) -> list[ScenarioResult]:
    """Return results of scenarios with names of their own."""
    return [result(action, f"s{number}") for number, action in enumerate(actions)]


def row_of(run: Run) -> ConclusionRow:
    """Return the only row of a run."""
    (row,) = conclude(run).rows
    return row


DO, OPTIMISED, LEAVE, OPEN = Action.DO, Action.OPTIMISED, Action.LEAVE, Action.UNDECIDED


@pytest.mark.parametrize(
    ("actions", "heading"),
    [
        ([], "No scenario finished: there is nothing to judge."),
        ([DO], "S0 titled: worth doing as written."),
        ([OPTIMISED], "S0 titled: worth doing only if optimised."),
        ([LEAVE], "S0 titled: not worth doing."),
        ([OPEN], "S0 titled: not decided."),
        ([DO, DO], "Both optimisations are worth doing as written."),
        ([LEAVE, LEAVE, LEAVE], "None of the 3 optimisations is worth doing."),
        ([DO, LEAVE], "Of 2 optimisations, 1 is worth doing as written and 1 is not worth doing."),
        ([OPTIMISED, OPTIMISED, OPEN], "Of 3 optimisations, 2 are worth doing only if optimised and 1 is not decided."),
        (
            [OPEN, DO, LEAVE, DO, OPTIMISED, LEAVE],
            "Of 6 optimisations, 2 are worth doing as written, 1 only if optimised, 2 are not worth doing and 1 is not decided.",
        ),
    ],
)
def test_the_heading_counts_what_to_do(make_run: MakeRun, actions: Sequence[Action], heading: str) -> None:
    """For none, one and several, of one kind and of all."""
    assert conclude(make_run(*several(*actions))).heading == heading


def test_without_literal_arms_nothing_is_as_written(make_run: MakeRun) -> None:
    """The words of a review are left out where there is none."""
    plain = result(DO, arms=[ArmResult("baseline", ""), BETTER], verdicts=[speed("better", (3.0, 2.8, 3.2))])
    made = conclude(make_run(plain, replace(plain, name="other")))
    assert made.heading == "Both optimisations are worth doing."
    assert (made.literal, made.optimised) == ("", "better")
    assert "proposed" not in printed(summary(make_run(plain), "x"))


def test_the_rows_are_sorted_by_what_to_do_and_by_gain(make_run: MakeRun) -> None:
    """What is worth doing comes first, the largest gain first."""
    more = replace(result(OPTIMISED, "more"), verdicts=[speed("literal", GAINS[LEAVE][0]), speed("better", (9.0, 8.0, 10.0))])
    rows = conclude(make_run(*several(OPEN, LEAVE, OPTIMISED, DO), more)).rows
    assert [row.located.result.name for row in rows] == ["s3", "more", "s2", "s1", "s0"]


def test_a_row_has_the_figures_of_the_arm_to_do(make_run: MakeRun) -> None:
    """Gain with interval, percentiles before → after in one unit, and memory."""
    row = row_of(make_run(result(OPTIMISED)))
    assert (row.name, row.promised, row.literal.text) == ("Cache titled", "2–3×", "0.50×")
    assert row.optimised.full == "3× [2.80, 3.20]"
    assert row.percentiles == (("p50", "8.00 → 4.00 ms"), ("p95", "9.00 → 4.50 ms"))
    assert row.memory == "10.0 → 4.0 MB"
    assert row.advice.trust == Trust.SOLID
    assert row_of(make_run(result(DO))).percentiles == (("p50", "8.00 → 3.00 ms"),)


def test_missing_figures_are_dashes(make_run: MakeRun) -> None:
    """Without percentiles, memory and a gain a row is still a row."""
    bare = result(OPEN, latencies=[], memory=[], ratios=[], verdicts=[])
    row = row_of(make_run(bare))
    assert (row.literal.text, row.optimised.text, row.promised, row.memory, row.percentiles) == ("–", "–", "–", "–", ())
    assert (row.literal_bar, row.optimised_bar) == (None, None)
    assert conclude(make_run(bare)).sentence == "No gain was measured."


def test_wide_intervals_give_no_largest_gain(make_run: MakeRun) -> None:
    """An interval in which everything has room is not a gain to name, alone or beside another one."""
    wide = result(OPEN, verdicts=[speed("better", (1.5, 0.05, 45.0))])
    assert conclude(make_run(wide)).sentence == "There is not enough data for any gain."
    assert conclude(make_run(wide, replace(wide, name="other"))).sentence == "There is not enough data for any gain."
    assert conclude(make_run(wide, result(DO, "good"))).sentence.startswith("literal: 2.50×")


def test_an_infinite_gain_is_drawn_at_the_end(make_run: MakeRun) -> None:
    """Where nothing is left there is no finite number of times."""
    gone = result(DO, verdicts=[speed("better", (1.0, 1.0, 1.0), unit="less", promised_low=0.5, promised_high=None, neutral=0.0)])
    row = row_of(make_run(gone))
    assert row.optimised.text == "100 % less"
    assert row.optimised_bar is not None
    assert row.optimised_bar.at == 100
    endless = result(DO, verdicts=[speed("better", (math.inf, 2.0, math.inf))])
    assert row_of(make_run(endless)).optimised.text == "∞"


def test_equal_memory_is_called_equal(make_run: MakeRun) -> None:
    """A difference below the resolution is not shown as one; more memory is a catch."""
    before, after = result(DO).memory
    memory = [before, replace(after, arm="literal", peak_bytes=10_100_000)]
    assert row_of(make_run(result(DO, memory=memory))).memory == "equal"
    memory = [before, replace(after, arm="literal", peak_bytes=16_000_000)]
    assert row_of(make_run(result(DO, memory=memory))).catch == "6.0 MB more memory"


def test_the_catch_names_losses_costs_and_why_not_as_written(make_run: MakeRun) -> None:
    """The arm's own come first; the rest is counted."""
    cost = speed("better", (1.4, 1.3, 1.5), unit="time", promised_low=None, text="slower writes (a cost)", promise="P2")
    loss = speed("better", (0.8, 0.7, 0.9), promised_low=None, part="with writes", promise="P3")
    check = speed("literal", (0.0, 0.0, 0.0), unit="works", promised_low=1.0, verdict=PromiseVerdict.REFUTED, text="it runs")
    own = result(OPTIMISED)
    row = row_of(make_run(replace(own, verdicts=[*own.verdicts, cost, loss, replace(check, promise="P4", part="as written")])))
    assert row.catches == ("slower writes: 40 % more time", "as written, “it runs” fails", "with writes: worse, 0.80×")
    assert row.catch == "slower writes: 40 % more time; as written, “it runs” fails; 1 more"


def test_an_arm_that_cannot_run_has_its_error_as_the_catch(make_run: MakeRun) -> None:
    """Its first group and the beginning of the error."""
    broken = replace(LITERAL, errors={"write": "TypeError: 'NoneType' object is not an async iterator of rows"})
    row = row_of(make_run(result(OPTIMISED, arms=[ArmResult("baseline", ""), broken, BETTER])))
    assert row.catch == "as written, write cannot run: TypeError: 'NoneType' object is not…"


def test_a_reason_comes_before_all_catches(make_run: MakeRun) -> None:
    """Why nothing is decided."""
    row = row_of(make_run(result(DO, status=ScenarioStatus.FAILED, error="boom\n  in two lines")))
    assert row.catches[0] == "failed: boom in two lines"
    assert (row.advice.action, row.advice.trust) == (Action.UNDECIDED, Trust.FAILED)
    row = row_of(make_run(result(DO, status=ScenarioStatus.NOT_RUN, error="no server")))
    assert (row.catches[0], row.advice.trust) == ("not run: no server", Trust.NOT_RUN)


@pytest.mark.parametrize(
    ("results", "sentence"),
    [
        ([result(OPTIMISED)], "better: 3× [2.80, 3.20], p50 8.00 → 4.00 ms, p95 9.00 → 4.50 ms."),
        ([result(LEAVE)], "better: 1× [0.90, 1.10], p50 8.00 → 4.00 ms, p95 9.00 → 4.50 ms."),
        (
            several(OPTIMISED, LEAVE),
            "The largest gain is 3× [2.80, 3.20] (S0 titled), the smallest 1× [0.90, 1.10] (S1 titled).",
        ),
        ([], ""),
    ],
)
def test_the_sentence_has_the_figures_of_the_whole(make_run: MakeRun, results: list[ScenarioResult], sentence: str) -> None:
    """For one optimisation its own, for several the extremes."""
    assert conclude(make_run(*results)).sentence == sentence


def reviewed(*results: ScenarioResult) -> dict[str, object]:
    """Return the fields of a run whose review has one priority, and an area without one: the whole."""
    answers = [Priority("P", "P0", "high", "low", "a lot", answers=["P1"])]
    return {"scenarios": list(results), "review": Review("r", {"P": "the cache", "W": "the whole"}, {}, answers)}


def whole(literal: ArmResult = LITERAL, **changes: object) -> ScenarioResult:
    """Return the result of everything together."""
    found = [speed("better", (5.0, 4.0, 6.0), promise="W1", **changes)]
    return result(DO, "whole", verdicts=found, arms=[ArmResult("baseline", ""), literal, BETTER])


def test_a_review_names_the_rows_and_the_whole_is_the_sentence(make_run: MakeRun) -> None:
    """What is of an area without a priority is everything together: it has no row."""
    broken = replace(LITERAL, errors={"read": "it raises"})
    made = conclude(make_run(**reviewed(result(DO), whole(broken))))
    assert [(row.name, row.promised) for row in made.rows] == [("The cache", "a lot")]
    assert made.sentence == ("All together, better: 5× [4, 6] (promised 2–3×: exceeded). As written, they do not work together.")
    missing = whole(verdict=PromiseVerdict.NOT_MEASURED, value=None, low=None, high=None)
    assert conclude(make_run(**reviewed(result(DO), missing))).sentence == "All together, better: not measured."


def test_a_sentence_has_no_figure_with_a_meaningless_interval(make_run: MakeRun) -> None:
    """An interval wider than a factor of ten gives its lower bound or nothing, at one place and at several."""
    open_ended = whole(low=0.4, high=30.0, verdict=PromiseVerdict.INCONCLUSIVE)
    made = conclude(make_run(**reviewed(result(DO), open_ended)))
    assert made.sentence == "All together, better: not enough data (promised 2–3×: inconclusive)."
    far = [replace(each, rtt_ms=5.0) for each in (result(DO), open_ended)]
    assert conclude(make_run(**reviewed(result(DO), open_ended, *far))).sentence == "All together: not enough data."
    narrow = conclude(make_run(**reviewed(result(DO), open_ended, far[0], replace(whole(), rtt_ms=5.0))))
    assert narrow.sentence == "All together, better: 5× [4, 6] at sqlite, RTT 5 ms."
    far_above = result(DO, verdicts=[speed("better", (40.0, 3.0, 500.0))])
    assert conclude(make_run(far_above)).sentence.startswith("better: at least 3×, p50")
    assert conclude(make_run(far_above)).rows[0].optimised.text == "at least 3×"


def test_the_whole_alone_is_a_row(make_run: MakeRun) -> None:
    """A run of nothing else is not empty."""
    assert [row.name for row in conclude(make_run(**reviewed(whole()))).rows] == ["The whole"]


def test_namesakes_of_one_area_have_their_scenario_in_the_name(make_run: MakeRun) -> None:
    """Two rows never have the same name."""
    made = conclude(make_run(**reviewed(*several(DO, DO))))
    assert {row.name for row in made.rows} == {"The cache: s0", "The cache: s1"}


def figures(run: Run) -> list[str]:
    """Return the five figures of a run."""
    return [f"{figure.value} {figure.label}" for figure in conclude(run).figures]


def test_the_five_figures(make_run: MakeRun) -> None:
    """Promises kept by each kind of arm, the largest gain, memory saved, controls, and data."""
    assert figures(make_run(*several(OPTIMISED, LEAVE))) == [
        "1 of 2 promised gains kept by better, 0 of 2 by literal",
        "3× largest gain: S0 titled",
        "60 % less memory: S0 titled, 10.0 → 4.0 MB",
        "0 of 2 A/A controls excluding 1× (0.1 expected by chance)",
        "5 fresh processes per figure, 50 pairs",
    ]


def test_figures_that_are_not_there_say_so(make_run: MakeRun) -> None:
    """A run in which nothing was promised or timed."""
    assert figures(make_run(result(OPEN, latencies=[], memory=[], ratios=[], verdicts=[]))) == [
        "no gain was promised",
        "no gain is shown",
        "no memory is saved",
        "no A/A control was measured",
        "0 processes: nothing was timed",
    ]


def test_a_quick_run_concludes_nothing(make_run: MakeRun) -> None:
    """Its figures are there; what to do is not."""
    settings = replace(make_run().settings, quick=True, size="tiny")
    made = conclude(make_run(*several(DO, OPTIMISED), settings=settings))
    assert made.heading == "A preview of 2 optimisations on tiny data: it decides nothing."
    assert {(row.advice.action, row.advice.trust) for row in made.rows} == {(Action.UNDECIDED, Trust.QUICK)}
    assert made.rows[0].optimised.text == "3×"


def test_several_places_have_their_rows_and_one_heading(make_run: MakeRun) -> None:
    """The heading counts where each is worth doing."""
    far = {"rtt_ms": 5.0}
    results = [
        *several(DO, OPTIMISED, LEAVE, OPEN),
        result(DO, "s0", **far),
        result(LEAVE, "s1", **far),
        result(LEAVE, "s2", **far),
    ]
    made = conclude(make_run(*results))
    assert [(place.label, len(place.rows)) for place in made.places] == [("sqlite, RTT 0 ms", 4), ("sqlite, RTT 5 ms", 3)]
    assert made.heading == (
        "At 2 places: of 4 optimisations, 1 is worth doing at all of them, 1 is worth doing at some, 1 is not worth doing at any"
        " and 1 is not decided."
    )
    text = printed(summary(make_run(*results), "x"))
    assert "✓ 2.50×" in text
    assert "✗" in text
    assert [row and row.advice.action for row in made.by_place()[-1][1]] == [Action.UNDECIDED, None]


def test_places_beyond_the_width_of_a_terminal_are_counted(make_run: MakeRun) -> None:
    """A matrix is never wider than the terminal; what it leaves out is said in a line."""
    run = make_run(*(result(DO, f"s{number}", rtt_ms=float(rtt)) for rtt in range(12) for number in range(12)))
    lines = printed(summary(run, "x")).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert "… and 7 more columns in a wider terminal" in [line.strip() for line in lines]
    assert "… and 2 more." in [line.strip() for line in lines]


def test_an_unknown_verdict_is_named(make_run: MakeRun) -> None:
    """A run of a newer version is readable, says so, and concludes nothing from the verdict."""
    newer = make_run(result(DO, verdicts=[speed("better", (3.0, 2.8, 3.2), verdict=PromiseVerdict("superseded"))]))
    assert row_of(newer).advice.action == Action.UNDECIDED
    assert "superseded" in printed(overview.notices(newer))


@pytest.mark.parametrize("kind", [RunKind.LOAD, RunKind.FILE, RunKind.COMPARISON])
def test_other_kinds_of_runs_have_none(make_run: MakeRun, kind: RunKind) -> None:
    """Nor has a run of switches."""
    assert not is_there(make_run(result(DO), kind=kind))
    gain = Gain(1.0, None, None, [1.0])
    assert not is_there(make_run(result(DO, ablation=[Ablation("read", 1, [], gain, gain, gain, "inconclusive")])))  # type: ignore[arg-type]
    untimed = result(OPEN, arms=[ArmResult(name, "") for name in arms(["cache", "pool"])], ratios=[], verdicts=[])
    assert not is_there(make_run(untimed))
    assert "No switch was measured." in html.render(make_run(untimed))


def test_the_summary_fits_a_terminal(make_run: MakeRun) -> None:
    """At most 24 lines of 80 columns, whatever is in a run; every name on one line."""
    name = "x" * 10_000
    many = [result(action, f"{name}{number}") for number, action in enumerate([*Action] * 8)]
    failed = [replace(r, status=ScenarioStatus.FAILED, error=name, warnings=[RunWarning("w", "m", "r")] * 9) for r in many[:5]]
    hostile = replace(many[0], arms=[replace(arm, name=name[: 40 + place]) for place, arm in enumerate(many[0].arms)])
    for results in (many, [*many[5:], *failed], [hostile], several(*[DO] * 10), several(*[DO] * 11), []):
        run = make_run(*results, interrupted=True)
        lines = printed(summary(run, "harness report run --format terminal --all")).splitlines()
        assert len(lines) <= 24, "\n".join(lines)
        assert max(map(len, lines)) <= 80
    assert "… and 2 more." in printed(summary(make_run(*several(*[DO] * 12)), "x"))


def test_a_long_title_is_the_scenarios_name_in_a_terminal(make_run: MakeRun) -> None:
    """It is what the user types, and stands on one line."""
    text = printed(summary(make_run(result(DO, "membership", title="Look a number up in a set instead of in a list")), "x"))
    assert "Look a number up in a set instead of in a list: worth doing" in text
    assert "\nmembership " in text


def test_a_wide_terminal_shows_more_columns(make_run: MakeRun) -> None:
    """Percentiles first, the catch last; a column in which every cell is empty is left out."""
    run = make_run(*several(DO, OPTIMISED))
    narrow, wide = printed(summary(run, "x"), 80), printed(summary(run, "x", 200), 200)
    assert "p50" not in narrow
    assert "8.00 → 4.00 ms" in wide
    assert "solid" in wide
    assert "the catch" not in wide
    cost = speed("better", (1.4, 1.3, 1.5), unit="time", promised_low=None, text="slower writes (a cost)", promise="P2")
    caught = replace(result(OPTIMISED), verdicts=[*result(OPTIMISED).verdicts, cost])
    assert "the catch" in printed(summary(make_run(caught), "x", 200), 200)


def test_failures_are_named_in_the_summary(make_run: MakeRun) -> None:
    """With their error, at most two of them."""
    failed = [replace(r, status=ScenarioStatus.FAILED, error=f"boom {r.name}") for r in several(DO, DO, DO)]
    text = printed(summary(make_run(*failed), "x"))
    assert "failed s0  boom s0" in text
    assert "failed s1 (and 1 more)  boom s1" in text
