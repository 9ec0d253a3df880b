"""Matching the scenarios, arms, groups, machines and versions of two runs."""

from dataclasses import replace

import pytest

from harness.gate.matching import (
    MatchedPair,
    another_machine,
    differences,
    incomparable_runs,
    match,
    other_versions,
    renamed,
)
from harness.results.run import ArmResult, ScenarioResult
from tests.harness.gates import GROUP, result, run


def missing(*after: ScenarioResult, before: ScenarioResult | None = None) -> str:
    """Return why a candidate with these results is not comparable."""
    matched = match([before or result()], after)
    return " / ".join(reason.message for reason in matched.incomparable)


def test_a_renamed_scenario_is_named_with_its_likely_new_name() -> None:
    """It is the one with the same docstring, else one with a similar name, on the same engine only."""
    other = result("composite", doc=result().doc)
    assert missing(result("index"), other) == (
        "scenario 'indexes · sqlite' is missing in the candidate; 'indexes · sqlite' may have been renamed to 'composite · sqlite'"
    )
    assert "may have been renamed to 'indexes2 · sqlite'" in missing(result("indexes2", doc="other"))
    assert missing(result(engine="turso"), result("loading", doc="")) == "scenario 'indexes · sqlite' is missing in the candidate"


def test_a_renamed_arm_or_group_is_named_with_its_likely_new_name() -> None:
    """It is the one with the same description."""
    arms = [result().arms[0], ArmResult("faster", result().arms[1].description)]
    assert (
        missing(result(arms=arms)) == "arm 'optimised' is missing in the candidate; 'optimised' may have been renamed to 'faster'"
    )
    assert missing(result(groups={"other": "else"})) == "group 'prompts' is missing in the candidate"
    assert "'prompts' may have been renamed to 'all'" in missing(result(groups={"all": result().groups[GROUP]}))


def test_no_new_name_is_suggested_twice() -> None:
    """One new name is suggested for one missing name only."""
    assert renamed({"a": "same", "b": "same"}, {"c": "same"}) == {"a": "c"}
    assert renamed({"a": ""}, {"zzz": ""}) == {}


def test_many_missing_names_are_counted() -> None:
    """The message lists a few names and counts the others."""
    matched = match([result(f"s{i}") for i in range(9)], [])
    assert matched.incomparable[0].message.endswith("'s4 · sqlite' and 4 more are missing in the candidate")


def test_two_scenarios_of_one_name_are_not_compared() -> None:
    """A run with two scenarios of one name is not comparable."""
    assert missing(result(), result()) == "a run has two scenarios named 'indexes · sqlite'"


def test_an_arm_that_no_longer_runs_regressed() -> None:
    """It does not count as missing; an arm that could not run before is not compared."""
    broken = replace(
        result(),
        arms=[result().arms[0], ArmResult("optimised", "the arm optimised", errors={GROUP: "TypeError:\nno"})],
        work_counts=[],
    )
    (row,) = match([result()], [broken]).rows
    assert (row.verdict, row.arm, row.reason) == ("regressed", "optimised", f"it no longer runs: {GROUP}: TypeError: no")
    assert match([broken], [broken]).rows == []
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
        ("failed", "failed", 0, 1, 0, 0),
        ("interrupted", "ok", 0, 1, 0, 0),
        ("ok", "interrupted", 0, 1, 0, 1),
    ],
)
def test_every_pair_of_statuses_is_decided(
    before: str, after: str, rows: int, incomparable: int, warnings: int, pairs: int
) -> None:
    """A failed scenario is a row, one that was not run a reason, and a new one a warning."""
    matched = match([result(status=before)], [result(status=after)])
    found = (len(matched.rows), len(matched.incomparable), len(matched.warnings), len(matched.pairs))
    assert found == (rows, incomparable, warnings, pairs)


def test_a_new_scenario_that_fails_is_a_failure() -> None:
    """It regressed although it has no baseline."""
    matched = match([result()], [result(), result("loading", status="failed", error="no")])
    assert [row.reason for row in matched.rows] == ["it failed: no"]


def test_settings_are_compared_by_what_changes_the_work() -> None:
    """These are size, seed and --quick, not the time budget or the number of processes."""
    settings = run().settings
    assert incomparable_runs(run(), run(settings=replace(settings, budget_s=1.0, processes=9))) == []
    (reason,) = incomparable_runs(run(), run(settings=replace(settings, size="tiny", seed=3)))
    assert reason.message == "the runs differ in size small and tiny, seed 0 and 3"


def test_versions_are_compared_by_what_changes_the_work() -> None:
    """These are the engine's release and settings and the releases of SQLAlchemy and Python, not a build's name or a patch."""
    old, same, setting, other = (
        result(engine="postgres", engine_settings={"postgresql": f"PostgreSQL {text}", "setting fsync": fsync, "asyncpg": asyncpg})
        for text, fsync, asyncpg in (
            ("15.18 (Debian)", "on", "0.29.1"),
            ("15.19 (Ubuntu)", "on", "0.30.2"),
            ("15.18 (Debian)", "off", "0.29.1"),
            ("16.1", "on", "0.29.1"),
        )
    )
    assert other_versions(MatchedPair(old, same), run(), run(environment=run().environment | {"sqlalchemy": "2.0.1"})) == (
        "",
        "",
        "",
    )
    assert other_versions(MatchedPair(old, setting), run(), run())[0] == "setting fsync on and off"
    assert other_versions(MatchedPair(old, other), run(), run())[0] == "postgresql PostgreSQL 15.18 (Debian) and PostgreSQL 16.1"
    there = run(environment={"python": "CPython 3.13.0", "sqlalchemy": "2.1.0"})
    work, python, instructions = other_versions(MatchedPair(old, same), run(), there)
    assert work == "sqlalchemy 2.0.58 and 2.1.0"
    assert python == instructions == "python CPython 3.11.7 and CPython 3.13.0"
    assert other_versions(MatchedPair(old, replace(same, dataset={})), run(), run())[0] == "the data differ: b7e1 and None"


@pytest.mark.parametrize("engine", ["", "sqlite"])
def test_a_version_of_another_server_is_not_that_of_the_engine(engine: str) -> None:
    """Nor is it where a scenario has no engine: its work counts can be compared."""
    old, new = (result(engine=engine, engine_settings={"redis": f"Redis {version}"}) for version in ("6.0.1", "7.2.4"))
    assert other_versions(MatchedPair(old, new), run(), run())[0] == ""


def test_a_machine_differs_by_facts_that_change_times() -> None:
    """Its load average, and facts that only one environment states, do not count."""
    here = run().environment | {"load average at start": "1"}
    assert another_machine(here, {"python": "CPython 3.11.9", "load average at start": "9"}) == ""
    assert another_machine(here, here | {"cpu": "Xeon"}).endswith("cpu EPYC and Xeon")
    assert differences(here, here | {"cpu": "Xeon", "load average at start": "9"}) == ["cpu EPYC and Xeon"]
