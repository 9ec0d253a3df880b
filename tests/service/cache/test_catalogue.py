"""The cached catalogue: the same answers as the database's, cached for the review's lifetimes, and invalidated by writes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from types import UnionType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.probes.statements import Statements
from service.cache.catalogue import KINDS, MISSING_TTL_S, STATISTICS, CachedCatalogue
from service.cache.layers import JITTER, Kind, Layers
from service.catalogue import (
    Catalogue,
    DatabaseCatalogue,
    EvaluationDetail,
    PromptDetail,
    Statistics,
    Templates,
    UserPrompts,
)
from service.sessions import sessionmaker

OnEngine = Callable[..., Any]
Call = Callable[[Catalogue], Awaitable[Any]]

LATER = datetime(2025, 6, 1)  # noqa: DTZ001 - the service stores naive UTC
PROMPT, USER, EVALUATION, TEMPLATE, CATEGORY, MISSING = "p0431", "ann", "e00-p0037", "t07", "b", "missing"
LIFETIMES_S = {"prompt": 600, "user_prompts": 300, "evaluation": 3600, "templates": 3600, "statistics": 1800}
FORMS: dict[str, Any] = {
    "prompt": PromptDetail | None,
    "user_prompts": UserPrompts,
    "evaluation": EvaluationDetail | None,
    "templates": Templates,
    "statistics": Statistics,
}
READS: dict[str, Call] = {
    "prompt": lambda catalogue: catalogue.prompt(PROMPT),
    "user_prompts": lambda catalogue: catalogue.user_prompts(USER),
    "evaluation": lambda catalogue: catalogue.evaluation(EVALUATION),
    "templates": lambda catalogue: catalogue.templates(CATEGORY),
    "statistics": lambda catalogue: catalogue.statistics(),
}
NEW_PROMPT = {
    "id": MISSING, "user_id": USER, "title": "new", "content": "", "status": "active", "version": 1, "parent_id": None,
    "created_at": LATER, "updated_at": LATER, "deleted_at": None,
}  # fmt: skip
WRITES: dict[str, tuple[Call, list[Call]]] = {
    "update": (
        lambda catalogue: catalogue.update_prompt(PROMPT, USER, "New", LATER),
        [READS["prompt"], READS["user_prompts"]],
    ),
    "create": (
        lambda catalogue: catalogue.create_prompt(NEW_PROMPT),
        [READS["user_prompts"], lambda catalogue: catalogue.prompt(MISSING)],
    ),
    "re-evaluate": (lambda catalogue: catalogue.re_evaluate(EVALUATION, 0.125), [READS["evaluation"]]),
    "rename": (lambda catalogue: catalogue.rename_template(TEMPLATE, CATEGORY, "New"), [READS["templates"]]),
}


@asynccontextmanager
async def opened(engine: AsyncEngine, url: str, prefix: str) -> AsyncIterator[tuple[DatabaseCatalogue, CachedCatalogue, Layers]]:
    """Yield the catalogue without and with a cache, and its layers."""
    database = DatabaseCatalogue(sessionmaker(engine))
    async with Layers(url, prefix) as layers:
        yield database, CachedCatalogue(database, layers), layers


def values(form: Any) -> st.SearchStrategy[Any]:
    """Return values of a type: any text that a database can store, times in microseconds, finite numbers."""
    if isinstance(form, UnionType):
        return st.one_of([values(part) for part in form.__args__])
    parts = getattr(form, "__args__", ())
    if parts:
        if parts[-1] is Ellipsis:
            return st.lists(values(parts[0]), max_size=3).map(tuple)
        return st.tuples(*map(values, parts))
    return {
        str: st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        int: st.integers(-(2**63), 2**63 - 1),
        float: st.floats(allow_nan=False, allow_infinity=False),
        bool: st.booleans(),
        datetime: st.datetimes().map(lambda time: time.replace(fold=0)),  # without a zone there is no fold
        type(None): st.none(),
    }[form]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@given(data=st.data())
@settings(max_examples=25)
def test_values_round_trip(kind: Kind[Any], data: st.DataObject) -> None:
    """Every value of a kind, decoded from its bytes, equals the encoded one, type for type."""
    value = data.draw(values(FORMS[kind.name]))
    back = kind.decode(kind.encode(value))
    assert back == value
    assert repr(back) == repr(value)


def test_every_kind_has_the_reviews_lifetime() -> None:
    """Ten minutes, five, an hour, an hour, half an hour."""
    assert {kind.name: kind.ttl_s for kind in KINDS} == LIFETIMES_S


@pytest.mark.parametrize("read", READS)
def test_a_cached_read_equals_the_databases_answer_and_sends_nothing(
    on_engine: OnEngine, redis_url: str, prefix: str, read: str
) -> None:
    """The answer is the same from the database, from memory and from Redis, and Redis keeps it for its lifetime."""

    async def check(engine: AsyncEngine) -> None:
        async with opened(engine, redis_url, prefix) as (database, cached, layers), Redis.from_url(redis_url) as redis:
            expected = await READS[read](database)
            assert expected
            assert await READS[read](cached) == expected
            async with Statements(engine) as sent:
                again = await READS[read](cached)
                layers.forget()
                from_redis = await READS[read](cached)
            assert again == from_redis == expected
            assert sent.counts()["statements"] == 0
            (name,) = [key async for key in redis.scan_iter(f"{prefix}*")]
            low, high = (share * LIFETIMES_S[read] for share in JITTER)
            assert low - 5 <= await redis.pttl(name) / 1000 <= high

    on_engine(check)


def test_a_missing_row_is_cached_for_a_short_time(on_engine: OnEngine, redis_url: str, prefix: str) -> None:
    """A prompt and an evaluation that do not exist are read from the database once."""

    async def check(engine: AsyncEngine) -> None:
        async with opened(engine, redis_url, prefix) as (_, cached, _layers), Redis.from_url(redis_url) as redis:
            async with Statements(engine) as sent:
                assert [await cached.prompt(MISSING) for _ in range(3)] == [None] * 3
                assert [await cached.evaluation(MISSING) for _ in range(3)] == [None] * 3
            assert sent.counts()["statements"] == 2
            async for name in redis.scan_iter(f"{prefix}*"):
                assert 0 < await redis.pttl(name) <= MISSING_TTL_S * 1000

    on_engine(check)


@pytest.mark.parametrize("write", WRITES)
def test_a_write_invalidates_the_reads_it_changes(on_engine: OnEngine, redis_url: str, prefix: str, write: str) -> None:
    """After a write every affected read returns the new answer, here and in another process, and returned another before."""

    async def check(engine: AsyncEngine) -> None:
        change, reads = WRITES[write]
        async with (
            opened(engine, redis_url, prefix) as (database, cached, _),
            opened(engine, redis_url, prefix) as (_, another, elsewhere),
        ):
            before = [await read(catalogue) for read in reads for catalogue in (cached, another)]
            await change(cached)
            elsewhere.forget()  # the effect of messages on its memory is tested with the layers
            after = [await read(catalogue) for read in reads for catalogue in (cached, another)]
            assert after == [await read(database) for read in reads for _ in range(2)]
            assert all(old != new for old, new in zip(before, after, strict=True))

    on_engine(check)


def test_statistics_are_as_old_as_their_lifetime_allows(on_engine: OnEngine, redis_url: str, prefix: str) -> None:
    """No write invalidates them; they are renewed when they expire."""

    async def check(engine: AsyncEngine) -> None:
        async with opened(engine, redis_url, prefix) as (database, cached, layers), Redis.from_url(redis_url) as redis:
            before = await cached.statistics()
            await cached.re_evaluate(f"e00-{before[0][0]}", 0.0)
            assert await cached.statistics() == before
            await redis.delete(layers.name(STATISTICS))
            layers.forget()
            assert await cached.statistics() == await database.statistics()

    on_engine(check)
