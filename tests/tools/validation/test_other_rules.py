"""The question about other rules: shares of the right trials."""

from harness.stats.sequential_test import FASTER, SLOWER
from tools.validation.other_rules import Rule, section, table
from tools.validation.paired_time import FEWEST_PAIRS, Stream


def stream(percent: int, pairs: int = FEWEST_PAIRS, factor: float = 1.0) -> Stream:
    """Return pairs with hardly any noise, the same on both sides."""
    base = [1e6 + n % 3 for n in range(pairs)]
    return Stream(percent, base, [factor * ns for ns in base], list(range(1, pairs + 1)))


def test_alarms_count_both_ways_and_finds_one_way() -> None:
    """Faster is a false alarm on the same work, and no find of a slow-down."""
    rules = [Rule("up", "", lambda _: SLOWER), Rule("down", "", lambda _: FASTER), Rule("none", "", lambda _: None)]
    found = table("x", [stream(0), stream(0), stream(3)], rules)
    assert found.columns == ["rule", "false alarms of 2", "+3 % found of 1", "+5 % found of 0"]
    assert found.rows == [["up", "100%", "100%", "–"], ["down", "100%", "0%", "–"], ["none", "0%", "0%", "–"]]


def test_a_planted_stream_counts_once() -> None:
    """Its later parts are there only because nothing was found yet, and would be the hard ones; the same work counts throughout."""
    found = section([stream(0, 3 * FEWEST_PAIRS), stream(3, 3 * FEWEST_PAIRS, 1.03)], [stream(0), stream(3)])
    assert list(found.tables[0].columns)[1:3] == ["false alarms of 3", "+3 % found of 1"]
    assert found.requirements[0].met
    assert "this harness" not in [row[0] for row in found.tables[1].rows]


def test_more_alarms_than_chance_allows_break_the_requirement() -> None:
    """If everything is an alarm, it is ours."""
    assert not section([stream(0, FEWEST_PAIRS, 1.1)] * 5, []).requirements[0].met
