"""Random numbers, and ids made of them, as pure functions of (seed, purpose, index).

Each stream is NumPy's Philox generator with its own key, read raw: NEP 19 keeps a bit generator's raw output stable, but not the
output of `Generator`. A prefix of a stream does not depend on how much of it is read.
"""

from enum import IntEnum, unique
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

_INDEX_BITS = 48
ID_CHARS = 36
_GROUPS = ((0, 8), (9, 13), (14, 18), (19, 23), (24, 36))  # positions of an id's five groups of hexadecimal digits


@unique
class Purpose(IntEnum):
    """The use of a stream. The numbers are part of the data: changing one changes the rows."""

    USER_ID = 1
    PROMPT_ID = 10
    PROMPT_CHAIN = 11
    PROMPT_USER = 12
    PROMPT_AGE = 13
    PROMPT_STATE = 14
    PROMPT_TEXT = 15
    EVALUATION_COUNT = 20
    EVALUATION_ID = 21
    EVALUATION_STATE = 22
    TEST_RESULT_COUNT = 30
    TEST_RESULT_ID = 31
    TEST_RESULT_STATE = 32
    TEMPLATE_ID = 40
    TEMPLATE_STATE = 41
    TEMPLATE_TEXT = 42
    ACCESS_PROMPT = 50
    ACCESS_USER = 51
    ACCESS_EVALUATION = 52
    ACCESS_SCRAMBLE = 53


def raw(seed: int, purpose: Purpose, index: int, draws: int) -> NDArray[np.uint64]:
    """Return the first `draws` numbers of a stream, each of 64 uniform bits.

    `index` numbers the streams of one purpose: the block, or the access stream. Raises ValueError for an index outside
    0 … 2**48 - 1.
    """
    if not 0 <= index < 1 << _INDEX_BITS:
        raise ValueError(f"stream {index} is outside 0 … 2**{_INDEX_BITS} - 1; number streams from 0")
    key = np.array([seed, (purpose << _INDEX_BITS) | index], dtype=np.uint64)
    # Little-endian, so that splitting a number into lanes gives the same lanes on every machine.
    return np.random.Philox(key=key).random_raw(draws).astype("<u8", copy=False)


def lanes(numbers: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """Split each 64-bit number into four independent 16-bit ones: indexes into tables of 65 536; shape (4, draws)."""
    return numbers.view("<u2").reshape(-1, 4).T


def uniforms(numbers: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return each number's top 53 bits as a float in [0, 1)."""
    return (numbers >> np.uint64(11)).astype(np.float64) * 2.0**-53


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
    text = np.full((len(words), ID_CHARS), ord("-"), dtype=np.uint8)
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
