"""Seeded synthetic rows of the prompt service: a block is a pure function of (dataset, table, index)."""

from datasets.access import evaluation_ids, heavy_users, prompt_ids, user_ids
from datasets.digest import GENERATOR_VERSION, Digest, digest
from datasets.sizes import SIZES, Block, Dataset, as_dicts
from datasets.tables import DESCRIPTIONS, TABLES, block, blocks, blocks_of, count_rows, prompts_to_insert, rows

__all__ = [
    "DESCRIPTIONS",
    "GENERATOR_VERSION",
    "SIZES",
    "TABLES",
    "Block",
    "Dataset",
    "Digest",
    "as_dicts",
    "block",
    "blocks",
    "blocks_of",
    "count_rows",
    "digest",
    "evaluation_ids",
    "heavy_users",
    "prompt_ids",
    "prompts_to_insert",
    "rows",
    "user_ids",
]
