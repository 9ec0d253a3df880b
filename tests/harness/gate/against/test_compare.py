"""Interleaved timing: verdicts from synthetic sets, slices with a fake clock, and two real commands."""

from __future__ import annotations

import itertools
import math
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gate.against import compare as paired
from harness.gate.against.compare import (
    MIN_PAIRS,
    SLICE_NS,
    PairedTime,
    VersionCommand,
    compare_all,
    interleave,
    share_s,
    suspects,
    verdicts,
)
from harness.gate.against.protocol import EACH
from harness.results.gate import GateVerdict
from harness.runtime.clock import FakeClock
from harness.stats.slice_pairs import MEAN, MEDIAN, TAILS, ProcessPairLogs, SlicePair, process_pair_logs

MARGIN = 0.03


Sets = tuple[dict[str, list[ProcessPairLogs]], dict[str, list[ProcessPairLogs]]]


def sets(seed: str, slower: Mapping[str, float], sd: float = 0.01, repeated: int = 0, **tails: float) -> Sets:
    """Return both sets, in which each named benchmark is slower by a share; `repeated` process pairs are in the second one.

    `tails` are further statistics, and the share by which each benchmark is slower there.
    """
    coin = random.Random(seed)
    found: Sets = {}, {}
    for number in range(paired.PROCESS_PAIRS + repeated):
        for name, by in slower.items():
            shares = {MEDIAN: by, MEAN: by, **tails}
            logs = {label: math.log1p(share) + coin.gauss(0, sd) for label, share in shares.items()}
            found[number >= paired.PROCESS_PAIRS].setdefault(name, []).append(ProcessPairLogs(logs, 1000))
    return found


def constant(*logs: float) -> list[ProcessPairLogs]:
    """Return process pairs with these logs as medians and means."""
    return [ProcessPairLogs({MEDIAN: log, MEAN: log}) for log in logs]


def by_name(found: Sets) -> dict[str, str]:
    """Return the verdicts by name."""
    return {time.name: time.verdict for time in verdicts(*found, MARGIN, 1.5)}


def test_each_benchmark_has_its_own_verdict() -> None:
    """A benchmark that is slower twice regressed, a faster one improved, and an equal one is equivalent."""
    assert by_name(sets("a", {"slower": 0.1, "faster": -0.1, "same": 0.0}, repeated=12)) == {
        "slower": GateVerdict.REGRESSED,
        "faster": GateVerdict.IMPROVED,
        "same": GateVerdict.EQUIVALENT,
    }


def test_a_slowdown_that_does_not_recur_is_inconclusive() -> None:
    """Slower in the first set but not in the second is inconclusive, with the reason."""
    found = sets("b", {"slower": 0.1})
    found[1]["slower"] = constant(*[0.001, -0.001] * 10)
    (time,) = verdicts(*found, MARGIN, 1.5)
    assert time.verdict == GateVerdict.INCONCLUSIVE
    assert "not confirmed by 20 fresh ones" in time.reason


def test_noise_is_inconclusive() -> None:
    """With too much noise the result is inconclusive, and states what was detectable and the time needed."""
    (time,) = verdicts(*sets("c", {"noisy": 0.0}, sd=0.08), MARGIN, 1.5)
    assert time.verdict == GateVerdict.INCONCLUSIVE
    assert time.detectable is not None
    assert time.detectable > MARGIN
    assert time.needed_s is not None
    assert time.needed_s > 15


def test_a_regression_shows_its_second_set() -> None:
    """The ratio is that of the process pairs that decided, not of those that selected it."""
    found = sets("d", {"slower": 0.2})
    found[1]["slower"] = constant(*[math.log(1.1)] * 9)
    (time,) = verdicts(*found, MARGIN, 1.5)
    assert time.verdict == GateVerdict.REGRESSED
    assert time.ratio == pytest.approx(1.1)


@pytest.mark.parametrize("label", [MEAN, "p90", "p95", "p99"])
def test_a_slower_tail_is_a_regression_and_is_named(label: str) -> None:
    """It regressed although its median improved; the row has the worst statistic, with the median in the reason."""
    slower = dict.fromkeys(TAILS, 0.0) | {MEAN: 0.0, label: 59.0}
    (time,) = verdicts(*sets("t", {"b": -0.3}, repeated=16, **slower), MARGIN, 1.5)
    assert (time.verdict, time.metric) == (GateVerdict.REGRESSED, label)
    assert time.ratio == pytest.approx(60, rel=0.02)
    assert time.reason.startswith(f"regressed at {label}: slower in 10 process pairs, and again in 16 fresh ones (median 1.4")
    assert time.row(MARGIN, "s", "sqlite", group="g").label == f"g · {label}"


def test_a_tail_has_a_wider_margin_and_needs_its_second_set() -> None:
    """A tail that is a little slower, or slower in the first set alone, changes nothing."""
    few = sets("u", {"b": 0.0}, sd=0.001, repeated=20, p99=0.04)
    assert by_name(few) == {"b": GateVerdict.EQUIVALENT}
    once = sets("v", {"b": 0.0}, sd=0.001, p99=0.5)
    once[1]["b"] = constant(*[0.0] * 20)
    assert by_name(once) == {"b": GateVerdict.EQUIVALENT}


