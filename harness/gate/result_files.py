"""Compare two result files, before and after: benchmarks joined by name, each with its ratio and verdict, and the warnings."""

import math
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from harness.errors import NotComparableError, UsageError
from harness.gate.matching import differences, rename_hints, renamed
from harness.gate.verdict import SHOWN_NAMES, listed
from harness.gate.verdict import result as gate_result
from harness.importers import own_run
from harness.importers.reading import Reading, Timing, one_line
from harness.results.gate import GateResult, GateRow, GateVerdict, RowKind
from harness.results.run import BASELINE, ArmResult, Ratio, Run, RunKind, RunWarning, ScenarioResult, ScenarioStatus, Verdict
from harness.stats.intervals import median
from harness.verdicts.unpaired import DRIFT, Unpaired, UnpairedOutcome, compare

CANDIDATE = "candidate"

SHIFT, SHARE, MIN_BENCHMARKS = 1.1, 0.8, 4
"""All benchmarks shifted if at least MIN_BENCHMARKS and this SHARE of them moved the same way, their median ratio beyond SHIFT."""


def side_by_side(before: Reading, after: Reading, *, drift: float = DRIFT, only: str = "*") -> Run:
    """Return the comparison of two files as a run of kind `RunKind.COMPARISON`, the first its baseline.

    `drift` is the share by which two runs of the same code may differ; `only` is a glob that selects benchmarks by name.

    Raises:
        UsageError: `only` matches no benchmark.
        NotComparableError: the files are from different tools or data, or one lacks a benchmark that the other has.
    """
    _refuse_other_kinds(before, after)
    pairs = _joined(before, after, only)
    outcomes = {old.name: compare(_unpaired(old), _unpaired(new), drift) for old, new in pairs}
    name = one_line(f"{Path(before.file).name} → {Path(after.file).name}")
    ratios = {benchmark: outcome.ratio for benchmark, outcome in outcomes.items() if outcome.ratio is not None}
    doc = f"Measured by {before.tool} in two separate runs."
    about = ("comparison", name, doc, after.file, after.tool, 0.0, ScenarioStatus.OK)
    result = ScenarioResult(
        *about,
        arms=[ArmResult(BASELINE, f"before: {one_line(before.file)}"), ArmResult(CANDIDATE, f"after: {one_line(after.file)}")],
        latencies=[own_run.latency(timing, arm) for pair in pairs for timing, arm in zip(pair, (BASELINE, CANDIDATE), strict=True)],
        ratios=[Ratio(CANDIDATE, n, ratio, *_interval(outcomes[n]), processes=[], pairs=0) for n, ratio in ratios.items()],
        verdicts=[_verdict(benchmark, outcome) for benchmark, outcome in outcomes.items()],
        warnings=[*_warnings(before, after, drift), *_shifted(list(ratios.values()))],
    )
    return own_run.of_result(RunKind.COMPARISON, name, after, result, _environment(before, after, drift))


def gated(compared: Run) -> GateResult:
    """Return the gate's result on a comparison of two files: unpaired times only."""
    rows, names = [], ("before", "after")
    for result in compared.scenarios:
        names = (result.arms[0].description.removeprefix("before: "), result.arms[-1].description.removeprefix("after: "))
        medians_ns = {(x.group, x.arm): x.process_medians_ns[0] for x in result.latencies}
        for verdict in result.verdicts:
            judged = GateVerdict(verdict.verdict)
            if judged == GateVerdict.INCONCLUSIVE:
                judged = GateVerdict.NOT_JUDGED
            base, candidate = (medians_ns.get((verdict.promise, arm)) for arm in (result.arms[0].name, verdict.arm))
            change, low, high = (1 / ratio if ratio else None for ratio in (verdict.value, verdict.high, verdict.low))
            place = (verdict.promise, result.engine, 0.0, "", "")
            rows.append(GateRow(RowKind.TIME, *place, "time", judged, verdict.sentence, base, candidate, "ns", change, low, high))
    return gate_result(names, rows, warnings=[warning for result in compared.scenarios for warning in result.warnings])


def _refuse_other_kinds(before: Reading, after: Reading) -> None:
    if before.tool != after.tool:
        tools = f"{before.file} is from {before.tool}, {after.file} from {after.tool}"
        raise NotComparableError(f"{tools}: different tools measure different things; compare files of the same tool")
    datasets = [{k: v for k, v in file.environment.items() if k.startswith("dataset of ")} for file in (before, after)]
    for name in datasets[0].keys() & datasets[1].keys():
        if datasets[0][name] != datasets[1][name]:
            digests = " and ".join(digest[name][:12] for digest in datasets)
            raise NotComparableError(f"the {name} differs ({digests}); compare runs with the same --size and --seed")


