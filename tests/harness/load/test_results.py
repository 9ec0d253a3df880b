"""Records of the run file, from blocks of load."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from harness.discovery import load
from harness.errors import ScenarioFailedError, UsageError
from harness.load.block import LoadBlock
from harness.load.protocol import LoadJob
from harness.load.results import CollectedResults, ScenarioEnvironment, scenario_result
from harness.results.load import ALL, LoadModel, Phase, Tick
from harness.results.run import ScenarioResult
from tests.harness.load.blocks import MS, block, cycles, histograms

TOY = load(Path(__file__).parents[2] / "toys" / "adding.py")
JOB = LoadJob([], [], block_s=5.0, warm_up_s=1.0, arrivals="poisson:20")
CLOSED = LoadJob([], [], block_s=5.0, model=LoadModel.CLOSED)


def judged(collected: CollectedResults, job: LoadJob = JOB) -> ScenarioResult:
    """Return the toy scenario's result."""
    collected.environments = {"adding": ScenarioEnvironment("sqlite", 0.0, {"rows": 3})}
    return scenario_result(TOY, collected, job)


def test_each_arm_has_figures_by_group_and_over_all_groups() -> None:
    """The figures are the offered and the achieved rate, and the times."""
    load = judged(CollectedResults({1: cycles(4, 4, 1), 2: cycles(4, 4, 1)})).load
    assert load is not None
    assert {(a.arm, a.group) for a in load.arms} == {(a, g) for a in ("baseline", "optimised") for g in (ALL, "sum", "more")}
    whole = next(a for a in load.arms if (a.arm, a.group) == ("optimised", ALL))
    assert (whole.offered_per_s, whole.achieved_per_s, whole.operations) == (40.0, 40.0, 1600)
    one = next(a for a in load.arms if (a.arm, a.group) == ("optimised", "sum"))
    assert one.response.percentiles_ns["50"] == pytest.approx(1.06 * MS, rel=0.02)
    assert (load.models, load.block_s, load.warm_up_s, load.invalid) == (["open"], 5.0, 1.0, None)
    assert "Poisson" in load.arrivals


def test_ratios_and_latencies_come_from_the_same_blocks() -> None:
    """Every group has the ratio of medians, over all and per worker, and the latencies; all operations together have not."""
    found = judged(CollectedResults({1: cycles(4, 4, 1), 2: cycles(4, 4.4, 1)}))
    assert found.load is not None
    assert {r.group for r in found.load.ratios} == {ALL, "sum", "more"}
    assert [(r.arm, r.group) for r in found.ratios] == [("optimised", "sum"), ("optimised", "more")]
    (ratio,) = (r for r in found.ratios if r.group == "sum")
    assert ratio.processes == pytest.approx([4.0, 4.4], rel=0.01)
    assert (ratio.low or 9) < ratio.ratio < (ratio.high or 0)
    assert {(x.arm, x.group, x.samples) for x in found.latencies if x.group == "sum"} == {
        ("baseline", "sum", 800),
        ("optimised", "sum", 800),
    }
    assert (found.status, found.pairs, found.processes, found.dataset) == ("ok", 8, 2, {"rows": 3})


def test_an_overloaded_arm_has_no_ratio_and_no_latency() -> None:
    """Other arms keep theirs; with an overloaded baseline no arm has a ratio."""
    dropped = [block("optimised", c, {"sum": histograms(1, dropped=9)}) for c in range(4)]
    base = [block("baseline", c, {"sum": histograms(4)}) for c in range(4)]
    other = [block("proposed", c, {"sum": histograms(2)}) for c in range(4)]
    found = judged(CollectedResults({1: [*base, *dropped, *other]}))
    assert found.load is not None
    assert {a.arm for a in found.load.arms if a.overloaded} == {"optimised"}
    assert {r.arm for r in found.load.ratios} == {"proposed"}
    assert {x.arm for x in found.latencies} == {"baseline", "proposed"}
    dropped_base = [msgspec.structs.replace(b, arm="baseline") for b in dropped]
    without_baseline = judged(CollectedResults({1: [*dropped_base, *other]}))
    assert without_baseline.load is not None
    assert without_baseline.load.ratios == []


def test_an_invalid_run_has_no_ratios() -> None:
    """A generator at its limit is reported, and figures remain available."""
    busy = [msgspec.structs.replace(b, cpu_percent=99.0) for b in cycles(4, 4, 1)]
    found = judged(CollectedResults({1: busy}))
    assert found.load is not None
    assert "99 % of its core" in str(found.load.invalid)
    assert (found.load.ratios, found.ratios) == ([], [])
    assert found.latencies != []


