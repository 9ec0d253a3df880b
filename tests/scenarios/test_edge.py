"""The edges on trial: what an operation is under load."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.edges.traffic import IN_WORDS, WEIGHTS
from harness.discovery import load
from harness.scenario import Setting

SCENARIO: Any = load(Path(__file__).parents[2] / "scenarios" / "edge.py").scenario


def test_under_load_an_operation_is_one_read(tmp_path: Path) -> None:
    """Single reads, grouped by the region of their clients, in proportion to their numbers, different for each stream."""
    setting = Setting(tmp_path, tmp_path, size="tiny")
    first, second = (SCENARIO.load_cases(replace(setting, stream=stream)) for stream in (1, 2))
    shares = Counter(case.group for case in first)
    assert {group: round(100 * number / len(first)) for group, number in shares.items()} == pytest.approx(
        {IN_WORDS[region]: percent for region, percent in WEIGHTS.items()}, abs=4
    )
    assert not any(case.args.writes for case in first)
    assert len({case.name for case in first}) == len(first)
    assert [case.args for case in first] != [case.args for case in second]
    assert first == SCENARIO.load_cases(replace(setting, stream=1))
