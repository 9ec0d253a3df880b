"""Access streams and inserts: existing rows are requested with the described skew, new rows conflict with none."""

from collections import Counter
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import Dataset, count_rows, evaluation_ids, heavy_users, prompt_ids, prompts_to_insert, rows, user_ids
from datasets.prompts import skeleton

DATASET = Dataset("small", 2, 0.25)
STREAMS = (prompt_ids, evaluation_ids, user_ids)


@cache
def prompts() -> dict[str, dict[str, Any]]:
    """Return the dataset's prompts by id."""
    return {row["id"]: row for row in rows(DATASET, "prompts")}


@given(stream=st.integers(0, 1_000), short=st.integers(0, 50), more=st.integers(0, 500))
@settings(max_examples=15, deadline=None)
def test_a_longer_stream_starts_with_the_shorter(stream: int, short: int, more: int) -> None:
    """A prefix of a stream does not depend on the length read."""
    for draw in STREAMS:
        assert draw(DATASET, stream, short + more)[:short] == draw(DATASET, stream, short)
    assert prompts_to_insert(DATASET, stream, short + more)[:short] == prompts_to_insert(DATASET, stream, short)


def test_streams_differ() -> None:
    """Two streams request different rows."""
    for draw in STREAMS:
        assert draw(DATASET, 0, 100) != draw(DATASET, 1, 100)


def test_requested_prompts_exist_and_are_live() -> None:
    """Every prompt id is that of a row that is not soft-deleted."""
    assert all(prompts()[i]["deleted_at"] is None for i in prompt_ids(DATASET, 0, 3_000))


def test_requested_evaluations_exist() -> None:
    """Every evaluation id is that of a row with a live prompt."""
    parents = {row["id"]: row["prompt_id"] for row in rows(DATASET, "evaluations")}
    requested = evaluation_ids(DATASET, 0, 3_000)
    assert all(prompts()[parents[i]]["deleted_at"] is None for i in requested)
    assert len(set(requested)) > 500


def test_half_of_the_requests_are_for_the_latest() -> None:
    """The ten newest live prompts get far more than their share, and so do ten others."""
    live = [row for row in prompts().values() if row["deleted_at"] is None]
    newest = {row["id"] for row in sorted(live, key=lambda row: row["created_at"])[-10:]}
    requested = Counter(prompt_ids(DATASET, 0, 10_000))
    of_newest = sum(requested[i] for i in newest) / 10_000
    of_popular = sum(n for _, n in Counter({i: n for i, n in requested.items() if i not in newest}).most_common(10)) / 10_000
    assert 0.10 < of_newest < 0.30
    assert 0.10 < of_popular < 0.30


def test_users_come_by_popularity() -> None:
    """Heavy users are requested most, own most prompts, and their number is as requested."""
    heavy = heavy_users(DATASET, 5)
    assert [user for user, _ in Counter(user_ids(DATASET, 0, 20_000)).most_common(3)] == heavy[:3]
    owners = Counter(row["user_id"] for row in prompts().values())
    assert set(heavy[:2]) <= {user for user, _ in owners.most_common(5)}
    assert len(set(heavy_users(DATASET, 10**6))) == DATASET.users


def test_inserts_conflict_with_nothing() -> None:
    """New prompts have distinct ids in every stream, users of the dataset, and parents among themselves."""
    fresh = [prompts_to_insert(DATASET, stream, 1_500) for stream in range(3)]
    ids = [row["id"] for stream in fresh for row in stream]
    assert len(ids) == len(set(ids)) == 4_500
    assert not set(ids) & set(prompts())
    for stream in fresh:
        seen: set[str | None] = {None}
        for row in stream:
            assert row["parent_id"] in seen
            seen.add(row["id"])
        assert {row["user_id"] for row in stream} <= set(heavy_users(DATASET, DATASET.users))


def test_streams_outside_the_range_are_refused() -> None:
    """A stream number that would overlap another stream's rows is refused."""
    for stream in (-1, 2**24):
        with pytest.raises(ValueError, match="is outside"):
            prompts_to_insert(DATASET, stream, 1)
    with pytest.raises(ValueError, match="is outside"):
        prompt_ids(DATASET, -1, 1)


def test_a_dataset_without_rows_to_request_is_refused() -> None:
    """If the only prompt is soft-deleted, or has no evaluation, there is nothing to request."""
    single = [Dataset("tiny", seed, 0.001) for seed in range(80)]
    deleted = next(one for one in single if skeleton(one.seed, 0).deleted[0])
    childless = next(one for one in single if count_rows(one)["evaluations"] == 0)
    with pytest.raises(ValueError, match="no row that can be requested"):
        prompt_ids(deleted, 0, 1)
    with pytest.raises(ValueError, match="no row that can be requested"):
        evaluation_ids(childless, 0, 1)
