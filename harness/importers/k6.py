"""Read k6's end-of-test summary in its three formats: of `handleSummary`, of `--summary-export`, and the machine-readable one.

Times are in milliseconds. In the first, `metrics` maps a name to `type`, `contains` and `values`; in the second, the values are
members of the metric, and only k6's own names are known to be times; in the third, `results.metrics` is a list. In
`http_req_failed`, "passes" counts the requests that failed: it is a rate of failures.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial

import msgspec

from harness.importers.reading import Content, Reading, Timing, nanoseconds, one_line
from harness.results.run import RunWarning
from harness.stats.intervals import QUANTILES, is_supported

FORMAT = "k6's summary"
_LIMITS = "it has aggregates only, so that there is no interval; a request's phases (blocked, connecting, waiting …) are left out"
_REMEDY = "add `count` and p(99) with --summary-trend-stats, and run several times to see the variation from run to run"
LIMITATIONS = (RunWarning("limitations of k6's summary", _LIMITS, _REMEDY),)
TIMES = ("http_req_duration", "iteration_duration", "group_duration", "grpc_req_duration", "ws_connecting", "ws_ping")
"""k6's own metrics of a whole operation; the phases of an HTTP request are parts of the first."""

PHASES = re.compile(r"http_req_(?:blocked|connecting|tls_handshaking|sending|waiting|receiving)\b")
COUNTED_BY = {"http_req_duration": "http_reqs", "iteration_duration": "iterations"}
"""The counter with as many values as a metric has, for those without a `count`."""

LABELS = {"50": ("med", "p(50)"), **{label: (f"p({label})",) for label in QUANTILES if label != "50"}}

Values = dict[str, float]
Metrics = dict[str, tuple[bool | None, Values]]
"""Name → whether it is a time (None if unknown), and its numbers."""


class _Metric(msgspec.Struct):
    contains: str
    values: dict[str, float | None]
    name: str = ""


class _Results(msgspec.Struct):
    metrics: list[_Metric]


def recognises(content: Content) -> bool:
    """Return whether there are metrics, and k6's are among them."""
    metrics, by_machine = content.member("metrics"), b'"k6Version"' in content.member("metadata")
    known = any(name in metrics for name in (b'"iteration_duration"', b'"http_reqs"', b'"iterations"'))
    return known or (by_machine and bool(content.member("results")))


def parse(content: Content) -> Reading:
    """Return the times of a summary: of each metric with an average, a median, a minimum and a maximum."""
    metrics = dict(_metrics(content))
    left_out, timings = [], []
    for name, (is_time, values) in metrics.items():
        known = any(name == own or name.startswith(f"{own}{{") for own in TIMES)
        if PHASES.match(name) or is_time is False or (is_time is None and not known):
            continue
        if not {"avg", "min", "max"} <= set(values) or not {"med", "p(50)"} & set(values):
            left_out.append(one_line(name))
        else:
            timings.append(_timing(name, values, metrics))
    warnings = []
    if left_out:
        message = f"without average, median, minimum or maximum: {', '.join(left_out)}"
        warnings.append(RunWarning("left out", message, "keep avg, min, med and max in --summary-trend-stats"))
    failures = metrics.get("http_req_failed", (None, {}))[1]
    rate = failures.get("rate", failures.get("value", 0.0))
    if rate > 0:
        warnings.append(RunWarning("failed requests", f"{rate:.2%} of the requests failed", "fix them: their times are included"))
    return Reading("", "k6", FORMAT, tuple(timings), warnings=tuple(warnings))


def _metrics(content: Content) -> Iterator[tuple[str, tuple[bool | None, Values]]]:
    if content.member("results"):
        for metric in msgspec.json.decode(content.member("results"), type=_Results).metrics:
            yield metric.name, (metric.contains == "time", _numbers(metric.values))
        return
    for name, raw in msgspec.json.decode(content.member("metrics"), type=dict[str, msgspec.Raw]).items():
        if b'"values"' in bytes(raw):
            metric = msgspec.json.decode(raw, type=_Metric)
            yield name, (metric.contains == "time", _numbers(metric.values))
        else:
            yield name, (None, _numbers(msgspec.json.decode(raw, type=dict[str, float | dict[str, bool] | None])))


def _numbers(values: Mapping[str, float | dict[str, bool] | None]) -> Values:
    return {key: value for key, value in values.items() if isinstance(value, int | float)}


def _timing(name: str, values: Values, metrics: Metrics) -> Timing:
    to_ns = partial(nanoseconds, one_line(name), per_s=1e3, zero=True)
    given = [values.get("med", values.get("p(50)", 0.0)), values["avg"], values["min"], values["max"]]
    median_ns, mean, least, most = to_ns(given)
    count = values.get("count", metrics.get(COUNTED_BY.get(name, ""), (None, {}))[1].get("count"))
    samples = None if count is None else int(count)
    percentiles: dict[str, float | None] = {}
    for label, names in LABELS.items():
        supported = samples is None or is_supported(samples, QUANTILES[label])
        known = to_ns([values[key] for key in names if key in values][:1]) if supported else []
        percentiles[label] = known[0] if known else None
    return Timing(one_line(name), samples, median_ns, mean, least, most, percentiles)
