"""Searches carried out on an engine that is made up: whose turn it is, what is kept whatever happens, and what is judged."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
import pytest

from harness.bench.steps import Silent
from harness.discovery import load
from harness.errors import ScenarioFailedError
from harness.load import capacity_run as capacity_session
from harness.load.block import LatencyHistograms, LoadBlock
from harness.load.capacity import FIRST_LEVEL, MAX_LEVEL, SearchPlan
from harness.load.capacity_run import CapacityPlan, CapacitySession, observation, verdicts
from harness.results.load import CapacityKind
from harness.results.run import RunSettings
from harness.results.store import read_run
from harness.runtime.clock import FakeClock
from harness.runtime.cores import Cores
from harness.stats.histogram import Histogram
from harness.verdicts.capacity import times_the_capacity
from harness.verdicts.measures import speedup
from harness.verdicts.promise import Promise, times
from harness.verdicts.slo import parse

TOY = Path(__file__).parents[2] / "toys" / "adding.py"
ANSWERED_PER_S = 400.0
HOLDS = {"baseline": 20, "proposed": 40, "optimised": 200}
"""The users and, times ten, the operations a second that an arm holds within 100 ms."""


def block(arm: str, users: int, rate: float, seconds: float, **changed: Any) -> LoadBlock:
    """Return a block whose operations all took what the arm takes at that load: 100 ms where it just holds."""
    load_share = (users or rate / 10) / HOLDS[arm]
    operations = round((rate or ANSWERED_PER_S) * seconds)
    histogram = Histogram()
    histogram.record_many(np.full(operations, round(100e6 * load_share), dtype=np.int64))
    wire = histogram.to_wire()
    group = LatencyHistograms(wire, wire, wire, operations, {}, 0, 0, operations, operations)
    whole = LoadBlock("adding", arm, 0, 0, users, round(seconds * 1e9), {"sum": group}, Histogram().to_wire(), 10.0, targets=True)
    return msgspec.structs.replace(whole, **changed)


@dataclass
class Engine:
    """Stands for engine processes: every step is noted in `steps`, takes its time on the clock, and may be made to go wrong."""

    clock: FakeClock = field(default_factory=FakeClock)
    steps: list[tuple[str, float, str]] = field(default_factory=list)
    started: int = 0
    closed: int = 0
    goes_wrong: Callable[[str, float], None] = lambda _arm, _level: None
    facts: dict[str, str] = field(default_factory=lambda: {"event loop": "made up"})

    def __call__(self, job: object) -> Engine:
        """Stand for a new process."""
        return self

    def start(self) -> None:
        """Count it."""
        self.started += 1

    def one(self, arm: str, users: int = 0, rate_factor: float = 1.0, block_s: float | None = None) -> LoadBlock:
        """Return a step's block."""
        assert block_s is not None
        level = users or rate_factor
        self.goes_wrong(arm, level)
        self.steps.append((arm, level, CapacityKind.USERS if users else CapacityKind.RATE))
        self.clock.advance(int((block_s + 1) * 1e9))
        return block(arm, users, 0.0 if users else rate_factor, block_s)

    def ticks(self) -> list[object]:
        """Return none."""
        return []

    def stop(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Count it."""
        self.closed += 1


class Ground:
    """Stands for servers and data."""

    engine, rtt_ms = "sqlite", 0.0

    def __init__(self, *_: object) -> None:
        """Take what the real one takes."""
        self.datasets: dict[str, dict[str, str | int]] = {"adding": {"digest": "numbers"}}
        self.engine_settings: dict[str, dict[str, str]] = {}

    def __enter__(self) -> Self:
        """Be ready."""
        return self

    def __exit__(self, *_: object) -> None:
        """Be gone."""

    def settings(self, index: int) -> list[object]:
        """Return none."""
        return []


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Put the made-up engine and ground in place of the real ones."""
    made = Engine()
    monkeypatch.setattr(capacity_session, "Supervisor", made)
    monkeypatch.setattr(capacity_session, "LoadEnvironment", Ground)
    monkeypatch.setattr(capacity_session, "generator_core", lambda _: nullcontext())
    return made


def session(
    engine: Engine,
    out: Path,
    kinds: tuple[CapacityKind, ...] = (CapacityKind.USERS,),
    arms: tuple[str, ...] = ("baseline", "optimised"),
    **others: float,
) -> CapacitySession:
    """Return a session that searches the toy for what keeps 100 ms."""
    plans = [SearchPlan(kind, parse("p95 <= 100ms"), FIRST_LEVEL[kind], MAX_LEVEL[kind], **others) for kind in kinds]
    settings = RunSettings(["sqlite"], "tiny", 0, [0.0], quick=False, processes=1, budget_s=120.0)
    searches = CapacityPlan(load(TOY), settings, plans, arms, out, "harness capacity adding")
    return CapacitySession(searches, Silent(), Cores(None, None), engine.clock)


def test_every_arm_is_searched_and_the_run_is_a_folder(engine: Engine, tmp_path: Path) -> None:
    """Both kinds, each to what the arm holds, and what was returned is what was written."""
    out = tmp_path / "run"
    record = session(engine, out, (CapacityKind.RATE, CapacityKind.USERS)).run()
    (result,) = record.scenarios
    assert result.load is not None
    for found in result.load.capacities:
        held = HOLDS[found.arm] * (10 if found.kind == CapacityKind.RATE else 1)
        assert found.sustained == pytest.approx(held, rel=0.1)
        assert found.failed_at is not None
    assert [(c.kind, c.arm) for c in result.load.capacities] == [
        (k, a) for k in (CapacityKind.RATE, CapacityKind.USERS) for a in ("baseline", "optimised")
    ]
    assert (record.kind, result.status, result.dataset) == ("load", "ok", {"digest": "numbers"})
    assert record.environment["event loop"] == "made up"
    assert read_run(out) == record
    assert engine.started == engine.closed == 1


def test_arms_take_turns_and_every_second_time_in_the_other_order(engine: Engine, tmp_path: Path) -> None:
    """So that a drift of the machine does not favour whoever is always first."""
    session(engine, tmp_path / "run", arms=("baseline", "proposed", "optimised")).run()
    assert [arm for arm, _, _ in engine.steps[:6]] == ["baseline", "proposed", "optimised", "optimised", "proposed", "baseline"]


def test_an_engine_that_dies_ends_one_search_and_no_other(engine: Engine, tmp_path: Path) -> None:
    """The arm that it died with keeps its steps and says so; the others go on in a new engine."""

    def dies(arm: str, level: float) -> None:
        if arm == "baseline" and level > 10:
            raise ScenarioFailedError("the engine process ended in mid-run (killed by SIGKILL)")

    engine.goes_wrong = dies
    (result,) = session(engine, tmp_path / "run").run().scenarios
    assert result.load is not None
    lost, kept = result.load.capacities
    assert (lost.arm, lost.sustained, lost.failed_at) == ("baseline", 8, None)
    assert "SIGKILL" in lost.reason
    assert kept.sustained == pytest.approx(200, rel=0.1)
    assert result.load.lost_workers == ["baseline at 16 users at once: the engine process ended in mid-run (killed by SIGKILL)"]
    assert engine.started == engine.closed == 2


def test_ctrl_c_keeps_what_was_found(engine: Engine, tmp_path: Path) -> None:
    """The levels so far are in the record, which says that it was interrupted."""

    def interrupt(_arm: str, level: float) -> None:
        if level > 100:
            raise KeyboardInterrupt

    engine.goes_wrong = interrupt
    searching = session(engine, tmp_path / "run")
    record = searching.run()
    assert record.interrupted
    assert searching.unfinished
    (result,) = record.scenarios
    assert result.status == "interrupted"
    assert result.load is not None
    assert {c.arm: c.sustained for c in result.load.capacities}["optimised"] == 64
    assert engine.closed == 1


def test_a_budget_that_ends_first_leaves_the_search_unfinished_and_a_warning(engine: Engine, tmp_path: Path) -> None:
    """Without a level that failed there is no answer; with one there is, if a rough one."""
    searching = session(engine, tmp_path / "short", budget_s=10.0)
    (result,) = searching.run().scenarios
    assert searching.unfinished
    assert "search cut short" in {d.name for d in result.warnings}
    rough = session(engine, tmp_path / "rough", arms=("baseline",), budget_s=18.0)
    (result,) = rough.run().scenarios
    assert result.load is not None
    assert result.load.capacities[0].failed_at is not None
    assert not rough.unfinished


def test_a_data_layer_inside_the_generator_is_a_warning(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a target elsewhere the two take time from each other, which a level alone does not show."""
    assert not session(engine, tmp_path / "elsewhere").run().scenarios[0].warnings
    inside = lambda *a, **k: msgspec.structs.replace(Engine.one(engine, *a, **k), targets=False)  # noqa: E731 - one line of stand-in
    monkeypatch.setattr(engine, "one", inside)
    warnings = session(engine, tmp_path / "inside").run().scenarios[0].warnings
    assert [d.name for d in warnings] == ["one process for both"]


def test_promises_that_a_capacity_answers_are_judged_and_no_others(engine: Engine, tmp_path: Path) -> None:
    """Ten times the users is confirmed by a tenfold capacity; a promise of speed is not answered here, nor called unanswered."""
    (result,) = session(engine, tmp_path / "run").run().scenarios
    loaded = load(TOY)
    promises = (
        Promise("X1", "twice as fast", times(2), speedup("sum"), arms=("optimised",)),
        Promise("S4", "nine times the users", times(8), times_the_capacity(CapacityKind.USERS), arms=("optimised",)),
    )
    monkey = replace(loaded, scenario=type("Promising", (type(loaded.scenario),), {"promises": promises})())
    (verdict,) = verdicts(monkey, result)
    assert (verdict.promise, verdict.verdict) == ("S4", "confirmed")
    assert result.verdicts == []


def test_a_step_is_seen_over_all_groups_and_with_everything_that_was_due() -> None:
    """Errors, dropped and unfinished operations are due without a good answer; the rate offered is what was planned."""
    found = block("baseline", 0, 100.0, 2.0)
    group = msgspec.structs.replace(
        found.groups["sum"], planned=230, errors={"OSError": 10}, dropped=15, unfinished=5, completed=190
    )
    step = observation(100.0, msgspec.structs.replace(found, groups={"a": group, "b": found.groups["sum"]}))
    assert (step.sent, step.completed) == (430, 400)
    assert step.failed_share == pytest.approx(30 / 430)
    assert (step.offered_per_s, step.achieved_per_s) == (215, 195)
    assert step.response.operations == 400
    assert step.invalid is None


def test_a_busy_generator_makes_a_step_invalid() -> None:
    """The reason is the sentence that a whole run would give."""
    step = observation(100.0, block("baseline", 0, 100.0, 2.0, cpu_percent=97.0))
    assert step.invalid is not None
    assert "97 % of its core" in step.invalid
