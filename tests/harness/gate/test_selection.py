"""Selecting what is compared."""

import pytest

from harness.errors import UsageError
from harness.gate.selection import Selection

NAMES = ["t.py::test_x[a]", "t.py::test_xa", "t.py::test_y"]


def test_an_exact_name_matches_itself_and_nothing_else() -> None:
    """Brackets in a name are the name's, not a glob's."""
    assert Selection(["t.py::test_x[a]"]).of(NAMES) == ["t.py::test_x[a]"]
    assert Selection(excluded=["t.py::test_x[a]"]).of(NAMES) == NAMES[1:]


def test_a_pattern_may_contain_the_brackets_and_spaces_of_a_name() -> None:
    """They are characters of the name if nothing matches them as a set of characters."""
    names = ["t.py::test_x[a b-1]", "t.py::test_x[a b-2]", "t.py::test_y[a c]", "t.py::test_zb"]
    assert Selection(["*x[[]a b*"]).of(names) == names[:2]
    assert Selection(["*test_x[a b-*]"]).of(names) == names[:2]
    assert Selection(["*z[ab]"]).of(names) == names[3:]


def test_patterns_add_up_and_exceptions_are_taken_away() -> None:
    """Several of each may be given."""
    assert Selection(["*xa", "*y"]).of(NAMES) == NAMES[1:]
    assert Selection(["*"], ["*y", "*xa"]).of(NAMES) == NAMES[:1]
    assert Selection().of(NAMES) == NAMES


@pytest.mark.parametrize(("selection", "message"), [(Selection(["z*"]), "'z\\*'"), (Selection(excluded=["*"]), "leave no")])
def test_what_selects_nothing_is_refused(selection: Selection, message: str) -> None:
    """A pattern that matches nothing is a typing error."""
    with pytest.raises(UsageError, match=message):
        selection.of(NAMES)
