"""The sequence of process pairs: pure for simulated ones, and with two real commands."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.gate.against import allocation, verdicts
from harness.gate.against.budget import GateBudget
from harness.gate.against.compare import MeasuredPair, VersionCommand
from harness.gate.against.sequence import FAILED, INTERRUPTED, MOST_ABSENT, StoredProcessPair, SuiteSequence, TimedPart, compare_all
from harness.gate.against.verdicts import FIRST_ROUND
from harness.results.gate import GateVerdict
from harness.runtime.signals import as_interrupts
from harness.stats import process_pairs
from harness.stats.slice_pairs import MEAN, TAILS, ProcessPairLogs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = str(Path(__file__).parents[4])


@dataclass
class SimulatedSuite:
    """Benchmarks that are slower by shares, timed until all are decided or the time is spent."""

    slower: Mapping[str, float]
    time_s: float
    sd: float = 0.012
    suite: SuiteSequence = field(default_factory=SuiteSequence)
    spent_s: float = 0.0
    timed: list[Sequence[str]] = field(default_factory=list)
    """The benchmarks of each process pair."""

    def run(self) -> SimulatedSuite:
        """Simulate."""
        coin = random.Random("suite")
        self.suite.begin(self.slower)
        while names := self.suite.wanted(self.time_s - self.spent_s):
            self.timed.append(names)
            logs = {}
            for name in names:
                log = self.slower[name] + coin.gauss(0, self.sd)
                logs[name] = ProcessPairLogs({"median": log, "mean": log})
            each_s = allocation.slices_s(len(names), self.suite.start_up_s)
            self.spent_s += self.suite.start_up_s + each_s * len(names)
            self.suite.add(StoredProcessPair(len(self.timed), logs, each_s * len(names), self.spent_s))
        return self

    def by_verdict(self) -> dict[GateVerdict, set[str]]:
        """Return the names by verdict."""
        times = self.suite.result("the budget is spent").times
        return {verdict: {time.name for time in times if time.verdict == verdict} for verdict in {time.verdict for time in times}}


def test_a_suite_that_did_not_change_is_done_in_minutes() -> None:
    """64 equivalent benchmarks, timed in the first round together, leave one by one; none is left."""
    done = SimulatedSuite({f"b{number}": 0.0 for number in range(64)}, 460.0).run()
    assert set(done.by_verdict()) == {GateVerdict.EQUIVALENT}
    assert done.spent_s < 400
    assert all(len(names) == 64 for names in done.timed[:FIRST_ROUND])
    assert len(done.timed[-1]) < 10


def test_slow_ones_are_named() -> None:
    """Three of 64 that are 5 % slower regress, and no other."""
    slow = {"b7", "b11", "b60"}
    done = SimulatedSuite({f"b{number}": 0.05 * (f"b{number}" in slow) for number in range(64)}, 460.0).run()
    assert done.by_verdict() == {
        GateVerdict.REGRESSED: slow,
        GateVerdict.EQUIVALENT: {f"b{number}" for number in range(64)} - slow,
    }


def test_a_budget_is_spent_on_what_it_decides() -> None:
    """With time for half of the process pairs, some are decided and the rest is inconclusive with the reason."""
    coin = random.Random(1)
    suite = SimulatedSuite({f"b{number}": coin.choice((0.0, 0.03)) for number in range(64)}, 200.0).run()
    found = suite.by_verdict()
    assert suite.spent_s <= 200.0
    assert len(found[GateVerdict.INCONCLUSIVE]) < 64
    result = suite.suite.result("the budget is spent")
    assert result.unfinished == "the budget is spent"
    open_times = [time for time in result.times if time.verdict == GateVerdict.INCONCLUSIVE]
    assert all("the budget is spent" in time.reason and time.detectable is not None for time in open_times)


def test_without_time_nothing_is_timed() -> None:
    """Each benchmark has a row that says so."""
    done = SimulatedSuite({"a": 0.0, "b": 0.0}, 0.5).run()
    assert [time.reason for time in done.suite.result("the budget is spent").times] == ["not timed: the budget is spent"] * 2


def test_a_resumed_suite_ends_as_one_that_was_not_interrupted() -> None:
    """Adding the stored process pairs gives the same state, and the same next choice."""
    whole = SimulatedSuite({f"b{number}": 0.0 for number in range(20)}, 150.0).run()
    half, coin = SuiteSequence(), random.Random("suite")
    half.begin(whole.slower)
    for number, names in enumerate(whole.timed[:9], start=1):
        logs = {}
        for name in names:
            log = coin.gauss(0, 0.012)
            logs[name] = ProcessPairLogs({"median": log, "mean": log})
        half.add(StoredProcessPair(number, logs, 1.0, 1.0))
    assert half.wanted(1e6) == whole.timed[9]
    assert half.process_pairs == 9


def test_a_budget_is_spent_where_it_decides_in_any_part() -> None:
    """Of two parts, what is suspicious in one gets further process pairs, and what is decided leaves, with its part."""
    suite, coin = SuiteSequence(), random.Random("parts")
    suite.begin(["a: x", "a: y"], "a")
    suite.begin(["b: x", "b: y"], "b")
    timed: list[Sequence[str]] = []
    while (names := suite.wanted(1e6)) and len(timed) < 100:
        timed.append(names)
        for part_ in ("a", "b"):
            logs = {name: 0.04 * (name == "b: y") + coin.gauss(0, 0.012) for name in names if suite.parts[name] == part_}
            if logs:
                each = {name: ProcessPairLogs({"median": log, "mean": log}) for name, log in logs.items()}
                suite.add(StoredProcessPair(len(timed), each, 0.1, 1.0))
    assert all(len(names) == 4 for names in timed[:FIRST_ROUND])
    verdicts_of = {time.name: time.verdict for time in suite.result("").times}
    assert verdicts_of == {**dict.fromkeys(["a: x", "a: y", "b: x"], GateVerdict.EQUIVALENT), "b: y": GateVerdict.REGRESSED}
    assert timed[-1] == ["b: y"]
    assert suite.rounds == len(timed) < suite.process_pairs


def test_a_benchmark_that_is_not_served_is_given_up() -> None:
    """It does not use up the budget, and its row names what to do."""
    suite = SuiteSequence()
    suite.begin(["a", "b"])
    for number in range(1, MOST_ABSENT + 1):
        found = MeasuredPair({"a": ProcessPairLogs({"median": 0.0, "mean": 0.0})}, {"a": 0.1}, 1.0, 0.1)
        suite.observe(found, {"a", "b"}, is_alone=True)
        suite.add(StoredProcessPair(number, found.logs, 0.1, 1.0))
    assert suite.wanted(1e6) == ["a"]
    assert "it was not served in 2 process pairs" in suite.result("").times[1].reason


def test_progress_has_the_number_decided_and_the_time_left() -> None:
    """The time is that of what is predicted, and at most the budget."""
    suite = SuiteSequence()
    suite.begin(["a", "b"])
    assert suite.progress(suite.left_s(1e6)).startswith("timing 2 benchmarks: process pair 1, first round, about ")
    assert suite.progress(suite.left_s(12.0)).endswith("about 12 s left")
    suite.rounds = FIRST_ROUND
    assert "process pair 6, 0 of 2 decided, about 3 min left" in suite.progress(200.0)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decide by few and short process pairs."""
    monkeypatch.setattr(process_pairs, "ALPHA", 0.2)
    monkeypatch.setattr(verdicts, "FIRST_ROUND", 4)
    monkeypatch.setattr(allocation, "MIN_SLICES_S", 0.05)
    monkeypatch.setattr(allocation, "MAX_SLICES_S", 0.05)


