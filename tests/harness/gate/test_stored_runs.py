"""Gates on stored runs: the verdict on the whole, and stored times."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.gate.selection import Selection
from harness.gate.stored_runs import MIN_CHANGE, SUITE, gate, limit_log, refused, stored_times
from harness.results.gate import GateVerdict, RowKind
from harness.results.run import AA_CONTROL, ArmResult, Run, RunWarning, ScenarioResult, WorkCount
from tests.harness.gates import GROUP, SETTINGS, add, latency, result, run


def verdict(base: Run, candidate: Run) -> tuple[str, int]:
    """Return the gate's verdict and exit code."""
    found = gate(base, candidate)
    return found.verdict, found.exit_code


def test_the_same_work_passes_and_times_within_the_drift_are_not_judged() -> None:
    """Equal counts decide; the sentence counts the times that could not be judged."""
    found = gate(run(), run(result(slower=1.2), started_at="later"))
    assert (found.verdict, found.exit_code) == (GateVerdict.EQUIVALENT, 0)
    assert found.sentence == "4 work counts equal; 2 times could not be judged"
    assert found.counts == {"equal": 5, "not judged": 2}
    assert found.warnings == []


@given(
    counts=st.lists(st.integers(0, 10**9), min_size=1, max_size=6),
    place=st.integers(0, 5),
    speed=st.floats(0.6, 1.6),
    more=st.integers(1, 10**6),
)
def test_one_count_more_is_always_found(counts: list[int], place: int, speed: float, more: int) -> None:
    """One count more is a regression and one less an improvement, whatever the other counts and times are."""
    figures = [WorkCount("baseline", GROUP, f"metric_{i}", float(n)) for i, n in enumerate(counts)]
    changed = figures[place % len(figures)]
    before = run(add(result(), *figures))
    for by, expected in ((more, GateVerdict.REGRESSED), (-more, GateVerdict.IMPROVED)):
        other = [replace(e, value=e.value + by) if e is changed else e for e in figures]
        found = gate(before, run(add(result(slower=1 / speed if by > 0 else 1.0), *other)))
        assert found.verdict == expected
        assert [row.metric for row in found.rows if row.verdict == expected and row.kind == RowKind.WORK] == [changed.metric]


@given(st.lists(st.tuples(st.integers(0, 10**9), st.booleans()), min_size=1, max_size=8), st.floats(0.55, 1.8))
def test_the_same_counts_are_never_an_alarm(counts: list[tuple[int, bool]], speed: float) -> None:
    """Equal counts pass whether or not they repeat exactly, and whatever the machine does within its drift."""
    figures = [WorkCount("baseline", GROUP, f"metric_{i}", float(n), repeats_exactly=r) for i, (n, r) in enumerate(counts)]
    found = gate(run(add(result(), *figures)), run(add(result(slower=speed), *figures)))
    assert found.exit_code == 0
    assert GateVerdict.REGRESSED not in {row.verdict for row in found.rows}


@pytest.mark.parametrize(
    ("candidate", "sentence"),
    [
        (run(result(statements=4)), "2 work counts regressed"),
        (run(result(statements=4, steps=50)), "2 work counts regressed"),
        (run(result(status="failed", error="arms disagree\non case 7")), "1 scenario or arm regressed"),
        (run(result("other"), result(slower=9.0)), "2 times regressed"),
        (run(result(statements=4), interrupted=True), "2 work counts regressed"),
    ],
)
def test_a_regression_takes_precedence(candidate: Run, sentence: str) -> None:
    """A missing scenario, an improvement or an interruption does not hide a regression."""
    found = gate(run(result(), result("loading")), candidate)
    assert (found.verdict, found.exit_code) == (GateVerdict.REGRESSED, 1)
    assert found.sentence == sentence


def test_less_work_is_an_improvement() -> None:
    """Less work exits with 0 where nothing regressed."""
    assert verdict(run(), run(result(steps=99))) == (GateVerdict.IMPROVED, 0)


@pytest.mark.parametrize(
    "candidate",
    [
        run(result("indices")),
        run(scenarios=[]),
        run(result(engine="postgres")),
        run(result(work_counts=[], latencies=[], memory=[])),
        run(settings=replace(SETTINGS, size="tiny")),
        run(settings=replace(SETTINGS, seed=1)),
        run(settings=replace(SETTINGS, quick=True)),
        run(schema_version=99),
        run(kind="load"),
        run(result(dataset={"digest": "other"})),
        run(result(engine_settings={"sqlite": "3.45.0"})),
        run(environment={"python": "CPython 3.11.7", "sqlalchemy": "2.1.0"}),
        run(result(status="not run", error="no server here")),
    ],
)
def test_what_cannot_be_compared_never_passes(candidate: Run) -> None:
    """It exits with 4, and states the reason and a remedy."""
    found = gate(run(), candidate)
    assert (found.verdict, found.exit_code) == (GateVerdict.NOT_COMPARABLE, 4)
    assert all(reason.message and reason.remedy for reason in found.incomparable)
    assert found.incomparable
    assert found.incomparable[0].message in found.sentence