def test_an_arm_that_fails_fails_the_run() -> None:
    """The error names arm, share, message and count; the arm has no ratio, and the others keep theirs."""
    base = [block("baseline", c, {"sum": histograms(4)}) for c in range(4)]
    bad = [block("optimised", c, {"sum": histograms(1, 10, {"OSError: refused": 190})}) for c in range(4)]
    found = judged(CollectedResults({1: [*base, *bad]}))
    assert found.load is not None
    assert (found.status, found.exit_code) == ("failed", 1)
    assert found.error == "optimised: 760 of 800 operations failed (95 %): OSError: refused (760)"
    assert (found.load.ratios, found.ratios) == ([], [])
    assert {a.arm for a in found.load.arms if a.failing} == {"optimised"}
    assert {a.overloaded for a in found.load.arms} == {None}


def test_a_failing_baseline_is_not_compared_with() -> None:
    """The failed operations of the baseline do not make another arm look better."""
    base = [block("baseline", c, {"sum": histograms(4, 10, {"OSError": 90})}) for c in range(4)]
    found = judged(CollectedResults({1: [*base, *[block("optimised", c, {"sum": histograms(1)}) for c in range(4)]]}))
    assert found.load is not None
    assert found.load.ratios == []
    assert str(found.error).startswith("baseline: 360 of 400")


def test_errors_of_a_single_group_fail_the_arm() -> None:
    """A small group that always fails is not hidden by many others; the other group keeps its ratio."""
    groups = {"sum": histograms(4, 10_000), "more": histograms(4, 0, {"KeyError": 3})}
    blocks = [block("baseline", c, {"sum": histograms(4), "more": histograms(4)}) for c in range(4)]
    found = judged(CollectedResults({1: [*blocks, *[block("optimised", c, groups) for c in range(4)]]}))
    assert found.load is not None
    assert found.error == "optimised: more: 12 of 12 operations failed (100 %): KeyError (12)"
    assert {r.group for r in found.load.ratios} == {"sum"}


def test_an_arm_that_may_fail_as_written_does_not_fail_the_run() -> None:
    """Its failures are in the record, and it has no ratio; alone under load it decides."""
    bad = [block("proposed", c, {"sum": histograms(1, 10, {"OSError": 90})}) for c in range(4)]
    others = [block(arm, c, {"sum": histograms(4)}) for c in range(4) for arm in ("baseline", "optimised")]
    found = judged(CollectedResults({1: [*others, *bad]}))
    assert found.load is not None
    assert (found.status, found.exit_code, found.load.unsustained) == ("ok", 0, [])
    assert {a.arm for a in found.load.arms if a.failing} == {"proposed"}
    assert {r.arm for r in found.load.ratios} == {"optimised"}
    assert [a.as_written for a in found.arms] == [False, True, False]
    assert judged(CollectedResults({1: bad})).exit_code == 1


def test_the_tolerance_of_errors_is_an_option() -> None:
    """Within it, failed operations are a warning by message, and the arm is compared."""
    groups = {"sum": histograms(1, 98, {"locked": 2}), "more": histograms(1)}
    base = {"sum": histograms(4), "more": histograms(4)}
    blocks = [block(arm, c, of_arm) for c in range(4) for arm, of_arm in (("baseline", base), ("optimised", groups))]
    tolerant = judged(CollectedResults({1: blocks}), msgspec.structs.replace(JOB, error_tolerance=0.05))
    assert tolerant.load is not None
    assert (tolerant.status, tolerant.load.error_tolerance) == ("ok", 0.05)
    assert "optimised: 8 × locked" in {d.message for d in tolerant.warnings}
    assert {r.group for r in tolerant.load.ratios} == {ALL, "sum", "more"}
    assert judged(CollectedResults({1: blocks})).status == "failed"


def test_an_arm_that_does_not_sustain_the_load_is_named() -> None:
    """Dropped operations make the run inconclusive, with their number and the next step; failures come before that."""
    base = [block("baseline", c, {"sum": histograms(4)}) for c in range(4)]
    found = judged(CollectedResults({1: [*base, *[block("optimised", c, {"sum": histograms(1, dropped=9)}) for c in range(4)]]}))
    assert found.load is not None
    assert found.status == "ok"
    assert found.load.unsustained == [
        "optimised: 36 of 436 operations were dropped at the limit of in-flight operations; lower the load, or raise the limit"
    ]
    both = {"sum": histograms(1, 50, {"OSError": 50}, dropped=9)}
    failed = judged(CollectedResults({1: [*base, *[block("optimised", c, both) for c in range(4)]]}))
    assert failed.load is not None
    assert (failed.status, failed.exit_code, failed.load.unsustained) == ("failed", 1, [])


