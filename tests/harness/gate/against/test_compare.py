"""Interleaved timing: verdicts from synthetic sets, slices with a fake clock, and two real commands."""

from __future__ import annotations

import itertools
import math
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

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
    verdicts,
)
from harness.results.gate import GateVerdict
from harness.runtime.clock import FakeClock

MARGIN = 0.03


Sets = tuple[dict[str, list[float]], dict[str, list[float]]]


def sets(seed: str, slower: Mapping[str, float], sd: float = 0.01, repeated: int = 0) -> Sets:
    """Return both sets, in which each named benchmark is slower by a share; `repeated` process pairs are in the second one."""
    coin = random.Random(seed)
    found: Sets = {}, {}
    for number in range(paired.PROCESS_PAIRS + repeated):
        for name, by in slower.items():
            found[number >= paired.PROCESS_PAIRS].setdefault(name, []).append(math.log1p(by) + coin.gauss(0, sd))
    return found


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
    found[1]["slower"] = [0.001, -0.001] * 10
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
    found[1]["slower"] = [math.log(1.1)] * 9
    (time,) = verdicts(*found, MARGIN, 1.5)
    assert time.verdict == GateVerdict.REGRESSED
    assert time.ratio == pytest.approx(1.1)


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


@dataclass
class FakeVersion:
    """A version whose repetitions all take the same time; it logs its calls."""

    name: str
    clock: FakeClock
    each_ns: int
    log: list[tuple[str, int, int]] = field(default_factory=list)

    def slice(self, case: int, repeats: int) -> int:
        """Advance the clock."""
        self.log.append((self.name, case, repeats))
        self.clock.advance(self.each_ns * repeats)
        return self.each_ns * repeats


def fake_versions(old_ns: int, new_ns: int) -> tuple[FakeVersion, FakeVersion, list[tuple[str, int, int]], FakeClock]:
    """Return two versions with a common log and clock."""
    clock = FakeClock()
    log: list[tuple[str, int, int]] = []
    return FakeVersion("old", clock, old_ns, log), FakeVersion("new", clock, new_ns, log), log, clock


@given(st.integers(1, 10**10), st.integers(1, 10**10), st.integers(1, 5))
def test_a_pair_is_the_ratio_new_over_old(old_ns: int, new_ns: int, cases: int) -> None:
    """Each log is that of the times' ratio, whatever the times and the order are, and there is a minimum of pairs."""
    old, new, _, clock = fake_versions(old_ns, new_ns)
    logs = interleave(old.slice, new.slice, 0, cases, random.Random(0), clock)
    assert len(logs) == MIN_PAIRS
    assert logs == pytest.approx([math.log(new_ns / old_ns)] * MIN_PAIRS)


def test_both_versions_do_the_same_work_in_random_order() -> None:
    """Both get the same cases and repetitions in slices of the target duration, and each is first sometimes."""
    old, new, log, clock = fake_versions(100_000, 130_000)
    logs = interleave(old.slice, new.slice, 60 * SLICE_NS, 2, random.Random(1), clock)
    calls = {name: [call[1:] for call in log if call[0] == name] for name in ("old", "new")}
    assert calls["old"] == calls["new"]
    timed = log[-2 * len(logs) + 12 :]
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
        return interleave(
            WarmVersion(clock, last).slice, WarmVersion(clock, last).slice, 160 * SLICE_NS, 4, random.Random(seed), clock
        )

    logs = [log for seed in range(300) for log in process_pair(seed)]
    assert abs(sum(logs) / len(logs)) < 0.01


@dataclass(eq=False)
class WarmVersion:
    """A version that takes eight slices, or seven when it was the last to run."""

    clock: FakeClock
    last: list[WarmVersion]

    def slice(self, _: int, repeats: int) -> int:
        """Advance the clock."""
        took_ns = repeats * SLICE_NS * (7 if self.last[-1:] == [self] else 8)
        self.last.append(self)
        self.clock.advance(took_ns)
        return took_ns


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
    """Its reason has the smallest detectable slowdown, and the seconds that the margin needs."""
    time = PairedTime("a", GateVerdict.INCONCLUSIVE, "noise", 1.0, 0.99, 1.01, 0.08, 106.5)
    row = time.row(0.03, "a", "sqlite")
    assert row.reason == "noise; detectable: +8.0 %; +3 % needs about 106 s per set"
    assert replace(time, verdict=GateVerdict.EQUIVALENT).row(0.03, "a", "sqlite").reason == "noise"
