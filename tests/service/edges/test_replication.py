"""A primary that numbers its writes and a replica that follows: in order, completely, once, with notification of the cache."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from shutil import copyfile

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
    """Return a function that creates a copy of the small database, with the table of changes."""

    def make(name: str) -> Path:
        path = copyfile(filled, tmp_path / f"{name}.db")
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
    """Return a prompt's title and version."""
    async with sessions() as session:
        found = await session.get_one(Prompt, prompt_id)
        return found.title, found.version


def test_each_write_gets_the_next_number_and_notifies_the_stale_paths(followed: Callable[[str], Path]) -> None:
    """Versions increase by one per write, and the caches are notified of both paths that contain the title."""

    async def play() -> None:
        notified: list[Sequence[str]] = []
        async with opened(followed("primary")) as sessions:
            primary = Primary(sessions, notified.append)
            await primary.open()
            assert await primary.update_title(PROMPT, USER, "One", AT) == (1, 3)
            assert await primary.update_title(PROMPT, USER, "Two", AT) == (2, 4)
            assert await title_and_version(sessions, PROMPT) == ("Two", 4)
            assert primary.version == 2
            again = Primary(sessions, notified.append)
            await again.open()
            assert again.version == 2
        assert notified == [paths(PROMPT, USER)] * 2

    asyncio.run(play())


@pytest.mark.parametrize(("prompt_id", "user_id"), [(PROMPT, "bob"), (DELETED, "bob"), ("unknown", "ann")])
def test_a_write_without_effect_leaves_no_trace(followed: Callable[[str], Path], prompt_id: str, user_id: str) -> None:
    """Another user's prompt, a deleted one and an unknown one are not written, and get no number."""

    async def play() -> None:
        async with opened(followed("primary")) as sessions:
            primary = Primary(sessions, lambda _: pytest.fail("nothing has changed"))
            assert await primary.update_title(prompt_id, user_id, "New", AT) is None
            assert primary.version == 0
            assert await primary.changes_after(0, 0.0) == []

    asyncio.run(play())


def test_a_request_for_changes_waits_for_the_next_one(followed: Callable[[str], Path]) -> None:
    """The request is held until there is a change, and ends without one after its timeout."""

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


def test_a_replica_applies_changes_and_then_notifies(followed: Callable[[str], Path]) -> None:
    """When it notifies of stale paths, the new rows are visible; a lag is recorded per change."""

    async def play() -> None:
        notified: list[str] = []
        async with opened(followed("primary")) as first, opened(followed("replica")) as second:
            primary = Primary(first, lambda _: None)
            replica = Replica(second, lambda after: primary.changes_after(after, 0.0), notified.extend)
            for number in range(3):
                await primary.update_title(PROMPT, USER, f"Title {number}", AT)
            await replica.apply(await primary.changes_after(replica.version, 0.0))
            assert replica.version == primary.version == 3
            assert notified == [*paths(PROMPT, USER)] * 3
            assert await title_and_version(second, PROMPT) == await title_and_version(first, PROMPT) == ("Title 2", 5)
            assert len(replica.lags_ms) == 3
            assert min(replica.lags_ms) > 0
            again = Replica(second, lambda after: primary.changes_after(after, 0.0), notified.extend)
            await again.open()
            assert again.version == 3

    asyncio.run(play())


def test_changes_are_applied_all_or_none(followed: Callable[[str], Path]) -> None:
    """A duplicate number fails, and no change of that batch is applied."""

    async def play() -> None:
        async with opened(followed("replica")) as sessions:
            replica = Replica(
                sessions, lambda _: pytest.fail("the changes were requested"), lambda _: pytest.fail("nothing has changed")
            )
            change = Change(1, PROMPT, USER, "One", 3, AT, 0)
            before = await title_and_version(sessions, PROMPT)
            with pytest.raises(Exception, match="UNIQUE"):
                await replica.apply([change, change])
            assert replica.version == 0
            assert await title_and_version(sessions, PROMPT) == before
            async with sessions() as session:
                assert (await session.execute(select(changes))).all() == []

    asyncio.run(play())


def test_following_survives_an_unreachable_primary(followed: Callable[[str], Path]) -> None:
    """While the primary does not respond the replica retries, and catches up afterwards."""

    async def play() -> None:
        async with opened(followed("primary")) as first, opened(followed("replica")) as second:
            primary = Primary(first, lambda _: None)
            caught_up, failures_left = asyncio.Event(), 3

            async def fetch(after: int) -> Sequence[Change]:
                nonlocal failures_left
                if failures_left:
                    failures_left -= 1
                    raise ConnectionRefusedError
                return await primary.changes_after(after, 60.0)

            replica = Replica(second, fetch, lambda _: caught_up.set())
            following = asyncio.create_task(replica.follow(pause_s=0.0))
            await primary.update_title(PROMPT, USER, "One", AT)
            await asyncio.wait_for(caught_up.wait(), 20)
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
            assert (replica.version, failures_left) == (1, 0)

    asyncio.run(play())


def test_a_write_is_published_before_any_notification(followed: Callable[[str], Path]) -> None:
    """A replica that is notified of a write can pull it, and a write that cannot be published causes no notification."""

    async def play() -> None:
        order: list[str] = []
        async with opened(followed("primary")) as sessions:

            async def publish() -> None:
                assert await title_and_version(sessions, PROMPT) == ("One", 3)
                order.append("published")

            primary = Primary(sessions, lambda _: order.append("notified"), publish)
            await primary.update_title(PROMPT, USER, "One", AT)
            assert order == ["published", "notified"]

            async def fail() -> None:
                raise ConnectionError

            unpublished = Primary(sessions, lambda _: order.append("notified"), fail)
            with pytest.raises(ConnectionError):
                await unpublished.update_title(PROMPT, USER, "Two", AT)
            assert order == ["published", "notified"]

    asyncio.run(play())


def test_a_pulled_replica_notifies_when_its_engine_has_the_changes(followed: Callable[[str], Path]) -> None:
    """It pulls until they are there, retries after a failed pull, and applies nothing itself."""

    async def play() -> None:
        notified: list[str] = []
        async with opened(followed("primary")) as first, opened(followed("replica")) as second:
            primary, engine = (
                Primary(first, lambda _: None),
                Replica(second, lambda _: pytest.fail("the changes were requested"), lambda _: None),
            )
            caught_up, pulls = asyncio.Event(), 0

            async def pull() -> None:
                nonlocal pulls
                pulls += 1
                assert not notified
                if pulls == 1:
                    raise ConnectionRefusedError
                if pulls == 3:
                    await engine.apply(await primary.changes_after(0, 0.0))

            def notify(paths_: Sequence[str]) -> None:
                notified.extend(paths_)
                caught_up.set()

            replica = PulledReplica(second, lambda after: primary.changes_after(after, 60.0), notify, pull, pause_s=0.0)
            following = asyncio.create_task(replica.follow(pause_s=0.0))
            await primary.update_title(PROMPT, USER, "One", AT)
            await asyncio.wait_for(caught_up.wait(), 20)
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
            assert (replica.version, pulls, notified) == (1, 3, [*paths(PROMPT, USER)])
            assert await title_and_version(second, PROMPT) == ("One", 3)

    asyncio.run(play())
