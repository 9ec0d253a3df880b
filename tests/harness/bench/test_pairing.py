"""Tests of pairing: random orders, slots of a millisecond, the A/A control, the time budget, and nothing else in the times."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bench.job import RECORDED, SLOWED, PairTimes, recorded
from harness.bench.pairing import CONTROL_EVERY, SLOT_NS, Pairing, PairTargets
from harness.bench.schedule import FEWEST
from harness.errors import ScenarioFailedError
from harness.results.run import AA_CONTROL, PING, PURE_CPU, SlotTotals
from harness.runnable import runnable
from harness.runtime.clock import FakeClock
from harness.scenario import Case, Scenario

COSTS_NS = {"baseline": 4_000_000, "proposed": 2_000_000, "optimised": 100_000, AA_CONTROL: 4_000_000}


class Ticking(Scenario[str]):
    """Scenario whose arms advance the fake clock by their cost; resets take a second."""

    arms = {arm: "" for arm in COSTS_NS if arm != AA_CONTROL}  # noqa: RUF012 - a table

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
    excluded: frozenset[tuple[str, str]] = frozenset(),
    seed: int = 1,
    *,
    injected: float = 0.0,
    clock: FakeClock | None = None,
    kind: type[Ticking] = Ticking,
    slow: tuple[str, ...] = (),
    first: int = 0,
) -> tuple[list[PairTimes], Ticking]:
    """Time a number of pairs of two cases."""
    clock = clock or FakeClock()
    scenario = kind(clock)
    cases = [Case("g", "first", None), Case("g", "second", None)]
    instances = {arm: arm for arm in (*COSTS_NS, *([SLOWED] if injected else []))}
    rng = random.Random(seed)
    pairing = Pairing(runnable(scenario), instances, cases, rng, clock, excluded=excluded, slow=slow, injected=injected)

    async def go() -> list[PairTimes]:
        await pairing.warm_up(["g"])
        return [pair async for pair in pairing.pairs(PairTargets({"g": number}), first)]

    return asyncio.run(go()), scenario


def test_only_the_operation_is_timed() -> None:
    """A reset of a second is not included in the times."""
    found, _ = pairs(8)
    assert {(slot.arm, ns) for pair in found for slot in pair.slots for ns in slot.latencies_ns} == set(COSTS_NS.items())


def test_a_slot_lasts_a_millisecond_at_least() -> None:
    """Fast arms repeat their operation; slow ones run once."""
    found, _ = pairs(2)
    for pair in found:
        for slot in pair.slots:
            assert slot.totals.total_ns >= SLOT_NS
            assert slot.totals.operations == max(1, SLOT_NS // COSTS_NS[slot.arm])


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=200), st.floats(0, 1, exclude_max=True))
def test_a_slot_records_some_of_its_operations_and_the_totals_of_all(times_ns: list[int], start: float) -> None:
    """Of many operations RECORDED are kept, in their order; number, sum, minimum and maximum are of all."""
    slot = recorded("optimised", times_ns, start)
    assert slot.totals == SlotTotals(len(times_ns), sum(times_ns), min(times_ns), max(times_ns))
    assert len(slot.latencies_ns) == min(len(times_ns), RECORDED)
    left = iter(times_ns)
    assert all(kept in left for kept in slot.latencies_ns)


def test_every_operation_of_a_slot_is_recorded_equally_often() -> None:
    """Over all starts each place has the same share, the first one as well, where caches are cold."""
    kept = Counter(ns for n in range(1000) for ns in recorded("optimised", list(range(1, 4 * RECORDED + 1)), n / 1000).latencies_ns)
    assert len(kept) == 4 * RECORDED
    assert set(kept.values()) == {250}


def test_every_arm_of_a_pair_runs_the_same_case() -> None:
    """Cases alternate from pair to pair, never from arm to arm; another process begins with another one."""
    found, _ = pairs(4)
    assert [pair.case for pair in found] == ["first", "second", "first", "second"]
    found, _ = pairs(1, first=1)
    assert [pair.case for pair in found] == ["second"]


def test_a_slow_group_is_timed_without_warm_up_and_without_a_control() -> None:
    """Nothing is run before its pairs, and they have the arms alone."""
    found, scenario = pairs(2, slow=("g",))
    assert [sorted(slot.arm for slot in pair.slots) for pair in found] == [["baseline", "optimised", "proposed"]] * 2
    assert len(scenario.ran) == 6


def test_a_pair_has_the_time_that_it_took() -> None:
    """Resets, of a second each, are included; the slots' own times leave them out."""
    clock = FakeClock()
    found, _ = pairs(3, clock=clock)
    operations = [sum(slot.totals.operations for slot in pair.slots) for pair in found]
    times_ns = [sum(slot.totals.total_ns for slot in pair.slots) for pair in found]
    assert [pair.lasted_ns for pair in found] == [n * 10**9 + ns for n, ns in zip(operations, times_ns, strict=True)]