def test_operations_that_ctrl_c_cut_short_are_not_failures() -> None:
    """An arm of which none has completed yet does not fail an interrupted run; errors do."""
    hanging = block("baseline", 0, {"sum": msgspec.structs.replace(histograms(1, 0), unfinished=3, planned=3)})
    assert judged(CollectedResults({1: [hanging]})).status == "failed"
    assert judged(CollectedResults({1: [hanging]}, interrupted=True)).status == "interrupted"
    broken = block("baseline", 0, {"sum": histograms(1, 5, {"OSError": 5})})
    assert judged(CollectedResults({1: [broken]}, interrupted=True)).exit_code == 1


def test_the_identity_of_a_load_is_in_the_record() -> None:
    """Another rate, duration, warm-up, limit or number of users is another load."""
    found = judged(CollectedResults({1: cycles(4, 4, 1)}), msgspec.structs.replace(JOB, cycles=6)).load_settings
    assert found == {
        "model": "open",
        "rate": "20 per second, at random times (Poisson)",
        "duration": "30 s",
        "block": "5 s",
        "warm-up": "1 s",
        "drain timeout": "10 s",
        "in-flight limit": "1000",
    }
    assert judged(CollectedResults({1: cycles(4, 4, 1, users=8)}), CLOSED).load_settings["users"] == "8 concurrent users"


def test_a_shared_process_and_a_single_worker_are_warnings() -> None:
    """Both limit what a run shows."""
    inside = [msgspec.structs.replace(b, targets=False) for b in cycles(4, 4, 1)]
    assert {d.name for d in judged(CollectedResults({1: inside})).warnings} == {"one process for both", "one process"}
    assert judged(CollectedResults({1: cycles(4, 4, 1), 2: cycles(4, 4, 1)})).warnings == []


def test_the_closed_model_has_the_number_of_users() -> None:
    """It has no offered rate."""
    load = judged(CollectedResults({1: cycles(4, 4, 1, users=8)}), CLOSED).load
    assert load is not None
    assert load.arrivals == "8 concurrent users"
    assert {a.offered_per_s for a in load.arms} == {None}


@pytest.mark.parametrize(
    ("blocks", "error"),
    [
        ([], "no operation was due in measured time; run longer, or raise the load"),
        (
            [block("baseline", 0, {"sum": histograms(1, 0, {"RuntimeError: closed": 5})})],
            "baseline: 5 of 5 operations failed (100 %): RuntimeError: closed (5)",
        ),
    ],
)
def test_a_run_without_operations_has_failed(blocks: list[LoadBlock], error: str) -> None:
    """A run in which no operation completed is not a success; the error is named."""
    found = judged(CollectedResults({1: blocks} if blocks else {}))
    assert (found.status, found.exit_code, found.samples_file) == ("failed", 1, None)
    assert found.error == error


def test_the_reason_that_stopped_a_run_is_its_status() -> None:
    """Ctrl-C before any operation completed is not a failure; a scenario that cannot be loaded is one, with its reason."""
    assert judged(CollectedResults(interrupted=True)).status == "interrupted"
    failed = judged(CollectedResults(failed=ScenarioFailedError("adding: proposed gives another answer")))
    assert (failed.status, failed.error, failed.exit_code) == ("failed", "proposed gives another answer", 1)
    refused = judged(CollectedResults(failed=UsageError("adding: its file of numbers is missing")))
    assert (refused.status, refused.exit_code) == ("failed", 2)


def test_ticks_and_lost_workers_are_in_the_result() -> None:
    """Both are unchanged."""
    tick = Tick(1, 0.5, "baseline", Phase.MEASURED, 10, 0, 1, None, None)
    load = judged(CollectedResults({1: cycles(1, 4, 1)}, [tick], ["load worker 2 of 2: killed"])).load
    assert load is not None
    assert (load.ticks, load.lost_workers) == ([tick], ["load worker 2 of 2: killed"])


def test_blocks_of_another_scenario_are_ignored() -> None:
    """One load worker may run several scenarios."""
    others = [msgspec.structs.replace(b, scenario="another") for b in cycles(4, 4, 1)]
    assert replace(judged(CollectedResults({1: others})), warnings=[]).status == "failed"
