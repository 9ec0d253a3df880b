"""The verdict of the whole: what makes a gate red, green, inconclusive or not comparable."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.gate.stored_runs import gate, of_files, refused
from harness.results.gate import GateVerdict
from harness.results.run import (
    ArmResult,
    Latency,
    PromiseVerdict,
    Run,
    RunKind,
    RunWarning,
    ScenarioResult,
    ScenarioStatus,
    Verdict,
    WorkCount,
)
from tests.harness.gates import GROUP, SETTINGS, add, latency, result, run


def verdict(base: Run, candidate: Run) -> tuple[str, int]:
    """What the gate says."""
    found = gate(base, candidate)
    return found.verdict, found.exit_code


def test_the_same_work_passes_and_says_which_times_it_could_not_judge() -> None:
    """A/A: other times within the drift, the same counts."""
    found = gate(run(), run(result(slower=1.2), started_at="later"))
    assert (found.verdict, found.exit_code) == (GateVerdict.EQUIVALENT, 0)
    assert found.sentence == "4 exact figures equal; 2 times could not be judged"
    assert found.counts == {"equal": 5, "not judged": 2}
    assert found.warnings == []


@given(
    counts=st.lists(st.integers(0, 10**9), min_size=1, max_size=6),
    place=st.integers(0, 5),
    speed=st.floats(0.6, 1.6),
    more=st.integers(1, 10**6),
)
def test_one_count_more_is_always_found(counts: list[int], place: int, speed: float, more: int) -> None:
    """However much else there is, and however the times are; one less is always an improvement."""
    figures = [WorkCount("baseline", GROUP, f"metric_{i}", float(n)) for i, n in enumerate(counts)]
    changed = figures[place % len(figures)]
    before = run(add(result(), *figures))
    for by, word in ((more, GateVerdict.REGRESSED), (-more, GateVerdict.IMPROVED)):
        other = [replace(e, value=e.value + by) if e is changed else e for e in figures]
        found = gate(before, run(add(result(slower=1 / speed if by > 0 else 1.0), *other)))
        assert found.verdict == word
        assert [row.metric for row in found.rows if row.verdict == word and row.kind == "exact"] == [changed.metric]


@given(st.lists(st.tuples(st.integers(0, 10**9), st.booleans()), min_size=1, max_size=8), st.floats(0.55, 1.8))
def test_the_same_counts_are_never_an_alarm(counts: list[tuple[int, bool]], speed: float) -> None:
    """Whether they repeat exactly or not, and whatever the machine does within its drift."""
    figures = [WorkCount("baseline", GROUP, f"metric_{i}", float(n), repeats_exactly=r) for i, (n, r) in enumerate(counts)]
    found = gate(run(add(result(), *figures)), run(add(result(slower=speed), *figures)))
    assert found.exit_code == 0
    assert {row.verdict for row in found.rows} <= set(GateVerdict)


@pytest.mark.parametrize(
    ("candidate", "says"),
    [
        (run(result(statements=4)), "2 exact figures regressed"),
        (run(result(statements=4, steps=50)), "2 exact figures regressed"),
        (run(result(status="failed", error="arms disagree\non case 7")), "1 scenario or arm regressed"),
        (run(result("other"), result(slower=9.0)), "2 times regressed"),
        (run(result(statements=4), interrupted=True), "2 exact figures regressed"),
    ],
)
def test_whatever_regressed_comes_before_all_else(candidate: Run, says: str) -> None:
    """A missing scenario, an improvement or an early end hides no regression."""
    found = gate(run(result(), result("loading")), candidate)
    assert (found.verdict, found.exit_code) == (GateVerdict.REGRESSED, 1)
    assert found.sentence == says


def test_less_work_is_an_improvement() -> None:
    """And ends with 0 where nothing regressed."""
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
    """Exit code 4, with the reason and what to do about it."""
    found = gate(run(), candidate)
    assert (found.verdict, found.exit_code) == (GateVerdict.NOT_COMPARABLE, 4)
    assert all(reason.message and reason.remedy for reason in found.incomparable)
    assert found.incomparable
    assert found.incomparable[0].message in found.sentence


def test_no_figure_in_common_is_no_pass() -> None:
    """Zero overlap: nothing was compared, and that is not good news."""
    bare = result(work_counts=[], latencies=[], memory=[])
    assert verdict(run(bare), run(bare)) == (GateVerdict.NOT_COMPARABLE, 4)
    assert verdict(run(scenarios=[]), run(scenarios=[])) == (GateVerdict.NOT_COMPARABLE, 4)


def test_times_alone_within_the_drift_are_inconclusive() -> None:
    """Where no work is counted, only a change beyond the drift says anything."""
    assert verdict(run(result(work_counts=[])), run(result(work_counts=[]))) == (GateVerdict.INCONCLUSIVE, 3)
    assert verdict(run(result(work_counts=[])), run(result(work_counts=[], slower=0.1))) == (GateVerdict.IMPROVED, 0)
    assert verdict(run(result(work_counts=[])), run(result(work_counts=[], slower=10.0))) == (GateVerdict.REGRESSED, 1)
    assert verdict(run(result(work_counts=[], latencies=[])), run(result(work_counts=[], latencies=[]))) == (
        GateVerdict.INCONCLUSIVE,
        3,
    )


def test_a_candidate_that_was_stopped_is_inconclusive() -> None:
    """What it has is judged; what it has not is no missing name."""
    both = run(result(), result("loading"))
    assert verdict(both, run(interrupted=True)) == (GateVerdict.INCONCLUSIVE, 3)
    assert verdict(both, run(result(), result("loading", status="interrupted", work_counts=[]), interrupted=True)) == (
        GateVerdict.INCONCLUSIVE,
        3,
    )
    assert verdict(run(interrupted=True), run()) == (GateVerdict.NOT_COMPARABLE, 4)


def test_a_baseline_that_failed_is_no_baseline() -> None:
    """There is nothing to compare with."""
    assert verdict(run(result(status="failed", error="arms disagree")), run()) == (GateVerdict.NOT_COMPARABLE, 4)


def test_a_new_scenario_or_arm_is_told_and_not_gated() -> None:
    """Nothing to compare with is no reason to be red."""
    wider = result(arms=[ArmResult("baseline", ""), ArmResult("optimised", ""), ArmResult("proposed", "")])
    found = gate(run(), run(wider, result("loading")))
    assert found.exit_code == 0
    assert [warning.name for warning in found.warnings] == ["new scenarios", "new in indexes · sqlite", "the same run"][:2]


def test_a_shift_of_everything_is_charged_to_no_single_time_and_does_not_pass_if_it_is_large() -> None:
    """The machine or the code: who could say? A slower machine is told, a much slower suite is inconclusive."""
    suites = [run(*(result(f"s{i}", slower=slower * (1 + i / 100)) for i in range(6))) for slower in (1.0, 1.3, 4.0)]
    slower = gate(suites[0], suites[1])
    assert (slower.verdict, [d.name for d in slower.warnings]) == (GateVerdict.EQUIVALENT, ["everything shifted"])
    assert verdict(suites[0], suites[2]) == (GateVerdict.INCONCLUSIVE, 3)
    assert verdict(suites[2], suites[0]) == (GateVerdict.EQUIVALENT, 0)
    single = [
        replace(r, latencies=[latency("baseline", medians_ns=(9e7, 9e7, 9e7))]) if r.name == "s3" else r
        for r in suites[0].scenarios
    ]
    assert verdict(suites[0], run(*single)) == (GateVerdict.REGRESSED, 1)


def test_another_machine_or_interpreter_leaves_exact_work_to_decide() -> None:
    """Times of another CPU or Python are not judged, however far apart, and counts of statements are."""
    there = {"python": "CPython 3.12.1", "cpu": "Xeon", "sqlalchemy": "2.0.40"}
    found = gate(run(), run(result(slower=50.0), environment=there))
    assert (found.verdict, found.exit_code) == (GateVerdict.EQUIVALENT, 0)
    reasons = {row.reason for row in found.rows if row.kind == "time"}
    assert reasons == {"another machine or interpreter: cpu EPYC and Xeon, python CPython 3.11.7 and CPython 3.12.1"}
    assert verdict(run(), run(result(statements=4), environment=there)) == (GateVerdict.REGRESSED, 1)


def test_calls_of_another_python_are_not_comparable() -> None:
    """They are the interpreter's own: the next one makes other calls for the same code."""
    calls = add(result(), WorkCount("baseline", GROUP, "calls", 1337.0), WorkCount("baseline", GROUP, "instructions", 9e6))
    there = {"python": "CPython 3.12.1", "cpu": "EPYC", "sqlalchemy": "2.0.58"}
    found = gate(run(calls), run(calls, environment=there))
    assert found.exit_code == 4
    assert found.incomparable[0].name == "indexes · sqlite: 2 figures"
    patch = there | {"python": "CPython 3.11.9"}
    assert [
        row.metric for row in gate(run(calls), run(calls, environment=patch)).rows if row.verdict == GateVerdict.NOT_COMPARABLE
    ] == ["instructions"]


