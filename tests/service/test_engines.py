"""Engines: the pool of each level, and the settings of every connection to SQLite."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool, StaticPool

from service.database import engine_in_threads, engine_on_loop, set_up, with_driver
from service.switches import Level

SERVER = make_url("postgresql://unknown@127.0.0.1:1/none")


def overflow(engine: Engine) -> int:
    """Return the limit of connections beyond an engine's pool size."""
    assert isinstance(engine.pool, QueuePool)
    return engine.pool._max_overflow


def size(engine: Engine) -> int:
    """Return the size of an engine's pool."""
    assert isinstance(engine.pool, QueuePool)
    return engine.pool.size()


@pytest.mark.parametrize("asyncio_", [False, True])
@pytest.mark.parametrize(
    ("level", "expected"), [(Level.BASELINE, (10, 20)), (Level.PROPOSED, (20, 40)), (Level.OPTIMISED, (45, 0))]
)
def test_a_servers_pool_is_that_of_the_level(level: Level, expected: tuple[int, int], asyncio_: bool) -> None:
    """The pool's settings are those of the level, in threads and on the loop, without overflow if optimised. Nothing connects."""
    url = with_driver(SERVER, asyncio=asyncio_)
    engine = engine_on_loop(url, level).sync_engine if asyncio_ else engine_in_threads(url, level)
    assert (size(engine), overflow(engine)) == expected
    assert isinstance(engine.pool, AsyncAdaptedQueuePool) is asyncio_
    assert engine.driver == ("asyncpg" if asyncio_ else "psycopg")


def test_the_review_gives_sqlite_one_shared_connection(tmp_path: Path) -> None:
    """The proposed pool is a StaticPool, on the loop and in threads."""
    url = make_url(f"sqlite:///{tmp_path / 'x.db'}")
    on_loop = engine_on_loop(with_driver(url, asyncio=True), Level.PROPOSED)
    in_threads = engine_in_threads(with_driver(url, asyncio=False), Level.PROPOSED)
    assert isinstance(on_loop.sync_engine.pool, StaticPool)
    assert isinstance(in_threads.pool, StaticPool)


@pytest.mark.parametrize("explicit_begin", [False, True])
@pytest.mark.parametrize("level", Level)
def test_every_connection_to_sqlite_is_set_up_alike(level: Level, explicit_begin: bool, database: Path) -> None:
    """Durability, foreign keys and the lock timeout do not depend on the switches."""
    wanted = {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 5000}
    url = make_url(f"sqlite:///{database}")
    engine = engine_in_threads(with_driver(url, asyncio=False), level)
    set_up(engine, explicit_begin=explicit_begin)
    with engine.connect() as connection:
        found = {name: connection.execute(text(f"PRAGMA {name}")).scalar_one() for name in wanted}
    engine.dispose()

    async def on_loop() -> dict[str, object]:
        made = engine_on_loop(with_driver(url, asyncio=True), level)
        set_up(made.sync_engine, explicit_begin=explicit_begin)
        async with made.connect() as connection:
            values = {name: (await connection.execute(text(f"PRAGMA {name}"))).scalar_one() for name in wanted}
        await made.dispose()
        return values

    assert found == wanted
    assert asyncio.run(on_loop()) == wanted


def test_an_unsupported_database_is_refused() -> None:
    """The message names the supported databases."""
    with pytest.raises(ValueError, match="does not support mysql; name a database of sqlite or postgresql"):
        with_driver(make_url("mysql://unknown@127.0.0.1/none"), asyncio=True)
