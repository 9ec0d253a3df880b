"""The table `evaluations`: the evaluations of one block of prompts, ordered by prompt."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from datasets.block import Block
from datasets.ids import row_ids
from datasets.prompts import NOW_US, prompt_ids, skeleton
from datasets.quantiles import Choice, below, early_share, log_normal, normal, part_of
from datasets.streams import Purpose, lanes, raw

DESCRIPTION = {
    "id": "UUID v4 from the stream",
    "prompt_id": "evaluations per prompt: log-normal, median 4, sigma 1.1, 0-5 000",
    "status": "completed 85 %, running 5 %, pending 5 %, failed 5 %",
    "provider": "one of 4, by the model",
    "model": "one of 8, the first 30 %",
    "overall_score": "normal, mean 0.72, deviation 0.16, 0-1, 4 decimals; NULL unless completed, and for 3 % of those",
    "created_at": "after the prompt's, mostly soon",
}

_SCORE_STEPS = 10_000
_UNSCORED = below(0.03)
_STATUS = Choice({"completed": 0.85, "running": 0.05, "pending": 0.05, "failed": 0.05})
_PROVIDERS = {
    "gpt-4o": "openai",
    "claude-sonnet-4": "anthropic",
    "gemini-2.5-pro": "google",
    "gpt-4o-mini": "openai",
    "claude-haiku-3.5": "anthropic",
    "gemini-2.5-flash": "google",
    "mistral-large": "mistral",
    "mistral-small": "mistral",
}
_MODEL = Choice(dict(zip(_PROVIDERS, (0.30, 0.20, 0.15, 0.12, 0.09, 0.07, 0.04, 0.03), strict=True)))
_PROVIDER_OF = np.array(list(_PROVIDERS.values()), dtype=object)


def evaluations_of(seed: int, index: int, prompts: int) -> NDArray[np.int64]:
    """Return the number of evaluations of each of a block's first prompts."""
    lane, *_ = lanes(raw(seed, Purpose.EVALUATION_COUNT, index, prompts))
    per_prompt: NDArray[np.int64] = log_normal(4, 1.1, 0, 5_000)[lane]
    return per_prompt


@lru_cache(maxsize=2)
def evaluation_ids(seed: int, index: int, prompts: int) -> tuple[str, ...]:
    """Return the ids of the evaluations of a block's first prompts."""
    return row_ids(seed, Purpose.EVALUATION_ID, index, int(evaluations_of(seed, index, prompts).sum()))


def evaluations_block(seed: int, index: int, prompts: int) -> Block:
    """Return the evaluations of a block's first prompts."""
    ids = evaluation_ids(seed, index, prompts)
    parent = np.repeat(np.arange(prompts), evaluations_of(seed, index, prompts))
    drawn = raw(seed, Purpose.EVALUATION_STATE, index, 2 * len(ids)).reshape(-1, 2)
    status, model, delay, unscored = lanes(drawn[:, 0].copy())
    quality, *_ = lanes(drawn[:, 1].copy())

    states, models = _STATUS.codes(status), _MODEL.codes(model)
    score = normal(0.72 * _SCORE_STEPS, 0.16 * _SCORE_STEPS, 0, _SCORE_STEPS)[quality] / _SCORE_STEPS
    score[(states != 0) | (unscored < _UNSCORED)] = np.nan
    prompt_us = skeleton(seed, index).created_us[parent]
    created_us = prompt_us + 1 + part_of(NOW_US - prompt_us, early_share(0.0, 3)[delay])
    return Block(
        "evaluations",
        index,
        {
            "id": list(ids),
            "prompt_id": np.array(prompt_ids(seed, index), dtype=object)[parent].tolist(),
            "status": _STATUS.labels(states),
            "provider": _PROVIDER_OF[models].tolist(),
            "model": _MODEL.labels(models),
            "overall_score": score,
            "created_at": created_us.astype("datetime64[us]"),
        },
    )
