"""Every generated sentence, in every language, over runs with gains, losses, nothing, infinity and gaps."""

import math
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.language import languages, using
from harness.report import conclusion
from harness.results.run import PromiseVerdict, Run, RunKind, RunSettings, ScenarioResult, ScenarioStatus, Verdict
from harness.results.store import SCHEMA_VERSION
from harness.verdicts import promise as v
from harness.verdicts.advice import Action
from harness.verdicts.promise import Estimate, Promise, judge
from tests.harness.report.test_conclusion import result, speed

UNITS = [v.TIMES, v.LESS, v.TIME, v.WORKS, v.EXPONENT, "share", "ms", "stale reads", "queries"]
VALUES = [0.0, 1.0, 2.0, 0.5, -0.5, -3.0, 1e-9, -1e-9, 0.994, 0.9999, 12_345.6, 1e300, math.inf, -math.inf, math.nan]
WRONG = re.compile(
    r"\b(None(?! of)|nan|inf)\b"
    r"|(?<![\w.])-0(\.0+)?(?![\d.])"
    r"|\d[eE][+-]?\d"
    r"|\b1 (are|optimisations|checks|places|processes|pairs|controls|reads|queries|statements)\b"
    r"|\b0 of 0\b|\b0 / 0\b|\ba (8|11|18|80)\b"
    r"|\{|\}|\(\)|（）|  |[ ,;(（]$|^[ ,;]|\s[,.;:)]|,,|、、|\.\.|。。"
)
"""Patterns that read wrongly in any language."""
ENGLISH = re.compile(r"[A-Za-z]{2,}")
RECORDED = {"literal", "better", "titled", "tiny", "measured", "twice", "as", "fast"}
UNIT_WORDS = {"sqlite", "RTT", "ms", "MB", "UTC", "min", "stale", "read", "reads", "query", "queries"}
NAMES = RECORDED | UNIT_WORDS
"""Words of Latin letters that every language keeps: names of the runs of these tests, and units."""


def run_of(results: list[ScenarioResult], *, quick: bool) -> Run:
    """Return a run with these results."""
    settings = RunSettings(["sqlite"], "tiny", 0, [0.0], quick=quick, processes=5, budget_s=1.0)
    return Run(
        schema_version=SCHEMA_VERSION,
        kind=RunKind.PAIRS,
        name="run",
        started_at="2026-01-05T10:00:00+00:00",
        finished_at="2026-01-05T10:01:01+00:00",
        command="",
        commit=None,
        dirty=False,
        interrupted=False,
        settings=settings,
        environment={},
        scenarios=results,
    )


def texts_of(run: Run) -> Iterator[str]:
    """Yield every text of the conclusion of a run."""
    made = conclusion.conclude(run)
    yield from (made.heading, made.sentence, made.literal, made.optimised)
    for figure in made.figures:
        yield from (figure.value, figure.label, figure.sentence)
    for row in made.rows:
        cells = (row.literal, row.optimised)
        yield from (row.status.name, row.promised, row.memory, row.catch, *row.catches, *(c.full for c in cells))
        yield from (cell.note for cell in cells)
        yield from (text for _, text in row.percentiles)


BOUNDS = st.one_of(st.none(), st.sampled_from(VALUES))
RESULTS = st.builds(
    lambda number, place, gains, verdicts, status, unit: replace(
        result(Action.DO, f"s{number}", rtt_ms=float(place), status=status, error="E 7" if status != ScenarioStatus.OK else None),
        verdicts=[
            speed(arm, gain, unit=unit, verdict=verdict)
            for arm, gain, verdict in zip(("literal", "better"), gains, verdicts, strict=True)
        ],
    ),
    st.integers(0, 3),
    st.integers(0, 1),
    st.tuples(*[st.tuples(st.sampled_from(VALUES), BOUNDS, BOUNDS)] * 2),
    st.tuples(*[st.sampled_from([*PromiseVerdict])] * 2),
    st.sampled_from([*ScenarioStatus]),
    st.sampled_from([v.TIMES, v.LESS]),
)


@given(results=st.lists(RESULTS, max_size=4, unique_by=lambda r: (r.name, r.rtt_ms)), quick=st.booleans())
def test_no_text_of_a_conclusion_reads_wrongly(results: list[ScenarioResult], quick: bool) -> None:
    """Whatever a run has: none or several optimisations, one or two places, losses, infinity, gaps, unfinished scenarios."""
    run = run_of(results, quick=quick)
    for language in languages():
        with using(language):
            texts = list(texts_of(run))
        for text in texts:
            assert not WRONG.search(text), text
            assert language == "en" or not {*ENGLISH.findall(text)} - NAMES, text


@given(data=st.data(), unit=st.sampled_from(UNITS))
def test_no_sentence_of_a_verdict_reads_wrongly(unit: str, data: st.DataObject) -> None:
    """Whatever was measured and promised, with and without an interval, a limit, a note and an exact count."""
    value, low, high = data.draw(st.sampled_from(VALUES)), data.draw(BOUNDS), data.draw(BOUNDS)
    value = min(1.0, abs(value)) if unit == v.WORKS else value
    exact, checks = data.draw(st.booleans()), data.draw(st.sampled_from([None, 1, 2, 4]))
    claim = v.Claim(unit, data.draw(st.sampled_from([None, 0.0, 1.0, 2.0, 0.05])), less_is_better=data.draw(st.booleans()))
    estimate = Estimate(value, low, high, exact=exact, note=data.draw(st.sampled_from(["", "7"])), checks=checks)
    promise = Promise("X", "x", claim, lambda _result, _arm: estimate, arms=["better"])
    (verdict,) = judge(promise, result(Action.DO))
    for language in languages():
        with using(language):
            text = v.sentence(verdict)
        assert not WRONG.search(text), text
        assert language == "en" or not {*ENGLISH.findall(text)} - NAMES, text


def test_the_recorded_sentence_is_english_in_every_language() -> None:
    """A record does not depend on the language of the command that made it."""
    promise = Promise("X", "x", v.times(5), lambda _result, _arm: Estimate(7, 6, 8, note="30 samples"), arms=["better"])
    with using("ja"):
        (verdict,) = judge(promise, result(Action.DO))
        assert verdict.sentence == "promised 5×, measured 7× [6, 8] (30 samples)"
        assert v.sentence(verdict) == "期待値 5×、測定値 7× [6, 8]（30 samples）"


@pytest.mark.parametrize(
    "changes",
    [{"value": None, "sentence": "cannot run here"}, {"sentence": "promised 5×, measured 7× [6, 8] (a note of an older version)"}],
)
def test_a_sentence_with_parts_that_the_record_lacks_stays_as_recorded(changes: dict[str, object]) -> None:
    """Nothing is left out: a reason, or what an older version wrote."""
    verdict = Verdict("X", "x", "better", PromiseVerdict.CONFIRMED, "", "×", value=7.0, low=6.0, high=8.0, promised_low=5.0)
    made = replace(verdict, **changes)  # type: ignore[arg-type]
    with using("ja"):
        assert v.sentence(made) == changes["sentence"]
