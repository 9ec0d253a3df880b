"""Gates on stored runs: the verdict on the whole, and stored times."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.gate.selection import Selection
from harness.gate.stored_runs import LARGE, SUITE, gate, refused, stored_times
from harness.gate.verdict import in_words
from harness.results.gate import GateResult, GateRow, GateVerdict, RowKind
from harness.results.load import ALL, LoadedArm
from harness.results.run import AA_CONTROL, ArmResult, Run, RunKind, RunWarning, ScenarioResult, WorkCount
from tests.harness.gates import GROUP, LOAD, SETTINGS, TIMES_NS, add, latency, loaded, result, run, under_load


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


@given(st.lists(st.tuples(st.integers(0, 10**9), st.booleans()), min_size=1, max_size=8), st.floats(0.02, 50.0))
def test_the_same_counts_are_never_an_alarm(counts: list[tuple[int, bool]], speed: float) -> None:
    """Equal counts pass whether or not they repeat exactly, and whatever the machine does meanwhile."""
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
        (run(result("other"), result(statements=4)), "2 work counts regressed"),
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


@pytest.mark.parametrize("slower", [0.01, 1.0, 3.25, 36.6])
def test_times_alone_are_inconclusive(slower: float) -> None:
    """Without work counts nothing decides, however much the times changed."""
    before = run(result(work_counts=[]))
    assert verdict(before, run(result(work_counts=[], slower=slower))) == (GateVerdict.INCONCLUSIVE, 3)
    untimed = run(result(work_counts=[], latencies=[]))
    assert verdict(untimed, untimed) == (GateVerdict.INCONCLUSIVE, 3)


@pytest.mark.parametrize("slower", [3.25, 8.8, 36.6])
def test_a_busy_machine_never_turns_the_gate_red(slower: float) -> None:
    """The same work passes whatever its times are; a large change is a warning with what to do."""
    found = gate(run(), run(result(slower=slower), started_at="later"))
    assert (found.verdict, found.exit_code) == (GateVerdict.EQUIVALENT, 0)
    assert {row.verdict for row in found.rows if row.kind == RowKind.TIME} == {GateVerdict.NOT_JUDGED}
    (warning,) = found.warnings
    assert warning.name == "large changes of stored times"
    assert f"indexes · sqlite · baseline · prompts · time {in_words(1 / slower)}" in warning.message
    assert "harness gate --against REF" in warning.remedy
    assert gate(run(result(slower=slower)), run()).exit_code == 0


@pytest.mark.parametrize("part", ["latencies", "work_counts"])
def test_the_arms_that_a_partial_run_lacks_are_named(part: str) -> None:
    """A scenario that was measured in part has figures of some arms and groups alone."""
    whole = result()
    kept: dict[str, Any] = {part: [figure for figure in getattr(whole, part) if figure.arm == "baseline"]}
    half = replace(whole, **kept)
    for found in (gate(run(half, finished_at=None), run(whole)), gate(run(whole), run(half, finished_at=None))):
        assert found.exit_code == 4
        assert found.incomparable[-1].message.endswith(" before it measured all of 'indexes · sqlite' (not optimised in prompts)")


@pytest.mark.parametrize("stopped", [{"interrupted": True}, {"finished_at": None}])
def test_a_partial_run_is_not_comparable(stopped: dict[str, object]) -> None:
    """Neither as the baseline nor as the candidate; what is missing is named, and a regression in the candidate still fails."""
    both, part = run(result(), result("loading")), run(result(), **stopped)
    empty = run(result(), result("loading", work_counts=[], latencies=[], memory=[]), **stopped)
    for partial in (part, empty):
        for found in (gate(partial, both), gate(both, partial)):
            assert (found.verdict, found.exit_code) == (GateVerdict.NOT_COMPARABLE, 4)
            assert found.sentence.endswith(" before it measured all of 'loading · sqlite'")
            assert len(found.incomparable) == 1
    assert gate(both, run(result(statements=4), **stopped)).exit_code == 1
    assert gate(both, replace(both, **stopped)).exit_code == 4  # type: ignore[arg-type]
    assert gate(both, part, allow_missing=True).exit_code == 4


def test_a_failed_baseline_is_not_comparable() -> None:
    """A baseline that failed cannot be compared with, and a candidate that fails as before has not regressed."""
    failed = run(result(status="failed", error="arms disagree"))
    for candidate in (run(), failed):
        found = gate(failed, candidate)
        assert (found.verdict, found.exit_code) == (GateVerdict.NOT_COMPARABLE, 4)
        assert "arms disagree" in found.sentence


def test_a_new_scenario_or_arm_is_a_warning() -> None:
    """What the baseline lacks is not gated."""
    wider = result(arms=[ArmResult("baseline", ""), ArmResult("optimised", ""), ArmResult("proposed", "")])
    found = gate(run(), run(wider, result("loading")))
    assert found.exit_code == 0
    assert [warning.name for warning in found.warnings] == ["new scenarios", "new in indexes · sqlite", "the same run"][:2]


def test_on_another_machine_or_interpreter_work_counts_decide() -> None:
    """Times from another CPU or Python are not judged, however far apart; counts of statements are."""
    there = {"python": "CPython 3.12.1", "cpu": "Xeon", "sqlalchemy": "2.0.40"}
    found = gate(run(), run(result(slower=50.0), environment=there))
    assert (found.verdict, found.exit_code) == (GateVerdict.EQUIVALENT, 0)
    reasons = {row.reason for row in found.rows if row.kind == RowKind.TIME}
    assert reasons == {"another machine or interpreter: cpu EPYC and Xeon, python CPython 3.11.7 and CPython 3.12.1"}
    assert [warning.name for warning in found.warnings] == ["another machine or version"]
    assert verdict(run(), run(result(statements=4), environment=there)) == (GateVerdict.REGRESSED, 1)


def test_calls_of_another_python_are_not_comparable() -> None:
    """Another version of the interpreter makes different calls for the same code."""
    calls = add(result(), WorkCount("baseline", GROUP, "calls", 1337.0), WorkCount("baseline", GROUP, "instructions", 9e6))
    there = {"python": "CPython 3.12.1", "cpu": "EPYC", "sqlalchemy": "2.0.58"}
    found = gate(run(calls), run(calls, environment=there))
    assert found.exit_code == 4
    assert found.incomparable[0].name == "indexes · sqlite: 2 figures"
    patch = there | {"python": "CPython 3.11.9"}
    found = gate(run(calls), run(calls, environment=patch, started_at="later"))
    assert (found.exit_code, [warning.name for warning in found.warnings]) == (0, ["another machine or version"])
    (row,) = [row for row in found.rows if row.verdict == GateVerdict.NOT_JUDGED and row.kind == RowKind.WORK]
    assert (row.metric, row.reason) == ("instructions", "python CPython 3.11.7 and CPython 3.11.9")


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
    assert names["unsteady counts"] == "2 counts of vm steps changed, but did not repeat in one of the two versions"


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
    """Names and globs select scenarios and leave some out; one without a match is refused."""
    both = run(result(), result("loading"))
    for selection in (Selection(["index*"]), Selection(["indexes"]), Selection(excluded=["loading"]), Selection(["*"], ["load*"])):
        assert gate(both, run(), selection=selection).exit_code == 0
    assert gate(both, both, selection=Selection(["indexes", "loading"])).sentence.startswith("8 work counts equal")
    with pytest.raises(UsageError, match="no scenario matches 'x'; there are, for example, 'indexes', 'loading'"):
        gate(both, run(), selection=Selection(["x"]))


@pytest.mark.parametrize(
    "candidate",
    [
        run(result()),
        run(result(), result("other", doc=result("loading").doc)),
        run(result(), result("loading", arms=result().arms[:1])),
        run(result(), result("loading", groups={"others": "else"})),
        run(result(), result("loading", work_counts=result().work_counts[:-1])),
    ],
)
def test_what_is_missing_can_be_allowed(candidate: Run) -> None:
    """A removed or renamed scenario, arm, group or count is not comparable, or a warning where that is allowed."""
    both = run(result(), result("loading"))
    strict, allowed = gate(both, candidate), gate(both, candidate, allow_missing=True)
    assert (strict.exit_code, allowed.exit_code) == (4, 0)
    assert [reason for reason in allowed.warnings if "missing in the candidate" in reason.message] == strict.incomparable


def test_a_refused_comparison_is_a_result() -> None:
    """Its exit code is 4, and reports can show it."""
    assert refused("a", "b", "other tools").exit_code == 4


def timed(*medians_ns: float, arm: str = "baseline") -> ScenarioResult:
    """Return a result with one arm's times."""
    return result(latencies=[latency(arm, medians_ns=medians_ns)])


