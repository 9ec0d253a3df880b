"""Settings: the same in the process that reads them from the environment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.settings import ServiceSettings
from service.switches import NAMES, Level, Switches

SWITCHES = st.builds(Switches, **dict.fromkeys(NAMES, st.sampled_from(Level)))
WATCHED = SWITCHES.map(lambda switches: replace(switches, monitoring=Level.OPTIMISED))
OTHERS = (st.text(min_size=1), st.integers(1, 2**40))
SETTINGS = st.builds(ServiceSettings, st.text(min_size=1), st.text(min_size=1), SWITCHES, *OTHERS) | st.builds(
    ServiceSettings, st.text(min_size=1), st.text(min_size=1), WATCHED, *OTHERS, st.just(Path("slow.jsonl")), st.floats(1e-3, 1e6)
)


@given(SETTINGS)
def test_the_environment_gives_the_settings_again(settings: ServiceSettings) -> None:
    """Whatever they are."""
    assert ServiceSettings.from_environment(settings.to_environment()) == settings


def test_only_the_database_must_be_named() -> None:
    """Without the rest it is the service of today, without a cache."""
    found = ServiceSettings.from_environment({"PROMPT_SERVICE_DATABASE": "sqlite:///x.db"})
    assert found == ServiceSettings("sqlite:///x.db")
    assert (found.redis_url, str(found.switches)) == (None, "baseline")


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({}, "PROMPT_SERVICE_DATABASE is not set"),
        ({"PROMPT_SERVICE_DATABASE": "d", "PROMPT_SERVICE_SWITCHES": "fast"}, "unknown level 'fast'"),
        (
            {"PROMPT_SERVICE_DATABASE": "d", "PROMPT_SERVICE_SWITCHES": "optimised"},
            "needs a Redis; name one in PROMPT_SERVICE_REDIS",
        ),
        ({"PROMPT_SERVICE_DATABASE": "d", "PROMPT_SERVICE_BODY_LIMIT": "-1"}, "PROMPT_SERVICE_BODY_LIMIT '-1' is no number"),
        ({"PROMPT_SERVICE_DATABASE": "d", "PROMPT_SERVICE_BODY_LIMIT": "0"}, "a body limit of 0 bytes"),
        ({"PROMPT_SERVICE_DATABASE": "d", "PROMPT_SERVICE_SLOW_MS": "long"}, "PROMPT_SERVICE_SLOW_MS 'long' is no number"),
        ({"PROMPT_SERVICE_DATABASE": "d", "PROMPT_SERVICE_SLOW_MS": "nan"}, "above 0 in PROMPT_SERVICE_SLOW_MS"),
        ({"PROMPT_SERVICE_DATABASE": "d", "PROMPT_SERVICE_SLOW_LOG": "f"}, "keeps no slow-query log"),
    ],
)
def test_what_cannot_be_used_is_named(variables: dict[str, str], says: str) -> None:
    """The message names the variable or the word."""
    with pytest.raises(ValueError, match=says):
        ServiceSettings.from_environment(variables)


def test_addresses_are_not_shown() -> None:
    """They may hold passwords."""
    assert "secret" not in repr(ServiceSettings("postgresql://u:secret@h/d", "redis://:secret@h/0"))
