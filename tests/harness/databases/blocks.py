"""A block of rows for the tests of bulk load."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rows:
    """Rows of one table, by column."""

    table: str
    columns: Mapping[str, Any]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values())))
