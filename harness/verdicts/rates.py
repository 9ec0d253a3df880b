"""Rates counted in a number of tries: samples with an interval, not exact figures."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import NotMeasurableError
from harness.results.run import BASELINE, ScenarioResult
from harness.stats.beta import beta_quantile
from harness.verdicts.measures import exact_figure, named
from harness.verdicts.promise import Estimate, Measure

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Rate:
    """A rate per 1000 with its bounds, from `tries`."""

    per_1000: float
    low: float
    high: float
    tries: float


def rate(hits: float, tries: float) -> Rate:
    """Return a rate with its 95 % bounds (Clopper and Pearson 1934), which hold for any number of tries above 0."""
    half = (1 - _CONFIDENCE) / 2
    low = beta_quantile(hits, tries - hits + 1, half) if hits else 0.0
    high = beta_quantile(hits + 1, tries - hits, 1 - half) if hits < tries else 1.0
    return Rate(1000 * hits / tries, 1000 * low, 1000 * high, tries)


def share_of(hits: str, tried: str) -> Measure:
    """Return the share of tries that hit, from two figures of the arm itself; what was tried is a sample of what might have been."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        found, tries = (exact_figure(result, arm, "", name).value for name in (hits, tried))
        if not tries:
            raise NotMeasurableError(f"{arm} has no {named(tried)}")
        hit = rate(found, tries)
        return Estimate(found / tries, hit.low / 1000, hit.high / 1000, note=f"{found:.0f} of {tries:.0f} {named(tried)}")

    return measure


def fewer_of(rate_per_1000: str, tried: str) -> Measure:
    """The share less of a rate than the baseline's, both figures of the arms themselves, each counted in a number of tries.

    The interval sets each rate's bounds against the other's, which is wider than 95 % needs.
    """

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        before, after = (_counted(result, of, rate_per_1000, tried) for of in (BASELINE, arm))
        if before.per_1000 == 0:
            raise NotMeasurableError(f"the baseline has no {named(rate_per_1000)} in {before.tries:.0f} tries: nothing to cut")
        because = f"{before.per_1000:.0f} → {after.per_1000:.0f} {named(rate_per_1000)}"
        least, most = 1 - after.high / before.low, 1 - after.low / before.high
        return Estimate(1 - after.per_1000 / before.per_1000, least, most, note=because)

    return measure


def _counted(result: ScenarioResult, arm: str, rate_per_1000: str, tried: str) -> Rate:
    tries = exact_figure(result, arm, "", tried).value
    return rate(exact_figure(result, arm, "", rate_per_1000).value * tries / 1000, tries)
