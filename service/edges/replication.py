"""The data behind the edges: a primary that numbers its writes, and replicas that follow it.

Every write adds a row to `changes`, in the same transaction, so its number is the version of the data. A replica requests the
changes after its version; the primary holds the request until there is a change (long polling), so replicas neither wait for an
interval nor poll in vain. A replica notifies the cache in front of it about changed data.
"""

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

LAG_SAMPLES = 1000  # number of replication lags that a replica keeps
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
"""The writes, in order. `committed_ns` is the machine's monotonic clock, which all processes of a machine share."""


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
    """An object that holds data of some version."""

    version: int  # the number of the last write contained in the data


Sessions = async_sessionmaker[AsyncSession]
Fetch = Callable[[int], Awaitable[Sequence[Change]]]  # requests the changes after a version, which the primary may hold for a while
NotifyStale = Callable[[Sequence[str]], None]  # receives the paths whose answers have changed, once the data contains the change


def paths(prompt_id: str, user_id: str) -> tuple[str, str]:
    """Return the paths whose answers become stale when a user's prompt gets another title."""
    return (f"/prompts/{prompt_id}", f"/users/{user_id}/prompts")


def upgrade(connection: Connection) -> None:
    """Add the table of changes to the database of a primary or a replica."""
    changes.create(connection)


async def publish_nothing() -> None:
    """Publish nothing: the replicas request the changes themselves."""


class Primary:
    """Takes writes, and serves changes to its replicas. `notify` receives the paths whose answers a write has changed.

    `publish` is called after a commit, before any notification: it uploads the write to where an engine's replicas pull from.
    """

    def __init__(self, sessions: Sessions, notify: NotifyStale, publish: Callable[[], Awaitable[None]] = publish_nothing) -> None:
        self.version = 0
        self._sessions = sessions
        self._notify = notify
        self._publish = publish
        self._changed = asyncio.Condition()

    async def open(self) -> None:
        """Read the version of the data."""
        self.version = await _version(self._sessions)

    async def update_title(self, prompt_id: str, user_id: str, title: str, at: datetime) -> tuple[int, int] | None:
        """Change the title of a user's live prompt; return the new versions of the data and of the prompt, or None if missing."""
        async with self._sessions.begin() as session:
            prompt_version = await retitle(session, prompt_id, user_id, title, at)
            if prompt_version is None:
                return None
            row = {"prompt_id": prompt_id, "user_id": user_id, "title": title, "prompt_version": prompt_version, "updated_at": at}
            line = insert(changes).values(**row, committed_ns=time.monotonic_ns()).returning(changes.c.number)
            number: int = (await session.execute(line)).scalar_one()
        await self._publish()
        self.version = max(self.version, number)
        self._notify(paths(prompt_id, user_id))
        async with self._changed:
            self._changed.notify_all()
        return number, prompt_version

    async def changes_after(self, number: int, wait_s: float) -> list[Change]:
        """Return the changes after a number, in order; if there is none, wait up to `wait_s` seconds for one."""
        try:
            async with asyncio.timeout(wait_s), self._changed:
                await self._changed.wait_for(lambda: self.version > number)
        except TimeoutError:
            return []
        async with self._sessions() as session:
            found = await session.execute(select(changes).where(changes.c.number > number).order_by(changes.c.number))
            return [Change(*row) for row in found]


class Replica:
    """A copy of the primary's database in its own file, updated by applying the changes."""

    def __init__(self, sessions: Sessions, fetch: Fetch, notify: NotifyStale) -> None:
        self.version = 0
        self.lags_ms: deque[float] = deque(maxlen=LAG_SAMPLES)
        """Time from commit in the primary to commit here in milliseconds, for each of the last changes."""
        self._sessions = sessions
        self._fetch = fetch
        self._notify = notify
        self._responded_s = time.monotonic()

    @property
    def age_s(self) -> float:
        """Time in seconds since the primary last responded: the data is at most this old, plus a round trip."""
        return time.monotonic() - self._responded_s

    async def open(self) -> None:
        """Read the version of the copy."""
        self.version = await _version(self._sessions)

    async def follow(self, pause_s: float = 0.5) -> None:
        """Follow the primary until cancelled; if it does not respond, retry after a pause."""
        while True:
            try:
                found = await self._fetch(self.version)
                self._responded_s = time.monotonic()
                if found:
                    await self.apply(found)
            except Exception:  # noqa: BLE001 - a primary that cannot be reached is retried, whatever the reason
                await asyncio.sleep(pause_s)

    async def apply(self, found: Sequence[Change]) -> None:
        """Apply changes, all of them or none, and notify the cache of the stale paths."""
        async with self._sessions.begin() as session:
            for change in found:
                to = {"title": change.title, "version": change.prompt_version, "updated_at": change.updated_at}
                await session.execute(update(Prompt).where(Prompt.id == change.prompt_id).values(to))
            await session.execute(insert(changes), [msgspec.structs.asdict(change) for change in found])
        self._has(found)

    def _has(self, found: Sequence[Change]) -> None:
        self.version = found[-1].number
        self._notify([path for change in found for path in paths(change.prompt_id, change.user_id)])
        now_ns = time.monotonic_ns()
        self.lags_ms.extend((now_ns - change.committed_ns) / 1e6 for change in found)


class PulledReplica(Replica):
    """A replica that its engine updates, page by page. A change received from the primary means that there is something to pull.

    `pull` fetches what the primary has published; `pause_s` is the wait before a retry if the change is not there yet.
    """

    def __init__(
        self, sessions: Sessions, fetch: Fetch, notify: NotifyStale, pull: Callable[[], Awaitable[object]], pause_s: float = 0.05
    ) -> None:
        super().__init__(sessions, fetch, notify)
        self._pull = pull
        self._pause_s = pause_s

    async def apply(self, found: Sequence[Change]) -> None:
        """Pull until the copy contains these changes, and notify the cache of the stale paths."""
        await self._pull()
        while await _version(self._sessions) < found[-1].number:
            await asyncio.sleep(self._pause_s)
            await self._pull()
        self._has(found)


async def _version(sessions: Sessions) -> int:
    async with sessions() as session:
        found: int = (await session.execute(select(func.coalesce(func.max(changes.c.number), 0)))).scalar_one()
        return found
