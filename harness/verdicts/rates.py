"""Rates counted in a number of tries: samples with an interval, not exact figures."""

from dataclasses import dataclass

from harness.errors import NotMeasurableError
from harness.results.run import BASELINE, ScenarioResult
from harness.stats.beta import beta_quantile
from harness.verdicts.measures import exact_figure, named
from harness.verdicts.promise import Estimate, Measure

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Rate:
    """A rate with its 95 % confidence interval, per 1000 tries."""

    per_1000: float
    low: float
    high: float
    tries: float
    """The number of tries that were made."""


def rate(hits: float, tries: float) -> Rate:
    """Return a rate with its 95 % bounds (Clopper and Pearson 1934), which hold for any number of tries above 0."""
    half = (1 - _CONFIDENCE) / 2
    low = beta_quantile(hits, tries - hits + 1, half) if hits else 0.0
    high = beta_quantile(hits + 1, tries - hits, 1 - half) if hits < tries else 1.0
    return Rate(1000 * hits / tries, 1000 * low, 1000 * high, tries)


def share_of(hits: str, tried: str) -> Measure:
    """Measure the share of tries that hit, from two figures of the arm, with its confidence interval.

    Raises:
        NotMeasurableError: by the measure, without any try.
    """

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        found, tries = (exact_figure(result, arm, "", name).value for name in (hits, tried))
        if not tries:
            raise NotMeasurableError(f"{arm} has no {named(tried)}")
        hit = rate(found, tries)
        return Estimate(found / tries, hit.low / 1000, hit.high / 1000, note=f"{found:.0f} of {tries:.0f} {named(tried)}")

    return measure


def fewer_of(rate_per_1000: str, tried: str) -> Measure:
    """Measure the share by which a rate is below the baseline's, from both arms' figures and their numbers of tries.

    The interval combines opposite bounds of the two rates, which is conservative.

    Raises:
        NotMeasurableError: by the measure, if the baseline's rate is 0.
    """

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        before, after = (_counted(result, of, rate_per_1000, tried) for of in (BASELINE, arm))
        if before.per_1000 == 0:
            raise NotMeasurableError(f"the baseline has no {named(rate_per_1000)} in {before.tries:.0f} tries: nothing to reduce")
        note = f"{before.per_1000:.0f} → {after.per_1000:.0f} {named(rate_per_1000)}"
        low, high = 1 - after.high / before.low, 1 - after.low / before.high
        return Estimate(1 - after.per_1000 / before.per_1000, low, high, note=note)

    return measure


def _counted(result: ScenarioResult, arm: str, rate_per_1000: str, tried: str) -> Rate:
    tries = exact_figure(result, arm, "", tried).value
    return rate(exact_figure(result, arm, "", rate_per_1000).value * tries / 1000, tries)
