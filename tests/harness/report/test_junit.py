"""A gate's result as JUnit XML: red where the gate is, and well-formed whatever the names."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.junit import render
from harness.results.gate import EXIT_CODES, GateResult, GateVerdict
from tests.harness.report.gates import hostile, result, row


def cases(found: GateResult) -> dict[tuple[str, str], str]:
    """(suite, case) → what is in the case: failure, error, skipped or nothing."""
    root = ET.fromstring(render(found))
    return {(s.get("name", ""), c.get("name", "")): c[0].tag if len(c) else "" for s in root for c in s}


def test_each_word_has_its_element() -> None:
    """A regression fails, what could not be told or compared is an error, what others decide is skipped, equal work passes."""
    assert cases(result()) == {
        ("gate", "verdict"): "failure",
        ("gate", "settings"): "error",
        ("indexes · sqlite", "optimised · prompts · exact work"): "failure",
        ("indexes · sqlite", "optimised · prompts · memory"): "",
        ("indexes · sqlite", "optimised · prompts · time"): "skipped",
        ("indexes · sqlite", "optimised · other · exact work"): "",
        ("loading · sqlite", "optimised · prompts · time"): "error",
        ("loading · sqlite", "optimised · prompts · exact work"): "error",
        ("caching · sqlite", "runs"): "failure",
    }


@pytest.mark.parametrize("verdict", EXIT_CODES)
def test_the_whole_is_red_whenever_the_exit_code_is_not_0(verdict: GateVerdict) -> None:
    """Even if every figure passed."""
    found = GateResult("a", "b", verdict, "so", [row("equal"), row("not judged", "time")])
    red = {"failure", "error"} & set(cases(found).values())
    assert bool(red) == bool(found.exit_code)


def test_the_totals_are_those_of_the_cases() -> None:
    """A reporter believes them."""
    root = ET.fromstring(render(result()))
    assert {key: root.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "9",
        "failures": "3",
        "errors": "3",
        "skipped": "1",
    }
    for suite in root:
        assert int(suite.get("tests", "")) == len(suite)


def test_every_figure_that_regressed_is_told() -> None:
    """With before, after and the reason."""
    failure = ET.fromstring(render(result())).find(".//failure[@message='statements 3 → 4 (+33.3 %): because it is regressed']")
    assert failure is not None
    assert (failure.text or "").splitlines()[1] == "vm steps 10 → 31 (×3.10): because it is regressed"


def test_hostile_names_are_well_formed() -> None:
    """Control characters, half surrogate pairs and markup are in no name."""
    body = render(hostile())
    assert b"<script>" not in body
    assert ET.fromstring(body).find(".//failure") is not None


@given(st.text(st.characters(), max_size=40))
def test_any_text_is_well_formed(text: str) -> None:
    """And comes back, but for what XML cannot hold."""
    found = GateResult(text, text, GateVerdict.REGRESSED, text, [row("regressed", scenario=text, group=text, reason=text)])
    case = ET.fromstring(render(found))[0][0]
    assert case[0].get("type") == "regressed"
