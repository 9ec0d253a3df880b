"""Verdicts: the whole interval must keep a promise to confirm it, and miss it to deny it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import NotMeasurableError, ScenarioFailedError
from harness.results.run import ArmResult, PromiseVerdict, ScenarioResult, ScenarioStatus
from harness.verdicts import promise as v
from harness.verdicts.promise import Claim, Estimate, Promise, judge, weigh

ARMS = [ArmResult(name, "") for name in ("baseline", "proposed", "optimised")]
RESULT = ScenarioResult("toy", "Toy.", "Toy.", "toy.py", "sqlite", 0.0, ScenarioStatus.OK, arms=ARMS)


@pytest.mark.parametrize(
    ("claim", "estimate", "verdict"),
    [
        (v.times(5, 10), Estimate(12, 11, 13), PromiseVerdict.EXCEEDED),
        (v.times(5, 10), Estimate(7, 5, 9), PromiseVerdict.CONFIRMED),
        (v.times(5, 10), Estimate(10, 9, 11), PromiseVerdict.CONFIRMED),
        (v.times(5, 10), Estimate(5, 4, 6), PromiseVerdict.INCONCLUSIVE),
        (v.times(5, 10), Estimate(3, 2, 4), PromiseVerdict.FELL_SHORT),
        (v.times(5, 10), Estimate(1.1, 0.9, 1.3), PromiseVerdict.MISSED),
        (v.times(5, 10), Estimate(1.0, 0.97, 1.04), PromiseVerdict.REFUTED),
        (v.times(5, 10), Estimate(1.0, 0.97, 1.05), PromiseVerdict.MISSED),
        (v.times(5, 10), Estimate(1.02, 1.01, 1.03), PromiseVerdict.FELL_SHORT),
        (v.times(5, 10), Estimate(0.5, 0.4, 0.6), PromiseVerdict.REFUTED),
        (v.times(5), Estimate(50, 40, 60), PromiseVerdict.CONFIRMED),
        (v.times(5), Estimate(50), PromiseVerdict.INCONCLUSIVE),
        (v.times(5), Estimate(50, 40, None), PromiseVerdict.CONFIRMED),
        (v.times(5), Estimate(5, 4, None), PromiseVerdict.INCONCLUSIVE),
        (v.times(5), Estimate(3, None, 4), PromiseVerdict.MISSED),
        (v.cut(0.96), Estimate(0.9607, exact=True), PromiseVerdict.CONFIRMED),
        (v.cut(0.96), Estimate(0.5, exact=True), PromiseVerdict.FELL_SHORT),
        (v.cut(0.5), Estimate(-0.2, exact=True), PromiseVerdict.REFUTED),
        (v.cut(0.5), Estimate(0.1, -0.1, 0.3), PromiseVerdict.MISSED),
        (v.cut(0.5), Estimate(0.0, -0.02, 0.02), PromiseVerdict.REFUTED),
        (v.at_most(10, "ms"), Estimate(3, 2, 4), PromiseVerdict.CONFIRMED),
        (v.at_most(10, "ms"), Estimate(10, 9, 11), PromiseVerdict.INCONCLUSIVE),
        (v.at_most(10, "ms"), Estimate(30, 20, 40), PromiseVerdict.FELL_SHORT),
        (v.at_least(0.95, "share"), Estimate(0.9, exact=True), PromiseVerdict.FELL_SHORT),
        (v.works(), Estimate(1.0, exact=True), PromiseVerdict.CONFIRMED),
        (v.works(), Estimate(0.5, exact=True), PromiseVerdict.FELL_SHORT),
        (v.works(), Estimate(0.0, exact=True), PromiseVerdict.REFUTED),
        (v.measured("×"), Estimate(2, 1, 3), PromiseVerdict.MEASURED),
    ],
)
def test_each_position_of_the_interval_has_its_verdict(claim: Claim, estimate: Estimate, verdict: str) -> None:
    """The promised range and the interval give the verdict."""
    assert weigh(claim, estimate) == verdict


@given(st.floats(1.1, 100), st.floats(0.01, 1000), st.floats(0, 100), st.floats(0, 100))
def test_an_interval_on_both_sides_of_the_promise_is_never_a_pass(floor: float, value: float, below: float, above: float) -> None:
    """Confirmed and exceeded need the lower end at or above the promise; denials need the upper end below it."""
    low, high = value - below, value + above
    verdict = weigh(v.times(floor), Estimate(value, low, high))
    assert (verdict in {PromiseVerdict.CONFIRMED, PromiseVerdict.EXCEEDED}) == (low >= floor)
    assert (verdict in {PromiseVerdict.FELL_SHORT, PromiseVerdict.MISSED, PromiseVerdict.REFUTED}) == (high < floor)
    if high < floor:
        assert (verdict == PromiseVerdict.FELL_SHORT) == (low > 1)
        assert (verdict == PromiseVerdict.REFUTED) == (low <= 1 and high < 1 + v.WORTH_HAVING)


def test_a_promise_is_judged_for_each_of_its_arms() -> None:
    """The sentence gives promise and measurement in the promise's unit."""
    promise = Promise(
        "N1", "51 → 2", v.cut(0.96), lambda _, arm: Estimate(0.96 if arm == "optimised" else 0.5, exact=True, note="x")
    )
    proposed, optimised = judge(promise, RESULT)
    assert (proposed.arm, proposed.verdict) == ("proposed", PromiseVerdict.FELL_SHORT)
    assert (optimised.arm, optimised.verdict) == ("optimised", PromiseVerdict.CONFIRMED)
    assert optimised.sentence == "promised 96 % less, measured 96 % less (exact; x)"


