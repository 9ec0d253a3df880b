"""What a promise claims, and what a measurement makes of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from harness.errors import NotMeasurableError
from harness.results.run import BASELINE, PromiseVerdict, ScenarioResult, Verdict


@dataclass(frozen=True)
class Estimate:
    """A measured value with its 95 % interval, both in the claim's unit; an exact figure has no interval.

    `note` is added to the verdict's sentence: where the figure comes from.
    """

    value: float
    low: float | None = None
    high: float | None = None
    exact: bool = False
    note: str = ""


@dataclass(frozen=True)
class Claim:
    """What is promised, as a band in `unit`.

    Up to `low` nothing of the promise is kept; from `low` on it is; beyond `high` it is exceeded (None: no upper figure was named).
    `neutral` is the value of "no effect". With `less_is_better` the band is read downwards: `low` is then the largest value that
    keeps the promise. A claim without `low` promises nothing: a cost to be reported.
    """

    unit: str
    low: float | None = None
    high: float | None = None
    neutral: float | None = None
    less_is_better: bool = False


def times(low: float, high: float | None = None) -> Claim:
    """So many times faster, or more rows a second: neutral is 1."""
    return Claim("×", low, high, neutral=1.0)


def cut(low: float, high: float | None = None) -> Claim:
    """A share less of something, 0.5 is half as much: neutral is 0."""
    return Claim("less", low, high, neutral=0.0)


def at_most(limit: float, unit: str) -> Claim:
    """An absolute bound in `unit`."""
    return Claim(unit, limit, less_is_better=True)


def at_least(limit: float, unit: str) -> Claim:
    """A floor in `unit`."""
    return Claim(unit, limit)


def works() -> Claim:
    """It does what it says: the measure returns the share of checks that hold, and all must."""
    return Claim("works", 1.0, neutral=0.0)


def measured(unit: str) -> Claim:
    """Nothing promised: a figure the reader should know."""
    return Claim(unit)


Measure = Callable[[ScenarioResult, str], Estimate]
"""From a scenario's result and the name of an arm to an estimate; raises NotMeasurableError with the reason."""


@dataclass(frozen=True)
class Promise:
    """One row of the review, or a part of one: what the review says, as a claim, and how it is measured.

    `arms` are those it is tried on, by default all but the baseline; `part` tells apart several measurements of one row.
    """

    id: str
    text: str
    claim: Claim
    measure: Measure
    part: str = ""
    arms: Sequence[str] = ()

    def tried_on(self, arms: Iterable[str]) -> list[str]:
        """Return the arms of a scenario's `arms` that it is tried on."""
        return list(self.arms) or [arm for arm in arms if arm != BASELINE]


def judge(promise: Promise, result: ScenarioResult) -> list[Verdict]:
    """Return the promise's verdict for each of its arms."""
    return [_judge_arm(promise, result, arm) for arm in promise.tried_on(arm.name for arm in result.arms)]


def _judge_arm(promise: Promise, result: ScenarioResult, arm: str) -> Verdict:
    claim = promise.claim
    try:
        estimate = promise.measure(result, arm)
    except NotMeasurableError as reason:
        return Verdict(promise.id, promise.text, arm, PromiseVerdict.NOT_MEASURED, str(reason), claim.unit, promise.part)
    word = weigh(claim, estimate)
    return Verdict(
        promise=promise.id,
        text=promise.text,
        arm=arm,
        verdict=word,
        sentence=_sentence(claim, estimate, word),
        unit=claim.unit,
        part=promise.part,
        value=estimate.value,
        low=estimate.value if estimate.exact else estimate.low,
        high=estimate.value if estimate.exact else estimate.high,
        promised_low=claim.low,
        promised_high=claim.high,
        neutral=claim.neutral,
        less_is_better=claim.less_is_better,
    )


def weigh(claim: Claim, estimate: Estimate) -> PromiseVerdict:
    """Return the verdict word for an estimate.

    The whole interval has to keep the promise to confirm it, and the whole interval has to miss it to deny it; an interval on both
    sides of the line, or a value without one, is inconclusive. An interval may be open at one side ("at least"). A miss with no
    gain shown at all is `refuted`, with some gain `fell short`.
    """
    if claim.low is None:
        return PromiseVerdict.MEASURED
    low, high = (estimate.value, estimate.value) if estimate.exact else (estimate.low, estimate.high)
    if low is None and high is None:
        return PromiseVerdict.INCONCLUSIVE
    low, high = (-math.inf if low is None else low), (math.inf if high is None else high)
    return _weigh_limit(claim.low, low, high) if claim.less_is_better else _weigh_floor(claim, claim.low, low, high)


