"""The matrix: every promise once, in a column for each engine at a distance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from harness.report.matrix import EnginePlace, at, matrix, not_run, places
from harness.results.run import Run, ScenarioResult, ScenarioStatus

MakeResult = Callable[..., ScenarioResult]
MakeRun = Callable[..., Run]

REASON = "nothing of it is on a network"


def test_every_place_has_a_column_engines_together_and_near_before_far(make_run: MakeRun, make_result: MakeResult) -> None:
    """A scenario's results on the same engine stand side by side, whatever the order they were measured in."""
    there = [("postgres", 5.0), ("sqlite", 0.0), ("postgres", 0.0)]
    run = make_run(*(make_result(engine=engine, rtt_ms=rtt) for engine, rtt in there))
    assert places(run) == [EnginePlace("postgres", 0.0), EnginePlace("postgres", 5.0), EnginePlace("sqlite", 0.0)]
    rows = matrix(run)
    assert len({(r.promise, r.part) for r in rows}) == len(rows)
    assert all(cell is not None for row in rows for cell in row.cells)
    assert [cell.result.engine for cell in rows[0].cells if cell] == ["postgres", "postgres", "sqlite"]


def test_a_gap_stays_a_gap(make_run: MakeRun, make_result: MakeResult) -> None:
    """A scenario that was tried at one place only has nothing in the other column."""
    run = make_run(make_result(), make_result(name="bulk", engine="postgres"))
    assert next([cell is not None for cell in row.cells] for row in matrix(run) if row.scenario == "bulk") == [False, True]


def test_a_part_of_a_run_keeps_the_links_to_its_cards(make_run: MakeRun, make_result: MakeResult) -> None:
    """The id of a scenario's card is the same in the part as in the whole."""
    from harness.report.promises import anchors  # noqa: PLC0415 - this test alone looks at ids

    run = make_run(make_result(), make_result(engine="postgres", rtt_ms=5.0))
    assert anchors(at(run, EnginePlace("postgres", 5.0))) == [anchors(run)[1]]


def test_what_was_not_run_is_told_once_a_reason(make_run: MakeRun, make_result: MakeResult) -> None:
    """Scenarios with the same reason at the same place share a line."""
    null = make_result(status=ScenarioStatus.NOT_RUN, error=REASON, rtt_ms=5.0)
    run = make_run(make_result(), null, replace(null, name="bulk"))
    assert [(p.label, reason, [r.name for r in found]) for p, reason, found in not_run(run)] == [
        ("sqlite, RTT 5 ms", REASON, ["indexes", "bulk"])
    ]


def test_a_place_where_nothing_was_run_has_no_column(make_run: MakeRun, make_result: MakeResult) -> None:
    """It is told with its reason instead; where nothing was run anywhere, every place is there."""
    null = make_result(status=ScenarioStatus.NOT_RUN, error=REASON, rtt_ms=5.0)
    assert places(make_run(make_result(), null)) == [EnginePlace("sqlite", 0.0)]
    assert all(len(row.cells) == 1 for row in matrix(make_run(make_result(), null)))
    assert places(make_run(null, replace(null, engine="turso"))) == [EnginePlace("sqlite", 5.0), EnginePlace("turso", 5.0)]
