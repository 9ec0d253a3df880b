"""Result files of tools that are not read, and other files that are named by mistake: each is named with the next step."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from harness.importers.reading import Content

HEAD = 20_000
"""The number of bytes at the beginning of text that are searched."""
CONVERT = 'write its figures as a list of {"name": …, "unit": …, "value": …}, the JSON of github-action-benchmark, which is read'
"""The next step for a tool that has no output that is read."""

Test = Callable[[Content], bool]


@dataclass(frozen=True)
class ForeignFormat:
    """A format that is recognised and not read."""

    name: str
    """As in "is JMH's JSON"."""
    recognises: Test
    next_step: str = CONVERT


def named(content: Content) -> str:
    """Return the name of a file's format and the next step; empty if it is unknown."""
    found = next((form for form in FORMATS if form.recognises(content)), None)
    return f"is {found.name}, which is not read; {found.next_step}" if found else ""


def binary(body: bytes) -> str:
    """Return the kind of a binary file and the next step; empty if its first bytes are of no known kind."""
    found = next((kind for magic, kind in MAGIC if body.startswith(magic)), None)
    return f"is {found[0]}; {found[1]}" if found else ""


def _members(*names: str) -> Test:
    """Return a test for a JSON object with all of these members."""
    return lambda content: all(content.member(name) for name in names)


def _elements(*names: str) -> Test:
    """Return a test for a JSON list, the first element of which mentions all of these members."""
    return lambda content: bool(content.first) and all(f'"{name}"'.encode() in content.first for name in names)


def _lines(*names: str) -> Test:
    """Return a test for JSON by lines, the first of which has all of these members."""

    def test(content: Content) -> bool:
        line = content.body.lstrip().split(b"\n", 1)[0]
        return content.outline is None and line.startswith(b"{") and all(f'"{name}"'.encode() in line for name in names)

    return test


def _text(pattern: str) -> Test:
    """Return a test for plain text with a match for this pattern near its beginning; `^` matches at each line."""
    compiled = re.compile(pattern.encode(), re.MULTILINE)
    return lambda content: content.outline is None and compiled.search(content.body[:HEAD]) is not None


def _is_bencher(content: Content) -> bool:
    """Return whether every member is a benchmark with measures that have a value."""
    if not isinstance(content.outline, dict) or not content.outline:
        return False
    try:
        measures = [msgspec.json.decode(raw, type=dict[str, _BencherMeasure]) for raw in content.outline.values()]
    except (msgspec.DecodeError, RecursionError):
        return False
    return all(measures)


class _BencherMeasure(msgspec.Struct):
    value: float


ARCHIVE = "unpack it, and name the file inside"
RERUN = "run it again with"
MAGIC: tuple[tuple[bytes, tuple[str, str]], ...] = (
    (b"PK\x03\x04", ("a zip archive (or a spreadsheet)", ARCHIVE)),
    (b"BZh", ("a bzip2 file", ARCHIVE)),
    (b"\xfd7zXZ\0", ("an xz file", ARCHIVE)),
    (b"\x28\xb5\x2f\xfd", ("a zstd file", ARCHIVE)),
    (b"7z\xbc\xaf", ("a 7z archive", ARCHIVE)),
    (b"SQLite format 3\0", ("a SQLite database", "export its figures as JSON or CSV")),
    (b"\x89PNG", ("a PNG image", "name the file with its figures")),
    (b"\xff\xd8\xff", ("a JPEG image", "name the file with its figures")),
    (b"GIF8", ("a GIF image", "name the file with its figures")),
    (b"%PDF", ("a PDF document", "name the file with its figures")),
    (b"PAR1", ("a Parquet file", "export its figures as JSON or CSV")),
    (b"\x7fELF", ("a program", "run it, and name the file that it writes")),
    (b"\x80\x04", ("a Python pickle", "write it as JSON, for example with `json.dump`")),
    (b"\x80\x05", ("a Python pickle", "write it as JSON, for example with `json.dump`")),
)
"""The first bytes of binary files, their kind and the next step."""