def _joined(before: Reading, after: Reading, only: str) -> list[tuple[Timing, Timing]]:
    old, new = ({t.name: t for t in file.timings if fnmatchcase(t.name, only)} for file in (before, after))
    if not (old or new):
        raise UsageError(f"no benchmark matches {only!r}; there are, for example, {listed([t.name for t in before.timings])}")
    missing, added = ({name: "" for name in one if name not in other} for one, other in ((old, new), (new, old)))
    if missing or added:
        parts = [f"only in {before.file}: {listed(list(missing))}"] * bool(missing)
        parts += [f"only in {after.file}: {listed(list(added))}"] * bool(added)
        hints = rename_hints(renamed(missing, added))
        raise NotComparableError(f"{'; '.join(parts)}{hints}; rename them back, or select benchmarks of both files with --only")
    return [(timing, new[name]) for name, timing in old.items()]


def _unpaired(timing: Timing) -> Unpaired:
    empty = np.empty(0, dtype=np.float64), np.empty(0, dtype=np.int64)
    values, counts = (timing.units.values_ns, timing.units.counts) if timing.units else empty
    return Unpaired(timing.median_ns, timing.samples, values, counts, timing.rounding_ns)


def _interval(outcome: UnpairedOutcome) -> tuple[float | None, float | None]:
    """Return both bounds, or none where one is not finite."""
    bounds = (outcome.low, outcome.high)
    return bounds if all(bound is not None and math.isfinite(bound) for bound in bounds) else (None, None)


def _verdict(name: str, outcome: UnpairedOutcome) -> Verdict:
    figures = (outcome.ratio, *_interval(outcome))
    return Verdict(name, "", CANDIDATE, outcome.verdict, outcome.reason, "×", "", *figures, neutral=1.0)


def _warnings(before: Reading, after: Reading, drift: float) -> list[RunWarning]:
    default = "the default, from runs of the same code on two shared cores; compare two such runs here to find yours"
    differ = f"differ by up to {drift * 100:.3g} % ({'as given' if drift != DRIFT else default})"
    message = f"these runs were not interleaved; separate runs of the same code {differ}, so smaller differences are not judged"
    found = [RunWarning("unpaired", message, "measure both versions interleaved, in one run, to detect smaller differences")]
    if before.digest and before.digest == after.digest:
        found.append(RunWarning("the same file", "both files hold the same bytes", "name the file of the other run"))
    other = differences(before.environment, after.environment)
    if other:
        more = f" and {len(other) - SHOWN_NAMES} more" if len(other) > SHOWN_NAMES else ""
        message = f"before and after differ in {'; '.join(other[:SHOWN_NAMES])}{more}"
        found.append(RunWarning("another machine or version", message, "measure both on the same machine, with the same versions"))
    for file, when in ((before, "before"), (after, "after")):
        for warning in file.warnings:
            if not (warning in before.warnings and warning in after.warnings):
                found.append(RunWarning(f"{warning.name}, {when}", warning.message, warning.remedy))
            elif warning not in found:
                found.append(warning)
    return found


def _shifted(ratios: Sequence[float]) -> Iterator[RunWarning]:
    """Yield a warning if all benchmarks became faster, or slower, alike, as after a change of the machine."""
    if len(ratios) < MIN_BENCHMARKS:
        return
    middle = median(ratios)
    shift, direction = (middle, "faster") if middle > 1 else (1 / middle, "slower")
    alike = sum((ratio > 1) == (middle > 1) for ratio in ratios)
    if shift > SHIFT and alike >= SHARE * len(ratios):
        message = f"{alike} of {len(ratios)} benchmarks became {direction}, half of all by at least {shift:.2f}×"
        remedy = "check the machine before the code: measure both versions again, interleaved"
        yield RunWarning("all times shifted", message, remedy)


def _environment(before: Reading, after: Reading, drift: float) -> dict[str, str]:
    found = {"drift": f"{drift * 100:.3g} %"}
    for file, when in ((before, "before"), (after, "after")):
        commit = f"{file.commit}{' with uncommitted changes' if file.dirty else ''}" if file.commit else ""
        facts = {"file": one_line(file.file), "SHA-256": file.digest, "measured": file.started_at, "commit": commit}
        found |= {f"{when}: {key}": value for key, value in (facts | file.environment).items() if value}
    return found
