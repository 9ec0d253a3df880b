"""From blocks to a result: figures by arm and group, ratios unless something forbids them, warnings, nothing out of nothing."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from harness.discovery import load
from harness.load.histogram_file import HISTOGRAM_COLUMNS, write_histograms
from harness.load.protocol import LatencyHistograms, LoadBlock, LoadJob
from harness.load.results import CollectedResults, Where, result
from harness.results.load import ALL, Phase, Tick
from harness.results.run import ScenarioResult
from harness.stats.histogram import Histogram, HistogramWire

TOY = load(Path(__file__).parents[2] / "toys" / "adding.py")
MS = 1_000_000
JOB = LoadJob([], [], block_s=5.0, warm_up_s=1.0, arrivals="poisson:20")
CLOSED = LoadJob([], [], block_s=5.0, model="closed")


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
    return result(TOY, Where("sqlite", 0.0, {"rows": 3}), heard, job, "samples/adding-sqlite.csv")


def test_each_arm_has_figures_by_group_and_over_all() -> None:
    """What was offered, what was answered, and the times of both."""
    load = judged(CollectedResults({1: cycles(4, 4, 1), 2: cycles(4, 4, 1)})).load
    assert load is not None
    assert {(a.arm, a.group) for a in load.arms} == {(a, g) for a in ("baseline", "optimised") for g in (ALL, "sum", "more")}
    whole = next(a for a in load.arms if (a.arm, a.group) == ("optimised", ALL))
    assert (whole.offered_per_s, whole.achieved_per_s, whole.operations) == (40.0, 40.0, 1600)
    one = next(a for a in load.arms if (a.arm, a.group) == ("optimised", "sum"))
    assert one.response.percentiles_ns["50"] == pytest.approx(1.06 * MS, rel=0.02)
    assert (load.model, load.block_s, load.warm_up_s, load.invalid) == ("open", 5.0, 1.0, None)
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
    write_histograms({1: cycles(2, 4, 1)}, "adding", file)
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert tuple(rows[0]) == HISTOGRAM_COLUMNS
    assert {row["kind"] for row in rows} == {"response", "service", "queue"}
    mine = [r for r in rows if (r["cycle"], r["arm"], r["group"], r["kind"]) == ("1", "optimised", "sum", "response")]
    assert sum(int(r["count"]) for r in mine) == 100
    assert all(0.99 * MS < int(r["lower_ns"]) < 1.2 * MS for r in mine)
