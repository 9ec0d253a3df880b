"""Locust's own tables, filled from blocks; in a separate process, since importing Locust patches the process."""

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

def block(arm, times_ns, errors, dropped, unfinished, seconds):
    h = Histogram()
    for ns in times_ns:
        h.record(ns)
    n = len(times_ns)
    t = LatencyHistograms(h.to_wire(), h.to_wire(), h.to_wire(), n - unfinished, errors, dropped, unfinished, n, n)
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
def tables() -> dict[str, Any]:
    """Return Locust's tables after the blocks of two load workers."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_times_below_a_millisecond_are_shown(tables: dict[str, Any]) -> None:
    """Console, web UI and CSV have the median of 0.25 ms; Locust's own tables have 0."""
    assert tables["percentiles"]["0.5"] == pytest.approx(0.25, rel=2e-3)
    assert tables["console"].split()[3] == "0.250"
    assert tables["row"]["min_response_time"] == 0.05
    header, row, *_ = csv.reader(tables["csv"].splitlines())
    assert float(dict(zip(header, row, strict=True))["99%"]) == pytest.approx(0.446, rel=2e-3)
    assert "0.250" in tables["line"]


def test_workers_tables_merge_without_loss(tables: dict[str, Any]) -> None:
    """Percentiles and rates of two workers' reports equal those of a single process."""
    assert tables["merged"] == tables["percentiles"]
    assert tables["merged rate"] == tables["rate"]


def test_rates_are_over_measured_time(tables: dict[str, Any]) -> None:
    """400 and 405 requests of two concurrent workers in two seconds are 402.5 per second, whenever their blocks arrive."""
    assert tables["requests"] == 805
    assert tables["rate"] == tables["total"] == pytest.approx(402.5)
    assert (tables["per second"], tables["seconds"]) == (805, 2)


def test_dropped_and_unfinished_operations_are_failures(tables: dict[str, Any]) -> None:
    """They are Locust's failures by message, as are errors; unfinished ones have a time."""
    assert tables["failures"] == 6
    assert sorted(tables["errors"].values()) == [1, 2, 3]
    assert tables["failing"] == pytest.approx(3.0)


def test_columns_are_narrow(tables: dict[str, Any]) -> None:
    """Three digits, or four decimals, fit Locust's columns."""
    assert tables["text"] == ["0", "0.0025", "0.251", "2.51", "25.1", "251", "2510"]
