"""Convert runs of this harness to times for a comparison, and times of another tool's file to a run."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from harness.errors import UsageError
from harness.gate import matching
from harness.importers.reading import Reading, TimeCounts, Timing, one_line
from harness.results.load import ALL, LoadedArm
from harness.results.run import (
    AA_CONTROL,
    BASELINE,
    ArmResult,
    Latency,
    OperationCounts,
    Run,
    RunKind,
    RunSettings,
    RunWarning,
    ScenarioResult,
    ScenarioStatus,
)
from harness.results.store import SCHEMA_VERSION
from harness.results.warning_names import WarningName
from harness.stats.intervals import QUANTILES
from harness.text import encode_json

TOOL = "this harness"


def reading(run: Run, path: Path) -> Reading:
    """Return the times of a run: one benchmark per scenario, arm and group, with the processes' medians as units.

    A scenario that failed, and an arm that cannot run, is a failed check.

    UsageError: it has neither times nor failures, or is a comparison.
    """
    if run.kind == RunKind.COMPARISON:
        raise UsageError(f"{path} is a comparison; name the two files that it compares")
    tool = {RunKind.PAIRS: TOOL, RunKind.LOAD: f"{TOOL}, under load"}.get(run.kind, next((r.engine for r in run.scenarios), TOOL))
    each = [(result, latency) for result in run.scenarios for latency in result.latencies if latency.arm != AA_CONTROL]
    timings = [_timing(result, latency, run.kind) for result, latency in each]
    operations = [counts for result in run.scenarios for counts in _operations(result)]
    failed = dict(_failed(run))
    if not (timings or operations or failed):
        raise UsageError(f"{path} has no times to compare; name a run in which a scenario was timed")
    names = Counter(timing.name for timing in timings) | Counter(counts.group for counts in operations)
    twice = [name for name, number in names.items() if number > 1]
    if twice:
        raise UsageError(f"{path} has two scenarios with {twice[0]!r}; compare runs in which each scenario has its own name")
    datasets = {f"dataset of {r.name}": str(r.dataset["digest"]) for r in run.scenarios if "digest" in r.dataset}
    facts, digest = run.environment | datasets, hashlib.sha256(encode_json(run.scenarios)).hexdigest()
    return Reading(
        str(path),
        tool,
        "a run of this harness",
        tuple(timings),
        run.started_at,
        run.commit,
        run.dirty,
        facts,
        digest,
        warnings=(*run.warnings, *(warning for result in run.scenarios for warning in result.warnings), *_warnings(run, failed)),
        operations=tuple(operations),
        metrics=tuple(replace(metric, arm="") for result in run.scenarios for metric in result.metrics),
        load_settings=_identity(run),
        dropped=sum(
            arm.dropped for result in run.scenarios if result.is_timed_under_load for arm in deciding(result) if arm.group != ALL
        ),
        invalid="; ".join(
            dict.fromkeys(r.load.invalid for r in run.scenarios if r.is_timed_under_load and r.load and r.load.invalid)
        ),
        failed_checks=tuple(failed),
    )


def _failed(run: Run) -> Iterator[tuple[str, str]]:
    """Yield the scenarios that failed and the arms that cannot run, each with its error."""
    for result in run.scenarios:
        if result.status == ScenarioStatus.FAILED:
            yield f"{result.name} · {result.place}", result.error or "no error was recorded"
        for arm in result.arms:
            for group, error in arm.errors.items():
                yield benchmark(result, arm.name, group), error


def _warnings(run: Run, failed: Mapping[str, str]) -> Iterator[RunWarning]:
    """Yield the errors of a run, and that it is only a part of one."""
    for name, error in failed.items():
        yield RunWarning(WarningName.FAILED, one_line(f"{name}: {error}"), "fix it, and measure again")
    if run.incomplete:
        yield RunWarning(WarningName.PART_OF_A_RUN, f"the run {run.incomplete}, so that results may be missing", "run it again")


def _identity(run: Run) -> dict[str, str]:
    """Return the load of a run, and the settings of its engines and its interpreter that its scenarios share."""
    shared: dict[str, set[str]] = {}
    for result in run.scenarios:
        for key, value in matching.engine_settings(result).items():
            shared.setdefault(f"{result.engine} {key}", set()).add(value)
    loads = {key: value for result in run.scenarios for key, value in result.load_settings.items()}
    same = {key: next(iter(values)) for key, values in shared.items() if len(values) == 1}
    data = {"size": run.settings.size, "seed": str(run.settings.seed), "--quick": str(run.settings.quick)}
    return loads | same | matching.interpreter(run.environment) | (data if run.kind != RunKind.FILE else {})


def deciding(result: ScenarioResult) -> list[LoadedArm]:
    """Return the loaded arms that decide: one that may fail as written does not, unless there are no others."""
    literal = {arm.name for arm in result.arms if arm.as_written}
    arms = result.load.arms if result.load else []
    return [arm for arm in arms if arm.arm not in literal] or list(arms)


def _operations(result: ScenarioResult) -> Iterator[OperationCounts]:
    """Yield the operations that were tried and that failed, by benchmark: of a file, or under load."""
    yield from (replace(counted, arm="") for counted in result.operations)
    for arm in result.load.arms if result.is_timed_under_load and result.load else ():
        if arm.group != ALL:
            failed, messages = arm.errors + arm.unfinished, dict(arm.error_messages)
            if arm.unfinished:
                messages["unfinished at the drain timeout"] = arm.unfinished
            name = benchmark(result, arm.arm, arm.group)
            yield OperationCounts("", name, arm.operations + failed, failed, arm.achieved_per_s, messages)


def benchmark(result: ScenarioResult, arm: str, group: str) -> str:
    """Return the name of an arm's benchmark in one group."""
    return f"{result.name} · {result.place} · {arm} · {group}"


def _timing(result: ScenarioResult, latency: Latency, kind: str) -> Timing:
    medians = [value for value in latency.process_medians_ns if value > 0]
    units = TimeCounts.of(medians) if medians else None
    median_ns = units.quantile_ns(0.5) if units else latency.percentiles_ns.get("50") or latency.mean_ns
    name = latency.group if kind == RunKind.FILE else benchmark(result, latency.arm, latency.group)
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
    result = ScenarioResult(
        *about,
        arms=arms,
        latencies=latencies,
        warnings=list(found.warnings),
        operations=[replace(counts, arm=BASELINE) for counts in found.operations],
        metrics=[replace(metric, arm=BASELINE) for metric in found.metrics],
        load_settings=found.load_settings,
    )
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