def _weigh_floor(claim: Claim, floor: float, low: float, high: float) -> PromiseVerdict:
    if low >= floor:
        return PromiseVerdict.EXCEEDED if claim.high is not None and low > claim.high else PromiseVerdict.CONFIRMED
    if high >= floor:
        return PromiseVerdict.INCONCLUSIVE
    return PromiseVerdict.FELL_SHORT if claim.neutral is None or low > claim.neutral else PromiseVerdict.REFUTED


def _weigh_limit(limit: float, low: float, high: float) -> PromiseVerdict:
    if high <= limit:
        return PromiseVerdict.CONFIRMED
    return PromiseVerdict.FELL_SHORT if low > limit else PromiseVerdict.INCONCLUSIVE


def format_value(value: float, unit: str) -> str:
    """Return a value as a person would write it: `7.2×`, `96 % less`, `3.1 ms`."""
    formatter = _FORMATS.get(unit)
    return formatter(value) if formatter else f"{_digits(value)} {_counted(unit, value)}"


def format_claim(claim_low: float | None, claim_high: float | None, unit: str) -> str:
    """Return a claim's band as a person would write it, from the bounds a verdict carries."""
    if claim_low is None:
        return "nothing"
    if claim_high is not None and claim_high != claim_low:
        low, high = format_value(claim_low, unit), format_value(claim_high, unit)
        prefix = len(_common_suffix(low, high))
        return f"{low[:-prefix]}–{high}" if prefix else f"{low}–{high}"
    return format_value(claim_low, unit)


def _counted(unit: str, value: float) -> str:
    return unit.removesuffix("s") if value == 1 and len(unit) > len("ms") else unit


def _percent(share: float) -> str:
    whole = abs(share) < _NEARLY_ALL or share == 1
    return f"{share * 100:.0f} %" if whole else f"{share * 100:.1f} %"


_NEARLY_ALL = 0.99
"""From here on whole percents hide the difference that matters: 99.2 % less is twice what 99.6 % is."""

_FORMATS: dict[str, Callable[[float], str]] = {
    "×": lambda v: f"{_digits(v)}×",
    "less": lambda v: f"{_percent(v)} less" if v >= 0 else f"{_percent(-v)} more",
    "share": _percent,
    "works": lambda v: "it works" if v == 1 else f"{_percent(v)} of the checks hold",
    "exponent": lambda v: f"rows^{v + 0.0:.2f}".replace("^-0.00", "^0.00"),
}


def _common_suffix(a: str, b: str) -> str:
    unit_a, unit_b = a.lstrip("0123456789.,"), b.lstrip("0123456789.,")
    return unit_a if unit_a == unit_b else ""


def _digits(value: float) -> str:
    magnitude = abs(value)
    if magnitude == round(magnitude) and magnitude < 1e6:  # noqa: PLR2004 - above a million, separators read better
        return f"{value:.0f}"
    if magnitude >= 100:  # noqa: PLR2004 - three significant digits
        return f"{value:,.0f}"
    return f"{value:.1f}" if magnitude >= 10 else f"{value:.2f}"  # noqa: PLR2004 - three significant digits


def _sentence(claim: Claim, estimate: Estimate, word: PromiseVerdict) -> str:
    measured = format_value(estimate.value, claim.unit)
    if not estimate.exact and estimate.low is not None and estimate.high is not None:
        measured += f" [{format_value(estimate.low, claim.unit)}, {format_value(estimate.high, claim.unit)}]"
    elif estimate.exact:
        measured += ", exactly"
    because = f" ({estimate.note})" if estimate.note else ""
    if word == PromiseVerdict.MEASURED:
        return f"measured {measured}{because}"
    bound = "at most " if claim.less_is_better else ""
    return f"promised {bound}{format_claim(claim.low, claim.high, claim.unit)}, measured {measured}{because}"
