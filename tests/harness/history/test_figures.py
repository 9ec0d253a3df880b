"""The history of figures and its steps: where they are, and that there are none on noise."""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.gate.selection import Selection
from harness.history.collect import CollectedRun, CollectedRuns, slim
from harness.history.figures import history
from harness.results.history import FigureHistory, FigureKind, History, HistoryStep
from harness.results.run import FileMetric, Latency, OperationCounts, Ratio, Run, RunKind, ScenarioResult, ScenarioStatus, WorkCount
from tests.harness import gates

GROUPS = [f"group {n}" for n in range(6)]
Change = Callable[[int, Run], Run]


def noisy(rng: random.Random, common: float = 1.0, *, groups: Sequence[str] = GROUPS, slower: float = 1.0) -> ScenarioResult:
    """Return a result with a ratio and times per group, with the noise of its processes; the first arm's are `slower`."""
    latencies, ratios = [], []
    for group in groups:
        for arm in gates.ARMS:
            factor = common * math.exp(rng.gauss(0, 0.02)) * (slower if (arm, group) == ("optimised", groups[0]) else 1.0)
            ns = 1e6 * factor
            interval, medians_ns = (ns / 1.03, ns * 1.03), [ns * math.exp(rng.gauss(0, 0.02)) for _ in range(5)]
            percentiles_ns = {"50": ns, "90": ns * 1.5, "95": ns * 2, "99": None}
            intervals_ns = {"50": interval, "95": (ns * 1.9, ns * 2.1)}
            latencies.append(Latency(arm, group, 90, ns, 1, 9, percentiles_ns, medians_ns, intervals_ns))
        processes = [2 * math.exp(rng.gauss(0, 0.02)) / (slower if group == groups[0] else 1.0) for _ in range(5)]
        ratio = math.exp(sum(map(math.log, processes)) / 5)
        ratios.append(Ratio("optimised", group, ratio, ratio / 1.025, ratio * 1.025, processes, 90))
    return gates.result(latencies=latencies, ratios=ratios)


def collected(runs: Iterable[Run], *, same_code: Iterable[int] = ()) -> CollectedRuns:
    """Return runs in their order, each of its own code, but those at the positions `same_code` of the code before."""
    again, found, code = set(same_code), list[CollectedRun](), -1
    for place, run in enumerate(runs):
        code += place not in again
        found.append(CollectedRun(slim(replace(run, commit=f"{code:07x}")), f"run {place}", code))
    return CollectedRuns(found, [])


def shown(runs: Iterable[Run], **options: object) -> History:
    """Return the history of runs of different code."""
    return history(collected(runs, **options))  # type: ignore[arg-type]


def steps(found: History, kind: FigureKind | None = None) -> list[tuple[FigureHistory, HistoryStep]]:
    """Return all steps of figures of a kind."""
    return [(figure, step) for s in found.scenarios for figure, step in s.steps if kind in {None, figure.kind}]


def counts(*values: float, exact: bool = True, metric: str = "statements") -> list[Run]:
    """Return runs with one work count each."""
    made = [WorkCount("optimised", gates.GROUP, metric, value, repeats_exactly=exact) for value in values]
    return [gates.run(gates.result(latencies=[], work_counts=[count])) for count in made]


def test_a_work_count_steps_where_it_differs() -> None:
    """At the first run that has the other value; both values, the direction and the reason are known."""
    found = shown(counts(3, 3, 3, 22, 22, 2))
    (figure,) = found.scenarios[0].figures
    assert [(step.before_run, step.run, step.before, step.after, step.better) for step in figure.steps] == [
        (2, 3, 3.0, 22.0, False),
        (4, 5, 22.0, 2.0, True),
    ]
    assert figure.steps[0].evidence == "more, counted exactly"
    assert found.stepped == [3, 5]


@given(st.floats(0, 1e9), st.integers(1, 30))
def test_a_count_that_stays_never_steps(value: float, number: int) -> None:
    """Whatever it is, 0 included."""
    assert steps(shown(counts(*[value] * number))) == []


def test_a_count_that_does_not_repeat_within_runs_steps_beyond_its_tolerance_only() -> None:
    """One that is marked as inexact varies by nature, and if it always was, nothing is judged."""
    assert steps(shown(counts(100, 101, 99, 100, metric="python_calls"))) == []
    (step,) = [step for _, step in steps(shown(counts(100, 101, 130, 131, metric="python_calls")))]
    assert step.run == 2
    assert steps(shown(counts(100, 140, 90, exact=False))) == []


def test_a_count_that_differs_between_runs_of_one_commit_never_steps() -> None:
    """It does not repeat, whatever it states: neither there nor elsewhere on its line."""
    assert steps(shown(counts(3, 4, 9, 9), same_code=[1])) == []
    assert [step.run for _, step in steps(shown(counts(3, 3, 9, 9), same_code=[1, 3]))] == [2]


def test_a_count_of_which_more_is_better_rises_for_the_better() -> None:
    """Such as hits of a cache."""
    ((_, step),) = steps(shown(counts(3, 9, metric="cache_hits")))
    assert step.better is True


