"""The heading of each page: a sentence for singular, plural, zero, loss, infinite and missing, never stronger than the verdicts."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gate.result_files import side_by_side
from harness.importers import own_run
from harness.importers.reading import Reading, Timing, raw_timing
from harness.report import headings
from harness.results.load import ALL, Capacity, CapacityKind, LoadedArm, LoadModel, LoadRatio, LoadResult
from harness.results.run import (
    Ablation,
    Gain,
    OperationCounts,
    PromiseVerdict,
    Run,
    ScenarioResult,
    ScenarioStatus,
    SwitchGain,
    Verdict,
)
from tests.harness.report.loads import loaded
from tests.harness.report.test_ablation import BARE, FOUND, NONE, TWICE

Make = Callable[..., ScenarioResult]
OBJECTIVE = "p95 < 150 ms, errors < 0.1 %"


def ratio(arm: str, low: float | None, high: float | None, value: float = 2.0) -> LoadRatio:
    """Return a ratio of p99."""
    return LoadRatio(arm, ALL, "99", value, low, high, 12)


def rows(*arms: tuple[str, float], **changes: object) -> list[LoadedArm]:
    """Return arms with 6,000 operations each, at a median in milliseconds."""
    return [replace(loaded(arm, ALL, ms, 6_000), **changes) for arm, ms in arms]  # type: ignore[arg-type]


def sentence(make_result: Make, arms: list[LoadedArm], ratios: list[LoadRatio], **changes: object) -> str:
    """Return the heading of a load test at 200 per second."""
    load = LoadResult([LoadModel.OPEN], "200 per second, evenly spaced", 5.0, 1.0, arms, ratios)
    return headings.of_load(make_result(verdicts=[], load=replace(load, **changes)))  # type: ignore[arg-type]


BOTH = rows(("baseline", 10.0), ("optimised", 5.0))
SAME_LOAD = "Under 200 operations per second, "


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (1.8, 2.2, "optimised answers 99 % of the operations within 16.0 ms instead of 32.0 ms; no operation failed."),
        (
            0.8,
            0.9,
            "optimised is slower: it answers 99 % of the operations within 16.0 ms instead of 32.0 ms; no operation failed.",
        ),
        (
            0.9,
            2.4,
            (
                "no difference is shown: optimised answers 99 % of the operations within 16.0 ms, the baseline within 32.0 ms; "
                "no operation failed."
            ),
        ),
        (
            None,
            None,
            (
                "optimised answers 99 % of the operations within 16.0 ms, the baseline within 32.0 ms: measured too briefly for a "
                "conclusion; no operation failed."
            ),
        ),
    ],
)
def test_a_load_is_concluded_by_the_interval(make_result: Make, low: float | None, high: float | None, said: str) -> None:
    """Faster, slower, no difference, or nothing: as the interval of the ratio at the highest percentile allows."""
    assert sentence(make_result, BOTH, [ratio("optimised", low, high)]) == SAME_LOAD + said


@pytest.mark.parametrize(
    ("errors", "said"),
    [(0, "no operation failed"), (1, "1 of 12,001 operations failed"), (17, "17 of 12,017 operations failed")],
)
def test_failures_are_counted(make_result: Make, errors: int, said: str) -> None:
    """None, one and several, over all arms."""
    arms = [BOTH[0], replace(BOTH[1], errors=errors)]
    assert sentence(make_result, arms, [ratio("optimised", 1.8, 2.2)]).endswith(f"; {said}.")


@pytest.mark.parametrize(("dropped", "said"), [(1, "1 was dropped"), (2, "2 were dropped")])
def test_dropped_operations_are_counted(make_result: Make, dropped: int, said: str) -> None:
    """One and several; none is not mentioned."""
    arms = [BOTH[0], replace(BOTH[1], dropped=dropped)]
    assert sentence(make_result, arms, []).endswith(f"; {said}.")
    assert "dropped" not in sentence(make_result, BOTH, [])


def test_saturated_and_failing_arms_are_named_and_not_compared(make_result: Make) -> None:
    """One or several of them, the baseline, or all arms."""
    ratios = [ratio("optimised", 1.8, 2.2), ratio("other", 9.0, 9.2, 9.1)]
    over = rows(("other", 1.0), overloaded="too slow")
    assert "; other is saturated; " in sentence(make_result, [*BOTH, *over], ratios)
    assert "optimised answers 99 %" in sentence(make_result, [*BOTH, *over], ratios)
    two = [*BOTH, *over, *rows(("third", 1.0), overloaded="too slow")]
    assert "; other and third are saturated; " in sentence(make_result, two, ratios)
    base = [replace(BOTH[0], overloaded="too slow"), BOTH[1]]
    assert sentence(make_result, base, ratios) == (
        f"{SAME_LOAD}optimised answers 99.9 % of the operations within 23.4 ms; the baseline is saturated; no operation failed."
    )
    every = [replace(row, overloaded="too slow") for row in BOTH]
    assert sentence(make_result, every, ratios) == f"{SAME_LOAD}every arm is saturated; no operation failed."
    failing = [replace(row, failing="all failed") for row in BOTH]
    assert "nothing can be compared; too many operations of the baseline and optimised fail" in sentence(
        make_result, failing, ratios
    )


def test_an_arm_with_less_load_is_described_under_its_own(make_result: Make) -> None:
    """An arm that cannot run one of the operations had fewer of them, and is not compared."""
    arms = [replace(BOTH[0], overloaded="too slow"), replace(BOTH[1], offered_per_s=40.0)]
    assert sentence(make_result, arms, []).startswith("Under 40.0 operations per second, optimised answers 99.9 %")


def test_a_slower_arm_beside_a_faster_one_is_named(make_result: Make) -> None:
    """The best arm is compared, and no other one is passed over."""
    arms = [*BOTH, *rows(("other", 20.0))]
    said = sentence(make_result, arms, [ratio("optimised", 1.8, 2.2), ratio("other", 0.4, 0.6, 0.5)])
    assert "instead of 32.0 ms; other is slower; no operation failed." in said


def test_a_load_without_a_percentile_or_a_second_arm(make_result: Make) -> None:
    """A single arm is described; too few operations have no percentile."""
    assert sentence(make_result, BOTH[:1], []).startswith(f"{SAME_LOAD}the baseline answers 99.9 % of the operations within")
    few = [loaded("baseline", ALL, 10.0, 3)]
    assert sentence(make_result, few, []).startswith(f"{SAME_LOAD}too few operations completed for a percentile")


@pytest.mark.parametrize(
    ("models", "arrivals", "said"),
    [
        ([LoadModel.CLOSED], "8 concurrent users", "With 8 concurrent users, "),
        ([LoadModel.OPEN], "from 10 to 500 per second, linearly", "Under the planned load, "),
        ([LoadModel.OPEN], "1500 per second, at random times (Poisson)", "Under 1,500 operations per second, "),
        ([LoadModel.OPEN], "<script>", "Under the planned load, "),
    ],
)
def test_the_load_is_described(make_result: Make, models: list[LoadModel], arrivals: str, said: str) -> None:
    """Users, one rate, or that it was planned otherwise."""
    assert sentence(make_result, BOTH, [], models=models, arrivals=arrivals).startswith(said)


def test_an_invalid_or_empty_load_has_no_conclusion(make_run: Callable[..., Run], make_result: Make) -> None:
    """The generator was the limit, nothing was loaded, it failed, or it was interrupted."""
    assert sentence(make_result, BOTH, [ratio("optimised", 1.8, 2.2)], invalid="97 %") == headings.INVALID
    assert headings.of_load_run(make_run(kind="load")) == headings.NOTHING_LOADED
    empty = LoadResult([LoadModel.OPEN], "", 5.0, 1.0)
    failed = make_result(verdicts=[], load=empty, status=ScenarioStatus.FAILED, error="arms disagree\nmore")
    assert headings.of_load_run(make_run(failed, kind="load")) == "The load test failed: arms disagree."
    stopped = make_result(verdicts=[], load=None, status=ScenarioStatus.INTERRUPTED)
    assert headings.of_load_run(make_run(stopped, kind="load")) == headings.INTERRUPTED


@given(st.sampled_from([None, 0.5, 0.99, 1.0, 1.01, 2.0]), st.sampled_from([None, 0.6, 1.0, 1.02, 3.0]))
def test_a_load_is_never_called_faster_without_proof(low: float | None, high: float | None) -> None:
    """Only an interval that lies above 1 is an improvement."""
    load = LoadResult([LoadModel.OPEN], "200 per second", 5.0, 1.0, BOTH, [ratio("optimised", low, high)])
    result = ScenarioResult("x", "x", "", "x.py", "sqlite", 0.0, ScenarioStatus.OK, load=load)
    said = headings.of_load(result)
    is_faster = "instead of" in said and "is slower" not in said
    assert is_faster == (low is not None and high is not None and low > 1)


def capacity(arm: str, sustained: float | None, failed_at: float | None, kind: CapacityKind = CapacityKind.RATE) -> Capacity:
    """Return a search without steps."""
    return Capacity(arm, kind, OBJECTIVE, sustained, failed_at, [], "it ended")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            [capacity("baseline", 310, 330), capacity("optimised", 1240, 1300)],
            "optimised sustains 1,240 operations per second, the baseline 310 operations per second.",
        ),
        (
            [capacity("baseline", 310, 330), capacity("optimised", 320, 350)],
            "no difference is shown, optimised sustains 320 operations per second, the baseline 310 operations per second.",
        ),
        (
            [capacity("baseline", 310, 330), capacity("optimised", 1240, None)],
            "optimised sustains at least 1,240 operations per second, the baseline 310 operations per second.",
        ),
        (
            [capacity("baseline", None, 50), capacity("optimised", 1, 2, CapacityKind.RATE)],
            "optimised sustains 1 operation per second, the baseline no level that was tried.",
        ),
        (
            [capacity("baseline", 310, 330), capacity("optimised", None, 50)],
            "the baseline sustains 310 operations per second, optimised no level that was tried.",
        ),
        ([capacity("baseline", None, 50), capacity("optimised", None, 50)], "no arm sustains a level that was tried."),
        ([capacity("optimised", 36, 40, CapacityKind.USERS)], "optimised sustains 36 users."),
        ([capacity("optimised", 1, 2, CapacityKind.USERS)], "optimised sustains 1 user."),
        (
            [capacity("baseline", 900, 950), capacity("optimised", 310, 330)],
            "optimised sustains 310 operations per second, the baseline 900 operations per second.",
        ),
    ],
)
def test_a_capacity_is_the_sustained_level_of_both(make_result: Make, found: list[Capacity], said: str) -> None:
    """More, less, no difference, open ended, one of them none, none at all, singular and plural."""
    load = LoadResult([LoadModel.OPEN], "search", 1.0, 1.0, capacities=found)
    assert headings.of_load(make_result(verdicts=[], load=load)) == f"Within {OBJECTIVE}: {said}"


def ablated(make_run: Callable[..., Run], make_result: Make, found: Ablation, *more: Ablation) -> str:
    """Return the heading of a run of ablations."""
    return headings.of_ablation(make_run(make_result(verdicts=[], ablation=[found, *more])))


LOSS = Gain(0.5, 0.4, 0.6, [0.5], p_corrected=0.001)


def test_an_ablation_names_the_total_and_the_best_switch(make_run: Callable[..., Run], make_result: Make) -> None:
    """Faster, slower, unclear and without an interval; no, one and several gains; losses."""
    only = "only caching is shown to gain when it is turned on last (2.00×)."
    assert ablated(make_run, make_result, FOUND) == f"All 3 switches together are 2.00× [1.90, 2.10] as fast as none; {only}"
    assert "show no gain: 1.01×" in ablated(make_run, make_result, replace(FOUND, total=NONE))
    assert "too briefly for a conclusion" in ablated(make_run, make_result, replace(FOUND, total=BARE))
    assert "are slower than none: 0.500×" in ablated(make_run, make_result, replace(FOUND, total=LOSS))

    def of(*gains: Gain, worst: int = 1) -> str:
        switches = [replace(x, last=gain, rank_best=1, rank_worst=worst) for x, gain in zip(FOUND.switches, gains, strict=False)]
        return ablated(make_run, make_result, replace(FOUND, switches=switches))

    assert headings.NO_GAIN in of(NONE, NONE)
    assert "2 are shown to gain when turned on last, caching most (2.00×)" in of(TWICE, replace(TWICE, ratio=1.5))
    assert "2 are shown to gain when turned on last, among them caching (2.00×)" in of(TWICE, TWICE, worst=2)
    assert "; indexes makes it slower (0.500×)." in of(TWICE, LOSS)
    assert "; 2 make it slower." in of(TWICE, LOSS, LOSS)


def test_several_ablations_name_the_first(make_run: Callable[..., Run], make_result: Make) -> None:
    """The heading says that there are others."""
    assert ablated(make_run, make_result, FOUND, replace(FOUND, group="other")).startswith(
        "indexes: mix, the first of 2 results: All 3 switches"
    )


def reading(name: str, factors: dict[str, float]) -> Reading:
    """Return a file of benchmarks around a millisecond times a factor."""
    timings = tuple(raw_timing(key, [f * 1e6 * (1 + i / 1e4) for i in range(30)]) for key, f in factors.items())
    return Reading(name, "tool", "a file", timings)


def test_a_comparison_counts_outcomes() -> None:
    """Slower, faster, inconclusive, and what only one file has, the most pressing first."""
    run = side_by_side(reading("a", {"s": 1, "f": 1, "i": 1, "gone": 1}), reading("b", {"s": 3, "f": 0.3, "i": 1.1, "n": 1})).run
    assert headings.of_files(run) == "Comparison: 1 slower, 1 faster, 1 inconclusive, 1 only before, 1 only after."


@pytest.mark.parametrize(
    ("verdict", "part", "said"),
    [
        (PromiseVerdict.REGRESSED, "p95", "1 slower"),
        (PromiseVerdict.REGRESSED, "failed operations", "1 failing more"),
        (PromiseVerdict.REGRESSED, "throughput", "1 with less throughput"),
        (PromiseVerdict.REGRESSED, "bytes", "1 worse"),
        (PromiseVerdict.IMPROVED, "median", "1 faster"),
        (PromiseVerdict.IMPROVED, "failed operations", "1 failing less"),
        (PromiseVerdict.IMPROVED, "bytes", "1 better"),
        (PromiseVerdict.EQUAL, "", "1 equal"),
        (PromiseVerdict.NOT_COMPARABLE, "", "1 not comparable"),
        ("from a newer version", "", "1 with a verdict that this version does not know"),
    ],
)
def test_each_outcome_has_its_word(verdict: PromiseVerdict, part: str, said: str) -> None:
    """A regression by failures is not called slower, and an unknown verdict is no verdict."""
    run = side_by_side(reading("a", {"x": 1}), reading("b", {"x": 1.1})).run
    changed = Verdict("x", "", "candidate", verdict, "", "×", part)
    found = replace(run, scenarios=[replace(run.scenarios[0], verdicts=[changed])])
    assert headings.of_comparison(found) == f"Comparison: {said}."


def test_a_total_is_not_counted_beside_what_it_sums_up() -> None:
    """Locust's line over all requests is in the table, and not one more benchmark."""
    run = side_by_side(reading("a", {"x": 1, "Aggregated": 1}), reading("b", {"x": 3, "Aggregated": 3})).run
    assert headings.of_comparison(run) == "Comparison: 1 slower."