def test_a_large_change_is_named_and_not_judged() -> None:
    """It is one by the factor `LARGE` or more, in either direction; the worst ones are named first."""
    before = [timed(10.0, 10.1, 9.9), timed(10.0), timed(10.0)]
    after = [timed(10.0 * LARGE * 1.01), timed(40.0), timed(14.0)]
    found = stored_times(list(zip(before, after, strict=True)), "")
    assert {row.verdict for row in found.rows} == {GateVerdict.NOT_JUDGED}
    assert [row.reason.partition(";")[0] for row in found.rows] == ["51.5 % slower", "4 times as long", found.rows[2].reason]
    (warning,) = found.warnings
    assert warning.message.index("4 times as long") < warning.message.index("51.5 % slower")
    (faster,) = stored_times([(timed(40.0), timed(10.0))], "").warnings
    assert "4× faster" in faster.message


def test_a_large_change_of_a_tail_is_a_warning() -> None:
    """A percentile has a row only if it changed much; it may do so where the median did not."""
    before, after, fine = (result(latencies=[latency(p99_ns=ns)]) for ns in (2e6, 120e6, 2.2e6))
    found = stored_times([(before, after)], "")
    assert [(row.metric, row.verdict) for row in found.rows] == [("time", "not judged"), ("p99", "not judged")]
    assert "p99 60 times as long" in found.warnings[0].message
    assert [row.metric for row in stored_times([(before, fine)], "").rows] == ["time"]


