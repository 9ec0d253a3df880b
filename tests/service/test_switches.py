"""Switches: the sets that scenarios need, and their text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.switches import NAMES, Level, Switches

SETS = st.builds(Switches, **dict.fromkeys(NAMES, st.sampled_from(Level)))


@given(SETS)
def test_switches_survive_their_text(switches: Switches) -> None:
    """Any switches equal those parsed from their text."""
    assert Switches.parse(str(switches)) == switches


@pytest.mark.parametrize("name", NAMES)
def test_one_alone_and_all_without_it(name: str) -> None:
    """One switch differs from the baseline's set, or from the optimised one; the text names it after the level of the others."""
    assert str(Switches.alone(name)) == f"baseline,{name}=optimised"
    assert str(Switches.without(name)) == f"optimised,{name}=baseline"


def test_all_switches_are_at_the_requested_level() -> None:
    """A set of one level is written as the level, and there are nine switches."""
    assert [str(Switches.all(level)) for level in Level] == ["baseline", "proposed", "optimised"]
    assert len(NAMES) == 9
    assert Switches() == Switches.all(Level.BASELINE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unknown level ''"),
        ("fast", "unknown level 'fast'; choose from baseline, proposed, optimised"),
        ("baseline,speed=optimised", "unknown switch 'speed'; choose from pools, async_queries"),
        ("baseline,pools", "unknown level ''"),
        ("baseline,pools=fast", "unknown level 'fast'"),
        ("baseline,pools=optimised,pools=baseline", "switch 'pools' is given 2 times"),
    ],
)
def test_an_invalid_text_is_refused(text: str, message: str) -> None:
    """The message names the invalid value and the valid ones."""
    with pytest.raises(ValueError, match=message):
        Switches.parse(text)


def test_an_unknown_switch_is_refused() -> None:
    """`alone` and `without` both name it."""
    for make in (Switches.alone, Switches.without):
        with pytest.raises(ValueError, match="unknown switch 'speed'"):
            make("speed")