def file_heading(timings: tuple[Timing, ...], operations: tuple[OperationCounts, ...] = ()) -> str:
    """Return the heading of one file."""
    return headings.of_files(own_run.of_file(Reading("a.json", "t", "a file", timings, operations=operations)))


def test_one_file_is_described() -> None:
    """Its total, its only benchmark, or the range of its medians; failures, and a file of nothing."""
    timing = Timing("GET /a", 400, 2e6, 2e6, 1e6, 9e6, {"50": 2e6, "95": 4e6})
    total = replace(timing, name="Aggregated")
    counts = OperationCounts("", "Aggregated", 400, 2, 66.0)
    assert file_heading((timing, total), (replace(counts, group="GET /a"), counts)) == (
        "Aggregated answers 95 % of the operations within 4.00 ms; 66.0 operations per second; 2 of 400 operations failed."
    )
    assert file_heading((raw_timing("x", [1e6]),)) == "x: median 1.00 ms."
    several = (raw_timing("x", [1e6] * 9), raw_timing("y", [3e6] * 9))
    assert file_heading(several) == "2 benchmarks, with medians from 1.00 ms to 3.00 ms."
    assert file_heading((), (replace(counts, errors=400),)) == "All 400 operations failed."
    assert file_heading((), (replace(counts, operations=1, errors=1),)) == "The only operation failed."
    assert file_heading(()) == headings.NO_FILE


def test_failures_of_benchmarks_are_not_summed() -> None:
    """They may count the same operations, as those of k6 do: the worst one is named."""
    timings = (raw_timing("x", [1e6] * 9), raw_timing("y", [3e6] * 9))
    counts = [OperationCounts("", name, 600, errors, None) for name, errors in (("x", 0), ("y", 8))]
    assert file_heading(timings, tuple(counts)).endswith("; of y, 8 of 600 operations failed.")
    assert file_heading(timings, (counts[0], replace(counts[0], group="y"))).endswith("; no operation failed.")
    every = tuple(replace(x, errors=600) for x in counts)
    assert file_heading((), every) == "All operations of every benchmark failed."


@given(st.text(max_size=200))
def test_any_name_is_one_printable_line(name: str) -> None:
    """Control characters, markup and any length."""
    switches = [SwitchGain(name, "", TWICE, TWICE, TWICE, FOUND.switches[0].interaction, 1, 1)]
    result = ScenarioResult("x", "x", "", "x.py", "sqlite", 0.0, ScenarioStatus.OK, ablation=[replace(FOUND, switches=switches)])
    said = headings._ablated(result.ablation[0])
    assert said.isprintable()
    assert len(said) < 300
