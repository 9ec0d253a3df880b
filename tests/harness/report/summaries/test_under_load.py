"""The summaries of load tests and capacity searches."""

from collections.abc import Callable
from dataclasses import replace

from harness.report.headings import NOTHING_LOADED, of_load_run, of_scenarios
from harness.report.summaries import summary
from harness.results.load import ALL, LoadResult
from harness.results.run import Run, RunKind, ScenarioResult, ScenarioStatus
from tests.harness.report.printing import printed

MakeRun = Callable[..., Run]
NAME = "x" * 10_000
FASTER = "Times as fast as the baseline at the median: optimised 13.5× [12.2, 14.9]."


def of_arms(load_result: ScenarioResult, *arms: str, **changes: object) -> ScenarioResult:
    """Return a load test of some arms without capacities; keywords change the rows over all operations."""
    assert load_result.load is not None
    rows = [replace(x, **changes) if x.group == ALL else x for x in load_result.load.arms if x.arm in arms]  # type: ignore[arg-type]
    ratios = [x for x in load_result.load.ratios if x.arm in arms]
    return replace(load_result, load=replace(load_result.load, arms=rows, ratios=ratios, capacities=[]))


def test_an_invalid_load_test_concludes_nothing(make_run: MakeRun, load_result: ScenarioResult) -> None:
    """Neither in its heading nor in the rows of several scenarios."""
    found = of_arms(load_result, "baseline", "optimised")
    assert found.load is not None
    invalid = replace(found, load=replace(found.load, invalid="the generator was the limit"))
    assert "the generator was the limit" in printed(summary(make_run(invalid, kind=RunKind.LOAD), "x"))
    row = next(x for x in printed(summary(make_run(invalid, found, kind=RunKind.LOAD), "x")).splitlines() if "invalid " in x)
    assert row.split()[1:] == ["invalid", "–", "–", "–"] or set(row.split()[2:]) == {"–"}


def test_the_heading_of_several_scenarios(load_result: ScenarioResult, failed_result: ScenarioResult) -> None:
    """All of one outcome, or the number of each."""
    good, slow = of_arms(load_result, "baseline", "optimised"), of_arms(load_result, "baseline", "proposed")
    assert good.load is not None
    invalid = replace(good, load=replace(good.load, invalid="x"))
    assert of_scenarios([good, good]) == "All 2 scenarios were sustained by all arms."
    assert of_scenarios([failed_result] * 3) == "All 3 scenarios failed."
    assert of_scenarios([slow, invalid]) == "Of 2 scenarios, 1 was not sustained by all arms and 1 is invalid."
    every = [good, good, slow, invalid, invalid, failed_result]
    assert of_scenarios(every) == "Of 6 scenarios, 2 were sustained by all arms, 1 was not, 2 are invalid and 1 failed."


def test_every_arm_has_a_row(make_run: MakeRun, load_result: ScenarioResult) -> None:
    """Throughput, errors, median, tail and gain; wide terminals have the interval, too."""
    run = make_run(of_arms(load_result, "baseline", "proposed", "optimised"), kind=RunKind.LOAD)
    lines = printed(summary(run, "x")).splitlines()
    row = next(line for line in lines if line.startswith("optimised "))
    assert row.split() == ["optimised", "sustained", "200", "0", "3.10", "14.5", "(p99.9)", "13.5×", "27.9"]
    assert "[12.2, 14.9]" not in row
    wide = printed(summary(run, "x", 140), 140).splitlines()
    assert next(line for line in wide if line.startswith("optimised ")).split()[8:] == ["[12.2,", "14.9]", "27.9", "0"]


def test_a_run_without_anything_says_so(make_run: MakeRun) -> None:
    """As an interrupted one does."""
    text = printed(summary(make_run(kind=RunKind.LOAD, interrupted=True), "x"))
    assert NOTHING_LOADED in text
    assert "This run was interrupted: what had finished is shown." in text
    assert of_load_run(make_run(kind=RunKind.LOAD)) == NOTHING_LOADED


def test_the_summary_fits_a_terminal(make_run: MakeRun, load_result: ScenarioResult) -> None:
    """Many scenarios, and one with long names and errors, take at most 24 lines of 80 columns."""
    found = load_result.load
    assert found is not None
    arms = [replace(x, arm=x.arm + NAME, failing=NAME if x.arm == "proposed" else None) for x in found.arms]
    hostile = replace(load_result, name=NAME, load=replace(found, arms=arms, capacities=[], lost_workers=[NAME] * 9))
    failed = replace(hostile, status=ScenarioStatus.FAILED, error=NAME)
    searched = replace(load_result, load=LoadResult([], NAME, 1.0, 1.0, capacities=list(found.capacities) * 9))
    for results in ([hostile], [failed] * 3, [replace(hostile, name=f"s{n}") for n in range(60)], [searched]):
        lines = printed(summary(make_run(*results, kind=RunKind.LOAD, interrupted=True), "harness report x --all")).splitlines()
        assert len(lines) <= 24, "\n".join(lines)
        assert max(map(len, lines)) <= 80
