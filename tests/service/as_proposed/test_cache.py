"""The review's cache, repaired just enough to cache: correct for sequential calls, and with the defects that it is kept for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.probes.statements import Statements
from service.as_proposed.cache import ReviewCatalogue, WrittenRepository, plain_key, salted_key
from service.catalogue import DatabaseCatalogue
from service.sessions import sessionmaker

OnEngine = Callable[..., Any]

LATER = datetime(2025, 6, 1)  # noqa: DTZ001 - the service stores naive UTC
PROMPT, USER, EVALUATION, TEMPLATE, CATEGORY = "p0431", "ann", "e00-p0037", "t07", "b"
TTL_S = {"prompt": 600, "prompt_list": 300, "evaluation": 3600, "template_list": 3600, "statistics": 1800}


@asynccontextmanager
async def repaired(engine: AsyncEngine, url: str, prefix: str) -> AsyncIterator[ReviewCatalogue]:
    """Yield the repaired cache in front of an engine."""
    review = ReviewCatalogue(DatabaseCatalogue(sessionmaker(engine)), url, prefix)
    try:
        yield review
    finally:
        await review.close()


async def read_all(review: ReviewCatalogue) -> list[Any]:
    """Read one object of each kind."""
    return [
        await review.prompt(PROMPT),
        await review.user_prompts(USER),
        await review.evaluation(EVALUATION),
        await review.templates(CATEGORY),
        await review.statistics(),
    ]


def test_keys_as_written_differ_between_sessions() -> None:
    """As written a key changes with the session; repaired it contains the arguments, as the review's deletes expect."""
    sessions = object(), object()
    mine, yours = (salted_key("prompt", "get_by_id", ("repository", session, PROMPT), {}) for session in sessions)
    assert mine != yours
    assert plain_key("prompt", "get_by_id", ("repository", PROMPT), {}) == f"prompt:get_by_id:{PROMPT}"
    assert plain_key("prompt", "get_by_id", ("repository",), {"prompt_id": PROMPT}) == f"prompt:get_by_id:{PROMPT}"


def test_a_second_read_sends_nothing_and_lives_as_long_as_written(on_engine: OnEngine, redis_url: str, prefix: str) -> None:
    """Repaired, every second read is a hit; Redis keeps each entry for the review's lifetime."""

    async def check(engine: AsyncEngine) -> None:
        async with repaired(engine, redis_url, prefix) as review, Redis.from_url(redis_url) as redis:
            await read_all(review)
            async with Statements(engine) as sent:
                again = await read_all(review)
            assert all(again)
            assert sent.counts()["statements"] == 0
            assert (review.counts["lookups"], review.counts["loads"]) == (10, 5)
            async for name in redis.scan_iter(f"{prefix}*"):
                ttl_s = TTL_S[name.decode().removeprefix(prefix).partition(":")[0]]
                assert ttl_s - 5 <= await redis.ttl(name) <= ttl_s

    on_engine(check)


def test_sequential_writes_leave_no_stale_entry(on_engine: OnEngine, redis_url: str, prefix: str) -> None:
    """Repaired, and without concurrency, exactly what a write changes is read anew."""

    async def check(engine: AsyncEngine) -> None:
        async with repaired(engine, redis_url, prefix) as review:
            await read_all(review)
            await review.update_prompt(PROMPT, USER, "New", LATER)
            await review.re_evaluate(EVALUATION, 0.125)
            await review.rename_template(TEMPLATE, CATEGORY, "New name")
            before = review.counts["loads"]
            prompt, listed, evaluation, templates, _ = await read_all(review)
            assert review.counts["loads"] - before == 4
            assert (prompt[1], evaluation[0][5]) == ("New", 0.125)
            assert "New" in {row[1] for row in listed}
            assert "New name" in {row[1] for row in templates}

    on_engine(check)


def test_a_hit_differs_in_type_from_the_stored_value(on_engine: OnEngine, redis_url: str, prefix: str) -> None:
    """Times come back as text and tuples as lists; numbers and texts are correct."""

    async def check(engine: AsyncEngine) -> None:
        async with repaired(engine, redis_url, prefix) as review:
            stored, found = [await review.prompt(PROMPT) for _ in range(2)]
        assert found == [*stored[:-1], str(stored[-1])]

    on_engine(check)


def test_an_empty_answer_is_never_a_hit(on_engine: OnEngine, redis_url: str, prefix: str) -> None:
    """A missing prompt and an empty list are read from the database every time."""

    async def check(engine: AsyncEngine) -> None:
        async with repaired(engine, redis_url, prefix) as review:
            for _ in range(3):
                assert await review.prompt("missing") is None
                assert await review.templates("missing") == ()
            assert review.counts["loads"] == 6

    on_engine(check)


def test_every_call_opens_a_client(on_engine: OnEngine, redis_url: str, prefix: str) -> None:
    """There are as many connections as calls, hits included, and closing the catalogue closes them all."""

    async def check(engine: AsyncEngine) -> None:
        async with Redis.from_url(redis_url) as redis:
            async with repaired(engine, redis_url, prefix) as review:
                before = (await redis.info("clients"))["connected_clients"]
                for _ in range(5):
                    await review.prompt(PROMPT)
                assert (await redis.info("clients"))["connected_clients"] == before + 5
            async with asyncio.timeout(10):
                while (await redis.info("clients"))["connected_clients"] > before:  # noqa: ASYNC110 - the server sends no notification
                    await asyncio.sleep(0.01)

    on_engine(check)


def test_as_written_an_update_deletes_nothing(on_engine: OnEngine, redis_url: str, prefix: str) -> None:
    """The old detail and the old list stay, and a second read in the same session returns an object's repr."""

    async def check(engine: AsyncEngine) -> None:
        repository = WrittenRepository(redis_url, prefix)
        async with sessionmaker(engine)() as session, Redis.from_url(redis_url) as redis:
            prompt = await repository.get_by_id(session, PROMPT)
            await repository.list_by_user(session, USER)
            prompt.title = "New"
            assert await repository.update(session, prompt) == 0
            assert len([key async for key in redis.scan_iter(f"{prefix}*")]) == 2
            assert "Prompt object at" in await repository.get_by_id(session, PROMPT)
        await repository.close()

    on_engine(check)
