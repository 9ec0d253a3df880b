"""The catalogue with the cache of its switch, and the invalidation that other writes of prompts need.

The optimised cache has two layers, a lifetime per type of data, shorter for a missing row, and invalidation on write. No write
invalidates statistics, as in the review. The review's bulk operations delete nothing; here they delete what an update would, per
prompt and per user, since answers would otherwise be older than the write.

Why not cashews, whose decorator and client-side caching come closest: its local copy stays stale permanently if the answer of a
read arrives after the message about a write, a reader can fill Redis with a value from before the write, and a hit in memory costs
the decorator's key templates and middlewares.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from service.as_proposed.cache import RedisCache, ReviewCatalogue
from service.cache.layers import Kind, Layers
from service.catalogue import Catalogue, EvaluationDetail, PromptDetail, Statistics, Templates, UserPrompts
from service.settings import ServiceSettings
from service.switches import Level

Owners = Mapping[str, str]  # prompt → its user

MISSING_TTL_S = 30.0  # lifetime of the information that a row is missing, in seconds
_MINUTE_S, _HOUR_S = 60.0, 3600.0

PROMPT: Final = Kind[PromptDetail | None]("prompt", 10 * _MINUTE_S, PromptDetail | None, MISSING_TTL_S)
USER_PROMPTS: Final = Kind[UserPrompts]("user_prompts", 5 * _MINUTE_S, UserPrompts)
EVALUATION: Final = Kind[EvaluationDetail | None]("evaluation", _HOUR_S, EvaluationDetail | None, MISSING_TTL_S)
TEMPLATES: Final = Kind[Templates]("templates", _HOUR_S, Templates)
STATISTICS: Final = Kind[Statistics]("statistics", 30 * _MINUTE_S, Statistics)

KINDS: Final[tuple[Kind[Any], ...]] = (PROMPT, USER_PROMPTS, EVALUATION, TEMPLATES, STATISTICS)


class CachedCatalogue:
    """A catalogue behind `layers`, which the caller opens and closes."""

    def __init__(self, database: Catalogue, layers: Layers) -> None:
        self._database = database
        self._layers = layers
        self._name = layers.name

    async def prompt(self, prompt_id: str) -> PromptDetail | None:
        """Cache for 10 minutes, or until the prompt is written."""
        return await self._layers.read(PROMPT, prompt_id, lambda: self._database.prompt(prompt_id))

    async def user_prompts(self, user_id: str) -> UserPrompts:
        """Cache for 5 minutes, or until one of the user's prompts is written."""
        return await self._layers.read(USER_PROMPTS, user_id, lambda: self._database.user_prompts(user_id))

    async def evaluation(self, evaluation_id: str) -> EvaluationDetail | None:
        """Cache for an hour, or until it is evaluated again."""
        return await self._layers.read(EVALUATION, evaluation_id, lambda: self._database.evaluation(evaluation_id))

    async def templates(self, category: str) -> Templates:
        """Cache for an hour, or until one of them is written."""
        return await self._layers.read(TEMPLATES, category, lambda: self._database.templates(category))

    async def statistics(self) -> Statistics:
        """Cache for 30 minutes, regardless of writes."""
        return await self._layers.read(STATISTICS, "", self._database.statistics)

    async def update_prompt(self, prompt_id: str, user_id: str, title: str, at: datetime) -> int | None:
        """Write, and invalidate the prompt and its user's list."""
        async with self._layers.changing(self._name(PROMPT, prompt_id), self._name(USER_PROMPTS, user_id)):
            return await self._database.update_prompt(prompt_id, user_id, title, at)

    async def create_prompt(self, row: Mapping[str, Any]) -> None:
        """Write, and invalidate its user's list, and the information that the prompt is missing."""
        async with self._layers.changing(self._name(PROMPT, row["id"]), self._name(USER_PROMPTS, row["user_id"])):
            await self._database.create_prompt(row)

    async def re_evaluate(self, evaluation_id: str, score: float) -> None:
        """Write, and invalidate the evaluation."""
        async with self._layers.changing(self._name(EVALUATION, evaluation_id)):
            await self._database.re_evaluate(evaluation_id, score)

    async def rename_template(self, template_id: str, category: str, name: str) -> None:
        """Write, and invalidate the category's list."""
        async with self._layers.changing(self._name(TEMPLATES, category)):
            await self._database.rename_template(template_id, category, name)


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
