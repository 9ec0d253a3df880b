"""Files of tools that are not read: named, with the next step."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness import importers
from harness.errors import UsageError

Written = Callable[[str | bytes], Path]
CONVERT = "write its figures as a list of"

FILES = [
    ('{"latency": {}, "requests": {}, "throughput": {}, "connections": 10}', "autocannon's JSON", CONVERT),
    ('{"spec": {}, "result": {}}', "bombardier's JSON", CONVERT),
    ('{"RunType": "HTTP", "DurationHistogram": {}}', "fortio's JSON", CONVERT),
    ('{"numberOfRequests": {}, "meanResponseTime": {}}', "Gatling's statistics", CONVERT),
    ("RUN\tSimulation\tid\t1700000000000\n", "Gatling's log", CONVERT),
    ('{"mean": {"point_estimate": 1}, "median": {}, "std_dev": {}, "slope": null}', "criterion's estimates", CONVERT),
    ('{"reason": "benchmark-complete", "id": "a"}\n{"reason": "x", "id": "b"}\n', "cargo-criterion's messages", CONVERT),
    ('{"HostEnvironmentInfo": {}, "Benchmarks": []}', "BenchmarkDotNet's JSON", CONVERT),
    ('{"log": {"version": "1.2", "entries": []}}', "a HAR file", CONVERT),
    ('{"Total": {"transaction": "Total", "sampleCount": 9}}', "JMeter's statistics", CONVERT),
    ('{"exitcode": 0, "tests": []}', "pytest's JSON report", "--benchmark-json=FILE"),
    ('{"arch": "x", "cpu": "y", "machine": "box", "ram": "1", "version": 1}', "asv's description of a machine", "HASH-env.json"),
    ('{"version": 2, "a": {"param_names": [], "timeout": 60}}', "asv's list of benchmarks", "results/MACHINE"),
    ('{"Action": "run", "Package": "p"}\n{"Action": "pass", "Package": "p"}\n', "go test's JSON", CONVERT),
    ('{"attack": "", "seq": 0, "timestamp": "2026", "latency": 1}\n{"attack": ""}\n', "vegeta's results", CONVERT),
    ("command,mean,stddev,median,user,system,min,max\nsleep,1,0,1,0,0,1,1\n", "hyperfine's CSV", "--export-json"),
    ("| Command | Mean [ms] | Min [ms] | Max [ms] | Relative |\n|:---|---:|\n", "hyperfine's table", "--export-json"),
    ("Benchmark 1: sleep 0.1\n  Time (mean ± sigma):     102.1 ms\n", "hyperfine's printed output", "--export-json"),
    ("bench: Mean +- std dev: 1.2 us +- 0.1 us\n", "pyperf's printed output", "-o FILE.json"),
    ("\n     http_req_duration..............: avg=1ms\n", "k6's printed output", "--summary-export=FILE"),
    ("<!DOCTYPE html>\n<title>k6 report</title>", "a page of k6's dashboard", "--summary-export=FILE"),
    (
        "<!DOCTYPE html>\n<title>Test Report for locustfile.py</title><script>window.templateArgs = {}</script>",
        "Locust's HTML",
        "--csv",
    ),
    ("Type     Name     # reqs      # fails |    Avg\n-----\n", "Locust's printed output", "--csv PREFIX"),
    ("This is ApacheBench, Version 2.3\n", "ApacheBench's printed output", CONVERT),
    ("Percentage served,Time in ms\n0,1\n", "ApacheBench's CSV", CONVERT),
    ("\nSummary:\n  Total:\t1.0 secs\n", "hey's or oha's printed output", CONVERT),
    ("response-time,DNS+dialup,DNS,Request-write\n0.1,0,0,0\n", "hey's CSV", CONVERT),
    ("Requests      [total, rate, throughput]  1, 2, 3\n", "vegeta's printed report", CONVERT),
    ("transaction type: <builtin: TPC-B>\n", "pgbench's printed output", CONVERT),
    ('"test","rps","avg_latency_ms"\n"SET","1","2"\n', "redis-benchmark's output", CONVERT),
    ("goos: linux\nBenchmarkFib-8   \t  100\t  12.5 ns/op\n", "Go's benchmark output", CONVERT),
    ("test fib ... bench:   1,000 ns/iter (+/- 20)\n", "cargo bench's printed output", CONVERT),
    ("fib 20          time:   [26.0 us 26.1 us 26.2 us]\n", "cargo bench's printed output", CONVERT),
    ("name,iterations,real_time,cpu_time,time_unit\nBM_x,1,1,1,ns\n", "Google Benchmark's output", CONVERT),
    ('"name";"min";"max";"mean";"median";"rounds"\n"a";1;2;1;1;5\n', "pytest-benchmark's CSV export", "--benchmark-json=FILE"),
    ("---- benchmark: 2 tests ----\nName (time in us)   Min\n", "pytest-benchmark's table", "--benchmark-json=FILE"),
    ('<?xml version="1.0"?><testResults version="1.2"></testResults>', "JMeter's results (JTL)", CONVERT),
    ('<?xml version="1.0"?><testsuites/>', "JUnit XML", "name the file of a benchmark"),
    ('<?xml version="1.0"?>\n<svg xmlns="x"/>', "an SVG image", "name the file with its figures"),
    ("<html><body>404 Not Found</body></html>", "an HTML page", "download the file itself"),
    ("version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a pointer of Git LFS", "git lfs pull"),
]


@pytest.mark.parametrize(("body", "name", "step"), FILES)
def test_a_file_of_another_tool_is_named_with_the_next_step(body: str, name: str, step: str, written: Written) -> None:
    """It is one line, whatever the file's name."""
    path = written(body)
    with pytest.raises(UsageError) as refused:
        importers.read(path)
    message = str(refused.value)
    assert message.startswith(f"{path} is {name}")
    assert step in message
    assert "\n" not in message
