"""The rows have the described keys, chains, times, ties, NULLs and lengths."""

import re
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest

from datasets import DESCRIPTIONS, TABLES, Dataset, as_dicts, blocks, rows
from datasets.prompts import NOW_US
from service.models import Base

DATASET = Dataset("small", 3, 0.5)
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@cache
def rows_of(table: str) -> list[dict[str, Any]]:
    """Return all rows of a table."""
    return [row for block in blocks(DATASET, (table,)) for row in as_dicts(block)]


def column(table: str, name: str) -> list[Any]:
    """Return all values of a column."""
    return [row[name] for row in rows_of(table)]


def share(values: list[bool]) -> float:
    """Return the share of true values."""
    return sum(values) / len(values)


@pytest.mark.parametrize("table", TABLES)
def test_columns_are_the_services(table: str) -> None:
    """A block has exactly the columns of the service's table, in order, and each is described."""
    names = [c.name for c in Base.metadata.tables[table].columns]
    assert list(rows_of(table)[0]) == names == list(DESCRIPTIONS[table])


@pytest.mark.parametrize("table", TABLES)
def test_required_values_are_not_null_and_text_fits(table: str) -> None:
    """Columns that the service declares NOT NULL have a value in every row, and text is within its length."""
    for declared in Base.metadata.tables[table].columns:
        values = column(table, declared.name)
        assert declared.nullable == (None in values), declared.name
        limit = getattr(declared.type, "length", None)
        assert limit is None or max(len(v) for v in values if v is not None) <= limit, declared.name


@pytest.mark.parametrize("table", TABLES)
def test_ids_are_unique_and_shaped_like_uuid4(table: str) -> None:
    """Ids are canonical version 4 UUIDs, all distinct."""
    ids = column(table, "id")
    assert len(set(ids)) == len(ids)
    assert all(UUID4.fullmatch(i) for i in ids)


def test_every_parent_exists() -> None:
    """Prompts, evaluations and results refer to existing rows."""
    prompts, evaluations = set(column("prompts", "id")), set(column("evaluations", "id"))
    assert set(column("prompts", "parent_id")) - {None} <= prompts
    assert set(column("evaluations", "prompt_id")) <= prompts
    assert set(column("test_results", "evaluation_id")) <= evaluations


def test_versions_form_chains() -> None:
    """A version follows its parent by one, of the same user and title and no earlier; version 1 has no parent."""
    by_id = {row["id"]: row for row in rows_of("prompts")}
    for row in rows_of("prompts"):
        assert (row["parent_id"] is None) == (row["version"] == 1)
        if row["parent_id"]:
            parent = by_id[row["parent_id"]]
            assert parent["version"] == row["version"] - 1
            assert (parent["user_id"], parent["title"]) == (row["user_id"], row["title"])
            assert parent["created_at"] <= row["created_at"]
    lengths = 1 / share([row["version"] == 1 for row in rows_of("prompts")])
    assert lengths == pytest.approx(3, rel=0.1)


def test_times_are_in_order_and_before_the_present() -> None:
    """Created, updated, deleted; evaluations after their prompt; nothing after the data's present."""
    now = np.datetime64(NOW_US, "us").item()
    for row in rows_of("prompts"):
        assert row["created_at"] <= row["updated_at"] <= (row["deleted_at"] or now) <= now
    created = dict(zip(column("prompts", "id"), column("prompts", "created_at"), strict=True))
    assert all(created[row["prompt_id"]] < row["created_at"] <= now for row in rows_of("evaluations"))


def test_there_are_more_newer_prompts() -> None:
    """Ages are exponential with a mean of half a year, truncated at two years."""
    days = (np.datetime64(NOW_US, "us") - np.array(column("prompts", "created_at"), dtype="datetime64[us]")).astype(int) / 86.4e9
    assert 100 < np.median(days) < 145
    assert 600 < days.max() <= 730


