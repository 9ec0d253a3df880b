"""Results: blocks combined and added up, checks of generator and arms, and records."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.discovery import load
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
from harness.results.histograms import HISTOGRAM_COLUMNS, write_histograms
from harness.results.load import ALL, LoadModel, Phase, Tick
from harness.results.run import ScenarioResult
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


def times3(ms: float, number: int = 100, errors: Mapping[str, int] | None = None, dropped: int = 0) -> LatencyHistograms:
    """Return a group whose operations take about as long as said."""
    times_ms = [ms * (1 + i / 1000) for i in range(number)]
    found = dict(errors or {})
    planned = number + dropped + sum(found.values())
    return LatencyHistograms(wire(times_ms), wire(times_ms), wire([0.0] * number), number, found, dropped, 0, planned, number)


def block(arm: str, cycle: int, groups: Mapping[str, LatencyHistograms], users: int = 0, *, targets: bool = True) -> LoadBlock:
    """Return a block of five seconds."""
    return LoadBlock("adding", arm, cycle, 0, users, 5000 * MS, dict(groups), wire([0.05] * 100), 20.0, targets)


def cycles(number: int, base_ms: float, arm_ms: float, users: int = 0) -> list[LoadBlock]:
    """Return so many cycles of two arms with two groups, times drifting a little."""
    arms = (("baseline", base_ms), ("optimised", arm_ms))
    return [
        block(arm, c, {"sum": times3(ms * (1 + c / 100)), "more": times3(2 * ms)}, users) for c in range(number) for arm, ms in arms
    ]


def judged(heard: CollectedResults, job: LoadJob = JOB) -> ScenarioResult:
    """Return the toy's result."""
    return scenario_result(TOY, ScenarioEnvironment("sqlite", 0.0, {"rows": 3}), heard, job, "samples/adding-sqlite.csv")


def test_each_arm_has_figures_by_group_and_over_all() -> None:
    """What was offered, what was answered, and the times of both."""
    load = judged(CollectedResults({1: cycles(4, 4, 1), 2: cycles(4, 4, 1)})).load
    assert load is not None
    assert {(a.arm, a.group) for a in load.arms} == {(a, g) for a in ("baseline", "optimised") for g in (ALL, "sum", "more")}
    whole = next(a for a in load.arms if (a.arm, a.group) == ("optimised", ALL))
    assert (whole.offered_per_s, whole.achieved_per_s, whole.operations) == (40.0, 40.0, 1600)
    one = next(a for a in load.arms if (a.arm, a.group) == ("optimised", "sum"))
    assert one.response.percentiles_ns["50"] == pytest.approx(1.06 * MS, rel=0.02)
    assert (load.models, load.block_s, load.warm_up_s, load.invalid) == (["open"], 5.0, 1.0, None)
    assert "Poisson" in load.arrivals


def test_ratios_and_the_tables_that_other_runs_have_come_from_the_same_blocks() -> None:
    """The median's ratio, each process's, and the latencies, of every group but that of all."""
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
    """It is not slow: it does not hold the rate. Others keep theirs; a baseline that does not hold it leaves nobody a ratio."""
    dropped = [block("optimised", c, {"sum": times3(1, dropped=9)}) for c in range(4)]
    base = [block("baseline", c, {"sum": times3(4)}) for c in range(4)]
    other = [block("proposed", c, {"sum": times3(2)}) for c in range(4)]
    found = judged(CollectedResults({1: [*base, *dropped, *other]}))
    assert found.load is not None
    assert {a.arm for a in found.load.arms if a.overloaded} == {"optimised"}
    assert {r.arm for r in found.load.ratios} == {"proposed"}
    assert {x.arm for x in found.latencies} == {"baseline", "proposed"}
    dropped_base = [msgspec.structs.replace(b, arm="baseline") for b in dropped]
    nobody = judged(CollectedResults({1: [*dropped_base, *other]}))
    assert nobody.load is not None
    assert nobody.load.ratios == []


def test_an_invalid_run_has_no_ratios() -> None:
    """A generator at its limit is said so, and figures stay to be looked at."""
    busy = [msgspec.structs.replace(b, cpu_percent=99.0) for b in cycles(4, 4, 1)]
    found = judged(CollectedResults({1: busy}))
    assert found.load is not None
    assert "99 % of its core" in str(found.load.invalid)
    assert (found.load.ratios, found.ratios) == ([], [])
    assert found.latencies != []


def test_failed_operations_are_a_warning_by_message() -> None:
    """They are no samples."""
    blocks = [block("baseline", 0, {"sum": times3(4, errors={"locked": 1})}), block("optimised", 0, {"sum": times3(1)})]
    found = judged(CollectedResults({1: blocks}))
    assert "baseline: 1 × locked" in {d.message for d in found.warnings}
    assert sum(x.samples for x in found.latencies) == 200


