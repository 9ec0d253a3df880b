"""The suggestion of near names."""

from hypothesis import given
from hypothesis import strategies as st

from harness.suggestions import choose_from, did_you_mean, nearest

ENGINES = ["postgres", "sqlite", "turso"]


def test_nearest_finds_a_typing_error_whatever_the_case() -> None:
    """A name with a wrong letter or in another case is found."""
    assert nearest("postgress", ENGINES) == "postgres"
    assert nearest("SQLITE", ENGINES) == "sqlite"


def test_nearest_suggests_nothing_for_another_word() -> None:
    """A name that is like none of the known ones has no suggestion."""
    assert nearest("oracle", ENGINES) is None
    assert not did_you_mean("oracle", ENGINES)


def test_choose_from_asks_and_lists() -> None:
    """The next step names the nearest name, then all of them."""
    assert choose_from("turs", ENGINES, more=", all") == "did you mean turso? choose from postgres, sqlite, turso, all"
    assert choose_from("oracle", ENGINES, "{!r}") == "choose from 'postgres', 'sqlite', 'turso'"
    assert choose_from("oracle", []) == "there are none"


@given(st.lists(st.text(min_size=1), min_size=1, unique=True), st.data())
def test_nearest_finds_every_known_name(known: list[str], data: st.DataObject) -> None:
    """A known name is its own nearest one, or one that differs in case only."""
    name = data.draw(st.sampled_from(known))
    found = nearest(name, known)
    assert found is not None
    assert found.casefold() == name.casefold()
