"""Values of a column: within the limits of simple CHECK constraints, and keys that differ."""

import random
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import (
    CheckConstraint,
    Column,
    Float,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    column,
    literal,
    text,
    types,
)
from sqlalchemy.dialects import postgresql

from harness.databases.drawn_values import ColumnValues, Limits, is_left_out, limits_of
from harness.errors import UsageError

pytest.importorskip("mimesis")


def limits(check: Any) -> dict[str, Limits]:
    """Return what a CHECK constraint of a table with two columns allows."""
    return limits_of(Table("t", MetaData(), Column("a", Integer), Column("b", Integer), CheckConstraint(check)))


def values(kind: Any, *, of: Limits | None = None, given_values: Any = None, name: str = "word", **options: Any) -> ColumnValues:
    """Return the values of a column of a type."""
    found = Column(name, kind, nullable=False, **options)
    Table("t", MetaData(), found)
    return ColumnValues(found, "0", of or Limits(), given_values)


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ("a > 0", {"a": Limits(above=Decimal(0))}),
        ('"a" >= 1 AND a < 2.5', {"a": Limits(least=Decimal(1), below=Decimal("2.5"))}),
        ("(a BETWEEN 1 AND 5) AND (b <= -3)", {"a": Limits(least=Decimal(1), most=Decimal(5)), "b": Limits(most=Decimal(-3))}),
        ("t.a IN (1, 2)", {"a": Limits(choices=(1, 2))}),
        ("a IN ('x', 'y''z')", {"a": Limits(choices=("x", "y'z"))}),
        (column("a") > 7, {"a": Limits(above=Decimal(7))}),
        (column("a") == literal({"b": 1}, postgresql.JSONB), {}),
        ("length(a) > 3", {}),
        ("a > b", {}),
        ("a > 1 OR a < 0", {}),
        ("c > 1", {}),
        ("a > 1 AND a <> 5", {}),
    ],
)
def test_simple_checks_are_read(check: Any, expected: dict[str, Limits]) -> None:
    """Comparisons with constants and lists, joined by AND; anything else is left to the database."""
    assert limits(check) == expected


@given(
    low=st.decimals(-50, 50, places=2),
    width=st.decimals(0, 50, places=2),
    is_open=st.booleans(),
    kind=st.sampled_from([Integer(), Numeric(12, 2), Numeric(12, 2, asdecimal=False), Float()]),
)
def test_numbers_are_within_their_limits(low: Decimal, width: Decimal, is_open: bool, kind: Any) -> None:
    """Whatever the limits: from the least to the most, or between them where they are not allowed themselves."""
    high = low + width + 2
    of = Limits(above=low, below=high) if is_open else Limits(least=low, most=high)
    for value in values(kind, of=of).drawn(0, 20):
        found = Decimal(str(value))
        assert low < found < high if is_open else low <= found <= high


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        (Integer(), 5_000),
        (String(), 5_000),
        (String(20), 5_000),
        (String(12), 5_000),
        (String(36), 5_000),
        (String(32), 5_000),
        (String(2), 1_296),
        (Numeric(4, 1), 9_990),
        (types.Date(), 5_000),
        (types.Time(), 5_000),
        (types.DateTime(), 5_000),
        (types.Interval(), 5_000),
        (types.Uuid(as_uuid=False), 5_000),
        (types.LargeBinary(), 5_000),
        (types.Boolean(), 2),
        (types.Enum("a", "b", "c"), 3),
        (Float(), 5_000),
    ],
)
@pytest.mark.parametrize("name", ["word", "email"])
def test_keys_differ_and_fit(kind: Any, number: int, name: str) -> None:
    """As many different ones as the type has, none longer than it allows."""
    column_values = values(kind, name=name)
    assert column_values.domain is None or column_values.domain >= number
    keys = [column_values.numbered(n) for n in range(number)]
    assert len(set(keys)) == number
    length = getattr(kind, "length", None)
    assert length is None or isinstance(kind, types.Enum) or max(map(len, keys)) <= length


@pytest.mark.parametrize("kind", [Integer(), SmallInteger(), Numeric(8, 2), Float()])
def test_keys_are_within_their_limits_too(kind: Any) -> None:
    """They count from the least allowed value, and their number ends at the most."""
    of = values(kind, of=Limits(least=Decimal(100), most=Decimal(102)))
    assert of.domain is not None
    keys = [of.numbered(number) for number in range(of.domain)]
    assert (min(keys), max(keys)) == (100, 102)
    assert len(set(keys)) == of.domain >= 3


@pytest.mark.parametrize(
    ("kind", "name", "is_one"),
    [
        (String(36), "id", True),
        (String(32), "id", True),
        (String(), "id", True),
        (String(36), "email", False),
        (String(30), "id", False),
    ],
)
def test_long_keys_of_text_are_uuids(kind: Any, name: str, is_one: bool) -> None:
    """Unless the name of the column says what they are."""
    key = values(kind, name=name, primary_key=True).numbered(0)
    assert (re.fullmatch(r"[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}", key) is not None) is is_one


def test_a_text_is_not_a_list_of_values() -> None:
    """It would be drawn letter by letter."""
    with pytest.raises(UsageError, match=r"column_values of t\.word is a text; write a list of values: \['draft'\]"):
        values(String(), given_values="draft").drawn(0, 1)


def test_a_function_gets_a_seeded_generator_and_the_number() -> None:
    """Numbers begin at 1; the same seed draws the same."""

    def value(draw: random.Random, number: int) -> tuple[int, int]:
        return number, draw.randrange(1_000)

    first, again = (values(Integer(), given_values=value).drawn(0, 3) for _ in range(2))
    assert first == again
    assert [number for number, _ in first] == [1, 2, 3]


@pytest.mark.parametrize(
    ("default", "left_out"),
    [
        ("x", True),
        (text("'x'"), True),
        (text("'x'::character varying"), True),
        (text("-1.5"), True),
        (text("TRUE"), True),
        (text("now()"), False),
        (text("CURRENT_TIMESTAMP"), False),
        (text("nextval('s')"), False),
        (None, False),
    ],
)
def test_only_constant_defaults_are_left_to_the_server(default: Any, left_out: bool) -> None:
    """A function of the server would give other values in every run."""
    assert is_left_out(Column("a", String, server_default=default)) is left_out
