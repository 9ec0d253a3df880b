"""Equality of answers by value, part by part: where two answers differ first.

Standard library only; arrays and frames are recognised by their class's package, which is not imported for it.
"""

import io
import sys
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import takewhile
from numbers import Number
from typing import Any, NamedTuple
from uuid import UUID

from harness.answers import field_names, field_value
from harness.errors import describe

SHOWN = 120
"""Characters of a part that are shown."""
PARTNERS = 200
"""Limit of the keys or elements that are compared each with each, because they are not found by their hash."""
_ATOMS = frozenset((str, bytes, int, float, complex, bool, type(None), type, range, Decimal, datetime, date, time, timedelta, UUID))
"""Types whose objects never change."""
_BY_IDENTITY = " (their class compares by identity; return plain values from normalise())"


class Difference(NamedTuple):
    """The first place where an answer is not the expected one."""

    path: str
    """Its place in the answer, such as `['rows'][3]['id']`; empty if the answers differ as a whole."""
    found: str
    """The part of the answer there, shortened."""
    expected: str
    """The part that was expected there, shortened."""
    failure: str = ""
    """The reason why the two cannot be compared, such as "raised ValueError: …"; empty if they can."""

    def __str__(self) -> str:
        """Return both parts after their place."""
        return f"{f'at {self.path} ' if self.path else ''}{self.found} instead of {self.expected}"


Pair = tuple[str, Any, Any]
"""A place within two answers, and their parts there."""


def difference(answer: Any, expected: Any) -> Difference | None:
    """Return the first place where an answer is not the expected one; None if they are equal by value.

    Equal is what compares equal, and also: NaN and NaN, arrays of one shape with equal elements, data frames and series with equal
    cells, objects of one dataclass with equal fields, and files in memory with equal content. Answers may contain themselves.
    """
    left: list[Pair] = [("", answer, expected)]
    entered, kept = set[tuple[int, int]](), list[Any]()  # the parts are kept so that their ids stay theirs
    by_value = False  # whether parts were met that are equal by value and do not compare equal
    while left:
        path, one, other = left.pop()
        outcome = _compared(one, other)
        if outcome is True:
            continue
        if (id(one), id(other)) in entered or (_is_nan(one) and _is_nan(other)) or _has_equal_cells(one, other):
            by_value = True
            continue
        parts = _matched(one, other)
        if isinstance(parts, Difference):
            return parts._replace(path=path + parts.path)
        if parts is None:
            return _shown(path, one, other, outcome)
        by_value = by_value or outcome is not False or _compares_by_identity(one)
        entered.add((id(one), id(other)))
        kept += one, other
        left += [(path + place, *both) for place, *both in reversed(parts)]
    return None if by_value or _compared(answer, expected) is True else _shown("", answer, expected, outcome=False)


def snapshot(answer: Any) -> Any:
    """Return an answer as it is now: built-in containers, arrays and frames are copied, since a later operation may change them."""
    return _copied(answer, {}, depth=20)


def _copied(part: Any, copies: dict[int, Any], depth: int) -> Any:
    kind = type(part)
    if kind in _ATOMS or not depth or (kind is tuple and _ATOMS.issuperset(map(type, part))):
        return part
    if id(part) not in copies:
        copies[id(part)] = part  # until it is copied, for a container within itself
        if kind in {list, tuple, set, frozenset, deque, bytearray}:
            copies[id(part)] = kind(_copied(each, copies, depth - 1) for each in part)
        elif kind in {dict, OrderedDict}:
            copies[id(part)] = kind((key, _copied(value, copies, depth - 1)) for key, value in part.items())
        elif _package(part) in {"numpy", "pandas"} and hasattr(part, "copy"):
            copies[id(part)] = part.copy()
    return copies[id(part)]


def _compared(one: Any, other: Any) -> bool | str:
    """Return whether two parts are identical or compare equal, or the reason why they cannot be compared."""
    if one is other:
        return True
    try:
        result = one == other
        if isinstance(result, bool) or getattr(result, "shape", None) == ():
            return bool(result)
    except Exception as error:  # noqa: BLE001 - the comparison may be the application's, and raise anything
        return f"raised {describe(error)}"
    return f"gave a {type(result).__name__} instead of True or False"


def _is_nan(part: Any) -> bool:
    """Return whether a number or a time is NaN; a complex number is compared by its parts."""
    if isinstance(part, Decimal):
        return part.is_nan()  # comparing a signalling one raises
    if isinstance(part, complex) or not (isinstance(part, Number) or getattr(part, "shape", None) == ()):
        return False
    try:
        return bool(part != part)  # noqa: PLR0124 - which nothing but NaN is
    except Exception:  # noqa: BLE001 - such as that of pandas' NA, which is one object
        return False


def _has_equal_cells(one: Any, other: Any) -> bool:
    """Return whether two arrays, frames or series are equal by their library's own comparison, which is quick."""
    try:
        if _package(one) == _package(other) == "numpy":
            return bool(sys.modules["numpy"].array_equal(one, other, equal_nan=True))
        return type(one) is type(other) and hasattr(one, "equals") and one.equals(other) is True
    except Exception:  # noqa: BLE001 - then they are compared cell by cell
        return False


