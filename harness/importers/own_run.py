"""Convert runs of this harness to times for a comparison, and times of another tool's file to a run."""

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

from harness.errors import UsageError
from harness.importers.reading import Reading, TimeCounts, Timing, one_line
from harness.results.run import AA_CONTROL, BASELINE, ArmResult, Latency, Run, RunKind, RunSettings, ScenarioResult, ScenarioStatus
from harness.results.store import SCHEMA_VERSION
from harness.stats.intervals import QUANTILES
from harness.text import encode_json

TOOL = "this harness"


def reading(run: Run, path: Path) -> Reading:
    """Return the times of a run: one benchmark per scenario, arm and group, with the processes' medians as units.

    UsageError: it has none, or is a comparison.
    """
    if run.kind == RunKind.COMPARISON:
        raise UsageError(f"{path} is a comparison; name the two files that it compares")
    tool = {RunKind.PAIRS: TOOL, RunKind.LOAD: f"{TOOL}, under load"}.get(run.kind, next((r.engine for r in run.scenarios), TOOL))
    each = [(result, latency) for result in run.scenarios for latency in result.latencies if latency.arm != AA_CONTROL]
    timings = [_timing(result, latency, run.kind) for result, latency in each]
    if not timings:
        raise UsageError(f"{path} has no times to compare; name a run in which a scenario was timed")
    ((twice, number),) = Counter(timing.name for timing in timings).most_common(1)
    if number > 1:
        raise UsageError(f"{path} has two scenarios with {twice!r}; compare runs in which each scenario has its own name")
    datasets = {f"dataset of {r.name}": str(r.dataset["digest"]) for r in run.scenarios if "digest" in r.dataset}
    facts, digest = run.environment | datasets, hashlib.sha256(encode_json(run.scenarios)).hexdigest()
    measured = (run.started_at, run.commit, run.dirty, facts, digest, tuple(run.warnings))
    return Reading(str(path), tool, "a run of this harness", tuple(timings), *measured)


def _timing(result: ScenarioResult, latency: Latency, kind: str) -> Timing:
    place = f"{result.engine}, RTT {result.rtt_ms:g} ms"
    medians = [value for value in latency.process_medians_ns if value > 0]
    units = TimeCounts.of(medians) if medians else None
    median_ns = units.quantile_ns(0.5) if units else latency.percentiles_ns.get("50") or latency.mean_ns
    name = latency.group if kind == RunKind.FILE else f"{result.name} · {place} · {latency.arm} · {latency.group}"
    figures = (median_ns, latency.mean_ns, latency.min_ns, latency.max_ns, latency.percentiles_ns)
    return Timing(name, latency.samples or None, *figures, units if len(medians) > 1 else None)


def latency(timing: Timing, arm: str) -> Latency:
    """Return a benchmark of a file as an arm's latency; `samples` is 0 where the file does not state the number."""
    percentiles_ns = {label: timing.percentiles_ns.get(label) for label in QUANTILES}
    figures = (timing.samples or 0, timing.mean_ns, round(timing.min_ns), round(timing.max_ns), percentiles_ns)
    return Latency(arm, timing.name, *figures, [timing.median_ns])


def of_file(found: Reading) -> Run:
    """Return a file of another tool as a run with one arm and one group per benchmark."""
    name = one_line(Path(found.file).name)
    about = (name, name, f"Measured by {found.tool}.", found.file, found.tool, 0.0, ScenarioStatus.OK)
    arms, latencies = [ArmResult(BASELINE, f"{found.format}, {name}")], [latency(timing, BASELINE) for timing in found.timings]
    result = ScenarioResult(*about, arms=arms, latencies=latencies, warnings=list(found.warnings))
    environment = found.environment | {"file": one_line(found.file), "SHA-256": found.digest}
    return of_result(RunKind.FILE, name, found, result, environment)


def of_result(kind: RunKind, name: str, found: Reading, result: ScenarioResult, environment: dict[str, str]) -> Run:
    """Return a run with one result that this harness did not measure, with the time, tool and commit of `found`."""
    settings = RunSettings([found.tool], "", 0, [0.0], quick=False, processes=0, budget_s=0.0)
    run = blank(kind, name, settings, [result], started_at=found.started_at)
    return replace(run, commit=found.commit, dirty=found.dirty, environment=environment)


def blank(kind: RunKind, name: str, settings: RunSettings, results: list[ScenarioResult], *, started_at: str) -> Run:
    """Return a complete run without a command, commit and environment."""
    return Run(
        schema_version=SCHEMA_VERSION,
        kind=kind,
        name=name,
        started_at=started_at,
        finished_at=None,
        command="",
        commit=None,
        dirty=False,
        interrupted=False,
        settings=settings,
        environment={},
        scenarios=results,
    )