@pytest.mark.parametrize(
    "medians_ns",
    [(), (0.0, 0.0, -1.0), (math.nan, math.inf)],
)
def test_a_time_without_evidence_has_no_change(medians_ns: tuple[float, ...]) -> None:
    """None, zero, or not a number, in either run, has no change."""
    good, bad = timed(10.0, 10.1, 9.9), timed(*medians_ns)
    for sides in ((good, bad), (bad, good)):
        (row,) = stored_times([sides], "").rows
        assert (row.verdict, row.reason, row.change) == (
            GateVerdict.NOT_JUDGED,
            "baseline or candidate has no time above 0",
            None,
        )


def test_untimed_groups_and_the_control_are_not_judged() -> None:
    """A group that the candidate did not time is not judged, and the A/A control has no row."""
    (row,) = stored_times([(timed(1.0, 2.0), result(latencies=[]))], "").rows
    assert row.reason == "not timed in the candidate (ok)"
    control = timed(1.0, 1.0, arm=AA_CONTROL)
    assert stored_times([(control, control)], "").rows == []


def test_a_shift_of_all_times_is_one_warning() -> None:
    """Of a suite, a common shift is one warning, and only times that changed much more are named."""
    before = [timed(*TIMES_NS)] * (SUITE - 1)
    after = [timed(*(ns * 36.6 for ns in TIMES_NS))] * (SUITE - 1)
    shifted = stored_times(list(zip([*before, timed(1.0)], [*after, timed(1000.0)], strict=True)), "")
    assert [warning.name for warning in shifted.warnings] == ["all times shifted", "large changes of stored times"]
    assert "half of 8 times are now at least 36.6 times as long" in shifted.warnings[0].message
    assert shifted.warnings[1].message.count("times as long") == 1
    assert "27.3 times as long beside the others" in shifted.warnings[1].message
    few = stored_times(list(zip(before, after, strict=True)), "")
    assert [warning.name for warning in few.warnings] == ["large changes of stored times"]


