"""Values of placeholders."""

from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.targets import values
from harness.targets.plan import TargetRequest


def request(path: str, **more: bytes) -> TargetRequest:
    """Return a GET request."""
    return TargetRequest("g", "GET", path, {}, **more)


def test_the_forms_of_values(tmp_path: Path) -> None:
    """A range, a list, and a file with one value per line."""
    (tmp_path / "ids.txt").write_text("x 1\n\ny\n")
    found = values.parse(["id=3..5", "kind=a, b", f"name=@{tmp_path / 'ids.txt'}"])
    assert found == {"id": ["3", "4", "5"], "kind": ["a", "b"], "name": ["x 1", "y"]}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("id", "has no name and values"),
        ("=1", "has no name and values"),
        ("id=", "has no values"),
        ("id=5..1", "not a range"),
        ("id=1..99999999999", "not a range"),
        ("id=@missing.txt", "is missing"),
    ],
)
def test_values_that_cannot_be_used(option: str, message: str) -> None:
    """Each is refused with its reason."""
    with pytest.raises(UsageError, match=message):
        values.parse([option])


def test_a_name_given_twice() -> None:
    """It is refused, instead of one replacing the other."""
    with pytest.raises(UsageError, match="'id' twice"):
        values.parse(["id=1", "id=2"])


def test_unknown_and_missing_names() -> None:
    """A placeholder without values and values without a placeholder are refused with what to write."""
    with pytest.raises(UsageError, match=r"\{id\} has no values; add --values id=1..1000"):
        values.check([request("/items/{id}")], {})
    with pytest.raises(UsageError, match="unknown name 'user' in --values; choose from id"):
        values.check([request("/items/{id}")], {"id": ["1"], "user": ["2"]})
    with pytest.raises(UsageError, match=r"write \{id\} into the URL"):
        values.check([request("/items")], {"id": ["1"]})


def test_braces_of_a_json_body_are_not_placeholders() -> None:
    """Only the names of values are."""
    made = request("/orders", body=b'{"id": {id}, "at": {when}}')
    values.check([made], {"id": ["1"]})
    assert values.filled(made, {"id": "7"}).body == b'{"id": 7, "at": {when}}'


@given(st.text(min_size=1, max_size=20))
def test_values_in_a_path_are_encoded(value: str) -> None:
    """Whatever is in them, a value is one part of the path and comes back whole."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return
    path = values.filled(request("/items/{id}/x"), {"id": value}).path
    assert path.count("/") == 3
    assert unquote(path) == f"/items/{value}/x"
