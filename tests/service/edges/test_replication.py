"""A primary that numbers its writes and a replica that follows: in order, all of them, once, and told to the cache."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.pool import NullPool

from harness.databases.engines import sqlite
from service.edges import replication
from service.edges.replication import Change, Primary, PulledReplica, Replica, changes, paths
from service.models import Prompt
from service.sessions import sessionmaker

AT = datetime(2025, 6, 1)  # noqa: DTZ001 - the service stores naive UTC
PROMPT, USER, OTHERS, DELETED = "p0037", "ann", "p0185", "p0000"

Sessions = async_sessionmaker[AsyncSession]


@pytest.fixture
def followed(filled: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that makes a copy of the small database, with the table of changes."""

    def make(name: str) -> Path:
        path = sqlite.restore(filled, tmp_path / f"{name}.db")
        engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
        with engine.begin() as connection:
            replication.upgrade(connection)
        return path

    return make


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Sessions]:
    """Open a copy."""
    async with sqlite.engine(path) as engine:
        yield sessionmaker(engine)


async def title_and_version(sessions: Sessions, prompt_id: str) -> tuple[str, int]:
    """Return what a prompt has."""
    async with sessions() as session:
        found = await session.get_one(Prompt, prompt_id)
        return found.title, found.version


def test_each_write_gets_the_next_number_and_tells_what_it_makes_old(followed: Callable[[str], Path]) -> None:
    """Versions count up by one a write, and the caches hear of both answers that a title is in."""

    async def play() -> None:
        told: list[Sequence[str]] = []
        async with opened(followed("primary")) as sessions:
            primary = Primary(sessions, told.append)
            await primary.open()
            assert await primary.update_title(PROMPT, USER, "One", AT) == (1, 3)
            assert await primary.update_title(PROMPT, USER, "Two", AT) == (2, 4)
            assert await title_and_version(sessions, PROMPT) == ("Two", 4)
            assert primary.version == 2
            again = Primary(sessions, told.append)
            await again.open()
            assert again.version == 2
        assert told == [paths(PROMPT, USER)] * 2

    asyncio.run(play())


@pytest.mark.parametrize(("prompt_id", "user_id"), [(PROMPT, "bob"), (DELETED, "bob"), ("nobody", "ann")])
def test_a_write_that_means_nothing_leaves_no_trace(followed: Callable[[str], Path], prompt_id: str, user_id: str) -> None:
    """Somebody else's prompt, a deleted one and one that is not there are not written, and get no number."""

    async def play() -> None:
        async with opened(followed("primary")) as sessions:
            primary = Primary(sessions, lambda _: pytest.fail("nothing has changed"))
            assert await primary.update_title(prompt_id, user_id, "New", AT) is None
            assert primary.version == 0
            assert await primary.changes_after(0, 0.0) == []

    asyncio.run(play())


def test_who_asks_for_what_is_not_there_yet_is_answered_when_it_is(followed: Callable[[str], Path]) -> None:
    """A question is held until there is a change, and ends without one when its time is up."""

    async def play() -> None:
        async with opened(followed("primary")) as sessions:
            primary = Primary(sessions, lambda _: None)
            assert await primary.changes_after(0, 0.01) == []
            waiting = asyncio.create_task(primary.changes_after(0, 60.0))
            await asyncio.sleep(0)
            assert not waiting.done()
            await primary.update_title(PROMPT, USER, "One", AT)
            found = await waiting
            assert [(change.number, change.prompt_id, change.title) for change in found] == [(1, PROMPT, "One")]

    asyncio.run(play())


def test_a_replica_takes_changes_in_and_then_tells(followed: Callable[[str], Path]) -> None:
    """After it has told which answers are old, the new rows are there; a lag is noted for each change."""

    async def play() -> None:
        told: list[str] = []
        async with opened(followed("primary")) as first, opened(followed("replica")) as second:
            primary = Primary(first, lambda _: None)
            replica = Replica(second, lambda after: primary.changes_after(after, 0.0), told.extend)
            for number in range(3):
                await primary.update_title(PROMPT, USER, f"Title {number}", AT)
            await replica.apply(await primary.changes_after(replica.version, 0.0))
            assert replica.version == primary.version == 3
            assert told == [*paths(PROMPT, USER)] * 3
            assert await title_and_version(second, PROMPT) == await title_and_version(first, PROMPT) == ("Title 2", 5)
            assert len(replica.lags_ms) == 3
            assert min(replica.lags_ms) > 0
            again = Replica(second, lambda after: primary.changes_after(after, 0.0), told.extend)
            await again.open()
            assert again.version == 3

    asyncio.run(play())