def test_a_missing_scenario_is_a_gap_and_the_next_value_is_compared_with_the_last_one() -> None:
    """A run that lacks it does not hide a step."""
    runs = [*counts(3), gates.run(gates.result("other", latencies=[], work_counts=[])), *counts(5)]
    found = shown(runs)
    ((figure, step),) = steps(found)
    assert (step.before_run, step.run) == (0, 2)
    assert [point.run for point in figure.lines[0].points] == [0, 2]
    assert [scenario.runs for scenario in found.scenarios] == [2, 1]


def test_other_data_begins_another_line_without_a_step() -> None:
    """More rows are more work, and not a change of the code."""
    small, large = counts(3, 30)
    large = replace(large, scenarios=[replace(large.scenarios[0], dataset={"digest": "more"})])
    found = shown([small, small, large, large])
    (figure,) = found.scenarios[0].figures
    assert figure.steps == []
    assert [[point.run for point in line.points] for line in figure.lines] == [[0, 1], [2, 3]]
    assert "the data differ" in found.scenarios[0].work_lines[1]


def test_another_machine_begins_another_line_of_times_only() -> None:
    """Work counts go on, and step also between machines."""
    rng, runs = random.Random(1), []
    for place in range(8):
        result = replace(
            noisy(rng, 1.0 if place < 4 else 3.0), work_counts=counts(3 if place < 6 else 4)[0].scenarios[0].work_counts
        )
        runs.append(gates.run(result, environment={"python": "CPython 3.11.7", "cpu": "EPYC" if place < 4 else "Xeon"}))
    found = shown(runs)
    ((figure, step),) = steps(found)
    assert (figure.kind, step.run) == (FigureKind.WORK, 6)
    assert found.scenarios[0].time_lines[1] == "another machine or interpreter: cpu EPYC and Xeon"
    assert len(found.scenarios[0].work_lines) == 1


def test_a_ratio_and_its_times_step_together() -> None:
    """One arm of one group became three times as slow: nothing else is marked."""
    rng = random.Random(2)
    found = shown(gates.run(noisy(rng, slower=1.0 if place < 6 else 3.0)) for place in range(12))
    marked = {(figure.kind, figure.arm, figure.group, figure.metric): step for figure, step in steps(found)}
    assert marked.keys() == {
        (FigureKind.RATIO, "optimised", GROUPS[0], "ratio"),
        (FigureKind.TIME, "optimised", GROUPS[0], "p50"),
        (FigureKind.TIME, "optimised", GROUPS[0], "p95"),
    }
    assert {(step.run, step.better) for step in marked.values()} == {(6, False)}
    ratio = marked[FigureKind.RATIO, "optimised", GROUPS[0], "ratio"]
    assert ratio.low is not None
    assert ratio.high is not None
    assert ratio.low < 1 / 3 < ratio.high < 1
    assert ratio.before == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("seed", range(6))
def test_nothing_steps_on_noise_busy_runs_and_slow_drift(seed: int) -> None:
    """Identical code over 20 runs: the machine's speed wanders, and every fifth run it is busy and half as fast."""
    rng, drift, runs = random.Random(seed), 0.0, []
    for _ in range(20):
        drift = 0.8 * drift + rng.gauss(0, 0.08)
        runs.append(gates.run(noisy(rng, math.exp(drift) * (2 if rng.random() < 0.2 else 1))))
    assert steps(shown(runs)) == []


def test_times_that_change_only_in_common_are_a_warning() -> None:
    """The machine became slower for good, or the code all of it: neither is shown by separate runs."""
    rng = random.Random(3)
    found = shown(gates.run(noisy(rng, 1.0 if place < 6 else 2.0)) for place in range(12))
    assert steps(found) == []
    (warning,) = found.warnings
    assert warning.name == "all times shifted at 0000006"
    assert "changed only as all times of the run did" in warning.message


def test_two_runs_show_a_ratio_and_no_time() -> None:
    """A stored time needs runs that show how far separate runs differ."""
    rng = random.Random(4)
    found = shown([gates.run(noisy(rng)), gates.run(noisy(rng, slower=4.0))])
    assert {figure.kind for figure, _ in steps(found)} == {FigureKind.RATIO}


def test_a_single_run_is_a_history_without_steps() -> None:
    """Every figure has its point."""
    found = shown([gates.run(noisy(random.Random(5)))])
    assert steps(found) == []
    assert {len(line.points) for figure in found.scenarios[0].figures for line in figure.lines} == {1}
    assert found.tests == 0


def test_engines_and_rtts_are_kept_apart() -> None:
    """The same scenario at another RTT is another scenario's history."""
    results = [gates.result(), gates.result(engine="postgres"), gates.result(engine="postgres", rtt_ms=5.0)]
    found = shown([gates.run(*results), gates.run(*results)])
    assert [scenario.place for scenario in found.scenarios] == ["sqlite", "postgres", "postgres, RTT 5 ms"]


