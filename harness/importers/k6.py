"""Read k6's end-of-test summary in its three formats: of `handleSummary`, of `--summary-export`, and the machine-readable one.

Times are in milliseconds. In the first, `metrics` maps a name to `type`, `contains` and `values`; in the second, the values are
members of the metric, and only k6's own names are known to be times; in the third, `results.metrics` is a list. In
`http_req_failed`, a "pass" is a request that failed: it is a rate of failures. A threshold is `{"ok": true}` in the first, and true
in the second if it failed.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from harness.importers.k6_metrics import CHECKS, FAILED, ITERATIONS, OWN, PHASES, REQUESTS, TIMES, failures_warning, finished
from harness.importers.reading import (
    MAX_VALUES,
    Benchmarks,
    Content,
    InvalidFileError,
    Number,
    Reading,
    Timing,
    listed,
    nanoseconds,
    number,
)
from harness.results.names import visible
from harness.results.run import FileMetric, RunWarning
from harness.results.warning_names import WarningName
from harness.stats.intervals import QUANTILES

FORMAT = "k6's summary"
_LIMITS = "it has aggregates only, so that there is no interval; a request's phases (blocked, connecting, waiting …) are left out"
_REMEDY = "write the points with --out json=FILE, or add `count` and p(99) with --summary-trend-stats"
LIMITATIONS = (RunWarning(WarningName.K6_SUMMARY, _LIMITS, _REMEDY),)

COUNTED_BY = {REQUESTS: "http_reqs", ITERATIONS: "iterations"}
"""The counter with as many values as a metric has, for those without a `count`."""
OF_REQUESTS = {REQUESTS, ITERATIONS, "group_duration"}
"""The times that are those of requests, or include them."""
SUCCESSFUL = "{expected_response:true}"
"""The tag of the requests that did not fail."""
UNKNOWN_CHECK = "of unknown name"
"""The checks of a summary that counts them without their names."""
LABELS = {"50": ("med", "p(50)"), **{label: (f"p({label})",) for label in QUANTILES if label != "50"}}


class _Metric(msgspec.Struct):
    contains: str
    values: dict[str, Number]
    name: str = ""
    type: str = ""
    thresholds: dict[str, dict[str, bool]] | None = None


class _Check(msgspec.Struct):
    name: str
    passes: int
    fails: int


class _CheckGroup(msgspec.Struct):
    """A group of a script, with its checks and inner groups, as objects by name or as lists."""

    checks: dict[str, _Check] | list[_Check] = msgspec.field(default_factory=list)
    groups: dict[str, "_CheckGroup"] | list["_CheckGroup"] = msgspec.field(default_factory=list)

    def all(self) -> Iterator[_Check]:
        """Yield the checks of this group and of inner ones."""
        yield from self.checks.values() if isinstance(self.checks, dict) else self.checks
        for group in self.groups.values() if isinstance(self.groups, dict) else self.groups:
            yield from group.all()


class _MachineChecks(msgspec.Struct):
    results: list[_Check] | None = None


class _MachineResults(msgspec.Struct):
    metrics: list[_Metric]
    checks: _MachineChecks = msgspec.field(default_factory=_MachineChecks)


class K6Metric(msgspec.Struct):
    """One metric of a summary in any format."""

    is_time: bool | None
    """None if unknown."""
    kind: str
    """trend, rate, counter or gauge."""
    values: dict[str, Number]
    failed_thresholds: list[str] = msgspec.field(default_factory=list)


class K6Summary:
    """The metrics and checks of a summary, in any of the formats."""

    def __init__(self, content: Content) -> None:
        """Decode them."""
        self.duration_s: float | None = None
        if content.member("results"):
            results = msgspec.json.decode(content.member("results"), type=_MachineResults)
            self.metrics = {metric.name: _described(metric) for metric in results.metrics}
            self.checks = results.checks.results or []
            config = msgspec.json.decode(content.member("config") or b"{}", type=dict[str, Any])
            duration_s = config.get("duration")
            self.duration_s = duration_s if isinstance(duration_s, float | int) and duration_s > 0 else None
        else:
            given = msgspec.json.decode(content.member("metrics"), type=dict[str, msgspec.Raw])
            self.metrics = {name: _decoded(raw) for name, raw in given.items()}
            self.checks = list(msgspec.json.decode(content.member("root_group") or b"{}", type=_CheckGroup).all())

    def figure(self, name: str, *keys: str) -> float | None:
        """Return a figure of a metric by the first of these keys that it has, None without one."""
        values = self.metrics[name].values if name in self.metrics else {}
        found = next((values[key] for key in keys if values.get(key) is not None), None)
        return None if found is None else number(f"{keys[0]} of {name}", found)

    def count(self, name: str) -> int | None:
        """Return the number that a counter has counted, None where it is missing."""
        found = self.figure(name, "count")
        if found is not None and not 0 <= found < MAX_VALUES:
            raise InvalidFileError(f"has the count {found:g} of {name}")
        return None if found is None else int(found)

    def per_s(self, name: str) -> float | None:
        """Return the number per second of a counter, None where it is unknown."""
        count = self.count(name)
        by_duration = count / self.duration_s if count is not None and self.duration_s else None
        given = self.figure(name, "rate")
        return by_duration if given is None else given

    def failed(self, tags: str) -> tuple[int, int] | None:
        """Return the numbers of failed and of all requests with these tags, such as `{name:home}`; None where they are unknown."""
        name = f"{FAILED}{tags}"
        rate = self.figure(name, "rate", "value")
        if rate is None:
            return None
        passes, fails, total = (self.figure(name, key) for key in ("passes", "fails", "total"))
        if total is None:
            total = passes + fails if passes is not None and fails is not None else self.count(f"http_reqs{tags}")
        if total is None or not 0 <= rate <= 1 or not 0 <= total < MAX_VALUES:
            raise InvalidFileError(f"has no possible count of {name}")
        return round(rate * total), int(total)


def recognises(content: Content) -> bool:
    """Return whether there are metrics, and k6's are among them."""
    metrics, by_machine = content.member("metrics"), b'"k6Version"' in content.member("metadata")
    known = any(name in metrics for name in (b'"iteration_duration"', b'"http_reqs"', b'"iterations"', b'"vus_max"'))
    return known or (by_machine and bool(content.member("results")))


