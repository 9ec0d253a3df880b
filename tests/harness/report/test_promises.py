"""Verdicts on their common axis, side by side, and by place."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.report import html, overview
from harness.report.blocks import TableKind
from harness.report.promises import (
    COLUMNS,
    LocatedResult,
    arms_of,
    at,
    columns_of,
    heading,
    kept,
    located,
    matrix,
    matrix_table,
    measured,
    not_run,
    places,
    promise_table,
    rows,
    rows_of,
    tally,
    tally_sentence,
)
from harness.results.run import ArmResult, PromiseVerdict, Review, Run, ScenarioResult, ScenarioStatus, Verdict
from tests.harness.report.printing import printed

NO_NETWORK = "it does not use a network"


def verdict(unit: str, value: float, promised: float, *, limit: bool = False, **more: float) -> Verdict:
    """Return a verdict as `judge` makes it."""
    made = Verdict(
        "P", "claim", "proposed", PromiseVerdict.CONFIRMED, "", unit, value=value, promised_low=promised, less_is_better=limit
    )
    return replace(made, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (verdict("×", 10.0, 5.0), 2.0),
        (verdict("less", 0.75, 0.5), 2.0),
        (verdict("less", -1.0, 0.5), 0.25),
        (verdict("less", 1.0, 0.5), math.inf),
        (verdict("ms", 5.0, 10.0, limit=True), 2.0),
        (verdict("exponent", 1.1, 0.1, limit=True), 0.1),
        (verdict("share", 0.5, 1.0), 0.5),
    ],
)
def test_one_is_the_promise_in_every_unit(given: Verdict, expected: float) -> None:
    """Whatever the unit, 1 is the promise's lower bound and twice as far right is twice as good."""
    place = kept(given)
    assert place is not None
    assert place.value == pytest.approx(expected)


@pytest.mark.parametrize(
    "given", [verdict("works", 1.0, 1.0), verdict("statements", 0.0, 0.0, limit=True), verdict("less", 1.0, 1.0)]
)
def test_a_verdict_without_a_ratio_has_no_position(given: Verdict) -> None:
    """Promises that merely work, a limit of zero, and a promise to leave nothing are not on the axis."""
    assert kept(given) is None


def test_intervals_are_reversed_for_limits() -> None:
    """The worse bound of a limit is the left one on the axis."""
    place = kept(verdict("ms", 5.0, 10.0, limit=True, low=4.0, high=20.0))
    assert place is not None
    assert (place.low, place.high) == (0.5, 2.5)


def test_a_value_without_interval_is_not_exact() -> None:
    """A figure from one process has no interval and is not an exact count."""
    place = kept(verdict("×", 10.0, 5.0))
    assert place is not None
    assert (place.low, place.high) == (None, None)
    exact = kept(verdict("×", 10.0, 5.0, low=10.0, high=10.0))
    assert exact is not None
    assert exact.low == exact.value == exact.high == 2.0


def test_tiny_exponents_are_constant_cost() -> None:
    """An exponent of almost 0 is shown as a factor of 1."""
    assert measured(verdict("exponent", -0.001, 0.1, limit=True)) == ("10× rows → 1.00× cost", "")


