"""Comparisons of saved items with those of this run."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.pytest_plugin.compared import SAVED_VERSION, ComparedItem, SavedItem, compare, large_changes, lines, read
from harness.results.gate import GateVerdict
from harness.results.run import WorkCount

positive = st.floats(1e-3, 1e3)


def item(ratio: tuple[float, float, float] | None = None, steps: float = 5.0, **other: object) -> SavedItem:
    """Return a saved item."""
    made = SavedItem(
        schema_version=SAVED_VERSION,
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
        work_counts=[WorkCount("proposed", "sum", "steps", steps)],
        times_faster=ratio[0] if ratio else None,
        interval_95=(ratio[1], ratio[2]) if ratio else None,
        control_95=(1.0, 1.0) if ratio else None,
    )
    return msgspec.structs.replace(made, **other)


def both(then: SavedItem, now: SavedItem) -> ComparedItem:
    """Return the comparison of the one item of two runs."""
    (found,) = compare([then], [now])
    return found


@given(st.lists(positive, min_size=3, max_size=3).map(sorted), st.lists(positive, min_size=3, max_size=3).map(sorted))
def test_intervals_overlap_or_one_is_beyond_the_other(old: list[float], new: list[float]) -> None:
    """The message is one of three, and the opposite one if the runs are swapped."""
    then, now = (item((x[1], x[0], x[2])) for x in (old, new))
    messages = ("overlap", "it gains less", "it gains more")
    there, back = ([message for message in messages if message in both(*pair).ratio_message] for pair in ((then, now), (now, then)))
    opposite = {"overlap": "overlap", "it gains less": "it gains more", "it gains more": "it gains less"}
    assert [opposite[message] for message in there] == back
    assert there == ["overlap"] or new[2] < old[0] or new[0] > old[2]


@given(
    st.lists(positive, min_size=3, max_size=3).map(sorted), st.lists(positive, min_size=3, max_size=3).map(sorted), st.floats(0, 5)
)
def test_only_a_ratio_wholly_beyond_the_limit_fails(old: list[float], new: list[float], limit: float) -> None:
    """Overlapping intervals and a larger gain never fail."""
    failures = list(both(item((old[1], old[0], old[2])), item((new[1], new[0], new[2]))).failures(limit))
    assert bool(failures) == (new[2] * (1 + limit) < old[0])


@pytest.mark.parametrize("control", [None, (None, None), (0.7, 1.1), (1.1, 1.3), (0.9, 1.4), (math.nan, 1.0)])
def test_ratios_with_a_noisy_control_are_not_judged(control: tuple[float | None, float | None] | None) -> None:
    """With a noisy A/A control equal work counts pass, and without work counts nothing does."""
    then, now = item((20.0, 19.0, 21.0)), item((2.0, 1.9, 2.1))
    (beyond,) = both(then, now).failures(0.25)
    assert "more than 25 % below" in beyond
    noisy = msgspec.structs.replace(now, control_95=control)
    assert list(both(then, noisy).failures(0.25)) == []
    (failure,) = both(msgspec.structs.replace(then, work_counts=[]), msgspec.structs.replace(noisy, work_counts=[])).failures(0.25)
    assert "nothing could be compared" in failure


def test_work_counts_are_equal_or_changed() -> None:
    """One count more fails, one less does not, and the message states the change."""
    assert both(item(), item()).work_message == "work counts equal (1)"
    assert list(both(item(), item()).failures(0.25)) == []
    assert both(item(steps=1e9), item(steps=1e9 + 1)).work_message.startswith(
        "work counts changed: steps 1,000,000,000 → 1,000,000,001"
    )
    assert len(list(both(item(), item(steps=6)).failures(0.25))) == 1
    assert list(both(item(), item(steps=4)).failures(0.25)) == []


def test_a_missing_count_fails() -> None:
    """A saved count that is not counted now fails."""
    (failure,) = both(item(), item(work_counts=[])).failures(0.25)
    assert failure == "work counts missing now: steps"


def test_an_item_without_saved_figures_passes() -> None:
    """The baseline of a scenario that counts nothing has none."""
    found = both(item(work_counts=[]), item(work_counts=[]))
    assert found.work_message == "no work counts to compare"
    assert found.ratio_message == ""
    assert list(found.failures(0.0)) == []


def test_another_engine_or_rtt_is_not_comparable() -> None:
    """The item's name is the same for every engine and RTT."""
    found = both(item(), item(engine="postgres", rtt_ms=5.0))
    assert list(found.failures(0.25)) == ["not comparable: measured on sqlite with RTT 0 ms, and now on postgres with RTT 5 ms"]


