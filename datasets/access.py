"""Access patterns: ids of existing rows, drawn with the skew of a busy service.

Every stream is a pure function of (dataset, stream, n), and a longer one starts with the shorter.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from datasets.prompts import skeleton
from datasets.quantiles import zipf
from datasets.sizes import BLOCK_PROMPTS, Dataset
from datasets.streams import Purpose, chosen_row_ids, raw, uniforms, users_by_rank
from datasets.tables import evaluations_of

LATEST_PROMPTS = 10_000  # number of newest prompts that requests for recent prompts are drawn from
_NUMBERS = 3  # 64-bit numbers per request: its half, its rank, and the choice among a prompt's evaluations


@dataclass(frozen=True)
class _Survey:
    """The rows that can be requested, one value per prompt."""

    live: NDArray[np.bool_]
    evaluations: NDArray[np.int64]
    latest: NDArray[np.int64]  # positions of the newest live prompts, newest first


def prompt_ids(dataset: Dataset, stream: int, count: int) -> list[str]:
    """Return ids of live prompts, half of them by popularity, half of them recent.

    Popularity is Zipf 0.99, with the popular prompts scattered over the table; recency is Zipf 0.99 over the newest LATEST_PROMPTS.
    Soft-deleted prompts are never returned. Raises ValueError if there is no live prompt.
    """
    survey = _survey(dataset)
    prompts, _ = _requests(dataset, Purpose.ACCESS_PROMPT, stream, count, survey.live)
    return _ids_at(dataset, Purpose.PROMPT_ID, prompts // BLOCK_PROMPTS, prompts % BLOCK_PROMPTS)


def evaluation_ids(dataset: Dataset, stream: int, count: int) -> list[str]:
    """Return ids of evaluations, each of a live prompt drawn as by `prompt_ids`. Raises ValueError if no live prompt has one."""
    survey = _survey(dataset)
    prompts, picks = _requests(dataset, Purpose.ACCESS_EVALUATION, stream, count, survey.live & (survey.evaluations > 0))
    before = np.cumsum(survey.evaluations) - survey.evaluations
    block = prompts // BLOCK_PROMPTS
    position = before[prompts] - before[block * BLOCK_PROMPTS]
    position += (picks % survey.evaluations[prompts].astype(np.uint64)).astype(np.int64)
    return _ids_at(dataset, Purpose.EVALUATION_ID, block, position)


def user_ids(dataset: Dataset, stream: int, count: int) -> list[str]:
    """Return user ids by popularity, Zipf 0.99: the distribution of prompts over users."""
    by_rank = users_by_rank(dataset.seed, dataset.users)
    drawn = uniforms(raw(dataset.seed, Purpose.ACCESS_USER, stream, count))
    return [by_rank[rank] for rank in zipf(drawn, dataset.users).tolist()]


def heavy_users(dataset: Dataset, count: int) -> list[str]:
    """Return the `count` most popular user ids, the most popular first; fewer if there are fewer users."""
    return list(users_by_rank(dataset.seed, dataset.users)[:count])


def _requests(
    dataset: Dataset, purpose: Purpose, stream: int, count: int, wanted: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return `count` positions of wanted prompts, and a random number for each for further choices."""
    if not wanted.any():
        raise ValueError(f"{dataset} has no row that can be requested; choose a larger scale")
    draws, latest = count, _survey(dataset).latest
    while True:
        half, rank, pick = raw(dataset.seed, purpose, stream, _NUMBERS * draws).reshape(-1, _NUMBERS).T
        recent = latest[zipf(uniforms(rank), len(latest))]
        prompts = np.where(half >> np.uint64(63), _popular(dataset, uniforms(rank)), recent)
        kept = np.flatnonzero(wanted[prompts])[:count]
        if len(kept) == count:
            return prompts[kept], pick[kept]
        draws *= 2


def _popular(dataset: Dataset, uniform: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return prompts by popularity; multiplication by a number coprime to their count scatters the ranks one to one."""
    first, step = (int(number) % dataset.prompts for number in raw(dataset.seed, Purpose.ACCESS_SCRAMBLE, 0, 2))
    while math.gcd(step, dataset.prompts) != 1:
        step += 1
    return (zipf(uniform, dataset.prompts) * step + first) % dataset.prompts


def _ids_at(dataset: Dataset, purpose: Purpose, block: NDArray[np.int64], position: NDArray[np.int64]) -> list[str]:
    """Return the ids of the rows at these positions of these blocks, in the same order, creating each block once."""
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
