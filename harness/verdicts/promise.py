"""Promises: the claim, the verdict on a measurement, and the texts of both."""

import math
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from harness.errors import HarnessError, NotMeasurableError, ScenarioFailedError, describe
from harness.language import ENGLISH, current, gettext, mark, ngettext, using
from harness.results.run import BASELINE, PromiseVerdict, ScenarioResult, Verdict
from harness.user_code import raised_at
from harness.verdicts import tails

WORKS, EXPONENT, LESS, TIMES, TIME = "works", "exponent", "less", "×", "time"
"""Units with their own format: share of passed checks, growth exponent, share less, times as fast, times as long (a cost)."""
MISSING = "–"
"""Stands for a figure that is not a number."""
NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?")
"""A number as figures and intervals are written."""
MAX_DECIMALS, PERCENT_DECIMALS = 4, 2
"""The most decimals of a bound, and of one in percent: bounds that are closer read alike."""
SMALLEST = 6
"""The decimals of the smallest figure that is not written as 0: a microsecond in seconds."""
WIDEST = 10.0
"""The factor between the bounds of an interval from which on its middle is not shown as the figure."""
NOT_ENOUGH = mark("not enough data")
NEUTRAL = {TIMES: 1.0, TIME: 1.0, LESS: 0.0, EXPONENT: 0.0}
"""No effect, in the units of gains, costs and growth."""
WORTH_HAVING = 0.05
"""The smallest gain worth having, above no effect in a claim's unit: 5 % faster, 5 % less."""


@dataclass(frozen=True)
class Estimate:
    """A measured value with its 95 % confidence interval."""

    value: float
    """In the claim's unit."""
    low: float | None = None
    high: float | None = None
    exact: bool = False
    """Whether it is an exact count, which has no interval."""
    note: str = ""
    """Where the figure comes from; added to the verdict's sentence."""
    checks: int | None = None
    """The number of checks behind a share of passed checks."""
    unit: str = ""
    """Set to override the claim's unit in texts: `TIME` where the value is a cost and not a gain."""


@dataclass(frozen=True)
class Claim:
    """The promised range."""

    unit: str
    low: float | None = None
    """From here on the promise is kept; None promises nothing."""
    high: float | None = None
    """Above it the promise is exceeded; None if no upper bound was given."""
    neutral: float | None = None
    """The value of "no effect"."""
    less_is_better: bool = False
    """Whether `low` is a limit: the largest value that keeps the promise."""


def times(low: float, high: float | None = None) -> Claim:
    """Claim `low` to `high` times as fast, or times the throughput; no effect is 1."""
    return Claim(TIMES, low, high, neutral=1.0)


def cut(low: float, high: float | None = None) -> Claim:
    """Claim a share less of something, 0.5 is half as much; no effect is 0."""
    return Claim(LESS, low, high, neutral=0.0)


def at_most(limit: float, unit: str) -> Claim:
    """Claim an upper limit in `unit`."""
    return Claim(unit, limit, less_is_better=True)


def at_least(limit: float, unit: str) -> Claim:
    """Claim a lower limit in `unit`."""
    return Claim(unit, limit)


def works() -> Claim:
    """Claim that something works: the measure returns the share of passed checks, and all must pass."""
    return Claim(WORKS, 1.0, neutral=0.0)


def measured(unit: str) -> Claim:
    """Claim nothing: a figure that the reader should know, such as a cost."""
    return Claim(unit)


class Measure(Protocol):
    """A function that reads one arm's estimate from a scenario's result; NotMeasurableError, with the reason, if it has none."""

    def __call__(self, result: ScenarioResult, arm: str, /) -> Estimate:
        """Return the estimate for one arm."""


@dataclass(frozen=True)
class Promise:
    """One promise, or a part of one: a claim and its measure.

    Example:
        Promise("N1", "51 statements become 2", cut(0.96), fewer("statements", "list"))
    """

    id: str
    text: str
    claim: Claim
    measure: Measure
    part: str = ""
    """Distinguishes several measurements of one promise."""
    arms: Sequence[str] = ()
    """The arms that it is tried on; by default all but the baseline."""

    def tried_on(self, arms: Iterable[str]) -> list[str]:
        """Return those of a scenario's `arms` that it is tried on."""
        return list(self.arms) or [arm for arm in arms if arm != BASELINE]


