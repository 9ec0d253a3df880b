"""The four tables together: blocks of each, all blocks, single rows, and row counts.

A block of evaluations or test results holds those of one block of prompts, ordered by prompt or by evaluation. There are few prompt
templates, some of them used very often.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets import prompts
from datasets.pools import LANGUAGES, MAX_TEXT_CHARS, pools
from datasets.prompts import NOW_US, prompt_ids, skeleton
from datasets.quantiles import Choice, below, early_share, log_normal, normal, part_of
from datasets.sizes import BLOCK_PROMPTS, Block, Dataset, as_dicts
from datasets.streams import Purpose, lanes, raw, row_ids

TABLES = ("prompts", "evaluations", "test_results", "prompt_templates")  # the tables, parents before children

DESCRIPTIONS: Mapping[str, Mapping[str, str]] = {
    "prompts": prompts.DESCRIPTION,
    "evaluations": {
        "id": "UUID v4 from the stream",
        "prompt_id": "evaluations per prompt: log-normal, median 4, sigma 1.1, 0-5 000",
        "status": "completed 85 %, running 5 %, pending 5 %, failed 5 %",
        "provider": "one of 4, by the model",
        "model": "one of 8, the first 30 %",
        "overall_score": "normal, mean 0.72, deviation 0.16, 0-1, 4 decimals; NULL unless completed, and for 3 % of those",
        "created_at": "after the prompt's, mostly soon",
    },
    "test_results": {
        "id": "UUID v4 from the stream",
        "evaluation_id": "results per evaluation: log-normal, median 3, sigma 0.7, 0-500",
        "test_case_name": "one of 1 024, 10-80 characters, English and Japanese",
        "score": "normal, mean 0.70, deviation 0.20, 0-1, 4 decimals; NULL for 10 %",
        "passed": "true for 78 %",
    },
    "prompt_templates": {
        "id": "UUID v4 from the stream",
        "name": "10-80 characters, English and Japanese",
        "category": "one of 12, uniform",
        "usage_count": "log-normal, median 20, sigma 2.0, 0-1 000 000",
        "content": "as the prompts'",
    },
}
"""Table → column → distribution of its values, in one line."""

_SCORE_STEPS = 10_000
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
_CATEGORIES = (
    "analysis", "chat", "classification", "code", "education", "extraction",
    "marketing", "research", "support", "summary", "translation", "writing",
)  # fmt: skip
_CATEGORY = Choice(dict.fromkeys(_CATEGORIES, 1 / len(_CATEGORIES)))
_LANGUAGE = Choice(LANGUAGES)

# Blocks from here on belong to no dataset: scenarios insert them.
_FRESH_BLOCKS = 1 << 40
_FRESH_BLOCKS_PER_STREAM = 1 << 20
_MAX_STREAMS = 1 << 24


def blocks_of(dataset: Dataset, table: str) -> int:
    """Return the number of blocks of a table. Raises ValueError if the table does not exist."""
    if table not in TABLES:
        raise ValueError(f"unknown table {table!r}; choose from {', '.join(TABLES)}")
    return dataset.template_blocks if table == "prompt_templates" else dataset.blocks


def block(dataset: Dataset, table: str, index: int) -> Block:
    """Return one block of a table, the same in any process. Raises ValueError for an unknown table, IndexError for an index."""
    count = blocks_of(dataset, table)
    if not 0 <= index < count:
        raise IndexError(f"no block {index} of {table}; this dataset has blocks 0 … {count - 1}")
    if table == "prompt_templates":
        return _prompt_templates_block(dataset.seed, index, dataset.templates_in(index))
    parents = dataset.prompts_in(index)
    if table == "prompts":
        return prompts.prompts_block(dataset.seed, index, parents, dataset.users)
    return (_evaluations_block if table == "evaluations" else _results_block)(dataset.seed, index, parents)


def blocks(dataset: Dataset, tables: Iterable[str] = TABLES) -> Iterator[Block]:
    """Yield the blocks of these tables, table after table, in constant memory. Raises ValueError if a table does not exist."""
    for table in tables:
        for index in range(blocks_of(dataset, table)):
            yield block(dataset, table, index)


def rows(dataset: Dataset, table: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table as dicts of plain Python values, for small uses. Raises ValueError if it does not exist."""
    for made in blocks(dataset, (table,)):
        yield from as_dicts(made)


def prompts_to_insert(dataset: Dataset, stream: int, count: int) -> list[dict[str, Any]]:
    """Return new prompts of the dataset's users, a pure function of the arguments.

    A longer list starts with the shorter. They are distributed like the others, including chains: a row's parent precedes it in the
    list. Their ids are neither in the dataset nor in another stream. Raises ValueError for a stream outside 0 … 2**24 - 1.
    """
    if not 0 <= stream < _MAX_STREAMS:
        raise ValueError(f"stream {stream} is outside 0 … 2**24 - 1; number streams of inserts from 0")
    first = _FRESH_BLOCKS + stream * _FRESH_BLOCKS_PER_STREAM
    made: list[dict[str, Any]] = []
    while len(made) < count:
        fresh = prompts.prompts_block(
            dataset.seed, first + len(made) // BLOCK_PROMPTS, min(BLOCK_PROMPTS, count - len(made)), dataset.users
        )
        made.extend(as_dicts(fresh))
    return made


