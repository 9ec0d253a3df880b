"""Values of a column, by its type, its name and simple CHECK constraints: the same for a seed in every process.

A key has the value of a number, a different one for each; the values of other columns are drawn at random.
"""

from __future__ import annotations

import hashlib
import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, Table, types
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql import elements

from harness.databases.drawn_texts import MARK, is_known, texts
from harness.errors import UsageError

NULL_SHARE = 0.1
"""The share of NULL in a column that may have it."""
LEAST, MOST = 1, 1_000
"""The limits of numbers without a CHECK constraint."""
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
YEAR_S = 366 * 86_400
"""Times are of the year that begins with `FIRST`."""
SHORT = 8
"""Length of texts below which keys are numbers with these digits."""
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
UUID_HEX, UUID_TEXT = 32, 36
"""Lengths of texts whose keys are UUIDs, as are primary keys that are longer."""
DAY_S = 86_400
DAYS = 2_900_000

GivenValues = Callable[[random.Random, int], Any] | Sequence[Any]
"""A user's values of a column: a function of a generator of random numbers and the row's number from 1, or a list to draw from."""


@dataclass(frozen=True)
class Limits:
    """The values that simple CHECK constraints allow in a column."""

    least: Decimal | None = None
    most: Decimal | None = None
    above: Decimal | None = None
    below: Decimal | None = None
    choices: tuple[Any, ...] = ()

    @property
    def is_above_limited(self) -> bool:
        """Whether there is a most value."""
        return self.most is not None or self.below is not None

    def between(self, scale: int) -> tuple[int, int]:
        """Return the least and the most allowed integer, as multiples of 10^-scale."""
        unit = 10**scale
        lows = [] if self.least is None else [math.ceil(self.least * unit)]
        lows += [] if self.above is None else [math.floor(self.above * unit) + 1]
        highs = [] if self.most is None else [math.floor(self.most * unit)]
        highs += [] if self.below is None else [math.ceil(self.below * unit) - 1]
        low = max(lows, default=min([LEAST * unit, *highs]))
        return low, min(highs, default=max(MOST * unit, low + MOST * unit - 1))


@dataclass(frozen=True)
class Values:
    """The values of a kind of columns."""

    domain: int | None
    """The number of different values; None if there are enough for any table."""
    numbered: Callable[[int], Any]
    """Number from 0 → the value of a key with this number."""
    drawn: Callable[[random.Random, int], list[Any]]
    """Generator and count → values of a column that is not a key."""


@dataclass
class ColumnValues:
    """The values of one column; rows are drawn in their order."""

    column: Column[Any]
    seed: str
    """Seed of the run, of which that of the column is made."""
    limits: Limits = field(default_factory=Limits)
    given: GivenValues | None = None
    """The user's own values."""

    @property
    def name(self) -> str:
        """The name of the column with that of its table."""
        return f"{self.column.table.key}.{self.column.name}"

    @property
    def own_seed(self) -> str:
        """The seed of the column."""
        return f"{self.seed}/{self.name}"

    @cached_property
    def _draw(self) -> random.Random:
        return random.Random(self.own_seed)  # noqa: S311 - rows have to be reproducible

    @cached_property
    def _values(self) -> Values:
        if self.given is not None and not callable(self.given):
            if isinstance(self.given, str | bytes):
                raise UsageError(f"column_values of {self.name} is a text; write a list of values: [{self.given!r}]")
            if not self.given:
                raise UsageError(f"column_values of {self.name} is an empty list; give at least one value")
            return _choices(self.given)
        if self.limits.choices and not isinstance(self.column.type, types.Enum | types.Boolean):
            return _choices(self.limits.choices)
        return self.of_kind(self.column.type)

    def of_kind(self, kind: types.TypeEngine[Any]) -> Values:
        """Return the values of a type, for the column or for the items of its arrays."""
        while isinstance(kind, types.TypeDecorator) and not isinstance(kind, types.Interval):
            kind = kind.impl_instance
        makers = (make for known, make in _MAKERS if isinstance(kind, known))
        make = next(makers, None)
        if make is None:
            raise UsageError(
                f"{self.name} has the type {kind!r:.40}, for which no value is known; give it some: column_values = "
                f"{{{self.name!r}: [value, …]}}"
            )
        return make(self, kind)

    @property
    def domain(self) -> int | None:
        """The number of different keys; None if there are enough for any table."""
        return None if callable(self.given) else self._values.domain

    def numbered(self, number: int) -> Any:
        """Return the value of a key with a number from 0."""
        return self.given(self._draw, number + 1) if callable(self.given) else self._values.numbered(number)

    def drawn(self, first: int, count: int) -> list[Any]:
        """Return the values of the next rows, of which the first has this number from 0."""
        if callable(self.given):
            return [self.given(self._draw, number + 1) for number in range(first, first + count)]
        if self.given is None and (default := self.column.default) is not None and default.is_scalar:
            return [default.arg] * count  # type: ignore[attr-defined]  # one that is scalar has a value
        try:
            values = self._values.drawn(self._draw, count)
        except UsageError:
            if not self.column.nullable or self.given is not None or self.limits != Limits():
                raise
            return [None] * count
        if self.column.nullable and self.given is None:
            return [None if self._draw.random() < NULL_SHARE else value for value in values]
        return values


