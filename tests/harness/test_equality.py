"""Tests of the equality of answers: by value, NaN included, and with the place where two answers differ."""

import io
from array import array
from collections import OrderedDict, deque, namedtuple
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from harness.equality import difference, snapshot

NAN = float("nan")
Row = namedtuple("Row", "id score")  # noqa: PYI024 - as users write it


def nan() -> float:
    """Return another NaN: containers compare objects by identity first."""
    return float("nan")


@dataclass
class Score:
    """A dataclass that compares its fields."""

    value: Any


@dataclass(eq=False)
class Entity:
    """A dataclass that compares by identity."""

    value: Any


class Raising:
    """An object whose comparison raises."""

    def __eq__(self, other: object) -> bool:
        """Raise."""
        raise ValueError("no comparison")

    __hash__ = None  # type: ignore[assignment]


class Strict(Score):
    """A dataclass with a comparison of its own."""

    def __eq__(self, other: object) -> bool:
        """Return False."""
        return False

    __hash__ = None  # type: ignore[assignment]


def fetched() -> Any:
    """Return a row of SQLAlchemy with a NaN."""
    return sa.create_engine("sqlite://").connect().execute(sa.select(sa.literal(1), sa.literal(2.5))).one()


def circular() -> list[Any]:
    """Return a list that contains itself."""
    made: list[Any] = [1]
    made.append(made)
    return made


def deep() -> list[Any]:
    """Return a list nested deeper than the interpreter's stack."""
    made: list[Any] = [nan()]
    for _ in range(3_000):
        made = [made]
    return made


EQUAL: list[tuple[Any, Any]] = [
    *((1, 1.0), (True, 1), (0.0, -0.0), ("a", "a"), (b"ab", bytearray(b"ab")), (b"ab", memoryview(b"ab")), (None, None)),
    *((NAN, nan()), (Decimal("NaN"), Decimal("NaN")), (Decimal("sNaN"), Decimal("sNaN")), (complex(1, NAN), complex(1, nan()))),
    *(([nan()], [nan()]), ((nan(), 1), (nan(), 1)), ({"mean": nan()}, {"mean": nan()}), ({nan(): 1}, {nan(): 1})),
    *(({nan(), 1}, {nan(), 1}), (frozenset([(1, nan())]), frozenset([(1, nan())])), (deque([nan()]), deque([nan()]))),
    *((Row(1, nan()), Row(1, nan())), (Row(1, nan()), (1, nan())), (Score(nan()), Score(nan())), (Entity([1]), Entity([1]))),
    *((SimpleNamespace(a=nan()), SimpleNamespace(a=nan())), (fetched(), (1, 2.5)), ([fetched()], [fetched()])),
    *((np.float64("nan"), np.float64("nan")), (np.float64(1), 1), (np.datetime64("NaT"), np.datetime64("NaT"))),
    *((np.array([1, 2]), np.array([1.0, 2.0])), (np.array([NAN]), np.array([nan()])), ([np.zeros((2, 3))], [np.zeros((2, 3))])),
    *((np.array([]), np.array([])), (np.array(["a", None, nan()], object), np.array(["a", None, nan()], object))),
    (np.array(["2026-01-01", "NaT"], "datetime64[s]"), np.array(["2026-01-01", "NaT"], "datetime64[s]")),
    (pd.DataFrame({"a": [1, 2], "b": [nan(), 1]}), pd.DataFrame({"a": [1, 2], "b": [nan(), 1]})),
    (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1.0, 2.0]})),
    ({"frame": [pd.DataFrame({"a": [nan()]})]}, {"frame": [pd.DataFrame({"a": [nan()]})]}),
    *((pd.Series([1, nan()]), pd.Series([1, nan()])), (pd.NaT, pd.NaT), (pd.NA, pd.NA), (pd.Index([1]), pd.Index([1]))),
    (pd.Series([1, None], dtype="Int64"), pd.Series([1, None], dtype="Int64")),
    *((array("d", [nan()]), array("d", [nan()])), (io.BytesIO(b"x"), io.BytesIO(b"x")), (io.StringIO("x"), io.StringIO("x"))),
    (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
    *((circular(), circular()), (deep(), deep()), (range(3), range(3)), ({"a": 1, "b": 2}, {"b": 2, "a": 1})),
]


@pytest.mark.parametrize(("one", "other"), EQUAL, ids=lambda each: type(each).__name__)
def test_equal_values_are_equal(one: Any, other: Any) -> None:
    """Both ways round, and within a container."""
    assert difference(one, other) is None
    assert difference(other, one) is None
    assert difference({"rows": [one]}, {"rows": [other]}) is None


