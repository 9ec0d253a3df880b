"""Texts by a column's name: different ones, no longer than the column."""

import pytest

from harness.databases.drawn_texts import MARK, METHODS, is_known, texts

pytest.importorskip("mimesis")


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_known_name_has_texts(name: str) -> None:
    """The library has the provider and the method; texts differ, and none has the mark of keys."""
    found = texts(name, 30, "seed")
    assert len(found) == len(set(found)) >= 5
    assert all(0 < len(each) <= 30 and MARK not in each for each in found)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("email", True), ("userEmail", True), ("first_name", True), ("home_city", True), ("thing", False), ("x", False)],
)
def test_a_name_is_known_by_its_words(name: str, is_one: bool) -> None:
    """Words are separated by underscores or capitals."""
    assert is_known(name) is is_one


def test_a_seed_gives_the_same_texts() -> None:
    """Another seed gives others."""
    assert texts("email", None, "a") == texts("email", None, "a") != texts("email", None, "b")
    assert all("@" in each for each in texts("email", None, "a"))