FORMATS = (
    ForeignFormat("Google Benchmark's JSON", _members("context", "benchmarks")),
    ForeignFormat("Artillery's JSON", _members("aggregate", "intermediate")),
    ForeignFormat("oha's JSON", _members("summary", "latencyPercentiles")),
    ForeignFormat("vegeta's JSON report", _members("latencies", "requests", "status_codes")),
    ForeignFormat("vegeta's results", _lines("attack", "seq", "latency", "timestamp")),
    ForeignFormat("autocannon's JSON", _members("latency", "requests", "throughput", "connections")),
    ForeignFormat("bombardier's JSON", _members("spec", "result")),
    ForeignFormat("ghz's JSON", _members("latencyDistribution", "statusCodeDistribution")),
    ForeignFormat("fortio's JSON", _members("RunType", "DurationHistogram")),
    ForeignFormat("Gatling's statistics", _members("type", "name", "stats", "contents")),
    ForeignFormat("Gatling's statistics", _members("numberOfRequests", "meanResponseTime")),
    ForeignFormat("Gatling's log", _text(r"^RUN\t")),
    ForeignFormat("criterion's estimates", _members("mean", "median", "std_dev")),
    ForeignFormat("cargo-criterion's messages", _lines("reason", "id")),
    ForeignFormat("BenchmarkDotNet's JSON", _members("HostEnvironmentInfo", "Benchmarks")),
    ForeignFormat("JMH's JSON", _elements("jmhVersion", "primaryMetric")),
    ForeignFormat("Vitest's benchmark JSON", lambda content: b'"benchmarks"' in content.member("files")),
    ForeignFormat("Deno's benchmark JSON", _members("runtime", "cpu", "benches")),
    ForeignFormat("JMeter's statistics", lambda content: b'"sampleCount"' in content.member("Total")),
    ForeignFormat("a HAR file of HTTP requests", lambda content: b'"entries"' in content.member("log")),
    ForeignFormat("Lighthouse's JSON", _members("lighthouseVersion")),
    ForeignFormat("a trace", _members("traceEvents"), "measure with one of the tools that are read"),
    ForeignFormat("a speedscope profile", _members("$schema", "profiles", "shared"), "measure with one of the tools that are read"),
    ForeignFormat("coverage's JSON", _members("meta", "files", "totals"), "name the file of a benchmark"),
    ForeignFormat(
        "pytest's JSON report", _members("exitcode", "tests"), f"{RERUN} pytest-benchmark's --benchmark-json=FILE, which is read"
    ),
    ForeignFormat(
        "asv's list of benchmarks, or its configuration",
        lambda content: bool(
            content.member("benchmark_dir") or (b'"timeout"' in content.body[:HEAD] and b'"param_names"' in content.body)
        ),
        "name a file of results/MACHINE, such as results/MACHINE/HASH-env.json, which is read",
    ),
    ForeignFormat(
        "asv's description of a machine",
        _members("arch", "cpu", "machine", "ram"),
        "name the file of a commit beside it, HASH-env.json, which is read",
    ),
    ForeignFormat("go test's JSON", _lines("Action", "Package")),
    ForeignFormat("Bencher's metrics (BMF)", _is_bencher),
    ForeignFormat(
        "pytest-benchmark's CSV export",
        _text(r'\A"?name"?[,;\t](?=.*\bmin\b)(?=.*\bmedian\b).*\brounds\b'),
        f"{RERUN} --benchmark-json=FILE, or name a file of .benchmarks: both are read",
    ),
    ForeignFormat(
        "pytest-benchmark's table",
        _text(r"^Name \(time in |^-{3,} benchmark(:| ')"),
        f"{RERUN} --benchmark-json=FILE, which is read",
    ),
    ForeignFormat("hyperfine's CSV", _text(r"\Acommand,mean,stddev"), f"{RERUN} --export-json FILE, which is read"),
    ForeignFormat("hyperfine's table", _text(r"^\| Command \||^\|Command \|\|?Mean"), f"{RERUN} --export-json FILE, which is read"),
    ForeignFormat(
        "hyperfine's printed output",
        _text(r"^\s*Benchmark #?\d+: |^  Time \(mean "),
        f"{RERUN} --export-json FILE, which is read",
    ),
    ForeignFormat("pyperf's printed output", _text(r"Mean \+- std dev: "), f"{RERUN} -o FILE.json, which is read"),
    ForeignFormat(
        "k6's printed output",
        _text(r"http_req_duration\.{3,}|iteration_duration\.{3,}|^\s*execution: local\b"),
        f"{RERUN} --summary-export=FILE or --out json=FILE, which are read",
    ),
    ForeignFormat(
        "a page of k6's dashboard",
        _text(r"(?i)<title>[^<]*\bk6\b"),
        f"{RERUN} --summary-export=FILE or --out json=FILE, which are read",
    ),
    ForeignFormat(
        "Locust's HTML report",
        _text(r"(?i)<title>[^<]*\blocust\b|window\.templateArgs"),
        f"{RERUN} --csv PREFIX or --json-file PREFIX, which are read",
    ),
    ForeignFormat(
        "Locust's printed output",
        _text(r"^Type\s+Name\s+# reqs\s+# fails"),
        f"{RERUN} --csv PREFIX or --json-file PREFIX, which are read",
    ),
    ForeignFormat("wrk's printed output", _text(r"^\s*Thread Stats\s+Avg")),
    ForeignFormat("ApacheBench's printed output", _text(r"^This is ApacheBench|^Concurrency Level:")),
    ForeignFormat("ApacheBench's CSV", _text(r"\APercentage served,Time in ms|\Astarttime\tseconds\tctime")),
    ForeignFormat("hey's CSV", _text(r"\Aresponse-time,DNS\+dialup")),
    ForeignFormat("hey's or oha's printed output", _text(r"^Summary:\s*\n\s+(Total|Success rate):")),
    ForeignFormat("vegeta's printed report", _text(r"^Requests\s+\[total, rate")),
    ForeignFormat("bombardier's printed output", _text(r"^Bombarding ")),
    ForeignFormat("autocannon's printed output", _text(r"^Running \d+s test @ [^\n]*\n\d+ connections")),
    ForeignFormat("siege's printed output", _text(r"^Transactions:\s+\d+ hits")),
    ForeignFormat("JMeter's results (JTL)", _text(r"\AtimeStamp[,;\t]elapsed[,;\t]label|<testResults\b")),
    ForeignFormat("pgbench's printed output", _text(r"^transaction type: |^latency average = ")),
    ForeignFormat("sysbench's printed output", _text(r"^sysbench \d")),
    ForeignFormat("redis-benchmark's output", _text(r"\A\"test\",\"rps\"|^====== \w+ ======")),
    ForeignFormat("Go's benchmark output", _text(r"^Benchmark\S+\s+\d+\s+[\d.]+ ns/op")),
    ForeignFormat("cargo bench's printed output", _text(r"^test .+ \.\.\. bench:|\btime:\s+\[\d")),
    ForeignFormat("BenchmarkDotNet's table or CSV", _text(r"^BenchmarkDotNet |\AMethod[,;]Job[,;]")),
    ForeignFormat("Google Benchmark's output", _text(r"^Benchmark\s+Time\s+CPU\s+Iterations|^name,iterations,real_time,cpu_time")),
    ForeignFormat("perf's printed output", _text(r"^ Performance counter stats for ")),
    ForeignFormat("the output of time", _text(r"^\s*Command being timed:|^real\s+\d+m[\d.]+s")),
    ForeignFormat("JUnit XML", _text(r"<testsuites?\b"), "it has the times of whole tests: name the file of a benchmark"),
    ForeignFormat(
        "a pointer of Git LFS", _text(r"\Aversion https://git-lfs\."), "run `git lfs pull`, which fetches the file itself"
    ),
    ForeignFormat("an SVG image", _text(r"(?i)\A\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<svg\b"), "name the file with its figures"),
    ForeignFormat(
        "an HTML page",
        _text(r"(?i)\A\s*(<!--.*?-->\s*)?<(!doctype html|html)\b"),
        "download the file itself, or name the tool's JSON or CSV",
    ),
    ForeignFormat("XML", _text(r"\A\s*<\?xml\b"), "name a JSON or CSV file of one of the tools that are read"),
)
"""The first that recognises a file names it."""