def test_what_shares_a_process_or_is_but_one_is_doubted() -> None:
    """A data layer in the generator's process, and a single engine process."""
    inside = [msgspec.structs.replace(b, targets=False) for b in cycles(4, 4, 1)]
    assert {d.name for d in judged(CollectedResults({1: inside})).warnings} == {"one process for both", "one process"}
    assert judged(CollectedResults({1: cycles(4, 4, 1), 2: cycles(4, 4, 1)})).warnings == []


def test_the_closed_model_says_how_many_users_there_were() -> None:
    """And has no offered rate."""
    load = judged(CollectedResults({1: cycles(4, 4, 1, users=8)}), CLOSED).load
    assert load is not None
    assert load.arrivals == "8 users, each asking again once answered"
    assert {a.offered_per_s for a in load.arms} == {None}


@pytest.mark.parametrize("blocks", [[], [block("baseline", 0, {"sum": times3(1, 0, {"RuntimeError: gone": 5})})]])
def test_a_run_without_operations_has_failed(blocks: list[LoadBlock]) -> None:
    """Zero answers are no success, whatever else there was; the first error is named."""
    found = judged(CollectedResults({1: blocks} if blocks else {}))
    assert (found.status, found.exit_code, found.samples_file) == ("failed", 1, None)
    assert "no operation was answered" in (found.error or "")
    assert ("RuntimeError: gone" in (found.error or "")) == bool(blocks)


def test_what_stopped_a_run_is_its_status() -> None:
    """Ctrl-C before any answer is no failure; a scenario that cannot be loaded at all is one, with its reason."""
    assert judged(CollectedResults(interrupted=True)).status == "interrupted"
    failed = judged(CollectedResults(failed="adding: proposed gives another answer"))
    assert (failed.status, failed.error) == ("failed", "adding: proposed gives another answer")


def test_ticks_and_lost_shares_stand_in_the_result() -> None:
    """As they were heard."""
    tick = Tick(1, 0.5, "baseline", Phase.MEASURED, 10, 0, 1, None, None)
    load = judged(CollectedResults({1: cycles(1, 4, 1)}, [tick], ["engine process 2 of 2: killed"])).load
    assert load is not None
    assert (load.ticks, load.lost_workers) == ([tick], ["engine process 2 of 2: killed"])


def test_another_scenarios_blocks_are_not_counted() -> None:
    """One engine may run several scenarios."""
    others = [msgspec.structs.replace(b, scenario="another") for b in cycles(4, 4, 1)]
    assert replace(judged(CollectedResults({1: others})), warnings=[]).status == "failed"


def test_histograms_are_kept_block_by_block(tmp_path: Path) -> None:
    """A row a bucket, whose counts add up to the operations."""
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
    """Return a histogram of these times."""
    histogram = Histogram()
    for ns in times_ns:
        histogram.record(ns)
    return histogram.to_wire()


def worker_block(
    times_ns: list[int], cycle: int = 0, arm: str = "baseline", position: int = 0, errors: dict[str, int] | None = None
) -> LoadBlock:
    """Return a block in which operations took so long."""
    number = len(times_ns)
    times = LatencyHistograms(
        wire_ns(times_ns), wire_ns(times_ns), wire_ns([0] * number), number, errors or {}, 1, 0, number + 1, number
    )
    return LoadBlock("adding", arm, cycle, position, 2, 10**9, {"sum": times}, wire_ns([5]), 40.0)


@given(st.lists(st.integers(0, 10**10), min_size=1), st.integers(1, 5))
def test_shares_of_one_load_add_up_to_it(times_ns: list[int], workers: int) -> None:
    """However many processes share the operations, the block is the one that a single process would have had."""
    parts = [worker_block(times_ns[worker::workers]) for worker in range(workers)]
    (whole,) = combined([[part] for part in parts])
    single = worker_block(times_ns).groups["sum"]
    assert whole.groups["sum"].response == single.response
    assert whole.groups["sum"].operations == single.operations
    assert whole.groups["sum"].dropped == workers
    assert whole.users == 2 * workers
    assert whole.measured_ns == 10**9


def test_each_arms_block_of_a_cycle_is_one() -> None:
    """Also where processes take arms in different orders, and where one of them was lost on the way."""
    first = [worker_block([1], 0, "baseline", 0), worker_block([2], 0, "optimised", 1), worker_block([3], 1, "optimised", 0)]
    second = [worker_block([4], 0, "optimised", 0), worker_block([5], 0, "baseline", 1)]
    found = {(b.cycle, b.arm): b.groups["sum"].operations for b in combined([first, second])}
    assert found == {(0, "baseline"): 2, (0, "optimised"): 2, (1, "optimised"): 1}


def test_errors_and_the_busiest_generator_are_kept() -> None:
    """Errors add up by message; a generator that is full stays visible beside an idle one."""
    idle = worker_block([1], errors={"refused": 2})
    (whole,) = combined([[idle], [LoadBlock("adding", "baseline", 0, 0, 2, 10**9, idle.groups, idle.lateness, 99.0)]])
    assert whole.groups["sum"].errors == {"refused": 4}
    assert whole.cpu_percent == 99.0