def test_no_time_of_another_machine_is_judged() -> None:
    """Times from another machine keep their change and state the reason."""
    found = stored_times([(timed(1.0, 1.1), timed(9.0, 9.1))], "another machine: cpu")
    (row,) = found.rows
    assert (row.verdict, row.reason) == (GateVerdict.NOT_JUDGED, "another machine: cpu")
    assert row.change == pytest.approx(9.05 / 1.05)
    assert found.warnings == []


def rows_of(base: Run, candidate: Run, kind: RowKind) -> list[GateRow]:
    """Return the rows of one kind."""
    return [row for row in gate(base, candidate).rows if row.kind == kind]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (loaded(), loaded(operations=0, errors=800), 1),
        (loaded(), loaded(operations=780, errors=20), 1),
        (loaded(), loaded(operations=0, unfinished=800), 1),
        (loaded(operations=0, errors=800), loaded(operations=0, errors=800), 3),
        (loaded(operations=0, errors=800), loaded(), 3),
        (loaded(), loaded(), 3),
        (loaded(), loaded(dropped=5), 3),
        (loaded(dropped=5), loaded(), 3),
    ],
)
def test_failures_under_load_decide(before: LoadedArm, after: LoadedArm, expected: int) -> None:
    """More failed or unfinished operations are a regression, whatever the times are; dropped ones make the load invalid."""
    base, candidate = (under_load(each, replace(each, group=ALL)) for each in (before, after))
    assert gate(base, candidate).exit_code == expected
    (row,) = rows_of(base, candidate, RowKind.ERRORS)
    assert (row.group, row.unit) == (GROUP, "share")
    assert (row.verdict == GateVerdict.REGRESSED) == (expected == 1)


def test_a_failure_names_its_error_and_share() -> None:
    """The reason has the error that occurred most often, and the shares before and after."""
    (row,) = rows_of(under_load(), under_load(loaded(operations=400, errors=400)), RowKind.ERRORS)
    assert "0 % → 50 %" in row.reason
    assert "ConnectionRefusedError: no server" in row.reason
    tolerant = gate(under_load(), under_load(loaded(operations=400, errors=400)), errors=0.6)
    assert tolerant.exit_code == 3


def test_throughput_is_shown_and_never_decides() -> None:
    """It is that of a separate run, as times are."""
    (row,) = rows_of(under_load(), under_load(loaded(per_s=100.0)), RowKind.THROUGHPUT)
    assert (row.verdict, row.base, row.candidate, row.change, row.unit) == ("not judged", 200.0, 100.0, 0.5, "per s")


def test_an_invalid_load_is_inconclusive() -> None:
    """Where the generator was the limit in either run, nothing may be concluded."""
    found = gate(under_load(), under_load(invalid="the load generator was the limit"))
    assert found.exit_code == 3
    assert "the candidate's load is not valid: the load generator was the limit" in found.sentence


def test_the_load_of_a_run_of_pairs_is_judged_by_its_failures() -> None:
    """Under the same load more of them are a regression; an invalid load decides nothing, because pairs do not depend on it."""

    def of_pairs(loaded_run: Run) -> Run:
        return replace(loaded_run, kind=RunKind.PAIRS, scenarios=[replace(r, load_settings={}) for r in loaded_run.scenarios])

    def load_rows(found: GateResult) -> list[GateRow]:
        return [row for row in found.rows if row.kind == RowKind.ERRORS]

    good, failing = of_pairs(under_load()), of_pairs(under_load(loaded(operations=400, errors=400)))
    assert [row.verdict for row in load_rows(gate(good, failing))] == [GateVerdict.REGRESSED]
    invalid = gate(good, of_pairs(under_load(invalid="the load generator was the limit")))
    assert "is not valid" not in invalid.sentence
    assert load_rows(gate(good, of_pairs(under_load(loaded(operations=400, errors=400), arrivals="400 per second")))) == []