def test_a_tail_that_no_process_pair_supports_is_not_tested() -> None:
    """Percentiles need enough operations in each process pair."""
    found = sets("w", {"b": 0.0}, repeated=20, p99=59.0)
    found[0]["b"][3] = replace(found[0]["b"][3], operations=367)
    assert by_name(found) == {"b": GateVerdict.EQUIVALENT}


@pytest.mark.parametrize("tail", [1.5, 3.0])
def test_the_same_code_has_no_slower_tail(tail: float) -> None:
    """Of 300 gates on the same code with heavy tails (Pareto), a bias per process and a hiccup here and there, none regressed."""
    draw = np.random.default_rng(round(tail * 10))

    def process_pair() -> ProcessPairLogs:
        sides = []
        for _ in range(2):
            times = 1e6 * np.exp(draw.normal(0, 0.02)) * (1 + 0.1 * draw.pareto(tail, 1000))
            times[draw.random(1000) < 0.002] += 2e7
            sides.append(times.astype(np.int64).tolist())
        return process_pair_logs([SlicePair(1000, *sides)])

    for _ in range(300):
        first = {"b": [process_pair() for _ in range(paired.PROCESS_PAIRS)]}
        second = {"b": [process_pair() for _ in range(paired.SECOND_SET_LIMIT)]} if suspects(first, MARGIN) else {}
        assert by_name((first, second))["b"] != GateVerdict.REGRESSED


def test_many_benchmarks_are_corrected_for() -> None:
    """Of 300 equal benchmarks with much noise, none improved or regressed by chance."""
    found = by_name(sets("e", {f"b{i}": 0.0 for i in range(300)}, sd=0.05))
    assert not {GateVerdict.REGRESSED, GateVerdict.IMPROVED} & set(found.values())


def test_a_share_has_a_minimum() -> None:
    """The time left after the start of a process pair is shared equally, and each benchmark gets at least the minimum."""
    assert share_s(3.0, 1.0, 4) == 0.5
    assert share_s(0.5, 1.0, 4) == paired.MIN_SLICES_S


@pytest.mark.slow
def test_any_two_commands_can_be_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that does three times the work is slower."""
    monkeypatch.setattr(paired, "PROCESS_PAIRS", 4)
    monkeypatch.setattr(paired, "MIN_SLICES_S", 0.05)
    file = tmp_path / "version.py"
    file.write_text(
        "import sys\nfrom harness.gate.against.protocol import serve\n"
        "serve({'work': lambda: sum(i * i for i in range(int(sys.argv[1])))})\n"
    )
    root = str(Path(__file__).parents[4])
    old, new = (
        VersionCommand([sys.executable, str(file), str(n)], name, tmp_path, {"PYTHONPATH": root})
        for name, n in (("old", 30_000), ("new", 90_000))
    )
    (time,) = compare_all(old, new, 0.0)
    assert time.name == "work"
    assert time.ratio > 1.3


@pytest.mark.slow
def test_operations_of_a_real_command_are_timed_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One in 15 takes 30 times as long in the new version: that is a regression, although the median is the same."""
    monkeypatch.setattr(paired, "MIN_SLICES_S", 0.25)
    file = tmp_path / "version.py"
    file.write_text(
        "import sys\nfrom harness.gate.against.protocol import serve\ncalls = [0]\n"
        "def work():\n    calls[0] += 1\n    slow = calls[0] % 15 == 0 and sys.argv[1] == 'new'\n"
        "    return sum(i * i for i in range(600_000 if slow else 20_000))\n"
        "serve({'work': work})\n"
    )
    old, new = (
        VersionCommand([sys.executable, str(file), name], name, tmp_path, {"PYTHONPATH": str(Path(__file__).parents[4])})
        for name in ("old", "new")
    )
    (time,) = compare_all(old, new, 0.0)
    assert time.verdict == GateVerdict.REGRESSED
    assert time.metric in {MEAN, *TAILS}
    assert "regressed at " in time.reason


@dataclass
class FakeVersion:
    """A version whose repetitions all take the same time; it logs its calls."""

    name: str
    clock: FakeClock
    each_ns: int
    log: list[tuple[str, int, int]] = field(default_factory=list)

    def slice(self, case: int, repeats: int) -> list[int]:
        """Advance the clock."""
        self.log.append((self.name, case, repeats))
        self.clock.advance(self.each_ns * repeats)
        return [self.each_ns] * repeats if repeats <= EACH else [self.each_ns * repeats]


def fake_versions(old_ns: int, new_ns: int) -> tuple[FakeVersion, FakeVersion, list[tuple[str, int, int]], FakeClock]:
    """Return two versions with a common log and clock."""
    clock = FakeClock()
    log: list[tuple[str, int, int]] = []
    return FakeVersion("old", clock, old_ns, log), FakeVersion("new", clock, new_ns, log), log, clock