def test_an_interrupted_scenario_is_shown_as_such() -> None:
    """Its points are partial, and the run has a remark; so do failures, previews and runs without a commit."""
    cut = gates.run(gates.result(status=ScenarioStatus.INTERRUPTED), interrupted=True)
    failed = gates.run(gates.result(status=ScenarioStatus.FAILED, latencies=[], work_counts=[]), dirty=True)
    found = shown([gates.run(), cut, failed])
    (figure, *_) = found.scenarios[0].figures
    assert [point.partial for point in figure.lines[0].points] == [False, True]
    assert [run.remarks for run in found.runs] == [
        (),
        ("was interrupted in indexes · sqlite",),
        ("has uncommitted changes", "failed: indexes · sqlite"),
    ]
    preview = replace(gates.run(settings=replace(gates.SETTINGS, quick=True)), commit=None)
    (run,) = history(CollectedRuns([CollectedRun(slim(preview), "x")], [])).runs
    assert run.remarks == ("names no commit", "is a preview (--quick)")
    assert run.label == preview.name


def metric(value: float, *, less_is_better: bool | None = None) -> Run:
    """Return a run of another tool's file with one figure that is not a time."""
    figure = FileMetric("baseline", "size", "bytes", None, None, value, None, None, {}, less_is_better)
    return gates.run(gates.result("tool", engine="", latencies=[], work_counts=[], metrics=[figure]), kind=RunKind.FILE)


def test_figures_of_other_tools_step_for_better_or_worse() -> None:
    """Where the better direction is unknown, they only change; one that is 0 is drawn and not tested."""
    for direction, better in ((None, None), (True, False), (False, True)):
        found = shown(metric(value, less_is_better=direction) for value in [100.0] * 5 + [300.0] * 5)
        ((figure, step),) = steps(found)
        assert (figure.arm, figure.unit, step.run, step.better) == ("", "bytes", 5, better)
    found = shown(metric(value) for value in [0.0] * 5 + [300.0] * 5)
    assert steps(found) == []
    assert len(found.scenarios[0].figures[0].lines[0].points) == 10


def failing(run: Run, share: float, arm: str = "baseline") -> Run:
    """Return a run in which a share of an arm's operations failed, in the first group."""
    count = OperationCounts(arm, GROUPS[0], 1000, round(1000 * share))
    return replace(run, scenarios=[replace(run.scenarios[0], operations=[count])])


def test_times_of_failing_operations_are_no_evidence() -> None:
    """They are shown as partial, with a remark; of a failing baseline, no ratio is one either."""
    rng = random.Random(6)
    plain = [gates.run(noisy(rng, slower=1.0 if place < 6 else 3.0)) for place in range(12)]
    found = shown(run if place < 6 else failing(run, 0.5, "optimised") for place, run in enumerate(plain))
    assert steps(found) == []
    (figure,) = [f for f in found.scenarios[0].figures if (f.arm, f.group, f.metric) == ("optimised", GROUPS[0], "p50")]
    assert [point.partial for point in figure.lines[0].points] == [False] * 6 + [True] * 6
    assert found.runs[-1].remarks == ("operations failed in group 0",)
    found = shown(run if place < 6 else failing(run, 0.5) for place, run in enumerate(plain))
    assert {figure.kind for figure, _ in steps(found)} == {FigureKind.TIME}
    found = shown(failing(run, 0.001, "optimised") for run in plain)
    assert len(steps(found)) == 3


@given(st.lists(st.sampled_from([0.0, -1.0, 1e-300, 1.0, 5.0, 1e300, math.inf, math.nan]), min_size=1, max_size=12))
def test_no_value_breaks_the_history(values: list[float]) -> None:
    """Zeros, negative, extreme and missing figures are shown, or left out if they are not finite."""
    found = shown([metric(value) for value in values])
    drawn = [p.value for s in found.scenarios for f in s.figures for line in f.lines for p in line.points]
    assert drawn == [value for value in values if math.isfinite(value)]
    shown(counts(*values))


def test_scenarios_and_benchmarks_are_selected_by_name() -> None:
    """A pattern that matches nothing is an error."""
    runs = collected([gates.run(gates.result("indexes"), gates.result("caching")), metric(3.0)])
    assert [s.name for s in history(runs, Selection(["cach*"])).scenarios] == ["caching"]
    assert [s.name for s in history(runs, Selection(["size"])).scenarios] == ["tool"]
    assert [s.name for s in history(runs, Selection([], ["size"])).scenarios] == ["indexes", "caching"]
    with pytest.raises(UsageError, match="no scenario or benchmark matches 'nothing'"):
        history(runs, Selection(["nothing"]))


def test_the_drift_can_be_set() -> None:
    """A machine that is known to be quiet shows smaller changes of times."""
    runs = [metric(value) for value in [100.0] * 6 + [115.0] * 6]
    assert steps(history(collected(runs))) == []
    assert len(steps(history(collected(runs), drift=0.05))) == 1
