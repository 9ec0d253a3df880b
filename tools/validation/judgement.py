"""Can a verdict be fooled? Result files of other tools in pairs whose right verdict is known, written and judged as users do it.

Each kind of pair is drawn anew with a seed of its own, written in a tool's format, read by its importer, and gated.
"""

import csv
import io
import json
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, quantiles, stdev

from harness import importers
from harness.gate.result_files import FileRules, side_by_side
from harness.results.gate import GateVerdict
from tools.section import Requirement, Section, SectionTable

TITLE = "Can failures, tails, other loads or missing benchmarks fool a verdict?"

PAIRS, FEWEST_PAIRS = 100, 5
"""Pairs of each kind; three kinds have the same code on both sides, which makes 300 comparisons in full."""
VALUES = 2_000
"""Operations of each file."""
RUN_SD = 0.05
"""The standard deviation, as a share, by which all times of a run differ from those of another run of the same code."""

_TEXT = (
    "Operations have log-normal times with a heavy tail, and each run its own speed (standard deviation 5 %). They are written as"
    " k6, Locust, hyperfine and pytest-benchmark write them, before and after, and gated like any two files. In pairs of the same"
    " code nothing may be regressed; in the others the verdict has to be the one in the table, every time."
)
_NOTES = (
    "Failed operations end ten times sooner here, so that times alone would call them an improvement.",
    "The tail of the slower side: 6 % of its operations take thirty times as long, while its median is 20 % better.",
)


@dataclass(frozen=True)
class _Side:
    """The operations of one run."""

    times_s: Sequence[float]
    errors: int = 0
    users: int = 10


Write = Callable[[_Side], tuple[str, str]]
"""A writer of a tool's format: the file's name and content."""


def _k6(side: _Side) -> tuple[str, str]:
    cuts = quantiles(side.times_s, n=100, method="inclusive")
    trend = {"avg": fmean(side.times_s), "min": min(side.times_s), "med": cuts[49], "max": max(side.times_s)}
    trend |= {"p(90)": cuts[89], "p(95)": cuts[94], "p(99)": cuts[98]}
    tried = len(side.times_s)
    metrics = {
        "http_req_duration": {name: 1e3 * value for name, value in trend.items()} | {"count": tried},
        "http_reqs": {"count": tried, "rate": tried / 60},
        "iterations": {"count": tried, "rate": tried / 60},
        "http_req_failed": {"passes": side.errors, "fails": tried - side.errors, "value": side.errors / tried},
        "vus_max": {"value": side.users, "min": side.users, "max": side.users},
    }
    return "summary.json", json.dumps({"metrics": metrics})


def _locust(side: _Side) -> tuple[str, str]:
    shares = ("50%", "66%", "75%", "80%", "90%", "95%", "98%", "99%", "99.9%", "99.99%", "100%")
    head = ("Type", "Name", "Request Count", "Failure Count", "Median Response Time", "Average Response Time", "Min Response Time")
    ordered = sorted(1e3 * value for value in side.times_s)
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * float(share[:-1]) / 100))] for share in shares]
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow([*head, "Max Response Time", "Average Content Size", "Requests/s", "Failures/s", *shares])
    for kind, name in (("GET", "/a"), ("", "Aggregated")):
        tried = len(ordered)
        figures = (at[0], fmean(ordered), ordered[0], ordered[-1], 1, tried / 60, side.errors / 60)
        rows.writerow([kind, name, tried, side.errors, *figures, *map(round, at)])
    return "locust_stats.csv", text.getvalue()


def _hyperfine(side: _Side) -> tuple[str, str]:
    times = side.times_s
    codes = [1] * side.errors + [0] * (len(times) - side.errors)
    figures = {
        "mean": fmean(times),
        "stddev": stdev(times),
        "median": quantiles(times, n=2)[0],
        "min": min(times),
        "max": max(times),
    }
    return "hyperfine.json", json.dumps({"results": [{"command": "a", **figures, "times": list(times), "exit_codes": codes}]})


def _pytest_benchmark(*names: str) -> Write:
    def write(side: _Side) -> tuple[str, str]:
        times = list(side.times_s)
        figures = {"min": min(times), "max": max(times), "mean": fmean(times), "stddev": stdev(times), "rounds": len(times)}
        stats = figures | {"median": quantiles(times, n=2)[0], "iterations": 1, "data": times}
        found = [{"name": name, "fullname": f"bench.py::{name}", "stats": stats} for name in names]
        return "saved.json", json.dumps({"machine_info": {"node": "here"}, "benchmarks": found, "datetime": "", "version": "5.2.0"})

    return write


