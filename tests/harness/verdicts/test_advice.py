"""What to do and trust: each rule, and that neither is stronger than the verdicts."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.results.run import AA_CONTROL, ArmResult, PromiseVerdict, Ratio, ScenarioResult, ScenarioStatus, Verdict
from harness.verdicts.advice import DENIED, KEPT, WORTH_A_CHANGE, Action, Trust, advise, is_check, named
from harness.verdicts.promise import Estimate, at_least, at_most, cut, times, weigh, works

LITERAL, BETTER = ArmResult("literal", "", as_written=True), ArmResult("better", "")
ARMS = [ArmResult("baseline", ""), LITERAL, BETTER]
GROUPS = ["read"]


def speed(arm: str, value: float, low: float | None, high: float | None, **changes: object) -> Verdict:
    """Return the verdict on a promise of 2–3 times as fast."""
    verdict = weigh(times(2, 3), Estimate(value, low, high))
    made = Verdict("P1", "twice as fast", arm, verdict, "", "×", "", value, low, high, 2.0, 3.0, 1.0, groups=GROUPS)
    return replace(made, **changes)  # type: ignore[arg-type]


def check(arm: str, passed: float) -> Verdict:
    """Return the verdict on a promise that something works."""
    return Verdict("P2", "works", arm, weigh(works(), Estimate(passed, exact=True)), "", "works", "", passed, passed, passed, 1.0)


def ratio(arm: str, value: float, low: float | None, high: float | None, pairs: int = 50, group: str = "read") -> Ratio:
    """Return a paired ratio."""
    return Ratio(arm, group, value, low, high, [value], pairs)


def result(verdicts: Sequence[Verdict], **changes: object) -> ScenarioResult:
    """Return a scenario result with these verdicts and a clean control."""
    ratios = [ratio(AA_CONTROL, 1.0, 0.98, 1.02), *(ratio(a, 2.0, 1.9, 2.1) for a in ("literal", "better"))]
    made = ScenarioResult(
        "s", "S", "", "s.py", "sqlite", 0.0, ScenarioStatus.OK, arms=ARMS, processes=5, verdicts=list(verdicts), ratios=ratios
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("literal", "better", "action"),
    [
        ((2.5, 2.2, 2.8), (4, 3.5, 4.5), Action.DO),  # the literal arm is enough
        ((1.2, 1.1, 1.3), (0.5, 0.4, 0.6), Action.DO),  # a gain, smaller than promised
        ((0.5, 0.4, 0.6), (2.5, 2.2, 2.8), Action.OPTIMISED),
        ((1.0, 0.9, 1.1), (1.1, 1.01, 1.2), Action.OPTIMISED),
        ((0.5, 0.4, 0.6), (1.0, 0.9, 1.1), Action.LEAVE),
        ((1.0, 0.99, 1.01), (1.0, 0.9, WORTH_A_CHANGE), Action.UNDECIDED),  # a gain of a quarter is not excluded
        ((1.5, 0.9, 2.5), (0.5, 0.4, 0.6), Action.UNDECIDED),  # the promise is not denied
        ((2.5, None, None), (2.5, None, None), Action.UNDECIDED),  # one process
        ((math.inf, 5.0, math.inf), (0.5, 0.4, 0.6), Action.DO),
    ],
)
def test_the_interval_decides(literal: tuple[float, ...], better: tuple[float, ...], action: Action) -> None:
    """Only a whole interval of gain is worth doing, and only one that excludes a gain worth a change is not."""
    assert advise(result([speed("literal", *literal), speed("better", *better)])).action == action


@pytest.mark.parametrize(
    ("verdicts", "action"),
    [
        ([speed("literal", 9, 8, 10), check("literal", 0.5), speed("better", 9, 8, 10), check("better", 1)], Action.OPTIMISED),
        ([speed("literal", 9, 8, 10), check("literal", 0.5), speed("better", 9, 8, 10), check("better", 0)], Action.LEAVE),
        (
            [
                speed("literal", 0.5, 0.4, 0.6),
                speed("better", 9, 8, 10),
                replace(check("better", 1), verdict=PromiseVerdict.NOT_MEASURED, value=None, low=None, high=None),
            ],
            Action.UNDECIDED,
        ),
    ],
)
def test_a_check_decides_before_speed(verdicts: list[Verdict], action: Action) -> None:
    """An arm that fails a check is not worth doing however fast it is; one whose check was not measured is not decided."""
    assert advise(result(verdicts)).action == action


def test_an_arm_that_cannot_run_everywhere_is_not_worth_doing() -> None:
    """Its gain in the other groups does not make up for that."""
    broken = [ARMS[0], replace(LITERAL, errors={"write": "TypeError"}), BETTER]
    verdicts = [speed("literal", 9, 8, 10), speed("better", 9, 8, 10)]
    assert advise(result(verdicts, arms=broken)).action == Action.OPTIMISED


@pytest.mark.parametrize("word", [PromiseVerdict.WITHHELD, PromiseVerdict.NOT_MEASURED, PromiseVerdict("superseded")])
def test_what_is_not_judged_is_not_decided(word: PromiseVerdict) -> None:
    """Withheld, unmeasured and unknown verdicts count for nothing, whatever figures they have."""
    advice = advise(result([speed("better", 9, 8, 10, verdict=word, sentence="why")], arms=[ARMS[0], BETTER]))
    assert advice.action == Action.UNDECIDED
    assert advice.reason == f"{word}: why"


@pytest.mark.parametrize(
    ("changes", "quick", "reason", "trust"),
    [
        ({"status": ScenarioStatus.FAILED, "error": "boom"}, False, "failed: boom", Trust.FAILED),
        ({"status": ScenarioStatus.NOT_RUN}, False, "not run: no reason was recorded", Trust.NOT_RUN),
        ({}, True, "a quick run decides nothing", Trust.QUICK),
    ],
)
def test_a_run_without_standing_decides_nothing(changes: dict[str, object], quick: bool, reason: str, trust: Trust) -> None:
    """A failed scenario, one that was not run, and a quick run."""
    advice = advise(result([speed("literal", 9, 8, 10), speed("better", 9, 8, 10)], **changes), quick=quick)
    assert (advice.action, advice.reason) == (Action.UNDECIDED, reason)
    assert advice.trust == trust


def test_without_a_literal_arm_there_is_nothing_to_optimise() -> None:
    """The action is to do it."""
    assert advise(result([speed("better", 9, 8, 10)], arms=[ARMS[0], BETTER])).action == Action.DO


def test_of_several_arms_the_best_speaks() -> None:
    """One worth doing goes before a later one that is not; of two, the one that gains more."""
    arms = [ARMS[0], ArmResult("a", ""), ArmResult("b", ""), ArmResult("c", "")]
    verdicts = [speed("a", 2, 1.9, 2.1), speed("b", 4, 3.9, 4.1), speed("c", 0.5, 0.4, 0.6)]
    advice = advise(result(verdicts, arms=arms))
    assert advice.optimised is not None
    assert (advice.action, advice.optimised.arm) == (Action.DO, "b")


def test_a_review_names_the_promises_that_are_the_gain() -> None:
    """The others do not count; an expected gain that no promise answers leaves the checks."""
    verdicts = [speed("better", 0.5, 0.4, 0.6, part="cold"), speed("better", 9, 8, 10, part="warm"), check("better", 1)]
    own = result(verdicts, arms=[ARMS[0], BETTER])
    assert advise(own, answers=["P1 · warm"]).action == Action.DO
    assert advise(own, answers=["P1 · cold"]).action == Action.LEAVE
    assert advise(own, answers=[]).action == Action.LEAVE, "a promise is denied"
    assert advise(replace(own, verdicts=[check("better", 1)]), answers=[]).action == Action.DO


def test_of_several_promises_the_geometric_mean_is_the_gain() -> None:
    """So are its bounds."""
    verdicts = [speed("better", 2, 1, 4, part="a"), speed("better", 8, 4, 16, part="b")]
    advice = advise(result(verdicts, arms=[ARMS[0], BETTER]))
    assert advice.optimised is not None
    gain = advice.optimised.gain
    assert gain is not None
    assert (gain.value, gain.low, gain.high) == pytest.approx((4, 2, 8))


def test_a_promise_that_one_arm_was_not_tried_on_is_missing_there() -> None:
    """A gain over fewer promises than the other arm's would not be comparable."""
    advice = advise(result([speed("literal", 9, 8, 10, part="a"), speed("better", 9, 8, 10), speed("better", 9, 8, 10, part="a")]))
    assert advice.literal is not None
    assert advice.literal.gain is None
    assert advice.action == Action.OPTIMISED


