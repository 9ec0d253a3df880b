"""Pairing: coin orders, slots of a millisecond, the control, and nothing untimed in the timed line."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from harness.bench.pairing import CONTROL_EVERY, SLOT_NS, SLOWED, Pair, Pairing
from harness.bench.time_budget import Shares
from harness.results.run import CONTROL, PING, PURE_CPU
from harness.runnable import runnable
from harness.runtime.clock import FakeClock
from harness.scenario import Case, Scenario

HEAVY_NS = 400_000_000
COSTS_NS = {"baseline": 4_000_000, "proposed": 2_000_000, "optimised": 100_000, CONTROL: 4_000_000}


class Ticking(Scenario[str]):
    """Each arm moves the fake clock on by its cost; resets take a second."""

    arms = {arm: "" for arm in COSTS_NS if arm != CONTROL}  # noqa: RUF012 - a table

    def __init__(self, clock: FakeClock) -> None:
        """Share the clock."""
        self.clock = clock
        self.ran: list[tuple[str, str]] = []

    async def run(self, instance: str, case: Case) -> str:
        """Take as long as the arm takes."""
        self.ran.append((instance, case.name))
        self.clock.advance(COSTS_NS["baseline" if instance == SLOWED else instance])
        return case.name

    async def reset(self, instance: str, case: Case, answer: Any) -> None:
        """Take long, untimed."""
        assert answer == case.name
        self.clock.advance(1_000_000_000)


def pairs(
    number: int,
    blocked: frozenset[tuple[str, str]] = frozenset(),
    seed: int = 1,
    *,
    plant: float = 0.0,
    clock: FakeClock | None = None,
    kind: type[Ticking] = Ticking,
) -> tuple[list[Pair], Ticking]:
    """Time so many pairs of two cases."""
    clock = clock or FakeClock()
    scenario = kind(clock)
    cases = [Case("g", "first", None), Case("g", "second", None)]
    shares = Shares(("g",), 0, number)
    instances = {arm: arm for arm in (*COSTS_NS, *([SLOWED] if plant else []))}
    coin = random.Random(seed)
    pairing = Pairing(
        runnable(scenario), instances, cases, shares, coin, clock, lambda arm, group: (arm, group) in blocked, HEAVY_NS, plant
    )

    async def go() -> list[Pair]:
        await pairing.warm_up()
        return [pair async for pair in pairing.pairs()]

    return asyncio.run(go()), scenario


def test_only_the_operation_is_timed() -> None:
    """A reset of a second leaves no trace in the times."""
    found, _ = pairs(8)
    assert {(slot.arm, ns) for pair in found for slot in pair.slots for ns in slot.latencies_ns} == set(COSTS_NS.items())


def test_a_slot_lasts_a_millisecond_at_least() -> None:
    """Fast arms repeat their operation; slow ones run once."""
    found, _ = pairs(2)
    for pair in found:
        for slot in pair.slots:
            assert sum(slot.latencies_ns) >= SLOT_NS
            assert len(slot.latencies_ns) == max(1, SLOT_NS // COSTS_NS[slot.arm])


def test_every_arm_of_a_pair_meets_the_same_case() -> None:
    """Cases take turns from pair to pair, never from arm to arm."""
    found, _ = pairs(4)
    assert [pair.case for pair in found] == ["first", "second", "first", "second"]


def test_a_group_whose_baseline_takes_long_is_timed_once_and_without_a_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is seen to be heavy is timed in one pair, whatever the least number is; every arm has had its warm-up before."""
    monkeypatch.setitem(COSTS_NS, "baseline", HEAVY_NS)
    found, scenario = pairs(8)
    assert [sorted(slot.arm for slot in pair.slots) for pair in found] == [["baseline", "optimised", "proposed"]]
    assert [arm for arm, _ in scenario.ran[:4]] == ["baseline", "proposed", "optimised", "optimised"]


