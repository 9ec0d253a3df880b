"""What a whole gate says, from made-up rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.gate.against.compare import PairedTime
from harness.gate.against.result import BenchmarkPlace, result, row, sentence
from harness.results.gate import GateRow, GateVerdict, RowKind
from harness.results.run import RunWarning

TIME = PairedTime("a", GateVerdict.EQUIVALENT, 1.0, 0.99, 1.01, [1.0], [], 10, 0.01, 5.0, "it is within")
NAMES = ("main", "here")


def counted(word: GateVerdict) -> GateRow:
    """Return a row of exact work."""
    return GateRow(RowKind.WORK, "a", "sqlite", 0.0, "baseline", "g", "steps", word, "")


def timed(word: GateVerdict) -> GateRow:
    """Return a row of paired time."""
    return row(replace(TIME, verdict=word), BenchmarkPlace("a", "sqlite"), 0.03)


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([counted(GateVerdict.EQUAL), timed(GateVerdict.EQUIVALENT)], 0),
        ([timed(GateVerdict.EQUIVALENT)], 0),
        ([counted(GateVerdict.EQUAL)], 0),
        ([counted(GateVerdict.IMPROVED), timed(GateVerdict.IMPROVED)], 0),
        ([counted(GateVerdict.EQUAL), timed(GateVerdict.INCONCLUSIVE)], 3),
        ([counted(GateVerdict.REGRESSED), timed(GateVerdict.EQUIVALENT)], 1),
        ([counted(GateVerdict.EQUAL), timed(GateVerdict.REGRESSED)], 1),
        ([timed(GateVerdict.INCONCLUSIVE), timed(GateVerdict.REGRESSED)], 1),
        ([], 4),
    ],
)
def test_the_worst_row_decides(rows: list[GateRow], code: int) -> None:
    """A regression is red whatever else; what cannot be told never passes; and nothing at all is not comparable."""
    assert result(NAMES, rows).exit_code == code


def test_what_is_not_comparable_is_not_green() -> None:
    """One reason is enough, though all that was measured is equal; a regression beside it is still red."""
    reason = [RunWarning("b", "renamed", "")]
    assert result(NAMES, [counted(GateVerdict.EQUAL)], reason).exit_code == 4
    assert result(NAMES, [counted(GateVerdict.REGRESSED)], reason).exit_code == 1


def test_an_inconclusive_time_says_what_it_could_have_shown() -> None:
    """The smallest effect, and the seconds for the margin."""
    said = sentence(replace(TIME, verdict=GateVerdict.INCONCLUSIVE, could_see=0.08, needs_s=106.5, reason="noise"), 0.03)
    assert said == "noise; it could have shown +8.0 %, and +3 % would need about 106 s a set"
