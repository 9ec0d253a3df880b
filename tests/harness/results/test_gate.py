"""A gate's result as a record: its exit code, its labels, and JSON."""

import msgspec
import pytest

from harness.results.gate import EXIT_CODES, GateResult, GateRow, GateVerdict, RowKind
from harness.results.run import RunWarning

ROW = GateRow(
    RowKind.WORK,
    "indexes",
    "postgres",
    5.0,
    "optimised",
    "user_prompts",
    "vm_steps",
    GateVerdict.REGRESSED,
    "more",
    3,
    4,
    scale=0.25,
)


@pytest.mark.parametrize(
    ("verdict", "code"), [("regressed", 1), ("not comparable", 4), ("inconclusive", 3), ("improved", 0), ("equivalent", 0)]
)
def test_every_verdict_has_its_exit_code(verdict: GateVerdict, code: int) -> None:
    """Only improved and equivalent pass."""
    assert GateResult("a", "b", verdict, "").exit_code == code
    assert len(EXIT_CODES) == 5


def test_a_result_survives_json() -> None:
    """A result is the same after encoding and decoding."""
    result = GateResult("a", "b", GateVerdict.REGRESSED, "so", [ROW], [RunWarning("x", "y", "z")], [RunWarning("p", "q", "r")])
    assert msgspec.json.decode(msgspec.json.encode(result), type=GateResult) == result


def test_a_row_has_a_place_and_a_label() -> None:
    """They name the scenario with engine and RTT, and the arm, group and metric."""
    assert ROW.place == "indexes · postgres, RTT 5 ms"
    assert ROW.label == "optimised · user_prompts · vm steps at 0.25 of the data"
    own = GateRow(RowKind.WORK, "indexes", "sqlite", 0.0, "optimised", "", "index_mb", GateVerdict.EQUAL, "")
    assert (own.place, own.label) == ("indexes · sqlite", "optimised · the arm itself · index mb")
    assert GateRow(RowKind.STATUS, "indexes", "sqlite", 0.0, "", "", "status", GateVerdict.REGRESSED, "").label == "status"


def test_verdicts_are_counted_the_most_severe_first() -> None:
    """Verdicts without a row are left out."""
    rows = [ROW, *(GateRow(RowKind.WORK, "s", "e", 0.0, "a", "g", "m", verdict, "") for verdict in reversed(GateVerdict))]
    assert list(GateResult("a", "b", GateVerdict.REGRESSED, "", rows).counts) == list(GateVerdict)
    assert GateResult("a", "b", GateVerdict.REGRESSED, "", [ROW, ROW]).counts == {"regressed": 2}
