"""The records of a run derive their texts from what is stored."""

from hypothesis import given
from hypothesis import strategies as st

from harness.results.run import ArmResult, WorkCount, counted_again

COUNTS = st.lists(
    st.builds(
        WorkCount,
        st.sampled_from(["baseline", "optimised"]),
        st.just("g"),
        st.sampled_from(["steps", "rows"]),
        st.integers(0, 2),
        repeats_exactly=st.booleans(),
    ),
    unique_by=lambda count: count.key,
)


def test_groups_with_the_same_error_share_one_text() -> None:
    """Each error is stated once, with all the groups that it stops."""
    errors = {"mix": "OSError: refused", "walk": "it loses rows", "reads": "OSError: refused"}
    assert ArmResult("proposed", "", errors).cannot_run == "mix, reads: OSError: refused; walk: it loses rows"
    assert ArmResult("proposed", "").cannot_run is None


@given(COUNTS, COUNTS)
def test_only_what_every_process_counted_the_same_repeats(first: list[WorkCount], again: list[WorkCount]) -> None:
    """The values and their order are the first process's; what it lacks follows; and which process was first decides nothing."""
    found = counted_again(first, again)
    assert [(count.key, count.value) for count in found[: len(first)]] == [(count.key, count.value) for count in first]
    for count in found:
        same = [each for each in (*first, *again) if each.key == count.key]
        assert count.repeats_exactly == (all(each.repeats_exactly for each in same) and len({each.value for each in same}) == 1)
    swapped = {count.key: count.repeats_exactly for count in counted_again(again, first)}
    assert {count.key: count.repeats_exactly for count in found} == swapped