def test_neighbours_share_created_at() -> None:
    """About 5 % of the prompts share their created_at, and those that do are neighbours of one user."""
    made = rows_of("prompts")
    tied = [i for i in range(1, len(made)) if made[i]["created_at"] == made[i - 1]["created_at"]]
    assert all(made[i]["user_id"] == made[i - 1]["user_id"] for i in tied)
    together = Counter(column("prompts", "created_at"))
    assert share([together[row["created_at"]] > 1 for row in made]) == pytest.approx(0.05, abs=0.015)
    assert any(made[i]["version"] == 1 for i in tied)


def test_users_are_zipf() -> None:
    """The most popular user has far more prompts than the middle one, and none is unknown."""
    counts = [n for _, n in Counter(column("prompts", "user_id")).most_common()]
    assert len(counts) <= DATASET.users
    assert counts[0] > 8 * counts[len(counts) // 2]


@pytest.mark.parametrize(
    ("table", "name", "expected"),
    [
        ("prompts", "status", {"active": 0.80, "draft": 0.15, "archived": 0.05}),
        ("evaluations", "status", {"completed": 0.85, "running": 0.05, "pending": 0.05, "failed": 0.05}),
        ("test_results", "passed", {True: 0.78, False: 0.22}),
    ],
)
def test_labels_have_the_described_shares(table: str, name: str, expected: dict[Any, float]) -> None:
    """States and flags have the described shares and no other value."""
    values = column(table, name)
    assert {label: n / len(values) for label, n in Counter(values).items()} == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("table", "name", "nulls"),
    [("prompts", "deleted_at", 0.92), ("prompts", "parent_id", 0.333), ("test_results", "score", 0.10)],
)
def test_nulls_are_interleaved(table: str, name: str, nulls: float) -> None:
    """NULLs have the described share and alternate with values as often as in independent rows."""
    null = np.array([value is None for value in column(table, name)])
    assert null.mean() == pytest.approx(nulls, abs=0.02)
    assert (null[1:] != null[:-1]).mean() == pytest.approx(2 * nulls * (1 - nulls), rel=0.15)


def test_scores_belong_to_completed_evaluations() -> None:
    """Only completed evaluations have a score, 3 % of them have none, and scores have four decimals."""
    completed = [row["overall_score"] for row in rows_of("evaluations") if row["status"] == "completed"]
    assert all(row["overall_score"] is None for row in rows_of("evaluations") if row["status"] != "completed")
    assert share([score is None for score in completed]) == pytest.approx(0.03, abs=0.01)
    scores = [score for score in completed + column("test_results", "score") if score is not None]
    assert all(0 <= score <= 1 and score == round(score, 4) for score in scores)


def test_children_are_log_normal() -> None:
    """Evaluations per prompt and results per evaluation have the described medians and a long tail."""
    evaluations = Counter(column("evaluations", "prompt_id"))
    results = Counter(column("test_results", "evaluation_id"))
    assert np.median([evaluations[i] for i in column("prompts", "id")]) == 4
    assert np.median([results[i] for i in column("evaluations", "id")]) == 3
    assert max(evaluations.values()) > 100
    assert max(results.values()) > 20
    assert set(column("prompts", "id")) - set(evaluations), "some prompt has none"


def test_texts_have_lengths_languages_and_emoji() -> None:
    """Content has the described median and bounds, contains English, Japanese and emoji, and none of the digest's separators."""
    content = column("prompts", "content")
    lengths = [len(text) for text in content]
    assert np.median(lengths) == pytest.approx(1_400, rel=0.1)
    assert min(lengths) >= 20
    assert max(lengths) <= 32_000
    assert share([text.isascii() for text in content]) == pytest.approx(0.60, abs=0.04)
    assert share([any(c > "\uffff" for c in text) for text in content]) == pytest.approx(0.05, abs=0.03)
    assert all(20 <= len(title) <= 60 for title in column("prompts", "title"))
    texts = "".join(content + column("prompts", "title") + column("test_results", "test_case_name"))
    assert not {"\x00", "\x1f"} & set(texts)


def test_templates_are_used_unevenly() -> None:
    """There are twelve categories; a few templates account for most of the use."""
    templates = list(rows(Dataset("medium"), "prompt_templates"))
    assert len({row["category"] for row in templates}) == 12
    usage = sorted((row["usage_count"] for row in templates), reverse=True)
    assert sum(usage[: len(usage) // 5]) > 0.6 * sum(usage)
