"""The records of a run derive their texts from what is stored."""

from harness.results.run import ArmResult


def test_groups_with_the_same_error_share_one_text() -> None:
    """Each error is stated once, with all the groups that it stops."""
    errors = {"mix": "OSError: refused", "walk": "it loses rows", "reads": "OSError: refused"}
    assert ArmResult("proposed", "", errors).cannot_run == "mix, reads: OSError: refused; walk: it loses rows"
    assert ArmResult("proposed", "").cannot_run is None
