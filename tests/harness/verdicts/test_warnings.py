"""Warnings: each reason not to trust a result is a value with a remedy."""

from dataclasses import replace

import pytest

from harness.results.run import AA_CONTROL, Ratio, ScenarioResult, ScenarioStatus, WorkCount
from harness.verdicts.warnings import warnings_about

SOUND = ScenarioResult(
    "toy",
    "Toy.",
    "Toy.",
    "toy.py",
    "sqlite",
    0.0,
    ScenarioStatus.OK,
    processes=5,
    ratios=[Ratio("optimised", "g", 4.0, 3.5, 4.5, [4.0] * 5, 50), Ratio(AA_CONTROL, "g", 1.0, 0.98, 1.02, [1.0] * 5, 20)],
)


def test_a_sound_result_raises_no_warning() -> None:
    """Enough processes, enough pairs and a clean control."""
    assert warnings_about(SOUND) == []


@pytest.mark.parametrize(
    ("result", "name"),
    [
        (replace(SOUND, processes=3), "few processes"),
        (replace(SOUND, ratios=[Ratio("optimised", "g", 4.0, 3.5, 4.5, [4.0] * 5, 9)]), "few pairs"),
        (replace(SOUND, ratios=[Ratio(AA_CONTROL, "g", 1.3, 1.2, 1.4, [1.3] * 5, 20)]), "A/A control off"),
        (replace(SOUND, ratios=[Ratio(AA_CONTROL, "g", 1.0, 0.5, 2.0, [1.0] * 5, 20)]), "noisy A/A control"),
        (
            replace(SOUND, work_counts=[WorkCount("optimised", "g", "rows", 5, repeats_exactly=False)]),
            "work counts differ between repeats",
        ),
        (replace(SOUND, status=ScenarioStatus.INTERRUPTED), "interrupted"),
    ],
)
def test_each_weakness_has_its_warning_and_remedy(result: ScenarioResult, name: str) -> None:
    """Exactly that warning, and what would remove it."""
    (warning,) = warnings_about(result)
    assert warning.name == name
    assert warning.remedy