def _matched(one: Any, other: Any) -> list[Pair] | Difference | None:
    """Return the parts of two containers of one kind that belong together, the difference if some do not, or None for others."""
    names = field_names(one)
    if names is not None and type(one) is type(other):
        return [(f".{name}", field_value(one, name), field_value(other, name)) for name in names]
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return _matched_keys(one, other)
    if isinstance(one, AbstractSet) and isinstance(other, AbstractSet):
        elements = _partners([each for each in one if each not in other], [each for each in other if each not in one])
        return elements if isinstance(elements, Difference) else [("", *both) for both in elements]
    kind = _sequence_kind(one)
    if kind is not None and kind is _sequence_kind(other):
        pairs = [(f"[{number}]", *both) for number, both in enumerate(zip(one, other, strict=False))]
        return pairs if len(one) == len(other) else Difference("", _elements(len(one)), _elements(len(other)))
    return _matched_cells(one, other) if type(one) is type(other) else None


def _matched_cells(one: Any, other: Any) -> list[Pair] | Difference | None:
    shapes = [str(getattr(each, "shape", "")) for each in (one, other)]
    if shapes[0] != shapes[1]:
        return Difference("", f"shape {shapes[0]}", shapes[1])
    plain = _plain(one)
    return None if plain is None else [("", plain, _plain(other))]


def _matched_keys(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> list[Pair] | Difference:
    if isinstance(one, OrderedDict) and isinstance(other, OrderedDict) and one.keys() == other.keys() and list(one) != list(other):
        return Difference("", f"the order {_short(list(one))}", _short(list(other)))
    renamed = _partners([key for key in one if key not in other], [key for key in other if key not in one])
    if isinstance(renamed, Difference):
        return renamed
    keys = [(key, key) for key in other if key in one] + renamed
    return [("", *both) for both in renamed] + [(f"[{_short(key, 40)}]", one[mine], other[key]) for mine, key in keys]


def _partners(ours: list[Any], theirs: list[Any]) -> list[tuple[Any, Any]] | Difference:
    """Return the keys or elements that are equal by value though they hash differently, such as NaN; else the difference."""
    found, left = [], theirs[:PARTNERS]
    for mine in ours[:PARTNERS]:
        partner = next((number for number, each in enumerate(left) if difference(mine, each) is None), None)
        if partner is None:
            break
        found.append((mine, left.pop(partner)))
    if len(found) == len(ours) == len(theirs):
        return found
    mine, missing = ([each for each in side if all(each is not p for pair in found for p in pair)] for side in (ours, theirs))
    names = [_short(side[0], 40) if side else "nothing" for side in (mine, missing)]
    return Difference("", *names)


def _sequence_kind(part: Any) -> type | None:
    """Return the type whose objects a sequence compares equal to; None if it is not a sequence of parts."""
    if isinstance(part, str | bytes | bytearray | memoryview | range) or not isinstance(part, Sequence):
        return None
    if isinstance(part, tuple) or (_package(part) == "sqlalchemy" and hasattr(part, "_mapping")):
        return tuple
    return next((kind for kind in (list, deque) if isinstance(part, kind)), type(part))


def _plain(part: Any) -> Any:
    """Return an array, a frame, a series, a complex number or a file in memory as built-in containers; None for others."""
    if isinstance(part, complex):
        return [part.real, part.imag]
    if isinstance(part, io.BytesIO | io.StringIO):
        return part.getvalue()
    if _package(part) == "pandas" and hasattr(part, "index"):
        columns = list(part.items()) if hasattr(part, "columns") else [(part.name, part)]
        return {"index": part.index.tolist(), **{str(name): cells.tolist() for name, cells in columns}}
    if _package(part) == "polars" and hasattr(part, "columns"):
        return part.to_dict(as_series=False)
    convert = next((name for name in ("tolist", "to_list", "to_pydict", "to_pylist") if hasattr(type(part), name)), None)
    return None if convert is None else getattr(part, convert)()


def _compares_by_identity(part: Any) -> bool:
    return getattr(type(part), "__eq__", None) is object.__eq__


def _package(part: Any) -> str:
    return type(part).__module__.partition(".")[0]


def _shown(path: str, one: Any, other: Any, outcome: bool | str) -> Difference:
    """Return the difference of two parts that are not equal, or could not be compared."""
    failure = outcome if isinstance(outcome, str) and type(one) is type(other) else ""
    if isinstance(one, str | bytes) and type(one) is type(other) and max(len(one), len(other)) > SHOWN:
        start = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
        if start > SHOWN // 4:
            start -= SHOWN // 8
            return Difference(f"{path}[{start}:]", _short(one[start:]), _short(other[start:]), failure)
    found, expected = _short(one), _short(other)
    if type(one) is not type(other) and (found == expected or isinstance(outcome, str)):
        found, expected = (f"{text} ({type(each).__name__})" for text, each in ((found, one), (expected, other)))
    if _compares_by_identity(one) and type(one) is type(other):
        expected += _BY_IDENTITY
    return Difference(path, found, expected, failure)


def _elements(number: int) -> str:
    return f"{number} element{'' if number == 1 else 's'}"


def _short(part: Any, limit: int = SHOWN) -> str:
    """Return a part's representation, cut off at the limit, in one line."""
    try:
        text = repr(part)
    except Exception:  # noqa: BLE001 - the representation is the application's, and may raise anything
        text = f"<{type(part).__name__}>"
    text = " ".join(text.split()) if "\n" in text else text
    return text if len(text) <= limit else f"{text[:limit]}…"