def test_another_version_of_the_engine_leaves_nothing_to_compare() -> None:
    """Its steps and times are different."""
    ratio = (2.0, 1.9, 2.1)
    found = both(item(ratio), item(ratio, engine_settings={"sqlite": "3.50.4"}))
    (failure,) = found.failures(0.25)
    assert "nothing could be compared" in failure
    assert "sqlite 3.40.1 and 3.50.4" in failure


@pytest.mark.parametrize("bound", [math.nan, math.inf, -1.0, 0.0])
def test_a_ratio_that_is_not_finite_is_not_compared(bound: float) -> None:
    """A bound that is not a finite positive number counts as missing."""
    found = both(item((2.0, bound, 2.1)), item((2.0, 1.9, 2.1)))
    assert "ratios not compared: no interval before" in found.ratio_message


def test_a_saved_item_is_read_or_refused_with_a_reason() -> None:
    """A complete item is read back; a missing one, another schema and an incomplete one are refused."""
    whole = msgspec.json.decode(msgspec.json.encode(item((2.0, 1.9, 2.1))))
    assert read({"extra_info": {"harness": whole}}) == item((2.0, 1.9, 2.1))
    assert read({}) == "saved without this harness"
    assert "schema None" in str(read({"extra_info": {"harness": 3}}))
    assert "cannot be read" in str(read({"extra_info": {"harness": {"schema_version": SAVED_VERSION}}}))


def test_an_item_has_the_gate_s_verdict() -> None:
    """It follows the same rules as `harness gate`."""
    better, worse = (20.0, 19.0, 21.0), (2.0, 1.9, 2.1)
    assert both(item(better), item(better)).verdict(0.25) == GateVerdict.EQUIVALENT
    assert both(item(better), item(worse)).verdict(0.25) == GateVerdict.REGRESSED
    assert both(item(), item(work_counts=[])).verdict(0.25) == GateVerdict.NOT_COMPARABLE
    assert (
        both(item(better, work_counts=[]), item(worse, work_counts=[], control_95=None)).verdict(0.25) == GateVerdict.INCONCLUSIVE
    )


def test_the_comparison_shows_percentiles_that_both_runs_support_and_the_maximum() -> None:
    """The median, p95 and the highest one of both, with units, in lines that fit."""
    then = item((2.0, 1.9, 2.1), percentiles_ns={"50": 220.0, "90": 240.0, "95": 2_500.0, "99": 9_000.0}, max_ns=1_200_000)
    now = item((2.0, 1.9, 2.1), percentiles_ns={"50": 230.0, "90": 240.0, "95": 2_600.0, "99": None}, max_ns=2_000_000_000)
    found = both(then, now)
    assert found.times_message == "p50 220 ns → 230 ns, p95 2.5 µs → 2.6 µs, max 1.2 ms → 2 s"
    assert both(then, then).times_message.endswith("p99 9 µs → 9 µs, max 1.2 ms → 1.2 ms")
    assert both(item(), item()).times_message == ""
    text = list(lines([found], None, 60))
    assert text[:2] == ["adding: sum", "  proposed"]
    assert max(map(len, text)) <= 60
    assert " ".join(" ".join(text).split()).endswith(f"work counts equal (1) {found.times_message}")


def test_a_large_change_of_a_stored_time_is_named_and_fails_nothing() -> None:
    """A machine changes times of the same code by a multiple; times of another machine are not mentioned."""
    then = item((2.0, 1.9, 2.1), percentiles_ns={"50": 200.0, "95": 300.0, "99": None})
    now = item((2.0, 1.9, 2.1), percentiles_ns={"50": 210.0, "95": 3_000.0, "99": 9_000.0})
    found = both(then, now)
    assert list(found.failures(0.25)) == []
    assert large_changes([both(then, then), found]) == ["adding: sum[proposed] p95 10 times as long"]
    assert both(now, then).large_changes == ["p95 10× faster"]
    elsewhere = msgspec.structs.replace(now, environment={"python": "CPython 3.11.7", "cpu": "Slide rule"})
    assert large_changes([both(then, then), both(then, elsewhere)]) == []
