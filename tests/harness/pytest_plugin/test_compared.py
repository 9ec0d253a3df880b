"""Pure comparisons of what items keep."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.pytest_plugin.compared import KEPT_VERSION, ComparedItem, ComparisonLimits, compare, read
from harness.results.run import WorkCount

positive = st.floats(1e-3, 1e3)


def kept(ratio: tuple[float, float, float] | None = None, steps: float = 5.0, **other: object) -> ComparisonLimits:
    """Return what an item keeps."""
    made = ComparisonLimits(
        schema_version=KEPT_VERSION,
        scenario="adding",
        group="sum",
        arm="proposed",
        engine="sqlite",
        rtt_ms=0.0,
        size="tiny",
        seed=0,
        dataset={"digest": "numbers"},
        verified_cases=1,
        engine_settings={"sqlite": "3.40.1"},
        environment={"python": "CPython 3.11.7", "cpu": "Abacus"},
        exact=[WorkCount("proposed", "sum", "steps", steps)],
        times_faster=ratio[0] if ratio else None,
        interval_95=(ratio[1], ratio[2]) if ratio else None,
        control_95=(1.0, 1.0) if ratio else None,
    )
    return msgspec.structs.replace(made, **other)


def both(then: ComparisonLimits, now: ComparisonLimits) -> ComparedItem:
    """Return the comparison of the one item of two runs."""
    (found,) = compare([then], [now])
    return found


@given(st.lists(positive, min_size=3, max_size=3).map(sorted), st.lists(positive, min_size=3, max_size=3).map(sorted))
def test_intervals_overlap_or_one_is_beyond_the_other(old: list[float], new: list[float]) -> None:
    """One of three words, the same seen from either side."""
    then, now = (kept((x[1], x[0], x[2])) for x in (old, new))
    words = ("overlap", "it gains less", "it gains more")
    there, back = ([word for word in words if word in both(*pair).ratio_says] for pair in ((then, now), (now, then)))
    opposite = {"overlap": "overlap", "it gains less": "it gains more", "it gains more": "it gains less"}
    assert [opposite[word] for word in there] == back
    assert there == ["overlap"] or new[2] < old[0] or new[0] > old[2]


@given(
    st.lists(positive, min_size=3, max_size=3).map(sorted), st.lists(positive, min_size=3, max_size=3).map(sorted), st.floats(0, 5)
)
def test_only_a_ratio_wholly_beyond_the_limit_fails(old: list[float], new: list[float], limit: float) -> None:
    """Overlap never does, nor does a gain."""
    failures = list(both(kept((old[1], old[0], old[2])), kept((new[1], new[0], new[2]))).failures(limit))
    assert bool(failures) == (new[2] * (1 + limit) < old[0])


@pytest.mark.parametrize("control", [None, (None, None), (0.7, 1.1), (1.1, 1.3), (0.9, 1.4), (math.nan, 1.0)])
def test_no_verdict_rests_on_ratios_whose_control_is_noisy(control: tuple[float | None, float | None] | None) -> None:
    """A baseline that reads something else against itself tells no change; equal exact work passes, and without it nothing does."""
    then, now = kept((20.0, 19.0, 21.0)), kept((2.0, 1.9, 2.1))
    (beyond,) = both(then, now).failures(0.25)
    assert "more than 25 % below" in beyond
    noisy = msgspec.structs.replace(now, control_95=control)
    assert list(both(then, noisy).failures(0.25)) == []
    (failure,) = both(msgspec.structs.replace(then, exact=[]), msgspec.structs.replace(noisy, exact=[])).failures(0.25)
    assert "nothing of it could be compared" in failure


def test_exact_work_is_equal_or_changed_in_words() -> None:
    """Less is an improvement and no failure, more is one, to the last count."""
    assert both(kept(), kept()).exact_says == "exact work equal (1 figure)"
    assert list(both(kept(), kept()).failures(0.25)) == []
    assert both(kept(steps=1e9), kept(steps=1e9 + 1)).exact_says.startswith(
        "exact work changed: steps 1,000,000,000 → 1,000,000,001"
    )
    assert len(list(both(kept(), kept(steps=6)).failures(0.25))) == 1
    assert list(both(kept(), kept(steps=4)).failures(0.25)) == []


def test_a_count_that_is_gone_fails() -> None:
    """No figure, no pass."""
    (failure,) = both(kept(), kept(exact=[])).failures(0.25)
    assert failure == "exact work not counted any more: steps"


def test_an_item_that_never_had_anything_to_compare_passes() -> None:
    """Such as the baseline of a scenario that counts nothing."""
    found = both(kept(exact=[]), kept(exact=[]))
    assert found.exact_says == "no exact work to compare"
    assert found.ratio_says == ""
    assert list(found.failures(0.0)) == []


def test_another_engine_or_distance_is_refused_whole() -> None:
    """The item's name does not tell them apart."""
    found = both(kept(), kept(engine="postgres", rtt_ms=5.0))
    assert list(found.failures(0.25)) == ["not comparable: measured on sqlite, 0 ms away, and now on postgres, 5 ms away"]


def test_another_version_of_the_engine_leaves_nothing_to_compare() -> None:
    """Its steps are others, and so are its times."""
    ratio = (2.0, 1.9, 2.1)
    found = both(kept(ratio), kept(ratio, engine_settings={"sqlite": "3.50.4"}))
    (failure,) = found.failures(0.25)
    assert "nothing of it could be compared" in failure
    assert "sqlite 3.40.1 and 3.50.4" in failure


@pytest.mark.parametrize("bound", [math.nan, math.inf, -1.0, 0.0])
def test_a_ratio_that_is_no_number_is_not_compared(bound: float) -> None:
    """Files from elsewhere may hold anything."""
    found = both(kept((2.0, bound, 2.1)), kept((2.0, 1.9, 2.1)))
    assert "ratios not compared: before there was no interval" in found.ratio_says


def test_whatever_a_file_holds_is_read_or_refused_in_words() -> None:
    """What was written comes back; nothing, another schema and a part of it do not."""
    whole = msgspec.json.decode(msgspec.json.encode(kept((2.0, 1.9, 2.1))))
    assert read({"extra_info": {"harness": whole}}) == kept((2.0, 1.9, 2.1))
    assert read({}) == "it was saved without this harness"
    assert "schema None" in str(read({"extra_info": {"harness": 3}}))
    assert "cannot be read" in str(read({"extra_info": {"harness": {"schema_version": KEPT_VERSION}}}))