def test_a_promise_for_some_arms_is_judged_for_these_alone() -> None:
    """By default it is for every arm but the baseline."""
    promise = Promise("N1", "x", v.times(2), lambda _result, _arm: Estimate(3.0, exact=True), arms=["optimised"])
    assert [verdict.arm for verdict in judge(promise, RESULT)] == ["optimised"]


@pytest.mark.parametrize(("error", "text"), [(ValueError("no rows"), "ValueError: no rows"), (SystemExit(0), "SystemExit: 0")])
def test_a_measure_that_raises_is_named_with_its_line(error: BaseException, text: str) -> None:
    """It may be the user's, and must not end the run that has measured everything."""

    def measure(_: ScenarioResult, arm: str) -> Estimate:
        raise error

    line = measure.__code__.co_firstlineno + 1
    place = f"tests/harness/verdicts/test_promise.py, line {line}"
    with pytest.raises(ScenarioFailedError) as found:
        judge(Promise("X", "x", v.times(2), measure), RESULT)
    assert str(found.value) == f"the measure of promise 'X' raised for proposed at {place}: {text}"


def test_a_promise_that_cannot_be_measured_has_the_reason() -> None:
    """The reason is the sentence, there is no figure, and what was promised is known."""

    def measure(_: ScenarioResult, arm: str) -> Estimate:
        raise NotMeasurableError(f"no {arm} here")

    (found, _) = judge(Promise("X", "x", v.times(2), measure), RESULT)
    assert (found.verdict, found.sentence, found.value) == (PromiseVerdict.NOT_MEASURED, "no proposed here", None)
    assert (found.promised_low, found.promised_high, found.neutral, found.unit) == (2.0, None, 1.0, "×")
    limit = judge(Promise("X", "x", v.at_most(3, "statements"), measure), RESULT)[0]
    assert (limit.promised_low, limit.less_is_better, limit.unit) == (3, True, "statements")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (7.234, "×", "7.23×"),
        (123.4, "×", "123×"),
        (12345.6, "rows", "12,346 rows"),
        (2, "statements", "2 statements"),
        (1, "statements", "1 statement"),
        (1, "ms", "1 ms"),
        (1.0, "share", "100 %"),
        (-0.001, "exponent", "10× the rows → 1.00× the cost (exponent 0.00)"),
        (0.7, "less", "70 % less"),
        (0.9961, "less", "99.6 % less"),
        (-0.1, "less", "10 % more"),
        (0.95, "share", "95 %"),
        (1.0, "works", "it works"),
        (0.02, "exponent", "10× the rows → 1.05× the cost (exponent 0.02)"),
        (2.0, "time", "+100 % time"),
        (0.71, "time", "-29 % time"),
        (-2.67, "less", "3.67× as much"),
        (3.14159, "ms", "3.14 ms"),
    ],
)
def test_values_have_their_unit(value: float, unit: str, text: str) -> None:
    """Values have three significant digits, then the unit."""
    assert v.format_value(value, unit) == text


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        (v.times(5, 10), "5–10×"),
        (v.times(5), "5×"),
        (v.cut(0.6, 0.8), "60–80 % less"),
        (v.works(), "it works"),
        (v.measured("ms"), "nothing"),
    ],
)
def test_claims_are_written_as_a_range(claim: Claim, text: str) -> None:
    """A range has its unit once."""
    assert v.format_claim(claim.low, claim.high, claim.unit) == text


