"""A gate's result as a record: what it means to a shell, and that it goes through JSON."""

from __future__ import annotations

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
    """And inconclusive is none that passes."""
    assert GateResult("a", "b", verdict, "").exit_code == code
    assert len(EXIT_CODES) == 5


def test_a_result_goes_through_json() -> None:
    """Nothing is lost."""
    result = GateResult("a", "b", GateVerdict.REGRESSED, "so", [ROW], [RunWarning("x", "y", "z")], [RunWarning("p", "q", "r")])
    assert msgspec.json.decode(msgspec.json.encode(result), type=GateResult) == result


def test_a_row_says_where_and_what_it_is_of() -> None:
    """As a person reads it."""
    assert ROW.place == "indexes · postgres, RTT 5 ms"
    assert ROW.label == "optimised · user_prompts · vm steps at 0.25 of the data"
    own = GateRow(RowKind.WORK, "indexes", "sqlite", 0.0, "optimised", "", "index_mb", GateVerdict.EQUAL, "")
    assert (own.place, own.label) == ("indexes · sqlite", "optimised · the arm itself · index mb")
    assert GateRow(RowKind.STATUS, "indexes", "sqlite", 0.0, "", "", "status", GateVerdict.REGRESSED, "").label == "status"


def test_words_are_tallied_the_most_pressing_first() -> None:
    """Words without a row are left out."""
    rows = [ROW, *(GateRow(RowKind.WORK, "s", "e", 0.0, "a", "g", "m", word, "") for word in reversed(GateVerdict))]
    assert list(GateResult("a", "b", GateVerdict.REGRESSED, "", rows).counts) == list(GateVerdict)
    assert GateResult("a", "b", GateVerdict.REGRESSED, "", [ROW, ROW]).counts == {"regressed": 2}
