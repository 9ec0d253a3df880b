"""The named sizes, and a dataset as size, seed and scale."""

from dataclasses import dataclass

SIZES = {"tiny": 1_000, "small": 10_000, "medium": 100_000, "large": 1_000_000}
"""Prompts by name of size. The other tables follow from the prompts."""

BLOCK_PROMPTS = 1_000  # prompts per block; a block of evaluations or test results holds those of one block of prompts
BLOCK_TEMPLATES = 1_000

SEED_LIMIT = 2**63

_PROMPTS_PER_USER = 50
_PROMPTS_PER_TEMPLATE = 100
_MIN_USERS = 20
_MIN_TEMPLATES = 50


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
        if not 0 <= self.seed < SEED_LIMIT:
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
        return max(_MIN_USERS, self.prompts // _PROMPTS_PER_USER)

    @property
    def templates(self) -> int:
        """Number of prompt templates."""
        return max(_MIN_TEMPLATES, self.prompts // _PROMPTS_PER_TEMPLATE)

    @property
    def blocks(self) -> int:
        """Number of blocks of prompts, and so of evaluations and of test results; the last may be short."""
        return -(-self.prompts // BLOCK_PROMPTS)

    @property
    def template_blocks(self) -> int:
        """Number of blocks of prompt templates; the last may be short."""
        return -(-self.templates // BLOCK_TEMPLATES)

    def prompts_in(self, index: int) -> int:
        """Return the number of prompts in a block. Raises IndexError if the dataset has no such block."""
        return _rows_in("prompts", index, self.prompts, BLOCK_PROMPTS)

    def templates_in(self, index: int) -> int:
        """Return the number of prompt templates in a block. Raises IndexError if the dataset has no such block."""
        return _rows_in("prompt_templates", index, self.templates, BLOCK_TEMPLATES)


def _rows_in(table: str, index: int, total: int, block_rows: int) -> int:
    blocks = -(-total // block_rows)
    if not 0 <= index < blocks:
        raise IndexError(f"no block {index} of {table}; this dataset has blocks 0 … {blocks - 1}")
    return min(block_rows, total - index * block_rows)
