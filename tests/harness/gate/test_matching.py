"""What belongs together in two runs, and what is told about the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.gate.matching import MatchedPair, another_machine, counted, of_the_whole, other_versions, pair, renamed
from harness.results.run import ArmResult, ScenarioResult
from tests.harness.gates import GROUP, result, run


def missing(*after: ScenarioResult, before: ScenarioResult | None = None) -> str:
    """What is said about a candidate with these results."""
    sides = pair([before or result()], after, stopped=False)
    return " / ".join(reason.message for reason in sides.incomparable)


def test_a_renamed_scenario_is_named_with_its_likely_new_name() -> None:
    """The one with the same docstring; with no such one, one whose name is close; on the same engine only."""
    other = result("composite", doc=result().doc)
    assert (
        missing(result("index"), other)
        == "scenario 'indexes · sqlite' is missing in the candidate; 'indexes · sqlite' may be 'composite · sqlite' now"
    )
    assert "may be 'indexes2 · sqlite' now" in missing(result("indexes2", doc="other"))
    assert missing(result(engine="turso"), result("loading", doc="")) == "scenario 'indexes · sqlite' is missing in the candidate"


def test_a_renamed_arm_or_group_is_named_with_its_likely_new_name() -> None:
    """The one with the same description."""
    arms = [result().arms[0], ArmResult("faster", result().arms[1].description)]
    assert missing(result(arms=arms)) == "arm 'optimised' is missing in the candidate; 'optimised' may be 'faster' now"
    assert missing(result(groups={"other": "else"})) == "group 'prompts' is missing in the candidate"
    assert "'prompts' may be 'all' now" in missing(result(groups={"all": result().groups[GROUP]}))


def test_no_new_name_is_given_twice() -> None:
    """Two that are gone are not both the one that is new."""
    assert list(renamed({"a": "same", "b": "same"}, {"c": "same"})) == [("a", "c")]
    assert list(renamed({"a": ""}, {"zzz": ""})) == []


def test_many_missing_names_are_counted() -> None:
    """A line is no list."""
    sides = pair([result(f"s{i}") for i in range(9)], [], stopped=False)
    assert sides.incomparable[0].message.endswith("'s4 · sqlite' and 4 more are missing in the candidate")


def test_two_scenarios_of_one_name_are_not_told_apart() -> None:
    """And therefore not compared."""
    assert missing(result(), result()) == "a run has two scenarios named 'indexes · sqlite'"


def test_an_arm_that_cannot_run_any_more_regressed() -> None:
    """It is no missing arm; and one that could not run before has nothing to lose."""
    broken = replace(
        result(), arms=[result().arms[0], ArmResult("optimised", "the arm optimised", cannot_run="TypeError:\nno")], work_counts=[]
    )
    (row,) = pair([result()], [broken], stopped=False).rows
    assert (row.verdict, row.arm, row.reason) == ("regressed", "optimised", "it cannot run any more: TypeError: no")
    assert pair([broken], [broken], stopped=False).rows == []
    assert not MatchedPair(result(), broken).keeps("optimised", GROUP)
    assert MatchedPair(result(), broken).keeps("baseline", GROUP)


@pytest.mark.parametrize(
    ("before", "after", "rows", "incomparable", "warnings", "pairs"),
    [
        ("ok", "ok", 0, 0, 0, 1),
        ("ok", "failed", 1, 0, 0, 0),
        ("not run", "failed", 1, 0, 0, 0),
        ("not run", "not run", 0, 0, 0, 0),
        ("not run", "ok", 0, 0, 1, 0),
        ("ok", "not run", 0, 1, 0, 0),
        ("failed", "ok", 0, 1, 0, 0),
        ("interrupted", "ok", 0, 1, 0, 0),
        ("ok", "interrupted", 1, 0, 0, 1),
    ],
)
def test_every_pair_of_statuses_is_decided(
    before: str, after: str, rows: int, incomparable: int, warnings: int, pairs: int
) -> None:
    """What failed is a row, what was not run a reason, what is new a warning."""
    sides = pair([result(status=before)], [result(status=after)], stopped=False)
    found = (len(sides.rows), len(sides.incomparable), len(sides.warnings), len(sides.pairs))
    assert found == (rows, incomparable, warnings, pairs)


def test_a_scenario_that_is_new_and_fails_is_a_failure() -> None:
    """It has no baseline, and it is red all the same."""
    sides = pair([result()], [result(), result("loading", status="failed", error="no")], stopped=False)
    assert [row.reason for row in sides.rows] == ["it failed: no"]


def test_settings_are_compared_by_what_changes_the_work() -> None:
    """Size, seed and --quick; not the budget for timing or the number of processes."""
    settings = run().settings
    assert of_the_whole(run(), run(settings=replace(settings, budget_s=1.0, processes=9))) == []
    (reason,) = of_the_whole(run(), run(settings=replace(settings, size="tiny", seed=3)))
    assert reason.message == "the runs differ in size small and tiny, seed 0 and 3"


def test_versions_are_compared_by_what_changes_the_work() -> None:
    """The engine's number, SQLAlchemy's and Python's minor version; not a build's name, a patch or a setting."""
    old = result(
        engine="postgres", engine_settings={"postgresql": "PostgreSQL 15.18 (Debian)", "setting fsync": "on", "asyncpg": "1"}
    )
    same = result(
        engine="postgres", engine_settings={"postgresql": "PostgreSQL 15.18 (Ubuntu)", "setting fsync": "off", "asyncpg": "2"}
    )
    other = result(engine="postgres", engine_settings={"postgresql": "PostgreSQL 16.1"})
    assert other_versions(MatchedPair(old, same), run(), run(environment=run().environment | {"sqlalchemy": "2.0.1"})) == (
        "",
        "",
        "",
    )
    assert other_versions(MatchedPair(old, other), run(), run())[0] == "postgresql 15.18 and 16.1"
    there = run(environment={"python": "CPython 3.13.0", "sqlalchemy": "2.1.0"})
    work, python, instructions = other_versions(MatchedPair(old, same), run(), there)
    assert work == "sqlalchemy 2.0.58 and 2.1.0"
    assert python == instructions == "python CPython 3.11.7 and CPython 3.13.0"
    assert other_versions(MatchedPair(old, replace(same, dataset={})), run(), run())[0] == "the data differ: b7e1 and None"


def test_a_machine_is_another_by_what_changes_times() -> None:
    """Not by its load average, and not by what one side does not say."""
    assert another_machine(run(), run(environment={"python": "CPython 3.11.9", "load average at start": "9"})) == ""
    assert another_machine(run(), run(environment=run().environment | {"cpu": "Xeon"})).endswith("cpu EPYC and Xeon")


def test_one_is_singular() -> None:
    """As a person counts."""
    assert (counted(1, "time"), counted(0, "time")) == ("1 time", "0 times")
