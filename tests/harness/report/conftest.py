"""Hand-made records for the tests: ordinary ones, missing figures, and hostile texts."""

import csv
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.results.load import LoadResult
from harness.results.run import (
    AA_CONTROL,
    ArmResult,
    Finding,
    Growth,
    Latency,
    Memory,
    Ratio,
    Run,
    RunKind,
    RunSettings,
    RunWarning,
    ScenarioResult,
    ScenarioStatus,
    Slot,
    Statement,
    WorkCount,
)
from harness.results.store import HISTOGRAM_COLUMNS, SCHEMA_VERSION, write_samples
from harness.stats.intervals import paired_ratio
from harness.stats.percentiles import estimates
from harness.verdicts import measures
from harness.verdicts.promise import Promise, at_least, at_most, cut, judge, measured, times, works
from tests.harness.report import loads

MEDIANS_NS = {"baseline": 4_000_000, "proposed": 2_000_000, "optimised": 500_000, AA_CONTROL: 4_000_000}
GROUP = "user's prompts"
HOSTILE = "<script>alert('x')</script> & \"quoted\" | `tick` $x$ 日本語の名前"
ARMS = [
    ArmResult("baseline", "as the service has it"),
    ArmResult("proposed", "as the review writes it", as_written=True),
    ArmResult("optimised", "as an engineer would ship it"),
]
PROMISES = [
    Promise("I1", "queries 5–10× faster", times(5, 10), measures.speedup(GROUP)),
    Promise("I2", "fewer steps", cut(0.9), measures.fewer("vm_steps", GROUP)),
    Promise("I3", "no full scans", at_most(0, "statements"), measures.plan_share(using_index=False)),
    Promise("I4", "at most 10 ms", at_most(10, "ms"), measures.latency(GROUP), part="absolute"),
    Promise("I4", "cost does not grow", at_most(0.1, "exponent"), measures.growth("vm_steps", GROUP), part="growth"),
    Promise("I5", "coverage", at_least(0.95, "share"), measures.plan_share(using_index=True)),
    Promise("I6", "it works", works(), measures.verified(GROUP)),
    Promise("I7", "(cost)", measured("×"), measures.slowdown(GROUP)),
    Promise("M1", "no out-of-memory", works(), measures.survives(GROUP)),
]

MakeResult = Callable[..., ScenarioResult]
MakeRun = Callable[..., Run]


def samples(processes: int = 3, pairs: int = 30) -> list[Slot]:
    """Return timings with a fixed wave instead of noise: the same for every run of the tests."""
    return [
        Slot(p, i, place, arm, GROUP, f"case {i}", [int(ns * (1 + 0.05 * math.sin(7 * i + place)) * (1 + 0.02 * p))])
        for p in range(processes)
        for i in range(pairs)
        for place, (arm, ns) in enumerate(MEDIANS_NS.items())
    ]


def timings(rows: list[Slot]) -> tuple[list[Latency], list[Ratio]]:
    """Return latencies and ratios of samples, as the harness makes them."""
    latencies, ratios = [], []
    base = {(s.process, s.pair): s.latencies_ns[0] for s in rows if s.arm == "baseline"}
    for arm in MEDIANS_NS:
        own = {(s.process, s.pair): s.latencies_ns[0] for s in rows if s.arm == arm}
        values = list(own.values())
        medians = [float(v) for (_, pair), v in own.items() if pair == 0]
        mean = sum(values) / len(values)
        known = estimates([s for s in rows if s.arm == arm])
        shown = {label: x.value_ns if x.bounds_ns else None for label, x in known.items()}
        within = {label: x.interval_ns for label, x in known.items() if x.interval_ns}
        latencies.append(Latency(arm, GROUP, len(values), mean, min(values), max(values), shown, medians, within))
        if arm != "baseline":
            by_process = {p: [(base[q, i], ns) for (q, i), ns in own.items() if q == p] for p, _ in own}
            found, each = paired_ratio(by_process)
            ratios.append(Ratio(arm, GROUP, found.value, found.low, found.high, each, len(values)))
    return latencies, ratios