def test_no_figure_in_common_is_no_pass() -> None:
    """Two runs without a common figure are not comparable."""
    bare = result(work_counts=[], latencies=[], memory=[])
    assert verdict(run(bare), run(bare)) == (GateVerdict.NOT_COMPARABLE, 4)
    assert verdict(run(scenarios=[]), run(scenarios=[])) == (GateVerdict.NOT_COMPARABLE, 4)


def test_times_alone_within_the_drift_are_inconclusive() -> None:
    """Without work counts, only a change beyond the drift decides."""
    assert verdict(run(result(work_counts=[])), run(result(work_counts=[]))) == (GateVerdict.INCONCLUSIVE, 3)
    assert verdict(run(result(work_counts=[])), run(result(work_counts=[], slower=0.1))) == (GateVerdict.IMPROVED, 0)
    assert verdict(run(result(work_counts=[])), run(result(work_counts=[], slower=10.0))) == (GateVerdict.REGRESSED, 1)
    assert verdict(run(result(work_counts=[], latencies=[])), run(result(work_counts=[], latencies=[]))) == (
        GateVerdict.INCONCLUSIVE,
        3,
    )


def test_an_interrupted_candidate_is_inconclusive() -> None:
    """Its results are judged; scenarios it did not reach do not count as missing."""
    both = run(result(), result("loading"))
    assert verdict(both, run(interrupted=True)) == (GateVerdict.INCONCLUSIVE, 3)
    assert verdict(both, run(result(), result("loading", status="interrupted", work_counts=[]), interrupted=True)) == (
        GateVerdict.INCONCLUSIVE,
        3,
    )
    assert verdict(run(interrupted=True), run()) == (GateVerdict.NOT_COMPARABLE, 4)


def test_a_failed_baseline_is_not_comparable() -> None:
    """A baseline that failed cannot be compared with."""
    assert verdict(run(result(status="failed", error="arms disagree")), run()) == (GateVerdict.NOT_COMPARABLE, 4)


def test_a_new_scenario_or_arm_is_a_warning() -> None:
    """What the baseline lacks is not gated."""
    wider = result(arms=[ArmResult("baseline", ""), ArmResult("optimised", ""), ArmResult("proposed", "")])
    found = gate(run(), run(wider, result("loading")))
    assert found.exit_code == 0
    assert [warning.name for warning in found.warnings] == ["new scenarios", "new in indexes · sqlite", "the same run"][:2]


def test_a_shift_of_all_times_is_charged_to_no_single_time_and_does_not_pass_if_it_is_large() -> None:
    """A slower suite raises a warning, and a much slower one is inconclusive: it may be the machine or the code."""
    suites = [run(*(result(f"s{i}", slower=slower * (1 + i / 100)) for i in range(6))) for slower in (1.0, 1.3, 4.0)]
    slower = gate(suites[0], suites[1])
    assert (slower.verdict, [d.name for d in slower.warnings]) == (GateVerdict.EQUIVALENT, ["all times shifted"])
    assert verdict(suites[0], suites[2]) == (GateVerdict.INCONCLUSIVE, 3)
    assert verdict(suites[2], suites[0]) == (GateVerdict.EQUIVALENT, 0)
    single = [
        replace(r, latencies=[latency("baseline", medians_ns=(9e7, 9e7, 9e7))]) if r.name == "s3" else r
        for r in suites[0].scenarios
    ]
    assert verdict(suites[0], run(*single)) == (GateVerdict.REGRESSED, 1)


def test_on_another_machine_or_interpreter_work_counts_decide() -> None:
    """Times from another CPU or Python are not judged, however far apart; counts of statements are."""
    there = {"python": "CPython 3.12.1", "cpu": "Xeon", "sqlalchemy": "2.0.40"}
    found = gate(run(), run(result(slower=50.0), environment=there))
    assert (found.verdict, found.exit_code) == (GateVerdict.EQUIVALENT, 0)
    reasons = {row.reason for row in found.rows if row.kind == RowKind.TIME}
    assert reasons == {"another machine or interpreter: cpu EPYC and Xeon, python CPython 3.11.7 and CPython 3.12.1"}
    assert verdict(run(), run(result(statements=4), environment=there)) == (GateVerdict.REGRESSED, 1)


