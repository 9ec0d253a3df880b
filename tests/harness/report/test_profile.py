"""Where a run's time went."""

from harness.report import profile
from harness.results.profile import RunPhase
from tests.harness.report.conftest import MakeResult, MakeRun


def test_phases_are_columns_and_scenarios_rows(make_run: MakeRun, make_result: MakeResult) -> None:
    """Each scenario has the seconds of its phases and their sum, and a last row has those of all; empty columns are left out."""
    profiles = {RunPhase.OPERATIONS: 30.0, RunPhase.OPENING: 2.0, RunPhase.CLOSING: 0.5}, {RunPhase.OPERATIONS: 15.04}
    timed = [make_result(name=name, profile=each) for name, each in zip(("first", "second"), profiles, strict=True)]
    started = make_run(*timed, started_at="2026-01-01T10:00:00+00:00", finished_at="2026-01-01T10:01:40+00:00")
    found = profile.table(started)
    assert found is not None
    assert found.caption == "Where the time went, in seconds: 100 s passed; 45 % of that timed operations"
    assert [row[0].text for row in found.rows] == ["first", "second", "all"]
    assert found.head == ("scenario", "open", "timed", "all")
    assert [[cell.text for cell in row[1:]] for row in found.rows] == [
        ["2.5", "30.0", "32.5"],
        ["0.0", "15.0", "15.0"],
        ["2.5", "45.0", "47.5"],
    ]


def test_a_run_without_a_profile_has_no_table(make_run: MakeRun, make_result: MakeResult) -> None:
    """An older run, and one of another tool, shows nothing."""
    assert profile.table(make_run(make_result())) is None


def test_every_phase_has_a_column() -> None:
    """No phase is lost, and none is counted twice."""
    shown = [phase for phases in profile._COLUMNS.values() for phase in phases]
    assert sorted(shown) == sorted(RunPhase)
