"""Measurements as tables."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report import tables
from harness.report.blocks import REASON, REASONS, Cell, Table
from harness.results.run import (
    AA_CONTROL,
    PURE_CPU,
    ArmResult,
    Controls,
    Drift,
    Growth,
    InjectedSlowdown,
    Latency,
    Memory,
    PercentileRatio,
    Ratio,
    ScenarioResult,
    ScenarioStatus,
    WorkCount,
)


def test_work_counts_are_side_by_side(make_result: Callable[..., ScenarioResult]) -> None:
    """Each arm has a column, with the ratio to the baseline next to the count."""
    table = tables.work_counts(make_result())
    assert table is not None
    assert table.head == ("cases", "count", "baseline", "proposed", "optimised")
    assert [cell.text for cell in table.rows[0]][2:] == ["15,810", "6,120 (-61.3 %)", "32 (-99.8 %)"]


def test_missing_and_varying_counts_have_notes(make_result: Callable[..., ScenarioResult]) -> None:
    """A missing count is a dash with a reason, one that differed between repeats is marked, and zero has no ratio."""
    counts = [
        WorkCount("baseline", "g", "rows", 4.0),
        WorkCount("optimised", "g", "rows", 0.0),
        WorkCount("baseline", "g", "hits", 2.5, repeats_exactly=False),
    ]
    table = tables.work_counts(make_result(work_counts=counts))
    assert table is not None
    rows, hits = table.rows
    assert rows[3].text == "0 (none left)"
    assert (hits[2].text, hits[2].note) == ("≈ 2.50", "differed between repeats")
    assert (hits[3].text, hits[3].note) == ("–", "not counted for this arm")


def test_the_aa_control_is_not_an_arm(make_result: Callable[..., ScenarioResult]) -> None:
    """No table of arms has the A/A control."""
    result = make_result()
    ratios = tables.ratios(result)
    assert ratios is not None
    assert [row[1].text for row in ratios.rows] == ["proposed", "optimised"]
    percentiles = tables.percentiles(result)
    assert percentiles is not None
    assert [row[1].text for row in percentiles.rows] == ["baseline", "proposed", "optimised"]
    assert AA_CONTROL in {ratio.arm for ratio in result.ratios} & {latency.arm for latency in result.latencies}


def column(table: Table | None, head: str) -> list[str]:
    """Return a column's figures with their intervals."""
    assert table is not None
    return [row[table.head.index(head)].full for row in table.rows]


def test_memory_is_compared_at_the_same_limit(make_result: Callable[..., ScenarioResult]) -> None:
    """An arm's memory is set against the baseline's at the same limit; an error, and why an arm was not measured, is shown."""
    table = tables.memory(make_result())
    assert column(table, "change from baseline") == ["–", "–", "93.3 % less", "–"]
    assert column(table, "added MB [range]") == ["60.0 [59.0, 61.0]", "–", "4.00 [3.90, 4.10]", "–"]
    assert column(table, "outcome") == ["–", "not measured", "–", "killed at 80 MB"]
    assert column(table, "n") == ["3", "–", "3", "–"]


def test_memory_has_no_column_without_a_figure(make_result: Callable[..., ScenarioResult]) -> None:
    """Shares of the rows, limits, servers and outcomes are shown where there are any, and reasons where a server is left out."""
    usual = {"cases", "arm", "idle MB", "peak MB", "added MB [range]", "change from baseline", "n"}
    plain = Memory("baseline", "prompts", 50_000_000, 60_000_000, 0.1, [])
    made = tables.memory(make_result(memory=[plain]))
    assert made is not None
    assert set(made.head) == usual
    left_out = {"redis": "it runs on another host"}
    served = replace(plain, servers={"service": 2_000_000}, left_out=left_out, scale=0.5, rows=7)
    made = tables.memory(make_result(memory=[plain, served]))
    assert made is not None
    assert set(made.head) == usual | {"added by servers, MB", "not measured", "share of the rows", "rows"}
    assert column(made, "added by servers, MB") == ["service 2.00", "–"]
    assert column(made, "not measured") == ["redis: it runs on another host", "–"]