def test_a_count_that_is_gone_is_named() -> None:
    """A probe that was dropped guards nothing any more."""
    found = gate(run(), run(replace(result(), work_counts=result().work_counts[:-1])))
    assert found.exit_code == 4
    assert found.sentence == "indexes · sqlite: 1 count of vm steps is missing in the candidate"


def test_a_scenario_without_exact_work_is_told() -> None:
    """Its times decide nothing beside others' exact work."""
    bare = result("loading", work_counts=[])
    found = gate(run(result(), bare), run(result(), bare))
    assert found.exit_code == 0
    assert (
        RunWarning(
            "not guarded",
            "no exact figure decides about loading · sqlite",
            "time both versions in turn: harness gate --against REF",
        )
        in found.warnings
    )


def test_warnings_about_the_runs_and_figures_that_do_not_repeat_are_passed_on() -> None:
    """An A/A control that was off, and counts that changed without being judged."""
    noisy = [replace(e, repeats_exactly=False) for e in result().work_counts]
    warning = RunWarning("A/A control", "5 of 9 controls differ from 1", "run again")
    found = gate(run(replace(result(), work_counts=noisy), warnings=[warning]), run(result(steps=200)))
    names = {d.name: d.message for d in found.warnings}
    assert names["A/A control, before"] == warning.message
    assert names["unsteady figures"] == "2 figures of vm steps changed that did not repeat in the baseline's own run either"


