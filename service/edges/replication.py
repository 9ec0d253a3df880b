"""The data behind the edges: a primary that numbers its writes, and replicas that follow it.

Every write leaves a line in `changes`, in the transaction of the write itself, so that its number is the data's version. A replica
asks for what came after its own version; the primary holds the question until there is something (a long poll), so that nobody
waits for a tick and nobody asks in vain. What has changed in a replica is told to the cache in front of it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec
from sqlalchemy import BigInteger, Column, Connection, DateTime, Integer, MetaData, String, Table, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from service.catalogue import retitle
from service.models import Prompt

KEPT_LAGS = 1000

changes = Table(
    "changes",
    MetaData(),
    Column("number", Integer, primary_key=True),
    Column("prompt_id", String(36), nullable=False),
    Column("user_id", String(36), nullable=False),
    Column("title", String(200), nullable=False),
    Column("prompt_version", Integer, nullable=False),
    Column("updated_at", DateTime, nullable=False),
    Column("committed_ns", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
"""What was written, in order. `committed_ns` is the machine's monotonic clock, which all processes of a machine share."""


class Change(msgspec.Struct, frozen=True):
    """One write: a prompt's new title and version."""

    number: int
    prompt_id: str
    user_id: str
    title: str
    prompt_version: int
    updated_at: datetime
    committed_ns: int


class Versioned(Protocol):
    """What holds data of some version."""

    version: int
    """The number of the last write that is in the data."""


Fetch = Callable[[int], Awaitable[Sequence[Change]]]
"""Asks the primary for the changes after a version; may take as long as the primary holds the question."""

Told = Callable[[Sequence[str]], None]
"""Called with the paths whose answers have changed, when the data has the change."""


def paths(prompt_id: str, user_id: str) -> tuple[str, str]:
    """Return the answers that another title of a user's prompt makes old."""
    return (f"/prompts/{prompt_id}", f"/users/{user_id}/prompts")


def upgrade(connection: Connection) -> None:
    """Add the table of changes to a primary's database, or a replica's."""
    changes.create(connection)


async def nothing() -> None:
    """Publish nothing: who follows asks for the changes themselves."""


class Primary:
    """Takes writes, and answers who follows. `tell` is called with the paths whose answers a write has changed.

    `publish` is called after a commit, before anybody is told of it: it brings the write to where an engine's replicas pull from.
    """

    def __init__(
        self, sessions: async_sessionmaker[AsyncSession], tell: Told, publish: Callable[[], Awaitable[None]] = nothing
    ) -> None:
        self.version = 0
        self._sessions = sessions
        self._tell = tell
        self._publish = publish
        self._news = asyncio.Condition()

    async def open(self) -> None:
        """Find out which version the data has."""
        self.version = await _version(self._sessions)

    async def update_title(self, prompt_id: str, user_id: str, title: str, at: datetime) -> tuple[int, int] | None:
        """Give a user's live prompt another title; return the data's new version and the prompt's, or None for no such prompt."""
        async with self._sessions.begin() as session:
            prompt_version = await retitle(session, prompt_id, user_id, title, at)
            if prompt_version is None:
                return None
            row = {"prompt_id": prompt_id, "user_id": user_id, "title": title, "prompt_version": prompt_version, "updated_at": at}
            line = insert(changes).values(**row, committed_ns=time.monotonic_ns()).returning(changes.c.number)
            number: int = (await session.execute(line)).scalar_one()
        await self._publish()
        self.version = max(self.version, number)
        self._tell(paths(prompt_id, user_id))
        async with self._news:
            self._news.notify_all()
        return number, prompt_version

    async def changes_after(self, number: int, wait_s: float) -> list[Change]:
        """Return the changes after one, in order; if there is none, wait so long for one."""
        try:
            async with asyncio.timeout(wait_s), self._news:
                await self._news.wait_for(lambda: self.version > number)
        except TimeoutError:
            return []
        async with self._sessions() as session:
            found = await session.execute(select(changes).where(changes.c.number > number).order_by(changes.c.number))
            return [Change(*row) for row in found]


class Replica:
    """A copy of the primary's database in a file of its own, brought up to date by the changes since."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], fetch: Fetch, tell: Told) -> None:
        self.version = 0
        self.lags_ms: deque[float] = deque(maxlen=KEPT_LAGS)
        """For each of the last changes, the time from its commit in the primary to its commit here."""
        self._sessions = sessions
        self._fetch = fetch
        self._tell = tell
        self._heard_s = time.monotonic()

    @property
    def age_s(self) -> float:
        """How long ago the primary was last heard of: the data is at most so old, and a round trip."""
        return time.monotonic() - self._heard_s

    async def open(self) -> None:
        """Find out which version the copy has."""
        self.version = await _version(self._sessions)

    async def follow(self, pause_s: float = 0.5) -> None:
        """Follow the primary until cancelled; while it does not answer, ask again after a pause."""
        while True:
            try:
                found = await self._fetch(self.version)
                self._heard_s = time.monotonic()
                if found:
                    await self.apply(found)
            except Exception:  # noqa: BLE001 - a primary that cannot be reached is asked again, whatever the reason
                await asyncio.sleep(pause_s)

    async def apply(self, found: Sequence[Change]) -> None:
        """Take changes in, all of them or none; tell which answers they make old."""
        async with self._sessions.begin() as session:
            for change in found:
                await session.execute(
                    update(Prompt)
                    .where(Prompt.id == change.prompt_id)
                    .values(title=change.title, version=change.prompt_version, updated_at=change.updated_at)
                )
            await session.execute(insert(changes), [msgspec.structs.asdict(change) for change in found])
        self._has(found)

    def _has(self, found: Sequence[Change]) -> None:
        """Note that the data has these changes now, and tell which answers they make old."""
        self.version = found[-1].number
        self._tell([path for change in found for path in paths(change.prompt_id, change.user_id)])
        now_ns = time.monotonic_ns()
        self.lags_ms.extend((now_ns - change.committed_ns) / 1e6 for change in found)


class PulledReplica(Replica):
    """A replica that its engine brings up to date, page by page. A change that is heard of says that there is something to pull.

    `pull` brings what the primary has published; `pause_s` is the wait before another try where that is not there yet.
    """

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        fetch: Fetch,
        tell: Told,
        pull: Callable[[], Awaitable[object]],
        pause_s: float = 0.05,
    ) -> None:
        super().__init__(sessions, fetch, tell)
        self._pull = pull
        self._pause_s = pause_s

    async def apply(self, found: Sequence[Change]) -> None:
        """Pull until the copy has these changes; tell which answers they make old."""
        await self._pull()
        while await _version(self._sessions) < found[-1].number:
            await asyncio.sleep(self._pause_s)
            await self._pull()
        self._has(found)


async def _version(sessions: async_sessionmaker[AsyncSession]) -> int:
    async with sessions() as session:
        found: int = (await session.execute(select(func.coalesce(func.max(changes.c.number), 0)))).scalar_one()
        return found