@given(st.integers(1, 10**10), st.integers(1, 10**10), st.integers(1, 5))
def test_a_pair_is_the_ratio_new_over_old(old_ns: int, new_ns: int, cases: int) -> None:
    """Each log is that of the times' ratio, whatever the times and the order are, and there is a minimum of pairs."""
    old, new, _, clock = fake_versions(old_ns, new_ns)
    logs = [pair.log for pair in interleave(old.slice, new.slice, 0, cases, random.Random(0), clock)]
    assert len(logs) == MIN_PAIRS
    assert logs == pytest.approx([math.log(new_ns / old_ns)] * MIN_PAIRS)


def test_both_versions_do_the_same_work_in_random_order() -> None:
    """Both get the same cases and repetitions in slices of the target duration, and each is first sometimes."""
    old, new, log, clock = fake_versions(100_000, 130_000)
    pairs = interleave(old.slice, new.slice, 60 * SLICE_NS, 2, random.Random(1), clock)
    calls = {name: [call[1:] for call in log if call[0] == name] for name in ("old", "new")}
    assert calls["old"] == calls["new"]
    timed = log[-2 * len(pairs) + 12 :]
    assert {repeats for _, _, repeats in timed} == {SLICE_NS // 100_000}
    assert {case for _, case, _ in timed} == {0, 1}
    assert {pair[0] for pair in timed[::2]} == {"old", "new"}


@pytest.mark.parametrize(("each_ns", "runs"), [(SLICE_NS // 10, 8), (10 * SLICE_NS, 6)])
@pytest.mark.parametrize("seed", range(4))
def test_no_version_is_warmer_than_the_other_when_a_case_is_new(seed: int, each_ns: int, runs: int) -> None:
    """The versions alternate from the first run of a case to the end of its first pair, whichever is first."""
    old, new, log, clock = fake_versions(each_ns, each_ns)
    interleave(old.slice, new.slice, 200 * SLICE_NS, MIN_PAIRS, random.Random(seed), clock)
    for case in range(MIN_PAIRS):
        order = [name for name, of, _ in log if of == case][:runs]
        assert len(order) == runs
        assert all(before != after for before, after in itertools.pairwise(order))


def test_a_version_that_is_faster_after_itself_is_not_faster_overall() -> None:
    """With one pair for each of four cases, the same code has a ratio of 1 over many process pairs."""

    def process_pair(seed: int) -> list[float]:
        clock, last = FakeClock(), list[WarmVersion]()
        versions = WarmVersion(clock, last).slice, WarmVersion(clock, last).slice
        return [pair.log for pair in interleave(*versions, 160 * SLICE_NS, 4, random.Random(seed), clock)]

    logs = [log for seed in range(300) for log in process_pair(seed)]
    assert abs(sum(logs) / len(logs)) < 0.01


@dataclass(eq=False)
class WarmVersion:
    """A version that takes eight slices, or seven when it was the last to run."""

    clock: FakeClock
    last: list[WarmVersion]

    def slice(self, _: int, repeats: int) -> list[int]:
        """Advance the clock."""
        took_ns = repeats * SLICE_NS * (7 if self.last[-1:] == [self] else 8)
        self.last.append(self)
        self.clock.advance(took_ns)
        return [took_ns]


def test_a_benchmark_slower_than_its_budget_has_one_case() -> None:
    """The minimum of pairs is of a case that has run, not of others that would have to run first."""
    old, new, log, clock = fake_versions(100 * SLICE_NS, 100 * SLICE_NS)
    assert len(interleave(old.slice, new.slice, SLICE_NS, 4, random.Random(0), clock)) == MIN_PAIRS
    assert {case for _, case, _ in log} == {0}
    assert len(log) == 4 + 2 * MIN_PAIRS


def test_the_budget_ends_a_benchmark() -> None:
    """Twice the budget gives about twice the pairs."""
    few, many = (
        len(interleave(versions[0].slice, versions[1].slice, budget_ns, 1, random.Random(2), versions[3]))
        for budget_ns, versions in (
            (SLICE_NS * 100, fake_versions(10_000, 10_000)),
            (SLICE_NS * 200, fake_versions(10_000, 10_000)),
        )
    )
    assert many == pytest.approx(2 * few, rel=0.1)


def test_an_inconclusive_time_states_what_was_detectable() -> None:
    """Its row has the smallest detectable slowdown, and its reason the seconds that the margin needs."""
    time = PairedTime("a", GateVerdict.INCONCLUSIVE, "noise", 1.0, 0.99, 1.01, 0.08, 106.5)
    row = time.row(0.03, "a", "sqlite")
    assert (row.detectable, row.reason) == (0.08, "noise; +3 % needs about 106 s per set")
    assert replace(time, verdict=GateVerdict.EQUIVALENT).row(0.03, "a", "sqlite").reason == "noise"
