"""Measures of response times under load, for a scenario's promises: all operations together, from their intended start.

A missing figure raises NotMeasurableError, with the reason why there is no load, or why an arm's times under it must not be used.
"""

from harness.errors import NotMeasurableError
from harness.results.load import ALL, LatencySummary, LoadedArm, LoadRatio, LoadResult
from harness.results.run import BASELINE, ScenarioResult
from harness.stats.intervals import QUANTILES
from harness.suggestions import choose_from
from harness.verdicts.promise import Estimate, Measure
from harness.verdicts.slo import format_ns

UNITS_NS = {"ms": 1e6, "s": 1e9}
"""The units of a response time, in nanoseconds."""


def response_time(percentile: str, unit: str = "ms") -> Measure:
    """Measure a percentile ("50", "95", "99" …) of an arm's response times under load, in "ms" or "s"."""
    _check(percentile)
    per_unit = UNITS_NS[unit]

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        row = _row(result, arm)
        value, within = _percentile(row.response, percentile), row.response.intervals_ns.get(percentile)
        low, high = within or (None, None)
        note = f"p{percentile} of {_counted(row)}"
        return Estimate(
            value / per_unit,
            None if low is None else low / per_unit,
            None if high is None else high / per_unit,
            note=note,
        )

    return measure


def speedup_under_load(percentile: str) -> Measure:
    """Measure how many times shorter a percentile ("50", "95", "99" …) of an arm's response times is than the baseline's."""
    _check(percentile)

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        before, after = _row(result, BASELINE), _row(result, arm)
        values_ns = [_percentile(row.response, percentile) for row in (before, after)]
        found = _ratio(result, arm, percentile)
        counted = dict.fromkeys([_counted(before), _counted(after)])
        each = " each" if len(counted) == 1 else ""
        note = f"p{percentile} {' → '.join(map(format_ns, values_ns))}, of {' and of '.join(counted)}{each}"
        return Estimate(found.ratio, found.low, found.high, note=note)

    return measure


def _check(percentile: str) -> None:
    if percentile not in QUANTILES:
        raise ValueError(f"unknown percentile {percentile!r}; {choose_from(percentile, QUANTILES)}")


def _load(result: ScenarioResult) -> LoadResult:
    if result.load is None or not result.load.arms:
        raise NotMeasurableError(result.load_left_out or f"needs the load of `harness run {result.name}`")
    if result.load.invalid:
        raise NotMeasurableError(result.load.invalid)
    return result.load


def _row(result: ScenarioResult, arm: str) -> LoadedArm:
    """Return an arm's figures over all operations; NotMeasurableError if its times must not be used."""
    row = next((row for row in _load(result).arms if (row.arm, row.group) == (arm, ALL)), None)
    if row is None:
        broken = next((a.cannot_run for a in result.arms if a.name == arm), None)
        raise NotMeasurableError(f"cannot run as written: {broken}" if broken else f"{arm} was not under load")
    if row.failing:
        raise NotMeasurableError(f"{arm} fails under load: {row.failing}")
    if row.overloaded:
        raise NotMeasurableError(f"{arm} cannot sustain the load: {row.overloaded}")
    return row


def _ratio(result: ScenarioResult, arm: str, percentile: str) -> LoadRatio:
    for ratio in _load(result).ratios:
        if (ratio.arm, ratio.group, ratio.percentile) == (arm, ALL, percentile):
            return ratio
    raise NotMeasurableError(f"{arm} and the baseline had other operations under load, so their response times are not compared")


def _percentile(times: LatencySummary, percentile: str) -> float:
    value = times.percentiles_ns.get(percentile)
    if value is None:
        raise NotMeasurableError(f"{times.operations:,} operations under load do not support p{percentile}")
    return value


def _counted(row: LoadedArm) -> str:
    rate = "" if row.offered_per_s is None else f" at {row.offered_per_s:.3g} per second"
    return f"{row.response.operations:,} operations{rate}"
