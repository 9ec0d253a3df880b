"""The page about the review sorts promises by the outcome for the literal and the optimised arm."""

from dataclasses import replace

import pytest

from harness.results.run import ArmResult, Finding, PromiseVerdict, Verdict
from tests.harness import gates
from tools.review_page import Outcome, page_of, promises_of

LITERAL, OPTIMISED = "literal", "optimised"


def verdict(arm: str, word: PromiseVerdict, promise: str = "A1", value: float = 2.0) -> Verdict:
    """Return a verdict on a promise of speed."""
    return Verdict(promise, "twice as fast", arm, word, "", "×", value=value, low=value, high=value, promised_low=2.0)


@pytest.mark.parametrize(
    ("literal", "optimised", "outcome"),
    [
        ("confirmed", "refuted", Outcome.RIGHT),
        ("fell short", "exceeded", Outcome.OPTIMISED),
        ("not measured", "confirmed", Outcome.OPTIMISED),
        ("", "confirmed", Outcome.RIGHT),
        ("refuted", "fell short", Outcome.SMALLER),
        ("fell short", "", Outcome.SMALLER),
        ("refuted", "missed", Outcome.WRONG),
        ("refuted", "inconclusive", Outcome.OPEN),
        ("inconclusive", "withheld", Outcome.OPEN),
    ],
)
def test_the_outcome_of_a_promise(literal: str, optimised: str, outcome: Outcome) -> None:
    """As written counts first; what the data do not decide is not wrong."""
    verdicts = [verdict(arm, PromiseVerdict(word)) for arm, word in ((LITERAL, literal), (OPTIMISED, optimised)) if word]
    arms = [ArmResult("baseline", "b"), ArmResult(LITERAL, "l", as_written=True), ArmResult(OPTIMISED, "o")]
    (promise,) = promises_of([gates.result(arms=arms, verdicts=verdicts)])
    assert promise.outcome is outcome


def test_a_promise_has_to_be_kept_everywhere() -> None:
    """A second place that refutes it makes it less than promised, and is named."""
    arms = [ArmResult("baseline", "b"), ArmResult(LITERAL, "l", as_written=True)]
    kept, refuted = (
        gates.result(arms=arms, verdicts=[verdict(LITERAL, word)], rtt_ms=rtt)
        for word, rtt in ((PromiseVerdict.CONFIRMED, 0.0), (PromiseVerdict.REFUTED, 5.0))
    )
    assert promises_of([kept, kept])[0].outcome is Outcome.RIGHT
    assert promises_of([kept, refuted])[0].outcome is Outcome.SMALLER
    assert "confirmed, elsewhere also refuted" in page_of(gates.run(kept, refuted)).casefold()


def test_the_page_has_promises_and_faults() -> None:
    """Each promise is in one list, texts are shown as they are, and faults that did not show are left out."""
    arms = [ArmResult("baseline", "b"), ArmResult(LITERAL, "l", as_written=True)]
    result = gates.result(
        arms=arms,
        verdicts=[verdict(LITERAL, PromiseVerdict.CONFIRMED), verdict(LITERAL, PromiseVerdict.REFUTED, "A2", 0.5)],
        findings=[
            Finding(LITERAL, "it fails", holds=True, evidence="a_b <c>"),
            Finding(LITERAL, "hidden", holds=False, evidence=""),
        ],
    )
    page = page_of(replace(gates.run(result), commit="abc"))
    assert "## Right as written: 1 of 2" in page
    assert "## Wrong: 1 of 2" in page
    assert "| times as fast | 1 of 2 | – |" in page
    assert r"- it fails: a\_b \<c\>" in page
    assert "hidden" not in page
