"""The four tables together: a block of any of them, all blocks, single rows, and how many there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from datasets import evaluations, prompt_templates, prompts, results
from datasets.block import Block, as_dicts
from datasets.sizes import BLOCK_PROMPTS, Dataset

TABLES = ("prompts", "evaluations", "test_results", "prompt_templates")
"""The tables, parents before children."""

DESCRIPTIONS = MappingProxyType(
    {
        "prompts": prompts.DESCRIPTION,
        "evaluations": evaluations.DESCRIPTION,
        "test_results": results.DESCRIPTION,
        "prompt_templates": prompt_templates.DESCRIPTION,
    }
)
"""Table → column → how its values are distributed, in a line."""

# Blocks from here on belong to no data set: they are what a scenario inserts.
_FRESH_BLOCKS = 1 << 40
_FRESH_BLOCKS_PER_STREAM = 1 << 20
_MAX_STREAMS = 1 << 24


def blocks_of(dataset: Dataset, table: str) -> int:
    """Return how many blocks a table has.

    Raises:
        ValueError: no such table.
    """
    _known(table)
    return dataset.template_blocks if table == "prompt_templates" else dataset.blocks


def block(dataset: Dataset, table: str, index: int) -> Block:
    """Return one block of a table: the same rows in any order, in any process.

    Raises:
        ValueError: no such table.
        IndexError: no such block.
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
    """Make the blocks of these tables one at a time, table after table; memory stays flat.

    Raises:
        ValueError: no such table.
    """
    for table in tables:
        for index in range(blocks_of(dataset, table)):
            yield block(dataset, table, index)


def rows(dataset: Dataset, table: str) -> Iterator[dict[str, Any]]:
    """Make the rows of a table one at a time, a dict each with plain Python values; for small uses.

    Raises:
        ValueError: no such table.
    """
    for made in blocks(dataset, (table,)):
        yield from as_dicts(made)


def prompts_to_insert(dataset: Dataset, stream: int, count: int) -> list[dict[str, Any]]:
    """Return new prompts of the data set's users, a pure function of the arguments.

    A longer list starts with the shorter. They look like the rest, chains included: a row's parent stands before
    it in the list. Their ids are neither in the data set nor in another stream.

    Raises:
        ValueError: a stream outside 0 … 2**24 - 1.
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
    """Return the exact number of rows by table, from the streams of counts alone: no row is made."""
    return dict(_counts(dataset))


def _known(table: str) -> None:
    if table not in TABLES:
        raise ValueError(f"no table named {table!r}; choose one of {', '.join(TABLES)}")