@pytest.mark.parametrize(
    ("base", "arm", "expected"),
    [
        ((10.0, 9.0, 11.0), (5.0, 4.5, 5.5), "50.0 % less"),
        ((10.0, 9.0, 11.0), (25.0, 24.0, 26.0), "150 % more"),
        ((10.0, 9.0, 11.0), (9.5, 8.0, 10.0), "no clear difference"),  # the ranges overlap
        ((0.1, 0.1, 0.1), (0.2, 0.2, 0.2), "no clear difference"),  # below the resolution
        ((0.0, 0.0, 0.1), (3.0, 2.9, 3.1), "3.00 MB more"),  # a percentage of nearly nothing says nothing
        ((10.0, None, None), (5.0, None, None), "–"),  # measured once
    ],
)
def test_a_change_of_memory_is_shown_where_the_ranges_support_it(
    make_result: Callable[..., ScenarioResult],
    base: tuple[float, float | None, float | None],
    arm: tuple[float, float | None, float | None],
    expected: str,
) -> None:
    """Percentages of the baseline, or megabytes where the baseline adds nearly none."""

    def row(name: str, added: float, *ends: float | None) -> Memory:
        low, high = (None if end is None else int(end * 1e6) for end in ends)
        number = 1 if low is None else 3
        made = Memory(name, "prompts", 50_000_000, 50_000_000 + int(added * 1e6), 0.1, [], repetitions=number)
        return replace(made, lowest_added_bytes=low, highest_added_bytes=high)

    made = tables.memory(make_result(memory=[row("baseline", *base), row("optimised", *arm)]))
    assert column(made, "change from baseline") == ["–", expected]


def test_nothing_measured_is_no_table(failed_result: ScenarioResult) -> None:
    """A scenario without measurements has no empty tables."""
    made = (
        tables.ratios(failed_result),
        tables.percentiles(failed_result),
        tables.work_counts(failed_result),
        tables.memory(failed_result),
        tables.growth(failed_result),
    )
    assert made == (None,) * 5


def test_drift_and_injected_slowdowns_are_shown(make_result: Callable[..., ScenarioResult]) -> None:
    """Each control and each group has a row; a missing interval has a reason."""
    drift = Drift(PURE_CPU, 1234, 1_250_000.0, 1.031, 0.012, [1.03, 1.031])
    injected = [InjectedSlowdown("g", 0.03, 0.029, 0.02, 0.04, 40), InjectedSlowdown("h", 0.03, 0.029, None, None, 8)]
    drifts, slowed = tables.controls(make_result(controls=Controls([drift], injected)))
    assert [cell.text for cell in drifts.rows[0]] == ["pure CPU", "1.250", "1.031", "±1.2 %", "1,234"]
    assert [cell.text for cell in slowed.rows[0]] == ["g", "+3 %", "+2.9 %", "+2 % … +4 %", "yes", "40"]
    assert [cell.text for cell in slowed.rows[1]][3:] == ["–", "no", "8"]
    assert "two processes" in slowed.rows[1][3].note


def test_a_result_without_controls_has_no_table_of_them(make_result: Callable[..., ScenarioResult]) -> None:
    """A result without controls has no tables of them."""
    assert tables.controls(make_result()) == []


def latencies() -> list[Latency]:
    """Return two arms, of which the second supports no p99, because its slots are alike."""
    within = {"50": (1.9e6, 2.2e6), "95": (4.7e6, 5.5e6), "99": (8e6, 1.1e7)}
    known: dict[str, float | None] = {"50": 2e6, "95": 5e6, "99": 9e6, "99.9": None}
    effective = dict.fromkeys(known, 61.9)
    return [
        Latency("baseline", "g", 400, 3e6, 10**6, 12 * 10**6, known, [2e6], within),
        Latency("optimised", "g", 400, 3e6, 10**6, 10**7, {"50": 1e6, "95": 2e6}, [1e6], {"50": (9e5, 1.1e6)}, effective),
    ]