def test_calls_of_another_python_are_not_comparable() -> None:
    """Another version of the interpreter makes different calls for the same code."""
    calls = add(result(), WorkCount("baseline", GROUP, "calls", 1337.0), WorkCount("baseline", GROUP, "instructions", 9e6))
    there = {"python": "CPython 3.12.1", "cpu": "EPYC", "sqlalchemy": "2.0.58"}
    found = gate(run(calls), run(calls, environment=there))
    assert found.exit_code == 4
    assert found.incomparable[0].name == "indexes · sqlite: 2 figures"
    patch = there | {"python": "CPython 3.11.9"}
    assert [
        row.metric for row in gate(run(calls), run(calls, environment=patch)).rows if row.verdict == GateVerdict.NOT_COMPARABLE
    ] == ["instructions"]


def test_a_missing_count_is_named() -> None:
    """A count that the candidate lacks is not comparable, since it no longer guards anything."""
    found = gate(run(), run(replace(result(), work_counts=result().work_counts[:-1])))
    assert found.exit_code == 4
    assert found.sentence == "indexes · sqlite: 1 count of vm steps is missing in the candidate"


def test_a_scenario_without_work_counts_is_a_warning() -> None:
    """Its times do not decide where other scenarios have work counts."""
    bare = result("loading", work_counts=[])
    found = gate(run(result(), bare), run(result(), bare))
    assert found.exit_code == 0
    assert (
        RunWarning(
            "not guarded",
            "no work count guards loading · sqlite",
            "time both versions interleaved: harness gate --against REF",
        )
        in found.warnings
    )


def test_warnings_of_the_runs_and_unsteady_counts_are_reported() -> None:
    """The result has a run's own warnings, and one about counts that changed without being judged."""
    noisy = [replace(e, repeats_exactly=False) for e in result().work_counts]
    warning = RunWarning("A/A control", "5 of 9 controls differ from 1", "run again")
    found = gate(run(replace(result(), work_counts=noisy), warnings=[warning]), run(result(steps=200)))
    names = {d.name: d.message for d in found.warnings}
    assert names["A/A control, before"] == warning.message
    assert names["unsteady counts"] == "2 counts of vm steps changed, but did not repeat within the baseline either"


def test_a_project_overrides_a_scenario_s_tolerance() -> None:
    """The share in pyproject.toml applies, else the candidate's, else none."""
    more = run(result(steps=110, tolerances={"vm_steps": 0.2}))
    assert verdict(run(), more) == (GateVerdict.EQUIVALENT, 0)
    assert gate(run(), more, {"indexes.vm_steps": 0.05}).exit_code == 1
    assert gate(run(), more, {"other.vm_steps": 0.05}).exit_code == 0
    for share in (-0.1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match=r"indexes\.py: tolerance \S+ of 'vm_steps' is not a share"):
            gate(run(), run(result(tolerances={"vm_steps": share})))


def test_only_some_scenarios_can_be_compared() -> None:
    """A glob selects scenarios, such as the one of a run whose baseline has all; a glob without a match is refused."""
    both = run(result(), result("loading"))
    assert gate(both, run(), selection=Selection(["index*"])).exit_code == 0
    with pytest.raises(UsageError, match="no scenario matches 'x'; there are, for example, 'indexes', 'loading'"):
        gate(both, run(), selection=Selection(["x"]))


def test_a_refused_comparison_is_a_result() -> None:
    """Its exit code is 4, and reports can show it."""
    assert refused("a", "b", "other tools").exit_code == 4


def timed(*medians_ns: float, arm: str = "baseline") -> ScenarioResult:
    """Return a result with one arm's times."""
    return result(latencies=[latency(arm, medians_ns=medians_ns)])


def time_verdict(before: ScenarioResult, after: ScenarioResult) -> str:
    """Return the verdict on the only time."""
    (row,) = stored_times([(before, after)], "").rows
    return row.verdict


def test_a_change_counts_beyond_the_drift_and_with_intervals_apart() -> None:
    """A time is judged if it changed beyond the drift and the intervals are apart, in either direction."""
    old = timed(10.0, 10.1, 9.9)
    assert time_verdict(old, timed(20.0, 20.1, 19.9)) == "regressed"
    assert time_verdict(old, timed(5.0, 5.1, 4.9)) == "improved"
    assert time_verdict(old, timed(12.0, 12.1, 11.9)) == GateVerdict.NOT_JUDGED
    assert time_verdict(old, timed(20.0, 2.0, 200.0)) == GateVerdict.NOT_JUDGED


