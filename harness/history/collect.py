"""Read run folders, baselines and files of other tools as the runs of a history, in the order of their commits."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from harness import importers
from harness.errors import UsageError
from harness.gate.verdict import SHOWN_NAMES, counted, listed
from harness.importers import own_run
from harness.importers.reading import UNREADABLE, Reading, TimeCounts, Timing, one_line
from harness.results.run import Latency, OperationCounts, Run, RunKind, RunWarning, ScenarioResult, ScenarioStatus
from harness.results.store import COMPRESSED_RUN_FILE, RUN_FILE, run_file
from harness.results.warning_names import WarningName
from harness.runtime.workspace import commit_order
from harness.stats.intervals import OUTSIDE, bounding_ranks, t_quantile
from harness.text import encode_json

SUFFIXES = {".json", ".js", ".gz"}
"""The ends of names of result files that are searched for in a folder."""
MEDIAN_COST = 1.2533
"""The ratio of the standard errors of median and mean in a normal distribution: the square root of pi/2."""
FULL_COMMIT = re.compile(r"[0-9a-f]{7,64}")
LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class CollectedRun:
    """One run of a history, without what a history does not show."""

    run: Run
    file: str
    code: int = 0
    """Runs with the same number measured the same code."""


@dataclass(frozen=True)
class CollectedRuns:
    """The runs that can be read, in the order of their commits."""

    runs: list[CollectedRun]
    warnings: list[RunWarning]


def collect(paths: Sequence[Path]) -> CollectedRuns:
    """Return the runs of files and folders; those that cannot be read are left out with a warning.

    A folder without a run is searched for runs and result files. UsageError: a path does not exist, or nothing can be read.
    """
    found: list[CollectedRun] = []
    unreadable: dict[str, str] = {}
    seen: set[str] = set()
    repeated: list[str] = []
    for path in _files(paths):
        try:
            runs = [slim(run) for run in _runs(path)]
        except UsageError as error:
            unreadable[str(path)] = str(error)
            continue
        for run in runs:
            identity = hashlib.sha256(encode_json((run.commit, run.dirty, run.started_at, run.scenarios))).hexdigest()
            if identity in seen:
                repeated.append(str(path))
            else:
                seen.add(identity)
                found.append(CollectedRun(run, one_line(str(path))))
    if not found:
        reason = next(iter(unreadable.values()), "no run and no result file was found; name run folders or result files")
        more = f" (and {len(unreadable) - 1} more that cannot be read)" if len(unreadable) > 1 else ""
        raise UsageError(f"{one_line(reason)}{more}")
    warnings = [RunWarning(WarningName.LEFT_OUT, one_line(reason), "") for reason in islice(unreadable.values(), SHOWN_NAMES)]
    if len(unreadable) > SHOWN_NAMES:
        warnings.append(
            RunWarning(WarningName.LEFT_OUT, f"{counted(len(unreadable) - SHOWN_NAMES, 'more file')}, as unreadable", "")
        )
    if repeated:
        message = f"{counted(len(repeated), 'file')} with a run that is shown already: {listed(repeated, quote=False)}"
        warnings.append(RunWarning(WarningName.THE_SAME_RUN, one_line(message), "name each run once"))
    ordered, unknown = _in_order(_coded(found))
    return CollectedRuns(ordered, [*warnings, *unknown])


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield run folders and files, those below other folders in the order of their names."""
    for path in paths:
        if not path.exists():
            raise UsageError(f"{one_line(str(path))} does not exist; name run folders, or result files")
        if not path.is_dir() or run_file(path).exists():
            yield path
            continue
        found = list(_below(path))
        if not found:
            raise UsageError(f"{path} is a folder without runs and result files; name run folders or result files")
        yield from found


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        if not {RUN_FILE, COMPRESSED_RUN_FILE}.isdisjoint(names):
            folders.clear()  # its files belong to the run
            yield Path(place)
            continue
        folders.sort()
        yield from (Path(place) / name for name in sorted(names) if Path(name).suffix in SUFFIXES)


def _runs(path: Path) -> list[Run]:
    """Return the runs of a file: one, or one per commit of a file that has several."""
    read = importers.read_all(path)
    if isinstance(read, Run):
        if read.kind == RunKind.COMPARISON:
            raise UsageError(f"{path} is a comparison; name the two files that it compares")
        return [read if read.kind != RunKind.FILE else _of_reading(own_run.reading(read, path))]
    return [_of_reading(reading) for reading in read]


def _of_reading(reading: Reading) -> Run:
    """Return another tool's times as a run whose scenario is the tool: benchmarks keep their names over the files."""
    run = own_run.of_file(reading)
    result = replace(run.scenarios[0], name=reading.tool, title=reading.tool, engine="", doc="")
    latencies = [_bounded(latency, timing) for latency, timing in zip(result.latencies, reading.timings, strict=True)]
    name = one_line(Path(reading.file).name) + (f", {reading.started_at}" if reading.started_at else "")
    left_out = [warning for warning in reading.warnings if warning.name == UNREADABLE]
    return replace(run, name=name, scenarios=[replace(result, latencies=latencies)], warnings=left_out)