def plans() -> list[Statement]:
    """Return one statement whose plan scans a table before and uses an index after."""
    sql = "SELECT id FROM prompts WHERE user_id = ? AND title < '<b>'"
    scan = [Statement(arm, GROUP, sql, 1, ["SCAN prompts"], uses_index=False, scans_table=True) for arm in ("baseline", "proposed")]
    search = ["SEARCH prompts USING INDEX ix (user_id=?)"]
    return [*scan, Statement("optimised", GROUP, sql, 1, search, uses_index=True, scans_table=False)]


def memory() -> list[Memory]:
    """Return memory of a list that grows and fails under a limit, of a stream that does neither, and of what cannot run."""
    curve = [(0.01 * i, 60_000_000 + 3_000_000 * i) for i in range(20)]
    listed = Memory("baseline", GROUP, 60_000_000, 120_000_000, 0.2, curve, rows=10_000, repetitions=3)
    streamed = replace(listed, arm="optimised", peak_bytes=64_000_000, curve=[(t, 62_000_000) for t, _ in curve])
    return [
        replace(listed, lowest_added_bytes=59_000_000, highest_added_bytes=61_000_000),
        Memory("proposed", GROUP, 0, 0, 0.0, [], not_measured="it returns None"),
        replace(streamed, lowest_added_bytes=3_900_000, highest_added_bytes=4_100_000),
        Memory("baseline", GROUP, 60_000_000, 90_000_000, 0.1, [], limit_bytes=80_000_000, error="MemoryError"),
    ]


@pytest.fixture(scope="session")
def make_result() -> MakeResult:
    """Return a function that builds a scenario result; keywords replace fields, verdicts are judged from the outcome."""

    def make(**changes: object) -> ScenarioResult:
        latencies, ratios = timings(samples())
        steps = {"baseline": 15_810.0, "proposed": 6_120.0, "optimised": 32.0}
        result = ScenarioResult(
            name="indexes",
            title="Composite indexes",
            doc="Composite indexes.\n\nFour of them.",
            file="scenarios/indexes.py",
            engine="sqlite",
            rtt_ms=0.0,
            status=ScenarioStatus.OK,
            arms=ARMS,
            groups={GROUP: "a user's live prompts"},
            verified_cases=40,
            pairs=90,
            processes=3,
            dataset={"digest": "b7e1", "prompts": 10_000},
            engine_settings={"journal_mode": "wal"},
            latencies=latencies,
            ratios=ratios,
            work_counts=[WorkCount(arm, GROUP, "vm_steps", value) for arm, value in steps.items()],
            statements=plans(),
            memory=memory(),
            growth=[Growth(arm, GROUP, "vm_steps", [0.1, 1.0], [v / 10, v], 1.0) for arm, v in steps.items()],
            findings=[Finding("proposed", "the index is never used", holds=True, evidence="the plan scans")],
            warnings=[RunWarning("few pairs", "90 pairs cannot carry p99", "give it a larger budget")],
            samples_file="samples/indexes.csv",
        )
        changed = replace(result, **changes)  # type: ignore[arg-type]
        return changed if "verdicts" in changes else replace(changed, verdicts=[v for p in PROMISES for v in judge(p, changed)])

    return make


@pytest.fixture(scope="session")
def make_run() -> MakeRun:
    """Return a function that builds a run of scenario results; keywords replace its fields."""

    def make(*scenarios: ScenarioResult, **changes: object) -> Run:
        run = Run(
            schema_version=SCHEMA_VERSION,
            kind=RunKind.PAIRS,
            name="20260105T102211Z-3f9a1c2",
            started_at="2026-01-05T10:22:11+00:00",
            finished_at="2026-01-05T10:29:47+00:00",
            command="harness run all --engine sqlite",
            commit="3f9a1c2d5b",
            dirty=False,
            interrupted=False,
            settings=RunSettings(["sqlite"], "small", 1, [0.0], quick=False, processes=3, budget_s=60.0),
            environment={"python": "3.11.9"},
            scenarios=list(scenarios),
        )
        return replace(run, **changes)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def failed_result() -> ScenarioResult:
    """Return a scenario whose arms disagree."""
    error = "arms disagree on case 'user 17'\n  baseline: 20 rows"
    return ScenarioResult(
        "caching", "Caching", "Caches.", "scenarios/caching.py", "sqlite", 0.0, ScenarioStatus.FAILED, error=error
    )


