"""The doctor's word: the worst of the reasons decides, and each reason says what to do."""

from dataclasses import replace

import pytest

from harness.doctor.verdict import Grade, Machine, check_up
from harness.stats.noise import Noise

CALM = Noise(
    operation=0.03, pair=0.04, processes=0.02, process_pairs=0.01, drift=0.01, operation_s=0.001, process_pair_s=1.0, number=10
)
SOUND = Machine(
    cores=2,
    pinned=True,
    governor="performance",
    load_average=0.1,
    stolen=0.0,
    resolution_ns=1.0,
    tick_ns=40,
    reading_ns=80.0,
    late_median_ns=20_000.0,
    late_p99_ns=90_000.0,
)


def test_a_quiet_machine_is_good_without_a_reason() -> None:
    """Its detectable changes are reported for 10, 60 and 300 seconds; work counts detect any change."""
    found = check_up(SOUND, CALM)
    assert (found.grade, found.reasons) == (Grade.GOOD, [])
    assert [v.seconds for v in found.detectable] == [10, 60, 300]
    assert {v.work_counts for v in found.detectable} == {0.0}


@pytest.mark.parametrize(
    ("machine", "noise", "grade", "name"),
    [
        ({}, {"process_pairs": 0.1}, Grade.USABLE, "between processes"),
        ({}, {"process_pairs": 1.0}, Grade.POOR, "between processes"),
        ({}, {"process_pair_s": 200.0}, Grade.POOR, "between processes"),
        ({}, {"pair": 0.5}, Grade.USABLE, "within a process"),
        ({}, {"pair": 5.0}, Grade.POOR, "within a process"),
        ({}, {"operation_s": 20.0}, Grade.POOR, "slow"),
        ({}, {"drift": 0.1}, Grade.USABLE, "drift"),
        ({}, {"drift": -0.3}, Grade.POOR, "drift"),
        ({"stolen": 0.05}, {}, Grade.USABLE, "steal"),
        ({"stolen": 0.3}, {}, Grade.POOR, "steal"),
        ({"load_average": 1.5}, {}, Grade.USABLE, "busy"),
        ({"pinned": False}, {}, Grade.USABLE, "not pinned"),
        ({"governor": "powersave"}, {}, Grade.USABLE, "governor"),
        ({"tick_ns": 15_600_000}, {}, Grade.USABLE, "clock"),
        ({"late_p99_ns": 4_000_000.0}, {}, Grade.USABLE, "timers"),
    ],
)
def test_each_fault_lowers_the_grade_and_is_named(
    machine: dict[str, float], noise: dict[str, float], grade: str, name: str
) -> None:
    """Each fault alone has a reason with a remedy."""
    found = check_up(replace(SOUND, **machine), replace(CALM, **noise))  # type: ignore[arg-type]  # as their fields have them
    assert (found.grade, [r.name for r in found.reasons]) == (grade, [name])
    assert found.reasons[0].message
    assert found.reasons[0].remedy


def test_the_worst_reason_decides_and_comes_first() -> None:
    """Stolen CPU time comes before the governor."""
    found = check_up(replace(SOUND, stolen=0.3, governor="powersave"), CALM)
    assert (found.grade, [r.name for r in found.reasons]) == (Grade.POOR, ["steal", "governor"])


def test_missing_figures_are_not_a_reason() -> None:
    """A system without steal figures and without timers keeps its grade."""
    assert check_up(replace(SOUND, stolen=None, late_median_ns=None, late_p99_ns=None), CALM).grade == Grade.GOOD