def test_the_control_takes_part_in_every_fourth_pair() -> None:
    """In one of `CONTROL_EVERY` pairs the baseline is measured against itself."""
    found, _ = pairs(2 * CONTROL_EVERY)
    assert [any(s.arm == AA_CONTROL for s in pair.slots) for pair in found] == ([True] + [False] * (CONTROL_EVERY - 1)) * 2


def test_both_baseline_instances_are_used_equally() -> None:
    """Each of the two runs about half of the baseline's slots: neither has the colder caches."""
    _, scenario = pairs(400)
    used = [instance for instance, _ in scenario.ran if instance in {"baseline", AA_CONTROL}]
    assert 0.45 < used.count(AA_CONTROL) / len(used) < 0.55


def test_orders_are_drawn_independently() -> None:
    """Each arm is first in about a third of the pairs, and the sequence depends on the seed only."""
    found, _ = pairs(600)
    first = [pair.slots[0].arm for pair in found if len(pair.slots) == 3]
    for arm in ("baseline", "proposed", "optimised"):
        assert 0.26 < first.count(arm) / len(first) < 0.41
    assert [p.slots for p in pairs(30, seed=5)[0]] == [p.slots for p in pairs(30, seed=5)[0]]
    assert [p.slots for p in pairs(30, seed=5)[0]] != [p.slots for p in pairs(30, seed=6)[0]]


def test_an_excluded_arm_is_skipped() -> None:
    """It is neither warmed up nor timed."""
    found, scenario = pairs(5, frozenset({("proposed", "g")}))
    assert "proposed" not in {arm for arm, _ in scenario.ran}
    assert {len(pair.slots) for pair in found} == {2, 3}


def test_a_self_reported_time_replaces_the_measured_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slot is still sized by the operation's duration; a time of zero counts as one nanosecond, because of the ratio."""
    monkeypatch.setattr(
        Ticking, "self_reported_ns", lambda _scenario, case, _answer: {"first": 7, "second": 0}[case.name], raising=False
    )
    found, _ = pairs(2)
    times = {(pair.case, slot.arm): slot.latencies_ns for pair in found for slot in pair.slots}
    assert times["first", "optimised"] == [7] * 10
    assert times["second", "baseline"] == [1]


class ReadingClock(FakeClock):
    """A clock that advances by a microsecond per reading, so that a busy wait ends."""

    def now_ns(self) -> int:
        """Advance, and return the time."""
        self.time_ns += 1_000
        return self.time_ns


def test_other_controls_are_timed_with_the_aa_control() -> None:
    """Pure Python always, and the scenario's ping if it has one; neither affects an arm's times."""
    found, _ = pairs(CONTROL_EVERY)
    assert [sorted(pair.controls_ns) for pair in found] == [[PURE_CPU]] + [[]] * (CONTROL_EVERY - 1)

    class Pinging(Ticking):
        async def ping(self, instance: str) -> str:
            self.clock.advance(77)
            return instance

    again, _ = pairs(1, kind=Pinging)
    assert again[0].controls_ns == {PURE_CPU: 0, PING: 77}