def test_the_control_takes_part_now_and_then() -> None:
    """Every so many pairs the baseline is measured against itself."""
    found, _ = pairs(2 * CONTROL_EVERY)
    assert [any(s.arm == CONTROL for s in pair.slots) for pair in found] == ([True] + [False] * (CONTROL_EVERY - 1)) * 2


def test_both_baseline_instances_are_used_alike() -> None:
    """Whichever of the two is called the baseline, each runs about half of its turns: neither has the colder caches."""
    _, scenario = pairs(400)
    used = [instance for instance, _ in scenario.ran if instance in {"baseline", CONTROL}]
    assert 0.45 < used.count(CONTROL) / len(used) < 0.55


def test_orders_are_drawn_by_an_independent_coin() -> None:
    """Each arm comes first about a third of the time, and the sequence depends on the seed alone."""
    found, _ = pairs(600)
    first = [pair.slots[0].arm for pair in found if len(pair.slots) == 3]
    for arm in ("baseline", "proposed", "optimised"):
        assert 0.26 < first.count(arm) / len(first) < 0.41
    assert [p.slots for p in pairs(30, seed=5)[0]] == [p.slots for p in pairs(30, seed=5)[0]]
    assert [p.slots for p in pairs(30, seed=5)[0]] != [p.slots for p in pairs(30, seed=6)[0]]


def test_an_arm_that_cannot_run_sits_out() -> None:
    """It is neither warmed up nor timed."""
    found, scenario = pairs(5, frozenset({("proposed", "g")}))
    assert "proposed" not in {arm for arm, _ in scenario.ran}
    assert {len(pair.slots) for pair in found} == {2, 3}


def test_an_operations_own_figure_counts_in_place_of_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slot is sized by how long the operation takes; nothing at all is one nanosecond, because a ratio needs a figure."""
    monkeypatch.setattr(
        Ticking, "self_reported_ns", lambda _scenario, case, _answer: {"first": 7, "second": 0}[case.name], raising=False
    )
    found, _ = pairs(2)
    times = {(pair.case, slot.arm): slot.latencies_ns for pair in found for slot in pair.slots}
    assert times["first", "optimised"] == [7] * 10
    assert times["second", "baseline"] == [1]


class Wound(FakeClock):
    """A clock that moves on by a microsecond whenever it is read, so that a busy wait ends."""

    def now_ns(self) -> int:
        """Move, and return the time."""
        self.time_ns += 1_000
        return self.time_ns


def test_controls_are_timed_where_the_control_takes_part() -> None:
    """Pure Python always, and what the scenario calls its ping if it has one; neither moves an arm's times."""
    found, _ = pairs(CONTROL_EVERY)
    assert [sorted(pair.controls_ns) for pair in found] == [[PURE_CPU]] + [[]] * (CONTROL_EVERY - 1)

    class Pinging(Ticking):
        async def ping(self, instance: str) -> str:
            self.clock.advance(77)
            return instance

    again, _ = pairs(1, kind=Pinging)
    assert again[0].controls_ns == {PURE_CPU: 0, PING: 77}


def test_a_planted_slow_down_is_a_baseline_that_takes_longer_by_its_share() -> None:
    """It takes part in every pair, any of the three baseline instances plays it alike, and it leaves the other arms alone."""
    found, scenario = pairs(100, plant=0.25, clock=Wound())
    slowed = [slot for pair in found for slot in pair.slots if slot.arm == SLOWED]
    assert len(slowed) == 100
    assert {round(ns / COSTS_NS["baseline"], 2) for slot in slowed for ns in slot.latencies_ns} == {1.25}
    others = {(s.arm, round(ns, -5)) for pair in found for s in pair.slots if s.arm != SLOWED for ns in s.latencies_ns}
    assert others == set(COSTS_NS.items())
    used = Counter(instance for instance, _ in scenario.ran)
    assert max(used[w] for w in ("baseline", CONTROL, SLOWED)) < 1.4 * min(used[w] for w in ("baseline", CONTROL, SLOWED))