@pytest.mark.parametrize(
    ("claim", "estimate", "sentence"),
    [
        (v.works(), Estimate(1.0, exact=True, note="56 answers equal"), "works (56 answers equal)"),
        (v.works(), Estimate(0.25, exact=True, checks=4), "1 of 4 checks passes"),
        (v.works(), Estimate(0.75, exact=True, checks=4), "3 of 4 checks pass"),
        (v.works(), Estimate(0.25, exact=True), "25 % of the checks pass"),
        (v.times(5), Estimate(7, 6, 8), "promised 5×, measured 7× [6, 8]"),
        (v.times(5), Estimate(7), "promised 5×, measured 7×, without a confidence interval"),
        (
            v.cut(0.62),
            Estimate(0.55, -2.67, 0.94),
            "promised 62 % less, measured 55 % less: not enough data (between 3.67× as much and 94 % less)",
        ),
        (
            v.at_most(0.2, "exponent"),
            Estimate(0.1, 0.05, 0.15),
            (
                "promised at most 10× the rows → 1.58× the cost (exponent 0.20), "
                "measured 10× the rows → 1.26× [1.12, 1.41] the cost (exponent 0.10)"
            ),
        ),
        (v.measured("×"), Estimate(2.0, 1.5, 2.5, unit=v.TIME), "measured +100 % time [+50, +150] %"),
    ],
)
def test_sentences_have_promise_and_measurement(claim: Claim, estimate: Estimate, sentence: str) -> None:
    """The sentence depends on the unit and on the interval; a cost is additional time."""
    promise = Promise("X", "x", claim, lambda _result, _arm: estimate, arms=["optimised"])
    assert [verdict.sentence for verdict in judge(promise, RESULT)] == [sentence]


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "text"),
    [
        (7.0, 6.0, 8.0, v.TIMES, "[6, 8]"),
        (0.243, 0.242, 0.244, v.LESS, "[24.2, 24.4] %"),
        (-0.12, -0.322, 0.044, v.LESS, "[-4.40, 32.2] %"),  # "12 % more": its interval counts what is more
        (0.55, -2.67, 0.94, v.LESS, "[-267, 94] %"),
        (-2.1, -4.0, -1.5, v.LESS, "[2.50, 5]×"),  # "3.10× as much"
        (0.9996, 0.9994, 0.9998, v.LESS, "[99.94, 99.98] %"),
        (0.999298, 0.999297, 0.999298, v.LESS, "[99.93, 99.93] %"),
        (0.5, 0.25, 0.75, "share", "[25, 75] %"),
        (1.12, 1.04, 1.2, v.TIME, "[+4, +20] %"),
        (0.97, 0.9, 1.04, v.TIME, "[-10, +4] %"),
        (0.17, 0.0, 1.0, v.EXPONENT, "[1, 10]×"),
        (3.1, 2.9, 3.3, "ms", "[2.90, 3.30]"),
        (1.00012, 1.00011, 1.00013, v.TIMES, "[1.0001, 1.0001]"),
        (4.0, 4.0, 4.0, "statements", ""),
        (4.0, None, 5.0, "ms", ""),
        (1.0, 0.9, 1.0, v.WORKS, ""),
    ],
)
def test_intervals_have_the_unit_and_the_sign_of_their_figure(
    value: float, low: float | None, high: float | None, unit: str, text: str
) -> None:
    """An interval is written as its figure is: in percent where that is, and in its direction."""
    assert v.format_interval(value, low, high, unit) == text


