"""The validation of interleaved versions: its requirements and table."""

from harness.gate.against.verdicts import PairedTime
from harness.results.gate import GateVerdict
from tools.validation.old_new import section


def time(verdict: GateVerdict) -> PairedTime:
    """Return a comparison with a verdict."""
    return PairedTime("queries", verdict, "", 1.01, 0.99, 1.03, 0.02, None)


def kept(same: list[GateVerdict], slower: list[GateVerdict]) -> list[bool]:
    """Return which requirements are kept."""
    found = section({0: [time(verdict) for verdict in same], 3: [time(verdict) for verdict in slower]})
    return [requirement.met for requirement in found.requirements]


def test_alarms_and_misses_break_the_requirements() -> None:
    """One false alarm in two comparisons, or half of the slowdowns missed, is more than chance."""
    assert kept([GateVerdict.EQUIVALENT] * 8, [GateVerdict.REGRESSED] * 5) == [True, True]
    assert kept([GateVerdict.EQUIVALENT, GateVerdict.REGRESSED], [GateVerdict.REGRESSED] * 5) == [False, True]
    assert kept([GateVerdict.EQUIVALENT] * 8, [GateVerdict.REGRESSED] * 3 + [GateVerdict.EQUIVALENT] * 3) == [True, False]


def test_the_table_counts_verdicts() -> None:
    """Each verdict has a column."""
    (table,) = section({0: [time(GateVerdict.EQUIVALENT)] * 2, 3: [time(GateVerdict.REGRESSED)]}).tables
    assert [list(row[1:6]) for row in table.rows] == [["2", "0", "0", "2", "0"], ["1", "1", "0", "0", "0"]]


def test_a_requirement_states_the_bounds_of_the_true_rate() -> None:
    """The true rate of an event that did not occur in thirty trials may still be one in ten."""
    (rare, _) = section({0: [time(GateVerdict.EQUIVALENT)] * 30, 3: [time(GateVerdict.REGRESSED)]}).requirements
    assert rare.text == "false alarms on the same work: 0 of 30 [0%, 12%]"
