"""A gate's result as JUnit XML: failed if the gate fails, and well-formed whatever the names."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.junit import render
from harness.results.gate import EXIT_CODES, GateResult, GateVerdict
from tests.harness.report.gates import hostile, result, row


def cases(found: GateResult) -> dict[tuple[str, str], str]:
    """Return (suite, case) → the element in the case: failure, error, skipped or nothing."""
    root = ET.fromstring(render(found))
    return {(s.get("name", ""), c.get("name", "")): c[0].tag if len(c) else "" for s in root for c in s}


def test_each_verdict_has_its_element() -> None:
    """A regression fails, an undecided or not comparable figure is an error, an unjudged one is skipped, equal work passes."""
    assert cases(result()) == {
        ("gate", "verdict"): "failure",
        ("gate", "settings"): "error",
        ("indexes · sqlite", "optimised · prompts · work counts"): "failure",
        ("indexes · sqlite", "optimised · prompts · memory"): "",
        ("indexes · sqlite", "optimised · prompts · time"): "skipped",
        ("indexes · sqlite", "optimised · other · work counts"): "",
        ("loading · sqlite", "optimised · prompts · time"): "error",
        ("loading · sqlite", "optimised · prompts · work counts"): "error",
        ("caching · sqlite", "runs"): "failure",
    }


@pytest.mark.parametrize("verdict", EXIT_CODES)
def test_the_document_fails_if_the_exit_code_is_not_0(verdict: GateVerdict) -> None:
    """It fails even if every figure passed."""
    found = GateResult("a", "b", verdict, "so", [row("equal"), row("not judged", "time")])
    red = {"failure", "error"} & set(cases(found).values())
    assert bool(red) == bool(found.exit_code)


def test_the_totals_are_those_of_the_cases() -> None:
    """Test reporters show them."""
    root = ET.fromstring(render(result()))
    assert {key: root.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "9",
        "failures": "3",
        "errors": "3",
        "skipped": "1",
    }
    for suite in root:
        assert int(suite.get("tests", "")) == len(suite)


def test_every_regression_is_listed() -> None:
    """It has the figure before and after, and the reason."""
    failure = ET.fromstring(render(result())).find(".//failure[@message='statements 3 → 4 (+33.3 %): because it is regressed']")
    assert failure is not None
    assert (failure.text or "").splitlines()[1] == "vm steps 10 → 31 (+210 %): because it is regressed"


def test_hostile_names_are_well_formed() -> None:
    """Names have no control characters, half surrogate pairs or markup."""
    body = render(hostile())
    assert b"<script>" not in body
    assert ET.fromstring(body).find(".//failure") is not None


@given(st.text(st.characters(), max_size=40))
def test_any_text_is_well_formed(text: str) -> None:
    """Any text is accepted as name, group and reason."""
    found = GateResult(text, text, GateVerdict.REGRESSED, text, [row("regressed", scenario=text, group=text, reason=text)])
    case = ET.fromstring(render(found))[0][0]
    assert case[0].get("type") == "regressed"