def part(folder: Path, body: str, *wanted: str, name: str = "") -> TimedPart:
    """Return two versions of a script, whose first argument is 1 in the old and 3 in the new one."""
    file = folder / f"version{name}.py"
    file.write_text(f"import sys\nfrom harness.gate.against.protocol import serve\nTIMES = int(sys.argv[1])\n{body}")
    old, new = (
        VersionCommand([sys.executable, str(file), times], name, folder, {"PYTHONPATH": ROOT})
        for name, times in (("old", "1"), ("new", "3"))
    )
    return TimedPart(old, new, wanted or None, name)


WORK = "serve({'work': lambda: sum(i * i for i in range(30_000 * TIMES))})\n"


@pytest.mark.slow
@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("overlap", [False, True])
def test_any_two_commands_can_be_compared(tmp_path: Path, *, overlap: bool) -> None:
    """A script that does three times the work is slower, whether or not process pairs overlap."""
    found = compare_all([part(tmp_path, WORK)], GateBudget(120.0), overlap=overlap)
    (time,) = found.times
    assert (time.name, time.verdict) == ("work", GateVerdict.REGRESSED)
    assert time.ratio is not None
    assert time.ratio > 1.3
    assert found.unfinished == ""
    assert found.timed_s > 0


@pytest.mark.slow
def test_operations_of_a_real_command_are_timed_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One in 40 takes 30 times as long in the new version: that is a regression, although the median is the same."""
    monkeypatch.setattr(process_pairs, "ALPHA", 0.1)
    monkeypatch.setattr(allocation, "MIN_SLICES_S", 0.6)
    body = (
        "calls = [0]\n"
        "def work():\n    calls[0] += 1\n    slow = calls[0] % 40 == 0 and TIMES == 3\n"
        "    return sum(i * i for i in range(600_000 if slow else 20_000))\n"
        "serve({'work': work})\n"
    )
    (time,) = compare_all([part(tmp_path, body)], GateBudget(300.0), margin=0.1).times
    assert time.verdict == GateVerdict.REGRESSED
    assert time.metric in {MEAN, *TAILS}
    assert "regressed at " in time.reason


@dataclass
class ListStore:
    """A store in memory."""

    pairs: list[StoredProcessPair] = field(default_factory=list)
    signal: int = signal.SIGTERM
    """The signal that arrives after the second one; 0 for none."""

    def known(self) -> Sequence[StoredProcessPair]:
        """Return all."""
        return list(self.pairs)

    def add(self, pair: StoredProcessPair) -> None:
        """Store one."""
        self.pairs.append(pair)
        if len(self.pairs) == 2 and self.signal:
            os.kill(os.getpid(), self.signal)


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_an_interrupt_keeps_what_was_timed(tmp_path: Path) -> None:
    """The result says so; the same store then continues to the end, as process pair 3."""
    assert threading.current_thread() is threading.main_thread()
    parts, store = [part(tmp_path, WORK, "work")], ListStore()
    with as_interrupts():
        found = compare_all(parts, GateBudget(120.0), store=store)
    assert found.unfinished == INTERRUPTED
    assert [time.verdict for time in found.times] == [GateVerdict.INCONCLUSIVE]
    assert found.process_pairs == 2
    again = compare_all(parts, GateBudget(120.0), store=store)
    assert [pair.number for pair in store.pairs] == list(range(1, len(store.pairs) + 1))
    assert again.times[0].verdict == GateVerdict.REGRESSED


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_a_version_that_fails_keeps_what_was_timed(tmp_path: Path) -> None:
    """The error is in the result, next to a verdict on each benchmark."""
    body = "import os\nserve({'work': lambda: None, 'worse': lambda: None if TIMES == 1 else os._exit(7)})\n"
    found = compare_all([part(tmp_path, body, "work", "worse")], GateBudget(120.0))
    assert (found.failures[""].version, found.failures[""].as_refusal().code) == ("new", 1)
    assert [(time.name, time.verdict) for time in found.times] == [
        ("work", GateVerdict.INCONCLUSIVE),
        ("worse", GateVerdict.INCONCLUSIVE),
    ]
    assert "a version failed" in found.times[1].reason


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_parts_share_rounds_and_a_failure_ends_one_of_them(tmp_path: Path) -> None:
    """Benchmarks of the same name are told apart; one part is decided although a version ends the other in its first process."""
    fails = "import os\nserve({'work': lambda: None if TIMES == 1 else os._exit(7)})\n"
    store = ListStore()
    store.signal = 0
    parts = [part(tmp_path, fails, "work", name="one"), part(tmp_path, WORK, "work", name="two")]
    found = compare_all(parts, GateBudget(120.0), store=store)
    assert list(found.failures) == ["one"]
    by_name = {time.name: time for time in found.times}
    assert by_name["two: work"].verdict == GateVerdict.REGRESSED
    assert (by_name["one: work"].verdict, FAILED in by_name["one: work"].reason) == (GateVerdict.INCONCLUSIVE, True)
    assert found.unfinished == ""
    assert {name for pair in store.pairs for name in pair.logs} == {"two: work"}


@pytest.mark.slow
def test_a_spent_budget_ends_while_a_version_starts(tmp_path: Path) -> None:
    """A version that takes a minute to start does not exceed a budget of two seconds by much."""
    slow = part(tmp_path, f"import time\ntime.sleep(60)\n{WORK}", "work")
    budget = GateBudget(2.0)
    found = compare_all([slow], budget)
    assert budget.spent_s < 30
    assert found.times[0].reason == "not timed: the budget of 2 s is spent"