def test_percentiles_have_their_intervals_and_sample_counts(make_result: Callable[..., ScenarioResult]) -> None:
    """Each figure is in the unit of its group, with its interval; a percentile that no arm supports has no column."""
    table = tables.percentiles(make_result(latencies=latencies()))
    assert table is not None
    assert (table.caption, table.head) == ("Latency, 95 % CI", ("cases, unit", "arm", "p50", "p95", "p99", "max", "mean", "n"))
    base, other = table.rows
    assert [cell.full for cell in base] == [
        "g, ms",
        "baseline",
        "2.00 [1.90, 2.20]",
        "5.00 [4.70, 5.50]",
        "9.00 [8.00, 11.0]",
        "12.0",
        "3.00",
        "400",
    ]
    assert [cell.full for cell in other[2:5]] == ["1.00 [0.900, 1.10]", "2.00", "–"]
    assert other[4].note == "too few samples: 368 are needed, there are 400, which are worth 61: those of one slot are alike"


def test_ratios_have_the_percentiles_that_both_sides_support(make_result: Callable[..., ScenarioResult]) -> None:
    """A percentile of one side alone is a dash, and without any its column is not printed."""
    ratio = Ratio("optimised", "g", 2.0, 1.8, 2.2, [2.0, 2.0], 400)
    table = tables.ratios(make_result(latencies=latencies(), ratios=[ratio]))
    assert table is not None
    assert table.head[3:7] == ("p50", "p95", "p99", "max")
    assert [cell.text for cell in table.rows[0][3:7]] == ["2.00 → 1.00 ms", "5.00 → 2.00 ms", "–", "12.0 → 10.0 ms"]
    few = [replace(x, percentiles_ns=dict.fromkeys(x.percentiles_ns)) for x in latencies()]
    bare = tables.ratios(make_result(latencies=few, ratios=[ratio]))
    assert bare is not None
    assert bare.head[3] == "max"


def test_percentile_ratios_have_a_row_per_arm(make_result: Callable[..., ScenarioResult]) -> None:
    """Each percentile has a column with ratio and interval; one that an arm does not support is a dash with the reason."""
    result = replace(
        make_result(),
        percentile_ratios=[
            PercentileRatio("proposed", "g", "50", 500, 2.0, 1.8, 2.2),
            PercentileRatio("proposed", "g", "99", 500, 3.0, 1.5, 6.0),
            PercentileRatio("optimised", "g", "50", 300, 2.0, 1.8, 2.2),
            PercentileRatio("optimised", "g", "99", 300),
        ],
    )
    table = tables.percentile_ratios(result)
    assert table is not None
    assert table.head == ("cases", "arm", "p50, times faster", "p99, times faster", "n")
    first, second = table.rows
    assert (first[3].full, first[4].text) == ("3.00× [1.50, 6.00]", "500")
    assert (second[2].text, second[2].detail) == ("2.00×", "[1.80, 2.20]")
    assert (second[3].text, second[3].note) == ("–", "too few samples: 368 are needed, there are 300")
    assert second[4].text == "300"


def test_percentiles_without_any_ratio_have_no_column(make_result: Callable[..., ScenarioResult]) -> None:
    """A percentile that no arm supports is not printed; without any there is no table."""
    bare = [PercentileRatio("optimised", "g", label, 5) for label in ("50", "95")]
    assert tables.percentile_ratios(make_result(percentile_ratios=bare)) is None
    half = [replace(bare[0], ratio=2.0), bare[1]]
    table = tables.percentile_ratios(make_result(percentile_ratios=half))
    assert table is not None
    assert table.head[2:] == ("p50, times faster", "n")


def test_a_result_without_pairs_has_no_percentile_ratios(make_result: Callable[..., ScenarioResult]) -> None:
    """A scenario that failed has no table of them."""
    assert tables.percentile_ratios(replace(make_result(), percentile_ratios=[])) is None


