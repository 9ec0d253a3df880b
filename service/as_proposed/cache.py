"""The review's Redis cache: as written, to show what it does, and repaired just enough to cache at all.

As written (`WrittenRepository`), a key contains the salted `hash()` of the arguments, including the session, so no other session or
process ever finds it, and ORM objects are stored as their repr. Repaired (`ReviewCatalogue`), it contains the arguments, and rows
are stored. Everything else is as proposed: a new client per call, falsy answers treated as misses, times stored as text, `KEYS` to
find what to delete, and no protection against concurrent misses or a reader that stores a value deleted meanwhile.
"""

import json
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from typing import Any

from redis.asyncio import Redis
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from service.catalogue import Catalogue
from service.models import Prompt

Read = Callable[..., Coroutine[Any, Any, Any]]
# From prefix, function name, positional and keyword arguments, the instance first, to a key.
KeyOf = Callable[[str, str, tuple[Any, ...], Mapping[str, Any]], str]


class RedisCache:
    """The review's cache manager: text in and out of Redis as JSON. Every instance creates its own client."""

    def __init__(self, url: str) -> None:
        self._client: Redis = Redis.from_url(
            url, encoding="utf-8", decode_responses=True, max_connections=50, socket_keepalive=True
        )

    async def get(self, key: str) -> Any:
        """Return the stored value, or None."""
        value = await self._client.get(key)
        return json.loads(value) if value else None

    async def set(self, key: str, value: Any, ttl_s: int) -> None:
        """Store a value; types unknown to JSON become text."""
        await self._client.set(key, json.dumps(value, default=str), ex=ttl_s)

    async def delete(self, key: str) -> bool:
        """Delete a key; return whether it existed."""
        return bool(await self._client.delete(key))

    async def delete_pattern(self, pattern: str) -> int:
        """Delete all keys that match a pattern, found by scanning every key of the database; return their number."""
        keys = await self._client.keys(pattern)
        return int(await self._client.delete(*keys)) if keys else 0

    async def close(self) -> None:
        """Close the client, which the review leaves to the garbage collector."""
        await self._client.aclose()


def salted_key(prefix: str, function: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """Return the key as written: `hash()` of a text is salted per process, and the text contains addresses of objects."""
    return f"{prefix}:{function}:{hash(str(args) + str(kwargs))}"


def plain_key(prefix: str, function: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """Return the key that the review's deletes use: the plain arguments, without the instance."""
    return f"{prefix}:{function}:{':'.join(map(str, (*args[1:], *kwargs.values())))}"


def cache_result(ttl_s: int, key_prefix: str, key_of: KeyOf = plain_key) -> Callable[[Read], Read]:
    """Return the review's decorator."""

    def decorator(read: Read) -> Read:
        @wraps(read)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            owner: _Managers = args[0]
            key = owner.namespace + key_of(key_prefix, read.__name__, args, kwargs)
            with owner.cache() as cache:
                owner.counts["lookups"] += 1
                cached = await cache.get(key)
                if cached:
                    return cached
                owner.counts["loads"] += 1
                result = await read(*args, **kwargs)
                await cache.set(key, result, ttl_s)
                return result

        return wrapper

    return decorator


class _Managers:
    """Creates a cache manager per call. `namespace` is the prefix of every key, including its last separator."""

    def __init__(self, url: str, namespace: str) -> None:
        self.namespace = namespace
        self.counts: Counter[str] = Counter()
        self._url = url
        self._spent: list[RedisCache] = []

    @contextmanager
    def cache(self) -> Iterator[RedisCache]:
        """Yield a new cache manager, and keep it for `close`."""
        cache = RedisCache(self._url)
        try:
            yield cache
        finally:
            self._spent.append(cache)

    async def close(self) -> None:
        """Close the managers of all calls that have ended; the review leaves that to the garbage collector."""
        while self._spent:
            await self._spent.pop().close()


class WrittenRepository(_Managers):
    """The review's repository as written."""

    @cache_result(600, "prompt", salted_key)
    async def get_by_id(self, session: AsyncSession, prompt_id: str) -> Prompt | None:
        """Return a prompt, and from the cache its repr."""
        return (await session.execute(select(Prompt).where(Prompt.id == prompt_id))).scalar_one_or_none()

    @cache_result(300, "prompt_list", salted_key)
    async def list_by_user(self, session: AsyncSession, user_id: str, limit: int = 50) -> list[Prompt]:
        """Return a user's newest prompts, and from the cache their reprs."""
        newest = select(Prompt).where(Prompt.user_id == user_id, Prompt.deleted_at.is_(None)).order_by(Prompt.created_at.desc())
        return list((await session.execute(newest.limit(limit))).scalars())

    async def update(self, session: AsyncSession, prompt: Prompt) -> int:
        """Save a prompt and delete its cache entries; return the number of entries."""
        session.add(prompt)
        await session.commit()
        with self.cache() as cache:
            deleted = int(await cache.delete(f"{self.namespace}prompt:get_by_id:{prompt.id}"))
            return deleted + await cache.delete_pattern(f"{self.namespace}prompt_list:*{prompt.user_id}*")


class ReviewCatalogue(_Managers):
    """The review's cache in front of a catalogue, repaired just enough to cache. `counts` has "lookups", and "loads" among them.

    The review specifies the update of a prompt; the other writes delete what its table of lifetimes states.
    """

    def __init__(self, database: Catalogue, url: str, namespace: str) -> None:
        super().__init__(url, namespace)
        self._database = database

    @cache_result(600, "prompt")
    async def prompt(self, prompt_id: str) -> Any:
        """Cache a prompt for 10 minutes."""
        return await self._database.prompt(prompt_id)

    @cache_result(300, "prompt_list")
    async def user_prompts(self, user_id: str) -> Any:
        """Cache a list for 5 minutes."""
        return await self._database.user_prompts(user_id)

    @cache_result(3600, "evaluation")
    async def evaluation(self, evaluation_id: str) -> Any:
        """Cache an evaluation for an hour."""
        return await self._database.evaluation(evaluation_id)

    @cache_result(3600, "template_list")
    async def templates(self, category: str) -> Any:
        """Cache a list for an hour."""
        return await self._database.templates(category)

    @cache_result(1800, "statistics")
    async def statistics(self) -> Any:
        """Cache statistics for 30 minutes."""
        return await self._database.statistics()

    async def update_prompt(self, prompt_id: str, user_id: str, title: str, at: datetime) -> int | None:
        """Commit, then delete the prompt and its user's list."""
        version = await self._database.update_prompt(prompt_id, user_id, title, at)
        with self.cache() as cache:
            await cache.delete(f"{self.namespace}prompt:prompt:{prompt_id}")
            await cache.delete_pattern(f"{self.namespace}prompt_list:*{user_id}*")
        return version

    async def create_prompt(self, row: Mapping[str, Any]) -> None:
        """Commit, then delete the user's list."""
        await self._database.create_prompt(row)
        with self.cache() as cache:
            await cache.delete_pattern(f"{self.namespace}prompt_list:*{row['user_id']}*")

    async def re_evaluate(self, evaluation_id: str, score: float) -> None:
        """Commit, then delete the evaluation."""
        await self._database.re_evaluate(evaluation_id, score)
        with self.cache() as cache:
            await cache.delete(f"{self.namespace}evaluation:evaluation:{evaluation_id}")

    async def rename_template(self, template_id: str, category: str, name: str) -> None:
        """Commit, then delete the category's list."""
        await self._database.rename_template(template_id, category, name)
        with self.cache() as cache:
            await cache.delete(f"{self.namespace}template_list:templates:{category}")
