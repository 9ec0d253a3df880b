"""DataLoaders: the defects of the review's loader as written, and the guarantees of the optimised one."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.probes.statements import Statements
from service import loading
from service.loading import DataLoader, ReviewDataLoader
from service.sessions import sessionmaker

OnEngine = Callable[..., Any]

IDS = ["p0999", "p0037", "unknown", "p0000", "p0037", "p0444"]


class Doubling:
    """A batch function that doubles its keys and records the batches; "bad" keys fail."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    async def __call__(self, keys: list[int]) -> list[int]:
        """Load a batch."""
        self.batches.append(list(keys))
        await asyncio.sleep(0)
        if -1 in keys:
            raise LookupError("bad key")
        return [2 * key for key in keys]


def test_review_load_returns_none_until_100_keys_wait() -> None:
    """As written, 99 loads return None and load nothing; only the hundredth gets its value."""

    async def loads() -> tuple[list[int | None], int]:
        batch = Doubling()
        loader = ReviewDataLoader(batch)
        return [await loader.load(key) for key in range(100)], len(batch.batches)

    assert asyncio.run(loads()) == ([None] * 99 + [198], 1)


def test_review_gathered_loads_all_get_none() -> None:
    """As written, fifty concurrent resolvers all get None."""

    async def loads() -> list[int | None]:
        loader = ReviewDataLoader(Doubling())
        return await asyncio.gather(*(loader.load(key) for key in range(50)))

    assert asyncio.run(loads()) == [None] * 50


def test_review_batch_function_pairs_keys_with_other_rows(on_engine: OnEngine) -> None:
    """As written, rows in the database's order are matched to keys in the caller's, so load_many returns other prompts."""

    async def both(engine: AsyncEngine) -> tuple[Any, Any]:
        sessions = sessionmaker(engine)
        keys = ["p0444", "p0037", "p0185"]
        return await loading.prompts_one_by_one(sessions, keys), await loading.prompts_as_written(sessions, keys)

    right, as_written = on_engine(both)
    assert [row[0] for row in right] == ["p0444", "p0037", "p0185"]
    assert [row[0] for row in as_written] == ["p0037", "p0185", "p0444"]


def test_review_keeps_the_keys_of_a_failed_batch() -> None:
    """As written, a failed batch's keys stay, so the next batch fails as well."""

    async def loads() -> None:
        loader = ReviewDataLoader(Doubling())
        with pytest.raises(LookupError):
            await loader.load_many([-1])
        with pytest.raises(LookupError):
            await loader.load_many([1])

    asyncio.run(loads())


@pytest.mark.parametrize("technique", [loading.prompts_repaired, loading.prompts_gathered, loading.prompts_sequential])
def test_techniques_load_the_same_in_key_order(on_engine: OnEngine, technique: Any) -> None:
    """Each technique returns the prompts in the order of the ids, twice for a repeated id, None for an unknown one."""

    async def both(engine: AsyncEngine) -> tuple[Any, Any]:
        sessions = sessionmaker(engine)
        return await loading.prompts_one_by_one(sessions, IDS), await technique(sessions, IDS)

    baseline, found = on_engine(both)
    assert found == baseline
    assert [row and row[0] for row in found][1:] == ["p0037", None, "p0000", "p0037", "p0444"]


def test_statements_for_six_ids(on_engine: OnEngine) -> None:
    """Six loads with five distinct ids are six statements one by one, one when gathered, five when awaited sequentially."""

    async def counts(engine: AsyncEngine) -> list[float]:
        sent = []
        for technique in (loading.prompts_one_by_one, loading.prompts_gathered, loading.prompts_sequential):
            async with Statements(engine) as probe:
                await technique(sessionmaker(engine), IDS)
            sent.append(probe.counts()["statements"])
        return sent

    assert on_engine(counts) == [6, 1, 5]


def test_batches_are_bounded_and_keys_distinct() -> None:
    """Ten keys requested twice in one loop iteration are loaded once each, in batches of at most four."""

    async def loads() -> tuple[list[int], list[list[int]]]:
        batch = Doubling()
        return await DataLoader(batch, max_batch_size=4).load_many([*range(10), *range(10)]), batch.batches

    values, batches = asyncio.run(loads())
    assert values == [2 * key for key in [*range(10), *range(10)]]
    assert batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_loaded_key_is_not_loaded_again() -> None:
    """A second load of a key is answered from the request's cache."""

    async def loads() -> tuple[int, int, int]:
        batch = Doubling()
        loader = DataLoader(batch)
        return await loader.load(1), await loader.load(1), len(batch.batches)

    assert asyncio.run(loads()) == (2, 2, 1)


def test_an_error_reaches_every_waiter_and_is_not_cached() -> None:
    """All callers of a failed batch get its error; requested again, the keys are loaded anew."""

    async def loads() -> tuple[list[Any], int]:
        loader = DataLoader(Doubling())
        failed = await asyncio.gather(*(loader.load(key) for key in (1, -1, 2)), return_exceptions=True)
        return failed, await loader.load(1)

    failed, again = asyncio.run(loads())
    assert [type(error) for error in failed] == [LookupError] * 3
    assert again == 2


def test_a_batch_of_the_wrong_length_is_refused() -> None:
    """A batch function that omits a row is an error for the callers, never another key's value."""

    async def loads() -> None:
        async def short(keys: list[int]) -> list[int]:
            return keys[1:]

        with pytest.raises(ValueError, match="1 values for 2 keys"):
            await DataLoader(short).load_many([1, 2])

    asyncio.run(loads())


def test_a_cancelled_caller_does_not_affect_the_others() -> None:
    """Cancelling one of two callers of a key cancels neither the batch nor the other caller."""

    async def loads() -> tuple[bool, int]:
        loader = DataLoader(Doubling())

        async def read() -> int:
            return await loader.load(1)

        first, second = asyncio.create_task(read()), asyncio.create_task(read())
        await asyncio.sleep(0)
        first.cancel()
        value = await second
        return first.cancelled(), value

    assert asyncio.run(loads()) == (True, 2)


def test_a_cancelled_batch_cancels_its_callers() -> None:
    """A batch cancelled from inside leaves no caller waiting forever."""

    async def loads() -> None:
        async def cancelled(keys: list[int]) -> list[int]:
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await DataLoader(cancelled).load(1)

    asyncio.run(loads())
