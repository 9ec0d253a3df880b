"""The digest of a dataset: it shows whether two runs used the same rows."""

import hashlib

import numpy as np

from datasets.sizes import Block, Column, Dataset
from datasets.tables import TABLES, blocks, blocks_of

GENERATOR_VERSION = 1  # increase it whenever the rows of a seed change. 1: the first version

# Separators that do not occur in the rows' text.
_BETWEEN = "\x1f"
_NULL = "\x00"


class Digest:
    """SHA-256 over a dataset's rows. Its blocks may be added in any order, while they are used for another purpose."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._of_blocks: dict[tuple[str, int], bytes] = {}

    def add(self, block: Block) -> None:
        """Add a block; adding it again changes nothing."""
        self._of_blocks[block.table, block.index] = block_digest(block)

    def hexdigest(self) -> str:
        """Return the digest of the whole dataset, 64 hexadecimal digits. Raises ValueError if blocks are missing."""
        expected = [(table, index) for table in sorted(TABLES) for index in range(blocks_of(self._dataset, table))]
        missing = [f"{table} {index}" for table, index in expected if (table, index) not in self._of_blocks]
        if missing:
            raise ValueError(f"{len(missing)} of {len(expected)} blocks were not added, {missing[0]} first; add every block")
        header = (GENERATOR_VERSION, self._dataset.size, self._dataset.seed, repr(self._dataset.scale))
        whole = hashlib.sha256(repr(header).encode())
        for key in expected:
            whole.update(repr(key).encode() + self._of_blocks[key])
        return whole.hexdigest()


def digest(dataset: Dataset) -> str:
    """Return the digest of a dataset by generating all its rows, 64 hexadecimal digits."""
    whole = Digest(dataset)
    for block in blocks(dataset):
        whole.add(block)
    return whole.hexdigest()


def block_digest(block: Block) -> bytes:
    """Return the SHA-256 of a block's rows, 32 bytes."""
    sha = hashlib.sha256(f"{block.table} {block.index} {block.rows}".encode())
    for name, column in block.columns.items():
        sha.update(f"{_BETWEEN}{name}{_BETWEEN}".encode())
        sha.update(_canonical(column))
    return sha.digest()


def _canonical(column: Column) -> bytes:
    if isinstance(column, list):
        try:
            return _BETWEEN.join(column).encode()  # type: ignore[arg-type]  # the except clause handles None
        except TypeError:
            return _BETWEEN.join(_NULL if value is None else value for value in column).encode()
    if column.dtype.kind == "f":
        return np.where(np.isnan(column), np.nan, column).astype("<f8").tobytes()  # one bit pattern for every NaN
    return column.astype("?" if column.dtype.kind == "b" else "<i8").tobytes()
