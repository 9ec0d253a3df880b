"""The review in a folder of scenarios."""

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.results.store import REVIEW_FILE, read_review

TEXT = """
title = "a review"
[areas]
X = "things"
[promises]
X1 = "twice as fast"
X2 = "half the memory"
[[priorities]]
area = "X"
priority = "P0"
impact = "high"
effort = "low"
gain = "2×"
answers = ["X1"]
[[scorecard]]
aspect = "things"
today = "50 %"
goal = "90 %"
promises = ["X1", "X2"]
"""


def test_a_folder_without_a_review_has_no_review(tmp_path: Path) -> None:
    """The file is optional."""
    assert read_review(tmp_path) is None


def test_a_review_is_read_as_written(tmp_path: Path) -> None:
    """Promises, priorities and scores are read unchanged."""
    (tmp_path / REVIEW_FILE).write_text(TEXT, encoding="utf-8")
    review = read_review(tmp_path)
    assert review is not None
    assert review.promises == {"X1": "twice as fast", "X2": "half the memory"}
    assert (review.priorities[0].gain, review.scorecard[0].promises) == ("2×", ["X1", "X2"])


@pytest.mark.parametrize("text", ["title = ", "title = 3", 'title = "only that"', TEXT.replace('gain = "2×"', "gain = 2")])
def test_an_invalid_review_is_refused(tmp_path: Path, text: str) -> None:
    """Invalid TOML and invalid contents are refused in one line that names the file."""
    (tmp_path / REVIEW_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=REVIEW_FILE):
        read_review(tmp_path)