@dataclass(frozen=True)
class Pairs:
    """One kind of pair."""

    name: str
    right: GateVerdict | None
    """The right verdict; None where anything but `regressed` is right, because the code is the same."""
    write: Sequence[Write]
    """The writers of the first file and of the second, or one for both."""
    draw: Callable[[random.Random], tuple[_Side, _Side]]


def _times(rng: random.Random, speed: float = 1.0, slow: float = 0.0) -> list[float]:
    """Return times in seconds, a share of them thirty times as long; all of one run share its speed."""
    run = speed * rng.lognormvariate(0, RUN_SD)
    values = (run * rng.lognormvariate(0, 0.4) * (10 if rng.random() < 0.002 else 1) for _ in range(VALUES))  # noqa: PLR2004 - a tail
    return [0.02 * value * (30 if rng.random() < slow else 1) for value in values]


def _failing(share: float, before: float = 0.0) -> Callable[[random.Random], tuple[_Side, _Side]]:
    def draw(rng: random.Random) -> tuple[_Side, _Side]:
        sides = []
        for each in (before, share):
            errors = sum(rng.random() < each for _ in range(VALUES))
            times = _times(rng)
            sides.append(_Side([time / 10 if n < errors else time for n, time in enumerate(times)], errors))
        return sides[0], sides[1]

    return draw


def _slower_tail(rng: random.Random) -> tuple[_Side, _Side]:
    return _Side(_times(rng)), _Side(_times(rng, 0.8, slow=0.06))


def _same(rng: random.Random) -> tuple[_Side, _Side]:
    return _Side(_times(rng)), _Side(_times(rng))


def _more_users(rng: random.Random) -> tuple[_Side, _Side]:
    return _Side(_times(rng)), _Side(_times(rng, 3), users=100)


KINDS = (
    *(
        Pairs(f"{share:.0%} of the operations fail, {name}", GateVerdict.REGRESSED, [write], _failing(share))
        for name, write in (("k6", _k6), ("Locust", _locust), ("hyperfine", _hyperfine))
        for share in (0.02, 0.4, 1.0)
    ),
    Pairs("a slower tail, pytest-benchmark", GateVerdict.REGRESSED, [_pytest_benchmark("a")], _slower_tail),
    Pairs("a slower tail, k6's percentiles", GateVerdict.REGRESSED, [_k6], _slower_tail),
    Pairs("a slower tail, Locust's percentiles", GateVerdict.REGRESSED, [_locust], _slower_tail),
    Pairs("ten times the users, k6", GateVerdict.NOT_COMPARABLE, [_k6], _more_users),
    Pairs("a benchmark removed", GateVerdict.NOT_COMPARABLE, [_pytest_benchmark("a", "b"), _pytest_benchmark("a")], _same),
    Pairs("the same code, pytest-benchmark's values", None, [_pytest_benchmark("a")], _same),
    Pairs("the same code, k6's percentiles", None, [_k6], _same),
    Pairs("the same code, 1 % fails on both sides, Locust", None, [_locust], _failing(0.01, 0.01)),
)


def run(effort: float = 1.0) -> Section:
    """Answer the question with `effort` times the pairs of the full answer."""
    pairs = max(FEWEST_PAIRS, round(effort * PAIRS))
    right, rows, alarms, same = 0, [], 0, 0
    for kind in KINDS:
        found = [_verdict(kind, random.Random(f"{kind.name}/{number}")) for number in range(pairs)]  # noqa: S311 - reproducible
        if kind.right is None:
            same += pairs
            wrong = found.count(GateVerdict.REGRESSED)
            alarms += wrong
            rows.append((kind.name, "not regressed", str(pairs), str(pairs - wrong)))
        else:
            right += found.count(kind.right)
            rows.append((kind.name, str(kind.right), str(pairs), str(found.count(kind.right))))
    others = pairs * sum(kind.right is not None for kind in KINDS)
    required = (
        Requirement(f"failures, tails, other loads and missing benchmarks get their verdict: {right} of {others}", right == others),
        Requirement(f"the same code is never regressed: {alarms} false alarms in {same} comparisons", alarms == 0),
    )
    table = SectionTable("Verdicts on pairs of files", ("pair", "right verdict", "pairs", "right"), rows)
    return Section(TITLE, _TEXT, (table,), required, _NOTES)


def _verdict(kind: Pairs, rng: random.Random) -> GateVerdict:
    """Write, read and gate one pair."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for when, write, side in zip(("before", "after"), (kind.write[0], kind.write[-1]), kind.draw(rng), strict=True):
            name, text = write(side)
            paths.append(Path(folder) / f"{when}-{name}")
            paths[-1].write_text(text, encoding="utf-8")
        before, after = map(importers.reading, paths)
        return side_by_side(before, after, FileRules(allow_missing=False)).gate.verdict