def test_parts_and_rtts_are_distinguished(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """Two results of one scenario have their RTT in the label; a scenario that ran once does not."""
    run = make_run(make_result(), make_result(rtt_ms=5.0), make_result(name="other"))
    assert [found.where for found in located(run)] == ["RTT 0 ms", "RTT 5 ms", ""]
    assert [found.anchor for found in located(run)] == ["card-indexes-sqlite", "card-indexes-sqlite-rtt-5", "card-other-sqlite"]
    labels = [row.label for row in rows(run)]
    assert "I4 · growth · RTT 5 ms" in labels
    assert len(labels) == len(set(labels))


def test_no_verdict_is_dropped(make_result: Callable[..., ScenarioResult]) -> None:
    """Promises with the same id and no parts are shown one below the other."""
    twice = [verdict("×", value, 5.0) for value in (2.0, 10.0)]
    assert [row.verdicts for row in rows_of(LocatedResult(make_result(verdicts=twice), "", ""))] == [(twice[0],), (twice[1],)]


def test_the_tally_counts_every_verdict(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """Every outcome has an entry, and the sum is the number of verdicts."""
    run = make_run(make_result())
    assert sum(sum(counts.values()) for counts in tally(run).values()) == len(run.scenarios[0].verdicts)
    assert len(tally(run)) == 9


def test_columns_are_the_arms_with_verdicts(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """Arms have columns in their scenario's order, whatever their names; the baseline has none."""
    arms = [ArmResult(name, "") for name in ("baseline", "zeta", "alpha")]
    verdicts = [replace(verdict("×", 10.0, 5.0), arm=arm) for arm in ("alpha", "zeta")]
    run = make_run(make_result(arms=arms, verdicts=verdicts))
    table = promise_table(rows(run), heading(run))
    assert table.head == ("promise", "claim", "zeta", "alpha")
    assert tally_sentence(run) == "zeta: 1 confirmed. alpha: 1 confirmed."
    assert heading(replace(run, review=Review("a review", {}, {}))) == "the review says"


def test_an_arm_without_a_column_has_a_row(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """Of many arms those with the most verdicts have columns; the verdicts of the others are rows."""
    names = [f"arm {number}" for number in range(COLUMNS + 1)]
    rare = replace(verdict("×", 10.0, 5.0), arm=names[0])
    often = [replace(verdict("×", 10.0, 5.0), arm=arm, part=part) for arm in names[1:] for part in ("a", "b")]
    promises = rows(make_run(make_result(arms=[ArmResult(n, "") for n in names], verdicts=[rare, *often])))
    assert arms_of(promises) == names
    assert columns_of(promises) == names[1:]
    assert [row[1].text for row in promise_table(promises, "claim").rows][:2] == ["claim", "arm arm 0"]


def test_the_matrix_has_a_row_per_promise_and_arm(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """The promise is named in its first row only, and every verdict is a figure with a sign and a link."""
    table = matrix_table(make_run(make_result(), make_result(rtt_ms=5.0)))
    assert table.kind == TableKind.MATRIX
    assert table.head == ("promise", "claim", "arm", "sqlite, RTT 0 ms", "sqlite, RTT 5 ms")
    first, second = table.rows[:2]
    assert [cell.text for cell in first] == ["I1", "queries 5–10× faster", "proposed", "1.9948×", "1.9948×"]
    assert [cell.text for cell in second] == ["", "", "optimised", "8.0305×", "8.0305×"]
    assert first[3].status is not None
    assert first[3].link.startswith("card-")


def test_places_are_sorted_by_engine_and_rtt(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """Columns are by engine and rising RTT, whatever the order of measuring."""
    there = [("postgres", 5.0), ("sqlite", 0.0), ("postgres", 0.0)]
    run = make_run(*(make_result(engine=engine, rtt_ms=rtt) for engine, rtt in there))
    assert places(run) == ["postgres, RTT 0 ms", "postgres, RTT 5 ms", "sqlite, RTT 0 ms"]
    found = [[cell for cell in row if cell] for row in matrix(run)]
    assert len({row[0].name for row in found}) == len(found)
    assert all(len(row) == 3 for row in found)
    assert [cell.result.engine for cell in found[0]] == ["postgres", "postgres", "sqlite"]


def test_a_scenario_without_a_database_has_a_place_of_its_rtt_alone(
    make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]
) -> None:
    """No engine is named for it, beside others and alone."""
    run = make_run(make_result(), make_result(name="words", engine=""))
    assert places(run) == ["sqlite, RTT 0 ms", "RTT 0 ms"]
    assert [found.anchor for found in located(run)] == ["card-indexes-sqlite", "card-words"]
    assert places(make_run(make_result(engine="", rtt_ms=5.0))) == ["RTT 5 ms"]


def test_a_scenario_that_ran_at_one_place_has_one_cell(
    make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]
) -> None:
    """A scenario that ran at one place only has no cell in the other column."""
    run = make_run(make_result(), make_result(name="bulk", engine="postgres"))
    assert [cell is not None for cell in matrix(run)[-1]] == [False, True]


def test_a_part_of_a_run_keeps_the_links_to_its_cards(
    make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]
) -> None:
    """The id of a scenario's card is the same in the part as in the whole."""
    run = make_run(make_result(), make_result(engine="postgres", rtt_ms=5.0))
    (part,) = located(at(run, "postgres, RTT 5 ms"))
    assert part.anchor == located(run)[1].anchor


def test_scenarios_not_run_are_listed_once_per_reason(
    make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]
) -> None:
    """Scenarios with the same reason at the same place share a line."""
    null = make_result(status=ScenarioStatus.NOT_RUN, error=NO_NETWORK, rtt_ms=5.0)
    run = make_run(make_result(), null, replace(null, name="bulk"))
    assert [(place, reason, [r.name for r in found]) for (place, reason), found in not_run(run).items()] == [
        ("sqlite, RTT 5 ms", NO_NETWORK, ["indexes", "bulk"])
    ]


def test_a_place_where_nothing_was_run_has_no_column(
    make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]
) -> None:
    """Its reason is listed instead; if nothing ran anywhere, every place is kept."""
    null = make_result(status=ScenarioStatus.NOT_RUN, error=NO_NETWORK, rtt_ms=5.0)
    assert places(make_run(make_result(), null)) == ["sqlite, RTT 0 ms"]
    assert all(len(row) == 1 for row in matrix(make_run(make_result(), null)))
    assert places(make_run(null, replace(null, engine="turso"))) == ["sqlite, RTT 5 ms", "turso, RTT 5 ms"]


def test_every_verdict_of_a_quick_run_is_preliminary(
    make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]
) -> None:
    """In the table and the matrix each verdict of a quick run is marked, on the page and in the terminal; of a full run none is."""
    run = make_run(make_result(), make_result(rtt_ms=5.0))
    quick = replace(run, settings=replace(run.settings, quick=True))
    for table in (promise_table(rows(quick), ""), matrix_table(quick)):
        statuses = [cell.status for row in table.rows for cell in row if cell.status]
        assert statuses
        assert all(status.name.endswith(", preliminary") and status.sign.endswith("~") for status in statuses)
    assert not any(c.status and "~" in c.status.sign for row in promise_table(rows(run), "").rows for c in row)


def test_a_quick_run_says_what_to_do(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """Terminal and page state that every verdict is preliminary, and how to get final ones."""
    run = make_run(make_result())
    assert "preliminary" not in printed(overview.brief(run), 80)
    quick = replace(run, settings=replace(run.settings, quick=True))
    text = " ".join(printed(overview.brief(quick), 80).split())
    assert "Every verdict is preliminary" in text
    assert "act on those of a full" in text
    assert "Every verdict is preliminary" in html.render(quick)
