"""Random numbers as pure functions of (seed, purpose, index).

Each stream is NumPy's Philox generator with its own key, read raw: NEP 19 keeps a bit generator's raw output stable, but not the
output of `Generator`. A prefix of a stream does not depend on how much of it is read.
"""

from enum import IntEnum, unique

import numpy as np
from numpy.typing import NDArray

_INDEX_BITS = 48


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
