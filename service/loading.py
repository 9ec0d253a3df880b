"""N+1 statements, or two: a user's newest prompts, each with its completed evaluations; and prompts by key, in batches.

All techniques return the same plain structure, with evaluations sorted by id, and differ only in the loading of the evaluations.
The order of the prompts ends with the id: for a tie at the limit, the time alone could select other prompts with another plan.

The DataLoader is the review's with its defects, or an optimised one. A loader lives as long as one request. Otherwise its cache
would serve stale rows, and one tenant's rows to another.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from operator import itemgetter
from typing import Any, Generic, TypeVar

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from service.models import Evaluation, Prompt
from service.prompts import in_state

KEYS_PER_STATEMENT = 500  # keys per IN list: far below every database's limit on variables, and SQLAlchemy's own value
_FIELDS = ("id", "provider", "model", "overall_score", "created_at")
_COLUMNS = (Evaluation.prompt_id, *(getattr(Evaluation, name) for name in _FIELDS))

Item = TypeVar("Item")
Key = TypeVar("Key")
Value = TypeVar("Value")
PromptRow = tuple[str, str, str]  # (id, title, content)


async def with_evaluations_one_by_one(session: AsyncSession, user_id: str, limit: int = 50) -> list[dict[str, Any]]:
    """Fetch the evaluations of each prompt separately: 51 statements for 50 prompts. The baseline."""
    loaded = []
    for prompt in await session.execute(_newest_prompts(user_id, limit)):
        completed = select(Evaluation).where(Evaluation.prompt_id == prompt.id, Evaluation.status == in_state("completed"))
        loaded.append(_assembled(prompt, map(_fields, await session.scalars(completed))))
    return loaded


async def with_evaluations_proposed(session: AsyncSession, user_id: str, limit: int = 50) -> list[dict[str, Any]]:
    """Fetch all evaluations in a second statement, as ORM objects, and group them in memory: the review's two statements."""
    prompts = (await session.execute(_newest_prompts(user_id, limit))).all()
    if not prompts:
        return []
    ids = [prompt.id for prompt in prompts]
    completed = select(Evaluation).where(Evaluation.prompt_id.in_(ids), Evaluation.status == in_state("completed"))
    by_prompt: defaultdict[str, list[Evaluation]] = defaultdict(list)
    for evaluation in (await session.scalars(completed)).all():
        by_prompt[evaluation.prompt_id].append(evaluation)
    return [_assembled(prompt, map(_fields, by_prompt[prompt.id])) for prompt in prompts]


async def with_evaluations_optimised(session: AsyncSession, user_id: str, limit: int = 50) -> list[dict[str, Any]]:
    """Fetch only the required columns, as rows, not objects, in IN lists of bounded length: two statements for 50 prompts."""
    prompts = (await session.execute(_newest_prompts(user_id, limit))).all()
    by_prompt: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for ids in chunks([prompt.id for prompt in prompts], KEYS_PER_STATEMENT):
        completed = select(*_COLUMNS).where(Evaluation.prompt_id.in_(ids), Evaluation.status == in_state("completed"))
        for prompt_id, *values in await session.execute(completed):
            by_prompt[prompt_id].append(dict(zip(_FIELDS, values, strict=True)))
    return [_assembled(prompt, by_prompt[prompt.id]) for prompt in prompts]


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items in lists of `size`; the last list may be shorter. Yields nothing if there are no items."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _newest_prompts(user_id: str, limit: int) -> Select[Any]:
    return (
        select(Prompt.id, Prompt.title, Prompt.created_at)
        .where(Prompt.user_id == user_id, Prompt.deleted_at.is_(None))
        .order_by(Prompt.created_at.desc(), Prompt.id.desc())
        .limit(limit)
    )


def _fields(evaluation: Evaluation) -> dict[str, Any]:
    return {name: getattr(evaluation, name) for name in _FIELDS}


def _assembled(prompt: Row[Any], evaluations: Iterable[dict[str, Any]]) -> dict[str, Any]:
    ordered = sorted(evaluations, key=itemgetter("id"))
    return {
        "id": prompt.id,
        "title": prompt.title,
        "created_at": prompt.created_at,
        "evaluations": ordered,
        "eval_count": len(ordered),
    }


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