def test_changes_that_cannot_all_be_taken_in_are_not_taken_in_at_all(followed: Callable[[str], Path]) -> None:
    """A number that comes twice fails, and nothing of what came with it is left."""

    async def play() -> None:
        async with opened(followed("replica")) as sessions:
            replica = Replica(sessions, lambda _: pytest.fail("nobody asks"), lambda _: pytest.fail("nothing has changed"))
            change = Change(1, PROMPT, USER, "One", 3, AT, 0)
            before = await title_and_version(sessions, PROMPT)
            with pytest.raises(Exception, match="UNIQUE"):
                await replica.apply([change, change])
            assert replica.version == 0
            assert await title_and_version(sessions, PROMPT) == before
            async with sessions() as session:
                assert (await session.execute(select(changes))).all() == []

    asyncio.run(play())


def test_following_survives_a_primary_that_is_away(followed: Callable[[str], Path]) -> None:
    """While the primary cannot be asked the replica asks again, and catches up when it can."""

    async def play() -> None:
        async with opened(followed("primary")) as first, opened(followed("replica")) as second:
            primary = Primary(first, lambda _: None)
            caught_up, away = asyncio.Event(), 3

            async def fetch(after: int) -> Sequence[Change]:
                nonlocal away
                if away:
                    away -= 1
                    raise ConnectionRefusedError
                return await primary.changes_after(after, 60.0)

            replica = Replica(second, fetch, lambda _: caught_up.set())
            following = asyncio.create_task(replica.follow(pause_s=0.0))
            await primary.update_title(PROMPT, USER, "One", AT)
            await asyncio.wait_for(caught_up.wait(), 20)
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
            assert (replica.version, away) == (1, 0)

    asyncio.run(play())


def test_a_write_is_published_before_anybody_hears_of_it(followed: Callable[[str], Path]) -> None:
    """Whoever is told of a write can pull it, and what cannot be published is told to nobody."""

    async def play() -> None:
        order: list[str] = []
        async with opened(followed("primary")) as sessions:

            async def publish() -> None:
                assert await title_and_version(sessions, PROMPT) == ("One", 3)
                order.append("published")

            primary = Primary(sessions, lambda _: order.append("told"), publish)
            await primary.update_title(PROMPT, USER, "One", AT)
            assert order == ["published", "told"]

            async def fail() -> None:
                raise ConnectionError

            deaf = Primary(sessions, lambda _: order.append("told"), fail)
            with pytest.raises(ConnectionError):
                await deaf.update_title(PROMPT, USER, "Two", AT)
            assert order == ["published", "told"]

    asyncio.run(play())


def test_a_pulled_replica_tells_when_its_engine_has_the_changes(followed: Callable[[str], Path]) -> None:
    """It pulls until they are there, tries again after a pull that fails, and takes nothing in by itself."""

    async def play() -> None:
        told: list[str] = []
        async with opened(followed("primary")) as first, opened(followed("replica")) as second:
            primary, engine = Primary(first, lambda _: None), Replica(second, lambda _: pytest.fail("nobody asks"), lambda _: None)
            caught_up, pulls = asyncio.Event(), 0

            async def pull() -> None:
                nonlocal pulls
                pulls += 1
                assert not told
                if pulls == 1:
                    raise ConnectionRefusedError
                if pulls == 3:
                    await engine.apply(await primary.changes_after(0, 0.0))

            def tell(paths_: Sequence[str]) -> None:
                told.extend(paths_)
                caught_up.set()

            replica = PulledReplica(second, lambda after: primary.changes_after(after, 60.0), tell, pull, pause_s=0.0)
            following = asyncio.create_task(replica.follow(pause_s=0.0))
            await primary.update_title(PROMPT, USER, "One", AT)
            await asyncio.wait_for(caught_up.wait(), 20)
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
            assert (replica.version, pulls, told) == (1, 3, [*paths(PROMPT, USER)])
            assert await title_and_version(second, PROMPT) == ("One", 3)

    asyncio.run(play())