def _bounded(latency: Latency, timing: Timing) -> Latency:
    """Return a benchmark's times with the interval of its median, from its values or approximately from their deviation."""
    interval = None
    if timing.units is not None and (ranks := bounding_ranks(timing.units.total, 0.5)):
        interval = (_ranked(timing.units, ranks[0]), _ranked(timing.units, ranks[1]))
    elif timing.deviation_ns and timing.samples and timing.samples > 1:
        reach = t_quantile(1 - OUTSIDE, timing.samples - 1) * MEDIAN_COST * timing.deviation_ns / timing.samples**0.5
        interval = (max(0.0, timing.median_ns - reach), timing.median_ns + reach)
    percentiles_ns = latency.percentiles_ns | {"50": timing.median_ns}
    return replace(latency, percentiles_ns=percentiles_ns, intervals_ns={"50": interval} if interval else {})


def _ranked(values: TimeCounts, rank: int) -> float:
    """Return the value at a rank, counted from 1."""
    return values.quantile_ns((rank - 1) / (values.total - 1))


def slim(run: Run) -> Run:
    """Return a run without what a history does not show: hundreds of runs are kept at once."""
    scenarios = [
        ScenarioResult(
            *(r.name, r.title, "", r.file, r.engine, r.rtt_ms, r.status, r.error),
            dataset={key: value for key, value in r.dataset.items() if key == "digest"},
            engine_settings=r.engine_settings,
            latencies=r.latencies,
            ratios=r.ratios,
            work_counts=r.work_counts,
            tolerances=r.tolerances,
            higher_is_better=r.higher_is_better,
            metrics=r.metrics,
            operations=[*r.operations, *_under_load(r)],
            load_settings=r.load_settings,
        )
        for r in run.scenarios
        if r.status != ScenarioStatus.NOT_RUN
    ]
    return replace(run, scenarios=scenarios, warnings=run.warnings if run.kind == RunKind.FILE else [], review=None)


def _under_load(result: ScenarioResult) -> Iterator[OperationCounts]:
    """Yield the operations of each loaded arm; one that was unfinished at the drain timeout has failed."""
    for arm in result.load.arms if result.load and result.is_timed_under_load else ():
        failed = arm.errors + arm.unfinished
        yield OperationCounts(arm.arm, arm.group, arm.operations + failed, failed)


def _coded(runs: Iterable[CollectedRun]) -> list[CollectedRun]:
    """Return the runs with the number of their code: the same for the same commit, each its own where that is not certain."""
    runs = list(runs)
    known = {commit for each in runs if (commit := commit_of(each.run))}
    full = {commit: max((c for c in known if c.startswith(commit)), key=len) for commit in known}
    numbers: dict[str, int] = {}
    coded = []
    for place, each in enumerate(runs):
        commit = commit_of(each.run)
        identity = full[commit] if commit and not each.run.dirty else f"run {place}"
        run = replace(each.run, commit=full[commit]) if commit else each.run
        coded.append(replace(each, run=run, code=numbers.setdefault(identity, len(numbers))))
    return coded


def commit_of(run: Run) -> str | None:
    """Return a run's commit if it looks like one of git, in lower case."""
    commit = (run.commit or "").lower()
    return commit if FULL_COMMIT.fullmatch(commit) else None


def _in_order(runs: Sequence[CollectedRun]) -> tuple[list[CollectedRun], list[RunWarning]]:
    """Return the runs in the order of their commits in the repository; by time, with a warning, if it lacks one of them."""
    commits = [commit_of(each.run) for each in runs]
    order = commit_order({commit for commit in commits if commit}) if all(commits) else {}
    if order and all(commit in order for commit in commits):
        return sorted(runs, key=lambda r: (order[r.run.commit or ""], r.run.dirty, _time(r.run))), []
    first: dict[int, datetime] = {}
    for each in runs:
        first[each.code] = min(first.get(each.code, LATEST), _time(each.run))
    ordered = sorted(runs, key=lambda r: (first[r.code], r.code, _time(r.run)))
    if len(first) == 1:
        return ordered, []
    missing = sum(commit is None or commit not in order for commit in commits)
    message = f"by time, because this folder's repository does not have the commit of {missing} of {counted(len(runs), 'run')}"
    return ordered, [RunWarning(WarningName.RUN_ORDER, message, "run the command in the repository that was measured")]


def moment(run: Run) -> datetime | None:
    """Return the moment at which a run started, in UTC where it states no zone; None where it states none."""
    try:
        found = datetime.fromisoformat(run.started_at)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _time(run: Run) -> datetime:
    """Return the moment at which a run started; the latest possible one if it is not stated."""
    return moment(run) or LATEST