def test_nothing_is_nothing() -> None:
    """Without processes there are no blocks."""
    assert combined([]) == []


def one_group_block(
    times_ms: Sequence[float],
    *,
    answered: int | None = None,
    dropped: int = 0,
    censored: int = 0,
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
        response=wire([*times_ms, *[9_000.0] * censored]),
        service=wire(times_ms),
        queue=wire([0.0] * operations),
        operations=operations,
        errors=failed,
        dropped=dropped,
        unfinished=censored,
        planned=operations + dropped + censored + sum(failed.values()),
        completed=operations if answered is None else answered,
    )
    return LoadBlock("timed", "optimised", 0, 0, users, 5000 * MS, {"read": found}, wire([late_ms] * 100), cpu_percent, targets)


def test_an_arm_that_answers_in_time_is_sound() -> None:
    """Also one whose every operation takes longer than it warmed up for: what is under way at the end is no backlog."""
    assert overloaded(total([one_group_block([10.0] * 1000)])) is None
    assert overloaded(total([one_group_block([2000.0] * 1000, answered=600)])) is None


def test_an_arm_that_falls_behind_is_overloaded_though_draining_answers_everything() -> None:
    """A queue that grows from nothing to more than a second, of 200 a second in place of 150."""
    growing = [10.0 + i * 1.67 for i in range(1000)]
    said = overloaded(total([one_group_block(growing, answered=750)]))
    assert said == "it answered 150 of 200 operations a second, and fell behind"


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (one_group_block([10.0] * 999, dropped=1), "1 of 1000 operations were dropped, because as many as allowed were under way"),
        (one_group_block([10.0] * 999, censored=1), "1 of 1000 operations were not answered before waiting for them ended"),
        (one_group_block([10.0] * 970, errors={"locked": 30}), "30 of 1000 operations failed"),
    ],
)
def test_what_is_not_answered_is_overload(found: LoadBlock, says: str) -> None:
    """With its reason and its number; a few errors are none."""
    assert overloaded(total([found])) == says
    assert overloaded(total([one_group_block([10.0] * 999, errors={"locked": 1})])) is None


def test_the_closed_model_has_no_rate_to_hold() -> None:
    """Only what was never answered is overload there."""
    assert overloaded(total([one_group_block([10.0] * 100, answered=50, users=4)])) is None
    assert "were not answered" in str(overloaded(total([one_group_block([10.0] * 99, censored=1, users=4)])))


def test_a_generator_without_a_core_to_spare_invalidates() -> None:
    """In a sentence that names the arm and what to do; one busy block among idle ones does not."""
    said = generator_limit([one_group_block([10.0] * 100, cpu_percent=97.0)])
    assert said is not None
    assert "used 97 % of its core with optimised" in said
    assert generator_limit([one_group_block([10.0] * 100, cpu_percent=c) for c in (97.0, 40.0, 40.0)]) is None


def test_a_generator_that_is_late_invalidates_if_it_shows() -> None:
    """Three milliseconds beside ten do, beside a second they do not, nor does half a millisecond beside one."""
    said = generator_limit([one_group_block([10.0] * 100, late_ms=3.0)])
    assert said is not None
    assert "every second operation 3.0 ms late or later with optimised" in said
    assert generator_limit([one_group_block([1000.0] * 100, late_ms=3.0)]) is None
    assert generator_limit([one_group_block([1.0] * 100, late_ms=0.5)]) is None


def test_lateness_stands_against_response_times_at_the_same_percentile() -> None:
    """A few late by five milliseconds are nothing beside a few that take a hundred, and half of what a few that take ten met."""
    late = {"lateness": wire([0.1] * 95 + [5.0] * 5)}
    assert generator_limit([msgspec.structs.replace(one_group_block([2.0] * 95 + [100.0] * 5), **late)]) is None
    said = generator_limit([msgspec.structs.replace(one_group_block([2.0] * 95 + [10.0] * 5), **late)])
    assert said is not None
    assert "one operation in a hundred 5.0 ms late or later" in said


def test_a_data_layer_in_the_generators_process_cannot_be_told_from_it() -> None:
    """A full core may be its own, so nothing is said."""
    assert generator_limit([one_group_block([10.0] * 100, cpu_percent=99.0, late_ms=50.0, targets=False)]) is None


def test_the_record_says_how_the_generator_did() -> None:
    """Its busiest block and its lateness over all of them; nothing without blocks."""
    found = generator_facts([one_group_block([10.0], cpu_percent=12.0), one_group_block([10.0], cpu_percent=31.0)])
    assert found == {"generator's busiest block": "31 % of a core", "generator's lateness (p99)": "0.050 ms"}
    assert generator_facts([]) == {}


def test_what_is_far_away_is_not_behind_by_chance() -> None:
    """Of what takes long beside what is near, a few more may be under way at the end than at the beginning: that is no backlog."""
    times_ms = [5.0] * 100 + [500.0] * 100
    assert overloaded(total([one_group_block(times_ms, answered=188)])) is None
    assert overloaded(total([one_group_block(times_ms, answered=150)])) is not None
