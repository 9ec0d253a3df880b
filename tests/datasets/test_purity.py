"""A block is a pure function of dataset, table and index: order, process and size do not matter."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import SIZES, TABLES, Block, Dataset, block, blocks, blocks_of, count_rows, rows
from datasets.digest import block_digest

INDEXED_TABLES = [table for table in TABLES if table != "prompt_templates"]


def same(left: Block, right: Block) -> bool:
    """Return whether two blocks hold the same rows."""
    return (left.table, left.index) == (right.table, right.index) and block_digest(left) == block_digest(right)


@given(order=st.permutations([(table, index) for table in INDEXED_TABLES for index in (0, 7, 99)]), seed=st.integers(0, 3))
@settings(max_examples=6, deadline=None)
def test_blocks_are_the_same_in_any_order(order: list[tuple[str, int]], seed: int) -> None:
    """A block has the same rows whatever was generated before it."""
    dataset = Dataset("medium", seed)
    digests = {key: block_digest(block(dataset, *key)) for key in order}
    assert digests == {key: block_digest(block(dataset, *key)) for key in sorted(order)}


def test_blocks_are_the_same_in_another_process() -> None:
    """A new interpreter that generates only the last block generates the same rows."""
    code = (
        "from datasets import *; from datasets.digest import block_digest\n"
        "print(block_digest(block(Dataset('medium', 5), 'test_results', 99)).hex(), end='')"
    )
    there = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert there.stdout == block_digest(block(Dataset("medium", 5), "test_results", 99)).hex()


@given(scale=st.floats(0.0005, 1.0), seed=st.integers(0, 2**63 - 1))
@settings(max_examples=8, deadline=None)
def test_a_smaller_dataset_is_a_prefix(scale: float, seed: int) -> None:
    """Every column except user_id starts with the rows of a smaller scale of the same seed."""
    small, whole = Dataset("tiny", seed, scale), Dataset("tiny", seed)
    for table in TABLES:
        part, full = block(small, table, 0), block(whole, table, 0)
        for name, column in part.columns.items():
            if name != "user_id":
                np.testing.assert_array_equal(column, full.columns[name][: part.rows], err_msg=f"{table}.{name}")


def test_seeds_have_other_rows() -> None:
    """No id of one seed is in another."""
    ids = [set(block(Dataset("tiny", seed), "evaluations", 0).columns["id"]) for seed in (0, 1)]
    assert not ids[0] & ids[1]


@pytest.mark.parametrize("dataset", [Dataset("tiny"), Dataset("small", 4, 0.25), Dataset("small", 0, 0.0123)])
def test_counts_are_those_of_the_rows(dataset: Dataset) -> None:
    """Counting without generating rows gives the number of rows generated."""
    made = dict.fromkeys(TABLES, 0)
    for one in blocks(dataset):
        made[one.table] += one.rows
    assert made == count_rows(dataset)


def test_all_blocks_come_once_parents_first() -> None:
    """Iteration gives every block of every table, table after table."""
    dataset = Dataset("small", 0, 0.35)
    keys = [(one.table, one.index) for one in blocks(dataset)]
    assert keys == [(table, index) for table in TABLES for index in range(blocks_of(dataset, table))]


def test_rows_are_plain_values() -> None:
    """A row is a dict of Python values that equals its block."""
    first = next(rows(Dataset("tiny"), "evaluations"))
    column = block(Dataset("tiny"), "evaluations", 0).columns
    assert first["id"] == column["id"][0]
    assert np.datetime64(first["created_at"]) == column["created_at"][0]
    assert {type(value).__name__ for value in first.values()} <= {"str", "float", "datetime", "NoneType"}


def test_the_last_block_is_short() -> None:
    """A scale that is not a multiple of the block leaves the remainder to the last block."""
    dataset = Dataset("small", 0, 0.25)
    assert (dataset.prompts, dataset.blocks, block(dataset, "prompts", 2).rows) == (2_500, 3, 500)


@pytest.mark.parametrize(
    ("size", "seed", "scale", "message"),
    [
        ("huge", 0, 1.0, "unknown size 'huge'"),
        ("tiny", -1, 1.0, "seed -1 is outside"),
        ("tiny", 2**63, 1.0, "is outside 0"),
        ("tiny", 0, 0.0, "scale 0.0 is outside"),
        ("tiny", 0, 1.01, "scale 1.01 is outside"),
        ("tiny", 0, float("nan"), "scale nan is outside"),
    ],
)
def test_invalid_datasets_are_refused(size: str, seed: int, scale: float, message: str) -> None:
    """An unknown size, or a seed or scale out of range, is refused by name."""
    with pytest.raises(ValueError, match=message):
        Dataset(size, seed, scale)


def test_unknown_tables_and_blocks_are_refused() -> None:
    """An unknown table or block is refused by name."""
    with pytest.raises(ValueError, match="unknown table 'users'"):
        block(Dataset("tiny"), "users", 0)
    with pytest.raises(IndexError, match="no block 1 of prompts"):
        block(Dataset("tiny"), "prompts", 1)


def test_derived_counts_follow_the_prompts() -> None:
    """Users and templates grow with the prompts, and have a minimum."""
    assert SIZES == {"tiny": 1_000, "small": 10_000, "medium": 100_000, "large": 1_000_000}
    large, tiny = Dataset("large"), Dataset("tiny", 0, 0.001)
    assert (large.users, large.templates, large.blocks, large.template_blocks) == (20_000, 10_000, 1_000, 10)
    assert (tiny.prompts, tiny.users, tiny.templates, tiny.blocks) == (1, 20, 50, 1)