def test_speed_is_one_table(make_result: Callable[..., ScenarioResult]) -> None:
    """A row per group: percentiles of all arms, times faster, the A/A control and the pairs; empty columns are left out."""
    table = tables.speed(make_result())
    assert table is not None
    assert table.spans == (("", 2), ("p50", 3), ("p95", 3), ("times faster", 2), ("", 2))
    arms = ["baseline", "proposed", "optimised"]
    assert list(table.head) == ["cases", "unit", *arms, *arms, *arms[1:], AA_CONTROL, "pairs (processes)"]
    (row,) = table.rows
    assert [cell.text for cell in row][:5] == ["user's prompts", "ms", "4.11", "2.06", "0.510"]
    assert row[0].detail == "a user's live prompts"
    proposed, optimised, control, pairs = row[8:]
    assert proposed.full == "1.99× [1.99, 1.99]"
    assert proposed.status is not None
    assert (proposed.status.name, proposed.status.tone) == ("faster", "good")
    assert optimised.text == "8.03×"
    assert control.full == "! 1.01× [1.01, 1.01]"
    assert table.footnote == tables.CONTROL_READ
    assert pairs.text == "90 (3)"


def test_speed_has_a_direction_where_the_interval_shows_one(make_result: Callable[..., ScenarioResult]) -> None:
    """An interval below 1 is slower, one that includes 1 is not significant, and without one nothing is said."""
    for low, high, expected in ((0.5, 0.9, "slower"), (0.9, 1.2, "not significant"), (None, None, "not significant")):
        ratio = Ratio("optimised", "g", 0.8, low, high, [0.8], 5)
        table = tables.speed(make_result(latencies=latencies(), ratios=[ratio]))
        assert table is not None
        cell = table.rows[0][7]
        assert cell.status is not None
        assert cell.status.name == expected


def test_speed_without_percentiles_has_means(make_result: Callable[..., ScenarioResult]) -> None:
    """One sample supports no percentile; an arm that cannot run a group has that in place of a ratio."""
    one = [Latency(arm, "g", 1, 2e6, 10**6, 10**6, dict.fromkeys(("50", "95", "99"))) for arm in ("baseline", "optimised")]
    broken = [ArmResult("baseline", ""), ArmResult("proposed", "", {"g": "refused"}), ArmResult("optimised", "")]
    ratio = Ratio("optimised", "g", 1.0, None, None, [1.0], 1)
    other = Ratio("proposed", "h", 1.0, None, None, [], 1)
    table = tables.speed(make_result(latencies=one, ratios=[ratio, other], arms=broken, groups={}))
    assert table is not None
    assert table.spans[:2] == (("", 2), ("mean", 2))
    assert [cell.text for cell in table.rows[0]] == ["g", "ms", "2.00", "2.00", "cannot run", "1.00×", "1 (1)"]
    assert table.reasons == ("not timed",)
    assert tables.speed(make_result(latencies=[], ratios=[])) is None


def test_work_counts_that_differ(make_result: Callable[..., ScenarioResult]) -> None:
    """Those that are the same on all arms, or nearly, are a sentence; a metric that ends with a group's number has its name."""
    counts = [
        WorkCount(arm, group, metric, value)
        for group, metric, values in (
            ("requests_5", "statements", (51.0, 2.0)),
            ("requests_5", "rows", (50.0, 50.0)),
            ("requests_5", "bytes", (1000.0, 1005.0)),
            ("", "statements_per_request_5", (1.084, 0.352)),
        )
        for arm, value in zip(("baseline", "optimised"), values, strict=True)
    ]
    result = make_result(work_counts=counts, groups={"requests_5": "5 % writes"})
    table = tables.work_counts(result, differing=True)
    assert table is not None
    assert [(row[0].text, row[1].text) for row in table.rows] == [
        ("requests_5", "statements"),
        ("whole scenario", "statements per request, requests_5"),
    ]
    assert tables.equal_counts(result) == "2 counts are equal within 1 % on all arms."
    assert tables.equal_counts(make_result(work_counts=counts[2:4])) == "1 count is equal on all arms."
    assert tables.equal_counts(make_result(work_counts=[])) == ""
    assert tables.work_counts(make_result(work_counts=counts[2:4]), differing=True) is None


