"""Who asks for what: ids of existing rows, drawn as a busy service would be asked for them.

Every stream is a pure function of (data set, stream, n), and a longer one starts with the shorter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from datasets.evaluations import evaluations_of
from datasets.ids import chosen_row_ids, users_by_rank
from datasets.prompts import skeleton
from datasets.quantiles import zipf
from datasets.sizes import BLOCK_PROMPTS, Dataset
from datasets.streams import Purpose, raw, uniforms

LATEST_PROMPTS = 10_000
"""How far back the requests for the latest prompts reach."""

_WORDS = 3
"""64-bit numbers behind a request: which half it is of, its rank, and which of a prompt's evaluations it wants."""


@dataclass(frozen=True)
class _Survey:
    """What can be asked for: one value a prompt, and the positions of the newest live prompts, newest first."""

    live: NDArray[np.bool_]
    evaluations: NDArray[np.int64]
    latest: NDArray[np.int64]


def prompt_ids(dataset: Dataset, stream: int, count: int) -> list[str]:
    """Return ids of live prompts, half of them by popularity, half of them the latest.

    Popularity is Zipf 0.99, the popular ones scattered over the table; the latest are Zipf 0.99 over the newest
    LATEST_PROMPTS. Soft-deleted prompts are never asked for.

    Raises:
        ValueError: the data set is so small that it has no live prompt.
    """
    survey = _survey(dataset)
    prompts, _ = _requests(dataset, Purpose.ACCESS_PROMPT, stream, count, survey.live)
    return _ids_at(dataset, Purpose.PROMPT_ID, prompts // BLOCK_PROMPTS, prompts % BLOCK_PROMPTS)


def evaluation_ids(dataset: Dataset, stream: int, count: int) -> list[str]:
    """Return ids of evaluations: any one of those of a live prompt, prompts being asked for as `prompt_ids` does.

    Raises:
        ValueError: the data set is so small that no live prompt has an evaluation.
    """
    survey = _survey(dataset)
    prompts, picks = _requests(dataset, Purpose.ACCESS_EVALUATION, stream, count, survey.live & (survey.evaluations > 0))
    before = np.cumsum(survey.evaluations) - survey.evaluations
    block = prompts // BLOCK_PROMPTS
    position = before[prompts] - before[block * BLOCK_PROMPTS]
    position += (picks % survey.evaluations[prompts].astype(np.uint64)).astype(np.int64)
    return _ids_at(dataset, Purpose.EVALUATION_ID, block, position)


def user_ids(dataset: Dataset, stream: int, count: int) -> list[str]:
    """Return user ids by popularity, Zipf 0.99: the law by which prompts have their users."""
    by_rank = users_by_rank(dataset.seed, dataset.users)
    drawn = uniforms(raw(dataset.seed, Purpose.ACCESS_USER, stream, count))
    return [by_rank[rank] for rank in zipf(drawn, dataset.users).tolist()]


def heavy_users(dataset: Dataset, count: int) -> list[str]:
    """Return the `count` most popular user ids, the most popular first; fewer if there are fewer users."""
    return list(users_by_rank(dataset.seed, dataset.users)[:count])


def _requests(
    dataset: Dataset, purpose: Purpose, stream: int, count: int, wanted: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return `count` positions of wanted prompts, and a number beside each to choose further with."""
    if not wanted.any():
        raise ValueError(f"{dataset} has no row that can be asked for; choose a larger scale")
    draws = count
    while True:
        half, rank, pick = raw(dataset.seed, purpose, stream, _WORDS * draws).reshape(-1, _WORDS).T
        prompts = np.where(half >> np.uint64(63), _popular(dataset, uniforms(rank)), _recent(dataset, uniforms(rank)))
        kept = np.flatnonzero(wanted[prompts])[:count]
        if len(kept) == count:
            return prompts[kept], pick[kept]
        draws *= 2


def _popular(dataset: Dataset, uniform: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return prompts by popularity; multiplying by a number coprime to theirs scatters the ranks, one place each."""
    first, step = (int(number) % dataset.prompts for number in raw(dataset.seed, Purpose.ACCESS_SCRAMBLE, 0, 2))
    while math.gcd(step, dataset.prompts) != 1:
        step += 1
    return (zipf(uniform, dataset.prompts) * step + first) % dataset.prompts


def _recent(dataset: Dataset, uniform: NDArray[np.float64]) -> NDArray[np.int64]:
    latest = _survey(dataset).latest
    return latest[zipf(uniform, len(latest))]


def _ids_at(dataset: Dataset, purpose: Purpose, block: NDArray[np.int64], position: NDArray[np.int64]) -> list[str]:
    """Return the ids of the rows at these positions of these blocks, in the same order, each block made once."""
    ids = np.empty(len(block), dtype=object)
    for index in np.unique(block).tolist():
        there = np.flatnonzero(block == index)
        ids[there] = chosen_row_ids(dataset.seed, purpose, index, position[there])
    return ids.tolist()


@lru_cache(maxsize=4)
def _survey(dataset: Dataset) -> _Survey:
    sizes = [dataset.prompts_in(index) for index in range(dataset.blocks)]
    bones = [skeleton(dataset.seed, index) for index in range(dataset.blocks)]
    live = np.concatenate([~bone.deleted[:size] for bone, size in zip(bones, sizes, strict=True)])
    created_us = np.concatenate([bone.created_us[:size] for bone, size in zip(bones, sizes, strict=True)])
    newest_first = np.argsort(-created_us, kind="stable")
    return _Survey(
        live=live,
        evaluations=np.concatenate([evaluations_of(dataset.seed, index, size) for index, size in enumerate(sizes)]),
        latest=newest_first[live[newest_first]][:LATEST_PROMPTS],
    )
