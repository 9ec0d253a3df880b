"""Switches: the sets that trials need, and their text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.switches import NAMES, Level, Switches

SETS = st.builds(Switches, **dict.fromkeys(NAMES, st.sampled_from(Level)))


@given(SETS)
def test_the_text_gives_the_switches_again(switches: Switches) -> None:
    """Whatever they are, they come back from their text as they were."""
    assert Switches.parse(str(switches)) == switches


@pytest.mark.parametrize("name", NAMES)
def test_one_alone_and_all_without_it(name: str) -> None:
    """One switch differs from today's set, or from the optimised one; the text names it after the level of the others."""
    assert str(Switches.alone(name)) == f"baseline,{name}=optimised"
    assert str(Switches.without(name)) == f"optimised,{name}=baseline"


def test_all_switches_are_at_the_level_asked_for() -> None:
    """A set of one level is written as the level, and there are nine switches."""
    assert [str(Switches.all(level)) for level in Level] == ["baseline", "proposed", "optimised"]
    assert len(NAMES) == 9
    assert Switches() == Switches.all(Level.BASELINE)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "unknown level ''"),
        ("fast", "unknown level 'fast'; choose from baseline, proposed, optimised"),
        ("baseline,speed=optimised", "unknown switch 'speed'; choose from pools, async_queries"),
        ("baseline,pools", "unknown level ''"),
        ("baseline,pools=fast", "unknown level 'fast'"),
        ("baseline,pools=optimised,pools=baseline", "the switch 'pools' is given 2 times"),
    ],
)
def test_a_wrong_text_is_refused(text: str, says: str) -> None:
    """The message names what is wrong, and what there is."""
    with pytest.raises(ValueError, match=says):
        Switches.parse(text)


def test_a_switch_that_is_not_there_is_refused() -> None:
    """Both ways of naming one say so."""
    for make in (Switches.alone, Switches.without):
        with pytest.raises(ValueError, match="unknown switch 'speed'"):
            make("speed")
