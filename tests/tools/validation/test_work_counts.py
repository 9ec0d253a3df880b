"""The question about exact work: what is a false alarm, what is found, and the real counting."""

from pathlib import Path

import pytest

from harness.errors import ScenarioFailedError
from harness.results.run import BASELINE, WorkCount
from tools.validation import work_counts as exact_work
from tools.validation.work_counts import KINDS, MORE, compared, section


def process(base: float, more: float, metric: str = "statements") -> list[WorkCount]:
    """Return what a process counted."""
    return [WorkCount(BASELINE, "scan", metric, base), WorkCount(MORE, "scan", metric, more)]


def must(found: list[list[WorkCount]]) -> list[bool]:
    """Return which requirements are kept."""
    return [requirement.met for requirement in section(compared(found)).requirements]


def test_equal_counts_and_one_more_are_what_is_required() -> None:
    """The same work is equal in every process, and one more in a hundred is found."""
    assert must([process(100, 101)] * 3) == [True, True]
    (table,) = section(compared([process(100, 101)] * 3)).tables
    assert list(table.rows) == [["statements", "2", "0", "0", "2", "2", "+1.00%"]]


def test_a_count_that_differs_between_processes_is_a_false_alarm() -> None:
    """One statement more in another process breaks the requirement."""
    assert must([process(100, 102), process(101, 102)]) == [False, True]


def test_work_that_does_not_show_is_missed() -> None:
    """A second arm that counts no more breaks the requirement, and so does one that nobody counted."""
    assert must([process(100, 100)] * 2) == [True, False]
    assert must([process(100, 101, "calls")] * 2) == [False, False]


def test_a_metric_that_is_gone_is_no_comparison() -> None:
    """A process that counted something else says nothing."""
    with pytest.raises(ScenarioFailedError, match="counted in one run"):
        compared([process(100, 101), process(100, 101, "rows")])


def test_a_count_that_does_not_repeat_is_no_alarm() -> None:
    """It is counted as not judged, in either run."""
    noisy = [WorkCount(BASELINE, "scan", "statements", 101, repeats_exactly=False), WorkCount(MORE, "scan", "statements", 102)]
    (table,) = section(compared([process(100, 101), noisy])).tables
    assert list(table.rows) == [["statements", "1", "0", "1", "1", "1", "+2.00%"]]


@pytest.mark.slow
def test_a_fresh_process_counts_every_kind(tmp_path: Path) -> None:
    """Both arms have statements and steps in all groups, and the second has one per cent more statements."""
    counts = {(e.arm, e.group, e.metric): e.value for e in exact_work.count(tmp_path)}
    for kind in KINDS:
        assert counts[BASELINE, kind, "statements"] == 101  # a hundred, and the transaction's begin
        assert counts[MORE, kind, "statements"] == 102
        assert counts[MORE, kind, "vm_steps"] > counts[BASELINE, kind, "vm_steps"] > 100