FAILING = loaded(operations=0, errors=800)
CLOSED = {**{key: value for key, value in LOAD.items() if key != "rate"}, "model": "closed", "users": "8 concurrent users"}
OTHER_LOADS = [
    ({"rate": "400 per second, evenly spaced"}, "rate: 50 per second, evenly spaced → 400 per second"),
    (CLOSED, "model: open → closed"),
    (CLOSED, "users: none → 8 concurrent users"),
    ({"duration": "60 s"}, "duration: 30 s → 60 s"),
    ({"block": "1 s"}, "block: 5 s → 1 s"),
    ({"warm-up": "0 s"}, "warm-up: 2 s → 0 s"),
    ({"drain timeout": "0.5 s"}, "drain timeout: 10 s → 0.5 s"),
    ({"in-flight limit": "10"}, "in-flight limit: 1000 → 10"),
]


@pytest.mark.parametrize("failed", [None, "8 of 8 failed"])
@pytest.mark.parametrize(("load", "named"), OTHER_LOADS)
def test_another_load_is_not_comparable(load: dict[str, str], named: str, failed: str | None) -> None:
    """It exits with 4, even with more failures, and names what differs, once."""
    candidate = under_load(FAILING, load=load if "users" in load else LOAD | load, failed=failed)
    base, candidate = (
        replace(each, environment={"generator's lateness (p99)": ms, "arrivals": each.command, "python": "CPython 3.11.7"})
        for each, ms in ((under_load(), "1 ms"), (replace(candidate, command="other"), "9 ms"))
    )
    found = gate(base, candidate)
    assert found.warnings == []
    assert (found.verdict, found.exit_code) == (GateVerdict.NOT_COMPARABLE, 4)
    assert found.sentence.startswith("indexes · sqlite: another load: ")
    assert named in found.sentence
    assert gate(candidate, base).exit_code == 4


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"engine_settings": {"PRAGMA cache_size": "-65536"}}, "PRAGMA cache_size -2000 and -65536"),
        ({"engine_settings": {"setting random_page_cost": "4"}}, "setting random_page_cost 1.1 and 4"),
        ({"engine_settings": {"cache": "off"}}, "cache on and off"),
        ({"environment": {"optimised bytecode": "yes"}}, "optimised bytecode no and yes"),
        ({"environment": {"memory allocator": "PYTHONMALLOC=malloc"}}, "memory allocator default and PYTHONMALLOC=malloc"),
    ],
)
def test_other_settings_of_engine_or_interpreter_are_not_comparable(changes: dict[str, dict[str, str]], named: str) -> None:
    """The setting is named, whatever the counts are."""
    before = result().engine_settings | {"setting random_page_cost": "1.1", "cache": "on"}
    known = run(result(engine_settings=before), environment=run().environment | {"optimised bytecode": "no"})
    settings = before | changes.get("engine_settings", {})
    other = run(result(engine_settings=settings), environment=known.environment | changes.get("environment", {}))
    for found in (gate(known, other), gate(other, known)):
        assert found.exit_code == 4
    assert named in gate(known, other).sentence


@pytest.mark.parametrize(
    "other",
    [
        run(result(engine_settings={"sqlite": "3.40.2"})),
        run(result(engine_settings=result().engine_settings | {"PRAGMA page_count": "9", "pool size": "9"})),
        run(harness_version="0.0.1"),
        run(environment=run().environment | {"sqlalchemy": "2.0.1", "load average at start": "9"}),
    ],
)
def test_another_patch_level_or_harness_is_a_warning(other: Run) -> None:
    """The counts are compared, and a version that differs is named."""
    base = run(
        result(engine_settings=result().engine_settings | {"PRAGMA page_count": "1", "pool size": "5"}),
        environment=run().environment | {"load average at start": "1"},
    )
    found = gate(base, other)
    assert found.exit_code == 0
    names = [warning.name for warning in found.warnings]
    assert names == ([] if "pool size" in other.scenarios[0].engine_settings else ["another machine or version"])
