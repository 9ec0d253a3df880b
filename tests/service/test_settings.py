"""Settings: their transport through environment variables, and their validation."""

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
def test_settings_survive_the_environment(settings: ServiceSettings) -> None:
    """Any settings equal those read back from their environment variables."""
    assert ServiceSettings.from_environment(settings.to_environment()) == settings


def test_only_the_database_is_required() -> None:
    """The other settings default to the baseline, without a cache."""
    found = ServiceSettings.from_environment({"PROMPT_SERVICE_DATABASE": "sqlite:///x.db"})
    assert found == ServiceSettings("sqlite:///x.db")
    assert (found.redis_url, str(found.switches)) == (None, "baseline")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "PROMPT_SERVICE_DATABASE is not set"),
        ({"PROMPT_SERVICE_DATABASE": "d", "PROMPT_SERVICE_SWITCHES": "fast"}, "unknown level 'fast'"),
        (
            {"PROMPT_SERVICE_DATABASE": "d", "PROMPT_SERVICE_SWITCHES": "optimised"},
            "needs Redis; set PROMPT_SERVICE_REDIS to its URL",
        ),
        ({"PROMPT_SERVICE_DATABASE": "d", "PROMPT_SERVICE_BODY_LIMIT": "-1"}, "PROMPT_SERVICE_BODY_LIMIT '-1' is not a number"),
        ({"PROMPT_SERVICE_DATABASE": "d", "PROMPT_SERVICE_BODY_LIMIT": "0"}, "a body limit of 0 bytes"),
        ({"PROMPT_SERVICE_DATABASE": "d", "PROMPT_SERVICE_SLOW_MS": "long"}, "PROMPT_SERVICE_SLOW_MS 'long' is not a number"),
        ({"PROMPT_SERVICE_DATABASE": "d", "PROMPT_SERVICE_SLOW_MS": "nan"}, "set PROMPT_SERVICE_SLOW_MS to a number above 0"),
        ({"PROMPT_SERVICE_DATABASE": "d", "PROMPT_SERVICE_SLOW_LOG": "f"}, "keeps no slow-query log"),
    ],
)
def test_invalid_settings_are_named(variables: dict[str, str], message: str) -> None:
    """The message names the variable or the value."""
    with pytest.raises(ValueError, match=message):
        ServiceSettings.from_environment(variables)


def test_urls_are_not_shown() -> None:
    """The repr contains no URL, since URLs may contain passwords."""
    assert "secret" not in repr(ServiceSettings("postgresql://u:secret@h/d", "redis://:secret@h/0"))
