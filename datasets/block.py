"""A block: some rows of one table, column by column."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Column = NDArray[Any] | list[str] | list[str | None]
"""One value per row. Numbers, flags and times are arrays, times as datetime64[us] in UTC; text is a list of strings.

NULL is None in a list, NaN among floats and NaT among times.
"""


@dataclass(frozen=True)
class Block:
    """The rows of one block of a table. Must not be modified."""

    table: str
    index: int
    columns: Mapping[str, Column]  # columns by name, in the table's order, all of the same length

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values())))


def as_dicts(block: Block) -> Iterator[dict[str, Any]]:
    """Return one dict per row, with plain Python values: naive UTC datetimes, None for NULL."""
    columns = [_plain(column) for column in block.columns.values()]
    return (dict(zip(block.columns, row, strict=True)) for row in zip(*columns, strict=True))


def _plain(column: Column) -> list[Any]:
    if isinstance(column, list):
        return list(column)
    values = column.tolist()
    # NaT becomes None by itself; NaN is the one value that differs from itself.
    return [None if value != value else value for value in values] if column.dtype.kind == "f" else values  # noqa: PLR0124
