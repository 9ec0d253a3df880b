"""Results: blocks combined and added up, checks of generator and arms, and records."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.discovery import load
from harness.errors import ScenarioFailedError, UsageError
from harness.load.block import LatencyHistograms, LoadBlock
from harness.load.protocol import LoadJob
from harness.load.results import (
    CollectedResults,
    ScenarioEnvironment,
    combined,
    generator_facts,
    generator_limit,
    histogram_rows,
    overloaded,
    scenario_result,
    total,
)
from harness.results.load import ALL, LoadModel, Phase, Tick
from harness.results.run import ScenarioResult
from harness.results.store import HISTOGRAM_COLUMNS, write_histograms
from harness.stats.histogram import Histogram, HistogramWire

TOY = load(Path(__file__).parents[2] / "toys" / "adding.py")
MS = 1_000_000
JOB = LoadJob([], [], block_s=5.0, warm_up_s=1.0, arrivals="poisson:20")
CLOSED = LoadJob([], [], block_s=5.0, model=LoadModel.CLOSED)


def wire(times_ms: Sequence[float]) -> HistogramWire:
    """Return a histogram of times."""
    histogram = Histogram()
    for ms in times_ms:
        histogram.record(int(ms * MS))
    return histogram.to_wire()


def histograms(ms: float, number: int = 100, errors: Mapping[str, int] | None = None, dropped: int = 0) -> LatencyHistograms:
    """Return a group whose operations take about `ms`."""
    times_ms = [ms * (1 + i / 1000) for i in range(number)]
    found = dict(errors or {})
    planned = number + dropped + sum(found.values())
    return LatencyHistograms(wire(times_ms), wire(times_ms), wire([0.0] * number), number, found, dropped, 0, planned, number)


def block(arm: str, cycle: int, groups: Mapping[str, LatencyHistograms], users: int = 0, *, targets: bool = True) -> LoadBlock:
    """Return a block of five seconds."""
    return LoadBlock("adding", arm, cycle, 0, users, 5000 * MS, dict(groups), wire([0.05] * 100), 20.0, targets)


def cycles(number: int, base_ms: float, arm_ms: float, users: int = 0) -> list[LoadBlock]:
    """Return a number of cycles of two arms with two groups, with times that drift slightly."""
    arms = (("baseline", base_ms), ("optimised", arm_ms))
    return [
        block(arm, c, {"sum": histograms(ms * (1 + c / 100)), "more": histograms(2 * ms)}, users)
        for c in range(number)
        for arm, ms in arms
    ]


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


def test_failed_operations_are_a_warning_by_message() -> None:
    """They are not samples."""
    blocks = [block("baseline", 0, {"sum": histograms(4, errors={"locked": 1})}), block("optimised", 0, {"sum": histograms(1)})]
    found = judged(CollectedResults({1: blocks}))
    assert "baseline: 1 × locked" in {d.message for d in found.warnings}
    assert sum(x.samples for x in found.latencies) == 200


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


@pytest.mark.parametrize("blocks", [[], [block("baseline", 0, {"sum": histograms(1, 0, {"RuntimeError: closed": 5})})]])
def test_a_run_without_operations_has_failed(blocks: list[LoadBlock]) -> None:
    """A run in which no operation completed is not a success; the first error is named."""
    found = judged(CollectedResults({1: blocks} if blocks else {}))
    assert (found.status, found.exit_code, found.samples_file) == ("failed", 1, None)
    assert "no operation completed" in (found.error or "")
    assert ("RuntimeError: closed" in (found.error or "")) == bool(blocks)


def test_the_reason_that_stopped_a_run_is_its_status() -> None:
    """Ctrl-C before any operation completed is not a failure; a scenario that cannot be loaded is one, with its reason."""
    assert judged(CollectedResults(interrupted=True)).status == "interrupted"
    failed = judged(CollectedResults(failed=ScenarioFailedError("adding: proposed gives another answer")))
    assert (failed.status, failed.error, failed.exit_code) == ("failed", "adding: proposed gives another answer", 1)
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


def test_histograms_are_written_per_block(tmp_path: Path) -> None:
    """There is one row per bucket, and counts add up to the operations."""
    file = tmp_path / "samples" / "adding.csv"
    write_histograms(histogram_rows({1: cycles(2, 4, 1)}, "adding"), file)
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert tuple(rows[0]) == HISTOGRAM_COLUMNS
    assert {row["kind"] for row in rows} == {"response", "service", "queue"}
    mine = [r for r in rows if (r["cycle"], r["arm"], r["group"], r["kind"]) == ("1", "optimised", "sum", "response")]
    assert sum(int(r["count"]) for r in mine) == 100
    assert all(0.99 * MS < int(r["lower_ns"]) < 1.2 * MS for r in mine)


def wire_ns(times_ns: list[int]) -> HistogramWire:
    """Return a histogram of times."""
    histogram = Histogram()
    for ns in times_ns:
        histogram.record(ns)
    return histogram.to_wire()


def worker_block(
    times_ns: list[int], cycle: int = 0, arm: str = "baseline", position: int = 0, errors: dict[str, int] | None = None
) -> LoadBlock:
    """Return a block in which operations took these times."""
    number = len(times_ns)
    times = LatencyHistograms(
        wire_ns(times_ns), wire_ns(times_ns), wire_ns([0] * number), number, errors or {}, 1, 0, number + 1, number
    )
    return LoadBlock("adding", arm, cycle, position, 2, 10**9, {"sum": times}, wire_ns([5]), 40.0)


@given(st.lists(st.integers(0, 10**10), min_size=1), st.integers(1, 5))
def test_workers_blocks_add_up_to_the_load(times_ns: list[int], workers: int) -> None:
    """The combined block equals that of a single worker, whatever the number of workers."""
    parts = [worker_block(times_ns[worker::workers]) for worker in range(workers)]
    (whole,) = combined([[part] for part in parts])
    single = worker_block(times_ns).groups["sum"]
    assert whole.groups["sum"].response == single.response
    assert whole.groups["sum"].operations == single.operations
    assert whole.groups["sum"].dropped == workers
    assert whole.users == 2 * workers
    assert whole.measured_ns == 10**9


def test_each_arm_of_a_cycle_has_one_combined_block() -> None:
    """This holds if workers have arms in different orders, and if one of them ended early."""
    first = [worker_block([1], 0, "baseline", 0), worker_block([2], 0, "optimised", 1), worker_block([3], 1, "optimised", 0)]
    second = [worker_block([4], 0, "optimised", 0), worker_block([5], 0, "baseline", 1)]
    found = {(b.cycle, b.arm): b.groups["sum"].operations for b in combined([first, second])}
    assert found == {(0, "baseline"): 2, (0, "optimised"): 2, (1, "optimised"): 1}


def test_errors_and_the_busiest_generator_are_kept() -> None:
    """Errors add up by message; a busy generator is not hidden by an idle one."""
    idle = worker_block([1], errors={"refused": 2})
    (whole,) = combined([[idle], [LoadBlock("adding", "baseline", 0, 0, 2, 10**9, idle.groups, idle.lateness, 99.0)]])
    assert whole.groups["sum"].errors == {"refused": 4}
    assert whole.cpu_percent == 99.0


def test_without_workers_there_are_no_blocks() -> None:
    """The combination of no workers is empty."""
    assert combined([]) == []


def one_group_block(
    times_ms: Sequence[float],
    *,
    completed: int | None = None,
    dropped: int = 0,
    unfinished: int = 0,
    errors: Mapping[str, int] | None = None,
    users: int = 0,
    cpu_percent: float = 20.0,
    late_ms: float = 0.05,
    targets: bool = True,
) -> LoadBlock:
    """Return a block of five seconds with one group."""
    failed = dict(errors or {})
    operations = len(times_ms)
    found = LatencyHistograms(
        response=wire([*times_ms, *[9_000.0] * unfinished]),
        service=wire(times_ms),
        queue=wire([0.0] * operations),
        operations=operations,
        errors=failed,
        dropped=dropped,
        unfinished=unfinished,
        planned=operations + dropped + unfinished + sum(failed.values()),
        completed=operations if completed is None else completed,
    )
    return LoadBlock("timed", "optimised", 0, 0, users, 5000 * MS, {"read": found}, wire([late_ms] * 100), cpu_percent, targets)


def test_an_arm_that_keeps_up_is_not_overloaded() -> None:
    """Operations in flight at the end are not a backlog, also if each takes longer than the warm-up."""
    assert overloaded(total([one_group_block([10.0] * 1000)])) is None
    assert overloaded(total([one_group_block([2000.0] * 1000, completed=600)])) is None


def test_an_arm_that_falls_behind_is_overloaded() -> None:
    """A queue that grows to more than a second is an overload, though all operations complete while draining."""
    growing = [10.0 + i * 1.67 for i in range(1000)]
    reason = overloaded(total([one_group_block(growing, completed=750)]))
    assert reason == "it completed 150 of 200 operations per second"


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (one_group_block([10.0] * 999, dropped=1), "1 of 1000 operations were dropped at the limit of in-flight operations"),
        (one_group_block([10.0] * 999, unfinished=1), "1 of 1000 operations were unfinished at the drain timeout"),
        (one_group_block([10.0] * 970, errors={"locked": 30}), "30 of 1000 operations failed"),
    ],
)
def test_operations_that_do_not_complete_are_an_overload(found: LoadBlock, text: str) -> None:
    """The reason has their number; a few errors are not an overload."""
    assert overloaded(total([found])) == text
    assert overloaded(total([one_group_block([10.0] * 999, errors={"locked": 1})])) is None


def test_the_closed_model_has_no_rate_to_sustain() -> None:
    """Only unfinished operations are an overload there."""
    assert overloaded(total([one_group_block([10.0] * 100, completed=50, users=4)])) is None
    assert "were unfinished" in str(overloaded(total([one_group_block([10.0] * 99, unfinished=1, users=4)])))


def test_a_generator_without_a_core_to_spare_invalidates() -> None:
    """The message names the arm and the remedy; one busy block among idle ones does not invalidate a run."""
    reason = generator_limit([one_group_block([10.0] * 100, cpu_percent=97.0)])
    assert reason is not None
    assert "used 97 % of its core with optimised" in reason
    assert generator_limit([one_group_block([10.0] * 100, cpu_percent=c) for c in (97.0, 40.0, 40.0)]) is None


def test_a_late_generator_invalidates_the_run_if_it_matters() -> None:
    """3 ms matter for response times of 10 ms and not of 1 s, and 0.5 ms do not matter for 1 ms."""
    reason = generator_limit([one_group_block([10.0] * 100, late_ms=3.0)])
    assert reason is not None
    assert "with optimised it started half of the operations at least 3.0 ms late" in reason
    assert generator_limit([one_group_block([1000.0] * 100, late_ms=3.0)]) is None
    assert generator_limit([one_group_block([1.0] * 100, late_ms=0.5)]) is None


def test_lateness_is_compared_with_response_times_at_the_same_percentile() -> None:
    """A p99 lateness of 5 ms does not matter for a p99 of 100 ms, and is half of a p99 of 10 ms."""
    late = {"lateness": wire([0.1] * 95 + [5.0] * 5)}
    assert generator_limit([msgspec.structs.replace(one_group_block([2.0] * 95 + [100.0] * 5), **late)]) is None
    reason = generator_limit([msgspec.structs.replace(one_group_block([2.0] * 95 + [10.0] * 5), **late)])
    assert reason is not None
    assert "1 % of the operations at least 5.0 ms late" in reason


def test_a_data_layer_in_the_generators_process_is_not_judged() -> None:
    """The data layer itself may use the core, so there is no finding."""
    assert generator_limit([one_group_block([10.0] * 100, cpu_percent=99.0, late_ms=50.0, targets=False)]) is None


def test_the_record_has_the_generators_usage_and_lateness() -> None:
    """The facts have its busiest block and its lateness over all blocks; none without blocks."""
    found = generator_facts([one_group_block([10.0], cpu_percent=12.0), one_group_block([10.0], cpu_percent=31.0)])
    assert found == {"generator's busiest block": "31 % of a core", "generator's lateness (p99)": "0.050 ms"}
    assert generator_facts([]) == {}


def test_chance_differences_in_flight_are_not_a_backlog() -> None:
    """With long operations, a few more may be in flight at the end than at the start."""
    times_ms = [5.0] * 100 + [500.0] * 100
    assert overloaded(total([one_group_block(times_ms, completed=188)])) is None
    assert overloaded(total([one_group_block(times_ms, completed=150)])) is not None
