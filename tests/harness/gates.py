"""Small runs for the tests of the gate: one scenario with two arms, with work counts, timed in three processes."""

from dataclasses import replace

from harness.results.load import LatencySummary, LoadedArm, LoadModel, LoadResult
from harness.results.run import (
    AA_CONTROL,
    ArmResult,
    Latency,
    Memory,
    Run,
    RunKind,
    RunSettings,
    ScenarioResult,
    ScenarioStatus,
    WorkCount,
)
from harness.results.store import SCHEMA_VERSION

GROUP = "prompts"
ARMS = ("baseline", "optimised")
TIMES_NS = (1_000_000.0, 1_020_000.0, 980_000.0)
SETTINGS = RunSettings(["sqlite"], "small", 0, [0.0], quick=False, processes=3, budget_s=30.0)


def latency(
    arm: str = "baseline", group: str = GROUP, medians_ns: tuple[float, ...] = TIMES_NS, p99_ns: float | None = None
) -> Latency:
    """Return times of one arm; the gate reads the processes' medians and the percentiles."""
    return Latency(arm, group, 90, 1e6, 1, 9, {"99": p99_ns}, list(medians_ns))


def result(
    name: str = "indexes", *, statements: float = 3.0, steps: float = 100.0, slower: float = 1.0, **changes: object
) -> ScenarioResult:
    """Return a scenario's result; `slower` multiplies every time."""
    counts = [
        WorkCount(arm, GROUP, metric, value) for arm in ARMS for metric, value in (("statements", statements), ("vm_steps", steps))
    ]
    medians_ns = tuple(ns * slower for ns in TIMES_NS)
    made = ScenarioResult(
        name=name,
        title=name.title(),
        doc=f"What {name} brings.",
        file=f"{name}.py",
        engine="sqlite",
        rtt_ms=0.0,
        status=ScenarioStatus.OK,
        arms=[ArmResult(arm, f"the arm {arm}") for arm in ARMS],
        groups={GROUP: "a user's prompts"},
        dataset={"digest": "b7e1"},
        engine_settings={"sqlite": "3.40.1", "PRAGMA cache_size": "-2000"},
        latencies=[latency(arm, medians_ns=medians_ns) for arm in (*ARMS, AA_CONTROL)],
        work_counts=counts,
        memory=[Memory("baseline", GROUP, 50_000_000, 90_000_000, 0.1, [])],
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def run(*scenarios: ScenarioResult, **changes: object) -> Run:
    """Return a run of the given results, or of one."""
    made = Run(
        schema_version=SCHEMA_VERSION,
        kind=RunKind.PAIRS,
        name="20260105T102211Z-3f9a1c2",
        started_at="2026-01-05T10:22:11+00:00",
        finished_at="2026-01-05T10:29:47+00:00",
        command="harness run all",
        commit="3f9a1c2d5b",
        dirty=False,
        interrupted=False,
        settings=SETTINGS,
        environment={"python": "CPython 3.11.7", "cpu": "EPYC", "sqlalchemy": "2.0.58"},
        scenarios=list(scenarios) or [result()],
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def loaded(
    arm: str = "baseline",
    group: str = GROUP,
    *,
    operations: int = 800,
    errors: int = 0,
    dropped: int = 0,
    unfinished: int = 0,
    per_s: float = 200.0,
) -> LoadedArm:
    """Return one arm's operations of a group under load."""
    empty = LatencySummary(operations)
    counts = (per_s, per_s, operations, errors, dropped, unfinished)
    messages = {"ConnectionRefusedError: no server": errors} if errors else {}
    return LoadedArm(arm, group, *counts, response=empty, service=empty, queue=empty, error_messages=messages)


def under_load(*arms: LoadedArm, duration_s: float = 30.0, failed: str | None = None, **changes: object) -> Run:
    """Return a load run of one scenario without work counts; `changes` are of its load, `failed` is its error."""
    about = ([LoadModel.OPEN], "50 per second, evenly spaced", 5.0, 2.0, list(arms) or [loaded()])
    load = replace(LoadResult(*about, drain_s=10.0, in_flight_limit=1000), **changes)  # type: ignore[arg-type]
    made = result(work_counts=[], memory=[], load=load, error=failed)
    made = replace(made, status=ScenarioStatus.FAILED if failed else ScenarioStatus.OK)
    return run(made, kind=RunKind.LOAD, settings=replace(SETTINGS, budget_s=duration_s))


def add(made: ScenarioResult, *counts: WorkCount) -> ScenarioResult:
    """Return the result with further counts."""
    return replace(made, work_counts=[*made.work_counts, *counts])
