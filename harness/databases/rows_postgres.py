"""Rows as PostgreSQL's COPY takes them in binary form: a whole block encoded at once, column by column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.databases.rows import RowBlock
from harness.errors import UsageError

Column = Sequence[Any] | NDArray[Any]

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""What stands before the first row: the format's name, no flags, no extension."""

END = b"\xff\xff"
"""What stands after the last row."""

_EPOCH_US = 946_684_800_000_000  # PostgreSQL counts from 2000, NumPy from 1970
_FIRST_US = -210_866_803_200_000_000  # 4714-11-24 BC, where PostgreSQL's timestamps begin, counted from 1970


@dataclass(frozen=True)
class _Values:
    """A column's values end to end in `data` (uint8), and where each row's lies: `starts` and `sizes` in bytes, -1 for NULL."""

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]


def encode(block: RowBlock, types: Mapping[str, str]) -> memoryview:
    """Return a block's rows in COPY's binary format, without the signature and the end; `types` are the table's, by column.

    A row is the number of its fields (int16), then of each field the size in bytes (int32, -1 for NULL) and the value, numbers
    with the high byte first: the manual of PostgreSQL, COPY, "Binary Format".

    Raises:
        UsageError: there is no such column, or a value does not fit it.
    """
    for name, column in block.columns.items():
        if len(column) != block.rows:
            raise UsageError(f"{block.table}.{name} has {len(column)} values for {block.rows} rows; mend the block")
    fields = [_values(block.table, name, column, types) for name, column in block.columns.items()]
    if not block.rows:
        return memoryview(b"")
    widths = np.full(block.rows, 2, np.int64)
    for field in fields:
        widths += 4 + np.maximum(field.sizes, 0)
    ends = np.cumsum(widths)
    at = ends - widths
    rows = np.empty(ends[-1], np.uint8)
    _items(rows, 2)[at] = np.full(block.rows, len(fields), ">i2").view("V2")
    at += 2
    for field in fields:
        _items(rows, 4)[at] = field.sizes.astype(">i4").view("V4")
        at += 4
        # Values of one size are moved in one step, whatever their number. NumPy moves an item of any size as a whole, so this is
        # as fast for a column of 36-character ids as for one of numbers.
        for size, which in _by_size(field.sizes):
            if size > 0:
                _items(rows, size)[at[which]] = _items(field.data, size)[field.starts[which]]
        at += np.maximum(field.sizes, 0)
    return rows.data


def _items(data: NDArray[np.uint8], size: int) -> NDArray[np.void]:
    """Return a view of the items of `size` bytes that begin at each byte; they overlap."""
    return np.ndarray((len(data) - size + 1,), f"V{size}", data, strides=(1,))


def _by_size(sizes: NDArray[np.int64]) -> Iterable[tuple[int, NDArray[np.int64] | slice]]:
    """Return each size that occurs, and the rows of that size."""
    if sizes.min() == sizes.max():
        return [(int(sizes[0]), slice(None))]
    order = np.argsort(sizes, kind="stable")
    runs = np.split(order, np.flatnonzero(np.diff(sizes[order])) + 1)
    return [(int(sizes[run[0]]), run) for run in runs]


def _values(table: str, name: str, column: Column, types: Mapping[str, str]) -> _Values:
    if name not in types:
        raise UsageError(f"no column named {name!r} in {table}, which has {', '.join(types)}; name one of them in the block")
    if types[name] not in _ENCODERS:
        raise UsageError(f"{table}.{name} is of type {types[name]}, and only {', '.join(_ENCODERS)} can be loaded; add it there")
    try:
        return _ENCODERS[types[name]](column)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{table}.{name} cannot be {types[name]}: {error}; mend the rows, which do not fit the table") from error


def _texts(column: Column) -> _Values:
    texts = column.tolist() if isinstance(column, np.ndarray) else column
    nulls: list[int] = []
    try:
        joined = "".join(texts)
    except TypeError:
        nulls = [row for row, text in enumerate(texts) if text is None]
        texts = ["" if text is None else text for text in texts]
        joined = "".join(texts)
    if "\0" in joined:
        raise ValueError("a text holds the character NUL, which PostgreSQL cannot store")
    data = joined.encode()
    is_ascii = len(data) == len(joined)
    sizes = np.fromiter(map(len, texts if is_ascii else map(str.encode, texts)), np.int64, len(texts))
    starts = np.cumsum(sizes) - sizes
    sizes[nulls] = -1
    return _Values(np.frombuffer(data, np.uint8), starts, sizes)


def _integers(column: Column, *, dtype: str) -> _Values:
    values, nulls = _array(column, "biuf")
    kept = values[~nulls]
    if kept.dtype.kind == "f" and not np.array_equal(kept, np.trunc(kept)):
        raise ValueError("a number is not whole")
    limits = np.iinfo(dtype)
    for number in (kept.min(), kept.max()) if kept.size else ():
        if not limits.min <= number <= limits.max or int(number) > limits.max:
            raise ValueError(f"{number} is outside {limits.min} … {limits.max}")
    return _fixed(values, nulls, dtype)


def _floats(column: Column) -> _Values:
    return _fixed(*_array(column, "biuf"), ">f8")


def _flags(column: Column) -> _Values:
    return _fixed(*_array(column, "b"), "?")


def _times(column: Column) -> _Values:
    values, nulls = _array(column, "M")
    us = values.astype("datetime64[us]").view(np.int64)
    if (us[~nulls] < _FIRST_US).any():
        raise ValueError("a time is before 4714-11-24 BC")
    return _fixed(np.where(nulls, 0, us) - _EPOCH_US, nulls, ">i8")


def _array(column: Column, kinds: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return a column as an array of one of these kinds of NumPy's, and which of its rows are NULL."""
    if isinstance(column, np.ndarray):
        values, nulls = column, np.zeros(len(column), np.bool_)
    else:
        nulls = np.fromiter((value is None for value in column), np.bool_, len(column))
        any_value = next((value for value in column if value is not None), 0)
        values = np.array([any_value if value is None else value for value in column])
    if values.dtype.kind == "f":
        nulls = nulls | np.isnan(values)
    elif values.dtype.kind == "M":
        nulls = nulls | np.isnat(values)
    if values.dtype.kind not in kinds and not nulls.all():
        raise ValueError(f"its values are {values.dtype}")
    return values, nulls


def _fixed(values: NDArray[Any], nulls: NDArray[np.bool_], dtype: str) -> _Values:
    stored = np.where(nulls, np.zeros(1, values.dtype), values).astype(dtype)
    size = stored.dtype.itemsize
    return _Values(stored.view(np.uint8), np.arange(len(stored)) * size, np.where(nulls, -1, size))


_ENCODERS: Mapping[str, Callable[[Column], _Values]] = {
    "int2": partial(_integers, dtype=">i2"),
    "int4": partial(_integers, dtype=">i4"),
    "int8": partial(_integers, dtype=">i8"),
    "float8": _floats,
    "bool": _flags,
    "timestamp": _times,
    "timestamptz": _times,
    "text": _texts,
    "varchar": _texts,
    "bpchar": _texts,
}
