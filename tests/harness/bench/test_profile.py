"""Where the time of worker processes goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bench.profile import by_phase
from harness.results.profile import RunPhase


@pytest.mark.parametrize(
    ("activity", "phase"),
    [
        ("opening", RunPhase.OPENING),
        ("timing pairs", RunPhase.RESETS),
        ("timing the controls", RunPhase.CONTROLS),
        (RunPhase.OPERATIONS, RunPhase.OPERATIONS),
        ("demonstrating 'pages repeat rows'", RunPhase.FINDINGS),
        ("something else", RunPhase.STARTING),
    ],
)
def test_an_activity_belongs_to_a_phase(activity: str, phase: RunPhase) -> None:
    """Each activity counts as its phase, and an unknown one as the process itself."""
    assert by_phase({activity: 2.0}, 2.0)[phase] == 2.0


@given(st.dictionaries(st.sampled_from(["opening", "closing", "timing pairs", "ending"]), st.floats(0, 100)), st.floats(0, 100))
def test_nothing_is_lost(spent_s: dict[str, float], more_s: float) -> None:
    """The phases add up to the time that the process lasted; what no activity accounts for is its start and end."""
    lasted_s = sum(spent_s.values()) + more_s
    found = by_phase(spent_s, lasted_s)
    assert sum(found.values()) == pytest.approx(lasted_s)
    assert found[RunPhase.STARTING] == pytest.approx(more_s)