def is_left_out(column: Column[Any]) -> bool:
    """Return whether the database fills a column: it is computed, or has a default that is a plain value."""
    if column.computed is not None:
        return True
    if column.server_default is None or column.primary_key or column.foreign_keys:
        return False
    default = getattr(column.server_default, "arg", None)
    if isinstance(default, elements.TextClause):
        return _LITERAL.fullmatch(default.text) is not None
    return isinstance(default, str | elements.True_ | elements.False_ | elements.Null)


def limits_of(table: Table) -> dict[str, Limits]:
    """Return column → what the table's CHECK constraints allow, as far as they compare with constants or list them."""
    found: dict[str, Limits] = {}
    for constraint in (*table.constraints, *(each for column in table.columns for each in column.constraints)):
        if isinstance(constraint, CheckConstraint):
            parts = _conditions(_sql(constraint))
            if all(name in table.columns for name, _ in parts):
                for name, limits in parts:
                    before = found.get(name, Limits())
                    found[name] = replace(before, **{key: value for key, value in vars(limits).items() if value not in {None, ()}})
    return found


_LITERAL = re.compile(r"\s*\(?(?:'(?:[^']|'')*'(?:::[\w ]+)?|-?\d+(?:\.\d+)?|true|false|null)\)?\s*", re.IGNORECASE)
_NAME, _NUMBER, _TEXT = r"(?:\w+\.)?[\"`]?(\w+)[\"`]?", r"(-?\d+(?:\.\d+)?)", r"'((?:[^']|'')*)'"
_BETWEEN = re.compile(rf"{_NAME} BETWEEN {_NUMBER} AND {_NUMBER}", re.IGNORECASE)
_COMPARED = re.compile(rf"{_NAME}\s*(>=|<=|>|<)\s*{_NUMBER}")
_LISTED = re.compile(rf"{_NAME} IN \(((?:{_TEXT}|{_NUMBER})(?:\s*,\s*(?:{_TEXT}|{_NUMBER}))*)\)", re.IGNORECASE)
_BOUNDS = {">=": "least", "<=": "most", ">": "above", "<": "below"}


def _sql(constraint: CheckConstraint) -> str:
    try:
        return str(constraint.sqltext.compile(compile_kwargs={"literal_binds": True}))
    except (SQLAlchemyError, NotImplementedError):  # a constant or an operator of another dialect
        return ""


def _conditions(text: str) -> list[tuple[str, Limits]]:
    """Return the column and the limits of each condition of a conjunction; nothing if one of them is not simple."""
    found, rest = [], " ".join(text.split())
    rest = _BETWEEN.sub(lambda match: f"{match[1]} >= {match[2]} AND {match[1]} <= {match[3]}", rest)
    for part in re.split(r"\bAND\b", rest, flags=re.IGNORECASE):
        plain = part.strip()
        while plain.startswith("(") and plain.endswith(")"):
            plain = plain[1:-1].strip()
        if match := _COMPARED.fullmatch(plain.replace("(", " ").replace(")", " ").strip()):
            found.append((match[1], Limits(**{_BOUNDS[match[2]]: Decimal(match[3])})))  # type: ignore[arg-type]  # names of bounds
        elif match := _LISTED.fullmatch(plain):
            items = re.findall(rf"{_TEXT}|{_NUMBER}", match[2])
            values = tuple(text.replace("''", "'") if text or not number else _number(number) for text, number in items)
            found.append((match[1], Limits(choices=values)))
        else:
            return []
    return found


def _number(text: str) -> int | Decimal:
    return Decimal(text) if "." in text else int(text)


def _choices(values: Sequence[Any]) -> Values:
    return Values(len(values), values.__getitem__, lambda draw, count: draw.choices(values, k=count))


def _each(domain: int | None, numbered: Callable[[int], Any], draw_one: Callable[[random.Random], Any]) -> Values:
    return Values(domain, numbered, lambda draw, count: [draw_one(draw) for _ in range(count)])


def _integers(of: ColumnValues, kind: types.Integer) -> Values:
    low, high = of.limits.between(0)
    _require(of, low <= high)
    domain = 2**15 - low if isinstance(kind, types.SmallInteger) else None
    domain = high - low + 1 if of.limits.is_above_limited else domain
    return _each(domain, lambda number: low + number, lambda draw: draw.randint(low, high))


def _decimals(of: ColumnValues, kind: types.Numeric[Any]) -> Values:
    scale = 2 if kind.scale is None else kind.scale
    low, high = of.limits.between(scale)
    if kind.precision is not None:
        high = min(high, 10**kind.precision - 1)
        low = min(low, high) if of.limits == Limits() else low
    _require(of, low <= high)
    domain = None if kind.precision is None else 10**kind.precision - low
    domain = high - low + 1 if of.limits.is_above_limited else domain

    def of_number(number: int) -> Any:
        found = Decimal(number).scaleb(-scale)
        return found if kind.asdecimal else float(found)

    return _each(domain, lambda number: of_number(low + number), lambda draw: of_number(draw.randint(low, high)))


