"""The catalogue with the cache of its switch, and the invalidation that other writes of prompts need.

The review specifies what the update of a prompt deletes, and states that creating one does the same. Its bulk operations delete
nothing. Here they delete what an update would, per prompt and per user, since answers would otherwise be older than the write.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass

from service.as_proposed.cache import RedisCache, ReviewCatalogue
from service.cache.catalogue import PROMPT, USER_PROMPTS, CachedCatalogue
from service.cache.layers import Layers
from service.catalogue import Catalogue
from service.settings import ServiceSettings
from service.switches import Level

Owners = Mapping[str, str]  # prompt → its user


@dataclass(frozen=True)
class Front:
    """A catalogue, cached or not."""

    catalogue: Catalogue
    changing: Callable[[Owners], AbstractAsyncContextManager[None]] | None = None
    """Wraps a write of prompts that bypasses the catalogue, and invalidates their cache entries; None without a cache."""

    counts: Callable[[], Mapping[str, int]] = dict  # returns the cache's counters

    def writing(self, owners: Owners) -> AbstractAsyncContextManager[None]:
        """Return the context manager for a write of these prompts."""
        return nullcontext() if self.changing is None else self.changing(owners)


@asynccontextmanager
async def open_front(settings: ServiceSettings, database: Catalogue) -> AsyncIterator[Front]:
    """Open the cache in front of a catalogue, and disconnect it at the end. Use it in the event loop that reads."""
    level, url = settings.switches.caching, settings.redis_url
    if level is Level.BASELINE or url is None:
        yield Front(database)
    elif level is Level.PROPOSED:
        review = _ClosingReview(database, url, settings.namespace)
        try:
            yield Front(review, review.changing, lambda: review.counts)
        finally:
            await review.finish()
    else:
        async with Layers(url, settings.namespace) as layers:

            def changing(owners: Owners) -> AbstractAsyncContextManager[None]:
                written = [layers.name(PROMPT, prompt_id) for prompt_id in owners]
                return layers.changing(*written, *(layers.name(USER_PROMPTS, user_id) for user_id in set(owners.values())))

            yield Front(CachedCatalogue(database, layers), changing, lambda: layers.counts)


class _ClosingReview(ReviewCatalogue):
    """The review's catalogue, with each call's client closed after the call.

    The review leaves that to the garbage collector, which frees a client at some later time. A process that keeps them until its
    end, as the cache scenario does, would run out of connections.
    """

    def __init__(self, database: Catalogue, url: str, namespace: str) -> None:
        super().__init__(database, url, namespace)
        self._closing: set[asyncio.Task[None]] = set()

    @contextmanager
    def cache(self) -> Iterator[RedisCache]:
        try:
            with super().cache() as cache:
                yield cache
        finally:
            closing = asyncio.get_running_loop().create_task(self.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    @asynccontextmanager
    async def changing(self, owners: Owners) -> AsyncIterator[None]:
        """Delete after the write, as the review's update does."""
        yield
        with self.cache() as cache:
            for prompt_id in owners:
                await cache.delete(f"{self.namespace}prompt:prompt:{prompt_id}")
            for user_id in set(owners.values()):
                await cache.delete_pattern(f"{self.namespace}prompt_list:*{user_id}*")

    async def finish(self) -> None:
        """Close all open clients."""
        await asyncio.gather(*self._closing)
        await self.close()
