"""The table `prompts`: chains of versions, some of them imported in bulk."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from datasets.pools import LANGUAGES, MAX_TEXT_CHARS, pools
from datasets.quantiles import Choice, below, early_share, exponential, log_normal, part_of, zipf
from datasets.sizes import BLOCK_PROMPTS, Block
from datasets.streams import Purpose, lanes, raw, row_ids, uniforms, users_by_rank

DESCRIPTION = {
    "id": "UUID v4 from the stream",
    "user_id": "Zipf 0.99 over the users; one user per chain of versions",
    "title": "20-60 characters, one per chain",
    "content": "log-normal, median 1 400 characters, sigma 1.0, 20-32 000; English 60 %, Japanese 35 %, with emoji 5 %",
    "status": "active 80 %, draft 15 %, archived 5 %",
    "version": "1, 2, 3 … along a chain; chain length geometric, mean 3",
    "parent_id": "the previous version; NULL for version 1",
    "created_at": "exponential age, mean 180 days, below 2 years; 5 % share it with a neighbouring row of the same user",
    "updated_at": "created_at for half of the rows, otherwise soon after",
    "deleted_at": "set for 8 %, after updated_at",
}

US_PER_DAY = 86_400_000_000
NOW_US = int(np.datetime64("2025-10-01T00:00:00", "us").astype(np.int64))  # present time of the data, since 1970 UTC
_YOUNGEST_US = 60_000_000  # leaves time for later events: updates, evaluations
_STATUS = Choice({"active": 0.80, "draft": 0.15, "archived": 0.05})
_LANGUAGE = Choice(LANGUAGES)


@dataclass(frozen=True)
class Skeleton:
    """The data of a block of prompts that other tables and access streams need, per row; times in microseconds since 1970 UTC."""

    chain: NDArray[np.int64]  # position of the row that begins the row's chain of versions
    imports: NDArray[np.int64]  # position of the first row of the chains imported together with the row's chain
    created_us: NDArray[np.int64]
    updated_us: NDArray[np.int64]
    deleted: NDArray[np.bool_]
    deleted_us: NDArray[np.int64]
    status: NDArray[np.uint8]


@lru_cache(maxsize=4)
def prompt_ids(seed: int, index: int) -> tuple[str, ...]:
    """Return the ids of a whole block."""
    return row_ids(seed, Purpose.PROMPT_ID, index, BLOCK_PROMPTS)


@lru_cache(maxsize=4)
def skeleton(seed: int, index: int) -> Skeleton:
    """Return the chains, times and states of a whole block. A short block is a prefix of it."""
    position = np.arange(BLOCK_PROMPTS)
    # An independent draw per row makes chain lengths geometric. No chain crosses a block boundary.
    starts, imported, *_ = lanes(raw(seed, Purpose.PROMPT_CHAIN, index, BLOCK_PROMPTS))
    first = starts < below(1 / 3)
    first[0] = True
    # Two rows share each such instant, and a third of the rows begin a chain: 7.5 % of the chains are 5 % of the rows.
    joined = first & (imported < below(0.075))
    joined[0] = False
    chain = _last(position, where=first)
    imports = _last(position, where=first & ~joined)

    oldest_us = 730 * US_PER_DAY - _YOUNGEST_US
    ages = exponential(raw(seed, Purpose.PROMPT_AGE, index, BLOCK_PROMPTS), 180 * US_PER_DAY, oldest_us)
    # Sorting within the group preserves the distribution of ages and makes later versions newer.
    created = NOW_US - _YOUNGEST_US - ages[np.lexsort((-ages, imports))]
    created = created[_last(position, where=~joined)]

    status, deleted, update, deletion = lanes(raw(seed, Purpose.PROMPT_STATE, index, BLOCK_PROMPTS))
    updated = created + part_of(NOW_US - created, early_share(0.5, 3)[update])
    return Skeleton(
        chain=chain,
        imports=imports,
        created_us=created,
        updated_us=updated,
        deleted=deleted < below(0.08),
        deleted_us=updated + part_of(NOW_US - updated, early_share(0.0, 2)[deletion]),
        status=_STATUS.codes(status),
    )


def prompts_block(seed: int, index: int, rows: int, users: int) -> Block:
    """Return the first `rows` rows of a block of prompts, drawn for `users` users."""
    bones = skeleton(seed, index)
    ids = prompt_ids(seed, index)
    chain = bones.chain[:rows]
    version = np.arange(rows) - chain + 1
    rank = zipf(uniforms(raw(seed, Purpose.PROMPT_USER, index, rows)), users)[bones.imports[:rows]]
    by_rank = users_by_rank(seed, users)

    drawn = raw(seed, Purpose.PROMPT_TEXT, index, 2 * rows).reshape(-1, 2)
    speech, heading, length, _ = lanes(drawn[:, 0].copy())
    language = _LANGUAGE.codes(speech[chain])
    words = pools(seed)
    titles = words.titles[language, heading[chain] % words.titles.shape[1]]
    content = words.texts(language, log_normal(1_400, 1.0, 20, MAX_TEXT_CHARS)[length], drawn[:, 1])

    deleted = bones.deleted_us[:rows].astype("datetime64[us]")
    deleted[~bones.deleted[:rows]] = np.datetime64("NaT", "us")
    return Block(
        "prompts",
        index,
        {
            "id": list(ids[:rows]),
            "user_id": [by_rank[r] for r in rank.tolist()],
            "title": titles.tolist(),
            "content": content,
            "status": _STATUS.labels(bones.status[:rows]),
            "version": version,
            "parent_id": [None if v == 1 else ids[row - 1] for row, v in enumerate(version.tolist())],
            "created_at": bones.created_us[:rows].astype("datetime64[us]"),
            "updated_at": bones.updated_us[:rows].astype("datetime64[us]"),
            "deleted_at": deleted,
        },
    )


def _last(position: NDArray[np.int64], where: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for each row the last position up to it at which `where` is true; it is true at the first row."""
    return np.maximum.accumulate(np.where(where, position, 0))
