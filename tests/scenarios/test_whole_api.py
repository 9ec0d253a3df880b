"""The scenario of the whole service: its measures, cases and switches."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.api.requests import DECK, IN_WORDS, MIX
from harness.discovery import load
from harness.errors import NotMeasurableError, ScenarioFailedError
from harness.results.run import Ratio, ScenarioResult, ScenarioStatus, WorkCount
from harness.scenario import Setting
from harness.verdicts.promise import Promise
from service.switches import NAMES

SCENARIO: Any = load(Path(__file__).parents[2] / "scenarios" / "whole_api.py").scenario
RESULT = ScenarioResult("s", "S", "S.", "s.py", "sqlite", 0.0, ScenarioStatus.OK)


def promise(row: str, part: str = "") -> Promise:
    """Return one of its promises."""
    found: Promise = next(p for p in SCENARIO.promises if (p.id, p.part) == (row, part))
    return found


def test_a_statement_that_is_five_times_faster_takes_four_fifths_less() -> None:
    """The bounds of the ratio become those of the cut, in the same order."""
    ratio = Ratio("optimised", "statements", 5.0, 4.0, 10.0, [4.0, 10.0], 9)
    found = promise("S3").measure(replace(RESULT, ratios=[ratio]), "optimised")
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.75, 0.9))


def test_memory_is_judged_by_the_range_over_processes() -> None:
    """Medians are compared, and the interval is the range; a single process has no interval."""
    peaks = {"baseline": (100e6, 120e6), "optimised": (60e6, 50e6)}
    exact = [WorkCount(arm, "", f"peak_rss_bytes_{n}", value) for arm, values in peaks.items() for n, value in enumerate(values, 1)]
    found = promise("S6").measure(replace(RESULT, work_counts=exact), "optimised")
    assert found.value == pytest.approx(0.5)
    assert (found.low, found.high) == pytest.approx((1 - 60 / 100, 1 - 50 / 120))
    assert found.note == "110 → 55 MB"
    alone = promise("S6").measure(replace(RESULT, work_counts=[exact[0], exact[2]]), "optimised")
    assert alone.low is None
    with pytest.raises(NotMeasurableError, match="no memory was measured for proposed"):
        promise("S6").measure(replace(RESULT, work_counts=exact), "proposed")


@pytest.mark.parametrize("part", ["users at once", "requests per second"])
def test_capacity_is_what_a_search_found(part: str) -> None:
    """Without a search the result is a reason that names the command."""
    with pytest.raises(NotMeasurableError, match="needs `harness capacity"):
        promise("S4", part).measure(RESULT, "optimised")


def test_the_median_and_the_95th_percentile_are_those_under_load() -> None:
    """A run without the load has neither, and the promises name the rate of the load test."""
    assert SCENARIO.load_test.slo == "p95 < 150ms, errors < 0.1%"
    at_rate = f"at {SCENARIO.load_test.rate_per_s} requests per second"
    for row, part in (("S1", "ratio"), ("S1", at_rate), ("S2", "ratio"), ("S2", at_rate)):
        with pytest.raises(NotMeasurableError, match="needs the load of `harness run"):
            promise(row, part).measure(RESULT, "optimised")


def test_under_load_an_operation_is_one_request(tmp_path: Path) -> None:
    """Single requests in the proportions of the mix, grouped by kind, different for each stream, and no two create the same ids."""
    setting = Setting(tmp_path, tmp_path, size="tiny", scale=0.2)
    cases = [SCENARIO.load_cases(replace(setting, stream=stream)) for stream in (1, 2)]
    for one in cases:
        assert {len(case.args.requests) for case in one} == {1}
        decks, rest = divmod(len(one), DECK)
        assert (decks > 1, rest) == (True, 0)
        assert Counter(case.group for case in one) == {IN_WORDS[kind]: decks * share for kind, share in MIX.items()}
        assert len({case.name for case in one}) == len(one)
    created = [key for one in cases for case in one for key in case.args.requests[0].creates]
    assert len(set(created)) == len(created)


def test_batches_together_are_half_of_the_mix(tmp_path: Path) -> None:
    """The cases of `mix` hold half of each kind: of the three bulk inserts one, and the one bulk change."""
    cases = SCENARIO.cases(Setting(tmp_path, tmp_path, size="tiny", scale=0.2))
    kinds = [request.kind for case in cases if case.group == "mix" for request in case.args.requests]
    assert {kind: kinds.count(kind) for kind in MIX} == {kind: count // 2 or 1 for kind, count in MIX.items()}
    assert len(kinds) == DECK // 2
    assert all(not request.writes for case in cases if case.group == "reads" for request in case.args.requests)
    assert all(request.writes for case in cases if case.group == "writes" for request in case.args.requests)


def test_switches_are_the_services_own(tmp_path: Path) -> None:
    """All of them, and an unknown one is refused."""
    assert set(SCENARIO.switches) == set(NAMES)
    unknown = SCENARIO.open_switched(frozenset({"caching", "magic"}), Setting(tmp_path, tmp_path))
    with pytest.raises(ScenarioFailedError, match="unknown switch 'magic'; choose from pools, "):
        asyncio.run(unknown.__aenter__())