UNEQUAL: list[tuple[Any, Any, str]] = [
    (9, 2, "9 instead of 2"),
    ("1", 1, "'1' instead of 1"),
    ([1], (1,), "[1] instead of (1,)"),
    (nan(), 1.0, "nan instead of 1.0"),
    (nan(), None, "nan instead of None"),
    ([1, 2], [1, 3], "at [1] 2 instead of 3"),
    ([1, 2], [1], "2 elements instead of 1 element"),
    ({"a": 1}, {"b": 1}, "'a' instead of 'b'"),
    ({"a": 1}, {"a": 1, "b": 2}, "nothing instead of 'b'"),
    ({"a": 1, "b": 2}, {"a": 1}, "'b' instead of nothing"),
    ({1, 2}, {1, 3}, "2 instead of 3"),
    (OrderedDict(a=1, b=2), OrderedDict(b=2, a=1), "the order ['a', 'b'] instead of ['b', 'a']"),
    ({"rows": [{"id": 1}, {"id": 5}]}, {"rows": [{"id": 1}, {"id": 6}]}, "at ['rows'][1]['id'] 5 instead of 6"),
    (Score([1]), Score([2]), "at .value[0] 1 instead of 2"),
    (Strict(1), Strict(1), "Strict(value=1) instead of Strict(value=1)"),
    (Row(1, nan()), Row(2, nan()), "at [0] 1 instead of 2"),
    (np.array([1, 2, 4]), np.array([1, 2, 3]), "at [2] 4 instead of 3"),
    (np.array([[1, 2]]), np.array([1, 2]), "shape (1, 2) instead of (2,)"),
    (np.array([1]), [1], "array([1]) (ndarray) instead of [1] (list)"),
    (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, 3]}), "at ['a'][1] 2 instead of 3"),
    (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]}), "'a' instead of 'b'"),
    (pd.DataFrame({"a": [1]}, index=[1]), pd.DataFrame({"a": [1]}), "at ['index'][0] 1 instead of 0"),
    (pd.Series([1, 2]), pd.Series([1]), "shape (2,) instead of (1,)"),
    (complex(1, NAN), complex(2, NAN), "at [0] 1.0 instead of 2.0"),
    ("x" * 300 + "a", "x" * 300 + "b", f"at [285:] '{'x' * 15}a' instead of '{'x' * 15}b'"),
    ([circular()], [[1, [1]]], "at [0][1] 2 elements instead of 1 element"),
]


@pytest.mark.parametrize(("one", "other", "message"), UNEQUAL, ids=[message for *_, message in UNEQUAL])
def test_a_difference_has_its_place(one: Any, other: Any, message: str) -> None:
    """The part that differs is shown, and not the whole answer."""
    assert str(difference(one, other)) == message


def test_objects_that_compare_by_identity_are_named() -> None:
    """Their representations are no help, so that the message says what to return instead."""
    found = difference([object()], [object()])
    assert found is not None
    assert "return plain values from normalise()" in found.expected


def test_a_comparison_that_raises_is_a_failure_with_its_place() -> None:
    """It neither passes nor ends the run with an error of its own."""
    found = difference({"a": Raising()}, {"a": Raising()})
    assert found is not None
    assert (found.path, found.failure) == ("['a']", "raised ValueError: no comparison")


def test_a_comparison_that_gives_no_truth_value_is_a_failure() -> None:
    """Such as an expression of a query builder."""

    class Expression:
        def __eq__(self, other: object) -> Any:
            return self

        __hash__ = None  # type: ignore[assignment]

    found = difference(Expression(), Expression())
    assert found is not None
    assert found.failure == "gave a Expression instead of True or False"


def test_a_large_answer_is_compared_in_parts() -> None:
    """The place is the first one that differs, however much is equal before it."""
    rows: Sequence[dict[str, float]] = [{"id": n, "mean": nan()} for n in range(20_000)]
    others = [{"id": n, "mean": nan()} for n in range(20_000)]
    assert difference(rows, others) is None
    others[19_999]["id"] = -1
    assert str(difference(rows, others)) == "at [19999]['id'] 19999 instead of -1"


def test_a_snapshot_keeps_what_a_later_operation_changes() -> None:
    """Containers, arrays and frames are copied; other objects stay the same."""
    answer = {"rows": [[1]], "set": {1}, "array": np.zeros(2), "frame": pd.DataFrame({"a": [1]}), "other": (thing := object())}
    kept = snapshot(answer)
    answer["rows"].append(2)  # type: ignore[attr-defined]
    answer["set"].add(2)  # type: ignore[attr-defined]
    answer["array"][0] = 5  # type: ignore[index]
    answer["frame"].loc[0, "a"] = 9  # type: ignore[attr-defined]
    assert (
        difference(kept, {"rows": [[1]], "set": {1}, "array": np.zeros(2), "frame": pd.DataFrame({"a": [1]}), "other": thing})
        is None
    )
    assert snapshot(circular())[0] == 1
