"""The terminal writer, with the brief report of a run."""

from collections.abc import Callable

import pytest

from harness.report import overview
from harness.report.blocks import Cell, ReportSection, Table
from harness.results.run import Run, ScenarioResult
from tests.harness.report.printing import printed


@pytest.mark.parametrize("width", [80, 140])
def test_every_verdict_is_there_and_fits(
    make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult], failed_result: ScenarioResult, width: int
) -> None:
    """At 80 and 140 columns each promise has its verdict, nothing is cut off, and failures follow with their errors."""
    text = printed(overview.brief(make_run(make_result(), failed_result)), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for word in ("confirmed", "fell short", "not measured", "measured", "I4 · growth", "10× rows → 10× cost"):
        assert word in text
    assert "arms disagree on case 'user 17'" in text
    assert "warning" in text


@pytest.mark.parametrize("width", [80, 140])
def test_ratios_fit_and_name_the_control(make_result: Callable[..., ScenarioResult], width: int) -> None:
    """A scenario's speed has ratio, interval and p50 before → after per arm, also for the A/A control."""
    text = printed(overview.speed(make_result()), width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    line = next(x for x in lines if "optimised" in x)
    assert "×" in line
    assert "→" in line
    assert "A/A control" in text
    assert "40 answers compared, all equal" in text


def test_markup_in_names_is_text(make_run: Callable[..., Run], hostile_result: ScenarioResult) -> None:
    """Square brackets and other signs in names and errors are printed as they are."""
    broken = [overview.brief(make_run(hostile_result, name="[red]x")), overview.speed(hostile_result)]
    assert all("<script>" in printed(part, 200) for part in broken)


def test_a_load_run_without_load_records_has_its_failures(
    make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult], failed_result: ScenarioResult
) -> None:
    """Its failed scenarios are shown; the speed of the others has the percentiles that the samples support."""
    text = printed(overview.brief(make_run(make_result(verdicts=[]), failed_result, kind="load")), 140)
    assert "failed caching" in text
    row = next(line for line in text.splitlines() if "optimised" in line)
    assert "p95" in text
    assert "p99 " not in text
    assert row.split()[-6:] == ["ms", "8.03×", "…", "8.03×", "(3)", "90"]


def test_nothing_is_printed_twice(
    make_run: Callable[..., Run],
    make_result: Callable[..., ScenarioResult],
    failed_result: ScenarioResult,
    hostile_result: ScenarioResult,
) -> None:
    """With each scenario's speed too, a failure, an arm that cannot run and a warning are printed once, at several RTTs as well."""
    near, far = make_result(arms=hostile_result.arms[:2]), make_result(rtt_ms=5.0, warnings=[])
    for run in (make_run(near, failed_result), make_run(near, far, failed_result)):
        text = " ".join(printed(overview.brief(run, speeds=True), 140).split())
        assert "40 answers compared" in text
        for once in ("arms disagree on case", "TypeError: <script>", "90 pairs cannot carry p99"):
            assert text.count(once) == 1


def test_warnings_are_in_full_with_each_speed(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """At several RTTs a warning names its place; without speeds it is summed up."""
    run = make_run(make_result(), make_result(rtt_ms=5.0))
    text = printed(overview.brief(run, speeds=True), 140)
    assert "warning indexes, RTT 5 ms: few pairs  90 pairs cannot carry p99; give it a larger budget" in text
    assert "in 2 of 2 results" not in text
    assert "in 2 of 2 results" in printed(overview.brief(run), 140)


def test_an_empty_run_has_a_sentence(make_run: Callable[..., Run]) -> None:
    """A run in which nothing finished prints a sentence instead of an empty table."""
    text = printed(overview.brief(make_run(interrupted=True)), 80)
    assert "No scenario finished" in text
    assert "interrupted" in text


def test_grouped_rows_share_columns() -> None:
    """The first cell of a grouped table is written once above its rows, and the columns of all groups are aligned."""
    rows = (("long", "a", "1.00×"), ("long", "b", "22.0×"), ("other", "a long arm", "3.00×"))
    table = Table("", ("cases", "arm", "faster"), tuple(tuple(map(Cell, row)) for row in rows), names=2, grouped=True)
    lines = printed([table], 40).splitlines()
    assert [line.strip() for line in lines if line.strip() in {"long", "other"}] == ["long", "other"]
    assert len({line.rstrip().index("×") for line in lines if "×" in line}) == 1


def test_narrow_terminals_leave_out_wide_columns() -> None:
    """Columns marked as wide are shown from 110 columns on, and intervals move below their figures where there is no room."""
    table = Table("", ("arm", "ratio", "extra"), ((Cell("a"), Cell("2.00×", detail="[1.90, 2.10]"), Cell("9")),), wide=("extra",))
    assert "extra" not in printed([table], 80)
    assert "2.00× [1.90, 2.10]" in printed([table], 80)
    assert "2.00× [1.90, 2.10]" not in printed([table], 20)
    assert printed([table], 140).splitlines()[1].split() == ["a", "2.00×", "[1.90,", "2.10]", "9"]


def test_folded_sections_are_left_out() -> None:
    """The terminal shows only sections that are not folded."""
    inner = (Table("inside", ("a",), ((Cell("x"),),)),)
    assert printed([ReportSection("one", inner)]) == ""
    assert "inside" in printed([ReportSection("one", inner, folded=False)])
