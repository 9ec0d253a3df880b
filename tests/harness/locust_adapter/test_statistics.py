"""Locust's own tables, filled from blocks; in a process of its own, since importing Locust patches one."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = """
import csv, io, json, sys
import harness.locust_adapter
from harness.locust_adapter.statistics import count, text
from harness.stats.histogram import Histogram
from harness.load.block import LatencyHistograms, LoadBlock
from locust.env import Environment
from locust.rpc.protocol import Message
import locust.stats as stats

def block(arm, times_ns, errors, dropped, censored, seconds):
    h = Histogram()
    for ns in times_ns:
        h.record(ns)
    n = len(times_ns)
    t = LatencyHistograms(h.to_wire(), h.to_wire(), h.to_wire(), n - censored, errors, dropped, censored, n, n)
    return LoadBlock("adding", arm, 0, 0, 1, int(seconds * 1e9), {"sum": t}, Histogram().to_wire(), 1.0)

fast = [50_000 + 500 * i for i in range(800)]        # 0.05 to 0.45 ms
blocks = [("1", block("baseline", fast[:400], {}, 0, 0, 2.0)), ("2", block("baseline", fast[400:], {"locked": 3}, 2, 1, 2.0))]

single = Environment()
for source, b in blocks:
    count(single.stats, b, source)

master = Environment()                               # as two workers' reports arrive
for source, b in blocks:
    worker = stats.RequestStats(use_response_times_cache=False)
    count(worker, b, source)
    report = Message.unserialize(Message("stats", worker.serialize_stats(), "worker").serialize()).data[0]
    entry, key = stats.StatsEntry.unserialize(report, master.stats), (report["name"], report["method"])
    master.stats.entries.setdefault(key, stats.StatsEntry(master.stats, *key, True)).extend(entry)

entry = single.stats.entries["adding: sum", "baseline"]
merged = master.stats.entries["adding: sum", "baseline"]
rows = io.StringIO()
stats.StatsCSV(single, stats.PERCENTILES_TO_REPORT).requests_csv(csv.writer(rows))
print(json.dumps({
    "requests": entry.num_requests, "failures": entry.num_failures, "rate": entry.total_rps, "failing": entry.total_fail_per_sec,
    "percentiles": {str(p): entry.get_response_time_percentile(p) for p in (0.5, 0.99, 1.0)},
    "merged": {str(p): merged.get_response_time_percentile(p) for p in (0.5, 0.99, 1.0)}, "merged rate": merged.total_rps,
    "console": entry.percentile(), "line": entry.to_string(current=False), "row": entry.to_dict(), "csv": rows.getvalue(),
    "errors": {e.error: e.occurrences for e in single.stats.errors.values()}, "total": single.stats.total.total_rps,
    "per second": sum(entry.num_reqs_per_sec.values()), "seconds": len(entry.num_reqs_per_sec),
    "text": [text(ms) for ms in (0, 0.00251, 0.251, 2.51, 25.1, 251, 2510)],
}))
"""


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    """Return what Locust's tables hold after two engine processes' blocks."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_times_below_a_millisecond_are_seen_everywhere(said: dict[str, Any]) -> None:
    """Console, web UI and CSV have the median of 0.25 ms, where Locust itself says 0."""
    assert said["percentiles"]["0.5"] == pytest.approx(0.25, rel=2e-3)
    assert said["console"].split()[3] == "0.250"
    assert said["row"]["min_response_time"] == 0.05
    header, row, *_ = csv.reader(said["csv"].splitlines())
    assert float(dict(zip(header, row, strict=True))["99%"]) == pytest.approx(0.446, rel=2e-3)
    assert "0.250" in said["line"]


def test_workers_tables_merge_to_the_same(said: dict[str, Any]) -> None:
    """Percentiles and rates of two workers' reports are those of one process that counted everything."""
    assert said["merged"] == said["percentiles"]
    assert said["merged rate"] == said["rate"]


def test_rates_are_of_measured_time(said: dict[str, Any]) -> None:
    """Two processes at once, 400 and 405 requests in two seconds each, are 402.5 a second, whenever their blocks are heard."""
    assert said["requests"] == 805
    assert said["rate"] == said["total"] == pytest.approx(402.5)
    assert (said["per second"], said["seconds"]) == (805, 2)


def test_what_was_dropped_or_never_finished_is_a_failure(said: dict[str, Any]) -> None:
    """Errors, dropped and censored operations are Locust's failures by message, and only errors and dropped ones have no time."""
    assert said["failures"] == 6
    assert sorted(said["errors"].values()) == [1, 2, 3]
    assert said["failing"] == pytest.approx(3.0)


def test_columns_are_narrow(said: dict[str, Any]) -> None:
    """Three digits, or four decimals, fit Locust's columns."""
    assert said["text"] == ["0", "0.0025", "0.251", "2.51", "25.1", "251", "2510"]