def parse(content: Content) -> Reading:
    """Return the times of a summary, of requests that did not fail where it has them; other trends are metrics."""
    summary, found = K6Summary(content), Benchmarks()
    incomplete, others, unknown = [], [], []
    for name, metric in summary.metrics.items():
        shown, (base, _, rest) = visible(name), name.partition("{")
        tags = name[len(base) :] if rest else ""
        if PHASES.match(name) or (tags == SUCCESSFUL and base in summary.metrics):
            continue
        with found.benchmark(shown):
            if metric.kind == "rate" and base not in OWN:
                found.metrics.append(_rate(shown, summary, name))
            elif metric.kind != "trend":
                others += [shown] * (base not in OWN)
            elif not (metric.is_time or (metric.is_time is None and base in TIMES)):
                unknown += [shown] * (metric.is_time is None)
                found.metrics.append(_metric(shown, metric.values))
            elif base in OF_REQUESTS and not _count_operations(found, summary, base, tags):
                continue
            elif metric.values.get("med", metric.values.get("p(50)")) is None or not {"avg", "min", "max"} <= set(metric.values):
                incomplete.append(shown)
                found.metrics.append(_metric(shown, metric.values, "ms", less_is_better=True))
            else:
                found.add(_timing(shown, name, summary))
    for names, title, message, remedy in (
        (
            incomplete,
            WarningName.LEFT_OUT,
            "without average, median, minimum or maximum, so that they are not compared as times",
            "keep avg, min, med and max in --summary-trend-stats",
        ),
        (
            unknown,
            WarningName.UNKNOWN_UNITS,
            "the file does not state whether these trends are times, so that they are shown as plain numbers",
            "write the summary with handleSummary, and declare times: new Trend(name, true)",
        ),
        (others, WarningName.LEFT_OUT, "counters and gauges of the script", "record a Trend or a Rate for figures to compare"),
    ):
        if names:
            found.warnings.append(RunWarning(title, f"{message}: {listed(names)}", remedy))
    return _finished(found, summary)


def _finished(found: Benchmarks, summary: K6Summary) -> Reading:
    """Return what was read with the checks, thresholds and settings of the load."""
    passes, fails = (sum(getattr(check, key) for check in summary.checks) for key in ("passes", "fails"))
    per_check = {visible(check.name): check.fails for check in summary.checks if check.fails}
    dropped, settings = 0, dict[str, str]()
    with found.benchmark(CHECKS):
        if not summary.checks:
            passes, fails = (int(summary.figure(CHECKS, key) or 0) for key in ("passes", "fails"))
            per_check = {UNKNOWN_CHECK: fails} if fails else {}
        if passes + fails:
            found.count(CHECKS, passes + fails, fails, messages=per_check)
    with found.benchmark("load"):
        dropped, settings = summary.count("dropped_iterations") or 0, _settings(summary)
    thresholds = [f"{visible(name)}: {source}" for name, metric in summary.metrics.items() for source in metric.failed_thresholds]
    return finished(found, thresholds, per_check, dropped, settings, FORMAT)


