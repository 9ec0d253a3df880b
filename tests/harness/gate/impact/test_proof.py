"""Which benchmarks are unchanged, given what recordings of fewer and fewer of them show."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from harness.gate.impact.decision import RecordedWindow, VersionRecording
from harness.gate.impact.proof import UNSETTLED, Impact, Recordings, by_growth, explained, impact, with_difference

COUNTS = st.floats(0, 1e12)
TREES = (Path("/nowhere/old"), Path("/nowhere/new"))


def session(*names: str, digests: dict[str, str] | None = None) -> VersionRecording:
    """Return the recording of a session of benchmarks, each with a function of its own name."""
    windows = {
        name: RecordedWindow(frozenset({("<generated>", name, (digests or {}).get(name, "same"))}), *[frozenset[str]()] * 3)
        for name in ("", *names)
    }
    return VersionRecording(
        windows, {name: ["", name] for name in names}, {}, counts={name: {"calls": 7, "peak_bytes": 70} for name in names}
    )


class Recorded:
    """Records what `digests` say of the new version, and what was asked for."""

    def __init__(self, **digests: str) -> None:
        self.asked: list[list[str]] = []
        self._digests = digests

    def __call__(self, only: Sequence[str]) -> Recordings:
        """Return new recordings of some benchmarks."""
        self.asked.append(list(only))
        return session(*only), session(*only, digests=self._digests)


def test_without_a_difference_one_recording_is_enough() -> None:
    """All are unchanged."""
    record = Recorded()
    found = impact((session("a", "b"), session("a", "b")), record, TREES, ["a", "b"])
    assert (found.unchanged, found.touched, record.asked) == (["a", "b"], [], [])


def test_the_others_are_recorded_without_those_that_differ() -> None:
    """What a changed one leaves behind for them cannot be in their recording then."""
    record = Recorded()
    found = impact((session("a", "b", "c"), session("a", "b", "c", digests={"b": "new"})), record, TREES, ["a", "b", "c"])
    assert (found.unchanged, found.touched, record.asked) == (["a", "c"], ["b"], [["a", "c"]])


def test_what_only_shows_by_themselves_is_a_difference() -> None:
    """A benchmark that used what a changed one had made runs the changed code itself when that one is left out."""
    record = Recorded(c="new")
    found = impact((session("a", "b", "c"), session("a", "b", "c", digests={"b": "new"})), record, TREES, ["a", "b", "c"])
    assert (found.unchanged, found.touched, record.asked) == (["a"], ["b", "c"], [["a", "c"], ["a"]])


def test_a_benchmark_that_only_one_version_has_does_not_count_as_proof() -> None:
    """It ran in the same process, so that the others are recorded without it."""
    record = Recorded()
    found = impact((session("a"), session("a", "added")), record, TREES, ["a"])
    assert (found.unchanged, record.asked) == (["a"], [["a"]])


def test_what_never_settles_is_timed() -> None:
    """After three recordings with a difference, what is left is not unchanged."""

    def one_more(only: Sequence[str]) -> Recordings:
        return session(*only), session(*only, "something else")

    found = impact(one_more(["a"]), one_more, TREES, ["a"])
    assert found.unchanged == []
    assert found.differences["a"] == [UNSETTLED]


def test_the_explanation_lists_what_differs() -> None:
    """A line per benchmark, a line per difference, and the counts where they changed."""
    old, new = session("a", "b"), session("a", "b")
    new = replace(new, counts={**new.counts, "b": {"calls": 9, "peak_bytes": 70}})
    found = Impact({"a": [], "b": ["f in x.py differs"]}, (old, new))
    assert explained(found, ["a", "b"]) == [
        "a: unchanged code: not timed; the same in both versions: the code that runs (2 functions)",
        "b: timed, 1 difference",
        "  f in x.py differs",
        "  work: 7 → 9 calls (+28.6 %), 70 bytes at the peak",
    ]
    assert explained(found, ["a"], "a_scenario · sqlite")[0].startswith("a_scenario · sqlite: a: unchanged code: not timed")


def test_work_that_is_unknown_is_not_mentioned() -> None:
    """Nor is a count that only one version has, or a percentage of nothing."""
    old, new = session("a", "b"), session("a", "b")
    old = replace(old, counts={"a": {"calls": 0, "rows": 1}})
    new = replace(new, counts={"a": {"calls": 12_345}, "b": {"calls": 1}})
    found = Impact({"a": ["x"], "b": ["x"]}, (old, new))
    assert (found.work("a"), found.work("b")) == ("work: 0 → 12,345 calls", "")


def test_a_count_that_does_not_repeat_shows_no_change() -> None:
    """It is shown as that, whichever version's fresh processes differ, and puts no benchmark first."""
    old, new = session("a", "b"), session("a", "b")
    new = replace(new, counts={"a": {"calls": 7, "peak_bytes": 99}, "b": {"calls": 8, "peak_bytes": 70}})
    other = replace(new, counts={**new.counts, "a": {"calls": 7, "peak_bytes": 98}})
    found = Impact({"a": ["x"], "b": ["x"]}, (old, new.counted_again(other)))
    assert found.work("a") == "work: 7 calls, 70 → 99 bytes at the peak (does not repeat)"
    assert found.work("b") == "work: 7 → 8 calls (+14.3 %), 70 bytes at the peak"
    assert found.touched == ["b", "a"]
    assert Impact({"a": ["x"], "b": ["x"]}, (old, new)).touched == ["a", "b"]
    assert old.counted_again(old).unsteady == {"a": set(), "b": set()}


