"""The verdict on a whole comparison, from synthetic rows."""

from dataclasses import replace

import pytest

from harness.gate.against.verdicts import PairedTime
from harness.gate.verdict import counted, in_words, listed, overall, result
from harness.results.gate import GateRow, GateVerdict, RowKind, status_row
from harness.results.run import RunWarning

TIME = PairedTime("a", GateVerdict.EQUIVALENT, "it is within", 1.0, 0.99, 1.01, 0.01, 5.0)
STOPPED = status_row("a", "sqlite", 0.0, GateVerdict.REGRESSED, "it failed")
NAMES = ("main", "here")


def work(verdict: GateVerdict) -> GateRow:
    """Return a row of a work count."""
    return GateRow(RowKind.WORK, "a", "sqlite", 0.0, "baseline", "g", "steps", verdict, "")


def timed(verdict: GateVerdict) -> GateRow:
    """Return a row of a paired time."""
    return replace(TIME, verdict=verdict).row(0.03, "a", "sqlite")


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([work(GateVerdict.EQUAL), timed(GateVerdict.EQUIVALENT)], 0),
        ([timed(GateVerdict.EQUIVALENT)], 0),
        ([work(GateVerdict.EQUAL)], 0),
        ([work(GateVerdict.IMPROVED), timed(GateVerdict.IMPROVED)], 0),
        ([work(GateVerdict.EQUAL), timed(GateVerdict.INCONCLUSIVE)], 3),
        ([work(GateVerdict.REGRESSED), timed(GateVerdict.EQUIVALENT)], 1),
        ([work(GateVerdict.EQUAL), timed(GateVerdict.REGRESSED)], 1),
        ([timed(GateVerdict.INCONCLUSIVE), timed(GateVerdict.REGRESSED)], 1),
        ([], 4),
    ],
)
def test_the_most_severe_row_decides(rows: list[GateRow], code: int) -> None:
    """A regression fails whatever else there is, an inconclusive row never passes, and no rows at all are not comparable."""
    assert result(NAMES, rows).exit_code == code


def test_one_incomparable_part_prevents_a_pass() -> None:
    """It does not pass although all rows are equal, and a regression still comes first."""
    reason = [RunWarning("b", "renamed", "")]
    assert result(NAMES, [work(GateVerdict.EQUAL)], reason).exit_code == 4
    assert result(NAMES, [work(GateVerdict.REGRESSED)], reason).exit_code == 1


def test_without_a_judged_figure_nothing_passes() -> None:
    """Work counts and times that were not judged do not decide, and are not equal."""
    assert overall([work(GateVerdict.NOT_JUDGED)])[0] == GateVerdict.INCONCLUSIVE
    assert overall([work(GateVerdict.NOT_JUDGED), timed(GateVerdict.NOT_JUDGED)])[0] == GateVerdict.INCONCLUSIVE
    assert overall([work(GateVerdict.NOT_JUDGED), timed(GateVerdict.EQUIVALENT)])[0] == GateVerdict.EQUIVALENT
    assert overall([work(GateVerdict.EQUAL), timed(GateVerdict.NOT_JUDGED)])[0] == GateVerdict.EQUIVALENT


def test_the_sentence_counts_the_rows_that_decided() -> None:
    """It states the number of figures by kind, in the singular for one."""
    rows = [work(GateVerdict.EQUAL), work(GateVerdict.EQUAL), timed(GateVerdict.EQUIVALENT)]
    assert overall(rows)[1] == "2 work counts equal, 1 benchmark equivalent"
    assert overall([*rows, timed(GateVerdict.INCONCLUSIVE)])[1] == "1 benchmark inconclusive"
    assert overall([*rows, timed(GateVerdict.REGRESSED)])[1] == "1 benchmark regressed"
    assert (counted(1, "time"), counted(0, "time")) == ("1 time", "0 times")
    assert overall([STOPPED, replace(STOPPED, scenario="b")])[1] == "2 scenarios or arms regressed"


def test_a_list_ends_with_the_number_of_other_names() -> None:
    """Only the first few names are listed."""
    assert listed(["a", "b"]) == "'a', 'b'"
    assert listed(list("abcdefg"), quote=False) == "a, b, c, d, e and 2 more"


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (1.42, "1.42× faster"),
        (1.0, "unchanged"),
        (1 / 1.12, "12 % slower"),
        (1 / 69, "69 times as long"),
        (1 / 1.52, "52 % slower"),
    ],
)
def test_a_ratio_in_words_has_the_sign_for_faster_only(ratio: float, text: str) -> None:
    """`×` means times as fast; what takes longer is a percentage or a number of times."""
    assert in_words(ratio) == text