def test_a_project_goes_before_a_scenario_about_what_is_tolerated() -> None:
    """The share that stands in pyproject.toml, else the candidate's, else nothing."""
    more = run(result(steps=110, tolerances={"vm_steps": 0.2}))
    assert verdict(run(), more) == (GateVerdict.EQUIVALENT, 0)
    assert gate(run(), more, {"indexes.vm_steps": 0.05}).exit_code == 1
    assert gate(run(), more, {"other.vm_steps": 0.05}).exit_code == 0
    for share in (-0.1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match=r"indexes\.py: the tolerance of 'vm_steps' is"):
            gate(run(), run(result(tolerances={"vm_steps": share})))


def test_only_some_scenarios_can_be_compared() -> None:
    """A run of one scenario beside the baseline of all."""
    both = run(result(), result("loading"))
    assert gate(both, run(), only="index*").exit_code == 0
    with pytest.raises(UsageError, match="no scenario is named like 'x'; the baseline has indexes, loading"):
        gate(both, run(), only="x")


def test_files_of_another_tool_are_judged_by_their_times_alone() -> None:
    """Inconclusive is no pass, one regression is red, and only improvements beyond the drift are good."""

    def compared(*words: PromiseVerdict) -> Run:
        arms = [ArmResult("baseline", "before: old.json"), ArmResult("candidate", "after: new.json")]
        verdicts = [Verdict(f"t{i}", "", "candidate", w, "so", "×", value=0.5, low=0.4, high=0.6) for i, w in enumerate(words)]
        times = [Latency(a.name, v.promise, 9, 1.0, 1, 1, {}, [10.0 * n]) for n, a in enumerate(arms, 1) for v in verdicts]
        made = ScenarioResult(
            "comparison", "", "", "f", "hyperfine", 0.0, ScenarioStatus.OK, arms=arms, verdicts=verdicts, latencies=times
        )
        return run(made, kind=RunKind.COMPARISON)

    found = of_files(compared(PromiseVerdict.REGRESSED, PromiseVerdict.IMPROVED))
    assert (found.exit_code, found.base, found.candidate) == (1, "old.json", "new.json")
    row = found.rows[0]
    assert (row.base, row.candidate, row.change, row.unit, row.paired) == (10.0, 20.0, 2.0, "ns", False)
    assert row.low == pytest.approx(1 / 0.6)
    assert of_files(compared(PromiseVerdict.IMPROVED)).exit_code == 0
    assert of_files(compared(PromiseVerdict.IMPROVED, PromiseVerdict.INCONCLUSIVE)).exit_code == 3
    assert of_files(compared()).exit_code == 4


def test_what_does_not_go_together_is_a_result_too() -> None:
    """So that a reporter hears of it."""
    assert refused("a", "b", "other tools").exit_code == 4