@given(st.floats(-5, 0.999), st.floats(0, 2), st.floats(0, 2), st.sampled_from([v.LESS, v.TIMES, v.TIME, "share", "ms"]))
def test_the_lower_bound_is_written_first(value: float, below: float, above: float, unit: str) -> None:
    """Whatever the direction, the bounds ascend, and the written figure lies between them."""
    found = re.fullmatch(r"\[([^ ]+), ([^\]]+)\](.*)", v.format_interval(value, value - below, value + above, unit))
    if found is None:
        assert value - below == value == value + above
        return
    first, last = (float(found[place].replace(",", "")) for place in (1, 2))
    assert first <= last
    figure = float(v.format_value(value, unit).replace(",", "").split("×")[0].split()[0])
    assert first - abs(first) * 0.02 - 1 <= figure <= last + abs(last) * 0.02 + 1


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "expected"),
    [
        (4.0, 1.0, 10.0, v.TIMES, ("4×", "[1, 10]")),
        (4.0, 0.9, 9.1, v.TIMES, ("not enough data", "")),
        (25.2, 1.73, 519.0, v.TIMES, ("at least 1.73×", "")),
        (0.2, -0.1, 0.5, v.TIMES, ("not enough data", "")),
        (3.0, None, None, v.TIMES, ("3×", "")),
        (5_000.0, 5_000.0, 5_000.0, v.TIMES, ("5000×", "")),
        (0.14, -345.8, 0.9999, v.LESS, ("not enough data", "")),
        (0.95, 0.818, 0.985, v.LESS, ("95 % less", "[81.8, 98.5] %")),
        (1.0, 0.93, 1.0, v.LESS, ("100 % less", "[93, 100] %")),
        (2.0, 1.1, 12.0, v.TIME, ("at least +10 % time", "")),
        (0.5, -0.5, 0.6, v.EXPONENT, ("not enough data", "")),
        (0.0, 0.0, 0.168, "share", ("0 %", "[0, 16.8] %")),
        (5.0, 1.0, 50.0, "ms", ("5 ms", "[1, 50]")),
    ],
)
def test_the_middle_of_a_wide_interval_is_not_shown(
    value: float, low: float | None, high: float | None, unit: str, expected: tuple[str, str]
) -> None:
    """More than a factor of ten between the bounds leaves the lower one if it is a gain, else nothing."""
    assert v.format_measured(value, low, high, unit) == expected


@given(st.floats(0.01, 100), st.floats(1, 1e6), st.sampled_from([v.LESS, v.TIMES, v.TIME]))
def test_a_shown_interval_is_narrow_or_a_saving(low: float, factor: float, unit: str) -> None:
    """Whatever is measured, no interval in times is wider than a factor of ten, and none of a saving that includes no saving."""
    bounds = (1 - low * factor, 1 - low) if unit == v.LESS else (low, low * factor)
    text, shown = v.format_measured(sum(bounds) / 2, *bounds, unit)
    if shown:
        assert factor <= v.WIDEST * 1.001 or (unit == v.LESS and bounds[0] > 0)
    else:
        assert text == v.NOT_ENOUGH or text.startswith("at least") or bounds[0] == bounds[1]


@given(st.floats(-5, 0.999), st.floats(0, 2), st.floats(0, 2), st.sampled_from([v.LESS, v.TIMES, v.TIME, "share", "ms"]))
def test_a_figure_is_as_fine_as_its_interval(value: float, below: float, above: float, unit: str) -> None:
    """It has as many decimals as one of the bounds, unless they are zeros, and differs by no more than they do."""
    figure, interval = v.format_with_interval(value, value - below, value + above, unit)
    assert interval == v.format_interval(value, value - below, value + above, unit)
    shown, alone = v.NUMBER.search(figure), v.NUMBER.search(v.format_figure(value, unit))
    decimals = [len(number.partition(".")[2]) for number in v.NUMBER.findall(interval)]
    assert shown is not None
    assert alone is not None
    assert len(shown[0].partition(".")[2]) >= min(decimals, default=0) or shown[0] == alone[0]
    error = abs(float(shown[0].replace(",", "")) - float(alone[0].replace(",", "")))
    assert error <= 0.501 * 10 ** -len(alone[0].partition(".")[2]) or "e" in figure + v.format_figure(value, unit)


def test_a_figure_is_not_coarser_than_its_bounds() -> None:
    """Whole percents are enough only beside an interval of whole percents."""
    assert v.format_with_interval(0.572, 0.571, 0.573, v.LESS) == ("57.2 % less", "[57.1, 57.3] %")
    assert v.format_with_interval(0.572, 0.5, 0.64, v.LESS) == ("57 % less", "[50, 64] %")
    assert v.format_with_interval(1.12, 1.101, 1.139, v.TIME) == ("+12 % time", "[+10.1, +13.9] %")
    assert v.format_with_interval(0.57, None, None, v.LESS) == ("57 % less", "")
