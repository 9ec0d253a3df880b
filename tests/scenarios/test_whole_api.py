"""The whole service on trial: its own measures, its cases, and its switches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.api_requests import DECK, MIX
from harness.discovery import load
from harness.errors import NotMeasurableError
from harness.judge.verdict import Promise
from harness.record import Exact, Ratio, ScenarioResult
from harness.scenario import Setting
from service.switches import NAMES

SCENARIO: Any = load(Path(__file__).parents[2] / "scenarios" / "whole_api.py").scenario
RESULT = ScenarioResult("s", "S", "S.", "s.py", "sqlite", 0.0, "ok")


def promise(row: str, part: str = "") -> Promise:
    """Return one of its promises."""
    found: Promise = next(p for p in SCENARIO.promises if (p.id, p.part) == (row, part))
    return found


def test_a_statement_that_is_five_times_faster_takes_four_fifths_less() -> None:
    """The bounds of the ratio become those of the cut, each on its own side."""
    ratio = Ratio("optimised", "statements", 5.0, 4.0, 10.0, [4.0, 10.0], 9)
    found = promise("S3").measure(replace(RESULT, ratios=[ratio]), "optimised")
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.75, 0.9))


def test_memory_is_judged_by_the_range_over_processes() -> None:
    """The middle against the middle, the least against the most; a single process has no range."""
    peaks = {"baseline": (100e6, 120e6), "optimised": (60e6, 50e6)}
    exact = [Exact(arm, "", f"peak_rss_bytes_{n}", value) for arm, values in peaks.items() for n, value in enumerate(values, 1)]
    found = promise("S6").measure(replace(RESULT, exact=exact), "optimised")
    assert found.value == pytest.approx(0.5)
    assert (found.low, found.high) == pytest.approx((1 - 60 / 100, 1 - 50 / 120))
    assert found.because == "110 → 55 MB"
    alone = promise("S6").measure(replace(RESULT, exact=[exact[0], exact[2]]), "optimised")
    assert alone.low is None
    with pytest.raises(NotMeasurableError, match="no memory was measured for proposed"):
        promise("S6").measure(replace(RESULT, exact=exact), "proposed")


def test_what_needs_the_load_engine_says_so() -> None:
    """Capacity is a reason, not a number."""
    with pytest.raises(NotMeasurableError, match="needs the capacity search"):
        promise("S4").measure(RESULT, "optimised")


def test_batches_together_are_the_mix(tmp_path: Path) -> None:
    """The cases of `mix` hold each kind in its share, and a 95th percentile has a whole deck behind it."""
    cases = SCENARIO.cases(Setting(tmp_path, tmp_path, size="tiny", scale=0.2))
    kinds = [request.kind for case in cases if case.group == "mix" for request in case.args.requests]
    assert {kind: kinds.count(kind) for kind in MIX} == MIX
    assert {len(case.args.requests) for case in cases if case.group == "mix_p95"} == {DECK}
    assert all(not request.writes for case in cases if case.group == "reads" for request in case.args.requests)
    assert all(request.writes for case in cases if case.group == "writes" for request in case.args.requests)


def test_switches_are_the_services_own(tmp_path: Path) -> None:
    """All of them, and an unknown one is refused."""
    assert set(SCENARIO.switches) == set(NAMES)
    with pytest.raises(ValueError, match="no switch named 'magic'"):
        SCENARIO.open_switched(frozenset({"caching", "magic"}), Setting(tmp_path, tmp_path))