def _floats(of: ColumnValues, kind: types.Float[Any]) -> Values:
    low, high = of.limits.between(3)
    _require(of, low <= high)
    as_kind = (lambda value: Decimal(str(value))) if kind.asdecimal else float
    domain = high - low + 1 if of.limits.is_above_limited else None
    return _each(domain, lambda number: as_kind((low + number) / 1_000), lambda draw: as_kind(draw.randint(low, high) / 1_000))


def _require(of: ColumnValues, is_possible: bool) -> None:
    if not is_possible:
        raise UsageError(f"no number fits the CHECK constraints of {of.name}; give it values in column_values")


def _moments(_: ColumnValues, kind: types.DateTime) -> Values:
    first = FIRST if kind.timezone else FIRST.replace(tzinfo=None)
    return _each(
        None,
        lambda number: first + timedelta(minutes=number),
        lambda draw: first + timedelta(seconds=draw.randrange(YEAR_S)),
    )


def _dates(*_: Any) -> Values:
    first = FIRST.date()
    return _each(DAYS, lambda number: first + timedelta(days=number), lambda draw: first + timedelta(days=draw.randrange(366)))


def _times(*_: Any) -> Values:
    return _each(
        DAY_S,
        lambda number: (FIRST + timedelta(seconds=number)).time(),
        lambda draw: (FIRST + timedelta(seconds=draw.randrange(DAY_S))).time(),
    )


def _uuids(of: ColumnValues, kind: types.Uuid[Any]) -> Values:
    def found(value: UUID) -> Any:
        return value if kind.as_uuid else str(value)

    return _each(
        None,
        lambda number: found(_uuid(of.own_seed, number)),
        lambda draw: found(UUID(int=draw.getrandbits(128), version=4)),
    )


def _uuid(seed: str, number: int) -> UUID:
    return UUID(bytes=hashlib.sha256(f"{seed}/{number}".encode()).digest()[:16], version=4)


def _enums(_: ColumnValues, kind: types.Enum) -> Values:
    return _choices(list(kind.enum_class) if kind.enum_class is not None else kind.enums)


def _texts(of: ColumnValues, kind: Any) -> Values:
    length: int | None = getattr(kind, "length", None)
    is_long = length is None or length > UUID_TEXT
    is_unique_id = (length in {UUID_HEX, UUID_TEXT} or (is_long and of.column.primary_key)) and not is_known(of.column.name)
    pool: list[str] = []

    def pooled() -> list[str]:
        if not pool:
            pool.extend(texts(of.column.name, length, of.own_seed))
        return pool

    def numbered(number: int) -> str:
        if is_unique_id:
            unique = _uuid(of.own_seed, number)
            return unique.hex if length == UUID_HEX else str(unique)
        if length is not None and length < SHORT:
            return _in_digits(number, length)
        again, place = divmod(number, len(pooled()))
        text = pool[place]
        if not again:
            return text
        before, at, after = text.partition("@")
        ending = f"{MARK}{number}{at}{after}"
        if length is not None and len(ending) > length:
            before, ending = text, f"{MARK}{number}"
        return f"{before[: None if length is None else length - len(ending)]}{ending}"

    domain = len(DIGITS) ** length if length is not None and length < SHORT else None
    return Values(domain, numbered, lambda draw, count: draw.choices(pooled(), k=count))


def _in_digits(number: int, length: int) -> str:
    found = ""
    for _ in range(length):
        number, digit = divmod(number, len(DIGITS))
        found = DIGITS[digit] + found
    return found


def _documents(*_: Any) -> Values:
    return _each(None, lambda number: {"number": number}, lambda draw: {"number": draw.randint(LEAST, MOST)})


def _intervals(*_: Any) -> Values:
    return _each(None, lambda number: timedelta(seconds=number), lambda draw: timedelta(seconds=draw.randint(LEAST, MOST)))


def _bytes(*_: Any) -> Values:
    return _each(None, lambda number: number.to_bytes(8), lambda draw: draw.randbytes(32))


def _lists(of: ColumnValues, kind: types.ARRAY[Any]) -> Values:
    """Return lists of one to three values of the array's type."""
    items = of.of_kind(kind.item_type)
    return _each(None, lambda number: [items.numbered(number)], lambda draw: items.drawn(draw, draw.randint(1, 3)))


_MAKERS: Sequence[tuple[type, Callable[[ColumnValues, Any], Values]]] = (
    (types.ARRAY, _lists),
    (types.Interval, _intervals),
    (types.Enum, _enums),
    (types.Boolean, lambda _, __: _choices((False, True))),
    (types.Integer, _integers),
    (types.Float, _floats),
    (types.Numeric, _decimals),
    (types.DateTime, _moments),
    (types.Date, _dates),
    (types.Time, _times),
    (types.Uuid, _uuids),
    (types.JSON, _documents),
    (types.LargeBinary, _bytes),
    (types.String, _texts),
)
"""Type → the values of its columns; the first that fits."""
