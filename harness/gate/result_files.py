"""Two files, before and after, as one run: joined by name, each benchmark with its ratio, its verdict, and what may be doubted."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from harness.errors import NotComparableError, UsageError
from harness.importers import own_run
from harness.importers.reading import Reading, Timing, one_line
from harness.results.run import (
    BASELINE,
    ArmResult,
    PromiseVerdict,
    Ratio,
    Run,
    RunKind,
    RunWarning,
    ScenarioResult,
    ScenarioStatus,
    Verdict,
)
from harness.stats.intervals import median
from harness.verdicts.unpaired import DRIFT, Unpaired, UnpairedOutcome, compare

CANDIDATE = "candidate"
UNPAIRED = "unpaired"
"""The name of the warning that every comparison of two files raises."""

CHANGES_ALWAYS = "load average at start"
"""What differs between any two runs, and says nothing about the machine."""

SHIFT, SHARE, SEVERAL = 1.1, 0.8, 4
"""A file has shifted as a whole where of SEVERAL benchmarks such a SHARE moved the same way, and the median of all beyond SHIFT."""

SOME = 5
"""So many names are told where there are more."""


def side_by_side(before: Reading, after: Reading, *, drift: float = DRIFT, only: str = "*") -> Run:
    """Return the comparison of two files as a run of kind `RunKind.COMPARISON`, the first its baseline.

    `drift` is the share by which two runs of the same code may differ; `only` is a glob that chooses benchmarks by name.

    Raises:
        UsageError: no benchmark has a name that `only` matches.
        NotComparableError: the files are of different tools or data, or one lacks a benchmark that the other has.
    """
    _same_kind(before, after)
    pairs = _joined(before, after, only)
    outcomes = [compare(_side(old), _side(new), drift) for old, new in pairs]
    name = f"{Path(before.file).name} → {Path(after.file).name}"
    result = ScenarioResult(
        name="comparison",
        title=one_line(name),
        doc=f"What {before.tool} measured, at two moments.",
        file=after.file,
        engine=after.tool,
        rtt_ms=0.0,
        status=ScenarioStatus.OK,
        arms=[ArmResult(BASELINE, f"before: {one_line(before.file)}"), ArmResult(CANDIDATE, f"after: {one_line(after.file)}")],
        latencies=[own_run.latency(timing, arm) for pair in pairs for timing, arm in zip(pair, (BASELINE, CANDIDATE), strict=True)],
        ratios=[_ratio(old.name, outcome) for (old, _), outcome in zip(pairs, outcomes, strict=True) if outcome.ratio is not None],
        verdicts=[_verdict(old.name, outcome) for (old, _), outcome in zip(pairs, outcomes, strict=True)],
        warnings=[
            *_warnings(before, after, drift),
            *_shifted([outcome.ratio for outcome in outcomes if outcome.ratio is not None]),
        ],
    )
    return own_run.blank(RunKind.COMPARISON, one_line(name), after, result, _environment(before, after, drift))


def exit_code(run: Run) -> int:
    """Return what a comparison means to a shell: 1 with a regression, else 3 where anything is inconclusive, else 0."""
    words = Counter(verdict.verdict for result in run.scenarios for verdict in result.verdicts)
    return 1 if words[PromiseVerdict.REGRESSED] else 3 if words[PromiseVerdict.INCONCLUSIVE] else 0


def _same_kind(before: Reading, after: Reading) -> None:
    if before.tool != after.tool:
        raise NotComparableError(
            f"{before.file} is of {before.tool} and {after.file} of {after.tool}: tools measure different things; "
            "compare files of the same tool"
        )
    datasets = [{k: v for k, v in side.environment.items() if k.startswith("dataset of ")} for side in (before, after)]
    for name in datasets[0].keys() & datasets[1].keys():
        if datasets[0][name] != datasets[1][name]:
            digests = " and ".join(side[name][:12] for side in datasets)
            raise NotComparableError(f"the {name} differs ({digests}); compare runs with the same --size and --seed")


def _joined(before: Reading, after: Reading, only: str) -> list[tuple[Timing, Timing]]:
    sides = [{t.name: t for t in side.timings if fnmatchcase(t.name, only)} for side in (before, after)]
    if not any(sides):
        raise UsageError(f"no benchmark is named like {only!r}; there are, for example, {_some([t.name for t in before.timings])}")
    gone = [name for name in sides[0] if name not in sides[1]]
    new = [name for name in sides[1] if name not in sides[0]]
    if gone or new:
        parts = [f"only in {before.file}: {_some(gone)}"] * bool(gone) + [f"only in {after.file}: {_some(new)}"] * bool(new)
        renamed = [
            f"{name!r} may be {close[0]!r}" for name in gone[:SOME] if (close := difflib.get_close_matches(name, new, 1, 0.8))
        ]
        hint = f" ({'; '.join(renamed)})" if renamed else ""
        raise NotComparableError(f"{'; '.join(parts)}{hint}; give them the same names, or choose what both have with --only")
    return [(timing, sides[1][name]) for name, timing in sides[0].items()]


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:SOME])
    return f"{shown} and {len(names) - SOME} more" if len(names) > SOME else shown


def _side(timing: Timing) -> Unpaired:
    empty = np.empty(0, dtype=np.float64), np.empty(0, dtype=np.int64)
    values, counts = (timing.units.values_ns, timing.units.counts) if timing.units else empty
    return Unpaired(timing.median_ns, timing.samples, values, counts, timing.rounding_ns)


def _finite(bound: float | None) -> float | None:
    return bound if bound is not None and math.isfinite(bound) else None


def _ratio(name: str, outcome: UnpairedOutcome) -> Ratio:
    assert outcome.ratio is not None
    low, high = _finite(outcome.low), _finite(outcome.high)
    known = low is not None and high is not None
    return Ratio(CANDIDATE, name, outcome.ratio, low if known else None, high if known else None, processes=[], pairs=0)


def _verdict(name: str, outcome: UnpairedOutcome) -> Verdict:
    low, high = _finite(outcome.low), _finite(outcome.high)
    return Verdict(
        promise=name,
        text="",
        arm=CANDIDATE,
        verdict=outcome.verdict,
        sentence=outcome.reason,
        unit="×",
        value=outcome.ratio,
        low=low if high is not None else None,
        high=high if low is not None else None,
        neutral=1.0,
    )


def _warnings(before: Reading, after: Reading, drift: float) -> list[RunWarning]:
    default = "the default, from runs of the same code on two shared cores; compare two such runs here to know yours"
    source = "as given" if drift != DRIFT else default
    below = f"a difference below the drift of {drift * 100:.3g} % ({source}) cannot be told from the machine"
    found = [
        RunWarning(
            UNPAIRED,
            f"two runs at two moments: {below}",
            "measure both versions in turn, in one run, to see smaller differences",
        )
    ]
    if before.digest and before.digest == after.digest:
        found.append(RunWarning("the same file", "both sides hold the same bytes", "name the file of the other moment"))
    both = before.environment.keys() & after.environment.keys() - {CHANGES_ALWAYS}
    machine = {key: (old, after.environment[key]) for key, old in before.environment.items() if key in both}
    other = [f"{key} {old} and {new}" for key, (old, new) in machine.items() if old != new]
    if other:
        more = f" and {len(other) - SOME} more" if len(other) > SOME else ""
        says = f"before and after differ in {'; '.join(other[:SOME])}{more}"
        found.append(RunWarning("another machine or version", says, "measure both on the same machine, with the same versions"))
    for side, where in ((before, "before"), (after, "after")):
        for warning in side.warnings:
            if not (warning in before.warnings and warning in after.warnings):
                found.append(RunWarning(f"{warning.name}, {where}", warning.message, warning.remedy))
            elif warning not in found:
                found.append(warning)
    return found


def _shifted(ratios: Sequence[float]) -> Iterator[RunWarning]:
    """Yield a warning where everything became faster, or slower, alike: so does a change of the machine look."""
    if len(ratios) < SEVERAL:
        return
    middle = median(ratios)
    faster = middle > 1
    alike = sum((ratio > 1) == faster for ratio in ratios)
    if max(middle, 1 / middle) > SHIFT and alike >= SHARE * len(ratios):
        way = "faster" if faster else "slower"
        says = f"{alike} of {len(ratios)} benchmarks became {way}, half of all by {max(middle, 1 / middle):.2f}× and more"
        yield RunWarning(
            "everything shifted", says, "look for a change of the machine before one of the code: measure both again, in turn"
        )


def _environment(before: Reading, after: Reading, drift: float) -> dict[str, str]:
    found = {"drift": f"{drift * 100:.3g} %"}
    for side, where in ((before, "before"), (after, "after")):
        commit = f"{side.commit}{' with uncommitted changes' if side.dirty else ''}" if side.commit else ""
        facts = {"file": one_line(side.file), "SHA-256": side.digest, "measured": side.started_at, "commit": commit}
        found |= {f"{where}: {key}": value for key, value in (facts | side.environment).items() if value}
    return found
