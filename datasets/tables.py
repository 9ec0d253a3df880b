"""The four tables together: blocks of each, all blocks, single rows, and row counts."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from datasets import evaluations, prompt_templates, prompts, results
from datasets.block import Block, as_dicts
from datasets.sizes import BLOCK_PROMPTS, Dataset

TABLES = ("prompts", "evaluations", "test_results", "prompt_templates")  # the tables, parents before children
DESCRIPTIONS = MappingProxyType(
    {
        "prompts": prompts.DESCRIPTION,
        "evaluations": evaluations.DESCRIPTION,
        "test_results": results.DESCRIPTION,
        "prompt_templates": prompt_templates.DESCRIPTION,
    }
)
"""Table → column → distribution of its values, in one line."""

# Blocks from here on belong to no dataset: scenarios insert them.
_FRESH_BLOCKS = 1 << 40
_FRESH_BLOCKS_PER_STREAM = 1 << 20
_MAX_STREAMS = 1 << 24


def blocks_of(dataset: Dataset, table: str) -> int:
    """Return the number of blocks of a table. Raises ValueError if the table does not exist."""
    _known(table)
    return dataset.template_blocks if table == "prompt_templates" else dataset.blocks


def block(dataset: Dataset, table: str, index: int) -> Block:
    """Return one block of a table: the same rows in any order, in any process.

    Raises ValueError if the table does not exist, IndexError if the block does not.
    """
    _known(table)
    if table == "prompt_templates":
        return prompt_templates.prompt_templates_block(dataset.seed, index, dataset.templates_in(index))
    parents = dataset.prompts_in(index)
    if table == "prompts":
        return prompts.prompts_block(dataset.seed, index, parents, dataset.users)
    if table == "evaluations":
        return evaluations.evaluations_block(dataset.seed, index, parents)
    return results.results_block(dataset.seed, index, parents)


def blocks(dataset: Dataset, tables: Iterable[str] = TABLES) -> Iterator[Block]:
    """Yield the blocks of these tables one at a time, table after table, in constant memory.

    Raises ValueError if a table does not exist.
    """
    for table in tables:
        for index in range(blocks_of(dataset, table)):
            yield block(dataset, table, index)


def rows(dataset: Dataset, table: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table one at a time, as dicts of plain Python values; for small uses.

    Raises ValueError if the table does not exist.
    """
    for made in blocks(dataset, (table,)):
        yield from as_dicts(made)


def prompts_to_insert(dataset: Dataset, stream: int, count: int) -> list[dict[str, Any]]:
    """Return new prompts of the dataset's users, a pure function of the arguments.

    A longer list starts with the shorter. They are distributed like the others, including chains: a row's parent precedes it in the
    list. Their ids are neither in the dataset nor in another stream. Raises ValueError for a stream outside 0 … 2**24 - 1.
    """
    if not 0 <= stream < _MAX_STREAMS:
        raise ValueError(f"stream {stream} is outside 0 … 2**24 - 1; number streams of inserts from 0")
    first = _FRESH_BLOCKS + stream * _FRESH_BLOCKS_PER_STREAM
    made: list[dict[str, Any]] = []
    while len(made) < count:
        fresh = prompts.prompts_block(
            dataset.seed, first + len(made) // BLOCK_PROMPTS, min(BLOCK_PROMPTS, count - len(made)), dataset.users
        )
        made.extend(as_dicts(fresh))
    return made


@lru_cache(maxsize=16)
def _counts(dataset: Dataset) -> MappingProxyType[str, int]:
    sizes = [dataset.prompts_in(index) for index in range(dataset.blocks)]
    return MappingProxyType(
        {
            "prompts": dataset.prompts,
            "evaluations": sum(int(evaluations.evaluations_of(dataset.seed, i, n).sum()) for i, n in enumerate(sizes)),
            "test_results": sum(int(results.results_of(dataset.seed, i, n).sum()) for i, n in enumerate(sizes)),
            "prompt_templates": dataset.templates,
        }
    )


def count_rows(dataset: Dataset) -> dict[str, int]:
    """Return the exact number of rows per table, from the streams of counts alone: no row is generated."""
    return dict(_counts(dataset))


def _known(table: str) -> None:
    if table not in TABLES:
        raise ValueError(f"unknown table {table!r}; choose from {', '.join(TABLES)}")