@pytest.fixture(scope="session")
def hostile_result(make_result: MakeResult) -> ScenarioResult:
    """Return a result in which every text is markup in HTML, Markdown or SQL."""
    latencies, ratios = timings(samples(processes=1, pairs=5))
    groups = [[replace(x, group=HOSTILE) for x in latencies], [replace(x, group=HOSTILE) for x in ratios]]
    broken = ArmResult("proposed", HOSTILE, errors={HOSTILE: f"TypeError: {HOSTILE}"}, as_written=True)
    promise = Promise(
        HOSTILE, HOSTILE, times(5, 10), measures.speedup(HOSTILE), part=HOSTILE, arms=("proposed", "optimised", "more")
    )
    result = make_result(
        name=HOSTILE,
        title=HOSTILE,
        doc=HOSTILE,
        error=HOSTILE,
        status="interrupted",
        arms=[ARMS[0], broken, ARMS[2], ArmResult("more", HOSTILE)],
        groups={HOSTILE: HOSTILE},
        latencies=groups[0],
        ratios=groups[1],
        statements=[Statement("optimised", HOSTILE, HOSTILE, 1, [HOSTILE], uses_index=False, scans_table=True)],
        findings=[Finding("proposed", HOSTILE, holds=False, evidence=HOSTILE)],
        warnings=[RunWarning(HOSTILE, HOSTILE, HOSTILE)],
        dataset={HOSTILE: HOSTILE},
        memory=[replace(m, group=HOSTILE, error=HOSTILE) for m in memory()],
        growth=[Growth("optimised", HOSTILE, HOSTILE, [0.1, 1.0], [1.0, 2.0], 0.3)],
        work_counts=[WorkCount("optimised", HOSTILE, HOSTILE, 1.5, repeats_exactly=False)],
    )
    return replace(result, verdicts=judge(promise, result))


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run's folder with the raw samples of the scenario `indexes`."""
    folder = tmp_path_factory.mktemp("run")
    write_samples(samples(), folder / "samples" / "indexes.csv")
    return folder


@pytest.fixture(scope="session")
def under_load() -> LoadResult:
    """Return three arms at 200 per second, of which one cannot sustain the rate; see `tests.harness.report.loads`."""
    return loads.under_load()


@pytest.fixture(scope="session")
def load_result(make_result: MakeResult, under_load: LoadResult) -> ScenarioResult:
    """Return a scenario's result under load, whose samples file has histograms."""
    groups = {"list": "a user's prompts", "update": "one prompt's text"}
    empty: dict[str, object] = {
        name: [] for name in ("memory", "work_counts", "statements", "growth", "findings", "warnings", "verdicts")
    }
    settings = {"model": "open", "rate": under_load.arrivals}
    return make_result(**empty, groups=groups, load=under_load, load_settings=settings, samples_file="samples/indexes.csv")


@pytest.fixture(scope="session")
def histogram_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a load run's folder with histograms of the two groups, without their sum over all operations."""
    folder = tmp_path_factory.mktemp("load")
    (folder / "samples").mkdir()
    with (folder / "samples" / "indexes.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HISTOGRAM_COLUMNS)
        for group, arm, middle_ms in (
            ("list", "baseline", 55),
            ("list", "optimised", 2.4),
            ("update", "baseline", 21),
            ("update", "optimised", 8),
        ):
            for kind, share in (("response", 1.0), ("service", 0.66)):
                values = [loads.quantile_ns(middle_ms * share, (i + 0.5) / 400) for i in range(400)]
                writer.writerows((0, cycle, 0, arm, group, kind, int(ns), 2) for cycle in range(2) for ns in values)
    return folder