def judge(promise: Promise, result: ScenarioResult) -> list[Verdict]:
    """Return the promise's verdict for each of its arms."""
    return [_judge_arm(promise, result, arm) for arm in promise.tried_on(arm.name for arm in result.arms)]


def _judge_arm(promise: Promise, result: ScenarioResult, arm: str) -> Verdict:
    claim = promise.claim
    groups: list[str] = list(dict.fromkeys(getattr(promise.measure, "groups", ())))
    unmeasured = Verdict(
        promise=promise.id,
        text=promise.text,
        arm=arm,
        verdict=PromiseVerdict.NOT_MEASURED,
        sentence="",
        unit=claim.unit,
        part=promise.part,
        promised_low=claim.low,
        promised_high=claim.high,
        neutral=claim.neutral,
        less_is_better=claim.less_is_better,
        groups=groups,
    )
    try:
        estimate = promise.measure(result, arm)
    except NotMeasurableError as reason:
        return replace(unmeasured, sentence=str(reason))
    except (HarnessError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a measure may be the user's
        raise ScenarioFailedError(
            f"the measure of promise {promise.id!r} raised for {arm} at {raised_at(error)}: {describe(error)}"
        ) from error
    slower: dict[str, str] = {}
    if (estimate.unit or claim.unit) == TIMES:
        found = tails.slower(result.percentile_ratios, {(x.arm, x.group): x.percentiles_ns for x in result.latencies})
        slower = {group: found[arm, group] for group in groups if (arm, group) in found}
    verdict = replace(
        unmeasured,
        verdict=weigh(claim, estimate),
        unit=estimate.unit or claim.unit,
        value=estimate.value,
        low=estimate.value if estimate.exact else estimate.low,
        high=estimate.value if estimate.exact else estimate.high,
        checks=estimate.checks,
        note=estimate.note,
        slower=slower,
    )
    with using(ENGLISH):
        return replace(verdict, sentence=_sentence(verdict, estimate.value))


def sentence(verdict: Verdict) -> str:
    """Return the sentence of a verdict in the current language; as it was recorded if the record does not have all parts of it."""
    if verdict.value is None or current() == ENGLISH:
        return verdict.sentence
    with using(ENGLISH):
        is_whole = _sentence(verdict, verdict.value) == verdict.sentence
    return _sentence(verdict, verdict.value) if is_whole else verdict.sentence


def weigh(claim: Claim, estimate: Estimate) -> PromiseVerdict:
    """Return the verdict on an estimate.

    A promise is confirmed if the whole interval keeps it, and denied if the whole interval misses it. An interval on both sides of
    the line, or a value without one, is inconclusive. An interval may be open at one side ("at least"). A denied promise
    `fell short` if the whole interval is a gain, is `refuted` if it excludes a gain of `WORTH_HAVING`, and else `missed`.
    """
    if claim.low is None:
        return PromiseVerdict.MEASURED
    low, high = (estimate.value, estimate.value) if estimate.exact else (estimate.low, estimate.high)
    if low is None and high is None:
        return PromiseVerdict.INCONCLUSIVE
    low, high = (-math.inf if low is None else low), (math.inf if high is None else high)
    if claim.less_is_better:  # from here on more is better
        low, high, floor, neutral = -high, -low, -claim.low, None
    else:
        floor, neutral = claim.low, claim.neutral
    if low >= floor:
        return PromiseVerdict.EXCEEDED if claim.high is not None and low > claim.high else PromiseVerdict.CONFIRMED
    if high >= floor:
        return PromiseVerdict.INCONCLUSIVE
    if neutral is None or low > neutral:
        return PromiseVerdict.FELL_SHORT
    return PromiseVerdict.REFUTED if high < neutral + WORTH_HAVING else PromiseVerdict.MISSED


def format_value(value: float, unit: str) -> str:
    """Return a value with its unit: `7.2×`, `96 % less`, `3.1 ms`, `10× the rows → 1.48× the cost (exponent 0.17)`."""
    if unit in _FORMATS:
        return _FORMATS[unit](value)
    return f"{_digits(value)} {_singular(unit) if value == 1 else unit}"


def _singular(unit: str) -> str:
    """Return the singular of a unit that is a plural noun, `query` for `queries`; of any other one, such as `reads/s`, itself."""
    for plural, ending in ((r"(?<=[a-z]{2})ies$", "y"), (r"(?<=ch|sh|ss)es$|(?<=x)es$", ""), (r"(?<=[a-z]{2})(?<![su])s$", "")):
        if re.search(plural, unit) and not re.search(r"/\w+$", unit):
            return re.sub(plural, ending, unit)
    return unit


def format_figure(value: float, unit: str, checks: int | None = None) -> str:
    """Return a measured value in its shortest form, for tables: `works`, `1 of 4 checks passes`, `10× rows → 1.48× cost`."""
    if unit == EXPONENT:
        return gettext("10× rows → {times}× cost", times=_power(value))
    if unit != WORKS:
        return format_value(value, unit)
    if value in {0.0, 1.0}:
        return gettext("works") if value else gettext("does not work")
    if checks in {None, 1} or not math.isfinite(value):  # of one check, a part is not a number of checks
        return gettext("{percent} of the checks pass", percent=_percent(value))
    passed = round(value * checks)
    return ngettext("{count} of {total} checks passes", "{count} of {total} checks pass", passed, total=checks)


def format_interval(value: float, low: float | None, high: float | None, unit: str) -> str:
    """Return the interval of a value in the unit, the sign and the direction in which `format_figure` writes the value.

    Empty without both bounds, or if both are the value (an exact count). The lower bound comes first as it is written.

    Example:
        >>> format_interval(0.243, 0.242, 0.244, LESS), format_interval(-0.12, -0.322, 0.044, LESS)
        ('[24.2, 24.4] %', '[-4.4, 32.2] %')
    """
    if low is None or high is None or (low == value == high) or unit == WORKS:
        return ""
    scale, offset, end, signed = 1.0, 0.0, "", False
    if unit == LESS and value > -1:  # "12 % more" counts upwards in its own direction
        scale, end = 100.0 if _is_less(value) else -100.0, " %"
    elif unit == LESS:  # "3.1× as much"
        scale, offset, end = -1.0, 1.0, "×"
    elif unit == "share":
        scale, end = 100.0, " %"
    elif unit == TIME:
        scale, offset, end, signed = 100.0, -100.0, " %", True
    elif unit == EXPONENT:
        low, high, end = _growth(low), _growth(high), "×"
    bounds = sorted((offset + scale * low, offset + scale * high))
    if any(map(math.isnan, bounds)):
        return ""
    texts = [f"{bound:.2f}" if end == " %" and 99 < abs(bound) < 100 else _digits(bound) for bound in bounds]  # noqa: PLR2004 - as `_percent`
    decimals, most = 0, PERCENT_DECIMALS if end == " %" else MAX_DECIMALS
    while texts[0] == texts[1] and bounds[0] < bounds[1] and (decimals := decimals + 1) <= most:
        texts = [f"{bound:z,.{decimals}f}" for bound in bounds]
    plus = ["+" if signed and bound > 0 else "" for bound in bounds]
    return f"[{plus[0]}{texts[0]}, {plus[1]}{texts[1]}]{end}"


def format_with_interval(
    value: float, low: float | None, high: float | None, unit: str, checks: int | None = None
) -> tuple[str, str]:
    """Return a figure and its interval, the figure with as many decimals as a bound of the interval has, zeros apart.

    Example:
        >>> format_with_interval(0.572, 0.571, 0.573, LESS), format_with_interval(1.99476, 1.99476, 1.99484, TIMES)
        (('57.2 % less', '[57.1, 57.3] %'), ('1.9948×', '[1.9948, 1.9948]'))
    """
    figure, interval = format_figure(value, unit, checks), format_interval(value, low, high, unit)
    number = NUMBER.search(figure)
    wanted = min((_decimals(bound) for bound in NUMBER.findall(interval)), default=0)
    if number is None or unit in {EXPONENT, WORKS} or not math.isfinite(value) or _decimals(number[0]) >= wanted:
        return figure, interval
    shown = value
    if unit == LESS:
        shown = 100 * abs(value) if value > -1 else 1 - value
    elif unit == "share":
        shown = 100 * value
    elif unit == TIME:
        shown = 100 * (value - 1)
    sign = "+" if unit == TIME and shown > 0 else ""
    if round(shown, wanted) == float(number[0].replace(",", "")):
        return figure, interval  # no digit is missing
    return f"{figure[: number.start()]}{sign}{shown:z,.{wanted}f}{figure[number.end() :]}", interval


def _decimals(number: str) -> int:
    return len(number.partition(".")[2])


def format_measured(value: float, low: float | None, high: float | None, unit: str, checks: int | None = None) -> tuple[str, str]:
    """Return a figure and its interval for a table or a sentence; of an interval wider than `WIDEST`, what it does show.

    Such a figure is "at least" its lower bound, or "not enough data" where the interval includes no effect. A saving whose whole
    interval is one is shown as it is: 95 % less [82, 98] is wide as a factor, and yet says what to expect.

    Example:
        >>> format_measured(25.2, 1.73, 519.0, TIMES), format_measured(4.1, 0.4, 30.0, TIMES)
        (('at least 1.73×', ''), ('not enough data', ''))
    """
    if low is None or high is None or not _is_vague(low, high, unit):
        return format_with_interval(value, low, high, unit, checks)
    return gettext("at least {figure}", figure=format_figure(low, unit)) if low > NEUTRAL[unit] else gettext(NOT_ENOUGH), ""


def _is_vague(low: float, high: float, unit: str) -> bool:
    """Return whether an interval of a gain, a cost or of growth is wider than `WIDEST`, unless all of it is a saving."""
    if unit == LESS:
        return low <= 0 and 1 - low > WIDEST * (1 - high)
    if unit == EXPONENT:
        return high - low > math.log10(WIDEST)
    return unit in {TIMES, TIME} and low < high and high > WIDEST * low


def format_claim(claim_low: float | None, claim_high: float | None, unit: str) -> str:
    """Return a claim's range, from the bounds that a verdict has: `5–10×`, `60–80 % less`."""
    if claim_low is None:
        return gettext("nothing")
    low, high = format_value(claim_low, unit), format_value(claim_low if claim_high is None else claim_high, unit)
    if low == high:
        return low
    low_unit, high_unit = (text.lstrip("0123456789.,") for text in (low, high))
    return f"{low.removesuffix(high_unit) if low_unit == high_unit else low}–{high}"


def _percent(share: float) -> str:
    """Return whole percents, except from 99 % on: 99.2 % less leaves twice as much as 99.6 % less."""
    if not math.isfinite(share):
        return f"{_digits(share)} %"
    digits = 1 if 0.99 <= abs(share) < 1 else 0  # noqa: PLR2004 - see above
    return f"{share * 100:z,.{digits}f} %"


def _is_less(share: float) -> bool:
    """Return whether a share less is written as less: so is a change that no digit shows."""
    return share > -0.005  # noqa: PLR2004 - half of a percent


def _less(share: float) -> str:
    if _is_less(share) or math.isnan(share):
        return gettext("{percent} less", percent=_percent(share))
    if share > -1:
        return gettext("{percent} more", percent=_percent(-share))
    return gettext("{times}× as much", times=_digits(1 - share))


def _time(ratio: float) -> str:
    if not math.isfinite(ratio):
        return gettext("{percent} time", percent=f"{_digits(ratio)} %")
    change = round((ratio - 1) * 100, MAX_DECIMALS) + 0.0
    text = f"{change:+,.0f}" if abs(change) >= 100 else f"{change:+.3g}"  # noqa: PLR2004 - three significant digits
    return gettext("{percent} time", percent=f"{text} %")


def _works(share: float) -> str:
    return gettext("it works") if share == 1 else format_figure(share, WORKS)


def _exponent(value: float, interval: str = "") -> str:
    exponent = f"{value:z.2f}" if math.isfinite(value) else _digits(value)
    if interval:
        text = gettext("10× the rows → {times}× {interval} the cost (exponent {exponent})")
        return text.format(times=_power(value), interval=interval, exponent=exponent)
    return gettext("10× the rows → {times}× the cost (exponent {exponent})", times=_power(value), exponent=exponent)


def _power(value: float) -> str:
    """Return the growth of a cost over ten times the rows."""
    return _digits(_growth(value))


def _growth(exponent: float) -> float:
    """Return ten to the power of a growth exponent; infinite where that is not a number."""
    return 10.0**exponent if exponent < sys.float_info.max_10_exp else exponent + math.inf


_FORMATS: dict[str, Callable[[float], str]] = {
    TIMES: lambda v: f"{_digits(v)}×",
    TIME: _time,
    LESS: _less,
    "share": _percent,
    WORKS: _works,
    EXPONENT: _exponent,
}


def _digits(value: float) -> str:
    """Return three significant digits; all of them of a small whole number, and a sign for infinity and for no number."""
    if not math.isfinite(value):
        return MISSING if math.isnan(value) else "∞" if value > 0 else "-∞"
    magnitude = abs(value)
    if magnitude == round(magnitude) and magnitude < 1e6:  # noqa: PLR2004 - above a million, separators read better
        return f"{value:z.0f}"
    if magnitude >= 100:  # noqa: PLR2004 - three significant digits
        return f"{value:,.0f}"
    if magnitude < 0.01:  # noqa: PLR2004 - two decimals would leave nothing
        return f"{float(f'{value:.2g}'):z.{SMALLEST}f}".rstrip("0").rstrip(".")
    return f"{value:.1f}" if magnitude >= 10 else f"{value:.2f}"  # noqa: PLR2004 - three significant digits


def _sentence(verdict: Verdict, value: float) -> str:
    """Return the promise and the measurement in words, with the note in parentheses."""
    if verdict.unit == WORKS:
        found = _with_details(format_figure(value, WORKS, verdict.checks), [verdict.note])
    elif verdict.promised_low is None:
        found = gettext("measured {figure}", figure=_measured(verdict, value))
    else:
        claim = format_claim(verdict.promised_low, verdict.promised_high, verdict.unit)
        whole = (
            mark("promised at most {claim}, measured {figure}")
            if verdict.less_is_better
            else mark("promised {claim}, measured {figure}")
        )
        found = gettext(whole, claim=claim, figure=_measured(verdict, value))
    for group, tail in verdict.slower.items():
        whole = mark("{sentence}; slower at {tail} in {group}") if len(verdict.groups) > 1 else mark("{sentence}; slower at {tail}")
        found = gettext(whole, sentence=found, tail=tail, group=group)
    return found


def _measured(verdict: Verdict, value: float) -> str:
    """Return the measured figure with its interval, and its note in parentheses."""
    unit, low, high = verdict.unit, verdict.low, verdict.high
    text, details = format_value(value, unit), [verdict.note]
    bounds = format_interval(value, low, high, unit)
    if low == value == high:
        details = [gettext("exact"), *details]
    elif verdict.verdict == PromiseVerdict.INCONCLUSIVE and low is not None and high is not None:
        text = gettext("{figure}: not enough data", figure=text)
        details = [gettext("between {low} and {high}", low=format_value(low, unit), high=format_value(high, unit)), *details]
    elif verdict.verdict == PromiseVerdict.INCONCLUSIVE and low is None and high is None:
        text = gettext("{figure}, without a confidence interval", figure=text)
    elif unit == EXPONENT and bounds:
        text = _exponent(value, bounds.removesuffix("×"))
    else:
        text = f"{text} {bounds}".strip()
    return _with_details(text, details)


def _with_details(text: str, details: Iterable[str]) -> str:
    """Return a text with those details that are not empty in parentheses, added to the ones at its end."""
    known = "; ".join(filter(None, details))
    opening, closing = gettext("{text} ({details})").removeprefix("{text}").split("{details}")
    if not known:
        return text
    return f"{text.removesuffix(closing)}; {known}{closing}" if text.endswith(closing) else f"{text}{opening}{known}{closing}"