def test_an_injected_slowdown_is_a_baseline_that_takes_longer_by_its_share() -> None:
    """It takes part in every pair, each of the three baseline instances is slowed equally often, and no other arm is slowed."""
    found, scenario = pairs(100, injected=0.25, clock=ReadingClock())
    slowed = [slot for pair in found for slot in pair.slots if slot.arm == SLOWED]
    assert len(slowed) == 100
    assert {round(ns / COSTS_NS["baseline"], 2) for slot in slowed for ns in slot.latencies_ns} == {1.25}
    others = {(s.arm, round(ns, -5)) for pair in found for s in pair.slots if s.arm != SLOWED for ns in s.latencies_ns}
    assert others == set(COSTS_NS.items())
    used = Counter(instance for instance, _ in scenario.ran)
    assert max(used[name] for name in ("baseline", AA_CONTROL, SLOWED)) < 1.4 * min(
        used[name] for name in ("baseline", AA_CONTROL, SLOWED)
    )


def spend(costs: dict[str, int], wanted: dict[str, int], until_ns: int | None) -> tuple[PairTargets, list[str]]:
    """Time groups whose pairs always cost the same; return the targets, and the groups in the order in which they were timed."""
    targets, order, now_ns = PairTargets(wanted, until_ns), list[str](), 0
    while (group := targets.next_group(now_ns)) is not None:
        targets.pairs[group] += 1
        order.append(group)
        now_ns += costs[group]
    return targets, order


WANTED = st.dictionaries(st.sampled_from("abcde"), st.integers(1, 40), min_size=1)


@given(WANTED, st.none() | st.integers(0, 20_000), st.lists(st.integers(1, 1000), min_size=5, max_size=5))
def test_every_group_gets_its_pairs_as_long_as_there_is_time(
    wanted: dict[str, int], until_ns: int | None, costs: list[int]
) -> None:
    """With time enough it gets exactly those; otherwise at least the fewest that a process may time, and no more after the end."""
    cost = dict(zip("abcde", costs, strict=True))
    targets, order = spend(cost, wanted, until_ns)
    assert all(min(FEWEST, number) <= targets.pairs[group] <= number for group, number in wanted.items())
    needed = sum(cost[group] * number for group, number in wanted.items())
    if until_ns is None or needed <= until_ns:
        assert dict(targets.pairs) == wanted
    else:
        late = [group for place, group in enumerate(order) if sum(cost[g] for g in order[:place]) >= until_ns]
        assert all(late.count(group) <= FEWEST for group in late)


@given(WANTED)
def test_groups_are_spread_over_the_process(wanted: dict[str, int]) -> None:
    """At any moment each group has the same part of its pairs, give or take one: all share the drift of the machine."""
    _, order = spend(dict.fromkeys(wanted, 1), wanted, None)
    counted: Counter[str] = Counter()
    for group in order:
        counted[group] += 1
        parts = [(counted[g] / number, 1 / number) for g, number in wanted.items()]
        assert max(part - step for part, step in parts) <= min(part for part, _ in parts) + 1e-9


def test_an_error_while_timing_has_arm_case_and_repetition() -> None:
    """The repetition is counted from the start of the process, warm-up included."""

    class Breaking(Ticking):
        async def run(self, instance: str, case: Case) -> str:
            answer = await super().run(instance, case)
            if self.ran.count(("optimised", case.name)) > 17:
                raise ConnectionResetError("reset by peer")
            return answer

    with pytest.raises(ScenarioFailedError) as failed:
        pairs(8, kind=Breaking)
    message = str(failed.value)
    assert message.startswith("optimised raised in case 'first', repetition 18, at tests/harness/bench/test_pairing.py, line ")
    assert message.endswith("ConnectionResetError: reset by peer")
