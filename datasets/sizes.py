"""The named sizes, a dataset as size, seed and scale, and its blocks: some rows of one table, column by column."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

SIZES = {"tiny": 1_000, "small": 10_000, "medium": 100_000, "large": 1_000_000}  # prompts; the other tables follow from them
BLOCK_PROMPTS = 1_000  # prompts per block; a block of evaluations or test results holds those of one block of prompts
BLOCK_TEMPLATES = 1_000


Column = NDArray[Any] | list[str] | list[str | None]
"""One value per row. Numbers, flags and times are arrays, times as datetime64[us] in UTC; text is a list of strings.

NULL is None in a list, NaN among floats and NaT among times.
"""


@dataclass(frozen=True)
class Dataset:
    """The identity of a set of rows.

    Rows are generated one by one within their block, so a smaller dataset is a prefix of a larger one of the same seed, table by
    table, in every column except one: `prompts.user_id` is drawn from the dataset's own `users`, because a dataset a hundred times
    larger has a hundred times the users, not users that are a hundred times busier. Raises ValueError for an unknown
    size, a seed outside 0 … 2**63 - 1, or a scale outside (0, 1].
    """

    size: str = "small"  # a key of SIZES
    seed: int = 0
    scale: float = 1.0  # share of the size's prompts

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise ValueError(f"unknown size {self.size!r}; choose from {', '.join(SIZES)}")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed {self.seed} is outside 0 … 2**63 - 1; choose a seed in that range")
        if not 0 < self.scale <= 1:
            raise ValueError(f"scale {self.scale} is outside (0, 1]; choose a share of the size's rows")

    @property
    def prompts(self) -> int:
        """Number of prompts."""
        return max(1, round(SIZES[self.size] * self.scale))

    @property
    def users(self) -> int:
        """Number of users that prompts are drawn for; the least popular may have none."""
        return max(20, self.prompts // 50)

    @property
    def templates(self) -> int:
        """Number of prompt templates."""
        return max(50, self.prompts // 100)

    @property
    def blocks(self) -> int:
        """Number of blocks of prompts, and so of evaluations and of test results; the last may be short."""
        return -(-self.prompts // BLOCK_PROMPTS)

    @property
    def template_blocks(self) -> int:
        """Number of blocks of prompt templates; the last may be short."""
        return -(-self.templates // BLOCK_TEMPLATES)

    def prompts_in(self, index: int) -> int:
        """Return the number of prompts in a block."""
        return min(BLOCK_PROMPTS, self.prompts - index * BLOCK_PROMPTS)

    def templates_in(self, index: int) -> int:
        """Return the number of prompt templates in a block."""
        return min(BLOCK_TEMPLATES, self.templates - index * BLOCK_TEMPLATES)


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