def test_savings_count_where_no_speed_is_promised() -> None:
    """Half of something is twice as little."""
    saved = weigh(cut(0.4), Estimate(0.5, 0.45, 0.55))
    advice = advise(result([Verdict("P", "", "better", saved, "", "less", "", 0.5, 0.45, 0.55, 0.4)], arms=[ARMS[0], BETTER]))
    assert advice.action == Action.DO
    assert advice.chosen is not None
    assert advice.chosen.gain is not None
    assert advice.chosen.gain.times == pytest.approx(2)


def test_without_any_promise_the_ratios_are_the_gain() -> None:
    """A group whose control failed makes it undecided."""
    own = result([], arms=[ARMS[0], BETTER])
    assert advise(own).action == Action.DO
    assert advise(own, failed_controls=["read"]).action == Action.UNDECIDED
    assert advise(replace(own, ratios=[])).action == Action.UNDECIDED


def test_checks_allow_nothing_in_between() -> None:
    """It works, none of something, all of it; a floor or a limit in between is a promise like any other."""
    base = check("better", 1)
    claims = {works(): "works", at_most(0, "rows"): "rows", at_least(1, "share"): "share"}
    for claim, unit in claims.items():
        assert is_check(replace(base, unit=unit, promised_low=claim.low, less_is_better=claim.less_is_better))
    for unit, low, less in (("share", 0.9, False), ("rows", 3, True), ("share", 0.05, True), ("×", 1, False)):
        assert not is_check(replace(base, unit=unit, promised_low=low, less_is_better=less))


