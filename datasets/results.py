"""The table `test_results`: the results of the evaluations of one block of prompts, ordered by evaluation."""

import numpy as np
from numpy.typing import NDArray

from datasets.block import Block
from datasets.evaluations import evaluation_ids, evaluations_of
from datasets.ids import row_ids
from datasets.pools import pools
from datasets.quantiles import below, log_normal, normal
from datasets.streams import Purpose, lanes, raw

DESCRIPTION = {
    "id": "UUID v4 from the stream",
    "evaluation_id": "results per evaluation: log-normal, median 3, sigma 0.7, 0-500",
    "test_case_name": "one of 1 024, 10-80 characters, English and Japanese",
    "score": "normal, mean 0.70, deviation 0.20, 0-1, 4 decimals; NULL for 10 %",
    "passed": "true for 78 %",
}

_SCORE_STEPS = 10_000
_UNSCORED = below(0.10)
_PASSED = below(0.78)


def results_of(seed: int, index: int, prompts: int) -> NDArray[np.int64]:
    """Return the number of test results of each evaluation of a block's first prompts."""
    evaluations = int(evaluations_of(seed, index, prompts).sum())
    lane, *_ = lanes(raw(seed, Purpose.TEST_RESULT_COUNT, index, evaluations))
    per_evaluation: NDArray[np.int64] = log_normal(3, 0.7, 0, 500)[lane]
    return per_evaluation


def results_block(seed: int, index: int, prompts: int) -> Block:
    """Return the test results of the evaluations of a block's first prompts."""
    counts = results_of(seed, index, prompts)
    rows = int(counts.sum())
    case, quality, unscored, passed = lanes(raw(seed, Purpose.TEST_RESULT_STATE, index, rows))
    names = pools(seed).names
    score = normal(0.70 * _SCORE_STEPS, 0.20 * _SCORE_STEPS, 0, _SCORE_STEPS)[quality] / _SCORE_STEPS
    score[unscored < _UNSCORED] = np.nan
    parents = np.array(evaluation_ids(seed, index, prompts), dtype=object)
    return Block(
        "test_results",
        index,
        {
            "id": list(row_ids(seed, Purpose.TEST_RESULT_ID, index, rows)),
            "evaluation_id": np.repeat(parents, counts).tolist(),
            "test_case_name": names[case % len(names)].tolist(),
            "score": score,
            "passed": passed < _PASSED,
        },
    )