def _described(metric: _Metric) -> K6Metric:
    failed = [source for source, outcome in (metric.thresholds or {}).items() if outcome.get("ok") is False]
    return K6Metric(metric.contains == "time", metric.type, metric.values, failed)


def _decoded(raw: msgspec.Raw) -> K6Metric:
    if b'"values"' in bytes(raw):
        return _described(msgspec.json.decode(raw, type=_Metric))
    given = msgspec.json.decode(raw, type=dict[str, Number | dict[str, bool]])
    thresholds = given.pop("thresholds", None)
    failed = [source for source, crossed in thresholds.items() if crossed] if isinstance(thresholds, dict) else []
    values = {key: value for key, value in given.items() if not isinstance(value, dict)}
    is_trend = "avg" in values or "med" in values or any(key.startswith("p(") for key in values)
    kind = "trend" if is_trend else "rate" if "passes" in values else "counter" if "count" in values else "gauge"
    return K6Metric(None, kind, values, failed)


def _count_operations(found: Benchmarks, summary: K6Summary, base: str, tags: str) -> bool:
    """Count the operations of requests, iterations or groups, and return whether any succeeded or failures are unknown."""
    name, counter = f"{base}{tags}", f"{COUNTED_BY.get(base, base)}{tags}"
    shown, per_s, everything = visible(name), summary.per_s(counter), summary.failed("")
    counted = summary.count(counter) if summary.count(counter) is not None else summary.count(name)
    if base == REQUESTS and (failed := summary.failed(tags)) is not None:
        errors, requests = failed
        if errors:
            left_out = not tags and f"{base}{SUCCESSFUL}" in summary.metrics
            found.warnings.append(failures_warning(errors, requests, left_out=left_out))
        return found.count(shown, requests, errors, per_s)
    if everything is not None and 0 < everything[1] <= everything[0]:
        operations = counted or 1
        return found.count(shown, operations, operations, per_s, {"every request failed": operations})
    if base == ITERATIONS and counted is not None:
        return found.count(shown, counted, 0, per_s)
    if base == REQUESTS and per_s is not None:
        rate = FileMetric("", visible(counter), "per second", counted, None, per_s, None, None)
        found.metrics.append(rate)
    return True


def _timing(shown: str, name: str, summary: K6Summary) -> Timing:
    values, samples = summary.metrics[name].values, summary.count(name)
    if samples is None:
        samples = summary.count(COUNTED_BY.get(name, ""))
    failed, successful = summary.failed(""), summary.metrics.get(f"{name}{SUCCESSFUL}")
    if name == REQUESTS and failed and failed[0] and successful and successful.values.get("med") is not None:
        values, samples = successful.values, failed[1] - failed[0]
    mean, least, most = (nanoseconds(key, values.get(key), per_s=1e3) for key in ("avg", "min", "max"))
    stated = {label: next((values[key] for key in keys if values.get(key) is not None), None) for label, keys in LABELS.items()}
    known = {label: None if value is None else nanoseconds(f"p({label})", value, per_s=1e3) for label, value in stated.items()}
    return Timing(shown, samples, known["50"] or 0.0, mean, least, most, known)


def _metric(shown: str, values: Mapping[str, Number], unit: str = "", *, less_is_better: bool | None = None) -> FileMetric:
    known = {key: number(key, value) for key, value in values.items() if value is not None}
    percentiles = {label: next((known[key] for key in keys if key in known), None) for label, keys in LABELS.items()}
    samples = int(known["count"]) if "count" in known else None
    figures = (percentiles["50"], known.get("avg"), known.get("min"), known.get("max"), percentiles)
    return FileMetric("", shown, unit, samples, *figures, less_is_better)


def _rate(shown: str, summary: K6Summary, name: str) -> FileMetric:
    passes, fails, total = (summary.figure(name, key) for key in ("passes", "fails", "total"))
    samples = total if passes is None or fails is None else passes + fails
    return FileMetric(
        "", shown, "share", None if samples is None else int(samples), None, summary.figure(name, "rate", "value"), None, None
    )


def _settings(summary: K6Summary) -> dict[str, str]:
    """Return the number of users, where it is a setting: an arrival rate adds users while the run needs them."""
    for name in ("vus_max", "vus"):
        least, most = summary.figure(name, "min", "value"), summary.figure(name, "max", "value")
        if least is not None and least == most:
            return {"users": f"{most:g}"}
    return {}