@pytest.mark.parametrize(
    ("changes", "trust"),
    [
        ({}, Trust.SOLID),
        ({"status": ScenarioStatus.INTERRUPTED}, Trust.INTERRUPTED),
        ({"processes": 4}, Trust.FEW_PROCESSES),
        ({"ratios": []}, Trust.NOT_TIMED),
        ({"ratios": [ratio("better", 2, 1.9, 2.1)]}, Trust.NO_CONTROL),
        ({"ratios": [ratio("better", 2, 1.9, 2.1, pairs=9), ratio(AA_CONTROL, 1, 0.9, 1.1)]}, Trust.FEW_PAIRS),
        ({"ratios": [ratio("better", 2, 1.9, 2.1), ratio(AA_CONTROL, 1.2, 1.15, 1.25)]}, Trust.CONTROL_OFF),
        ({"ratios": [ratio("better", 2, 1.9, 2.1), ratio(AA_CONTROL, 1.03, 1.01, 1.05)]}, Trust.SOLID),
        ({"ratios": [ratio("better", 2, 1.9, 2.1), ratio(AA_CONTROL, 1, 0.7, 1.4)]}, Trust.NOISY_CONTROL),
        ({"verdicts": [speed("better", 3, 2, 4.5)]}, Trust.WIDE),
        ({"verdicts": [speed("better", 3, None, None)]}, Trust.WIDE),
        ({"verdicts": [speed("better", 3, 3, 3)]}, Trust.EXACT),
        ({"verdicts": [check("better", 1)]}, Trust.EXACT),
    ],
)
def test_trust_is_the_first_reason_against_the_figures(changes: dict[str, object], trust: Trust) -> None:
    """Solid needs five processes, ten pairs, a control that is neither off nor noisy, and a narrow interval."""
    own = result([speed("better", 2, 1.9, 2.1)], arms=[ARMS[0], BETTER])
    assert advise(replace(own, **changes)).trust == trust  # type: ignore[arg-type]


def test_only_controls_of_the_groups_behind_the_gain_count() -> None:
    """Noise elsewhere does not matter; a failed control there does."""
    noisy = [ratio(AA_CONTROL, 1, 0.5, 2, group="other"), ratio("better", 2, 1, 4, group="other")]
    own = result([speed("better", 2, 1.9, 2.1)], arms=[ARMS[0], BETTER])
    own = replace(own, ratios=[*own.ratios, *noisy])
    assert advise(own, failed_controls=["other"]).trust == Trust.SOLID
    assert advise(own, failed_controls=["read"]).trust == Trust.CONTROL_FAILED


bounds = st.lists(st.floats(0.01, 100), min_size=3, max_size=3).map(sorted)
words = st.sampled_from([*PromiseVerdict, PromiseVerdict("superseded"), None])


@given(st.lists(st.tuples(st.sampled_from(["literal", "better"]), bounds, words, st.booleans()), max_size=6))
def test_advice_is_never_stronger_than_the_verdicts(found: list[tuple[str, list[float], PromiseVerdict | None, bool]]) -> None:
    """Done is only what passes its checks and gains over its whole interval; left is only what is denied or fails a check."""
    verdicts = []
    for place, (arm, (low, value, high), word, is_passed) in enumerate(found):
        made = speed(arm, value, low, high, part=str(place))
        verdicts += [replace(made, verdict=word) if word else made, check(arm, float(is_passed))]
    advice = advise(result(verdicts))
    if advice.action in {Action.DO, Action.OPTIMISED} and verdicts:
        assert advice.chosen is not None
        own = [v for v in verdicts if v.arm == advice.chosen.arm]
        assert all(v.verdict in KEPT for v in own if is_check(v))
        lead = [v for v in own if not is_check(v)]
        assert not {v.verdict for v in lead} & {PromiseVerdict.WITHHELD, PromiseVerdict.NOT_MEASURED, "superseded"}
        assert any(v.low is not None and v.low > 1 for v in lead)
    if advice.action == Action.LEAVE:
        for arm in {v.arm for v in verdicts}:
            own = [v for v in verdicts if v.arm == arm]
            denied = all(v.verdict in {*DENIED, PromiseVerdict.MEASURED} for v in own if not is_check(v))
            assert denied or any(v.verdict in DENIED for v in own if is_check(v))


def test_a_promise_is_named_as_a_review_names_it() -> None:
    """With its part, if it has one."""
    assert named(speed("better", 2, 1, 3)) == "P1"
    assert named(speed("better", 2, 1, 3, part="warm")) == "P1 · warm"