def test_many_counts_that_did_not_change_are_only_counted() -> None:
    """What changed is shown first."""
    counts = {"statements": 3.0, "rows": 7.0, "round_trips": 3.0, "vm_steps": 70.0}
    old, new = (replace(session("a"), counts={"a": {**counts, "vm_steps": steps}}) for steps in (70.0, 77.0))
    assert Impact({"a": ["x"]}, (old, new)).work("a") == "work: 70 → 77 vm steps (+10.0 %), 3 counts as before"


def test_what_does_more_work_is_timed_first() -> None:
    """Then what is unknown, equal, and less, whichever metric it is."""
    counts = {
        "equal": {"calls": (5.0, 5.0), "rows": (0.0, 0.0)},
        "less": {"calls": (5.0, 4.0), "rows": (1.0, 1.0)},
        "much": {"calls": (5.0, 5.0), "rows": (1.0, 2.0)},
        "little": {"calls": (100.0, 101.0), "rows": (2.0, 1.0)},
        "from nothing": {"calls": (0.0, 1.0)},
    }
    assert by_growth(["less", "equal", "unknown", "little", "much", "from nothing"], counts) == [
        "from nothing",
        "much",
        "little",
        "unknown",
        "equal",
        "less",
    ]
    old, new = session("a", "b"), session("a", "b")
    new = replace(new, counts={**new.counts, "b": {"calls": 9, "peak_bytes": 70}})
    assert Impact({"a": ["x"], "b": ["x"]}, (old, new)).touched == ["b", "a"]


@given(
    st.dictionaries(st.text(max_size=2), st.dictionaries(st.text(max_size=2), st.tuples(COUNTS, COUNTS), max_size=3), max_size=6)
)
def test_the_order_has_every_benchmark_once(counts: dict[str, dict[str, tuple[float, float]]]) -> None:
    """Whatever the counts are."""
    assert sorted(by_growth(list(counts), counts)) == sorted(counts)


def test_a_difference_of_all_leaves_none_unchanged() -> None:
    """It is named beside what differs already."""
    found = with_difference(Impact({"a": [], "b": ["f in a.py differs"]}), "what is installed for it differs")
    assert found.unchanged == []
    assert found.differences == {
        "a": ["what is installed for it differs"],
        "b": ["f in a.py differs", "what is installed for it differs"],
    }
