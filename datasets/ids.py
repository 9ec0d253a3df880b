"""Ids: version 4 UUID strings whose random bits come from a stream."""

from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from datasets.streams import Purpose, raw

ID_CHARS = 36
_HYPHEN = ord("-")
_GROUPS = ((0, 8), (9, 13), (14, 18), (19, 23), (24, 36))
"""Positions of an id's five groups of hexadecimal digits between its hyphens."""


@cache
def _hexadecimal() -> NDArray[np.uint32]:
    """Return the four ASCII digits of every 16-bit number, as 65 536 words of four bytes."""
    digits = "".join(f"{number:04x}" for number in range(1 << 16)).encode("ascii")
    return np.frombuffer(digits, dtype=np.uint32)


def uuids(numbers: NDArray[np.uint64]) -> list[str]:
    """Return the ids for pairs of 64-bit numbers; `numbers` holds two per id and is not modified.

    122 bits are random: among the 40 million ids of the largest dataset, two are equal with a probability below 1e-21.
    """
    words = numbers.copy().view("<u2").reshape(-1, 8)
    words[:, 3] = words[:, 3] & 0x0FFF | 0x4000  # version 4
    words[:, 4] = words[:, 4] & 0x3FFF | 0x8000  # the variant of RFC 9562
    digits = _hexadecimal()[words].view(np.uint8).reshape(-1, 32)
    text = np.full((len(words), ID_CHARS), _HYPHEN, dtype=np.uint8)
    taken = 0
    for start, stop in _GROUPS:
        text[:, start:stop] = digits[:, taken : taken + stop - start]
        taken += stop - start
    # One decode and plain slices cost a third of a string array's own conversion.
    joined = text.tobytes().decode("ascii")
    return [joined[start : start + ID_CHARS] for start in range(0, len(joined), ID_CHARS)]


def row_ids(seed: int, purpose: Purpose, index: int, rows: int) -> tuple[str, ...]:
    """Return the ids of the first `rows` rows of a block."""
    return tuple(uuids(raw(seed, purpose, index, 2 * rows)))


def chosen_row_ids(seed: int, purpose: Purpose, index: int, positions: NDArray[np.int64]) -> list[str]:
    """Return the ids of the rows at these positions of a block, without formatting the others."""
    if not len(positions):
        return []
    numbers = raw(seed, purpose, index, 2 * (int(positions.max()) + 1)).reshape(-1, 2)
    return uuids(numbers[positions].ravel())


@lru_cache(maxsize=4)
def users_by_rank(seed: int, users: int) -> tuple[str, ...]:
    """Return the user ids, the most popular first. A user's id does not depend on the number of users."""
    return row_ids(seed, Purpose.USER_ID, 0, users)
