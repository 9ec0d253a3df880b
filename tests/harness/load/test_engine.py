"""The load engine: many users, one arm at a time, the same cases for every arm of a cycle, errors apart from times."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.discovery import Loaded, load
from harness.errors import ScenarioFailedError
from harness.load.engine import Engine, for_load
from harness.load.protocol import Block
from harness.measure.clock import FakeClock
from harness.scenario import Case, Scenario, Setting

TOY = Path(__file__).parents[2] / "toys" / "adding.py"
BLOCK_NS = 10_000_000


class Watched(Scenario[str]):
    """Keeps who ran what; every operation takes two milliseconds of a fake clock."""

    arms = {"baseline": "", "optimised": ""}  # noqa: RUF012 - a table
    load_groups = ("read", "write")

    def __init__(self, clock: FakeClock, failing: str = "") -> None:
        """Share the clock; one arm may fail."""
        self.clock, self.failing = clock, failing
        self.ran: list[tuple[str, str]] = []

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Give each stream cases of its own."""
        groups = ("read", "write", "heavy")
        return [Case(group, f"user {setting.stream} {group} {i}", i) for group in groups for i in range(4)]

    def open(self, arm: str, setting: Setting) -> Any:
        """Be the arm's name."""
        from contextlib import nullcontext  # noqa: PLC0415 - a world of nothing

        return nullcontext(arm)

    async def run(self, world: str, case: Case) -> int:
        """Take two milliseconds, or fail once under way."""
        self.ran.append((world, case.name))
        self.clock.advance(2_000_000)
        await asyncio.sleep(0)
        if world == self.failing and len(self.ran) > 20:
            raise RuntimeError("database is locked\nand more")
        return int(case.args)


def loaded(scenario: Scenario[Any]) -> Loaded:
    """Return the scenario as if it had been found in a file."""
    return Loaded("watched", Path("watched.py"), scenario, "Watched.", "Watched.")


def blocks(scenario: Watched, users: int, number: int, tmp_path: Path) -> list[Block]:
    """Take so many blocks."""

    async def go() -> list[Block]:
        engine = Engine([loaded(scenario)], [Setting(tmp_path, tmp_path)], BLOCK_NS / 1e9, scenario.clock)
        await engine.open()
        scenario.ran.clear() if not scenario.failing else None
        found: list[Block] = []
        async for block in engine.cycles(lambda: users, lambda: len(found) >= number):
            found.append(block)  # noqa: PERF401 - the stop condition looks at it
        await engine.close()
        return found

    return asyncio.run(go())


def test_each_cycle_takes_every_arm_once(tmp_path: Path) -> None:
    """In an order that a coin draws, with all users."""
    found = blocks(Watched(FakeClock()), 3, 20, tmp_path)
    for cycle in range(10):
        assert {b.arm for b in found if b.cycle == cycle} == {"baseline", "optimised"}
    assert {b.users for b in found} == {3}
    assert len({tuple(b.arm for b in found if b.cycle == c) for c in range(10)}) == 2


def test_users_meet_the_same_cases_in_every_arm_of_a_cycle(tmp_path: Path) -> None:
    """And each user has a stream of its own, with groups taking turns."""
    scenario = Watched(FakeClock())
    blocks(scenario, 2, 2, tmp_path)
    by_arm = {arm: [name for a, name in scenario.ran if a == arm] for arm in scenario.arms}
    assert by_arm["baseline"] == by_arm["optimised"]
    assert by_arm["baseline"][:4] == ["user 1 read 0", "user 2 read 0", "user 1 write 0", "user 2 write 0"]
    assert not any("heavy" in name for _, name in scenario.ran)


def test_errors_are_counted_by_message_and_never_timed(tmp_path: Path) -> None:
    """A failing operation leaves its first line among the errors and no time among the latencies."""
    found = blocks(Watched(FakeClock(), failing="optimised"), 2, 12, tmp_path)
    failed = sum(n for b in found for n in b.errors.values())
    assert failed > 0
    assert {message for b in found for message in b.errors} == {"RuntimeError: database is locked"}
    assert {b.arm for b in found if b.errors} == {"optimised"}
    late = [b for b in found if b.arm == "optimised" and b.cycle > 3]
    assert all(b.latencies_ns == {} for b in late)


def test_an_arm_sits_out_only_the_groups_it_cannot_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes part in the others, and each of its blocks still ends."""
    monkeypatch.setattr(Watched, "sits_out", {("optimised", "write"): "it cannot"})
    found = blocks(Watched(FakeClock()), 2, 6, tmp_path)
    assert {g for b in found if b.arm == "optimised" for g in b.latencies_ns} == {"read"}
    assert {g for b in found if b.arm == "baseline" for g in b.latencies_ns} == {"read", "write"}


def test_arms_that_disagree_take_no_load(tmp_path: Path) -> None:
    """The engine refuses to start, by the scenario's name."""

    class Wrong(Watched):
        """The optimised arm lies."""

        async def run(self, world: str, case: Case) -> int:
            """Lie."""
            return 13 if world == "optimised" else 0

    with pytest.raises(ScenarioFailedError, match="watched: optimised gives another answer"):
        blocks(Wrong(FakeClock()), 1, 1, tmp_path)


def test_a_scenario_without_load_groups_offers_all_its_cases(tmp_path: Path) -> None:
    """Unless it names some, and then one of them must exist."""
    toy = load(TOY)
    assert len(for_load(toy, toy.scenario.cases(Setting(tmp_path, tmp_path)))) == 3
    with pytest.raises(ScenarioFailedError, match="no cases for many users"):
        for_load(loaded(Watched(FakeClock())), [Case("heavy", "h", 0)])
