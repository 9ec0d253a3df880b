"""The places of arms among the colours: the first two are those of the conclusion."""

import pytest

from harness.report.arm_places import arm_places
from harness.results.run import AA_CONTROL, BASELINE, ArmResult


@pytest.mark.parametrize(
    ("arms", "places"),
    [
        ("optimised", {"optimised": 1}),
        ("proposed* optimised", {"proposed": 0, "optimised": 1}),
        ("analysed proposed* optimised", {"proposed": 0, "optimised": 1, "analysed": 2}),
        ("one two three", {"three": 1, "one": 0, "two": 2}),
        ("proposed* literal*", {"proposed": 0, "literal": 1}),
        ("proposed*", {"proposed": 0}),
        ("", {}),
    ],
)
def test_the_conclusions_arms_have_the_first_two_places(arms: str, places: dict[str, int]) -> None:
    """The first arm as written (*) and the last of the others; further arms have the places that are left, in their order."""
    made = [ArmResult(name.rstrip("*"), "", as_written=name.endswith("*")) for name in arms.split()]
    assert arm_places([ArmResult(BASELINE, ""), *made]) == places
    more = arm_places(made, [AA_CONTROL, BASELINE, "unknown", *(arm.name for arm in made)])
    assert more == places | {"unknown": more["unknown"]}
    assert len(set(more.values())) == len(more)