@lru_cache(maxsize=16)
def _counts(dataset: Dataset) -> tuple[int, ...]:
    sizes = [dataset.prompts_in(index) for index in range(dataset.blocks)]
    evaluations = sum(int(evaluations_of(dataset.seed, i, n).sum()) for i, n in enumerate(sizes))
    test_results = sum(int(_results_of(dataset.seed, i, n).sum()) for i, n in enumerate(sizes))
    return dataset.prompts, evaluations, test_results, dataset.templates


def count_rows(dataset: Dataset) -> dict[str, int]:
    """Return the exact number of rows per table, from the streams of counts alone: no row is generated."""
    return dict(zip(TABLES, _counts(dataset), strict=True))


def evaluations_of(seed: int, index: int, prompts: int) -> NDArray[np.int64]:
    """Return the number of evaluations of each of a block's first prompts."""
    lane, *_ = lanes(raw(seed, Purpose.EVALUATION_COUNT, index, prompts))
    per_prompt: NDArray[np.int64] = log_normal(4, 1.1, 0, 5_000)[lane]
    return per_prompt


@lru_cache(maxsize=2)
def _evaluation_ids(seed: int, index: int, prompts: int) -> tuple[str, ...]:
    return row_ids(seed, Purpose.EVALUATION_ID, index, int(evaluations_of(seed, index, prompts).sum()))


def _evaluations_block(seed: int, index: int, prompts: int) -> Block:
    ids = _evaluation_ids(seed, index, prompts)
    parent = np.repeat(np.arange(prompts), evaluations_of(seed, index, prompts))
    drawn = raw(seed, Purpose.EVALUATION_STATE, index, 2 * len(ids)).reshape(-1, 2)
    status, model, delay, unscored = lanes(drawn[:, 0].copy())
    quality, *_ = lanes(drawn[:, 1].copy())

    states, models = _STATUS.codes(status), _MODEL.codes(model)
    score = normal(0.72 * _SCORE_STEPS, 0.16 * _SCORE_STEPS, 0, _SCORE_STEPS)[quality] / _SCORE_STEPS
    score[(states != 0) | (unscored < below(0.03))] = np.nan
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


def _results_of(seed: int, index: int, prompts: int) -> NDArray[np.int64]:
    """Return the number of test results of each evaluation of a block's first prompts."""
    evaluations = int(evaluations_of(seed, index, prompts).sum())
    lane, *_ = lanes(raw(seed, Purpose.TEST_RESULT_COUNT, index, evaluations))
    per_evaluation: NDArray[np.int64] = log_normal(3, 0.7, 0, 500)[lane]
    return per_evaluation


def _results_block(seed: int, index: int, prompts: int) -> Block:
    counts = _results_of(seed, index, prompts)
    rows = int(counts.sum())
    case, quality, unscored, passed = lanes(raw(seed, Purpose.TEST_RESULT_STATE, index, rows))
    names = pools(seed).names
    score = normal(0.70 * _SCORE_STEPS, 0.20 * _SCORE_STEPS, 0, _SCORE_STEPS)[quality] / _SCORE_STEPS
    score[unscored < below(0.10)] = np.nan
    parents = np.array(_evaluation_ids(seed, index, prompts), dtype=object)
    return Block(
        "test_results",
        index,
        {
            "id": list(row_ids(seed, Purpose.TEST_RESULT_ID, index, rows)),
            "evaluation_id": np.repeat(parents, counts).tolist(),
            "test_case_name": names[case % len(names)].tolist(),
            "score": score,
            "passed": passed < below(0.78),
        },
    )


def _prompt_templates_block(seed: int, index: int, rows: int) -> Block:
    category, name, usage, speech = lanes(raw(seed, Purpose.TEMPLATE_STATE, index, rows))
    drawn = raw(seed, Purpose.TEMPLATE_TEXT, index, 2 * rows).reshape(-1, 2)
    length, *_ = lanes(drawn[:, 0].copy())
    words = pools(seed)
    lengths_chars = log_normal(1_400, 1.0, 20, MAX_TEXT_CHARS)[length]
    return Block(
        "prompt_templates",
        index,
        {
            "id": list(row_ids(seed, Purpose.TEMPLATE_ID, index, rows)),
            "name": words.names[name % len(words.names)].tolist(),
            "category": _CATEGORY.labels(_CATEGORY.codes(category)),
            "usage_count": log_normal(20, 2.0, 0, 1_000_000)[usage],
            "content": words.texts(_LANGUAGE.codes(speech), lengths_chars, drawn[:, 1]),
        },
    )