@pytest.mark.parametrize(
    ("medians_ns", "reason"),
    [
        ((50.0,), "one process cannot show the drift"),
        ((), "baseline or candidate has no time above 0"),
        ((0.0, 0.0, -1.0), "baseline or candidate has no time above 0"),
        ((math.nan, math.inf), "baseline or candidate has no time above 0"),
        ((math.nan, 50.0), "one process cannot show the drift"),
    ],
)
def test_a_time_without_evidence_is_not_judged(medians_ns: tuple[float, ...], reason: str) -> None:
    """One process, none, zero, or not a number, in either run, is not judged."""
    good, bad = timed(10.0, 10.1, 9.9), timed(*medians_ns)
    for sides in ((good, bad), (bad, good)):
        (row,) = stored_times([sides], "").rows
        assert (row.verdict, row.reason) == (GateVerdict.NOT_JUDGED, reason)


def test_the_numbers_of_processes_may_differ() -> None:
    """Two processes against seven are not judged within the drift, and are beyond it."""
    many, few = timed(*(10 + i / 10 for i in range(7))), timed(10.2, 10.4)
    assert time_verdict(many, few) == time_verdict(few, many) == GateVerdict.NOT_JUDGED
    assert time_verdict(many, timed(30.0, 30.3)) == "regressed"


def test_untimed_groups_and_the_control_are_not_judged() -> None:
    """A group that the candidate did not time is not judged, and the A/A control has no row."""
    (row,) = stored_times([(timed(1.0, 2.0), result(latencies=[]))], "").rows
    assert row.reason == "not timed in the candidate (ok)"
    control = timed(1.0, 1.0, arm=AA_CONTROL)
    assert stored_times([(control, control)], "").rows == []


@given(number=st.integers(0, 10_000), spread=st.floats(0, 2))
def test_the_limit_grows_with_the_number_of_times_and_their_scatter(number: int, spread: float) -> None:
    """The limit grows with both, and is never below the smallest change that counts."""
    assert limit_log(number, spread) >= math.log(1 + MIN_CHANGE)
    assert limit_log(number + 1, spread) >= limit_log(number, spread)
    assert limit_log(number, spread + 0.1) >= limit_log(number, spread)


def suite(seed: int, *, scatter: float, shift: float, times_of: int = 24) -> list[ScenarioResult]:
    """Return results whose times scatter by process and by run, the latter as a log sd, and shift together."""
    draw = np.random.default_rng(seed)
    centres = np.exp(draw.normal(shift, scatter, times_of)) * 1e6
    return [timed(*(centre * np.exp(draw.normal(0, 0.02, 3)))) for centre in centres]


@pytest.mark.parametrize(("scatter", "shift"), [(0.0, 0.0), (0.075, 0.0), (0.25, 0.0), (0.075, 0.3), (0.2, -0.5)])
def test_the_same_code_raises_no_alarm_whatever_the_machine_does(scatter: float, shift: float) -> None:
    """Of 50 comparisons of 24 times that drift as stated or more, alone or together, at most two raise an alarm."""
    alarms = 0
    for seed in range(50):
        before, after = suite(2 * seed, scatter=scatter, shift=0.0), suite(2 * seed + 1, scatter=scatter, shift=shift)
        alarms += any(row.verdict != GateVerdict.NOT_JUDGED for row in stored_times(list(zip(before, after, strict=True)), "").rows)
    assert alarms <= 2


def test_a_time_that_exceeds_a_common_shift_is_found() -> None:
    """All times are 1.35 times slower and one is six times: only that one regressed."""
    before, after = suite(1, scatter=0.05, shift=0.0), suite(2, scatter=0.05, shift=0.3)
    after[7] = replace(after[7], latencies=[latency(medians_ns=(9e6, 9.1e6, 9.2e6))])
    found = stored_times(list(zip(before, after, strict=True)), "")
    assert [row.verdict for row in found.rows].index(GateVerdict.REGRESSED) == 7
    assert [row.verdict for row in found.rows].count(GateVerdict.REGRESSED) == 1
    assert "became at least 1.3" in found.warnings[0].message
    assert not found.all_slower


def test_few_times_are_not_a_suite() -> None:
    """Their common shift cannot be measured, so a large one is allowed for, and times beyond it count."""
    few = [(timed(10.0, 10.1), timed(15.0, 15.1))] * (SUITE - 1)
    assert {row.verdict for row in stored_times(few, "").rows} == {GateVerdict.NOT_JUDGED}
    few = [(timed(10.0, 10.1), timed(30.0, 30.1))] * (SUITE - 1)
    assert {row.verdict for row in stored_times(few, "").rows} == {"regressed"}
    assert stored_times(few, "").warnings == []
    assert stored_times([*few, few[0]], "").all_slower


def test_no_time_of_another_machine_is_judged() -> None:
    """Times from another machine keep their change and state the reason."""
    (row,) = stored_times([(timed(1.0, 1.1), timed(9.0, 9.1))], "another machine: cpu").rows
    assert (row.verdict, row.reason) == (GateVerdict.NOT_JUDGED, "another machine: cpu")
    assert row.change == pytest.approx(9.05 / 1.05)
