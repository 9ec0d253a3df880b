"""Comparison of responses."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from harness.load.http_client import Response
from harness.targets.comparison import ComparedAnswer, answer_of, changing, disagreement, form_of, masked, path_text

BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=3), part, max_size=3),
    max_leaves=12,
)


@given(BODIES, BODIES)
def test_bodies_agree_without_what_changes(first: Any, second: Any) -> None:
    """With the parts that differ made equal, two bodies are equal; equal ones have no such parts."""
    changes = list(changing(first, second))
    assert disagreement(ComparedAnswer(200, second), ComparedAnswer(200, first), changes) is None
    assert list(changing(first, first)) == []
    assert masked(first, []) == first


def test_a_difference_apart_from_what_changes() -> None:
    """It is named with its place and both values; a status comes before a body."""
    first, again = {"now": 1, "items": [{"id": 1}]}, {"now": 2, "items": [{"id": 1}]}
    changes = list(changing(first, again))
    assert list(map(path_text, changes)) == ["['now']"]
    expected = ComparedAnswer(200, first)
    assert disagreement(ComparedAnswer(200, {"now": 3, "items": [{"id": 1}]}), expected, changes) is None
    found = disagreement(ComparedAnswer(200, {"now": 3, "items": [{"id": 2}]}), expected, changes)
    assert found == "a body that differs at ['items'][0]['id']: 2 instead of 1"
    assert disagreement(ComparedAnswer(404, {}), expected, []) == "status 404 Not Found instead of 200 OK"


def test_members_that_are_ignored() -> None:
    """They are left out at any depth; what is not JSON is compared as it is."""
    assert answer_of(Response(200, b"", b'{"a": [{"at": 1, "b": 2}], "at": 3}'), ["at"]).body == {"a": [{"b": 2}]}
    assert answer_of(Response(200, b"", b"{not json"), ["at"]).body == b"{not json"
    deep = b"[" * 100_000 + b"]" * 100_000
    assert answer_of(Response(200, b"", deep)).body == deep


def test_the_form_of_a_body() -> None:
    """It has members and no values, so that two servers may give two numbers to what they create."""
    assert form_of({"id": 1, "tags": ["a"]}) == form_of({"id": 2, "tags": ["b", "c"]})
    assert form_of({"id": 1}) != form_of({"id": 1, "name": "x"})