@given(st.floats(-2, 2))
def test_growth_that_is_shown_is_not_flat(exponent: float) -> None:
    """Only exponents beyond 0.05, in either direction, are."""
    result = ScenarioResult(
        "a", "", "", "", "sqlite", 0, ScenarioStatus.OK, growth=[Growth("x", "g", "m", [0.1, 1], [1, 1], exponent)]
    )
    assert (tables.growth(result, differing=True) is not None) == (abs(exponent) > 0.05)
    assert tables.growth(result) is not None


def test_a_run_that_died_at_a_limit_has_no_zeros(make_result: Callable[..., ScenarioResult]) -> None:
    """It was killed at so many MB; another error is named if it is short."""
    limited = Memory("baseline", "g", 0, 0, 0.0, [], limit_bytes=64_000_000, error="out of memory")
    other = replace(limited, error="exit code 3")
    long = replace(limited, error="x" * 31)
    table = tables.memory(make_result(memory=[limited, other, long]))
    assert column(table, "outcome") == ["killed at 64 MB", "exit code 3", "failed"]
    assert "0" not in column(table, "peak MB") + column(table, "added MB [range]")


def test_memory_without_a_clear_difference_is_counted(make_result: Callable[..., ScenarioResult]) -> None:
    """Groups in which the arms add the same are left out; without any other group there is no table."""
    result = make_result()
    same = [replace(m, group=f"g{number}") for m in result.memory[:1] for number in range(3)]
    table = tables.memory(replace(result, memory=[*result.memory, *same]), differing=True)
    assert table is not None
    assert {row[0].text for row in table.rows} == {result.memory[0].group}
    assert table.footnote == "3 further groups: no clear difference."
    table = tables.memory(replace(result, memory=[*result.memory, *same[:1]]), differing=True)
    assert table is not None
    assert table.footnote == "1 further group: no clear difference."
    assert tables.memory(replace(result, memory=same), differing=True) is None


def test_two_long_names_stay_distinct() -> None:
    """Their middle is left out, not their end."""
    long = "x" * 10_000
    names = [tables.named(f"{long}{end}") for end in "ab"]
    assert len(set(names)) == 2
    assert all(len(name) == tables.NAME for name in names)
    assert tables.named("a\nb") == "a\\nb"


def test_the_reasons_for_dashes_are_few_and_short() -> None:
    """Each once, without the figures behind its colon; a dash without a reason adds none."""
    notes = ["too few samples: 72 are needed", "too few samples: 368 are needed", "", *(f"{n}{'x' * 100}" for n in range(9))]
    table = Table("", ("a",), (*((Cell("–", note),) for note in notes), (Cell("1", "not a dash"),)))
    assert table.reasons[0] == "too few samples"
    assert len(table.reasons) == REASONS
    assert all(len(reason) <= REASON + 1 for reason in table.reasons)


def test_names_are_cut_with_the_whole_as_a_note() -> None:
    """Distinct names stay distinct; control characters are escaped; a very long one is cut in the note as well."""
    names = [f"{'a' * 60}{place}{'b' * 60}" for place in range(3)] + ["short", "\x1b" + "y" * 10_000]
    found = tables.named_cells(names)
    assert list(found) == names
    assert len({cell.text for cell in found.values()}) == len(names)
    assert all(len(cell.text) <= tables.MOST_NAME and cell.text.isprintable() for cell in found.values())
    assert (found["short"].text, found["short"].note) == ("short", "")
    assert found[names[0]].note == names[0]
    assert len(found[names[-1]].note) == tables.MOST_NOTE
