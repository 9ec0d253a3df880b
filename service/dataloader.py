"""Loading by key in batches: the review's DataLoader with its defects, and an optimised one.

A loader lives as long as one request. Otherwise its cache would serve stale rows, and one tenant's rows to another.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from service.loading import KEYS_PER_STATEMENT, chunks
from service.models import Prompt

Key = TypeVar("Key")
Value = TypeVar("Value")

PromptRow = tuple[str, str, str]  # (id, title, content)


class ReviewDataLoader(Generic[Key, Value]):
    """Reproduces the review's loader, defects included.

    - `load` returns None until 100 keys are waiting; the last keys of a request are never loaded.
    - Results are matched to keys by position, although the batch function returns rows in the database's order, without duplicates
      and without missing keys. With the review's own batch function, callers receive rows of other keys.
    - `load_many` loads cached keys again; keys that arrive while a batch is in flight are dropped with it.
    - An error leaves its keys in the batch, so the next batch fails as well.
    """

    BATCH_SIZE = 100

    def __init__(self, load_batch: Callable[[list[Key]], Awaitable[Sequence[Value]]]) -> None:
        self._load_batch = load_batch
        self._waiting: list[Key] = []
        self._loaded: dict[Key, Value] = {}

    async def load(self, key: Key) -> Value | None:
        """Return the key's value if it is loaded or completes a batch, else None."""
        if key not in self._loaded:
            self._waiting.append(key)
            if len(self._waiting) >= self.BATCH_SIZE:
                await self._run()
        return self._loaded.get(key)

    async def load_many(self, keys: Sequence[Key]) -> list[Value | None]:
        """Load these keys together with all waiting keys; return the value stored under each."""
        self._waiting.extend(keys)
        await self._run()
        return [self._loaded.get(key) for key in keys]

    async def _run(self) -> None:
        if not self._waiting:
            return
        values = await self._load_batch(self._waiting)
        self._loaded.update(zip(self._waiting, values, strict=False))  # the review silently stops at the shorter one
        self._waiting.clear()


class DataLoader(Generic[Key, Value]):
    """Collects the keys requested in one iteration of the event loop and loads them together, each once.

    `load_batch` takes distinct keys, at most `max_batch_size`, and returns one value per key, in the order of the keys. Batches run
    concurrently, so each opens its own session. An error reaches every caller that waits for the batch and is not cached.
    """

    def __init__(
        self, load_batch: Callable[[list[Key]], Awaitable[Sequence[Value]]], max_batch_size: int = KEYS_PER_STATEMENT
    ) -> None:
        self._load_batch = load_batch
        self._max_batch_size = max_batch_size
        self._waiting: list[Key] = []
        self._asked: dict[Key, asyncio.Future[Value]] = {}
        self._running: set[asyncio.Task[None]] = set()

    def load(self, key: Key) -> asyncio.Future[Value]:
        """Return a future of the key's value. Call it in a running event loop.

        Awaited, it raises any error of the batch function, and ValueError if that returned more or fewer values than keys.
        """
        future = self._asked.get(key)
        if future is None:
            loop = asyncio.get_running_loop()
            future = self._asked[key] = loop.create_future()
            if not self._waiting:
                loop.call_soon(self._dispatch)
            self._waiting.append(key)
        # A cancelled caller cancels the future that it awaits, which must not cancel it for the others.
        return asyncio.shield(future)

    async def load_many(self, keys: Sequence[Key]) -> list[Value]:
        """Return the values in the order of the keys. Raises the errors of `load`."""
        return list(await asyncio.gather(*map(self.load, keys)))

    def _dispatch(self) -> None:
        waiting, self._waiting = self._waiting, []
        for keys in chunks(waiting, self._max_batch_size):
            task = asyncio.get_running_loop().create_task(self._run(keys))
            self._running.add(task)  # the loop itself holds tasks weakly
            task.add_done_callback(self._running.discard)

    async def _run(self, keys: list[Key]) -> None:
        futures = [self._asked[key] for key in keys]
        try:
            values = await self._values(keys)
        except BaseException as error:
            failed = isinstance(error, Exception)
            for key, future in zip(keys, futures, strict=True):
                del self._asked[key]
                if failed:
                    future.set_exception(error)
                else:
                    future.cancel()
            if not failed:
                raise
        else:
            for future, value in zip(futures, values, strict=True):
                future.set_result(value)

    async def _values(self, keys: list[Key]) -> Sequence[Value]:
        values = await self._load_batch(list(keys))
        if len(values) != len(keys):
            raise ValueError(
                f"the batch function returned {len(values)} values for {len(keys)} keys; return one value per key, in order"
            )
        return values


async def prompts_one_by_one(sessions: async_sessionmaker[AsyncSession], ids: Sequence[str]) -> list[PromptRow | None]:
    """Return the prompts with these ids in their order, None for a missing one: one statement per id. The baseline."""
    async with sessions() as session:
        return [(await _fetch(session, [key])).get(key) for key in ids]


async def prompts_as_written(sessions: async_sessionmaker[AsyncSession], ids: Sequence[str]) -> list[PromptRow | None]:
    """Load with the review's `load_many` and batch function: rows in the database's order, so often the wrong ones."""
    return await ReviewDataLoader[str, PromptRow](partial(_review_batch, sessions)).load_many(ids)


async def prompts_repaired(sessions: async_sessionmaker[AsyncSession], ids: Sequence[str]) -> list[PromptRow | None]:
    """Load with the review's `load_many` and a batch function that returns one value per key, in order."""

    async def load_batch(keys: list[str]) -> list[PromptRow | None]:
        found = {row[0]: row for row in await _review_batch(sessions, keys)}
        return [found.get(key) for key in keys]

    return await ReviewDataLoader(load_batch).load_many(ids)


async def prompts_gathered(sessions: async_sessionmaker[AsyncSession], ids: Sequence[str]) -> list[PromptRow | None]:
    """Load each prompt separately, all concurrently, as the resolvers of a request do; the loader batches them."""
    loader = prompt_loader(sessions)

    async def resolve(key: str) -> PromptRow | None:
        return await loader.load(key)

    return list(await asyncio.gather(*map(resolve, ids)))


async def prompts_sequential(sessions: async_sessionmaker[AsyncSession], ids: Sequence[str]) -> list[PromptRow | None]:
    """Await each load before requesting the next: no loader can batch this, so every batch has one key."""
    loader = prompt_loader(sessions)
    return [await loader.load(key) for key in ids]


def prompt_loader(sessions: async_sessionmaker[AsyncSession]) -> DataLoader[str, PromptRow | None]:
    """Return a loader of prompts by id, for one request."""

    async def load_batch(keys: list[str]) -> list[PromptRow | None]:
        async with sessions() as session:
            found = await _fetch(session, keys)
        return [found.get(key) for key in keys]

    return DataLoader(load_batch)


async def _fetch(session: AsyncSession, ids: Sequence[str]) -> dict[str, PromptRow]:
    rows: Any = await session.execute(select(Prompt.id, Prompt.title, Prompt.content).where(Prompt.id.in_(ids)))
    return {key: (key, title, content) for key, title, content in rows}


async def _review_batch(sessions: async_sessionmaker[AsyncSession], keys: list[str]) -> list[PromptRow]:
    async with sessions() as session:
        prompts = await session.scalars(select(Prompt).where(Prompt.id.in_(keys)))
        return [(prompt.id, prompt.title, prompt.content) for prompt in prompts]
