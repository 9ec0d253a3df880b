"""Read the points that k6 writes while it runs: `--out json=FILE`, one JSON document per line, and `--out csv=FILE`.

A point has a metric, a value (times in milliseconds) and tags. The JSON declares each metric with its type and whether it is a
time; in the CSV, only k6's own names are known to be times. `http_req_failed` is 1 for a request that failed, and the tag
`expected_response` of its times is then "false".
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime

import msgspec

from harness.importers.csv_text import CsvText
from harness.importers.k6_metrics import CHECKS, FAILED, ITERATIONS, OWN, PHASES, REQUESTS, TIMES, failures_warning, finished
from harness.importers.reading import (
    Benchmarks,
    Content,
    InvalidFileError,
    Number,
    Reading,
    all_nanoseconds,
    listed,
    number,
    raw_metric,
    raw_timing,
)
from harness.results.names import shortened, visible
from harness.results.run import RunWarning
from harness.results.warning_names import WarningName

FORMAT = "k6's points (--out json or csv)"
_LIMITS = "a request's phases (blocked, connecting, waiting …) are left out, and thresholds are not in the file"
LIMITATIONS = (RunWarning(WarningName.K6_POINTS, _LIMITS, "write the summary as well, for the outcome of thresholds"),)
COLUMNS = ("metric_name", "timestamp", "metric_value")
TREND, RATE = "trend", "rate"
SECONDS_DIGITS = 10
"""The number of digits of a Unix time in seconds, from 2001 to 2286."""
MIN_STEPS = 10
"""The number of steps of the clock that the rate needs, to be within a tenth."""


class _PointData(msgspec.Struct):
    name: str = ""
    type: str = ""
    contains: str = ""
    time: str = ""
    value: Number = None
    tags: dict[str, str] | None = None


class _K6Line(msgspec.Struct):
    type: str
    data: _PointData
    metric: str = ""


Point = tuple[str, str, Number, dict[str, str]]
"""Metric, time, value and tags."""


class _Points:
    """The values of a file by metric, failed requests counted and left out."""

    def __init__(self) -> None:
        """Start with none."""
        self.declared: dict[str, tuple[str, bool]] = {}
        """Metric → its type and whether it is a time, where the file states it."""
        self.values: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))
        self.failures: Counter[str] = Counter()
        """Reason → number of failed requests."""
        self.checks: Counter[str] = Counter()
        """Check → number of failures."""
        self.times: dict[str, list[str]] = {}
        """Counter → the times of its first and last point."""

    def add(self, point: Point) -> None:
        """Add a point."""
        metric, time, value, tags = point
        if PHASES.match(metric):
            return
        try:
            amount = number("value", value)
        except InvalidFileError as error:
            raise InvalidFileError(f"{metric!r} {error}") from error
        if metric == REQUESTS and tags.get("expected_response") == "false":
            reason = tags.get("error") or (f"status {tags['status']}" if tags.get("status") else "unexpected response")
            self.failures[shortened(visible(reason))] += 1
            return
        if metric == CHECKS and not amount:
            self.checks[visible(tags.get("check", CHECKS))] += 1
        self.values[metric].append(amount)
        if metric in {"http_reqs", "iterations"}:
            self.times.setdefault(metric, [time, time])[1] = time

    def total(self, metric: str) -> int:
        """Return the sum of a counter."""
        return int(sum(self.values.get(metric, ())))

    def per_s(self, metric: str) -> float | None:
        """Return the number per second between the first and the last point of a counter, None if there is no such time."""
        try:
            (first, step), (last, _) = (_seconds(time) for time in self.times[metric])
        except (KeyError, ValueError):
            return None
        elapsed_s, points = last - first + step, len(self.values[metric])
        if elapsed_s <= MIN_STEPS * step:
            return None
        return self.total(metric) * (1 if step else 1 - 1 / points) / elapsed_s


def recognises(content: Content) -> bool:
    """Return whether it is k6's CSV, or the first line is one of k6's JSON lines."""
    if CsvText(content).columns[: len(COLUMNS)] == list(COLUMNS):
        return True
    line = content.body.lstrip().split(b"\n", 1)[0]
    return all(part in line for part in (b'"metric"', b'"data"', b'"type"')) and (b'"Metric"' in line or b'"Point"' in line)


def parse(content: Content) -> Reading:
    """Return the times of a file: single values, of requests that did not fail."""
    points, found = _Points(), Benchmarks()
    is_csv = not content.body.lstrip().startswith(b"{")
    for point in _of_csv(content) if is_csv else _of_lines(content, points, found):
        points.add(point)
    _operations(points, found)
    unknown, others = [], []
    for metric, values in points.values.items():
        shown = visible(metric)
        kind, is_time = points.declared.get(metric, (TREND if metric in TIMES else "", metric in TIMES))
        with found.benchmark(shown):
            if metric in OWN:
                continue
            if is_time and kind == TREND:
                if not (metric == ITERATIONS and _all_failed(points)):
                    found.add(raw_timing(shown, all_nanoseconds("value", values, per_s=1e3)))
            elif kind in {TREND, RATE, ""}:
                unknown += [shown] * (not kind)
                found.metrics.append(raw_metric(shown, "", values))
            else:
                others.append(shown)
    if unknown:
        message = f"the file does not state whether these are times, so that they are shown as plain numbers: {listed(unknown)}"
        found.warnings.append(RunWarning(WarningName.UNKNOWN_UNITS, message, "write --out json=FILE, which does"))
    if others:
        message = f"counters and gauges of the script: {listed(others)}"
        found.warnings.append(RunWarning(WarningName.LEFT_OUT, message, "record a Trend or a Rate for figures to compare"))
    users = set(points.values.get("vus_max", ()))
    settings = {"users": f"{users.pop():g}"} if len(users) == 1 else {}
    return finished(found, [], points.checks, points.total("dropped_iterations"), settings, FORMAT)


def _operations(points: _Points, found: Benchmarks) -> None:
    """Count requests, iterations and checks with their failures."""
    errors, succeeded = sum(points.failures.values()), len(points.values.get(REQUESTS, ()))
    errors = max(errors, points.total(FAILED))
    requests = max(len(points.values.get(FAILED, ())), errors + succeeded if points.failures else succeeded)
    if requests:
        if errors:
            is_left_out = bool(points.failures)
            found.warnings.append(failures_warning(errors, requests, left_out=is_left_out))
        found.count(REQUESTS, requests, errors, points.per_s("http_reqs"), dict(points.failures))
    if iterations := points.total("iterations"):
        failed = iterations if _all_failed(points) else 0
        found.count(ITERATIONS, iterations, failed, points.per_s("iterations"), {"every request failed": failed} if failed else {})
    if checked := len(points.values.get(CHECKS, ())):
        found.count(CHECKS, checked, sum(points.checks.values()), messages=dict(points.checks))


def _all_failed(points: _Points) -> bool:
    return bool(points.failures) and not points.values.get(REQUESTS)


def _of_lines(content: Content, points: _Points, found: Benchmarks) -> Iterator[Point]:
    """Yield the points of JSON lines; the last line may be cut short, as where k6 was killed."""
    decoder = msgspec.json.Decoder(_K6Line)
    lines = content.body.split(b"\n")
    for place, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            decoded = decoder.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            if place < len(lines):
                raise InvalidFileError(f"line {place} cannot be read ({shortened(str(error))})") from error
            message = f"the last line is cut short, and left out: the run was interrupted after line {place - 1}"
            found.warnings.append(RunWarning(WarningName.CUT_SHORT, message, "let k6 finish"))
            return
        if decoded.type == "Metric":
            points.declared[decoded.metric or decoded.data.name] = (decoded.data.type, decoded.data.contains == "time")
        elif decoded.type == "Point":
            yield decoded.metric, decoded.data.time, decoded.data.value, decoded.data.tags or {}


def _of_csv(content: Content) -> Iterator[Point]:
    text = CsvText(content)
    tags = [(place, name) for place, name in enumerate(text.columns) if name in {"check", "error", "expected_response", "status"}]
    for row in text.rows():
        yield row[0], row[1], text.decimal(row[2]), {name: row[place] for place, name in tags if row[place]}


def _seconds(time: str) -> tuple[float, float]:
    """Return a time in seconds and its resolution: k6's CSV has whole seconds by default, or fractions as a longer number."""
    if not time.isdigit():
        return datetime.fromisoformat(time).timestamp(), 0.0
    step = next((step for step in (1e-3, 1e-6, 1e-9) if len(time) == len(str(round(1 / step))) + SECONDS_DIGITS - 1), 1.0)
    return int(time) * step, step
